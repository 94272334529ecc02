import type { Reranker } from '../../providers/reranker.ts';
import type { LazyEncoder, SearchAnswer, SearchMode } from '../../search/client/types.ts';
import type { SearchResult } from '../../search/search.ts';
import type { MigrationContext } from '../../state/context.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { type OpenProvider, type SearchProviders, withProviders } from '../search-providers.ts';
import { shorten } from '../text.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['active', 'old', 'new'] as const;
const MODES = [...SIDES, 'route', 'merge', 'hybrid', 'keyword'] as const satisfies readonly SearchMode[];
const TEXT_WIDTH = 90;
/** What `createSearch` does and a look at one column does not. */
const CLIENT_FLAGS = ['mode', 'key', 'where', 'rerank'] as const;

/** `reembed search`: the rows nearest to a text. */
export const search = defineCommand({
  usage: 'search <query>',
  describe: 'Find the rows nearest to a text',
  flags: (yargs) =>
    migrationFlags(yargs)
      .positional('query', { type: 'string', demandOption: true, describe: 'The text' })
      .option('limit', {
        type: 'string',
        requiresArg: true,
        coerce: wholeNumber('limit', 1),
        describe: 'Hits at most',
        defaultDescription: '10; with --rerank RETURN_TOP_K, 20',
      })
      .option('mode', { choices: MODES, requiresArg: true, describe: 'As createSearch serves an application' } as const)
      .option('key', { type: 'string', requiresArg: true, describe: 'Of the user, for --mode route' })
      .option('where', { type: 'string', requiresArg: true, describe: 'Only rows for which this SQL condition holds' })
      .option('rerank', { type: 'boolean', describe: 'Have a cross-encoder (RERANK_MODEL) order what is found' })
      .option('side', {
        choices: SIDES,
        requiresArg: true,
        describe: 'Whose column alone',
        defaultDescription: 'active',
      } as const)
      .option('adapter', {
        type: 'string',
        requiresArg: true,
        describe: 'Queries of the other model, mapped to the searched vectors by this projection; auto: the best',
      })
      .option('exact', { type: 'boolean', default: false, describe: 'Compare with every vector, without the index' })
      .conflicts({ mode: 'side' })
      .check(({ exact, ...flags }) => {
        const flag = CLIENT_FLAGS.find((name) => flags[name] !== undefined);
        if (exact && flag !== undefined) throw new Error(`--exact looks at one column, without --${flag}`);
        return true;
      }),
  run: async (flags, cli) => {
    const { query, exact } = flags;
    const isClient = CLIENT_FLAGS.some((name) => flags[name] !== undefined);
    const [result, text] = await withMigration(flags, cli, (ctx) =>
      withProviders(ctx, flags, async (providers): Promise<readonly [object, string]> => {
        const side = flags.side ?? providers.adapted ?? 'active';
        if (!isClient) {
          const { searchTable } = await import('../../search/search.ts');
          const { new: created, old } = providers;
          const open = { new: created, old };
          const found = await searchTable(ctx, { query, limit: flags.limit ?? 10, side, exact, providers: open });
          return [found, describe(found)];
        }
        const answer = await askClient(ctx, providers, { ...flags, mode: flags.mode ?? side });
        const order = flags.rerank === true ? "\nThe order and the scores are the reranker's." : '';
        return [answer, describeAnswer(answer) + order];
      }),
    );
    cli.output.result({ query, ...result }, text);
    return 0;
  },
});

interface ClientQuery {
  readonly query: string;
  readonly limit: number | undefined;
  readonly mode: SearchMode;
  readonly key: string | undefined;
  readonly where: string | undefined;
  readonly rerank: boolean | undefined;
}

async function askClient(
  ctx: MigrationContext,
  providers: SearchProviders,
  { query, limit, mode, key, where, rerank }: ClientQuery,
): Promise<SearchAnswer> {
  const { createSearch } = await import('../../search/client/create-search.ts');
  const reranker = rerank === true ? await openRerankerOf(ctx) : undefined;
  try {
    const client = createSearch(ctx.db, {
      migration: ctx.definition,
      stateSchema: ctx.runtime.stateSchema,
      encoders: { old: providers.old && lazyEncoder(providers.old), new: providers.new && lazyEncoder(providers.new) },
      reranker,
      rerank: ctx.runtime.reranking,
    });
    const filter = where === undefined ? undefined : { parts: [where], params: [] };
    return await client.query(query, { limit, mode, key, filter, signal: ctx.signal });
  } finally {
    await reranker?.close();
  }
}

async function openRerankerOf({ runtime }: MigrationContext): Promise<Reranker> {
  const { openReranker } = await import('../../providers/open-reranker.ts');
  const { rerankerSettings } = await import('../../providers/reranker-settings.ts');
  return openReranker(rerankerSettings(runtime));
}

function lazyEncoder(open: OpenProvider): LazyEncoder {
  return {
    async open() {
      const opened = await open();
      return {
        model: opened.model,
        encodeTexts: async (texts, options) => (await opened.embed(texts, options)).vectors,
      };
    },
  };
}

function describe({ hits, side, column, distance, index }: SearchResult): string {
  const how = index === undefined ? 'every vector compared' : `index ${index.name}`;
  const lines = hits.map(
    ({ key, text, score }) => `${score.toFixed(4)}  ${key.join(', ')}  ${shorten(text ?? '', TEXT_WIDTH)}`,
  );
  if (lines.length === 0) lines.push('Nothing was found.');
  return `${lines.join('\n')}\n(the ${side} vectors in ${column}, ${distance}, ${how})`;
}

function describeAnswer({ hits, served, asked, milliseconds }: SearchAnswer): string {
  const lines = hits.map(({ key, text, score, from, stale }) =>
    [
      score.toFixed(4),
      key.join(', '),
      ...(asked.length > 1 ? [`${from}${stale ? ', stale' : ''}`.padEnd('keyword'.length)] : stale ? ['stale'] : []),
      shorten(text ?? '', TEXT_WIDTH),
    ].join('  '),
  );
  if (lines.length === 0) lines.push('Nothing was found.');
  const sources = asked.map(({ source, column, index }) => {
    if (source === 'keyword') return 'the words';
    return `the ${source} vectors in ${column}${index === undefined ? ', every one compared' : `, index ${index.name}`}`;
  });
  const who = served === 'both' ? 'both sides' : served === 'keyword' ? 'words' : `the ${served} vectors`;
  return `${lines.join('\n')}\n(served by ${who} in ${Math.round(milliseconds)} ms; asked: ${sources.join('; ')})`;
}
