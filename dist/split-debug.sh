#!/bin/sh
# Moves the debug information of a program into a file beside it: dist/split-debug.sh PROGRAM
# The program keeps a link to PROGRAM.debug, by name and checksum. Debuggers and the backtraces of a panic
# find lines there while both files lie in one folder.
set -eu

program=$1
if ! command -v objcopy >/dev/null 2>&1; then
    echo "==> $program keeps its debug information: objcopy (binutils) is not installed"
    exit 0
fi
if objdump -h "$program" | grep -q gnu_debuglink; then
    exit 0
fi
folder=$(dirname "$program")
name=$(basename "$program")
before=$(wc -c <"$program")
cd "$folder"
objcopy --only-keep-debug "$name" "$name.debug"
chmod 644 "$name.debug"
objcopy --strip-all --add-gnu-debuglink="$name.debug" "$name" "$name.stripped"
# A new file, because cargo has a hard link to the old one and the old one may be running.
mv -f "$name.stripped" "$name"
echo "==> $program: $before bytes, now $(wc -c <"$name"), and $(wc -c <"$name.debug") in $name.debug"
