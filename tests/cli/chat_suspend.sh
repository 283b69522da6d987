. "$TOOLS"
# A chat that was stopped and goes on keeps its conversation; a message is in the history at once; SIGTERM leaves.
need tmux
need bash
need pgrep
model falcon-7b-like
history=$HOME/.local/state/falconer/chat_history
tmux() { command tmux -S "$TEMP/socket" -f /dev/null "$@"; }
type() { tmux send-keys -t chat "$@"; }
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
tmux new-session -d -s chat -x 100 -y 50 "env PS1='ready\$ ' bash --norc --noprofile -i" || skip "tmux cannot start"
see '^ready\$'
type "\"$FALCONER\" chat -m \"$MODEL\" --seed 1 -n 3 --threads 2" Enter
see '^/help lists'
type 'Hello' Enter
see '(3 tokens'
grep -q Hello "$history" || fail "the history waits for the end"
[ "$(stat -c %a "$history")" = 600 ] || fail "others can read the history"
for i in 1 2 3; do
    type C-z
    see 'Stopped'
    type 'clear; fg' Enter
    sleep 0.5
    type "/set top-k $i" Enter
    sleep 0.3
done
type "/save $TEMP/saved.json" Enter
see 'saved 2 messages'
pid=$(pgrep -P "$(tmux display-message -p -t chat '#{pane_pid}')")
kill -TERM "$pid"
see '^falconer: chat: ended by a signal'
type 'echo left with $?' Enter
see '^left with'
tmux kill-server
grep -q save "$history" || fail "a later line is not in the history"
[ "$(ls "$(dirname "$history")")" = chat_history ] || fail "something lies beside the history"
