import type { Queryable } from '../db/types.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { CHECK_NAMES, type CheckName } from './catalogue.ts';
import { lookAtAdaptedRows } from './doctor/adapted-rows.ts';
import { lookAtBuildMemory } from './doctor/build-memory.ts';
import { lookAtCuda } from './doctor/cuda.ts';
import { lookAtDiskSpace } from './doctor/disk-space.ts';
import { lookAtIndexUse } from './doctor/index-use.ts';
import { lookAtIndexes } from './doctor/indexes.ts';
import { lookAtPgvector } from './doctor/known-defects.ts';
import { type Examined, type Look, lookAtDatabase, seen } from './doctor/look.ts';
import { lookAtModelFiles } from './doctor/model-files.ts';
import { lookAtModels } from './doctor/models.ts';
import { preflightLooks } from './doctor/preflight-looks.ts';
import { lookAtProjections } from './doctor/projections.ts';
import { lookAtProvider, providerNotAsked } from './doctor/provider.ts';
import { lookAtReplication } from './doctor/replication.ts';
import { lookAtReranker } from './doctor/reranker.ts';
import { lookAtSharedMemory } from './doctor/shared-memory.ts';
import { lookAtState } from './doctor/state.ts';
import { lookAtStoredVectors } from './doctor/stored-vectors.ts';
import { lookAtTextLengths } from './doctor/text-lengths.ts';
import { lookAtTexts } from './doctor/texts.ts';
import { lookAtVectorColumns } from './doctor/vector-columns.ts';
import type { TableFacts } from './facts.ts';
import { type Finding, warningFinding } from './finding.ts';
import { preflight } from './preflight.ts';
import { readRecords } from './read-records.ts';
import { reconcile } from './reconcile.ts';

export interface DoctorOptions {
  /** Looks at every row instead of a sample. */
  readonly full?: boolean;
  /** Chooses the sample; drawn and reported when not given. */
  readonly seed?: number;
  /** False leaves the provider alone: no model is loaded, nobody is asked over the network. */
  readonly probe?: boolean;
  /** Variables of the environment that override `reembed.config.ts` at present. */
  readonly overriddenBy?: readonly string[];
}

/** One thing that was looked at. */
export interface DoctorCheck {
  readonly name: CheckName;
  /** `unknown` is not `ok`: it could not be looked at. */
  readonly result: 'ok' | 'found' | 'unknown';
  /** What was observed, or why nothing could be. */
  readonly detail: string;
}

export interface DoctorReport {
  readonly migration: string;
  /** False when a finding is an error. */
  readonly ok: boolean;
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** What is offered: nothing that is wrong. */
  readonly notes: readonly Finding[];
  /** All of them, in order; those that found something and those that could not be made as well. */
  readonly checks: readonly DoctorCheck[];
  readonly full: boolean;
  readonly seed: number;
  readonly postgres: string;
  readonly pgvector: string | undefined;
  readonly facts: TableFacts | undefined;
}

/**
 * All that stands in a migration's way or deserves a look: what 005 checks, and more of the server, the vectors, the texts, the indexes,
 * the machine and the model. Reads only, in read-only transactions; a sample of the rows unless `full`. Asks the provider for one short text.
 */
export async function doctor(ctx: MigrationContext, options: DoctorOptions = {}): Promise<DoctorReport> {
  const { full = false, seed = Math.floor(Math.random() * 2 ** 31), probe = true } = options;
  const report = await preflight(ctx);
  const { facts } = report;
  const records = await readRecords(ctx);
  const record = facts && reconcile(ctx.definition, facts.table, records).record;
  throwIfStopped(ctx, 'inspect');
  const looks = preflightLooks(report, record?.active === 'new');
  const files = await lookAtModelFiles(ctx);
  looks.set('model files', files);
  const provider =
    probe && files.findings.length === 0
      ? await lookAtProvider(ctx, record)
      : providerNotAsked(probe ? 'its files are not usable' : '--no-probe');
  looks.set('provider', provider.look);
  looks.set('reranker', await lookAtReranker(ctx, probe));
  looks.set('cuda', await lookAtCuda(ctx));
  looks.set('environment', environmentLook(options));
  if (facts !== undefined) {
    const { table, extension } = facts;
    const examined: Examined = { ctx, facts, table, extension, record, records, text: report.text, full, seed };
    looks.set('projections', await lookAtProjections(examined));
    for (const [name, look] of databaseLooks(provider.maxTokens)) {
      throwIfStopped(ctx, 'inspect');
      const found = await lookAtDatabase(ctx.db, full, async (tx) => look(examined, tx));
      looks.set(name, { ...found, findings: [...(looks.get(name)?.findings ?? []), ...found.findings] });
    }
  }
  const versions = { postgres: report.server.version, pgvector: report.extension?.version };
  return { migration: report.migration, ...conclude(looks), full, seed, ...versions, facts };
}

type DatabaseLook = (examined: Examined, tx: Queryable) => Look | Promise<Look>;

function databaseLooks(maxTokens: number | undefined): readonly (readonly [CheckName, DatabaseLook])[] {
  return [
    ['pgvector', lookAtPgvector],
    ['models', lookAtModels],
    ['vector columns', lookAtVectorColumns],
    ['stored vectors', lookAtStoredVectors],
    ['adapted rows', lookAtAdaptedRows],
    ['texts', lookAtTexts],
    ['text lengths', (examined, tx) => lookAtTextLengths(examined, tx, maxTokens)],
    ['indexes', lookAtIndexes],
    ['index use', lookAtIndexUse],
    ['disk space', lookAtDiskSpace],
    ['build memory', lookAtBuildMemory],
    ['shared memory', lookAtSharedMemory],
    ['replication', lookAtReplication],
    ['state', lookAtState],
  ];
}

function environmentLook({ overriddenBy = [] }: DoctorOptions): Look {
  if (overriddenBy.length === 0) return seen('nothing overrides reembed.config.ts');
  return seen(overriddenBy.join(', '), [
    warningFinding(
      'environment_overrides',
      `The environment overrides reembed.config.ts: ${overriddenBy.join(', ')}.`,
      'Unset them where the pinned migration is meant.',
    ),
  ]);
}

function conclude(looks: ReadonlyMap<CheckName, Look>): Pick<DoctorReport, 'ok' | 'findings' | 'notes' | 'checks'> {
  const all = CHECK_NAMES.flatMap((name) => looks.get(name)?.findings ?? []);
  const errors = all.filter((finding) => finding.severity === 'error');
  const warnings = all.filter((finding) => finding.severity === 'warning');
  return {
    ok: errors.length === 0,
    findings: [...errors, ...warnings],
    notes: all.filter((finding) => finding.severity === 'note'),
    checks: CHECK_NAMES.map((name) => checkFor(name, looks.get(name))),
  };
}

function checkFor(name: CheckName, look: Look | undefined): DoctorCheck {
  if (look === undefined) return { name, result: 'unknown', detail: 'it was not looked at' };
  const detail = 'unknown' in look ? look.unknown : look.detail;
  if (look.findings.some(({ severity }) => severity !== 'note')) return { name, result: 'found', detail };
  return { name, result: 'unknown' in look ? 'unknown' : 'ok', detail };
}
