. "$TOOLS"
need mandoc
# References to pages that are not installed are all that may be found.
for command in '' $(commands); do
    "$FALCONER" help --man $command >page.1 || exit 1
    mandoc -Tlint page.1 | grep -v 'referenced manual not found'
done
true
