"$FALCONER" rope
"$FALCONER" rope --head-dim 8 --method ntk-margin --full
