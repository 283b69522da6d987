. "$TOOLS"
# The memory of a context asked for is what a session on it takes: its cache has the same number type by itself.
for type in f32 f16 bf16; do
    "$FALCONER" convert --quiet --type $type "$SOURCE_DIR/tests/golden/models/falcon-7b-like" $type.gguf || fail convert
    echo "$type weights"
    "$FALCONER" inspect $type.gguf -c 1000 | sed -n '/^Memory/,/^$/p'
    cache=$("$FALCONER" score -m $type.gguf --verbose -c 1000 --ids 1 2>&1 >/dev/null | sed -n 's/.*cache \(.*\) for 1000.*/\1/p')
    [ -n "$cache" ] || fail "no cache is told"
    "$FALCONER" inspect $type.gguf -c 1000 | grep -q "^  1000 .* $cache " || fail "not the cache of a session: $cache"
done
"$FALCONER" inspect f32.gguf --context 1000 --kv-type f16 | sed -n '/^Memory/,/^$/p'
"$FALCONER" inspect f16.gguf --kv-type f32 | sed -n '/^Memory/,/^$/p'
"$FALCONER" inspect f16.gguf -c 1000 --kv-type q8_0 | sed -n '/^Memory/,/^$/p'
"$FALCONER" score -m f16.gguf --verbose -c 1000 --kv-type q8_0 --ids 1 2>&1 >/dev/null | grep -o 'cache .* for 1000 tokens'
"$FALCONER" inspect f16.gguf -c 100 --json | grep -o '"memory": .*\]'

# What an architecture knows by itself needs no key: one head for keys and values here, all of them there.
for name in starcoder-like falcon-rw-like; do
    model $name
    "$FALCONER" inspect "$MODEL" -c 10 | grep '^  10 '
    "$FALCONER" score -m "$MODEL" --verbose -c 10 --ids 1 2>&1 >/dev/null | grep -o 'cache .* for 10 tokens'
done

# A head of 16 numbers is half a block of q8_0.
model falcon-rw-even
try "$FALCONER" inspect "$MODEL" --kv-type q8_0
try "$FALCONER" run -m "$MODEL" -p x --kv-type q8_0

# Hostile sizes are shown at the bounds of what can be shown.
need python3
python3 - <<'END'
import struct
def text(s): return struct.pack("<Q", len(s)) + s.encode()
def u64(key, value): return text(key) + struct.pack("<IQ", 10, value)
most = 2**63 - 1
keys = [text("general.architecture") + struct.pack("<I", 8) + text("foo"), u64("foo.block_count", most),
        u64("foo.attention.head_count", most), u64("foo.attention.key_length", most),
        u64("foo.attention.value_length", most), u64("foo.context_length", most)]
tensor = text("a") + struct.pack("<IQIQ", 1, 32, 0, 0)
def write(name, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
    open(name, "wb").write(head + bytes(-len(head) % 32 + 128 * len(tensors)))
write("hostile.gguf", [tensor])
keys = keys[:1]
write("unknown.gguf", [tensor])
write("empty.gguf", [])
END
"$FALCONER" inspect hostile.gguf | sed -n '/^Memory/,/^$/p'
"$FALCONER" inspect hostile.gguf --json | grep -o '"memory": .*\]'
try "$FALCONER" inspect unknown.gguf -c 10
try "$FALCONER" inspect empty.gguf --kv-type f16
# Only contexts that the model has.
"$FALCONER" inspect starcoder-like.gguf | sed -n '/^Memory/,/^$/p'
