. "$TOOLS"
# Every option and argument of --help stands in the manual page and in each completion, and the page has no other option.
for shell in bash zsh fish; do "$FALCONER" completion $shell >$shell.txt || exit 1; done
n=0
for command in $(commands); do
    "$FALCONER" help --man $command >page || exit 1
    long_options $command | sort >from_help
    sed -n 's/^\.It .*Fl \\-\([a-z0-9-]*\).*/\1/p' page | sort >from_man
    diff from_help from_man || fail "$command: help (<) and manual page (>) differ"
    # The part of each script that is about this command.
    sed -n "s/^ *$command) words=.*options='\\([^']*\\)'.*/\\1/p" bash.txt | tr ' ' '\n' | sed 's/^--//' | sort >from_bash
    diff from_help from_bash || fail "$command: help (<) and bash completion (>) differ"
    sed -n "/^ *$command)\$/,/;;/p" zsh.txt | sed -n "s/^ *'\\**--\\([a-z0-9-]*\\)\\[.*/\\1/p" | sort >from_zsh
    diff from_help from_zsh || fail "$command: help (<) and zsh completion (>) differ"
    sed -n "s/.*seen_subcommand_from $command' -l \\([a-z0-9-]*\\).*/\\1/p" fish.txt | sort >from_fish
    diff from_help from_fish || fail "$command: help (<) and fish completion (>) differ"
    n=$((n + $(wc -l <from_help)))
done
[ $n -gt 60 ] || fail "only $n options were found"
