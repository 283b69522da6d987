#!/bin/sh
# Runs a client's own package, fetched from npm as the lock file tells, against a server with the model inside.
# Usage: run.sh FALCONER OUT TEST.mjs; 77: something that this needs is not here
set -eu
export FALCONER="$1"
out=$2 script=$3
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../npm.sh"

fetch "$here" "$out"
# Modules are looked for beside the script.
cp "$here"/*.mjs "$out/"
exec node --test-reporter=spec --test "$out/$script"
