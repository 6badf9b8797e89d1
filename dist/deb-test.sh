#!/bin/bash
# Installs the Debian package in a fresh system, runs the program there, and removes it: dist/deb-test.sh DEB
# The system is a folder made by debootstrap. All mounts are in a mount namespace of this script, so that they
# end with it. Prints "skipped" if the test cannot run here.
#   DEB_SUITE=bookworm     the release of Debian; that of this machine by default
#   DEB_MIRROR=http://…    the mirror; debootstrap's own by default
set -euo pipefail

if [ "${SAGE_DEB_TEST_INSIDE:-}" != 1 ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "deb-test: skipped: debootstrap needs root"
        exit 0
    fi
    if ! command -v debootstrap >/dev/null; then
        echo "deb-test: skipped: debootstrap is not installed (apt-get install debootstrap)"
        exit 0
    fi
    SAGE_DEB_TEST_INSIDE=1 exec unshare --mount --pid --fork --kill-child --propagation private "$0" "$@"
fi

deb=$1
suite=${DEB_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
root=$(mktemp -d -t sage-host-deb-test.XXXXXX)
# Mounts end before the files go: nothing below /sys may be removed.
clean() {
    umount -R "$root/sys" "$root/proc" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}
trap clean EXIT

say() { printf '==> %s\n' "$1"; }
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }
# Files of the system, without those that dpkg itself writes.
files() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./tmp -o -path ./dev -o -path ./var/lib/dpkg \
        -o -path ./var/log -o -path ./var/cache -o -path ./root \) -prune -o -print | sort)
}

say "making a system: debian $suite"
debootstrap --variant=minbase "$suite" "$root" ${DEB_MIRROR:+"$DEB_MIRROR"} >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log"; rm -f "$root.log"; exit 1; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --make-rslave "$root/sys"
files >"$root/tmp/before"

say "installing $(basename "$deb")"
cp "$deb" "$root/tmp/sage-host.deb"
inside dpkg -i /tmp/sage-host.deb
inside dpkg -L sage-host | grep -v -e '^/\.$' | head -n 60

say "sage-host --version"
inside sage-host --version

say "a pipeline with components, in threads and in worker processes"
inside cp -r /usr/share/doc/sage-host/examples/flights /tmp/flights
# Packages may hold documents compressed.
inside sh -c 'for file in /tmp/flights/*.gz; do if [ -e "$file" ]; then gunzip "$file"; fi; done'
inside sage-host run /tmp/flights/pipeline.toml
cp "$root/tmp/flights/delay-by-carrier.jsonl" "$root/tmp/threads.jsonl"
inside sage-host run /tmp/flights/pipeline.toml --isolation process --allow-unenforced --quiet
for file in threads.jsonl flights/delay-by-carrier.jsonl; do
    sort "$root/tmp/$file" | sha256sum
done | uniq | { [ "$(wc -l)" = 1 ] || { echo "deb-test: threads and processes differ" >&2; exit 1; }; }
[ "$(wc -l <"$root/tmp/threads.jsonl")" -gt 10 ]
head -n 3 "$root/tmp/threads.jsonl"

say "sage-host doctor"
inside sage-host doctor || [ $? = 3 ]

say "files for shells, man and systemd"
inside bash -n /usr/share/bash-completion/completions/sage-host
inside sh -c 'ls /usr/share/man/man1/sage-host* /usr/lib/systemd/system/sage-host.service /usr/lib/systemd/system/sage-host@.service' | head -n 30

say "removing it"
inside dpkg --purge sage-host
# Leases and components that runs wrote are in /run and in the user's folder.
rm -rf "$root/run/lock/sage-host"
files >"$root/tmp/after"
if ! diff "$root/tmp/before" "$root/tmp/after"; then
    echo "deb-test: the package left files behind" >&2
    exit 1
fi
say "the package left nothing behind"
