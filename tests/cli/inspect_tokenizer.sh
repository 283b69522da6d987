. "$TOOLS"
# A damaged vocabulary: what is known is told, and the exit code tells the rest.
need python3
model falcon-7b-like
python3 - "$MODEL" <<'END'
import sys
model = open(sys.argv[1], "rb").read()
def entry(text): return len(text.encode()).to_bytes(8, "little") + text.encode()
assert model.count(entry("\u00ff")) == 1
open("twice.gguf", "wb").write(model.replace(entry("\u00ff"), entry("\u00fe")))
END
try "$FALCONER" inspect twice.gguf | sed -n '/^Tokenizer/,$p'
"$FALCONER" inspect twice.gguf --json 2>/dev/null | python3 -c 'import json, sys; assert json.load(sys.stdin)["layers"] > 0' || fail json
"$FALCONER" inspect twice.gguf --json >/dev/null 2>&1
[ $? -eq 5 ] || fail "exit code"
