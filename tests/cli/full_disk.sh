. "$TOOLS"
[ -w /dev/full ] || skip "there is no /dev/full"
"$FALCONER" list types >/dev/full 2>message
echo "exit $?"
cat message
