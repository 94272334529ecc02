import { stat } from 'node:fs/promises';
import type { RuntimeSettings } from '../../config/types.ts';
import { ModelError, messageOf } from '../../errors.ts';
import type { DoctorReport } from '../../inspect/doctor.ts';
import type { MigrationContext } from '../../state/context.ts';
import { defineCommand, migrationFlags } from '../command.ts';
import { withMigration } from '../with-migration.ts';

/** `reembed doctor`: all that stands in the migration's way, and what deserves a look. Changes nothing. */
export const doctor = defineCommand({
  usage: 'doctor',
  describe: 'What stands in the way, and what deserves a look',
  flags: migrationFlags,
  run: async (flags, cli) => {
    const { doctor: examine } = await import('../../inspect/doctor.ts');
    const report = await withMigration(flags, cli, (ctx, { overriddenBy }) =>
      examine(ctx, { overriddenBy, checkModel: () => checkModel(ctx) }),
    );
    cli.output.result(report, describe(report));
    return report.ok ? 0 : 1;
  },
});

/** The model's files, without loading them. */
async function checkModel({ definition, runtime }: MigrationContext): Promise<void> {
  const { provider, model } = definition;
  if (provider === 'local') await checkLocal(model, runtime);
  if (provider !== 'file') return;
  await stat(model).catch((cause: unknown) => {
    throw new ModelError('vectors_missing', `The vectors ${model} cannot be read: ${messageOf(cause)}.`, {
      hint: 'Put the file there, or name another one as the model.',
      cause,
    });
  });
}

async function checkLocal(model: string, { dtype, modelsDir }: RuntimeSettings): Promise<void> {
  const { verifyModel } = await import('../../models/list-models.ts');
  await verifyModel(model, { dtype, modelsDir });
}

function describe({ findings, postgres, pgvector, migration, ok }: DoctorReport): string {
  const lines = findings.map(({ severity, message, hint }) => {
    const label = severity === 'error' ? 'ERROR' : 'warn ';
    return `${label}  ${message}${hint === '' ? '' : `\n       ${hint}`}`;
  });
  const server = `Postgres ${postgres ?? 'unknown'}, pgvector ${pgvector ?? 'unknown'}`;
  const verdict = ok ? `Nothing stands in the way of ${migration}` : `${migration} cannot run yet`;
  return [...lines, `${verdict} (${server}).`].join('\n');
}
