#!/usr/bin/env sh
# Moves the table to BAAI/bge-small-en-v1.5 (384 dimensions) in one go: backup, migrate, verify, benchmark.
# DATABASE_URL names the database; REEMBED_TABLE, EMBEDDING_MODEL ... choose another table or model, as for reembed itself:
# from the environment, or from .env beside this repository's knexfile.
#   sh scripts/switch-to-bge-small.sh
# Any step that fails ends it; the same command goes on where it stopped. BACKUP=none leaves out pg_dump.
set -eu
cd "$(dirname "$0")/.."

npx tsx scripts/dump-table.ts

echo "2/4 migrate"
npx knex migrate:latest

echo "3/4 verify"
npx reembed verify

echo "4/4 benchmark of the model on this machine"
npx tsx bench/encode.ts --configured --repeats 3

echo "Done. Going back: npx knex migrate:down 007_swap_embedding.ts"
