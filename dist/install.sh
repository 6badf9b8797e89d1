#!/bin/sh
# Installs the program, its completions, man pages, documents and systemd unit below a folder, or removes them:
#   dist/install.sh install PROGRAM ROOT PREFIX
#   dist/install.sh uninstall ROOT PREFIX
# ROOT is put before each path (DESTDIR of make); PREFIX is the place in the installed system, such as
# /usr/local. Settings in /etc/sage-host are never installed, changed or removed.
set -eu

action=$1
shift
source=$(cd "$(dirname "$0")/.." && pwd)

places() {
    bin=$1/bin
    bash=$1/share/bash-completion/completions
    fish=$1/share/fish/vendor_completions.d
    # Debian reads zsh completions of packages in a folder of its own.
    zsh=$1/share/zsh/site-functions
    if [ "$prefix" = /usr ]; then
        zsh=$1/share/zsh/vendor-completions
    fi
    man=$1/share/man/man1
    doc=$1/share/doc/sage-host
    unit=$1/lib/systemd/system
}

install_all() {
    program=$1 root=$2 prefix=$3
    places "$root$prefix"
    install -d "$bin" "$bash" "$fish" "$zsh" "$man" "$doc" "$unit"
    install -m 755 "$program" "$bin/sage-host"
    "$program" completions bash >"$bash/sage-host"
    "$program" completions fish >"$fish/sage-host.fish"
    "$program" completions zsh >"$zsh/_sage-host"
    "$program" man "$man"
    chmod 644 "$bash/sage-host" "$fish/sage-host.fish" "$zsh/_sage-host" "$man"/sage-host*.1
    for document in LICENSE NOTICE; do
        if [ -e "$source/$document" ]; then
            install -m 644 "$source/$document" "$doc/$document"
        else
            echo "==> without $document: the file is missing" >&2
        fi
    done
    install -m 644 "$source/dist/host.toml" "$source/dist/README.md" "$doc"
    install -d "$doc/prometheus" "$doc/grafana"
    install -m 644 "$source"/dist/prometheus/*.yml "$doc/prometheus"
    install -m 644 "$source/dist/grafana/sage-host.json" "$doc/grafana"
    for service in sage-host.service sage-host@.service; do
        sed "s|/usr/bin/sage-host|$prefix/bin/sage-host|" "$source/dist/$service" >"$unit/$service"
        chmod 644 "$unit/$service"
    done
}

uninstall_all() {
    root=$1 prefix=$2
    places "$root$prefix"
    rm -f "$bin/sage-host" "$bash/sage-host" "$fish/sage-host.fish" "$zsh/_sage-host"
    rm -f "$unit/sage-host.service" "$unit/sage-host@.service"
    rm -f "$man/sage-host.1" "$man"/sage-host-*.1
    rm -f "$doc/LICENSE" "$doc/NOTICE" "$doc/host.toml" "$doc/README.md"
    rm -f "$doc/prometheus/prometheus.yml" "$doc"/prometheus/sage-host.*.yml "$doc/grafana/sage-host.json"
    # Folders that hold files of others stay.
    for folder in "$doc/prometheus" "$doc/grafana" "$doc" "$bash" "$fish" "$zsh" "$man" "$unit" "$bin"; do
        while [ "$folder" != "$root" ] && [ "$folder" != / ] && rmdir "$folder" 2>/dev/null; do
            folder=$(dirname "$folder")
        done
    done
}

case $action in
install) install_all "$@" ;;
uninstall) uninstall_all "$@" ;;
*) echo "install.sh: unknown action $action" >&2; exit 2 ;;
esac
