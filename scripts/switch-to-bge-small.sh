#!/usr/bin/env sh
# Moves the table to BAAI/bge-small-en-v1.5 (384 dimensions) in one go: backup, migrate, verify, benchmark.
# DATABASE_URL names the database; REEMBED_TABLE, REEMBED_COLUMN … choose another table, as for reembed itself.
#   sh scripts/switch-to-bge-small.sh
# Any step that fails ends it; the same command goes on where it stopped. BACKUP=none leaves out pg_dump.
set -eu
cd "$(dirname "$0")/.."

: "${DATABASE_URL:?set it to a Postgres URL, or to \"embedded\"}"
export EMBEDDING_MODEL="${EMBEDDING_MODEL:-BAAI/bge-small-en-v1.5}"
export EMBEDDING_DIMENSIONS="${EMBEDDING_DIMENSIONS:-384}"
table="${REEMBED_TABLE:-segments}"
backups="${BACKUP_DIR:-reembed-backups}"

# pg_dump takes the connection from these: a URL among its arguments would show the password in the list of processes.
libpq_environment() {
  node -e '
    const url = new URL(process.env.DATABASE_URL);
    const quote = (text) => `'\''${decodeURIComponent(text).replaceAll("'\''", `'\''\\'\'''\''`)}'\''`;
    const variables = { PGHOST: url.hostname, PGPORT: url.port, PGUSER: url.username, PGPASSWORD: url.password,
      PGDATABASE: url.pathname.slice(1), PGSSLMODE: url.searchParams.get("sslmode") ?? "" };
    for (const [name, value] of Object.entries(variables)) if (value) console.log(`export ${name}=${quote(value)}`);
  '
}

dump_table() {
  mkdir -p "$backups"
  file="$backups/$(printf %s "$table" | tr -c 'A-Za-z0-9._-' _)-$(date -u +%Y%m%dT%H%M%SZ).dump"
  # Written under another name first: a broken dump is never mistaken for a backup.
  if (umask 077 && eval "$(libpq_environment)" && pg_dump --format=custom --table="$table" --file="$file.part") 2>"$file.err"; then
    mv "$file.part" "$file" && rm -f "$file.err"
    echo "    $file"
  elif grep -q 'no matching tables' "$file.err"; then
    rm -f "$file.part" "$file.err"
    echo "    skipped: there is no table $table yet"
  else
    cat "$file.err" >&2
    rm -f "$file.part" "$file.err"
    echo "pg_dump failed, and nothing was changed. Mend it, or set BACKUP=none: reembed keeps the old column in any case." >&2
    return 1
  fi
}

echo "1/4 backup of $table"
if [ "${BACKUP:-}" = none ]; then
  echo "    skipped: BACKUP=none; reembed keeps the old column"
elif [ "$DATABASE_URL" = embedded ]; then
  echo "    skipped: pg_dump cannot reach the embedded database; reembed keeps the old column"
elif ! command -v pg_dump >/dev/null 2>&1; then
  echo "    skipped: pg_dump is not installed; reembed keeps the old column"
else
  dump_table
fi

echo "2/4 migrate"
npx knex migrate:latest

echo "3/4 verify"
npx reembed verify

echo "4/4 benchmark of the model on this machine"
npm run --silent bench:encode -- --model "$EMBEDDING_MODEL" --repeats 3

echo "Done. Going back: npx knex migrate:down 007_swap_embedding.ts"
