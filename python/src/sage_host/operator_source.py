"""The part of a module that an operator needs: its function, and what this uses, on the lines where they are.

A component imports its module when it is made. The rest of the file (the pipeline itself, plots, a main part) stays out, so
an operator can stand in the script that runs it, and a change elsewhere in the file makes no new component. Lines that
are left out become empty, so that a traceback names the lines of the file. What
stands below all that is needed does not matter at all.
"""

from __future__ import annotations

import ast
from typing import Dict, Iterator, List, NamedTuple, Set, Tuple


class Imported(NamedTuple):
    """A module that the needed part imports."""

    #: The module's name; with leading dots as in a relative import.
    module: str
    line: int
    #: The name of the file through which it is needed: the function itself, or what it uses.
    via: str
    #: Whether the import is in a function, and not at the top of the module.
    inside: bool
    #: The names that are taken from it, for modules that are meant by `from package import module`.
    names: Tuple[str, ...]


class Part(NamedTuple):
    """The needed part of a module."""

    text: str
    imports: List[Imported]


def part_of(text: str, root: str) -> Part:
    """The part of a module that the top-level name ``root`` needs.

    >>> part = part_of("import math\\nimport sys\\nSCALE = 1.8\\nprint(SCALE)\\ndef f(x):\\n    return x / SCALE\\n", "f")
    >>> part.text
    '\\n\\nSCALE = 1.8\\n\\ndef f(x):\\n    return x / SCALE\\n'
    """
    tree = ast.parse(text)
    statements = [statement for statement in tree.body if not _is_main(statement)]
    binds: Dict[str, List[int]] = {}
    for index, statement in enumerate(statements):
        for name in _bound(statement):
            binds.setdefault(name, []).append(index)
    kept: Dict[int, str] = {}
    for index, statement in enumerate(statements):
        star = (
            isinstance(statement, ast.ImportFrom)
            and statement.names[0].name == "*"
            # Its names run the pipeline. An operator that uses one of them fails with a NameError.
            and statement.module != "sage_host"
        )
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if star or future:
            kept[index] = root
    todo: List[str] = [root]
    seen: Set[str] = {root}
    while todo:
        name = todo.pop()
        for index in binds.get(name, ()):
            if index in kept:
                continue
            kept[index] = name
            used = {node.id for node in ast.walk(statements[index]) if isinstance(node, ast.Name)}
            todo += [other for other in sorted(used - seen) if other in binds]
            seen |= used
    imports = [
        found
        for index, via in sorted(kept.items())
        for found in _imports(statements[index], via)
        if found.module != "__future__"
    ]
    lines = text.splitlines(keepends=True)
    wanted: Set[int] = set()
    for index in kept:
        wanted.update(_lines(statements[index]))
    kept_lines = [line if at in wanted else "\n" for at, line in enumerate(lines[: max(wanted, default=0)], 1)]
    return Part("".join(kept_lines), imports)


def imports_of(text: str) -> List[Imported]:
    """Every import of a module that is needed as a whole."""
    return [found for statement in ast.parse(text).body for found in _imports(statement, "")]


def _is_main(statement: ast.stmt) -> bool:
    """Whether a statement is ``if __name__ == "__main__":``."""
    if not isinstance(statement, ast.If) or not isinstance(statement.test, ast.Compare):
        return False
    sides = [statement.test.left, *statement.test.comparators]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement of the top level binds or changes."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from _targets(target)
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        yield from _targets(statement.target)
    elif isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
        if isinstance(statement, ast.For):
            yield from _targets(statement.target)
        for inner in ast.iter_child_nodes(statement):
            if isinstance(inner, ast.stmt):
                yield from _bound(inner)
            elif isinstance(inner, ast.ExceptHandler):
                for handled in inner.body:
                    yield from _bound(handled)


def _targets(target: ast.expr) -> Iterator[str]:
    """The names of a target: `TABLE["x"] = 1` changes `TABLE`."""
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _targets(each)
    elif isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
        yield from _targets(target.value)


def _imports(statement: ast.stmt, via: str) -> Iterator[Imported]:
    for node in ast.walk(statement):
        inside = node is not statement and isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno, via, inside, ())
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield Imported("." * node.level + (node.module or ""), node.lineno, via, inside, names)


def _lines(statement: ast.stmt) -> range:
    first = statement.lineno
    for decorator in getattr(statement, "decorator_list", ()):
        first = min(first, decorator.lineno)
    return range(first, (statement.end_lineno or first) + 1)
