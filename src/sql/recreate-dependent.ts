import { quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';
import { type PrivilegeFacts, privilegesSql } from './recreate-view.ts';

/** How something goes and comes back; without a `drop` no form is known, and a person has to see to it. */
export interface Recreation {
  readonly drop: string | undefined;
  readonly create: readonly string[];
}

interface OnTable {
  readonly schema: string;
  readonly table: string;
  readonly name: string;
  readonly comment: string | null;
}

export interface RuleOrTriggerFacts extends OnTable {
  /** `CREATE RULE …`, `CREATE TRIGGER …`. */
  readonly definition: string;
  /** `O` as usual, `D` disabled, `R` on replicas, `A` always. */
  readonly enabled: string;
}

const ENABLED: Readonly<Record<string, string>> = { D: 'DISABLE', R: 'ENABLE REPLICA', A: 'ENABLE ALWAYS' };

export function recreateRuleOrTrigger(kind: 'RULE' | 'TRIGGER', facts: RuleOrTriggerFacts): Recreation {
  const table = quoteQualified(facts.schema, facts.table);
  const name = quoteIdentifier(facts.name);
  const mode = ENABLED[facts.enabled];
  return {
    drop: `DROP ${kind} ${name} ON ${table}`,
    create: [
      facts.definition,
      ...(mode === undefined ? [] : [`ALTER TABLE ${table} ${mode} ${kind} ${name}`]),
      ...commentSql(`${kind} ${name} ON ${table}`, facts.comment),
    ],
  };
}

export interface GeneratedFacts extends OnTable {
  readonly type: string;
  /** Qualified and quoted; null for the type's own. */
  readonly collation: string | null;
  readonly expression: string;
  readonly virtual: boolean;
  readonly notNull: boolean;
  readonly privileges: readonly PrivilegeFacts[];
  /** Indexes and constraints that go with the column. */
  readonly others: readonly string[];
}

export function recreateGenerated(facts: GeneratedFacts): Recreation {
  const table = quoteQualified(facts.schema, facts.table);
  const name = quoteIdentifier(facts.name);
  const collation = facts.collation === null ? '' : ` COLLATE ${facts.collation}`;
  const kept = `${facts.virtual ? 'VIRTUAL' : 'STORED'}${facts.notNull ? ' NOT NULL' : ''}`;
  return {
    drop: `ALTER TABLE ${table} DROP COLUMN ${name}`,
    create: [
      `ALTER TABLE ${table} ADD COLUMN ${name} ${facts.type}${collation} GENERATED ALWAYS AS (${facts.expression}) ${kept}`,
      ...commentSql(`COLUMN ${table}.${name}`, facts.comment),
      ...privilegesSql(`TABLE ${table}`, { ...facts, owner: '', hasPrivileges: false, defaultGrantees: [] }),
      ...facts.others,
    ],
  };
}

export interface PolicyFacts extends OnTable {
  readonly permissive: boolean;
  /** As in pg_policy: `r` SELECT, `a` INSERT, `w` UPDATE, `d` DELETE, `*` all. */
  readonly command: string;
  /** Null is PUBLIC. */
  readonly roles: readonly (string | null)[];
  readonly using: string | null;
  readonly check: string | null;
}

const COMMANDS: Readonly<Record<string, string>> = { r: 'SELECT', a: 'INSERT', w: 'UPDATE', d: 'DELETE' };

export function recreatePolicy(facts: PolicyFacts): Recreation {
  const on = `${quoteIdentifier(facts.name)} ON ${quoteQualified(facts.schema, facts.table)}`;
  const roles = facts.roles.map((role) => (role === null ? 'PUBLIC' : quoteIdentifier(role))).join(', ');
  const parts = [
    `CREATE POLICY ${on} AS ${facts.permissive ? 'PERMISSIVE' : 'RESTRICTIVE'} FOR ${COMMANDS[facts.command] ?? 'ALL'} TO ${roles}`,
    ...(facts.using === null ? [] : [`USING (${facts.using})`]),
    ...(facts.check === null ? [] : [`WITH CHECK (${facts.check})`]),
  ];
  return { drop: `DROP POLICY ${on}`, create: [parts.join(' '), ...commentSql(`POLICY ${on}`, facts.comment)] };
}

export interface PublicationFacts extends OnTable {
  /** Null publishes every column. */
  readonly columns: readonly string[] | null;
  readonly where: string | null;
}

/** Only the table leaves the publication; what else it publishes goes on. */
export function recreatePublication(facts: PublicationFacts): Recreation {
  const table = quoteQualified(facts.schema, facts.table);
  const publication = `ALTER PUBLICATION ${quoteIdentifier(facts.name)}`;
  const columns = facts.columns === null ? '' : ` (${facts.columns.map(quoteIdentifier).join(', ')})`;
  const where = facts.where === null ? '' : ` WHERE (${facts.where})`;
  return {
    drop: `${publication} DROP TABLE ${table}`,
    create: [`${publication} ADD TABLE ${table}${columns}${where}`],
  };
}

export interface FunctionFacts {
  readonly kind: 'FUNCTION' | 'PROCEDURE';
  /** Qualified and quoted, with its argument types. */
  readonly signature: string;
  readonly definition: string;
  readonly owner: string;
  readonly privileges: readonly PrivilegeFacts[];
  readonly hasPrivileges: boolean;
  readonly comment: string | null;
}

export function recreateFunction(facts: FunctionFacts): Recreation {
  const name = `${facts.kind} ${facts.signature}`;
  return {
    drop: `DROP ${name}`,
    create: [
      facts.definition,
      ...commentSql(name, facts.comment),
      `ALTER ${name} OWNER TO ${quoteIdentifier(facts.owner)}`,
      ...privilegesSql(name, { ...facts, defaultGrantees: [] }),
    ],
  };
}

function commentSql(on: string, comment: string | null): string[] {
  return comment === null ? [] : [`COMMENT ON ${on} IS ${quoteLiteral(comment)}`];
}

/**
 * What an operator runs before the swap and after it, each part in a transaction of its own: the first takes dependents away, deepest
 * first, the second makes them again.
 */
export function dependentsScript(
  dependents: readonly (Recreation & { readonly kind: string; readonly name: string })[],
  part: 'before' | 'after',
): string {
  const ordered = part === 'before' ? dependents.toReversed() : dependents;
  const statements = ordered.flatMap(({ kind, name, drop, create }) => {
    const title = `-- ${kind} ${name}`.replaceAll(/[\r\n]/g, ' ');
    if (drop === undefined) return [`${title}: reembed does not know how this is made; see to it yourself`];
    return [title, ...(part === 'before' ? [drop] : create).map((statement) => `${statement};`)];
  });
  return ['BEGIN;', 'SET LOCAL search_path = pg_catalog;', ...statements, 'COMMIT;', ''].join('\n');
}
