#!/bin/bash
# Makes the release files from a program that is built: dist/package.sh PROGRAM STAGE DIST [LICENCE OPTIONS...]
#   STAGE  a folder with the installed tree, which the .deb is made from too
#   DIST   the folder of sage-host-VERSION-ARCH.tar.gz and its checksum, and of the line tables
set -euo pipefail

program=$1 stage=$2 dist=$3
shift 3
source=$(cd "$(dirname "$0")/.." && pwd)
version=$("$program" -V | cut -d ' ' -f 2)
arch=$(uname -m)
name=sage-host-$version-$arch

rm -rf "$stage"
"$source/dist/install.sh" install "$program" "$stage" /usr
doc=$stage/usr/share/doc/sage-host
"$source/dist/licences.py" "$@" >"$doc/THIRD-PARTY-LICENCES.txt"

# An example with its components beside it, for which nothing has to be compiled.
flights=$doc/examples/flights
mkdir -p "$flights"
built=$source/operators/target/wasm32-wasip2/release
sed 's|"\.\./\.\./operators/target/wasm32-wasip2/release/|"|' "$source/examples/flights/pipeline.toml" >"$flights/pipeline.toml"
sed -n 's|.*component = "\(.*\.wasm\)".*|\1|p' "$flights/pipeline.toml" | sort -u | while read -r component; do
    install -m 644 "$built/$component" "$flights/$component"
done
install -m 644 "$source"/examples/flights/*.csv "$source/examples/flights/SOURCE.md" "$flights"
chmod -R u=rwX,go=rX "$stage"

mkdir -p "$dist"
rm -rf "${dist:?}/$name" "$dist/$name".*
mkdir "$dist/$name"
cp -r "$stage/usr/." "$dist/$name"
# A tree that is unpacked runs in place, so the documents lie at its top.
for document in LICENSE NOTICE README.md THIRD-PARTY-LICENCES.txt host.toml examples prometheus grafana; do
    if [ -e "$dist/$name/share/doc/sage-host/$document" ]; then
        mv "$dist/$name/share/doc/sage-host/$document" "$dist/$name/$document"
    fi
done
rmdir "$dist/$name/share/doc/sage-host" "$dist/$name/share/doc"
mv "$dist/$name/share/zsh/vendor-completions" "$dist/$name/share/zsh/site-functions"
# The same sources and program give the same bytes.
date=$(git -C "$source" log -1 --format=%ct 2>/dev/null || stat -c %Y "$program")
tar --sort=name --mtime="@$date" --owner=0 --group=0 --numeric-owner -C "$dist" -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
rm -rf "${dist:?}/$name"
(cd "$dist" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
if [ -e "$program.debug" ]; then
    gzip -9nc "$program.debug" >"$dist/$name.debug.gz"
fi
ls -l "$dist" | awk 'NR > 1 { print "    " $5, $9 }'
