#!/usr/bin/env bash
# Boots a Debian cloud kernel with cgroup v2 in an emulated machine and runs the checks in checks.sh there.
# QEMU runs without KVM, so this works on any machine and takes about ten seconds. `make test-cgroup2` calls
# this script.
#
# The script installs (as root) or downloads missing packages with apt. If it cannot, it prints "skipped: why"
# and succeeds, or fails if SAGE_TEST_REQUIRE names qemu. SAGE_HOST_GUEST_KERNEL names a kernel image to use instead
# of Debian's, and SAGE_HOST_GUEST_TIMEOUT the seconds that the machine may run.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/cgroup2
target=${CARGO_TARGET_DIR:-target}
kept=${HOME:-/tmp}/.cache/sage-host/cgroup2
cargo=${CARGO:-cargo}
timeout=${SAGE_HOST_GUEST_TIMEOUT:-480}

skip() {
    case ",${SAGE_TEST_REQUIRE:-}," in
        *,qemu,*) echo "SAGE_TEST_REQUIRE requires qemu, but $*" >&2; exit 1 ;;
    esac
    echo "skipped: $*"
    [ -z "${SAGE_TEST_SKIPS:-}" ] || printf 'qemu\ttests/cgroup2/run.sh\t%s\n' "$*" >> "$SAGE_TEST_SKIPS"
    exit 0
}

# Packages are installed only as root; otherwise the machine is left unchanged.
apt() {
    [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || return 1
    [ -n "${apt_is_fresh:-}" ] || { apt-get update > /dev/null 2>&1 || true; apt_is_fresh=yes; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" > /dev/null 2>&1
}

need() { # COMMAND PACKAGE
    command -v "$1" > /dev/null || apt "$2" || skip "$1 is not installed (Debian package $2)"
}

# The newest cloud kernel that apt knows. The package is unpacked and not installed.
kernel() {
    local found package
    found=$(find "$kept" /boot -maxdepth 1 -name 'vmlinuz-*cloud-amd64' -readable 2> /dev/null | sort -V | tail -n 1)
    [ -z "$found" ] || { echo "$found"; return; }
    command -v apt-get > /dev/null || return 1
    mkdir -p "$kept" 2> /dev/null || return 1
    package=$(apt-cache search --names-only '^linux-image-[0-9][^ ]*-cloud-amd64$' | cut -d' ' -f1 | sort -V | tail -n 1)
    [ -n "$package" ] || { apt-get update > /dev/null 2>&1 || true; }
    for package in $(apt-cache search --names-only '^linux-image-[0-9][^ ]*-cloud-amd64$' | cut -d' ' -f1 | sort -rV); do
        (cd "$kept" && apt-get download "$package" > /dev/null 2>&1 && dpkg-deb --fsys-tarfile "$package"_*.deb |
            tar -x --strip-components=2 --wildcards './boot/vmlinuz-*') || { rm -f "$kept"/*.deb; continue; }
        rm -f "$kept"/*.deb
        find "$kept" -maxdepth 1 -name 'vmlinuz-*cloud-amd64' | head -n 1
        return
    done
    return 1
}

[ "$(uname -sm)" = "Linux x86_64" ] || skip "the emulated machine is an x86-64 one, this is $(uname -sm)"
need qemu-system-x86_64 qemu-system-x86
need busybox busybox-static
need cpio cpio
kernel=${SAGE_HOST_GUEST_KERNEL:-$(kernel)} || skip "no Debian cloud kernel can be downloaded (package linux-image-cloud-amd64)"

components=operators/target/wasm32-wasip2/release
[ -f $components/uppercase.wasm ] || { echo "the sample operators are not built: make operators" >&2; exit 1; }

echo "==> building the programs of the guest"
# The same build as `make test`, so that nothing is built twice. An integration test also builds the program.
built=$("$cargo" test --workspace --locked --features sage-host/onnxruntime,sage-tests/onnxruntime --lib --test promises \
    --no-run 2>&1) || { echo "$built" >&2; exit 1; }
tests=$(sed -n 's|.*(\(.*/sage_machine-[0-9a-f]*\))$|\1|p' <<< "$built")
[ -x "$tests" ] || { echo "cargo did not say where the unit tests of sage-machine are" >&2; exit 1; }

root=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2> /dev/null || true; rm -rf "$root"' EXIT
chmod 755 "$root"
mkdir -p "$root"/{bin,etc,proc,sys,dev,suite}
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
install -m 755 $here/init "$root/init"
cp $here/checks.sh "$root/checks.sh"
printf 'root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n' > "$root/etc/passwd"
# Copies a program without debug data, and its shared libraries to the paths at which it expects them.
place() { # FILE NAME
    strip -o "$root/bin/$2" "$1" 2> /dev/null || cp "$1" "$root/bin/$2"
    ldd "$1" | sed -n 's|.*[[:space:]]\(/[^ ]*\) (0x.*|\1|p' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
}
place "$tests" cgroup-tests
place "$target/debug/sage-host-under-test" sage-host
cp -r $here "$root/suite/cgroup2"
mkdir "$root/suite/operators"
cp $components/*.wasm "$root/suite/operators/"

(cd "$root" && find . | cpio --quiet -o -H newc) > "$root.initrd"
mv "$root.initrd" "$root/initrd"
log=$root/log
echo "==> booting $(basename "$kernel") with cgroup v2 ($(du -h "$root/initrd" | cut -f1) of memory disk)"
timeout "$timeout" qemu-system-x86_64 -accel tcg,thread=multi -M microvm,acpi=off -cpu max -m 1024 -smp 1 \
    -nodefaults -no-user-config -no-reboot -display none -serial stdio \
    -kernel "$kernel" -initrd "$root/initrd" -append "console=ttyS0 quiet panic=-1 reboot=t psi=1" \
    < /dev/null > "$log" 2>&1 &
qemu=$!
# The result is in the printed lines, not in the exit code.
wait "$qemu" || true
qemu=
tr -d '\r' < "$log" > "$root/said"
sed 's/^/    /' "$root/said"
[ -z "${SAGE_TEST_SKIPS:-}" ] || sed -n 's/^ *skipped: //p' "$root/said" >> "$SAGE_TEST_SKIPS"

failed=0
while read -r name; do
    grep -q "^PASS $name " "$root/said" || { echo "not passed: $name" >&2; failed=1; }
done < <(sed -n 's/^check \([^ ]*\) .*/\1/p' $here/checks.sh)
grep -q '^END$' "$root/said" || { echo "the guest did not finish" >&2; failed=1; }
[ "$failed" = 0 ] && echo "==> every check of checks.sh passed on cgroup v2"
exit "$failed"
