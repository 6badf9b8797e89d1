"""Python operators become components: once, and then from a cache that is addressed by content."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import sage_guest
from sage_guest import Operator, _by_field, _component
from sage_guest._described import description
from sage_guest._operators import as_operator
from sage_guest._shape import FieldError

from .errors import OperatorError
from .operator_modules import Modules
from .operator_source import part_of

#: The section in which a component describes itself.
DESCRIPTION = "sage:description"
#: The version of componentize-py with which operators are made.
COMPONENTIZE_PY = "0.25.1"
#: Most bytes of components in the cache. The ones with the oldest use go first.
MOST_CACHED = 1 << 30
#: The generated module, which componentize-py imports.
_APP = "sage_operator"
#: Methods of a class that is an operator, by kind.
_METHODS = {
    "map": "map",
    "filter": "filter",
    "flat-map": "flat_map",
    "key-by": "key_by",
    "process": "process",
    "source": "records",
    "sink": "write",
}
_WORLDS = {"map": "mapping"}
_PACKAGE = os.path.dirname(os.path.abspath(__file__))


class PythonOperator:
    """A function or class of a module, and the component that it becomes."""

    def __init__(
        self,
        kind: str,
        name: str,
        files: Mapping[str, bytes],
        config: Dict[str, Any],
        ports: Tuple[str, ...],
        description: Mapping[str, Any],
    ) -> None:
        self.kind = kind
        self.stage_name = name
        self.config = config
        self.ports = ports
        #: What the component says of itself, with the fields that it reads and gives.
        self.description = description
        self._files = dict(files)
        self._section = json.dumps(description, separators=(",", ":"), ensure_ascii=False).encode()
        self.digest = _digest(kind, {**self._files, DESCRIPTION: self._section})

    @property
    def world(self) -> str:
        """The world of the contract that the component targets."""
        if is_by_field(self.description):
            return f"fields-{self.kind}"
        return _WORLDS.get(self.kind, self.kind)

    @property
    def path(self) -> str:
        """The component's path in the cache. The name says where it came from."""
        return os.path.join(cache_folder(), f"{self.stage_name}-{self.digest[:32]}.wasm")

    @property
    def is_packed(self) -> bool:
        """Whether the component is in the cache."""
        return os.path.isfile(self.path)

    def pack(self) -> str:
        """Make the component, unless it is in the cache. Takes about 12 seconds of CPU time."""
        path = self.path
        if self.is_packed:
            os.utime(path)
            return path
        folder = cache_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".packing-", dir=folder) as staging:
            app = os.path.join(staging, "app")
            for inside, data in self._files.items():
                to = os.path.join(app, inside)
                os.makedirs(os.path.dirname(to), exist_ok=True)
                with open(to, "wb") as file:
                    file.write(data)
            made = os.path.join(staging, "made.wasm")
            _componentize(self.stage_name, app, self.world, made)
            with open(made, "ab") as file:
                file.write(custom_section(DESCRIPTION, self._section))
            os.replace(made, path)
        _prune(folder, keep=path)
        return path


def is_by_field(description: Mapping[str, Any]) -> bool:
    """Whether a description has fields."""
    return "reads" in description or "gives" in description


def custom_section(name: str, data: bytes) -> bytes:
    """A custom section, which may stand at the end of a component.

    >>> custom_section("a", b"xyz")
    b'\\x00\\x05\\x01axyz'
    """
    inside = _leb128(len(name.encode())) + name.encode() + data
    return b"\0" + _leb128(len(inside)) + inside


