import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeOnServer, type FaultBed, openFaultBed } from '../helpers/fault-bed.ts';
import { leftovers, succeed } from '../helpers/fault-kill.ts';
import { seededRandom } from '../helpers/fault-random.ts';
import { SEGMENTS, wrongVectors } from '../helpers/oracle.ts';
import { misplacedRows, startWriters } from '../helpers/writers.ts';

const ROWS = 6_000;

describeOnServer('knex migrate:latest under an application that knows id and text only', () => {
  let bed: FaultBed;
  beforeAll(async () => {
    bed = await openFaultBed({ rows: ROWS });
  });
  afterAll(() => bed?.close());

  it('loses no row, serves no stale vector, and lets no statement fail', async () => {
    const { seed } = seededRandom('writers during migrate:latest');
    const writers = await startWriters(bed.url, { seed, clients: 4, pauseMs: 5 });
    await succeed(bed.knex(['migrate:latest'], { REEMBED_BATCH_ROWS: '200' }));
    const { errors, texts, writtenAfterSwap, statements } = await writers.stop();
    expect(errors).toEqual([]);
    expect(statements).toBeGreaterThan(100);
    expect(await bed.withDatabase((db) => misplacedRows(db, texts))).toEqual([]);
    expect(await leftovers(bed.observer)).toEqual([]);
    // Everything that was written before the exchange, in 005, in 006 and between catch-up and lock, has the vector of its text.
    const wrong = await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'));
    expect(wrong.filter((id) => !writtenAfterSwap.has(id))).toEqual([]);
    // What was written afterwards is marked: one pass, and no row at all has the vector of another text.
    await succeed(bed.reembed(['sync', '--once']));
    expect(await bed.withDatabase((db) => wrongVectors(db, SEGMENTS, 'embedding'))).toEqual([]);
    // The kept column follows the text, so that going back serves nothing stale.
    const { rows } = await bed.observer.query<{ id: string }>(
      `SELECT id FROM segments WHERE id = ANY ($1::bigint[]) AND id <= ${ROWS} AND embedding_old IS NOT NULL AND text <> $2`,
      [[...writtenAfterSwap], ''],
    );
    const untouched = new Set(rows.map((row) => row.id));
    expect([...untouched]).toEqual([]);
  });
});
