import type { TableInfo } from '../db/catalog-types.ts';
import { shownIdentifier } from '../sql/identifiers.ts';
import { tableTreeSql } from '../sql/relation-size.ts';
import type { MigrationContext } from '../state/context.ts';
import { rowsAreHidden } from './facts.ts';
import { errorFinding, type Finding } from './finding.ts';

interface Rights {
  readonly role: string;
  readonly mayCreateSchema: boolean;
  readonly stateSchema: boolean;
  readonly mayUseState: boolean;
  readonly mayCreateInState: boolean;
  readonly mayReadState: boolean;
}

/** Whether this role may change the table, make indexes in its schema and keep the state. */
export async function rightsFindings(ctx: MigrationContext, table: TableInfo | undefined): Promise<Finding[]> {
  return [...(await stateFindings(ctx)), ...(table === undefined ? [] : await tableRights(ctx, table))];
}

async function stateFindings(ctx: MigrationContext): Promise<Finding[]> {
  const { stateSchema } = ctx.runtime;
  const { rows } = await ctx.db.query<Rights>(
    `SELECT current_user::text AS role,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "mayCreateSchema",
       n.oid IS NOT NULL AS "stateSchema",
       COALESCE(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) AS "mayUseState",
       COALESCE(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false) AS "mayCreateInState",
       COALESCE((SELECT pg_catalog.has_table_privilege(c.oid, 'INSERT') AND pg_catalog.has_table_privilege(c.oid, 'UPDATE')
         FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relname = 'migrations'), true) AS "mayReadState"
     FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = $1`,
    [stateSchema],
  );
  const rights = rows[0];
  if (rights === undefined) return [];
  const grant = `"CREATE SCHEMA ${shownIdentifier(stateSchema)} AUTHORIZATION ${shownIdentifier(rights.role)};"`;
  if (!rights.stateSchema) {
    if (rights.mayCreateSchema) return [];
    return [
      errorFinding(
        'state_schema_denied',
        `The role "${rights.role}" may not create the schema "${stateSchema}" for reembed's state.`,
        `Have ${grant} run once, or set REEMBED_STATE_SCHEMA to a schema that the role owns.`,
      ),
    ];
  }
  if (rights.mayUseState && rights.mayCreateInState && rights.mayReadState) return [];
  return [
    errorFinding(
      'state_schema_denied',
      `The role "${rights.role}" may not write reembed's state in the schema "${stateSchema}".`,
      'Use the role that made it, or set REEMBED_STATE_SCHEMA to a schema that this role owns.',
    ),
  ];
}

interface TableRights {
  readonly role: string;
  readonly schema: string;
  readonly name: string;
  readonly owner: string;
  readonly owns: boolean;
  readonly mayCreate: boolean;
}

/** Of the table and, where it has them, its partitions, which may belong to others and lie elsewhere. */
async function tableRights(ctx: MigrationContext, table: TableInfo): Promise<Finding[]> {
  const { rows } = await ctx.db.query<TableRights>(
    `SELECT current_user::text AS role, (SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE n.oid = c.relnamespace) AS schema, c.relname AS name,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner, pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owns,
       pg_catalog.has_schema_privilege(c.relnamespace, 'CREATE') AS "mayCreate"
     FROM pg_catalog.pg_class c WHERE c.oid IN ${tableTreeSql('$1::oid')} ORDER BY c.oid <> $1, 2, 3`,
    [table.oid],
  );
  const role = rows[0]?.role;
  if (role === undefined) return [];
  const closed = new Set(rows.filter((row) => !row.mayCreate).map((row) => row.schema));
  const findings = [
    ...rows.filter((row) => !row.owns).map(notOwner),
    ...[...closed].map((schema) => schemaDenied(schema, role)),
  ];
  if (await rowsAreHidden(ctx.db, table.oid)) findings.push(rowSecurity(table, role));
  return findings;
}

function notOwner({ role, schema, name, owner }: TableRights): Finding {
  return errorFinding(
    'not_owner',
    `The role "${role}" may not alter "${schema}.${name}", which belongs to "${owner}".`,
    `Connect as "${owner}", or run "GRANT ${shownIdentifier(owner)} TO ${shownIdentifier(role)};".`,
  );
}

function schemaDenied(schema: string, role: string): Finding {
  return errorFinding(
    'schema_create_denied',
    `The role "${role}" may not create indexes in the schema "${schema}".`,
    `Run "GRANT CREATE ON SCHEMA ${shownIdentifier(schema)} TO ${shownIdentifier(role)};".`,
  );
}

function rowSecurity(table: TableInfo, role: string): Finding {
  const forced = table.rowSecurity.forced ? ' and forced for its owner' : '';
  return errorFinding(
    'row_security',
    `Row security is enabled on "${table.schema}.${table.name}"${forced}: the role "${role}" would not see every row.`,
    `Use a role with BYPASSRLS${table.rowSecurity.forced ? ', or run "ALTER TABLE … NO FORCE ROW LEVEL SECURITY" for the migration' : ' or the owner'}.`,
  );
}
