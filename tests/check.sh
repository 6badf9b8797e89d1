#!/usr/bin/env bash
# check.sh [FEATURES...]: the inner loop of a change, which `make check` runs with the features of `make test`.
#
# It checks the formatting, runs clippy on every target of the workspace, compiles the unit tests, and runs those of
# the packages with changes. Cargo compiles only the changed packages and those that depend on them. A change is a
# difference to the commit SINCE: by default, the last commit that the branch shares with the main branch.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
began=$SECONDS

say() { printf '\n==> %s\n' "$*"; }

# The commit with which the files are compared.
since() {
    local main
    for main in origin/main origin/master main master; do
        git merge-base HEAD "$main" 2> /dev/null && return
    done
    git rev-parse HEAD
}

# Folder of the package that has a file: the nearest folder above with a manifest.
package_of() {
    local folder
    folder=$(dirname "$1")
    until [ -f "$folder/Cargo.toml" ]; do
        folder=$(dirname "$folder")
    done
    echo "$folder"
}

since=${SINCE:-$(since)}
changed=$({ git diff --name-only "$since"; git ls-files --others --exclude-standard; } | sort -u)
packages=$(while read -r file; do [ -z "$file" ] || package_of "$file"; done <<< "$changed" | sort -u)

say "checking the formatting"
"$cargo" fmt --all --check

say "running clippy on the workspace"
"$cargo" clippy --workspace --all-targets --locked --quiet "$@" -- -D warnings

say "compiling the unit tests"
# The whole workspace is compiled, because other features of the dependencies would compile them again.
built=$("$cargo" test --workspace --lib --locked --no-run "$@" 2>&1) || { echo "$built" >&2; exit 1; }

for package in $packages; do
    name=$(sed -n 's/^name = "\(.*\)"$/\1/p' "$package/Cargo.toml" | head -n 1)
    program=$(sed -n "s|.*(\(.*/${name//-/_}-[0-9a-f]*\))\$|\1|p" <<< "$built" | head -n 1)
    case $package in
        .) continue ;;
        operators* | tests/guests* | tests/fuzz*)
            say "$package has changed: \`make lint\` and \`make test\` check it"
            continue
            ;;
    esac
    [ -n "$program" ] || continue
    say "running the unit tests of $name"
    program=$(realpath "$program")
    (cd "$package" && "$program" --quiet)
done
printf '\n==> no complaints, in %s s (changes since %s)\n' "$((SECONDS - began))" "${since:0:12}"
