. "$TOOLS"
# A person at a terminal: editing, Ctrl-C at an answer and at the prompt, history.
need tmux
# An answer of this model with this seed does not end by itself; the slow device leaves time to stop it.
model falcon-7b-like
tmux() { command tmux -S "$TEMP/socket" -f /dev/null "$@"; }
type() { tmux send-keys -t chat "$@"; }
# Waits until the screen shows a line.
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
# What is typed before the prompt is there may be lost.
ready() { see '^> *$'; }
tmux new-session -d -s chat -x 100 -y 50 "sh -c 'trap : INT; \"$FALCONER\" chat -m \"$MODEL\" --seed 1 -c 20000 --device ref; echo left with \$?; sleep 60'" ||
    skip "tmux cannot start"
see '^/help lists'
ready
type 'Helo' Left 'l' Enter
see '^> Hello'
sleep 1
type C-c
see 'tokens, .* per second, stopped)'
ready
type '/set max-new-tokens 3' Enter
ready
type 'half a line'
see '^> half a line'
type C-c
type 'again' Enter
see '(3 tokens, .* cut at max-new-tokens)'
ready
type '/nonsense' Enter
see "unknown command '/nonsense'"
ready
type Up Up
see '^> again$'
type C-c
sleep 0.3
grep -q 'Ctrl-C again' screen && fail "Ctrl-C that threw a line away counts as leaving"
type C-c
see 'Ctrl-C again or Ctrl-D leaves'
type C-c
see 'left with 0'
tmux kill-server
grep -q 'half' "$HOME/.local/state/falconer/chat_history" && fail "a line thrown away is in the history"
grep -q 'Hello' "$HOME/.local/state/falconer/chat_history" || fail "no history"
[ "$(stat -c %a "$HOME/.local/state/falconer/chat_history")" = 600 ] || fail "others can read the history"
