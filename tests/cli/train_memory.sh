. "$TOOLS"
need python3
grep -q '__[at]san_init' "$FALCONER" && skip "sanitizers take memory of their own"
training_data
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
