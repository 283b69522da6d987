# For tests whose judge is a package from npm, fetched as a lock file tells. Sourced; 77: something that is needed is not here.

skip() {
    echo "skipped: $1"
    exit 77
}

# fetch FROM OUT: what FROM's lock file names lies in OUT/node_modules. Tests that run at once wait for whoever fetches.
fetch() {
    command -v node >/dev/null || skip "node is not installed"
    command -v npm >/dev/null || skip "npm is not installed"
    mkdir -p "$2"
    exec 9>"$2/lock"
    flock 9 || skip "flock fails in $2"
    if ! cmp -s "$1/package-lock.json" "$2/fetched.json"; then
        cp "$1/package.json" "$1/package-lock.json" "$2/"
        (cd "$2" && npm ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1) >"$2/npm.log" 2>&1 ||
            skip "npm cannot fetch what this needs, see $2/npm.log"
        cp "$1/package-lock.json" "$2/fetched.json"
    fi
    exec 9>&-
}
