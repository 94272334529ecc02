import type { SearchResult } from '../../search/search.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { shorten } from '../text.ts';
import { wholeNumber } from '../whole-number.ts';
import { withMigration } from '../with-migration.ts';

const SIDES = ['active', 'old', 'new'] as const;
const TEXT_WIDTH = 90;

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
        defaultDescription: '10',
      })
      .option('side', { choices: SIDES, default: 'active', requiresArg: true, describe: 'Whose vectors' } as const)
      .option('exact', { type: 'boolean', default: false, describe: 'Compare with every vector, without the index' }),
  run: async (flags, cli) => {
    const { searchTable } = await import('../../search/search.ts');
    const { lazyProvider } = await import('../../steps/provider.ts');
    const { query, limit = 10, side, exact } = flags;
    const result = await withMigration(flags, cli, async (ctx) => {
      const { definition } = ctx;
      const created = lazyProvider(ctx, definition);
      const old = definition.from === undefined ? undefined : lazyProvider(ctx, definition.from);
      try {
        const providers = { new: () => created.get(), old: old && (() => old.get()) };
        return await searchTable(ctx, { query, limit, side, exact, providers });
      } finally {
        await created.close();
        await old?.close();
      }
    });
    cli.output.result({ query, ...result }, describe(result));
    return 0;
  },
});

function describe({ hits, side, column, distance, index }: SearchResult): string {
  const how = index === undefined ? 'every vector compared' : `index ${index.name}`;
  const lines = hits.map(
    ({ key, text, score }) => `${score.toFixed(4)}  ${key.join(', ')}  ${shorten(text ?? '', TEXT_WIDTH)}`,
  );
  if (lines.length === 0) lines.push('Nothing was found.');
  return `${lines.join('\n')}\n(the ${side} vectors in ${column}, ${distance}, ${how})`;
}
