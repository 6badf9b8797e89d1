#!/usr/bin/env python3
"""Writes the licences of all crates that sage-host is built from.

    dist/licences.py [--features LIST] [--no-default-features] > THIRD-PARTY-LICENCES.txt

`cargo metadata` names the crates, and the licence texts are the files in their packages. The script needs
Python's standard library only. It fails if a crate names no licence. A crate whose package contains no licence
text is listed with its licence expression.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Names of files with a licence, a notice or a list of authors. LICENSE-MIT, COPYING, UNLICENSE, NOTICE.md, …
LICENCE_FILE = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?$", re.IGNORECASE)
RULE = "=" * 100


def metadata(arguments):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", str(ROOT / "Cargo.toml")]
    command += ["--filter-platform", target()]
    features = [f"sage-host/{name}" for name in arguments.features.split(",") if name]
    if not arguments.no_default_features:
        features.append("sage-host/default")
    # The other members have no features that sage-host does not turn on.
    command += ["--no-default-features", "--features", ",".join(features)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def target():
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    return next(line.split()[1] for line in said.splitlines() if line.startswith("host:"))


def dependencies(data):
    """The packages that sage-host needs for a build, without those that only its tests need."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    start = next(package["id"] for package in data["packages"] if package["name"] == "sage-host")
    found, todo = set(), [start]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if kinds != {"dev"} and dependency["pkg"] not in found:
                found.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    third_party = [packages[name] for name in found if packages[name]["source"] is not None]
    return sorted(third_party, key=lambda package: (package["name"], package["version"]))


def texts_of(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    names = {path for path in folder.iterdir() if path.is_file() and LICENCE_FILE.match(path.name)}
    if package["license_file"]:
        names.add(folder / package["license_file"])
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(names) if path.is_file())
    return [text.replace("\r\n", "\n").strip("\n") for text in texts]


def main():
    parser = argparse.ArgumentParser(description="Writes the licences of all crates that sage-host is built from.")
    parser.add_argument("--features", default="", help="features of sage-host beside the default ones")
    parser.add_argument("--no-default-features", action="store_true", help="without the default features")
    arguments = parser.parse_args()
    packages = dependencies(metadata(arguments))
    unnamed = [package["name"] for package in packages if not package["license"] and not package["license_file"]]
    if unnamed:
        sys.exit(f"licences.py: no licence is named by {', '.join(unnamed)}")

    numbers, users, listing, without = {}, {}, [], []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        refers = []
        for text in texts_of(package):
            key = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
            number = numbers.setdefault(key, (len(numbers) + 1, text))[0]
            users.setdefault(number, []).append(name)
            refers.append(f"[{number}]")
        if not refers:
            without.append(name)
        licence = package["license"] or "see its text"
        listing.append(f"{name}: {licence} {' '.join(refers)}".rstrip())

    print("sage-host contains the crates below, and the standard library of Rust (MIT OR Apache-2.0).")
    print("Each line names a crate, its licence, and the numbers of the texts that its package contains.\n")
    print("\n".join(listing))
    if without:
        print("\nThe packages of these crates contain no licence text; the expression above is their licence:\n")
        print("\n".join(without))
    for number, text in sorted(numbers.values()):
        print(f"\n{RULE}\n[{number}] of {', '.join(users[number])}\n{RULE}\n\n{text}")
    print(f"licences.py: {len(packages)} crates, {len(numbers)} texts, {len(without)} without a text", file=sys.stderr)


if __name__ == "__main__":
    main()
