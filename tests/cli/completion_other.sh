. "$TOOLS"
if ! command -v zsh >/dev/null && ! command -v fish >/dev/null; then skip "neither zsh nor fish is installed"; fi
"$FALCONER" completion zsh >_falconer
"$FALCONER" completion fish >falconer.fish
if command -v zsh >/dev/null; then zsh -n _falconer || exit 1; fi
if command -v fish >/dev/null; then
    fish --no-execute falconer.fish || exit 1
    fish -c 'source falconer.fish; complete -C "falconer run --max-n"' | grep -q '^--max-new-tokens' || exit 1
    fish -c 'source falconer.fish; complete -C "falconer rope --method yar"' | grep -q '^yarn' || exit 1
fi
