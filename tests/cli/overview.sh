"$FALCONER" >bare && "$FALCONER" --help >long && "$FALCONER" -h >short && "$FALCONER" help >word || exit 1
cmp bare long && cmp bare short && cmp bare word && cat bare
