#!/bin/sh
# Compares all C sources with what .clang-format makes of them: check_format.sh ROOT [CLANG_FORMAT].
# Skipped by name (exit code 77) when there is no clang-format 14, since versions differ in what they make.
set -u
cd "$1" || exit 1
program=${2:-}
case $("$program" --version 2>/dev/null) in
    *"version 14."*) ;;
    *)
        echo "format: skipped, clang-format 14 is not installed (Debian: clang-format-14)"
        exit "${FALCONER_SKIP_CODE:-0}"
        ;;
esac
find include src tests bench examples -name '*.[ch]' -print0 | xargs -0 "$program" --dry-run -Werror
