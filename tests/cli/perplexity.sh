. "$TOOLS"
need python3
model falcon-7b-like
printf 'The falcon is a bird of prey. It flies fast, and it sees far. Where it nests, other birds are seldom heard.\n' >text
"$FALCONER" score -m "$MODEL" -f text --json >score.json || fail "score"
n=$("$FALCONER" tokenize -m "$MODEL" --json <text | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["ids"]))')
"$FALCONER" perplexity -m "$MODEL" -f text -c "$n" --json >halves.json || fail "halves"
"$FALCONER" perplexity -m "$MODEL" -f text -c "$n" --stride 1 --json >all.json || fail "one window"
"$FALCONER" perplexity -m "$MODEL" -f text -c 16 --stride 4 --threads 1 --json >slid.json || fail "slid"
"$FALCONER" perplexity -m "$MODEL" -f - -c 16 --stride 4 --threads 3 --batch 5 --json <text >again.json || fail "again"
cmp slid.json again.json || exit 1
# The same numbers as score gives for the same timeline.
python3 - "$n" <<'END' || fail "differs from score"
import json, math, sys
n = int(sys.argv[1])
score = json.load(open("score.json"))["logprobs"]
assert len(score) == n > 32
for name, scored in (("halves", score[n // 2 + 1:]), ("all", score[1:])):
    got = json.load(open(name + ".json"))
    mean = -sum(scored) / len(scored)
    error = math.sqrt(sum((-x - mean) ** 2 for x in scored) / (len(scored) - 1) / len(scored))
    assert got["tokens"] == got["context"] == n and got["windows"] == 1 and got["scored"] == len(scored), got
    assert abs(got["nll"] - mean) < 1e-6 and abs(got["nll_error"] - error) < 1e-6, (got, mean, error)
    assert abs(got["perplexity"] / math.exp(mean) - 1) < 1e-6
    assert abs(got["perplexity_error"] / (math.exp(mean) * error) - 1) < 1e-5
slid = json.load(open("slid.json"))
assert slid["scored"] == n - 1 and slid["stride"] == 4 and slid["windows"] == 1 + math.ceil((n - 16) / 4)
END
"$FALCONER" perplexity -m "$MODEL" -f text -c 8 --windows 2 | sed 's/[0-9.]* +- [0-9.]*/VALUE/'
try "$FALCONER" perplexity -m "$MODEL" -f text
try "$FALCONER" perplexity -m "$MODEL" -f text -c 2
try "$FALCONER" perplexity -m "$MODEL" -f text -c 8 --stride 9
try "$FALCONER" perplexity -m "$MODEL"
: >empty
try "$FALCONER" perplexity -m "$MODEL" -f empty --stride 1
