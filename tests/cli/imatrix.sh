. "$TOOLS"
need python3
model falcon-40b-like
i=0
while [ $i -lt 12 ]; do
    echo "$i: the falcon is a bird of prey; it flies fast, and it sees far."
    i=$((i + 1))
done >text
"$FALCONER" imatrix -m "$MODEL" -f text -c 32 -o a.dat --json || fail "classic"
"$FALCONER" imatrix -m "$MODEL" -f text -c 32 -o b.dat --threads 3 --batch 7 2>/dev/null || fail "again"
cmp a.dat b.dat || exit 1
"$FALCONER" imatrix -m "$MODEL" -f text -c 32 --windows 3 -o c.gguf --process-output --json || fail "GGUF"
"$FALCONER" imatrix -m "$MODEL" -f text -c 32 --windows 3 -o c.dat --process-output --json >/dev/null || fail "chunks"
"$FALCONER" inspect c.gguf --tensors | grep -c in_sum2
# Both forms as llama.cpp reads them.
python3 - <<'END' || fail "files"
import struct

def classic(path):
    data, at, entries = open(path, "rb").read(), 4, {}
    for _ in range(struct.unpack_from("<i", data)[0]):
        n, = struct.unpack_from("<i", data, at)
        name = data[at + 4:at + 4 + n].decode()
        calls, count = struct.unpack_from("<ii", data, at + 4 + n)
        at += 12 + n
        entries[name] = [v / calls for v in struct.unpack_from(f"<{count}f", data, at)]
        at += 4 * count
    chunks, n = struct.unpack_from("<ii", data, at)
    assert data[at + 8:] == b"text" and n == 4
    return entries, chunks

entries, chunks = classic("a.dat")
assert chunks > 3 and set(entries) == {f"blk.0.{n}.weight" for n in ("attn_qkv", "attn_output", "ffn_up", "ffn_down")}, entries.keys()
assert all(v >= 0 for e in entries.values() for v in e) and len(entries["blk.0.ffn_down.weight"]) == 4 * len(entries["blk.0.ffn_up.weight"])
entries, chunks = classic("c.dat")
assert chunks == 3 and "output.weight" in entries
data = open("c.gguf", "rb").read()
assert data[:4] == b"GGUF" and b"imatrix.datasets" in data and struct.pack("<f", 96) in data
sums = struct.pack("<2f", *(96 * v for v in entries["output.weight"][:2]))
found = [struct.unpack_from("<2f", data, i) for i in range(len(data) - 8 - len(data) % 4, 0, -4)]
assert any(all(abs(a - b) <= 1e-6 * b for a, b in zip(pair, struct.unpack("<2f", sums))) for pair in found)
END
try "$FALCONER" imatrix -m "$MODEL" -f text -c 32 -o a.dat
try "$FALCONER" imatrix -m "$MODEL" -f text -o d.dat -c 100000
try "$FALCONER" imatrix -m "$MODEL" -f text
try "$FALCONER" imatrix -m "$MODEL" -f text -o .
try "$FALCONER" imatrix -m "$MODEL" -o d.dat
[ ! -e d.dat ]
