import { afterAll, beforeAll, expect, it } from 'vitest';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { type Chain, makeSegments, openChain } from '../helpers/chain.ts';
import { describeOnServer } from '../helpers/fault-bed.ts';
import { seededRandom } from '../helpers/fault-random.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { misplacedRows, startWriters } from '../helpers/writers.ts';

const ROWS = 20_000;
const EMBEDDED = { ...SEGMENTS, table: '(SELECT * FROM segments WHERE embedding_384_model IS NOT NULL) s' };

describeOnServer('the guard: a table that is written while it is embedded', () => {
  let chain: Chain;
  beforeAll(async () => {
    chain = await openChain();
  });
  afterAll(() => chain.close());

  it('ends without one stale vector, one lost row, or one error for the application', async () => {
    await makeSegments(chain.db, { rows: ROWS });
    await expand(chain.context());
    const { seed } = seededRandom('guard');
    const writers = await startWriters(chain.database.url, { seed, clients: 4, pauseMs: 1 });
    const beside = await fill(chain.context({}, { batchRows: 1_000 }));
    const during = writers.count();
    const { errors, texts } = await writers.stop();
    expect(errors).toEqual([]);
    expect(during).toBeGreaterThan(100);
    expect(beside.run?.written).toBeGreaterThanOrEqual(ROWS * 0.9);
    // Between the last walk and now the writers went on: what they touched is pending, never stale.
    expect(await wrongVectors(chain.db, EMBEDDED, 'embedding_384')).toEqual([]);
    await fill(chain.context());
    expect(await wrongVectors(chain.db, SEGMENTS, 'embedding_384')).toEqual([]);
    expect(await misplacedRows(chain.db, texts)).toEqual([]);
  });
});
