#!/bin/sh
# Installs the npm package node-llama-cpp, which carries a prebuilt engine, into a folder, unless it is there already.
# Nothing of it enters the tree; the caller gives the folder away.
#   bench/peers/llama.sh FOLDER
set -eu
[ -d "$1/node_modules/node-llama-cpp" ] && exit 0
mkdir -p "$1"
cd "$1"
echo '{"private": true}' >package.json
npm install --no-audit --no-fund --ignore-scripts --loglevel=error node-llama-cpp@3.22.1 >&2
