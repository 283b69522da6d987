#!/bin/sh
# Runs one case in an empty folder and compares what it printed and how it ended.
update=
if [ "$1" = --update ]; then
    update=yes
    shift
fi
if [ $# -ne 3 ]; then
    echo "usage: run_case.sh [--update] FALCONER SOURCE_DIR CASE.sh" >&2
    exit 2
fi
FALCONER=$(realpath "$1") SOURCE_DIR=$(realpath "$2") script=$(realpath "$3")
expected=${script%.sh}
folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/work" "$folder/home"

# Nothing of the caller's terminal or settings shows in the results.
HOME=$folder/home
TEMP=$folder/work
TOOLS=$SOURCE_DIR/tests/cli/runner/tools.sh
unset XDG_STATE_HOME FALCONER_LOG NO_COLOR
LC_ALL=C.UTF-8
TERM=dumb
export FALCONER SOURCE_DIR HOME TEMP TOOLS LC_ALL TERM

(cd "$TEMP" && sh "$script") >"$folder/out" 2>"$folder/err" </dev/null
code=$?
if [ $code -eq 77 ]; then
    tail -n 1 "$folder/err"
    exit 77
fi

if [ -n "$update" ]; then
    rm -f "$expected.exit"
    if [ -s "$folder/out" ] || [ -f "$expected.out" ]; then cp "$folder/out" "$expected.out"; fi
    [ $code -ne 0 ] && echo $code >"$expected.exit"
    exit 0
fi

wanted=0 failed=0
[ -f "$expected.exit" ] && wanted=$(cat "$expected.exit")
if [ -f "$expected.out" ] && ! diff -u "$expected.out" "$folder/out"; then failed=1; fi
if [ $code -ne "$wanted" ]; then
    echo "exit code $code, expected $wanted"
    failed=1
fi
if [ $failed -ne 0 ]; then
    [ -f "$expected.out" ] || cat "$folder/out"
    echo "--- standard error"
    cat "$folder/err"
fi
exit $failed
