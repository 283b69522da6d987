. "$TOOLS"
need python3
training_data
cat >config.yaml <<'END'
# Every key is an option; dashes and underscores are the same.
layout: falcon-40b
n_layers: 2
d-model: 32
n_heads: 2
n-kv-heads: 1
sequence_length: 32
batch_sequences: 2
total_tokens: 1200
learning_rate: 1e-3
name: tiny
checkpoint_every: 7
sources:
  - path: talks.jsonl
    weight: 2
    group: short-chat
  - text.txt
groups: {short-chat: 3, web-text: 1}
validation: {path: talks.jsonl, min_tokens: 8}
threads: 1
quiet: true
END
tokenizer="--tokenizer $SOURCE_DIR/tests/golden/models/falcon-7b-like"
"$FALCONER" train config.yaml $tokenizer -o straight || fail "no straight run"
# Ctrl-C, SIGTERM and a second run beside what is there: the run is saved, and goes on to the same bits with other threads.
cat >interrupt.py <<'END'
import os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[3:], stderr=subprocess.PIPE)
lines = int(sys.argv[2])
while p.poll() is None and not (os.path.exists("halves/log.jsonl") and open("halves/log.jsonl").read().count("\n") >= lines):
    time.sleep(0.001)
p.send_signal(getattr(signal, sys.argv[1]))
print(p.wait(timeout=60), p.stderr.read().decode().split("step")[0].strip())
END
python3 interrupt.py SIGINT 3 "$FALCONER" train config.yaml $tokenizer -o halves
"$FALCONER" train config.yaml $tokenizer -o halves 2>&1 | sed 's/run of [0-9]*/run of N/'
python3 interrupt.py SIGTERM 9 "$FALCONER" train config.yaml $tokenizer -o halves --resume --threads 2
python3 interrupt.py SIGKILL 16 "$FALCONER" train config.yaml $tokenizer -o halves --resume
"$FALCONER" train config.yaml $tokenizer -o halves --resume --json | grep -o '"steps": [0-9]*'
cmp straight/model.gguf halves/model.gguf && echo "same model"
log_of straight >a && log_of halves >b && cmp a b && echo "same log"
cmp straight/curves.tsv halves/curves.tsv && echo "same curves"
grep -c validation_loss a
# What is done already has no loss; where nothing is, the run begins and says so.
sed '/^quiet/d' config.yaml >told.yaml
"$FALCONER" train told.yaml $tokenizer -o halves --resume 2>&1 | sed -n 's/, in .*//; /^goes on/p; /steps,/p'
"$FALCONER" train told.yaml $tokenizer -o fresh --resume 2>&1 | grep checkpoint:
# Options win over the file; what differs from the checkpoint is named.
try "$FALCONER" train config.yaml $tokenizer -o halves --resume --learning-rate 2e-3 --beta2 0.9
try "$FALCONER" train config.yaml $tokenizer -o halves --resume --seed 2
try "$FALCONER" train config.yaml $tokenizer -o halves --resume -s text.txt
# Models whose tensors have the same shapes, or some of them.
try "$FALCONER" train config.yaml $tokenizer -o halves --resume --n-heads 4 --n-kv-heads 2
try "$FALCONER" train config.yaml $tokenizer -o halves --resume --layout falcon-7b
try "$FALCONER" train config.yaml $tokenizer -o halves --resume --learning-rate 2e-3 --force
# A checkpoint that is cut short or has a wrong bit names the tensor.
step=$(ls -d halves/step-* | sort -V | tail -1)
cp "$step/optimizer.safetensors" whole
python3 - "$step/optimizer.safetensors" <<'END'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-5] ^= 4
open(sys.argv[1], "wb").write(data)
END
try "$FALCONER" train config.yaml $tokenizer -o halves --resume | sed 's/step-[0-9]*/step-N/'
head -c 40000 whole >"$step/optimizer.safetensors"
try "$FALCONER" train config.yaml $tokenizer -o halves --resume | sed 's/step-[0-9]*/step-N/'
