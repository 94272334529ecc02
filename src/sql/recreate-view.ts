import { quoteIdentifier, quoteLiteral, quoteQualified } from './identifiers.ts';

export interface PrivilegeFacts {
  /** Null is PUBLIC. */
  readonly grantee: string | null;
  readonly privilege: string;
  readonly grantable: boolean;
  /** Of one column; null for the whole. */
  readonly column: string | null;
}

/** All that a view is, as the catalog has it; definitions with every name qualified. */
export interface ViewFacts {
  readonly schema: string;
  readonly name: string;
  readonly materialized: boolean;
  readonly columns: readonly string[];
  /** The query, without a semicolon. */
  readonly query: string;
  /** `name=value`, as in pg_class.reloptions: security_barrier, security_invoker, check_option … */
  readonly options: readonly string[];
  readonly owner: string;
  readonly privileges: readonly PrivilegeFacts[];
  /** Whom ALTER DEFAULT PRIVILEGES would give rights that the view does not give. */
  readonly defaultGrantees: readonly (string | null)[];
  /** False while nobody has granted or revoked anything. */
  readonly hasPrivileges: boolean;
  readonly defaults: readonly { readonly column: string; readonly expression: string }[];
  /** Of the view (`column` null) and of its columns. */
  readonly comments: readonly { readonly column: string | null; readonly text: string }[];
  readonly rules: readonly { readonly name: string; readonly definition: string; readonly comment: string | null }[];
  readonly triggers: readonly { readonly name: string; readonly definition: string; readonly comment: string | null }[];
  /** Of a materialised view: definitions of its indexes and extended statistics. */
  readonly indexes: readonly string[];
  readonly populated: boolean;
  /** Null is the default one. */
  readonly tablespace: string | null;
  readonly accessMethod: string | null;
}

type NamedView = Pick<ViewFacts, 'schema' | 'name' | 'materialized'>;

export function dropViewSql(view: NamedView): string {
  return `DROP ${kindOf(view)} ${nameOf(view)}`;
}

/** The statements that make a view again as it was, in order. */
export function createViewSql(view: ViewFacts): string[] {
  const name = nameOf(view);
  const kind = kindOf(view);
  const options = view.options.map((option) => optionSql(option)).join(', ');
  const create = [
    `CREATE ${kind} ${name} (${view.columns.map(quoteIdentifier).join(', ')})`,
    ...(view.accessMethod === null ? [] : [`USING ${quoteIdentifier(view.accessMethod)}`]),
    ...(options === '' ? [] : [`WITH (${options})`]),
    ...(view.tablespace === null ? [] : [`TABLESPACE ${quoteIdentifier(view.tablespace)}`]),
    `AS ${view.query}`,
    ...(view.materialized ? [view.populated ? 'WITH DATA' : 'WITH NO DATA'] : []),
  ];
  return [
    create.join(' '),
    ...view.indexes,
    ...view.defaults.map(
      ({ column, expression }) =>
        `ALTER VIEW ${name} ALTER COLUMN ${quoteIdentifier(column)} SET DEFAULT ${expression}`,
    ),
    ...view.rules.flatMap((rule) => [rule.definition, ...commentOn('RULE', name, rule)]),
    ...view.triggers.flatMap((trigger) => [trigger.definition, ...commentOn('TRIGGER', name, trigger)]),
    ...view.comments.map(({ column, text }) =>
      column === null
        ? `COMMENT ON ${kind} ${name} IS ${quoteLiteral(text)}`
        : `COMMENT ON COLUMN ${name}.${quoteIdentifier(column)} IS ${quoteLiteral(text)}`,
    ),
    // Last, so that grants are the owner's own.
    `ALTER ${kind} ${name} OWNER TO ${quoteIdentifier(view.owner)}`,
    ...privilegesSql(`TABLE ${name}`, view),
  ];
}

/** Takes away what default privileges gave, then grants what was granted. */
export function privilegesSql(
  object: string,
  facts: Pick<ViewFacts, 'privileges' | 'defaultGrantees' | 'hasPrivileges' | 'owner'>,
): string[] {
  const revoked = new Set([...facts.defaultGrantees, ...(facts.hasPrivileges ? [null, facts.owner] : [])]);
  return [
    ...[...revoked].map((grantee) => `REVOKE ALL ON ${object} FROM ${granteeSql(grantee)}`),
    ...facts.privileges.map(({ grantee, privilege, grantable, column }) => {
      if (!/^[A-Z]+$/.test(privilege)) throw new RangeError(`not a privilege: ${privilege}`);
      const what = column === null ? privilege : `${privilege} (${quoteIdentifier(column)})`;
      return `GRANT ${what} ON ${object} TO ${granteeSql(grantee)}${grantable ? ' WITH GRANT OPTION' : ''}`;
    }),
  ];
}

function granteeSql(grantee: string | null): string {
  return grantee === null ? 'PUBLIC' : quoteIdentifier(grantee);
}

function commentOn(
  kind: string,
  on: string,
  { name, comment }: { readonly name: string; readonly comment: string | null },
): string[] {
  return comment === null ? [] : [`COMMENT ON ${kind} ${quoteIdentifier(name)} ON ${on} IS ${quoteLiteral(comment)}`];
}

function kindOf(view: NamedView): string {
  return view.materialized ? 'MATERIALIZED VIEW' : 'VIEW';
}

function nameOf(view: NamedView): string {
  return quoteQualified(view.schema, view.name);
}

/** `security_barrier=true` as it is written in WITH (…). */
function optionSql(option: string): string {
  const at = option.indexOf('=');
  const name = at < 0 ? option : option.slice(0, at);
  if (!/^[a-z_.]+$/.test(name)) throw new RangeError(`not an option of a view: ${option}`);
  return at < 0 ? name : `${name} = ${quoteLiteral(option.slice(at + 1))}`;
}
