. "$TOOLS"
model falcon-40b-like
talk() {
    printf 'Hello\nmore and more\nyet more\nand this\nand that\n' |
        "$FALCONER" chat -m "$MODEL" --seed 1 -n 10 --system '' -c 64 "$@" 2>notes
    echo "exit $?"
    sed 's/[0-9.]* per second/N per second/' notes
}
# Old turns are dropped, which is told each time; or the conversation is refused. Never silently.
talk | grep -v '^falcon\|tokens, N' | grep 'dropped\|exit'
talk --overflow stop | grep 'falconer\|exit'
printf 'one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen\n' |
    "$FALCONER" chat -m "$MODEL" --seed 1 --system '' -c 16 2>&1
echo "exit $?"
