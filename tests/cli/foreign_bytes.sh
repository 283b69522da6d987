. "$TOOLS"
# What files and command lines hold never acts on the terminal: an escape sequence, C1 (CSI), DEL, a lone byte.
need script
script -qec true /dev/null </dev/null >/dev/null 2>&1 || skip "script cannot open a terminal"
escape=$(printf '\033[31m') csi=$(printf '\302\2332J') delete=$(printf '\177') lone=$(printf '\377')
foreign="bad$escape$csi$delete$lone"
mkdir "$foreign"
"$FALCONER" convert --quiet --type f32 --name "bad$escape$csi$delete" "$SOURCE_DIR/tests/golden/models/falcon-40b-like" \
    "$foreign/model.gguf" || fail convert
model=$foreign/model.gguf

# The output of a command on a terminal must not hold what acts; the rest of the name must be there.
harmless() {
    grep -q 'bad' "$1" || fail "$1 does not show the name"
    # The one sequence of the program's own, that of the progress bar, does not count.
    sed "s/$(printf '\033')\[K//g" "$1" | LC_ALL=C grep -q "$(printf '[\033\177\377]\\|\302[\200-\237]')" && fail "$1 acts on the terminal"
}
on_terminal() {
    shown=$1
    shift
    printf '"$FALCONER" %s\n' "$*" >line
    export model foreign
    script -qec 'sh line' /dev/null </dev/null >"$shown" 2>&1
    harmless "$shown"
}
on_terminal inspected inspect '"$model"' --tensors --metadata
on_terminal inspected.json inspect '"$model"' --metadata --json
on_terminal absent inspect '"$foreign"/absent'
on_terminal option inspect '"--$foreign"'
on_terminal command '"$foreign"'
on_terminal verbose score -m '"$model"' --verbose --ids 1,2

# Notices and errors are harmless in a log, too.
printf '{"system": "bad \\u001b[31m \\u009b2J \\u007f", "messages": [], "falconer_conversation": 1}' >"$foreign/talk.json"
printf '/load %s/talk.json\n/system\n/nonsense%s\n' "$foreign" "$escape$csi$delete" |
    "$FALCONER" chat -m "$model" --seed 1 2>notes
[ $? -eq 2 ] || fail "chat"
harmless notes
"$FALCONER" "$foreign" 2>error
harmless error

# Results in a pipe are the bytes themselves.
"$FALCONER" inspect "$model" | grep -qF "bad$escape$csi$delete" || fail "a pipe does not get the name's bytes"
