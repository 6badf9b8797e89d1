#!/usr/bin/env python3
"""Makes the wheel: the pure Python packages, and the program as a script of the wheel.

    python3 python/wheel.py target/release/sage-host target/wheel

There is one wheel for every version of Python, as with the tools that are programs (ruff, uv). The program is stripped, and
the platform in the wheel's name is the newest glibc whose symbols it needs.
"""

from __future__ import annotations

import base64
import hashlib
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
#: Times in the archive, so that equal input makes an equal wheel.
TIME = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: wheel.py PROGRAM FOLDER")
    made = make(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print(f"==> the wheel is {made}, {made.stat().st_size / 1e6:.1f} MB")


def make(program: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """The wheel with this program."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    version = project["version"]
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    if version != cargo:
        sys.exit(f"pyproject.toml has version {version}, and Cargo.toml has {cargo}")
    stripped = strip(program)
    tag = f"py3-none-{system(stripped)}"
    info, data = f"sage_host-{version}.dist-info", f"sage_host-{version}.data"
    files: dict[str, bytes] = {}
    for package in ("sage_guest", "sage_host"):
        for path in sorted((HERE / "src" / package).rglob("*")):
            if path.is_file() and path.suffix in (".py", ".wit", ".typed") or path.name == "py.typed":
                files[str(path.relative_to(HERE / "src"))] = path.read_bytes()
    script = f"{data}/scripts/sage-host"
    files[script] = stripped
    for name in ("LICENSE", "NOTICE"):
        files[f"{info}/licenses/{name}"] = (ROOT / name).read_bytes()
    files[f"{info}/METADATA"] = metadata(project).encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: sage-host\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    )
    record = f"{info}/RECORD"
    lines = [f"{name},sha256={digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = ("\n".join([*lines, f"{record},,"]) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"sage_host-{version}-{tag}.whl"
    partial = made.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name == script else 0o100644) << 16
            archive.writestr(entry, content)
    partial.rename(made)
    return made


def strip(program: pathlib.Path) -> bytes:
    """The program without symbols and debug information."""
    with tempfile.TemporaryDirectory() as folder:
        to = pathlib.Path(folder) / "sage-host"
        subprocess.run(["strip", "--strip-all", "-o", str(to), str(program)], check=True)
        return to.read_bytes()


def system(program: bytes) -> str:
    """The platform: the newest glibc whose symbols the program needs."""
    minors = {int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)\b", program)}
    if not minors:
        sys.exit("the program needs no glibc: is it one for Linux?")
    return f"manylinux_2_{max(minors)}_{platform.machine()}"


def digest(content: bytes) -> str:
    """As RECORD has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def metadata(project: dict) -> str:
    """The core metadata."""
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"Requires-Python: {project['requires-python']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        "License-File: NOTICE",
        *(f"Classifier: {classifier}" for classifier in project["classifiers"]),
    ]
    for extra, needs in project.get("optional-dependencies", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {need}; extra == "{extra}"' for need in needs]
    lines.append("Description-Content-Type: text/markdown")
    return "\n".join(lines) + "\n\n" + (HERE / "README.md").read_text()


if __name__ == "__main__":
    main()
