import { messageOf, ReembedError } from '../errors.ts';
import { type MigrationContext, throwIfStopped } from '../state/context.ts';
import { describeLease } from '../state/lease.ts';
import { listQuarantine } from '../state/quarantine.ts';
import { findRecord } from '../state/resolve.ts';
import { annIndexesOn, type TableFacts } from './facts.ts';
import { errorFinding, type Finding, warningFinding } from './finding.ts';
import { readOtherVectorColumns } from './other-vector-columns.ts';
import { preflight } from './preflight.ts';
import { readWorkingLease } from './working-lease.ts';

export interface DoctorOptions {
  /** Looks at the model's files without loading the model, and throws when something is wrong with them. */
  readonly checkModel?: () => Promise<void>;
  /** Variables of the environment that override `reembed.config.ts` at present. */
  readonly overriddenBy?: readonly string[];
}

export interface DoctorReport {
  readonly migration: string;
  readonly ok: boolean;
  /** Errors first. */
  readonly findings: readonly Finding[];
  readonly postgres: string | undefined;
  readonly pgvector: string | undefined;
  readonly facts: TableFacts | undefined;
}

/**
 * All that stands in a migration's way or deserves a look: what 005 checks, and the state of indexes, quarantine, lease, model files
 * and environment. Reads only.
 */
export async function doctor(ctx: MigrationContext, options: DoctorOptions = {}): Promise<DoctorReport> {
  const report = await preflight(ctx);
  throwIfStopped(ctx, 'inspect');
  const { facts } = report;
  const more = [
    ...(facts === undefined ? [] : indexFindings(ctx, facts)),
    ...(facts === undefined ? [] : await dimensionFindings(ctx, facts)),
    ...(await stateFindings(ctx, report.findings)),
    ...(await modelFindings(options)),
    ...environmentFindings(options),
  ];
  const all = [...report.findings, ...more];
  const errors = all.filter((finding) => finding.severity === 'error');
  return {
    migration: report.migration,
    ok: errors.length === 0,
    findings: [...errors, ...all.filter((finding) => finding.severity === 'warning')],
    postgres: facts?.server.version,
    pgvector: facts?.extension.version,
    facts,
  };
}

function indexFindings(ctx: MigrationContext, facts: TableFacts): Finding[] {
  const { definition } = ctx;
  const invalid = facts.table.indexes
    .filter((index) => !index.valid)
    .map((index) =>
      warningFinding(
        'index_invalid',
        `Index "${index.schema}.${index.name}" is INVALID: a build of it was interrupted, or is going on.`,
        `When nothing builds it: DROP INDEX CONCURRENTLY "${index.schema}"."${index.name}".`,
      ),
    );
  const wanted = definition.index.distance;
  const columns = [definition.column, definition.target];
  const mismatched = columns
    .flatMap((column) => annIndexesOn(facts.table, column))
    .filter((index) => wanted !== undefined && index.distance !== wanted)
    .map((index) =>
      warningFinding(
        'distance_mismatch',
        `Index "${index.name}" is for ${index.distance ?? 'another distance'}, the configuration asks for ${wanted}: queries with one do not use an index of the other.`,
        'Set index.distance (or REEMBED_DISTANCE) to what the application queries with.',
      ),
    );
  return [...invalid, ...mismatched];
}

/** Vectors of the old size elsewhere are often of the old model, and are compared with these. */
async function dimensionFindings(ctx: MigrationContext, facts: TableFacts): Promise<Finding[]> {
  if (facts.oldDimensions === undefined || facts.oldDimensions === ctx.definition.dimensions) return [];
  const others = await readOtherVectorColumns(ctx.db, facts.table.oid, ctx.definition.column, facts.oldDimensions);
  if (others.length === 0) return [];
  return [
    warningFinding(
      'same_dimensions',
      `Other columns have ${facts.oldDimensions} dimensions too: ${others.join(', ')}.`,
      'If the application compares them with this one, they need a migration of their own.',
    ),
  ];
}

async function stateFindings(ctx: MigrationContext, seen: readonly Finding[]): Promise<Finding[]> {
  if (seen.some((finding) => finding.code === 'state_schema_denied')) return [];
  const record = await findRecord(ctx);
  if (record === undefined) return [];
  const { stateSchema } = ctx.runtime;
  const findings: Finding[] = [];
  const lease = await readWorkingLease(ctx.db, stateSchema, record.id);
  if (lease?.expired === true) {
    findings.push(
      warningFinding(
        'lease_expired',
        `A process ended without giving back its lease: ${describeLease(lease)}.`,
        'Nothing is to be done: the next run takes over where it stopped.',
      ),
    );
  }
  const quarantined = await listQuarantine(ctx.db, stateSchema, record.id);
  const [first] = quarantined;
  if (first !== undefined) {
    const count = quarantined.length === 100 ? '100 or more rows' : `${quarantined.length} row(s)`;
    findings.push(
      warningFinding(
        'quarantine',
        `${count} could not be embedded, e.g. ${first.key.join(', ')}: ${first.reason}.`,
        `Correct their text and run "reembed backfill", or let 007 go on with REEMBED_MAX_QUARANTINED.`,
      ),
    );
  }
  return findings;
}

async function modelFindings(options: DoctorOptions): Promise<Finding[]> {
  try {
    await options.checkModel?.();
    return [];
  } catch (error) {
    const hint = error instanceof ReembedError ? (error.hint ?? '') : 'Run "reembed model verify".';
    return [errorFinding(error instanceof ReembedError ? error.code : 'model_unusable', messageOf(error), hint)];
  }
}

function environmentFindings({ overriddenBy = [] }: DoctorOptions): Finding[] {
  if (overriddenBy.length === 0) return [];
  return [
    warningFinding(
      'environment_overrides',
      `The environment overrides reembed.config.ts: ${overriddenBy.join(', ')}.`,
      'Unset them where the pinned migration is meant.',
    ),
  ];
}
