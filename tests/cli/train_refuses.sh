. "$TOOLS"
need python3
training_data
# Sizes that no machine has, at once and before the data are read.
for size in "--d-model 16777216" "--d-model 1048576 --n-heads 64 --n-layers 4096" "--d-ff 16777217" "-b 1048577"; do
    try "$FALCONER" train $FRESH $size -s missing.txt -o sizes
done
memory() {
    sed 's/[0-9.]* [KMGTP]iB of memory/N of memory/; s/[0-9.]* [KMGTP]iB free/N free/; s/parameters/p/; s/has .* p,/has N p,/'
}
try "$FALCONER" train $FRESH --d-model 131072 --d-ff 131072 -s missing.txt -o sizes | memory
try "$FALCONER" train $FRESH -l 8388608 --d-model 1024 --micro-batch 2 -s missing.txt -o sizes | memory
ls -A sizes 2>/dev/null
# A step of a million short sequences is planned in a moment; memory has a bound for longer ones.
"$FALCONER" train $FRESH -b 1048576 -s text.txt --plan | grep steps
# Sources of which nothing is left are named, with the reasons.
: >empty.txt
: >empty.jsonl
sed 's/"assistant"/"user"/' talks.jsonl | head -5 >bad.jsonl
echo broken >>bad.jsonl
try "$FALCONER" train -q $FRESH -s empty.txt -o none
try "$FALCONER" train -q $FRESH -s empty.jsonl -o none
try "$FALCONER" train -q $FRESH -s bad.jsonl -s empty.txt -o none
printf 'no\nrecords\n' >words.csv
try "$FALCONER" train -q $FRESH -s words.csv -o none
try "$FALCONER" train -q $FRESH -s text.txt --validation empty.txt -o none
# One process at a time in a folder; what a killed run left in it goes.
mkdir -p shared/hf.partial-1-0 && echo x >shared/hf.partial-1-0/config.json && echo x >shared/model.gguf.partial-12-3
echo x >shared/start.partial && echo x >shared/other.partial-12-3
cat >hold.py <<'END_OF_FILE'
import fcntl, subprocess, sys
with open("shared/.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    sys.exit(subprocess.call(sys.argv[1:]))
END_OF_FILE
try python3 hold.py "$FALCONER" train -q $FRESH -s text.txt -n 64 -o shared
try "$FALCONER" train -q $FRESH -s text.txt -n 64 -o shared
ls shared
