. "$TOOLS"
need python3
training_data
echo '{broken' >>talks.jsonl
echo '{"messages": [{"role": "user", "content": "A question without an answer"}]}' >>talks.jsonl
# The plan tells what stays of the data, the steps and the memory, and leaves nothing behind.
"$FALCONER" train $FRESH -s talks.jsonl -s text.txt -n 640 --validation talks.jsonl --plan | sed 's/^memory .*/memory/' | uniq
ls
"$FALCONER" train $FRESH -s talks.jsonl -n 640 --plan --json >plan.json && python3 - <<'END'
import json
plan = json.load(open("plan.json"))
source = plan["sources"][0]
print(source["records"], source["kept"], source["dropped"], source["group"], source["share"])
assert source["tokens"] > source["answer_tokens"] > 0 and plan["steps"] * 2 * 32 >= 640
memory = plan["memory"]
assert memory.pop("total") == sum(memory.values())
END
# A damaged record ends a run that is strict, and is named.
try "$FALCONER" train $FRESH -q -s talks.jsonl -n 640 --strict
# The memory of a run is what was planned, within 5 %: fresh, from a file, with adapters, for every way of recomputing.
within() {
    "$FALCONER" train -q --no-hf --threads 1 -s text.txt "$@" --json >result.json || fail "$*"
    python3 - "$*" <<'END' || exit 1
import json, sys
result = json.load(open("result.json"))
planned, peak = result["planned_memory"], result["peak_memory"]
if not (abs(peak - planned) <= 0.05 * planned and planned > 75e6):
    sys.exit(f"{sys.argv[1]}: planned {planned}, peak {peak}")
END
}
few="-l 16 -b 1 -n 16"
within $FRESH $few --d-model 1024 --d-ff 2048 --n-heads 16 --n-kv-heads 2 -o large
within -m large $few -o again
within -m large $few --lora-rank 64 --lora-embeddings -o adapted
for recompute in none cheap layer; do
    within $FRESH --d-model 16 --d-ff 16384 -l 512 -b 1 -n 512 --recompute $recompute -o $recompute
done
echo "memory as planned"