def _leb128(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    made.append(number)
    return bytes(made)


def cache_folder() -> str:
    """The folder of packed operators: ``sage-host/python`` in ``XDG_CACHE_HOME``, or in ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "sage-host", "python")


def python_operator(kind: str, written: Any, config: Dict[str, Any]) -> PythonOperator:
    """The operator that a function, a class or an instance of a class is."""
    if isinstance(written, PythonOperator):
        return written
    if isinstance(written, Operator):
        _check_kind(kind, written)
        return _of(kind, written.function, written, None, config)
    if inspect.isfunction(written):
        return _of(kind, written, _plain(kind, written), None, config)
    if inspect.ismethod(written):
        raise OperatorError(
            f"{written.__qualname__} is a method of an object of this program",
            hint="pass the object, whose class is a dataclass with this method, or a function of a module",
        )
    cls = written if isinstance(written, type) else type(written)
    method = _METHODS[kind]
    if cls.__module__ == "builtins" or not callable(getattr(cls, method, None)):
        raise OperatorError(
            f"{written!r} is no {kind} operator",
            hint=f'pass Wasm("x.wasm"), a function of a module, or an instance of a class with a method `{method}`',
        )
    return _of(kind, cls, None, method, {**({} if written is cls else _fields(written)), **config})


def _check_kind(kind: str, operator: "Operator[Any]") -> None:
    if operator.kind != kind:
        verb = operator.kind.replace("-", "_")
        raise OperatorError(
            f"{operator.function.__qualname__} is a {operator.kind} operator, and {kind.replace('-', '_')}() wants a "
            f"{kind} operator",
            hint=f"call .{verb}({operator.function.__qualname__})" if verb not in ("source", "sink") else None,
        )


def _plain(kind: str, function: Callable[..., Any]) -> "Operator[Any]":
    try:
        return as_operator(kind, function)
    except TypeError as error:
        raise OperatorError(str(error)) from None


def _fields(instance: Any) -> Dict[str, Any]:
    """The configuration that an instance of a class is: the fields of a dataclass."""
    name = type(instance).__name__
    if not dataclasses.is_dataclass(instance) or isinstance(instance, type):
        held = list(getattr(instance, "__dict__", ()))
        if held:
            raise OperatorError(
                f"{name}(...) holds {', '.join(held)}, and cannot be sent into a component",
                hint=f"put @dataclass on {name}: its fields become the configuration, and `open(self)` makes the rest",
            )
        return {}
    wanted = {field.name for field in dataclasses.fields(instance) if field.init}
    made = {key: value for key, value in dataclasses.asdict(instance).items() if key in wanted and value is not None}
    for key, value in made.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise OperatorError(
                f"field {key!r} of {name} is {value!r}, which is no value of a configuration",
                hint="a configuration has texts, numbers, true and false, lists and tables",
            ) from None
    return made


def _of(
    kind: str, target: Any, operator: "Optional[Operator[Any]]", method: Optional[str], config: Dict[str, Any]
) -> PythonOperator:
    name = target.__qualname__
    _check_place(target, name)
    described = _described(kind, target, operator, method)
    file = inspect.getsourcefile(target)
    module = target.__module__
    if file is None or not os.path.isfile(file):
        raise OperatorError(
            f"{name} is in no file", hint="write it into a module and import it: a notebook has %%writefile celsius.py"
        )
    if module == "__main__":
        module = re.sub(r"\W", "_", os.path.splitext(os.path.basename(file))[0])
    with open(file, "rb") as source:
        text = source.read().decode()
    part = part_of(text, name)
    modules = Modules(name)
    is_package = os.path.basename(file) == "__init__.py"
    modules.add_file(module.replace(".", "/") + ("/__init__.py" if is_package else ".py"), part.text.encode())
    modules.parents_of(module)
    modules.follow(part.imports, file, module if is_package else module.rpartition(".")[0] or module)
    for inside, data in _sdk().items():
        modules.add_file(inside, data)
    modules.add_file(
        f"{_APP}.py", _app(kind, module, name, method, sorted(modules.early), is_by_field(described)).encode()
    )
    ports = tuple(operator.options.get("ports", ())) if operator is not None else ()
    return PythonOperator(kind, name, modules.files, config, ports, described)


def _described(kind: str, target: Any, operator: "Optional[Operator[Any]]", method: Optional[str]) -> Dict[str, Any]:
    """What the component will say of itself."""
    try:
        if operator is not None:
            return description(operator)
        assert method is not None
        return description(as_operator(kind, _component.unbound(target, method)), config=target)
    except FieldError as error:
        raise OperatorError(f"{target.__qualname__}: {error.message}", hint=error.hint) from None
    except TypeError as error:
        raise OperatorError(str(error)) from None


def _check_place(target: Any, name: str) -> None:
    if name == "<lambda>" or name.endswith(".<lambda>"):
        raise OperatorError("a lambda cannot become an operator: it has no name", hint="write it as a function (def)")
    if "<locals>" in name:
        closure = getattr(target, "__code__", None)
        free = ", ".join(closure.co_freevars) if closure is not None else ""
        holds = f", and it holds {free} of that function" if free else ""
        raise OperatorError(
            f"{name} is inside of a function{holds}",
            hint="write it at the top of a module, and pass values in config=: the operator runs apart from this program",
        )
    if "." in name:
        raise OperatorError(f"{name} is inside of a class", hint="write it at the top of a module")


def _app(kind: str, module: str, name: str, method: Optional[str], early: List[str], by_field: bool) -> str:
    """The module that componentize-py imports."""
    # A function may do without a module that it asks for.
    lines = [f"try:\n    import {each}\nexcept ImportError:\n    pass" for each in early]
    how = (f", method={method!r}" if method else "") + (", by_field=True" if by_field else "")
    classes = _by_field.CLASSES if by_field else _component.CLASSES
    lines += [
        "from sage_guest._component import component",
        f"import {module} as _module",
        f"{classes[kind]} = component({kind!r}, _module.{name}{how})",
    ]
    return "\n".join(lines) + "\n"


def _sdk() -> Dict[str, bytes]:
    """The files of the package for operators."""
    folder = os.path.dirname(os.path.abspath(sage_guest.__file__))
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), "rb") as file:
                found[f"sage_guest/{name}"] = file.read()
    return found


def _wit() -> Dict[str, bytes]:
    folder = os.path.join(_PACKAGE, "wit")
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".wit"):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = file.read()
    return found


def _digest(kind: str, files: Mapping[str, bytes]) -> str:
    """Of everything that decides what the component is."""
    digest = hashlib.sha256(f"{kind}\0{COMPONENTIZE_PY}\0".encode())
    for group in (files, _wit()):
        for name, data in sorted(group.items()):
            digest.update(f"{name}\0{len(data)}\0".encode())
            digest.update(data)
    return digest.hexdigest()


def _tool() -> List[str]:
    named = os.environ.get("SAGE_HOST_COMPONENTIZE_PY")
    if named:
        return [named]
    if importlib.util.find_spec("componentize_py") is not None:
        return [sys.executable, "-c", "from componentize_py import script; script()"]
    found = shutil.which("componentize-py")
    if found is None:
        raise OperatorError(
            "componentize-py is not installed, and Python operators need it to become components",
            hint=f"pip install componentize-py=={COMPONENTIZE_PY}",
        )
    return [found]


def _componentize(name: str, app: str, world: str, made: str) -> None:
    command = [*_tool(), "-d", os.path.join(_PACKAGE, "wit"), "-w", world, "componentize", "-p", app, _APP, "-o", made]
    # The tool looks for packages of the environment around it, and only what was gathered belongs in here.
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    if ended.returncode != 0 or not os.path.isfile(made):
        said = (ended.stderr + ended.stdout).strip()
        lines = [line for line in said.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"\s*(\w+\.)*\w*(Error|Exception)\b", line)]
        reason = errors[-1].strip() if errors else (lines[-1].strip() if lines else f"exit code {ended.returncode}")
        raise OperatorError(
            f"operator {name!r} cannot become a component: {reason}",
            hint="its module is imported when the component is made; what the import printed:\n"
            + "\n".join(lines[-20:]),
        )


def _prune(folder: str, keep: str) -> None:
    """Removes the components that were used longest ago, until the rest fits."""
    found = []
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if name.endswith(".wasm") and path != keep:
            try:
                status = os.stat(path)
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
    room = MOST_CACHED - os.path.getsize(keep)
    for _, size, path in sorted(found, reverse=True):
        room -= size
        if room < 0:
            try:
                os.remove(path)
            except FileNotFoundError:
                pass
