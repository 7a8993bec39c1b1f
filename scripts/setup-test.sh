#!/usr/bin/env bash
# Installs what the tests need and is not there yet: a C compiler (the race detector wants one), a browser, telephones
# (SIPp and baresip) and what speaks in their calls (espeak-ng), a message centre (Net::SMPP), PostgreSQL, PgBouncer, Patroni with etcd, valgrind (it counts instructions), and the npm and Python packages of the tests. It changes nothing when all is there. It fails when it cannot install.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "setup-test: $*" >&2; }

has() {
	local name
	for name in "$@"; do
		if command -v "$name" >/dev/null; then return 0; fi
	done
	return 1
}

# install PACKAGE…: by apt-get, as root or by sudo.
install() {
	if ! has apt-get; then
		say "please install $* by hand: this system has no apt-get"
		exit 1
	fi
	local as=()
	if [ "$(id -u)" != 0 ]; then
		if ! has sudo; then
			say "please install $* by hand: this needs root or sudo"
			exit 1
		fi
		as=(sudo)
	fi
	say "installing $*"
	"${as[@]}" apt-get update -qq
	DEBIAN_FRONTEND=noninteractive "${as[@]}" apt-get -o DPkg::Lock::Timeout=120 install -qq -y --no-install-recommends "$@" >/dev/null
}

# Browser tests are there when a package-lock.json is.
locks=$(find . -name node_modules -prune -o -name .cache -prune -o -name package-lock.json -print)

missing=()
if ! has cc gcc clang; then missing+=(gcc libc6-dev); fi
if ! has chromium chromium-browser google-chrome; then missing+=(chromium); fi
if ! has sipp; then missing+=(sip-tester); fi
if ! has baresip; then missing+=(baresip-core); fi
if ! has espeak-ng; then missing+=(espeak-ng); fi
if ! has perl || ! perl -MNet::SMPP -e 1 2>/dev/null; then missing+=(libnet-smpp-perl); fi
if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && ! has postgres; then missing+=(postgresql); fi
if ! has pgbouncer /usr/sbin/pgbouncer; then missing+=(pgbouncer); fi
if ! has patroni || ! has etcd; then missing+=(patroni etcd-server); fi
if ! has valgrind; then missing+=(valgrind); fi
if ! has python3 || ! python3 -c 'import ensurepip' 2>/dev/null; then missing+=(python3 python3-venv); fi
if [ -n "$locks" ] && ! has npm; then missing+=(nodejs npm); fi
if [ ${#missing[@]} -gt 0 ]; then install "${missing[@]}"; fi

# The browser comes from the system: the download that these packages would try is switched off.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 PUPPETEER_SKIP_DOWNLOAD=1
for lock in $locks; do
	dir=$(dirname "$lock")
	if [ "$dir/node_modules/.package-lock.json" -nt "$lock" ]; then continue; fi
	say "installing the npm packages of $dir"
	npm ci --prefix "$dir" --no-audit --no-fund --loglevel=error >&2
	touch "$dir/node_modules/.package-lock.json"
done

# Python packages go into an environment of their own, so that the system's stay as they are.
wanted=test/sdk/requirements.txt
if [ ! .cache/python/ready -nt "$wanted" ] || [ ! .cache/python/ready -nt sdk/gen/requirements.txt ]; then
	say "installing the Python packages of $wanted"
	python3 -m venv .cache/python
	.cache/python/bin/pip install --quiet --disable-pip-version-check -r "$wanted" >&2
	touch .cache/python/ready
fi
