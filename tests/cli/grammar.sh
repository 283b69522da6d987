. "$TOOLS"
need python3
model falcon-7b-like
# Answers follow a grammar or a schema, drawn or not; what is no grammar is refused with its place.
cat >cat.gbnf <<'END'
root ::= "The cat is called " [A-Z] [a-z]{2,8} "."
END
cat >person.json <<'END'
{"type": "object", "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0,
 "maximum": 120}, "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 2}}, "required": ["name", "age"]}
END
"$FALCONER" run -m "$MODEL" -p Hello --grammar cat.gbnf >cat || fail run
grep -Eqx 'The cat is called [A-Z][a-z]{2,8}\.' cat || fail "not by the grammar: $(cat cat)"
"$FALCONER" run -m "$MODEL" -p Hello --json-schema person.json --do-sample --seed 1 --num-return-sequences 8 --ignore-end \
    --json >people.json || fail schema
printf 'Hello\nAgain\n' | "$FALCONER" chat -m "$MODEL" --json-schema person.json --seed 2 >talk || fail chat
python3 - <<'END' || fail "not by the schema"
import json
def check(text):
    person = json.loads(text)
    assert list(person) in (["name", "age"], ["name", "age", "tags"]), person
    assert len(person["name"]) <= 12 and 0 <= person["age"] <= 120
    assert all(tag in "ab" for tag in person.get("tags", []))
answers = json.load(open("people.json"))["sequences"]
assert len({a["text"] for a in answers}) > 1
for answer in answers:
    assert answer["finish"] == "end", answer
    check(answer["text"])
text, n = open("talk").read().strip(), 0
while text:
    person, end = json.JSONDecoder().raw_decode(text)
    check(text[:end])
    text, n = text[end:].lstrip(), n + 1
assert n == 2
END
printf 'root ::= first |\n  "b\n' >bad.gbnf
printf '{"items": {"not": {}}}' >bad.json
try "$FALCONER" run -m "$MODEL" -p x --grammar bad.gbnf
try "$FALCONER" run -m "$MODEL" -p x --json-schema bad.json
try "$FALCONER" chat -m "$MODEL" --json-schema missing.json
try "$FALCONER" run -m "$MODEL" -p x --json-schema bad.json --grammar bad.gbnf
