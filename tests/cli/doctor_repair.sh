. "$TOOLS"
# A file that lost a key gets it back, without and with a new file, and goes on computing the same.
model falcon-40b-like
cd "$TEMP"
run() {
    "$FALCONER" run -m "$1" -p "Once upon a time" -n 12 --temperature 0 2>/dev/null || fail "run $1"
}
# The way in which data is copied is the file system's matter.
without_way() {
    sed 's/its data cloned/its data WAY/; s/its data copied by the system/its data WAY/; s/its data copied$/its data WAY/'
}
sed 's/tokenizer\.ggml\.pre/tokenizer.ggml.prx/' falcon-40b-like.gguf >lost.gguf
cp lost.gguf before.gguf
run falcon-40b-like.gguf >expected
"$FALCONER" doctor lost.gguf
echo "exit $?"
"$FALCONER" doctor lost.gguf --repair --out out.gguf | without_way
cmp lost.gguf before.gguf || fail "--out changed the file"
"$FALCONER" doctor lost.gguf --repair | without_way
"$FALCONER" doctor out.gguf lost.gguf --repair
echo "exit $?"
cmp out.gguf lost.gguf || fail "both ways differ"
run lost.gguf >after
cmp expected after || fail "other answers after the repair"
ls
