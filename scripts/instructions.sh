#!/usr/bin/env bash
# Counts the instructions of a whole cycle (start, delivery, check, through API, core, store and provider, one at a time) under
# valgrind, and fails when they have grown by more than a tenth against scripts/instructions.txt. With --update it writes that.
set -euo pipefail
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "instructions: valgrind is not installed: apt-get install valgrind" >&2; exit 1; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
CGO_ENABLED=0 go test -c -o "$dir/app.test" ./internal/app

# What a run of so many cycles executes, start and end of the process included. One thread and no preemption by signal: valgrind
# runs one thread at a time anyway, and idle ones would spin. No profile of the memory: which allocations it samples is chance,
# and walking their stacks costs some percent.
executed() {
	(cd internal/app && GOMAXPROCS=1 GOGC=off GODEBUG=asyncpreemptoff=1,memprofilerate=0 valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$dir/app.test" -test.run '^TestCounts$' -cycles "$1" 2>&1) | tee "$dir/log" | awk '/Collected/ { print $4 }'
	grep -q '^PASS' "$dir/log" || { cat "$dir/log" >&2; exit 1; }
}
few=$(executed 100)
many=$(executed 300)
now=$(((many - few) / 200))
if [ "${1:-}" = --update ]; then echo "$now" >scripts/instructions.txt; fi
was=$(cat scripts/instructions.txt)
echo "instructions: $now a cycle (baseline $was)"
if [ $((now * 10)) -gt $((was * 11)) ]; then
	echo "instructions: the hot path has grown by more than a tenth. Make it cheaper or, when it is worth it: scripts/instructions.sh --update" >&2
	exit 1
fi
