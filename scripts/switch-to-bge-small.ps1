# Moves the table to BAAI/bge-small-en-v1.5 (384 dimensions) in one go: backup, migrate, verify, benchmark.
# DATABASE_URL names the database; REEMBED_TABLE, EMBEDDING_MODEL ... choose another table or model, as for reembed itself:
# from the environment, or from .env beside this repository's knexfile.
#   powershell -File scripts/switch-to-bge-small.ps1
# Any step that fails ends it; the same command goes on where it stopped. BACKUP=none leaves out pg_dump.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')

# Not through Write-Error: with 'Stop' it would end the script before the exit code is told.
function Invoke-Npx([string[]] $Arguments) {
  & npx @Arguments
  if ($LASTEXITCODE -ne 0) {
    [Console]::Error.WriteLine("npx $Arguments ended with $LASTEXITCODE")
    exit $LASTEXITCODE
  }
}

Invoke-Npx @('tsx', 'scripts/dump-table.ts')

Write-Output '2/4 migrate'
Invoke-Npx @('knex', 'migrate:latest')

Write-Output '3/4 verify'
Invoke-Npx @('reembed', 'verify')

Write-Output '4/4 benchmark of the model on this machine'
Invoke-Npx @('tsx', 'bench/encode.ts', '--configured', '--repeats', '3')

Write-Output 'Done. Going back: npx knex migrate:down 007_swap_embedding.ts'
