#!/bin/sh
# Drives the chat page in Debian's Chromium by playwright-core, which is fetched from npm, with axe, as the lock file tells.
# Usage: run.sh FALCONER OUT; 77: something that this needs is not here
set -eu
falconer=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../npm.sh"

chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium is installed"
fetch "$here" "$out"
rm -f "$out"/page.sqlite*
exec node "$here/test_page.mjs" "$falconer" "$out" "$chromium"
