# Moves the table to BAAI/bge-small-en-v1.5 (384 dimensions) in one go: backup, migrate, verify, benchmark.
# DATABASE_URL names the database; REEMBED_TABLE, REEMBED_COLUMN ... choose another table, as for reembed itself.
#   powershell -File scripts/switch-to-bge-small.ps1
# Any step that fails ends it; the same command goes on where it stopped. BACKUP=none leaves out pg_dump.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '..')

function Invoke-Checked([string] $Command, [string[]] $Arguments) {
  & $Command @Arguments
  if ($LASTEXITCODE -ne 0) { Write-Error "$Command $($Arguments[0]) ended with $LASTEXITCODE"; exit $LASTEXITCODE }
}

if (-not $env:DATABASE_URL) { Write-Error 'Set DATABASE_URL to a Postgres URL, or to "embedded".'; exit 2 }
if (-not $env:EMBEDDING_MODEL) { $env:EMBEDDING_MODEL = 'BAAI/bge-small-en-v1.5' }
if (-not $env:EMBEDDING_DIMENSIONS) { $env:EMBEDDING_DIMENSIONS = '384' }
$table = if ($env:REEMBED_TABLE) { $env:REEMBED_TABLE } else { 'segments' }
$backups = if ($env:BACKUP_DIR) { $env:BACKUP_DIR } else { 'reembed-backups' }

Write-Output "1/4 backup of $table"
if ($env:BACKUP -eq 'none') {
  Write-Output '    skipped: BACKUP=none; reembed keeps the old column'
} elseif ($env:DATABASE_URL -eq 'embedded') {
  Write-Output '    skipped: pg_dump cannot reach the embedded database; reembed keeps the old column'
} elseif (-not (Get-Command pg_dump -ErrorAction SilentlyContinue)) {
  Write-Output '    skipped: pg_dump is not installed; reembed keeps the old column'
} else {
  New-Item -ItemType Directory -Force -Path $backups | Out-Null
  $stamp = (Get-Date).ToUniversalTime().ToString('yyyyMMddTHHmmssZ')
  $file = Join-Path $backups "$($table -replace '[^A-Za-z0-9._-]', '_')-$stamp.dump"
  # Written under another name first: a broken dump is never mistaken for a backup.
  # The connection goes through the environment: a URL among the arguments would show the password in the list of processes.
  $url = [Uri] $env:DATABASE_URL
  $user, $password = $url.UserInfo -split ':', 2
  $env:PGHOST = $url.Host
  if ($url.Port -gt 0) { $env:PGPORT = $url.Port }
  if ($user) { $env:PGUSER = [Uri]::UnescapeDataString($user) }
  if ($password) { $env:PGPASSWORD = [Uri]::UnescapeDataString($password) }
  $env:PGDATABASE = [Uri]::UnescapeDataString($url.AbsolutePath.TrimStart('/'))
  Invoke-Checked 'pg_dump' @('--format=custom', "--table=$table", "--file=$file.part")
  Move-Item "$file.part" $file
  Write-Output "    $file"
}

Write-Output '2/4 migrate'
Invoke-Checked 'npx' @('knex', 'migrate:latest')

Write-Output '3/4 verify'
Invoke-Checked 'npx' @('reembed', 'verify')

Write-Output '4/4 benchmark of the model on this machine'
Invoke-Checked 'npm' @('run', '--silent', 'bench:encode', '--', '--model', $env:EMBEDDING_MODEL, '--repeats', '3')
Write-Output 'Done. Going back: npx knex migrate:down 007_swap_embedding.ts'
