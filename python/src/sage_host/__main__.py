"""`python -m sage_host build FOLDER`: what `sage-host build` runs for a folder of a Python operator."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tomllib
from importlib import import_module
from typing import List, Optional, Tuple

from sage_guest import Operator

from .errors import OperatorError, SageHostError
from .packing import python_operator

#: The table of `pyproject.toml` that says what the operator is.
TABLE = "tool.sage-host"


def main(arguments: Optional[List[str]] = None) -> int:
    """The exit code of a command."""
    parser = argparse.ArgumentParser(prog="python -m sage_host", description="Makes components of Python operators.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help=f"make the component of the operator that [{TABLE}] names")
    build.add_argument("folder", nargs="?", default=".")
    build.add_argument("--output", choices=("text", "json"), default="text")
    asked = parser.parse_args(arguments)
    try:
        made = build_folder(asked.folder)
    except SageHostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps({"component": made}) if asked.output == "json" else made)
    return 0


def build_folder(folder: str) -> str:
    """Makes the component of a folder, beside its `pyproject.toml`, and returns its path."""
    module, name, kind = _named(folder)
    sys.path.insert(0, os.path.abspath(folder))
    try:
        loaded = import_module(module)
    except Exception as error:
        raise OperatorError(f"{module} cannot be imported: {type(error).__name__}: {error}") from None
    finally:
        del sys.path[0]
    written = getattr(loaded, name, None)
    if written is None:
        raise OperatorError(f"{module} has no {name}", hint=f"[{TABLE}] of pyproject.toml names it")
    if isinstance(written, Operator):
        kind = kind or written.kind
    if kind is None:
        raise OperatorError(
            f"nothing says of which kind {module}:{name} is",
            hint=f'put @sage_guest.map on it, or write kind = "map" under [{TABLE}] of pyproject.toml',
        )
    made = os.path.join(folder, f"{module.rpartition('.')[2]}.wasm")
    sys.path.insert(0, os.path.abspath(folder))
    try:
        cached = python_operator(kind, written, {}).pack()
    finally:
        del sys.path[0]
    partial = f"{made}.partial"
    shutil.copyfile(cached, partial)
    os.replace(partial, made)
    return made


def _named(folder: str) -> Tuple[str, str, Optional[str]]:
    """The module, the name in it, and the kind, as `pyproject.toml` has them."""
    path = os.path.join(folder, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            table = tomllib.load(file).get("tool", {}).get("sage-host", {})
    except FileNotFoundError:
        raise OperatorError(
            f"{folder} has no pyproject.toml", hint="make one: sage-host new NAME --lang python"
        ) from None
    except (OSError, ValueError) as error:
        raise OperatorError(f"cannot read {path}: {error}") from None
    operator = table.get("operator") if isinstance(table, dict) else None
    kind = table.get("kind") if isinstance(table, dict) else None
    module, colon, name = str(operator or "").partition(":")
    if not colon or not module or not name:
        raise OperatorError(
            f"[{TABLE}] of {path} names no operator: {operator!r}", hint='write operator = "celsius:to_celsius"'
        )
    return module, name, None if kind is None else str(kind)


if __name__ == "__main__":
    sys.exit(main())
