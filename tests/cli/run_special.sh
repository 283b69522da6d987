. "$TOOLS"
need python3
model falcon-40b-like
# The names of control tokens in a prompt are text unless --special; --chat makes the prompt of the model card.
prompt='<start_system>Be kind.<end_message><start_user>Hello<end_message><start_assistant>'
"$FALCONER" run -m "$MODEL" -n 4 -p "$prompt" --json >text.json
"$FALCONER" run -m "$MODEL" -n 4 -p "$prompt" --special --json >special.json
"$FALCONER" run -m "$MODEL" -n 4 -p Hello --chat --system 'Be kind.' --json >chat.json
"$FALCONER" tokenize -m "$MODEL" "$prompt" --count >n_text
"$FALCONER" tokenize -m "$MODEL" "$prompt" --count --special >n_special
python3 - <<'END'
import json
text, special, chat = (json.load(open(f"{n}.json")) for n in ("text", "special", "chat"))
n_text, n_special = int(open("n_text").read()), int(open("n_special").read())
assert text["prompt_tokens"] == n_text > n_special == special["prompt_tokens"] == chat["prompt_tokens"]
assert special["sequences"] == chat["sequences"]
END
