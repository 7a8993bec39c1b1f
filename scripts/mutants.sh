#!/usr/bin/env bash
# Mutation tests of rooms: scripts/mutants.sh ROOM... runs gremlins over internal/ROOM and holds each against 90 %.
# DIFF=REF takes only mutants in lines changed since REF.
# A room's tests run once per mutant. One worker and a wide timeout keep a loaded machine from timing out healthy tests.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
[ $# -gt 0 ] || { echo "usage: scripts/mutants.sh ROOM..." >&2; exit 2; }
for room in "$@"; do
	[ -d "internal/$room" ] || { echo "there is no package internal/$room" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree" "$work/tmp"
# gremlins copies the whole folder of the module: it gets one without .git and .cache, which are large.
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
	if [ -e "$f" ]; then printf '%s\0' "$f"; fi
done | tar -cf - --null -T - | tar -xf - -C "$work/tree"
printf 'gitdir: %s\n' "$(git rev-parse --absolute-git-dir)" >"$work/tree/.git"

status=0
for room in "$@"; do
	out="$work/${room//\//-}.json"
	args=(--invert-assignments --invert-bitwise --invert-bwassign --invert-logical --invert-loopctrl
		--remove-self-assignments --exclude-files '(^|/)[a-z]+test/' --workers 1 --timeout-coefficient "${TIMEOUT_COEFFICIENT:-20}" --output "$out")
	if [ -n "${DIFF:-}" ]; then args+=(--diff "$DIFF"); fi
	(cd "$work/tree" && TMPDIR="$work/tmp" GIT_OPTIONAL_LOCKS=0 "$root/.cache/bin/gremlins" unleash "${args[@]}" \
		"./internal/$room" >"$work/log" 2>&1) || { tail -n 20 "$work/log" >&2; status=1; continue; }
	if [ ! -e "$out" ]; then
		if [ -n "${DIFF:-}" ]; then echo "$room: no mutants in the changed lines"; continue; fi
		tail -n 20 "$work/log" >&2; status=1; continue
	fi
	go run ./scripts/mutants -room "$room" -equivalent scripts/mutants/equivalent.tsv "$out" || status=1
done
exit $status
