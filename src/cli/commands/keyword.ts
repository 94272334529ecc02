import type { KeywordStatus } from '../../inspect/keyword-status.ts';
import type { MigrationContext } from '../../state/context.ts';
import type { WordCount } from '../../steps/keyword-count.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { bytes, columns, count, number } from '../text.ts';
import { withMigration } from '../with-migration.ts';

const ACTIONS = ['build', 'refresh', 'status', 'drop'] as const;

/** `reembed keyword build | refresh | status | drop`: what a search by words stands on. */
export const keyword = defineCommand({
  usage: 'keyword <action>',
  describe: 'Build, refresh, look at or drop the index for keyword search',
  flags: (yargs) =>
    migrationFlags(yargs)
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'What to do' } as const)
      .option('language', {
        type: 'string',
        requiresArg: true,
        describe: 'build: a text search configuration, such as english or simple',
        defaultDescription: "the one in use, else the database's own",
      })
      .check(
        ({ action, language }) =>
          action === 'build' || language === undefined || '--language goes with "keyword build".',
      ),
  run: async (flags, cli) => {
    const { result, text } = await withMigration(flags, cli, (ctx) => act(ctx, flags));
    cli.output.result(result, text);
    return 0;
  },
});

interface Outcome {
  readonly result: unknown;
  readonly text: string;
}

interface Asked {
  readonly action: (typeof ACTIONS)[number];
  readonly language: string | undefined;
}

async function act(ctx: MigrationContext, { action, language }: Asked): Promise<Outcome> {
  switch (action) {
    case 'build': {
      const { buildKeyword } = await import('../../steps/keyword-build.ts');
      const result = await buildKeyword(ctx, { language });
      return { result, text: `The index ${result.index} is ready, in ${result.language}. ${counted(result)}` };
    }
    case 'refresh': {
      const { refreshKeyword } = await import('../../steps/keyword-refresh.ts');
      const result = await refreshKeyword(ctx);
      return { result, text: counted(result) };
    }
    case 'status': {
      const { readKeywordStatus } = await import('../../inspect/keyword-status.ts');
      const result = await readKeywordStatus(ctx);
      return { result, text: describe(result) };
    }
    case 'drop': {
      const { dropKeyword } = await import('../../steps/keyword-drop.ts');
      const result = await dropKeyword(ctx);
      const { dropped } = result;
      const text =
        dropped.length === 0
          ? 'Nothing to do: there is no index for keyword search.'
          : `Dropped ${dropped.join(', ')} and the counts.`;
      return { result, text };
    }
  }
}

function counted({ documents, tokens, terms }: WordCount): string {
  return `Counted ${count(tokens, 'word')}, ${number(terms)} of them different, in ${count(documents, 'row')}.`;
}

function describe(status: KeywordStatus): string {
  const { documents, countedAt, rows, extensions } = status;
  const size = status.indexBytes === undefined ? '' : `, ${bytes(status.indexBytes)}`;
  const index =
    status.indexName === undefined
      ? 'none: run "reembed keyword build"'
      : `${status.indexName}, ${status.index}${size}`;
  const lines: [string, string][] = [
    ['table', status.table],
    ['index', index],
  ];
  if (status.language !== undefined) lines.push(['language', status.language.replace(/^pg_catalog\./, '')]);
  if (documents !== undefined) {
    const now = rows === undefined ? '' : `; the table has about ${number(rows)} now`;
    lines.push([
      'counted',
      `${count(documents, 'row')}, ${count(status.tokens ?? 0, 'word')}, at ${(countedAt ?? '').slice(0, 16).replace('T', ' ')} UTC${now}`,
    ]);
  }
  if (status.counting === true) lines.push(['under way', 'a count, or it was when its process ended']);
  if (extensions.length > 0)
    lines.push(['installed', `${extensions.join(', ')}, used only where openKeyword is told so`]);
  return columns(lines);
}
