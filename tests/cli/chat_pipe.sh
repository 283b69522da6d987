. "$TOOLS"
model falcon-40b-like
chat() { "$FALCONER" chat -m "$MODEL" --seed 1 -n 8 --system 'Be kind.' "$@"; }

# A script gets answers only, and the same ones each time.
printf 'Hello\n\nAnd goodbye\n' | chat >a 2>notes && printf 'Hello\nAnd goodbye' | chat --no-history >b && cmp a b || fail same
grep -v 'cut at max-new-tokens' notes
[ ! -e "$HOME/.local" ] || fail "a pipe left a history"
# A block, a continued line and a plain message with the same text are one and the same.
printf '"""one\ntwo"""\n' | chat >a && printf 'one\\\ntwo\n' | chat >b && cmp a b || fail lines
# Two slashes stand for one in a message.
printf '//set\n/save s.json\n' | chat >/dev/null 2>&1 && grep -q '"content": "/set"' s.json || fail slashes
try chat </dev/null
printf 'Hello\n/set top-k x\nnever\n' | chat 2>message >out
echo "exit $?"
grep falconer message
printf 'Hello\n/reste\n' | chat 2>message >out
echo "exit $?"
grep falconer message
printf 'a\000b\n' | chat 2>message
echo "exit $?"
grep falconer message
