. "$TOOLS"
[ -w /dev/full ] || skip "there is no /dev/full"
"$FALCONER" list types >/dev/full 2>message
echo "exit $?"
cat message
# A limit on the size of files is told, too, and leaves nothing behind.
model falcon-40b-like
mkdir room
(ulimit -f 8 && "$FALCONER" quantize "$MODEL" room/small.gguf Q4_0 --quiet) 2>message
echo "exit $?"
sed "s/'.*'/NAME/" message
ls -A room
