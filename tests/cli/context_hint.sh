. "$TOOLS"
# Beyond what the settings are good for: methods are only named where positions are rotary.
model falcon-7b-like
"$FALCONER" score -m "$MODEL" -c 100000 --ids 1,2 2>&1 >/dev/null
model falcon-rw-like
"$FALCONER" score -m "$MODEL" -c 100000 --ids 1,2 2>&1 >/dev/null
