#!/bin/sh
# Installs into an empty folder and uses the package as a stranger would: by pkg-config (shared and static) and by
# find_package; every example compiles, the pages are there. Usage: test_package.sh CMAKE SOURCE BUILD CC
set -eu
cmake=$1 source=$2 build=$3 cc=$4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
unset DESTDIR
"$cmake" --install "$build" --prefix "$prefix" >"$folder/log"

missing=0
for file in bin/falconer include/falconer/falconer.h include/falconer/status.def share/man/man1/falconer.1 \
    share/man/man1/falconer-chat.1 share/bash-completion/completions/falconer; do
    [ -s "$prefix/$file" ] || { echo "not installed: $file"; missing=1; }
done
[ $missing -eq 0 ]

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name falconer.pc)")
export PKG_CONFIG_PATH
version=$(pkg-config --modversion falconer)
library=$(dirname "$(find "$prefix" -name 'libfalconer.so')")

# shellcheck disable=SC2046 # flags are meant to be split
"$cc" -std=c17 -Wall -Werror "$source/tests/build/package_user.c" $(pkg-config --cflags --libs falconer) \
    -o "$folder/shared"
printed=$(LD_LIBRARY_PATH=$library "$folder/shared")
[ "$printed" = "$version: malformed data" ] || { echo "printed: $printed"; exit 1; }

# shellcheck disable=SC2046
"$cc" -std=c17 -Wall -Werror "$source/tests/build/package_user.c" $(pkg-config --cflags falconer) \
    "$library/libfalconer.a" $(pkg-config --libs jansson libpcre2-8 yaml-0.1 libzstd) -lm -pthread -o "$folder/static"
[ "$("$folder/static")" = "$printed" ]

for example in "$source"/examples/*.c; do
    # shellcheck disable=SC2046
    "$cc" -std=c17 -Wall -Wextra -Werror "$example" $(pkg-config --cflags --libs falconer) -lm -o "$folder/example"
done

mkdir "$folder/user"
cat >"$folder/user/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(falconer ${version%.*} REQUIRED)
add_executable(user $source/tests/build/package_user.c)
target_link_libraries(user PRIVATE falconer::falconer)
END
"$cmake" -S "$folder/user" -B "$folder/user/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_COMPILER="$cc" >>"$folder/log"
"$cmake" --build "$folder/user/build" >>"$folder/log"
[ "$("$folder/user/build/user")" = "$printed" ]
[ "$("$prefix/bin/falconer" --version | head -n 1)" = "falconer $version" ]
echo "installed and used: falconer $version"
