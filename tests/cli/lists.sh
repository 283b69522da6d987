. "$TOOLS"
# The lists themselves are the library's; here they must be there and name what people look for.
"$FALCONER" list types | grep -q '^q4_k .*4.5 bits per weight' || fail types
"$FALCONER" list types | grep -q '^f32 ' || fail types
"$FALCONER" list architectures | grep -q '^falcon .*RWForCausalLM' || fail architectures
"$FALCONER" list methods | grep -q '^ntk-yarn ' || fail methods
"$FALCONER" list chat-formats | grep -q '^alfred ' || fail chat-formats
"$FALCONER" list devices | grep -q '^cpu ' || fail devices
"$FALCONER" list methods --json | grep -q '{"name": "ntk-yarn", "meaning": ' || fail json
"$FALCONER" list nothing 2>&1 | sed 's/.*one of //' | tr -d ' ' | tr ',' '\n' | while read -r name; do
    "$FALCONER" list --help | grep -qw -- "$name" || fail "list --help does not name $name"
done || exit 1
