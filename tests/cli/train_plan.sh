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
# A terminal sees a bar, which tells pace and time from when they are known.
cat >terminal.py <<'END'
import os, pty, re, subprocess, sys
ours, theirs = pty.openpty()
run = subprocess.Popen(sys.argv[1:], stderr=theirs)
os.close(theirs)
said = b""
try:
    while block := os.read(ours, 4096):
        said += block
except OSError:
    pass
bars = re.findall(r"step \d+ of 16, loss [^\r]*%[^\r]*", said.decode())
print(run.wait(), "left" in bars[0], "left" in bars[-1])
END
python3 terminal.py "$FALCONER" train $FRESH -s talks.jsonl -s text.txt -n 640 --threads 1 --no-hf -o seen
