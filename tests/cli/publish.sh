. "$TOOLS"
# A set as one would upload it: what is in the folder, what the card says, what is refused, what goes on.
model=$SOURCE_DIR/tests/golden/models/falcon-40b-like
cp -r "$model" tiny && chmod -R u+w tiny
printf -- '---\nlicense: apache-2.0\nlanguage:\n- en\n---\n# Tiny\n\n![a bird](bird.png)\n' >tiny/README.md
echo picture >tiny/bird.png
try "$FALCONER" publish tiny
try "$FALCONER" publish tiny set
try "$FALCONER" publish absent set --no-measure
try "$FALCONER" publish tiny tiny/README.md --no-measure
try "$FALCONER" publish tiny set --no-measure --types Q4_0,Q4_5
try "$FALCONER" publish tiny set --no-measure --text tiny/README.md
echo 'a {{nothing}}' >bad.md
"$FALCONER" publish tiny set --no-measure --template bad.md 2>message
echo "exit $?"
cut -c -60 message
[ ! -e set ] || fail "something was written"

"$FALCONER" publish tiny set --no-measure --types Q4_0,Q8_0 --quiet || fail "publish"
ls set
"$FALCONER" lint set || fail "lint"
(cd set && sha256sum -c SHA256SUMS) || exit 1
sed -n '1,12p' set/README.md
cp set/README.md before
"$FALCONER" publish tiny set --no-measure --types Q4_0,Q8_0 2>message || fail "publish again"
grep '^kept' message
cmp before set/README.md || fail "the card changed"

echo '{{name}}: {{file_count}} files' >own.md
"$FALCONER" publish tiny set --no-measure --types Q4_0,Q8_0 --quiet --template own.md --license mit || fail "own template"
cat set/README.md
try "$FALCONER" lint set
"$FALCONER" lint set --json 2>message
echo "exit $?"
try "$FALCONER" lint absent

# What a training run leaves is named by the model, not by the run's folders.
mkdir run && "$FALCONER" convert -q tiny run/model.gguf --name "Small Falcon" && "$FALCONER" convert -q run/model.gguf run/hf
for source in run/model.gguf run/hf/; do
    "$FALCONER" publish $source "named$(basename $source)" --no-measure --types Q8_0 --quiet && ls "named$(basename $source)"
done
"$FALCONER" inspect namedhf/Small-Falcon.Q8_0.gguf | grep '^  name'

# Measured: memory is that of a process of its own, which holds all of the file and of the cache, and less than 400 MB more.
"$FALCONER" publish tiny measured --types Q8_0 --text "$SOURCE_DIR/CONTRIBUTING.md" --windows 2 --quiet || fail "measured"
cp measured/README.md before
grep -c '^Memory is .* as measured' measured/README.md
grep -o '"peak_memory_bytes": [0-9]*' measured/measurements.json | (
    read -r key peak
    bytes=$(wc -c <measured/tiny.Q8_0.gguf)
    [ "$peak" -lt $((bytes + 400000000)) ] || echo "$key $peak is too much"
    [ "$peak" -gt "$bytes" ] || echo "$key $peak is too little"
)
"$FALCONER" publish tiny measured --types Q8_0 --text "$SOURCE_DIR/CONTRIBUTING.md" --windows 2 2>message || fail "measured again"
grep '^measured before' message
cmp before measured/README.md || fail "the card of measured files changed"

# Names are names: gnuplot would run what follows a "<" at the beginning of a path.
"$FALCONER" publish tiny '<touch harm; ' --types Q4_0,Q8_0 --text "$SOURCE_DIR/CONTRIBUTING.md" --windows 1 --quiet || fail "odd name"
[ ! -e harm ] || fail "a name was run as a command"
"$FALCONER" lint '<touch harm; ' || fail "lint of an odd name"
