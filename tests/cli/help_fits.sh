. "$TOOLS"
# Every line of every help fits 80 columns, one with few options fits 24 lines. The overview has a line per command.
for command in $(commands); do
    "$FALCONER" $command --help >help || fail "$command --help"
    "$FALCONER" help $command >again
    cmp help again || exit 1
    awk -v c=$command 'length($0) > 80 { print c ": " $0; bad = 1 } END { exit bad }' help || exit 1
    case $command in
    chat | run | serve | score | perplexity | compare | imatrix | quantize | publish | train) ;;
    *) [ "$(wc -l <help)" -le 24 ] || fail "$command --help has more than 24 lines" ;;
    esac
done
[ "$("$FALCONER" help | wc -l)" -le 40 ]
