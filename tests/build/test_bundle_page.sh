#!/bin/sh
# The chat page is built without npm, and where npm fails: a stub stands for the libraries, and the terms are there.
# Usage: test_bundle_page.sh ROOT
set -eu
root=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

bundle() {
    out=$1
    shift
    "$root/tools/bundle_page.sh" "$root/src/server/web" "$folder/$out" "$root/NOTICE" "$@"
}

expect_stub() {
    cmp "$root/src/server/web/libraries_none.js" "$folder/$1/libraries.js"
    cmp "$root/NOTICE" "$folder/$1/licenses.txt"
}

told=$(bundle without)
expect_stub without
[ -z "$told" ] || { echo "without npm it says: $told"; exit 1; }

told=$(bundle failing false)
expect_stub failing
case $told in
    *plain\ text*npm.log*) ;;
    *) echo "a failing npm is not told: $told"; exit 1 ;;
esac
