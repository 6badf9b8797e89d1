#!/bin/bash
# Keeps the last seven copies of a folder.
set -euo pipefail

folder=${1:?"usage: backup.sh FOLDER TARGET"}
target=${2:?"usage: backup.sh FOLDER TARGET"}

tar czf "$target/$(date +%F).tar.gz" "$folder"
ls -1t "$target"/*.tar.gz | tail -n +8 | while read -r old; do
    echo "removing $old"
    rm -- "$old"
done
