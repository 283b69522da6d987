#!/bin/sh
# Builds the dev (sanitizers) and release presets and runs all their tests. Ends with the counts over both;
# fails when a build or a test failed, but runs the second preset in any case.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0
rm -f build/dev/tests.xml build/release/tests.xml
for preset in dev release; do
    echo "== $preset"
    if cmake --preset $preset --log-level=WARNING >/dev/null && cmake --build --preset $preset; then
        ctest --preset $preset -j2 --output-junit tests.xml || status=1
    else
        echo "the $preset preset does not build" >&2
        status=1
    fi
done
python3 tools/count_tests.py build/dev/tests.xml build/release/tests.xml || status=1
exit $status
