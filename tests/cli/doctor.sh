. "$TOOLS"
# What is found, how it is told, and the exit code.
model falcon-7b-like
cd "$TEMP"
try "$FALCONER" doctor falcon-7b-like.gguf
try "$FALCONER" doctor --quick falcon-7b-like.gguf
cp falcon-7b-like.gguf falcon-7b.Q4_K_M.gguf
head -c 100000 falcon-7b-like.gguf >short.gguf
echo junk >junk.gguf
try "$FALCONER" doctor falcon-7b.Q4_K_M.gguf short.gguf junk.gguf falcon-7b-like.gguf
try "$FALCONER" doctor -q falcon-7b-like.gguf
try "$FALCONER" doctor nothing.gguf
try "$FALCONER" doctor falcon-7b-like.gguf --out out.gguf
try "$FALCONER" doctor falcon-7b-like.gguf --repair --out short.gguf
try "$FALCONER" doctor falcon-7b-like.gguf short.gguf --repair --out out.gguf
try "$FALCONER" doctor
"$FALCONER" doctor --json falcon-7b.Q4_K_M.gguf falcon-7b-like.gguf >all.json 2>/dev/null
need python3
python3 - <<'END'
import json
ill, healthy = json.load(open("all.json"))["files"]
assert not ill["healthy"] and healthy["healthy"] and healthy["findings"] == []
assert [f["check"] for f in ill["findings"]] == ["promised-type"]
assert ill["findings"][0]["severity"] == "warning" and ill["findings"][0]["repairable"] is False
assert healthy["scanned_bytes"] > 1000000
END
