. "$TOOLS"
need python3
model falcon-40b-like
chat() { "$FALCONER" chat -m "$MODEL" --seed 1 -n 8 --system 'Be kind.' "$@" 2>>notes; }

# Saved and loaded, a conversation goes on as it would have; /regen differs from the first answer but not from run to run.
printf 'Hello\nAgain\n' | chat >whole || fail whole
printf 'Hello\n/save one.json\n' | chat >first || fail save
printf '/load one.json\nAgain\n' | "$FALCONER" chat -m "$MODEL" --system 'Other words.' >>first 2>>notes || fail "go on"
cmp whole first || fail "a loaded conversation does not go on as it would have"
printf '/reset\n/load one.json\n/save two.json\n' | chat >nothing || fail load
cmp one.json two.json || fail "what was loaded differs"
[ -s nothing ] && fail "loading printed an answer"
printf '/set temperature 0\nHello\n/regen\n' | chat >greedy || fail regen
[ "$(sed -n 1p greedy)" = "$(sed -n 2p greedy)" ] || fail "two greedy answers differ"
printf '/system\n/system none\n/system\n/system Other words.\n/save three.json\n/set\n/help\n/quit\nnever\n' | chat >quit || fail system
[ -s quit ] && fail "/quit did not end it"
python3 - <<'END'
import json
one, three = json.load(open("one.json")), json.load(open("three.json"))
assert one["answers"] == 1 and three["answers"] == 0
assert [m["role"] for m in one["messages"]] == ["user", "assistant"] and one["messages"][0]["content"] == "Hello"
assert one["system"] == "Be kind." and one["settings"]["top-k"] == 3 and one["settings"]["max-new-tokens"] == 8
assert three["system"] == "Other words." and three["messages"] == []
END
grep -q '^Be kind.$' notes && grep -q 'no system prompt' notes && grep -q '/regen' notes || fail notes

refuse() {
    printf '%s' "$1" >bad.json
    printf '/load bad.json\n' | "$FALCONER" chat -m "$MODEL" --seed 1 2>&1
    echo "exit $?"
}
refuse '[]'
refuse '{"messages": 3}'
refuse '{"messages": [{"role": "system", "content": ""}]}'
refuse '{"messages": [{"role": "user", "content": 3}]}'
refuse '{"messages": [], "system": 3}'
refuse '{"messages": [], "settings": {"top-p": 7}}'
refuse '{"messages": [], "settings": {"top-q": 0.5}}'
refuse '{"messages": [], "falconer_conversation": 2}'
refuse '{"messages": [], "answers": -1}'
refuse '{"messages": [], "answers": "1"}'
refuse '{"messages": ['
refuse '{"messages": [{"role": "user", "content": "\u0000"}]}'
# A loaded conversation may end with a question: /regen answers it. One that begins with an answer has none to answer.
printf '{"messages": [{"role": "user", "content": "Hello"}]}' >asked.json
printf '/load asked.json\n/regen\n/save answered.json\n' | chat >once || fail "regen of a question"
python3 -c 'import json; assert [m["role"] for m in json.load(open("answered.json"))["messages"]] == ["user", "assistant"]' || fail roles
refuse '{"messages": [{"role": "assistant", "content": "Hello"}]}'
printf '/load bad.json\n/regen\n' | "$FALCONER" chat -m "$MODEL" 2>&1
# Only what is free, or a saved conversation, is written.
printf 'precious\n' >precious.txt
printf '{"precious": 1}' >precious.json
printf '/save precious.txt\n' | "$FALCONER" chat -m "$MODEL" 2>&1
printf '/save precious.json\n' | "$FALCONER" chat -m "$MODEL" 2>&1
printf '/save .\n' | "$FALCONER" chat -m "$MODEL" 2>&1
cat precious.txt precious.json
echo
printf '/save three.json\n/save three.json\n' | chat || fail "save again"
printf '/load absent.json\n' | "$FALCONER" chat -m "$MODEL" 2>&1
printf '/save absent/file.json\n' | "$FALCONER" chat -m "$MODEL" 2>&1 | sed 's/partial-[0-9-]*/partial-N/'
printf '/regen\n' | "$FALCONER" chat -m "$MODEL" 2>&1
echo "exit $?"
# /set and /system say what is in force; elsewhere a conversation goes on, and it is said.
printf '/set foo 1\n' | chat
tail -n 1 notes
printf '/set top-k\n/set top-k 7\n/set to-k\n' | "$FALCONER" chat -m "$MODEL" 2>&1
printf '/system two\\\nlines\n/system none\n' | "$FALCONER" chat -m "$MODEL" 2>&1
cp "$MODEL" other.gguf
printf '/load one.json\n' | "$FALCONER" chat -m other.gguf 2>&1
printf '/load one.json\n' | "$FALCONER" chat -m "$MODEL" --chat-format plain 2>&1
