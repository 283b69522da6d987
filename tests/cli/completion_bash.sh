. "$TOOLS"
need bash
cat >ask.bash <<'END'
source <("$FALCONER" completion bash)
compopt() { :; }
ask() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _falconer
    echo "${*:2}: ${COMPREPLY[*]}"
}
ask falconer s
ask falconer run --max
ask falconer run --context-method ntk-
ask falconer rope --method dyn
ask falconer help con
ask falconer completion ''
ask falconer convert --type ''
ask falconer run --temperature ''
END
bash ask.bash
