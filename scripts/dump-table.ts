// The first step of switch-to-bge-small: pg_dump of the table that reembed.config.ts names, when both are there.
//   npx tsx scripts/dump-table.ts
// BACKUP=none leaves it out, BACKUP_DIR names another directory. Exits with 1 when pg_dump fails, with 2 on a wrong setting.
import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isEmbedded, serverSettings } from '../src/config/database-settings.ts';
import { loadEnvironment } from '../src/config/load-environment.ts';
import { loadRuntimeSettings } from '../src/config/runtime.ts';
import type { QualifiedName, RuntimeSettings } from '../src/config/types.ts';
import { ReembedError } from '../src/errors.ts';
import { quoteIdentifier, quoteQualified } from '../src/sql/identifiers.ts';

const KEPT = 'reembed keeps the old column';
/** Parameters of a URL that libpq also takes from the environment. */
const PARAMETERS = {
  host: 'PGHOST',
  port: 'PGPORT',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  options: 'PGOPTIONS',
} as const;

/** The connection as libpq's variables: a URL among the arguments would show the password in the list of processes. */
function libpqVariables(connectionString: string): Record<string, string> {
  const url = new URL(connectionString);
  const variables: Record<string, string> = {
    PGHOST: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    PGPORT: url.port,
    PGUSER: decodeURIComponent(url.username),
    PGPASSWORD: decodeURIComponent(url.password),
    PGDATABASE: decodeURIComponent(url.pathname.slice(1)),
  };
  for (const [parameter, variable] of Object.entries(PARAMETERS)) {
    const value = url.searchParams.get(parameter);
    // A word of node-postgres; libpq's `require` is the same.
    if (value !== null) variables[variable] = value === 'no-verify' ? 'require' : value;
  }
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

/** A quoted name is taken as it is stored; in a bare one pg_dump folds the case and reads `*`, `?` and `|` as wildcards. */
function tablePattern({ schema, name }: QualifiedName): string {
  return schema === undefined ? quoteIdentifier(name) : quoteQualified(schema, name);
}

function shown({ schema, name }: QualifiedName): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

function dumpTable(table: QualifiedName, connectionString: string, directory: string): 0 | 1 {
  process.umask(0o077);
  mkdirSync(directory, { recursive: true });
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const file = join(directory, `${shown(table).replace(/[^\w.-]/g, '_')}-${stamp}.dump`);
  // Written under another name first: a broken dump is never mistaken for a backup.
  const part = `${file}.part`;
  const { error, status, stderr } = spawnSync(
    'pg_dump',
    ['--format=custom', `--table=${tablePattern(table)}`, `--file=${part}`],
    // LC_ALL: one of its messages is looked for below.
    { env: { ...process.env, ...libpqVariables(connectionString), LC_ALL: 'C' }, encoding: 'utf8' },
  );
  if (error === undefined && status === 0) {
    renameSync(part, file);
    console.log(`    ${file}`);
    return 0;
  }
  rmSync(part, { force: true });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT')
    return skip(`pg_dump is not installed; ${KEPT}`);
  if (stderr.includes('no matching tables')) return skip(`there is no table ${shown(table)} yet`);
  console.error(`${stderr || error?.message || `It ended with ${status}.`}`.trimEnd());
  console.error(`pg_dump failed, and nothing was changed. Mend it, or set BACKUP=none: ${KEPT} in any case.`);
  return 1;
}

function skip(reason: string): 0 {
  console.log(`    skipped: ${reason}`);
  return 0;
}

async function backUp(runtime: RuntimeSettings): Promise<0 | 1> {
  const { default: migration } = await import('../reembed.config.ts');
  console.log(`1/4 backup of ${shown(migration.table)}`);
  // Asked first: a database must be named, whatever becomes of the backup.
  const embedded = isEmbedded(runtime);
  if (process.env.BACKUP === 'none') return skip(`BACKUP=none; ${KEPT}`);
  if (embedded) return skip(`pg_dump cannot reach the embedded database; ${KEPT}`);
  const { connectionString } = serverSettings(runtime);
  return dumpTable(migration.table, connectionString, process.env.BACKUP_DIR || runtime.backupDir);
}

try {
  loadEnvironment();
  process.exitCode = await backUp(loadRuntimeSettings());
} catch (error) {
  if (!(error instanceof ReembedError)) throw error;
  console.error(error.hint === undefined ? error.message : `${error.message}\n${error.hint}`);
  process.exitCode = 2;
}
