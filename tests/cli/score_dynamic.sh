. "$TOOLS"
# A dynamic method chooses its base for the whole text, however the text is computed: what follows is what run draws.
need python3
model falcon-7b-like
text=$(for i in $(seq 40); do printf 'the falcon flies %d times ' $i; done)
method='--context-method dynamic-ntk --context-original 32 --context-scale 4 -c 4096'
"$FALCONER" run -m "$MODEL" $method -p "$text" -n 1 --logprobs --json >run.json || fail run
"$FALCONER" score -m "$MODEL" $method --text "$text" --logits --json >score.json || fail score
python3 - <<'END'
import json, math
run, score = json.load(open("run.json")), json.load(open("score.json"))
logits, drawn = score["last_logits"], run["sequences"][0]
best = max(logits)
assert run["prompt_tokens"] == len(score["ids"]) > 96, len(score["ids"])
assert drawn["ids"] == [logits.index(best)], (drawn["ids"], logits.index(best))
value = -math.log(sum(math.exp(x - best) for x in logits))
assert abs(drawn["logprobs"][0] - value) < 1e-5, (drawn["logprobs"], value)
END
