. "$TOOLS"
# Text of several lines that is pasted is one message; its control characters do nothing.
need tmux
model falcon-7b-like
tmux() { command tmux -S "$TEMP/socket" -f /dev/null "$@"; }
see() {
    for i in $(seq 300); do
        tmux capture-pane -p -S -200 -t chat >screen 2>/dev/null
        grep -q -- "$1" screen && return
        sleep 0.1
    done
    cat screen
    tmux kill-server
    fail "never seen: $1"
}
tmux new-session -d -s chat -x 100 -y 50 "sh -c '\"$FALCONER\" chat -m \"$MODEL\" --seed 1 -n 3; echo left with \$?; sleep 60'" ||
    skip "tmux cannot start"
see '^/help lists'
printf 'first line\nsecond\033x caf\303\251\n/quit' >pasted
tmux load-buffer pasted
tmux send-keys -t chat 'Say: '
tmux paste-buffer -p -t chat
see '/quit'
tmux send-keys -t chat ' and go on' Enter
see '(3 tokens'
tmux send-keys -t chat "/save $TEMP/saved.json" Enter
see 'saved 2 messages'
tmux kill-server
need python3
python3 -c '
import json
text = json.load(open("saved.json"))["messages"][0]["content"]
assert text == "Say: first line\nsecondx caf\u00e9\n/quit and go on", repr(text)
' || fail "what was pasted differs"
