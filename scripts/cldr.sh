#!/usr/bin/env bash
# Writes what the program takes from the Unicode CLDR: the names of countries, how money is written, and how it is read out.
# Needs npm. A new version of the CLDR is a new number here, and a look at what changes in the texts.
set -euo pipefail
cd "$(dirname "$0")/.."

version=48.2.0
mkdir -p .cache/cldr
npm install --prefix .cache/cldr --no-save --no-audit --no-fund --loglevel=error --save-exact \
	"cldr-core@$version" "cldr-localenames-full@$version" "cldr-numbers-full@$version" >&2
node scripts/cldr.mjs .cache/cldr/node_modules
gofmt -w internal/money/formats.go
