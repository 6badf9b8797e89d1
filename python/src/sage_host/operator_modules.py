"""The modules that an operator imports: which go into its component, and which cannot."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from typing import Dict, List, Optional, Set, Tuple

from .errors import OperatorError
from .operator_source import Imported, imports_of

#: Modules of the standard library that a component does not have.
ABSENT = {"ctypes", "curses", "dbm", "multiprocessing", "readline", "sqlite3", "ssl", "tkinter", "turtle"}
#: Suffixes of modules with native code.
_NATIVE = tuple(importlib.machinery.EXTENSION_SUFFIXES)
#: Most bytes of all modules of an operator.
_MOST_BYTES = 64 << 20

_USE_INSTEAD = (
    "an operator is WebAssembly and has no native code: for inference list models=[...] with num_gpus, and do "
    "other such work in a source or a sink that is a function of this process"
)


class Modules:
    """The files of a component, by their paths in it, gathered from what is imported."""

    def __init__(self, operator: str) -> None:
        self._operator = operator
        self.files: Dict[str, bytes] = {}
        #: Modules that functions import when they run. A component has no files then, so they are imported before.
        self.early: Set[str] = set()
        self._seen: Set[str] = set()
        self._bytes = 0

    def add_file(self, path: str, data: bytes) -> None:
        """A file of the component."""
        self._bytes += len(data)
        if self._bytes > _MOST_BYTES:
            raise OperatorError(
                f"operator {self._operator!r} has more than {_MOST_BYTES >> 20} MiB of modules",
                hint="import less, or write the operator in Rust",
            )
        self.files[path] = data

    def follow(self, imports: List[Imported], file: str, module: str) -> None:
        """The modules behind the imports of the operator's own module."""
        for each in imports:
            place = f"{os.path.basename(file)}:{each.line}"
            name = _absolute(each.module, module)
            if each.inside and name.split(".")[0] not in ("sage_guest",):
                self.early.add(name)
            self._one(name, each, place)
            for taken in each.names:
                if taken != "*" and _is_module(f"{name}.{taken}"):
                    self._one(f"{name}.{taken}", each, place)

    def _one(self, name: str, each: Imported, place: str) -> None:
        top = name.split(".")[0]
        if top == "sage_host":
            via = f"uses {each.via!r}, which" if each.via else "has a module that"
            raise OperatorError(
                f"operator {self._operator!r} {via} imports sage_host ({place})",
                hint="an operator runs apart from the program that runs the pipeline: pass values in config=, "
                "and move what the operator needs into a module of its own",
            )
        if top in ABSENT:
            raise OperatorError(
                f"operator {self._operator!r} imports {top} ({place}), which a component does not have",
                hint="use another module, or do this work in a source or a sink that is a function of this process",
            )
        if top == "sage_guest" or name in self._seen or _is_standard(top):
            return
        self._seen.add(name)
        spec = _spec(name)
        if spec is None:
            # The component's import says so, unless the program expects it.
            return
        if _is_installed(spec):
            self._package(top, place)
        elif spec.origin and spec.origin.endswith(".py"):
            self._local(name, spec.origin)
        elif spec.origin and spec.origin.endswith(_NATIVE):
            raise self._native(top, place)

    def _local(self, name: str, path: str) -> None:
        """A module beside the operator's, as a whole."""
        with open(path, "rb") as file:
            data = file.read()
        is_package = os.path.basename(path) == "__init__.py"
        self.add_file(name.replace(".", "/") + ("/__init__.py" if is_package else ".py"), data)
        self.parents_of(name)
        self.follow(imports_of(data.decode()), path, name if is_package else _parent(name) or name)

    def parents_of(self, name: str) -> None:
        """Packages around a module: empty, because their own code is not needed."""
        parent = _parent(name)
        while parent:
            self.files.setdefault(parent.replace(".", "/") + "/__init__.py", b"")
            parent = _parent(parent)

    def _package(self, top: str, place: str) -> None:
        """An installed package of pure Python, with the packages that it imports."""
        if f"={top}" in self._seen:
            return
        self._seen.add(f"={top}")
        spec = _spec(top)
        if spec is None or spec.origin is None:
            return
        found, native = _files_of(top, spec)
        if native is not None:
            raise self._native(top, place)
        for path, inside in found:
            with open(path, "rb") as file:
                self.add_file(inside, file.read())
        for inside, data in list(self.files.items()):
            if inside.split("/")[0] in (top, f"{top}.py") and inside.endswith(".py"):
                self._imports_of_package(inside, data)

    def _imports_of_package(self, inside: str, data: bytes) -> None:
        try:
            imports = imports_of(data.decode())
        except (SyntaxError, UnicodeDecodeError):
            return
        for each in imports:
            top = each.module.split(".")[0]
            spec = _spec(top) if top and not _is_standard(top) else None
            if spec is None or spec.origin is None or not _is_installed(spec):
                continue
            # A package may do without an optional one.
            if _files_of(top, spec)[1] is None:
                self._package(top, inside)

    def _native(self, top: str, place: str) -> OperatorError:
        return OperatorError(
            f"operator {self._operator!r} imports {top} ({place}), which has native code", hint=_USE_INSTEAD
        )


def _files_of(top: str, spec: importlib.machinery.ModuleSpec) -> Tuple[List[Tuple[str, str]], Optional[str]]:
    """The files of an installed package with their paths in a component, and the first with native code."""
    origin = spec.origin or ""
    if not spec.submodule_search_locations:
        return ([], origin) if origin.endswith(_NATIVE) else ([(origin, f"{top}.py")], None)
    found: List[Tuple[str, str]] = []
    for root in spec.submodule_search_locations:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(each for each in folders if each not in ("__pycache__", "tests", "test"))
            for name in sorted(names):
                path = os.path.join(folder, name)
                if name.endswith(_NATIVE):
                    return [], path
                if not name.endswith((".pyc", ".pyi")):
                    found.append((path, f"{top}/{os.path.relpath(path, root)}"))
    return found, None


def _spec(name: str) -> Optional[importlib.machinery.ModuleSpec]:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None


def _is_module(name: str) -> bool:
    return name.split(".")[0] not in ("sage_guest", "sage_host") and not _is_standard(name) and _spec(name) is not None


def _is_standard(name: str) -> bool:
    top = name.split(".")[0]
    known = getattr(sys, "stdlib_module_names", None)
    if known is not None:
        return top in known
    spec = _spec(top)
    origin = "built-in" if spec is None else spec.origin or ""
    return origin in ("built-in", "frozen") or (
        origin.startswith(sysconfig.get_paths()["stdlib"]) and "site-packages" not in origin
    )


def _is_installed(spec: importlib.machinery.ModuleSpec) -> bool:
    return any(part in ("site-packages", "dist-packages") for part in (spec.origin or "").split(os.sep))


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


def _absolute(written: str, module: str) -> str:
    """The module's name: dots in front of it lead up from the module that imports it."""
    bare = written.lstrip(".")
    level = len(written) - len(bare)
    if level == 0:
        return bare
    base = module.split(".")
    base = base[: len(base) - (level - 1)] if level > 1 else base
    return ".".join([*base, bare]) if bare else ".".join(base)
