. "$TOOLS"
need python3
model falcon-40b-like
# Ctrl-C, and SIGTERM and SIGHUP likewise, end the answer; what is there is printed, also as JSON, and the exit code tells. The slow device is not done
# before the signal comes.
cat >interrupt.py <<'END'
import os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
if "--json" in sys.argv:
    time.sleep(1)
else:
    p.stdout.read1(1)
p.send_signal(getattr(signal, sys.argv[1]))
out, err = p.communicate(timeout=60)
print(p.returncode, err.decode().strip(), len(out) > 0, out.endswith(b"\n"))
END
for signal in SIGINT SIGTERM SIGHUP; do
    python3 interrupt.py $signal "$FALCONER" run -m "$MODEL" -p Hello -n 2000 --ignore-end
done
python3 interrupt.py SIGINT "$FALCONER" run -m "$MODEL" -p Hello -n 8000 --ignore-end --device ref --json
# A file under way goes with it. The source is large but sparse.
python3 - "$FALCONER" <<'END'
import os, signal, subprocess, sys, time
import struct
def text(s): return struct.pack("<Q", len(s)) + s.encode()
def u32(key, value): return text(key) + struct.pack("<II", 4, value)
sizes = {"block_count": 4, "embedding_length": 8192, "feed_forward_length": 32768, "context_length": 2048,
         "attention.head_count": 128, "attention.head_count_kv": 8}
keys = [text("general.architecture") + struct.pack("<I", 8) + text("falcon")]
keys += [u32("falcon." + name, value) for name, value in sizes.items()]
keys += [text("falcon.attention.layer_norm_epsilon") + struct.pack("<If", 6, 1e-5)]
tensors = [text(f"blk.{i}.ffn_up.weight") + struct.pack("<IQQIQ", 2, 8192, 32768, 0, i << 30) for i in range(4)]
head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys) + b"".join(tensors)
with open("large.gguf", "wb") as f:
    f.write(head + bytes(-len(head) % 32))
    f.truncate(f.tell() + (4 << 30))
p = subprocess.Popen([sys.argv[1], "quantize", "large.gguf", "small.gguf", "q8_0"], stdout=subprocess.DEVNULL,
                     stderr=subprocess.PIPE)
before = set(os.listdir("."))
while p.poll() is None and set(os.listdir(".")) == before:
    time.sleep(0.01)
p.send_signal(signal.SIGTERM)
err = p.communicate(timeout=60)[1]
print("quantize", p.returncode, err.decode().split("'")[0].strip(), sorted(set(os.listdir(".")) - before))
END
