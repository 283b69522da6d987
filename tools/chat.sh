#!/bin/sh
# Opens a conversation: chat.sh PROGRAM [MODEL]. Without a model it says how to name one.
set -eu
program=$1 model=${2:-}
if [ -z "$model" ]; then
    echo "No model is built in: name a GGUF file with  make chat MODEL=/path/to/model.gguf"
    exit 0
fi
exec "$program" chat -m "$model"
