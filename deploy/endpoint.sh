#!/bin/sh
# Serves what lies in a folder: a GGUF file, or a checkpoint, of which one is made first.
#   endpoint.sh FOLDER [OPTIONS of falconer serve]
# FALCONER: the program; FALCONER_FILE: which of several GGUF files; FALCONER_TYPE: what a checkpoint becomes (Q8_0).
set -eu
folder=$1
shift
falconer=${FALCONER:-falconer}

if [ -n "${FALCONER_FILE:-}" ]; then
    model=$folder/$FALCONER_FILE
elif [ -n "$(find "$folder" -maxdepth 1 -name '*.gguf' -print -quit)" ]; then
    count=$(find "$folder" -maxdepth 1 -name '*.gguf' | wc -l)
    if [ "$count" -ne 1 ]; then
        echo "$folder holds $count GGUF files; FALCONER_FILE must name one of them" >&2
        exit 2
    fi
    model=$(find "$folder" -maxdepth 1 -name '*.gguf')
elif [ -f "$folder/config.json" ]; then
    model=${TMPDIR:-/tmp}/model.gguf
    "$falconer" quantize "$folder" "$model" "${FALCONER_TYPE:-Q8_0}"
else
    echo "$folder holds neither a GGUF file nor a checkpoint (config.json)" >&2
    exit 3
fi
# The platform in front has names of its own, and asks for its token.
exec "$falconer" serve -m "$model" --allow-host '*' "$@"
