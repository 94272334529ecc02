import { adapterText } from '../../inspect/adapted-text.ts';
import type { Status } from '../../inspect/status.ts';
import { plural } from '../../plural.ts';
import { durationText } from '../../reports/progress-text.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { columns, count, looked, number, usd } from '../text.ts';
import { throttleLines } from '../throttle-lines.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed status`: where the migration stands, counted from the table. */
export const status = defineCommand({
  usage: 'status',
  describe: 'Where the migration stands',
  flags: migrationFlags,
  run: async (flags, cli) => {
    const { readStatus } = await import('../../inspect/status.ts');
    const found = await withMigration(flags, cli, readStatus);
    cli.output.result(found, describe(found));
    return 0;
  },
});

function describe(found: Status): string {
  const { rows, model } = found;
  const tally = `${number(rows.done)} done, ${number(rows.pending)} pending, ${number(rows.skipped)} without text, ${number(rows.quarantined)} in quarantine`;
  const lines: [string, string][] = [
    ['Migration', found.migration],
    ['Table', found.table],
    ['Phase', found.phase],
    ['Rows', `${number(rows.total)}: ${tally}`],
    ['Model', `${model.from ?? 'unknown'} → ${model.to}`],
    ['Active', `the ${found.active} vectors, in ${found.column}`],
  ];
  if (found.newColumn !== null && found.newColumn !== found.column) lines.push(['New column', found.newColumn]);
  if (found.keptColumn !== null) lines.push(['Kept column', found.keptColumn]);
  if (found.missingOld !== null)
    lines.push([
      'Without old',
      `${count(found.missingOld, 'row')} ${plural(found.missingOld, 'has', 'have')} no old vector`,
    ]);
  if (found.adapted !== null && found.adapted.rows > 0) lines.push(['Adapted', adaptedText(found.adapted)]);
  if (found.stale !== null && found.stale > 0)
    lines.push(['Stale', `${count(found.stale, 'row')} served with the vector of a former text`]);
  if (found.sync !== null) lines.push(['Sync', syncText(found.sync)]);
  for (const index of found.indexes) lines.push(['Index', indexText(index)]);
  if (found.evaluation !== null) lines.push(['Evaluated', `${found.evaluation.summary}, at ${found.evaluation.at}`]);
  if (found.spent !== null) lines.push(['Spent', spentText(found.spent)]);
  for (const saved of found.backups)
    lines.push(['Backup', `${saved.path} (${saved.column}, ${count(saved.rows, 'row')})`]);
  if (found.lease !== null) {
    const { holder, step, expired, session } = found.lease;
    const silent =
      session === null ? 'its session is gone: ended' : `its session, pid ${session}, is there: stopped or stuck`;
    lines.push(['At work', `${holder}, ${step}${expired ? ` (no heartbeat, ${silent})` : ''}`]);
  }
  if (found.paused !== null)
    lines.push(['Paused', `by ${found.paused.by} since ${found.paused.at}: "reembed resume" goes on`]);
  // Of a run that is over it is only history.
  const running = found.lease !== null || found.phase === 'backfilling';
  if (found.throttle !== null && running) lines.push(...throttleLines(found.throttle));
  for (const warning of found.warnings) lines.push(['Warning', warning]);
  return columns(lines);
}

function indexText({ name, kind, valid, column, tuned }: Status['indexes'][number]): string {
  const setting = kind === 'ivfflat' ? 'probes' : 'ef_search';
  const measured =
    tuned === undefined
      ? ''
      : `, ${setting} ${tuned.setting}: recall@${tuned.k} ${tuned.recall.toFixed(3)} over ${count(tuned.rows, 'row')}${tuned.grown ? '; the table has grown much since: run "reembed tune" again' : ''}`;
  return `${name} (${kind}) on ${column}${valid ? '' : ', INVALID'}${measured}`;
}

function adaptedText(adapted: NonNullable<Status['adapted']>): string {
  const { rows, withoutText } = adapted;
  const lost = withoutText === 0 ? '' : `, ${number(withoutText)} of them without a text`;
  const next = withoutText < rows ? '; "reembed backfill --replace-adapted" embeds their texts' : '';
  return `${count(rows, 'row')}${lost}, by ${adapterText(adapted)}${next}`;
}

function syncText({ holder, ageSeconds, alive, pending, missingOld, listening, problem }: NonNullable<Status['sync']>) {
  const look = `last look ${durationText(ageSeconds)} ago`;
  if (!alive) return `${holder} ended without a word, ${look}: start "reembed sync" again`;
  const old = missingOld === null ? '' : `, ${looked(missingOld)} without an old vector`;
  return `${holder}, ${look}: ${looked(pending)} pending${old}${listening ? ', woken by NOTIFY' : ''}${problem === null ? '' : `; ${problem}`}`;
}

function spentText({ requests, tokens, usd: spent, unpricedTokens }: NonNullable<Status['spent']>): string {
  const asked = `${count(requests, 'request')}, ${count(tokens, 'token')}`;
  if (unpricedTokens > 0 && unpricedTokens === tokens) return `${asked}, price unknown (EMBEDDING_PRICE)`;
  const rest = unpricedTokens === 0 ? '' : ` and ${count(unpricedTokens, 'token')} of unknown price (EMBEDDING_PRICE)`;
  return `${asked}, ${usd(spent)}${rest}`;
}
