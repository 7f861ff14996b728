#!/usr/bin/env bash
# Start a throw-away PostgreSQL on loopback, not as root, and print its SQLAlchemy URL as the last line.
#
#   url=$(.ci/postgres.sh | tail -n 1)          start (installs the server by apt if it is missing)
#   .ci/postgres.sh stop FOLDER                 stop it and remove its folder, which the start names
#
# Nothing is shared with a PostgreSQL that runs here already: own folder under /tmp, own free port, own password.
set -euo pipefail

say() { echo "postgres.sh: $*" >&2; }

binaries() { # newest installed server's folder
  ls -d /usr/lib/postgresql/*/bin /usr/local/pgsql/bin 2>/dev/null | sort -V | tail -n 1
}

# The server refuses to run as root; root becomes the user that the package made.
as_server() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}

if [ "${1:-}" = stop ]; then
  folder=${2:?"postgres.sh: stop which? .ci/postgres.sh stop FOLDER"}
  [ -f "$folder/data/PG_VERSION" ] || { say "no cluster in $folder"; exit 1; }
  cd "$folder"
  as_server "$(binaries)/pg_ctl" -D "$folder/data" -m fast -w stop >&2
  cd /
  rm -rf -- "$folder"
  exit 0
fi

if ! [ -x "$(binaries)/initdb" ]; then
  [ "$(id -u)" = 0 ] || { say "no PostgreSQL server found and not root to install one: apt-get install postgresql"; exit 1; }
  say "installing postgresql"
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql >&2
fi

folder=$(mktemp -d /tmp/kerntune-postgres.XXXXXX)
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(umask 077 && printf '%s\n' "$password" > "$folder/password")
if [ "$(id -u)" = 0 ]; then chown -R postgres:postgres "$folder"; fi
cd "$folder" # a folder the server's user may enter

as_server "$(binaries)/initdb" -D "$folder/data" -U kerntune --pwfile="$folder/password" \
  --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8 > "$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; exit 1; }
as_server "$(binaries)/pg_ctl" -D "$folder/data" -w -l "$folder/data/server.log" \
  -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories=$folder" start >&2 \
  || { cat "$folder/data/server.log" >&2; exit 1; }
rm -f -- "$folder/password"

say "stop it by: .ci/postgres.sh stop $folder"
echo "postgresql+psycopg://kerntune:$password@127.0.0.1:$port/postgres"
