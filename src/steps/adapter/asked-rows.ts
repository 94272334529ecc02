import { knownItemSql, loadQueries, nameOfSource, type QuerySource } from '../../evaluate/load-queries.ts';
import type { VectorTarget } from '../../sql/target.ts';
import type { MigrationContext } from '../../state/context.ts';
import { OWN_TEXTS } from './queries-of-part.ts';
import { shuffled } from './split.ts';
import type { AskedQuery, SampledText } from './types.ts';

/** How rows of a table are asked for. */
export interface RowQueries {
  /** As a report names them. */
  readonly source: string;
  /** SQL over `t`, of what is asked for a row; undefined where a row is asked for by its own text, or by the queries below. */
  readonly item: string | undefined;
  /** Rows that answer the queries. */
  readonly keys: readonly (readonly string[])[];
  /** The queries with their answers among the rows that were read; undefined where every row is asked for. */
  readonly ask: ((rows: readonly SampledText[]) => AskedQuery[]) | undefined;
}

/**
 * What is asked, found out before rows are drawn: those that answer a file's queries have to be among them.
 *
 * @param most rows that answers may bring into the sample
 * @throws ConfigError as `loadQueries`
 */
export async function readRowQueries(
  ctx: MigrationContext,
  target: VectorTarget,
  source: QuerySource | undefined,
  { most, seed }: { readonly most: number; readonly seed: number },
): Promise<RowQueries> {
  if (source === undefined) return { source: OWN_TEXTS, item: undefined, keys: [], ask: undefined };
  if ('knownItem' in source) {
    const item = await knownItemSql(ctx, target, source.knownItem);
    return { source: nameOfSource(source, target), item, keys: [], ask: undefined };
  }
  const { queries, counts } = await loadQueries(ctx, source, [{ target, modelId: 0 }], { sample: undefined, seed });
  const labelled = shuffled(queries, seed).flatMap(({ query, grades }) =>
    grades === undefined ? [] : [{ query, ids: [...grades.keys()] }],
  );
  const ids = [...new Set(labelled.flatMap((each) => each.ids))].slice(0, most);
  return {
    source: counts.source,
    item: undefined,
    keys: ids.map((id) => keyOfId(id, target.key.length)),
    ask(rows) {
      const places = new Map(rows.map(({ id }, place) => [id, place]));
      return labelled.map((each) => ({ query: each.query, answers: each.ids.flatMap((id) => places.get(id) ?? []) }));
    },
  };
}

/** Back from `keyId`. */
function keyOfId(id: string, width: number): string[] {
  return width === 1 ? [id] : (JSON.parse(id) as string[]);
}
