. "$TOOLS"
# The model inside holds a short conversation without being named, and is right about a sample of what is held out:
# tests/golden/fledgling has the first rows of the recipe's tests.
need python3
"$FALCONER" inspect >facts 2>/dev/null || skip "no model is built in"
sed -n '1p; /^  name/p' facts
[ "$(wc -c <"$SOURCE_DIR/models/fledgling-Q8_0.gguf")" -le 8000000 ] || fail "the model has more than 8 MB"
"$FALCONER" chat --temperature 0 <<'END'
Hello.
Who are you?
My cat is called Minka.
What is 7 plus 8?
What is my cat called?
Wie heißt die Hauptstadt von Frankreich?
Merci beaucoup.
Explain gravity to me.
END
python3 "$SOURCE_DIR/recipes/fledgling/check.py" "$SOURCE_DIR/tests/golden/fledgling" --falconer "$FALCONER" \
    --threads 2 >shares 2>message || fail "$(cat shares message)"
