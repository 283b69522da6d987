. "$TOOLS"
need python3
training_data
# One token's embedding is no number, and one record has the token: the run ends at that record's step, and what was saved
# before stays.
"$FALCONER" train -q $FRESH --untied-head -s talks.jsonl -n 64 -o fresh --name tiny || fail fresh
id=$("$FALCONER" tokenize -m fresh/model.gguf '~' | sed -n 's/[^0-9]*\([0-9][0-9]*\).*/\1/p' | tail -1)
python3 - "$id" <<'END'
import json, struct, sys
with open("fresh/hf/model.safetensors", "r+b") as f:
    n = struct.unpack("<Q", f.read(8))[0]
    tensor = json.loads(f.read(n))["transformer.word_embeddings.weight"]
    f.seek(8 + n + tensor["data_offsets"][0] + int(sys.argv[1]) * tensor["shape"][1] * 4)
    f.write(struct.pack("<f", float("nan")))
END
sed -i '17s/It is/It is ~/' talks.jsonl
try "$FALCONER" train -q -m fresh/hf -s talks.jsonl -l 32 -b 2 -n 800 --checkpoint-every 1 --seed 3 -o run --threads 1 |
    sed 's/step [0-9]*/step N/'
[ "$(wc -l <run/log.jsonl)" -ge 1 ] && [ -d "run/step-$(wc -l <run/log.jsonl)" ] && echo "the last good step is saved"
ls run | grep -v step
