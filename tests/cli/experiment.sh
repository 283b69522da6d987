. "$TOOLS"
# The smallest preset: seeds are kept, shared among processes, taken up; the report follows from them alone.
run() {
    "$FALCONER" experiment context-extension --preset smoke --quiet "$@"
}
run -o a --only 2 --threads 1 || fail "one seed"
ls a
run -o a --threads 2 >verdicts 2>notices || fail "the rest"
cut -c 1-10 verdicts | sort | uniq -c | awk '{ n += $1 } END { print n " claims" }'
grep -c 'wrote a/README.md' notices
ls a | grep -v svg
head -n 1 a/README.md
grep -c 'seed-N.json' a/README.md
# Nothing is computed again, and the text stays.
cp a/README.md before
cp a/seed-1.json before-1
run -o a --json >result.json || fail "again"
cmp a/README.md before && cmp a/seed-1.json before-1 || exit 1
sed 's/"has_figures": [a-z]*/"has_figures": F/' result.json | cut -c 1-75
# Other processes and threads give the same numbers.
run -o b --only 1 --threads 3 || fail "one more"
grep -v '"seconds"' a/seed-1.json >left
grep -v '"seconds"' b/seed-1.json | cmp - left || exit 1
# What is there and cannot be taken up.
try "$FALCONER" experiment context-extension -p quick -o b
echo '{' >b/seed-1.json
try run -o b
mkdir c
try run -o c/../a/seed-1.json
try run --only 1 --seeds 2
try "$FALCONER" experiment context-extension --preset huge
try "$FALCONER" experiment context-extension --device abacus
try "$FALCONER" experiment bread
try "$FALCONER" experiment
