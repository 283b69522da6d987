#!/bin/sh
# Opens a conversation: chat.sh PROGRAM [MODEL]. Without a model it is one with the model inside the program.
set -eu
program=$1 model=${2:-}
exec "$program" chat ${model:+-m "$model"}
