#!/bin/sh
# Makes the two files of the chat page that are not in the tree: libraries.js, what its Markdown needs from npm in one file,
# and licenses.txt, under which terms all of it is. Without npm, or where it fails, the page shows texts as they are.
# Usage: bundle_page.sh WEB OUT NOTICE [NPM]
set -eu
web=$1 out=$2 notice=$3 npm=${4:-}
libraries='marked dompurify highlight.js'

bundle() {
    cp "$web/package.json" "$web/package-lock.json" "$out/"
    # No script of a package is run; the lock file tells what each must be, to the bit.
    (cd "$out" && "$npm" ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1 --fetch-timeout=30000) \
        >"$out/npm.log" 2>&1 || return 1
    NODE_PATH=$out/node_modules "$out/node_modules/.bin/esbuild" "$web/libraries.js" --bundle --minify --format=esm \
        --target=es2022 --legal-comments=none --log-level=warning --outfile="$out/libraries.js" >>"$out/npm.log" 2>&1
}

mkdir -p "$out"
cp "$notice" "$out/licenses.txt"
if [ -n "$npm" ] && bundle; then
    for library in $libraries; do
        folder=$out/node_modules/$library
        version=$(sed -n 's/^ *"version": "\([^"]*\)".*/\1/p' "$folder/package.json" | head -n 1)
        printf '\n\n======== %s %s, a part of the chat page ========\n\n' "$library" "$version"
        cat "$folder"/LICENSE*
    done >>"$out/licenses.txt"
    exit 0
fi
cp "$web/libraries_none.js" "$out/libraries.js"
if [ -n "$npm" ]; then
    echo "the chat page will show plain text: npm failed, see $out/npm.log; remove $out/libraries.js to try again"
fi
