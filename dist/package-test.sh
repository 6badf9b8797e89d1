#!/bin/sh
# Checks the program that `make package` built from the packages: dist/package-test.sh PACKAGE_TARGET
# Its `new` depends on the published SDK, because the sources of the SDK are not in its package.
set -eu

program=$(find "$1" -type f -name sage-host -perm -u+x | head -n 1)
if [ -z "$program" ]; then
    echo "package-test: cargo package kept no program below $1" >&2
    exit 1
fi
version=$("$program" -V | cut -d ' ' -f 2)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$program" new celsius --kind map --path "$folder/celsius" >"$folder/said"
grep -q -x "sage-guest = \"$version\"" "$folder/celsius/Cargo.toml"
test ! -e "$folder/celsius/vendor"
commit=$("$program" --version | sed -n 's/^commit *//p')
echo "==> the packaged program of commit $commit makes crates with sage-guest = \"$version\""
