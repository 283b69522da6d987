#!/bin/sh
# Runs a client's own package, fetched from npm as the lock file tells, against a server with the model inside.
# Usage: run.sh FALCONER OUT TEST.mjs; 77: something that this needs is not here
set -eu
export FALCONER="$1"
out=$2 script=$3
here=$(cd "$(dirname "$0")" && pwd)

skip() {
    echo "skipped: $1"
    exit 77
}

command -v node >/dev/null || skip "node is not installed"
command -v npm >/dev/null || skip "npm is not installed"
mkdir -p "$out"
# Tests that run at once wait for whoever fetches.
exec 9>"$out/lock"
flock 9 || skip "flock fails in $out"
if ! cmp -s "$here/package-lock.json" "$out/fetched.json"; then
    cp "$here/package.json" "$here/package-lock.json" "$out/"
    (cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1) >"$out/npm.log" 2>&1 \
        || skip "npm cannot fetch the clients, see $out/npm.log"
    cp "$here/package-lock.json" "$out/fetched.json"
fi
# Modules are looked for beside the script.
cp "$here"/*.mjs "$out/"
exec 9>&-
exec node --test-reporter=spec --test "$out/$script"
