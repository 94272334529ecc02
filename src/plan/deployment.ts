import type { MigrationDefinition } from '../config/types.ts';
import { plural } from '../plural.ts';
import type { PlannedTime } from './plan-time.ts';

/** A step of the deployment, with what is run. */
export interface DeploymentStep {
  readonly title: string;
  readonly commands: readonly string[];
  readonly note: string | undefined;
}

/** The order in which the migration is deployed. */
export interface PlannedDeployment {
  /** `two deploys`: the backfill runs beside the application between them, not inside a deploy. */
  readonly way: 'one deploy' | 'two deploys';
  readonly because: string;
  readonly steps: readonly DeploymentStep[];
}

/** A deploy should not wait longer for its migrations. */
const ONE_DEPLOY_SECONDS = 600;
/** Without a probe: a model on two cores makes 40 to 180 texts a second, ten minutes are 24,000 at the least. */
const ONE_DEPLOY_ROWS = 20_000;

export function planDeployment(
  definition: MigrationDefinition,
  rows: number,
  time: Pick<PlannedTime, 'backfillSeconds'>,
): PlannedDeployment {
  const seconds = time.backfillSeconds?.value;
  const small = seconds === undefined ? rows <= ONE_DEPLOY_ROWS : seconds <= ONE_DEPLOY_SECONDS;
  return {
    way: small ? 'one deploy' : 'two deploys',
    because: seconds === undefined ? byRows(rows, small) : byTime(seconds, small),
    steps: [look(definition), ...(small ? oneDeploy(definition) : twoDeploys(definition)), ...afterwards(definition)],
  };
}

function byTime(seconds: number, small: boolean): string {
  const measured = `the backfill takes about ${minutes(seconds)}`;
  return small
    ? `${measured}, for which a deploy may wait`
    : `${measured}, a deploy should wait for ${minutes(ONE_DEPLOY_SECONDS)} at most`;
}

/** Nothing was measured. */
function byRows(rows: number, small: boolean): string {
  const limit = ONE_DEPLOY_ROWS.toLocaleString('en-US');
  return `${rows.toLocaleString('en-US')} rows, ${small ? 'not more' : 'more'} than the ${limit} that take some minutes on a slow machine; "--probe" tells better`;
}

function minutes(seconds: number): string {
  const whole = Math.ceil(seconds / 60);
  return `${whole.toLocaleString('en-US')} ${plural(whole, 'minute')}`;
}

function step(title: string, commands: readonly string[], note?: string): DeploymentStep {
  return { title, commands, note };
}

function look({ id }: MigrationDefinition): DeploymentStep {
  return step('Look', [`reembed doctor --migration ${id}`], 'reads only; goes on when nothing stands in the way');
}

function oneDeploy({ target }: MigrationDefinition): DeploymentStep[] {
  return [
    step(
      `Deploy: 005_add_${target}, 006_backfill_${target}, 007_swap_embedding`,
      ['npx knex migrate:latest'],
      'the application that goes with it asks for the active model or uses the new one: from 007 on the old dimension fails',
    ),
  ];
}

function twoDeploys({ id, target }: MigrationDefinition): DeploymentStep[] {
  return [
    step(`Deploy N ships 005_add_${target}`, ['npx knex migrate:latest'], 'the application does not change'),
    step(
      'Beside the application',
      [`reembed backfill --migration ${id}`, `reembed status --migration ${id}`],
      'may be stopped and started again at any moment; searches go on with the old vectors',
    ),
    step(
      `Deploy N+1 ships 006_backfill_${target} and 007_swap_embedding`,
      ['npx knex migrate:latest'],
      '006 finds nothing left but what was written meanwhile; from 007 on the application uses the new model',
    ),
  ];
}

function afterwards({ id, oldColumn, retentionDays }: MigrationDefinition): DeploymentStep[] {
  const verify = step('Verify', [`reembed verify --migration ${id}`], 'recounts, and embeds 200 random rows again');
  if (oldColumn === 'drop') return [verify];
  return [
    verify,
    step(
      `After ${retentionDays} ${plural(retentionDays, 'day')}`,
      [`reembed finalize --migration ${id}`],
      'drops the old column after a backup; until then "reembed rollback" exchanges back',
    ),
    step(
      'When it suits',
      ['VACUUM FULL'],
      "or a repack of the table: gives the old vectors' room back; VACUUM FULL locks the table for as long as it takes",
    ),
  ];
}
