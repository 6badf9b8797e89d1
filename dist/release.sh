#!/bin/bash
# Tags a release if everything agrees on it: dist/release.sh DIST
# Checked are: the manifests, Cargo.lock, CHANGELOG.md, the work tree, and the files in DIST, whose program
# must be built from this commit. With DRY_RUN=1, the script only shows what it finds.
set -euo pipefail
cd "$(dirname "$0")/.."

dist=$1
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
tag=v$version
commit=$(git rev-parse HEAD)
name=sage-host-$version-$(uname -m)
bad=0
check() { # check NAME COMMAND...
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then
        echo "    ok   $what"
    else
        echo "    BAD  $what"
        bad=$((bad + 1))
    fi
}
clean_tree() { [ -z "$(git status --porcelain)" ]; }
no_tag() { ! git rev-parse --verify --quiet "refs/tags/$tag"; }
# Every crate of the workspace that is a dependency has this version.
manifests() {
    local versions
    versions=$(sed -n '/^\[workspace.dependencies\]/,/^\[/s/^sage-.*path = .*version = "\([^"]*\)".*/\1/p' Cargo.toml | sort -u)
    [ "$versions" = "$version" ]
}
lock() {
    local versions
    versions=$(awk '/^name = "sage-/ { getline; print $3 }' Cargo.lock | tr -d '"' | sort -u)
    [ "$versions" = "$version" ]
}
changelog() { grep -E -q "^## \[?${version//./\\.}\]?( |$)" CHANGELOG.md; }
# Nothing lies between "## Unreleased" and the next version.
nothing_unreleased() { ! awk '/^## /{ on = /Unreleased/ } on && /^- /' CHANGELOG.md | grep -q .; }
checksum() { (cd "$dist" && sha256sum --check --status "$name.tar.gz.sha256"); }
program_says() { tar -xzOf "$dist/$name.tar.gz" "$name/bin/sage-host" >"$unpacked/sage-host" && chmod +x "$unpacked/sage-host" &&
    "$unpacked/sage-host" --version | grep -q -x -e "$1"; }
deb_version() { [ "$(dpkg-deb -f "$(echo "$dist"/sage-host_"$version"-*.deb)" Version | sed 's/-.*//')" = "$version" ]; }
deb_program() {
    dpkg-deb --fsys-tarfile "$(echo "$dist"/sage-host_"$version"-*.deb)" | tar -xO ./usr/bin/sage-host |
        cmp - "$unpacked/sage-host"
}

unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
echo "==> release $tag of $commit"
check "the work tree is clean" clean_tree
check "the tag $tag is new" no_tag
check "the dependencies of the workspace have version $version" manifests
check "Cargo.lock has version $version" lock
check "CHANGELOG.md has a section for $version" changelog
check "CHANGELOG.md has nothing under Unreleased" nothing_unreleased
check "$name.tar.gz has its checksum" checksum
check "its program says version $version" program_says "sage-host $version"
check "its program says commit $commit" program_says "commit *$commit"
check "the Debian package has version $version" deb_version
check "the Debian package has the same program" deb_program
for file in LICENSE NOTICE; do
    check "$file exists" test -e "$file"
done

if [ "${DRY_RUN:-}" = 1 ]; then
    echo "==> dry run: $bad bad; nothing is tagged"
elif [ "$bad" != 0 ]; then
    echo "==> not released: $bad bad (\`make dist deb\` makes the files)" >&2
    exit 1
else
    git tag --annotate "$tag" --message "sage-host $version"
    echo "==> tagged $tag; push it with: git push origin $tag"
fi
