. "$TOOLS"
FALCONER_CPU=fast FALCONER_LOG=all try "$FALCONER" --version
FALCONER_CPU=portable FALCONER_LOG=debug try "$FALCONER" --version
FALCONER_CPU='' try "$FALCONER" --version
