import { bytes, usd } from '../amounts.ts';
import type { DeploymentStep } from '../plan/deployment.ts';
import type { MigrationPlan } from '../plan/types.ts';
import { plural } from '../plural.ts';
import { durationText } from './progress-text.ts';

/** What is to be done and looked at, to paste into a change ticket (Markdown). */
export function planChecklist(plan: MigrationPlan): string {
  return [
    `# Change: ${plan.table}.${plan.column} from ${plan.from} to ${plan.to} (${plan.migration})`,
    section('Before', before(plan)),
    section('The change', changeSteps(plan).map(asTask)),
    section('After', after(plan)),
  ].join('\n\n');
}

function section(title: string, tasks: readonly string[]): string {
  return [`## ${title}`, '', ...tasks.map((task) => `- [ ] ${task}`)].join('\n');
}

function before(plan: MigrationPlan): string[] {
  const { storage, time, cost } = plan;
  const spent = cost.spentUsd === 0 ? '' : ` beside the ${usd(cost.spentUsd)} that are spent`;
  const free = Math.max(0, storage.peakBytes.high - storage.tableBytes - storage.indexBytes);
  const backfill =
    time.backfillSeconds === undefined
      ? 'not measured (`reembed plan --probe`)'
      : `about ${durationText(time.backfillSeconds.value)}`;
  return [
    '**Backup**: a backup of the database is there, and restoring it has been tried',
    `**Environment**: \`DATABASE_URL\`, keys and the model are those of production; \`reembed doctor --migration ${plan.migration}\` finds nothing in the way`,
    `**Disk**: ${bytes(free)} are free beside the table, and up to ${bytes(storage.walBytes.backfill.high)} of WAL fit where archive, standbys and slots keep it`,
    ...(cost.usd === undefined || cost.usd.value === 0
      ? []
      : [`**Budget**: about ${usd(cost.usd.value)}${spent}; \`REEMBED_BUDGET_USD\` is set`]),
    '**Staging**: 005, 006, 007 and the way back (`npx knex migrate:down`) have run on a copy; the same searches before and after were compared',
    `**Window**: 005 and 007 wait for nobody longer than 50 ms a try; the backfill (${backfill}) runs outside the busiest hours`,
    '**Writers**: whoever writes or searches vectors knows from which deploy on the new model is used',
    '**Monitoring**: disk, replication lag, autovacuum, latency of searches, error rate; `reembed status` for the backfill',
  ];
}

/** What comes after the swap has a section of its own. */
function changeSteps({ deployment: { steps } }: MigrationPlan): DeploymentStep[] {
  const end = steps.findIndex(({ title }) => title === 'Verify');
  return steps.slice(1, end);
}

function asTask(step: DeploymentStep): string {
  return `${step.title}: ${step.commands.map((command) => `\`${command}\``).join(', ')}${step.note === undefined ? '' : `; ${step.note}`}`;
}

function after(plan: MigrationPlan): string[] {
  const verify = `**Verify**: \`reembed verify --migration ${plan.migration}\` has exit code 0; known queries find what they should`;
  const kept = plan.choices.some(({ option, value, chosen }) => option === 'oldColumn' && value === 'keep' && chosen);
  if (!kept) return [verify, '**Way back**: the backup that 007 wrote, with `reembed restore`'];
  const { retentionDays: days } = plan;
  return [
    verify,
    `**Keep the old vectors** for ${days} ${plural(days, 'day')}: until then \`reembed rollback --migration ${plan.migration}\` exchanges back`,
    `**Drop them**: \`reembed finalize --migration ${plan.migration}\`; their room comes back with VACUUM FULL or a repack`,
  ];
}
