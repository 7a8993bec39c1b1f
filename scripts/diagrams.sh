#!/usr/bin/env bash
# Draws the Mermaid diagrams of docs/ anew, as docs/diagrams/*.svg, each named by its text. It needs node, a Chromium and the
# network (npm); the pictures are checked in, so that nobody else does.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .cache/diagrams docs/diagrams
npm install --prefix .cache/diagrams --no-audit --no-fund --loglevel=error mermaid@12.3.0
PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --prefix test/browser --no-audit --no-fund --loglevel=error
node scripts/diagrams.mjs
