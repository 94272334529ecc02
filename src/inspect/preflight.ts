import { readTable, readVectorExtension } from '../db/catalog.ts';
import type { TableInfo, VectorExtension } from '../db/catalog-types.ts';
import { SQLSTATE, sqlStateOf } from '../db/sqlstate.ts';
import { PreflightError } from '../errors.ts';
import type { TextSource } from '../sql/text-source.ts';
import type { MigrationContext } from '../state/context.ts';
import { readTextOnce } from '../state/read-text.ts';
import type { MigrationRecord } from '../state/records.ts';
import { factsOfTable, readServer, type ServerFacts, type TableFacts } from './facts.ts';
import { errorFinding, type Finding, findingOf, refuseErrors } from './finding.ts';
import { columnFindings } from './preflight-columns.ts';
import { nameFindings } from './preflight-names.ts';
import { rightsFindings } from './preflight-rights.ts';
import { surroundingsFindings } from './preflight-surroundings.ts';
import { tableFindings } from './preflight-table.ts';
import { readRecords } from './read-records.ts';

export interface PreflightReport {
  readonly migration: string;
  readonly ok: boolean;
  /** Errors first. */
  readonly findings: readonly Finding[];
  readonly server: ServerFacts;
  readonly extension: VectorExtension | undefined;
  /** The text, as far as it could be read. */
  readonly text: TextSource | undefined;
  /** Undefined when the table or the extension is not there. */
  readonly facts: TableFacts | undefined;
}

/**
 * Looks at everything that could stop a migration later, before anything is changed or paid for. Reads only; collects all
 * findings instead of stopping at the first.
 */
export async function preflight(ctx: MigrationContext): Promise<PreflightReport> {
  const server = await readServer(ctx.db);
  const findings: Finding[] = serverFindings(server);
  const extension = await collect(findings, () => readVectorExtension(ctx.db));
  const table = await collect(findings, () => readTable(ctx.db, ctx.definition.table));
  findings.push(...(await rightsFindings(ctx, table)));
  let facts: TableFacts | undefined;
  let text: TextSource | undefined;
  if (table !== undefined) {
    const records = (await readRecords(ctx)).filter((record) => record.tableOid === table.oid);
    findings.push(...(await tableFindings(ctx.db, table)));
    text = await textOf(ctx, table, server, records, findings);
    findings.push(...columnFindings(ctx.definition, table, extension, server, records));
    findings.push(...nameFindings(ctx.definition, table, records));
    findings.push(...(await surroundingsFindings(ctx, table, records)));
    // Rows of another server are not counted.
    const readable = findings.every(({ code }) => code !== 'foreign_partition');
    if (extension !== undefined && readable) facts = await readFactsOrNothing(ctx, table, extension, server, findings);
  }
  const errors = findings.filter((finding) => finding.severity === 'error');
  const warnings = findings.filter((finding) => finding.severity === 'warning');
  return {
    migration: ctx.definition.id,
    ok: errors.length === 0,
    findings: [...errors, ...warnings],
    server,
    extension,
    text,
    facts,
  };
}

/** @throws PreflightError with all that stands in the way; warnings pass */
export function assertPreflight(report: PreflightReport): void {
  refuseErrors(report.findings, report.migration, 'expand');
}

/** On a server that takes no writes nothing new can be read; findings of their own say that it is one. */
async function textOf(
  ctx: MigrationContext,
  table: TableInfo,
  server: ServerFacts,
  records: readonly MigrationRecord[],
  findings: Finding[],
): Promise<TextSource | undefined> {
  const { id, text } = ctx.definition;
  if (typeof text === 'string') return table.columns.some((column) => column.name === text) ? text : undefined;
  const record = records.find((candidate) => candidate.id === id);
  if (server.standby || server.readOnly) return record?.textExpression ?? undefined;
  try {
    return await readTextOnce(ctx, table, record);
  } catch (error) {
    // A role that may not read the table is told so elsewhere.
    if (error instanceof PreflightError) findings.push(findingOf(error));
    else if (sqlStateOf(error) !== SQLSTATE.insufficientPrivilege) throw error;
    return undefined;
  }
}

function serverFindings(server: ServerFacts): Finding[] {
  const findings: Finding[] = [];
  if (server.versionNumber < 130_000) {
    findings.push(
      errorFinding(
        'postgres_too_old',
        `This is Postgres ${server.version}, 13 or newer is needed.`,
        'Upgrade Postgres.',
      ),
    );
  }
  if (server.standby) {
    findings.push(
      errorFinding(
        'standby',
        'This server is a standby (in recovery), which cannot be written to.',
        'Point DATABASE_URL at the primary.',
      ),
    );
  } else if (server.readOnly) {
    findings.push(
      errorFinding(
        'read_only',
        `Transactions of the role "${server.role}" are read-only here (default_transaction_read_only is on).`,
        `Run "ALTER ROLE … SET default_transaction_read_only = off", or use a role that may write.`,
      ),
    );
  }
  return findings;
}

async function collect<T>(findings: Finding[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (sqlStateOf(error) === SQLSTATE.insufficientPrivilege) {
      findings.push(
        errorFinding('catalog_denied', `${(error as Error).message}.`, 'GRANT USAGE on the schema to this role.'),
      );
    } else {
      findings.push(findingOf(error));
    }
    return undefined;
  }
}

async function readFactsOrNothing(
  ctx: MigrationContext,
  table: TableInfo,
  extension: VectorExtension,
  server: ServerFacts,
  findings: Finding[],
): Promise<TableFacts | undefined> {
  try {
    return await factsOfTable(ctx, table, extension, server);
  } catch (error) {
    if (sqlStateOf(error) !== SQLSTATE.insufficientPrivilege) throw error;
    findings.push(
      errorFinding(
        'select_denied',
        `This role may not read "${table.schema}.${table.name}": ${(error as Error).message}.`,
        `Run reembed as the owner of the table, "${table.owner}".`,
      ),
    );
    return undefined;
  }
}
