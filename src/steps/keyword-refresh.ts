import { PreflightError } from '../errors.ts';
import type { MigrationContext } from '../state/context.ts';
import { readCorpus } from '../state/keyword.ts';
import { resolveMigration } from '../state/resolve.ts';
import { upgradeState } from '../state/state-version.ts';
import { countWords, type WordCount } from './keyword-count.ts';

/**
 * Counts the words anew: the index follows every write by itself, the counts do not.
 *
 * @throws PreflightError `not_expanded` before 005, `keyword_index_missing` before a build; BusyError `keyword_recounted`; InterruptedError
 */
export async function refreshKeyword(ctx: MigrationContext): Promise<WordCount> {
  const resolved = await resolveMigration(ctx);
  await upgradeState(ctx, 'keyword');
  const corpus = await readCorpus(ctx.db, ctx.runtime.stateSchema, ctx.definition.id);
  const { schema, name, indexes } = resolved.table;
  if (corpus === undefined || !indexes.some((index) => index.name === corpus.indexName && index.valid)) {
    throw new PreflightError(
      'keyword_index_missing',
      `${schema}.${name} has no index for a keyword search, so there is nothing to refresh.`,
      { step: 'keyword', hint: 'Run "reembed keyword build".' },
    );
  }
  return countWords(ctx, resolved, corpus);
}
