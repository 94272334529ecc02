#!/usr/bin/env sh
# Moves the table to BAAI/bge-small-en-v1.5 (384 dimensions) in one go: backup, migrate, verify, benchmark.
# DATABASE_URL names the database; REEMBED_TABLE, REEMBED_COLUMN … choose another table, as for reembed itself.
#   sh scripts/switch-to-bge-small.sh
# Any step that fails ends it; the same command goes on where it stopped.
set -eu
cd "$(dirname "$0")/.."

: "${DATABASE_URL:?set it to a Postgres URL, or to \"embedded\"}"
export EMBEDDING_MODEL="${EMBEDDING_MODEL:-BAAI/bge-small-en-v1.5}"
export EMBEDDING_DIMENSIONS="${EMBEDDING_DIMENSIONS:-384}"
table="${REEMBED_TABLE:-segments}"
backups="${BACKUP_DIR:-reembed-backups}"

echo "1/4 backup of $table"
if [ "$DATABASE_URL" = embedded ]; then
  echo "    skipped: pg_dump cannot reach the embedded database; reembed keeps the old column"
elif ! command -v pg_dump >/dev/null 2>&1; then
  echo "    skipped: pg_dump is not installed; reembed keeps the old column"
else
  mkdir -p "$backups"
  file="$backups/$(printf %s "$table" | tr -c 'A-Za-z0-9._-' _)-$(date -u +%Y%m%dT%H%M%SZ).dump"
  umask 077
  # Written under another name first: a broken dump is never mistaken for a backup.
  pg_dump --format=custom --table="$table" --file="$file.part" "$DATABASE_URL"
  mv "$file.part" "$file"
  echo "    $file"
fi

echo "2/4 migrate"
npx knex migrate:latest

echo "3/4 verify"
npx reembed verify

echo "4/4 benchmark"
if npx reembed --help | grep -Eq '^ +reembed (benchmark|evaluate)'; then
  command=$(npx reembed --help | sed -nE 's/^ +reembed (benchmark|evaluate).*/\1/p' | head -n 1)
  npx reembed "$command"
else
  echo "    skipped: this version of reembed has no benchmark command"
fi
echo "Done. Going back: npx knex migrate:down 007_swap_embedding.ts"
