. "$TOOLS"
model falcon-40b-like
cd "$TEMP"
"$FALCONER" inspect falcon-40b-like.gguf --tensors --metadata
"$FALCONER" inspect falcon-40b-like.gguf --tensors --metadata --json >all.json
need python3
python3 - <<'END'
import json
o = json.load(open("all.json"))
assert o["architecture"] == "falcon" and o["can_run"] is True
assert o["weight_bytes"] == sum(t["bytes"] for t in o["tensors"])
assert o["bits_per_weight"] == 32 and len(o["tensors"]) == o["tensor_count"]
# keys and values of every KV head in every layer, f32 as all weights are
cache = 2048 * 4 * 2 * o["layers"] * o["kv_heads"] * o["head_dim"]
assert o["memory"][0] == {"context": 2048, "kv_type": "f32", "weight_bytes": o["weight_bytes"], "cache_bytes": cache,
                          "total_bytes": cache + o["weight_bytes"]}
assert o["metadata"]["general.architecture"] == "falcon"
assert len(o["metadata"]["tokenizer.ggml.tokens"]) == o["tokenizer"]["tokens"] == o["n_vocab"]
END
