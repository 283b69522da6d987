#!/bin/sh
# Lets the program write its manual pages and completion scripts: write_pages.sh PROGRAM FOLDER. FOLDER/done tells the
# build that all are there.
set -eu
program=$1 folder=$2
export ASAN_OPTIONS=detect_leaks=0
rm -rf "$folder"
mkdir -p "$folder/man1"
"$program" help --man >"$folder/man1/falconer.1"
for command in $("$program" list commands | awk '{print $1}'); do
    "$program" help --man "$command" >"$folder/man1/falconer-$command.1"
done
"$program" completion bash >"$folder/falconer.bash"
"$program" completion zsh >"$folder/_falconer"
"$program" completion fish >"$folder/falconer.fish"
touch "$folder/done"
