. "$TOOLS"
# Alfred-40B's published files from its config alone: the data of each, to the byte, is the published size less the
# 2,315,968 bytes of its header.
mkdir alfred && cat >alfred/config.json <<'JSON'
{"architectures": ["RWForCausalLM"], "model_type": "RefinedWeb", "hidden_size": 8192, "n_layer": 60, "n_head": 128,
 "n_head_kv": 8, "multi_query": true, "parallel_attn": true, "vocab_size": 65024, "layer_norm_epsilon": 1e-5,
 "alibi": false, "bias": false, "bos_token_id": 11, "eos_token_id": 11,
 "ntk_scaling_factor": 5, "embedding_scaling_factor": 4, "vanilla_scaling_factor": null}
JSON
"$FALCONER" quantize alfred/config.json --out-dir . --dry-run --recipe 2023 --json Q2_K Q3_K_S Q3_K_M Q4_K_S Q4_K_M Q5_0 |
    grep -o '"data_bytes": [0-9]*' | while read -r key bytes; do echo $((bytes + 2315968)); done
try "$FALCONER" quantize alfred --out-dir . --quiet Q2_K
