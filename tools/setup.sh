#!/bin/sh
# Installs what building and testing falconer needs and this machine lacks. The one list of packages is here.
# Debian and its relatives: with apt-get, through sudo when not root. Elsewhere: prints the list if something is missing.
# With --emulators, besides, what runs the kernels of other processors; tests that lack them are skipped.
set -eu

# package      what for
packages='
gcc            the compiler
libc6-dev      the C library
g++            tests: headers compile as C++, too
cmake          builds (3.25 or later)
ninja-build    runs the build
pkg-config     finds the libraries
libjansson-dev JSON
libpcre2-dev   regular expressions with Unicode classes
libyaml-dev    front matter of model cards
libzstd-dev    packed training data
libedit-dev    line editing in the terminal
libsqlite3-dev what the chat page keeps
libmicrohttpd-dev  HTTP and TLS
libcmocka-dev  unit tests
python3        tests and checks
gnuplot-nox    plots of published sets
tmux           tests: a person at a terminal
mandoc         tests: manual pages
'

emulators='
gcc-aarch64-linux-gnu  tests: kernels of ARM
libc6-dev-arm64-cross  tests: kernels of ARM
qemu-user              tests: processors that this machine is not
'
[ "${1:-}" = --emulators ] && [ "$(uname -m)" = x86_64 ] && packages=$packages$emulators

names=$(echo "$packages" | awk 'NF {print $1}')

if ! command -v apt-get >/dev/null 2>&1; then
    lacks=
    for tool in cc cmake ninja python3; do
        command -v $tool >/dev/null 2>&1 || lacks=yes
    done
    pkg-config --exists jansson libpcre2-8 yaml-0.1 libzstd libedit sqlite3 libmicrohttpd cmocka 2>/dev/null || lacks=yes
    [ -n "$lacks" ] || exit 0
    echo "falconer needs these, named as in Debian; please see that they are there:"
    echo "$packages"
    exit 0
fi

missing=
for name in $names; do
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null || true)
    case $state in
        ii*) ;;
        *) missing="$missing $name" ;;
    esac
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "please install as root: apt-get install$missing" >&2
        exit 1
    fi
    as_root=sudo
fi
echo "installing:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086 # names are meant to be split
if ! { $as_root apt-get update -qq &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } \
    >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
