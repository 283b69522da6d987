. "$TOOLS"
need python3
model falcon-7b-like
run() { "$FALCONER" run -m "$MODEL" -p 'The quick brown fox' "$@"; }

# Greedy unless sampling is asked for.
run -n 12 >a && run -n 12 --temperature 0 >b && run -n 12 --top-k 1 >c && cmp a b && cmp a c || fail greedy
# One seed gives one text, whatever the threads; another seed another.
run -n 30 --do-sample --seed 7 --threads 1 >a && run -n 30 --do-sample --seed 7 --threads 3 >b && cmp a b || fail threads
run -n 30 --do-sample --seed 8 >c && cmp -s a c && fail seeds
# The first of several sequences is the only one of one; the prompt is the same from an option, a file and a pipe.
printf 'The quick brown fox' >prompt
"$FALCONER" run -m "$MODEL" -f prompt -n 9 --top-p 0.9 --seed 3 >b && run -n 9 --top-p 0.9 --seed 3 >a && cmp a b || fail file
"$FALCONER" run -m "$MODEL" -n 9 --top-p 0.9 --seed 3 <prompt >b && cmp a b || fail pipe
run -n 9 --top-p 0.9 --seed 3 --num-return-sequences 3 --json --logprobs >many.json || fail sequences
run -n 9 --top-p 0.9 --seed 3 --json >one.json || fail sequence
run --max-length 20 --ignore-end --json >length.json || fail length
run -n 20 --ignore-end --json --full-text >full.json || fail full
python3 - <<'END' || fail "JSON differs"
import json
many, one, length, full = (json.load(open(f"{n}.json")) for n in ("many", "one", "length", "full"))
assert len(many["sequences"]) == 3 and many["seed"] == 3
first = dict(many["sequences"][0])
assert len(first.pop("logprobs")) == first["tokens"] == len(first["ids"])
assert first == one["sequences"][0]
assert len({s["text"] for s in many["sequences"]}) > 1
assert length["prompt_tokens"] + length["sequences"][0]["tokens"] == 20
assert length["sequences"][0]["finish"] == "length"
assert full["sequences"][0]["text"].startswith("The quick brown fox") and full["sequences"][0]["tokens"] == 20
# A stop word is one that the answer has; it is not part of the text.
text = full["sequences"][0]["text"][len("The quick brown fox"):]
open("stop", "w").write(text[6:9])
open("before", "w").write(text[:text.find(text[6:9])])
END
run -n 20 --ignore-end --stop "$(cat stop)" --json >stopped.json || fail stop
python3 - <<'END' || fail "the stop word did not stop"
import json
s = json.load(open("stopped.json"))["sequences"][0]
assert s["finish"] == "stop" and s["text"] == open("before").read() and s["stop_word"] == open("stop").read(), s
END
try run --max-length 2
try run -c 3 -n 5
try "$FALCONER" run -m "$MODEL" --chat -p x --chat-format alfredo
