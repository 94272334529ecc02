import { expect } from 'vitest';
import { readStatus } from '../../src/inspect/status.ts';
import { quoteIdentifier } from '../../src/sql/identifiers.ts';
import type { MigrationContext } from '../../src/state/context.ts';
import { cutOver } from '../../src/steps/cut-over.ts';
import { expand } from '../../src/steps/expand.ts';
import { fill } from '../../src/steps/fill.ts';
import { undoCutOver } from '../../src/steps/undo-cut-over.ts';
import { undoExpand } from '../../src/steps/undo-expand.ts';
import { undoFill } from '../../src/steps/undo-fill.ts';
import { catalogOf, checksumOf, type OracleOptions, type Watched, wrongVectors } from './oracle.ts';

/**
 * Up, all the way down, and up again: new vectors are right after each way up; after the way down the table is, catalog and
 * bytes, as it was found. Ends swapped. `columns` is everything of the application's that must stay byte-identical.
 */
export async function walkChain(
  ctx: MigrationContext,
  watched: Watched,
  columns: string,
  oracle: OracleOptions = {},
): Promise<void> {
  const column = quoteIdentifier(ctx.definition.column);
  const target = quoteIdentifier(ctx.definition.target);
  const catalog = await catalogOf(ctx.db, watched.table);
  const before = await checksumOf(ctx.db, watched, columns);

  await expand(ctx);
  expect(await checksumOf(ctx.db, watched, columns)).toBe(before);
  await fill(ctx);
  expect(await wrongVectors(ctx.db, watched, target, oracle)).toEqual([]);
  await cutOver(ctx);
  expect(await readStatus(ctx)).toMatchObject({ phase: 'swapped', active: 'new', rows: { pending: 0 }, warnings: [] });
  expect(await wrongVectors(ctx.db, watched, column, oracle)).toEqual([]);

  await undoCutOver(ctx);
  expect(await checksumOf(ctx.db, watched, columns)).toBe(before);
  await undoFill(ctx);
  await undoExpand(ctx);
  expect(await catalogOf(ctx.db, watched.table)).toEqual(catalog);
  expect(await checksumOf(ctx.db, watched, columns)).toBe(before);

  await expand(ctx);
  await fill(ctx);
  await cutOver(ctx);
  expect(await wrongVectors(ctx.db, watched, column, oracle)).toEqual([]);
}
