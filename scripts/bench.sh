#!/usr/bin/env bash
# Measures the binary beside the floor, on SQLite and on a PostgreSQL of its own: synchronous commit, everything on this
# machine. Arguments go to `dialproof bench`.
set -euo pipefail
cd "$(dirname "$0")/.."

CGO_ENABLED=0 go build -trimpath -o bin/dialproof ./cmd/dialproof
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
if [ -z "$bin" ]; then
	echo "bench: PostgreSQL is not installed here: SQLite alone" >&2
	exec bin/dialproof bench "$@"
fi

# PostgreSQL does not run as root.
dir=$(mktemp -d /tmp/dialproof-bench-pg-XXXXXX)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then
	chown postgres "$dir"
	as() { runuser -u postgres -- "$@"; }
fi
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
as "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >/dev/null
as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -o "-p $port -k $dir -c listen_addresses=127.0.0.1 -c shared_buffers=256MB -c max_wal_size=4GB" start >/dev/null
trap 'as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null; rm -rf "$dir"' EXIT
bin/dialproof bench --postgres "postgres://postgres@127.0.0.1:$port/postgres" --postgres-pid "$(head -1 "$dir/data/postmaster.pid")" "$@"
