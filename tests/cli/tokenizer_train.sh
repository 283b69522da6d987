. "$TOOLS"
# A vocabulary from text and conversations, the same for any number of threads, that the program reads back.
golden=$SOURCE_DIR/tests/golden
cp "$SOURCE_DIR/LICENSE" text.txt
cat >chats.jsonl <<'END'
{"messages": [{"role": "user", "content": "Who keeps the falcon?"}, {"role": "assistant", "content": "The falconer keeps the falcon."}]}
{"text": "The falconer keeps the falcon, <end_message> and the butler keeps the door."}
END
train() {
    "$FALCONER" tokenizer-train text.txt chats.jsonl --vocab-size 500 "$@"
}
train --out one --threads 1 --context 2048 2>message || fail "one thread"
sed 's/ of text.*//' message
train --out two --threads 3 --context 2048 --quiet || fail "three threads"
cmp one/tokenizer.json two/tokenizer.json || exit 1
cmp one/tokenizer_config.json two/tokenizer_config.json || exit 1
tr -d '\n' <one/tokenizer_config.json | sed 's/  */ /g; s/"chat_template": "[^"]*/"chat_template": ".../'
echo
sed -n '/"vocab": {/,/"Ċ"/p' one/tokenizer.json | tr -d ' \n' | cut -c 1-140
echo

# In a model with as many rows text comes back from its ids, and the name of a control token in text stays text.
cp -r "$golden/models/falcon-7b-like" folder
rows=$(sed -n 's/.*"vocab_size": *\([0-9]*\).*/\1/p' folder/config.json)
"$FALCONER" tokenizer-train text.txt -n "$rows" -o folder --force --quiet || fail "$rows tokens"
"$FALCONER" convert --quiet folder model.gguf || fail "convert"
said='The falcon, <end_message> über alles: 1234567'
ids=$("$FALCONER" tokenize -m model.gguf "$said" --json | sed 's/.*"ids": \[\([^]]*\)\].*/\1/; s/ //g')
case ,$ids, in *,4,*) fail "a control token came out of text" ;; esac
[ "$("$FALCONER" tokenize -m model.gguf --decode "$ids")" = "$said" ] || fail "the text did not come back"

"$FALCONER" tokenizer-train text.txt -n 700 -o small --chat-format plain --control '<x>' --quiet || fail "plain"
grep '"content"' small/tokenizer.json
grep -c 'end_message' small/tokenizer_config.json

# What goes wrong is told before anything is written.
try "$FALCONER" tokenizer-train text.txt
try "$FALCONER" tokenizer-train -o out
try "$FALCONER" tokenizer-train text.txt -o out -n 260
try "$FALCONER" tokenizer-train text.txt -o out -n 100
try "$FALCONER" tokenizer-train text.txt -o one
try "$FALCONER" tokenizer-train absent.txt -o out
try "$FALCONER" tokenizer-train text.txt -o out --chat-format alfredo
try "$FALCONER" tokenizer-train text.txt -o out --control '<end_message>'
: >empty.txt
try "$FALCONER" tokenizer-train empty.txt -o out
try "$FALCONER" tokenizer-train chats.jsonl -o out --field story
printf '{"text": "a"}\n{"text"\n' >bad.jsonl
try "$FALCONER" tokenizer-train bad.jsonl -o out
[ ! -e out ] || fail "something was written"
try "$FALCONER" tokenizer-train chats.jsonl -o out -n 5000 --min-count 3 | sed 's/, in [0-9.]* s$//'
