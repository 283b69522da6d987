"$FALCONER" --version
