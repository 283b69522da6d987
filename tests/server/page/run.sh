#!/bin/sh
# Drives the chat page in Debian's Chromium by playwright-core, which is fetched from npm, with axe, as the lock file tells.
# Usage: run.sh FALCONER OUT; 77: something that this needs is not here
set -eu
falconer=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "skipped: $1"
    exit 77
}

command -v node >/dev/null || skip "node is not installed"
command -v npm >/dev/null || skip "npm is not installed"
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium is installed"
mkdir -p "$out"
cp "$here/package.json" "$here/package-lock.json" "$out/"
(cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1) >"$out/npm.log" 2>&1 \
    || skip "npm cannot fetch what this needs, see $out/npm.log"
rm -f "$out"/page.sqlite*
exec node "$here/test_page.mjs" "$falconer" "$out" "$chromium"
