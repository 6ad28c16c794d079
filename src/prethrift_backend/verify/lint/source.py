"""The source of an application, read and never run: its calls, its texts, and what its names stand for."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeAlias

_FOLLOW_MAX: Final = 5  # how often a name may be passed on by import; arbitrary, a circle must end
_NAMES: Final = (ast.Name, ast.Attribute)
Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Said:
    """The strings of a piece of source, docstrings left out, and the names that it reads."""

    texts: frozenset[str] = frozenset()
    loads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceModule:
    """One module as it is written.

    ``constants`` are the values that names have at the top of the module, ``imports`` what a name was imported as:
    module and attribute, an empty attribute for the module itself. ``said`` is what the module says besides its
    constants, ``said_by`` what each of these says; ``lookups`` are the subscripts.
    """

    name: str
    path: str
    calls: tuple[ast.Call, ...] = ()
    functions: tuple[Function, ...] = ()
    classes: tuple[ast.ClassDef, ...] = ()
    constants: Mapping[str, ast.expr] = field(default_factory=dict)
    assigned: Mapping[str, tuple[ast.expr, ...]] = field(default_factory=dict)
    imports: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    said: Said = field(default_factory=Said)
    said_by: Mapping[str, Said] = field(default_factory=dict)
    lookups: tuple[ast.Subscript, ...] = ()

    @property
    def texts(self) -> frozenset[str]:
        """Every text that stands in the module."""
        return self.said.texts.union(*(said.texts for said in self.said_by.values()))


class Source:
    """All modules of some packages."""

    def __init__(self, modules: Iterable[SourceModule], *, unreadable: Iterable[str] = ()) -> None:
        self.modules: Mapping[str, SourceModule] = {module.name: module for module in modules}
        self.unreadable = tuple(unreadable)

    def text_of(self, expression: ast.expr | None, module: SourceModule) -> str | None:
        """Return the text that an expression always is, None where that cannot be told."""
        found, _ = self.value_of(expression, module)
        return found.value if isinstance(found, ast.Constant) and isinstance(found.value, str) else None

    def value_of(
        self, expression: ast.expr | None, module: SourceModule, depth: int = 0
    ) -> tuple[ast.expr | None, SourceModule]:
        """Follow a name through constants and imports to what it stands for, and to the module in which that stands."""
        if isinstance(expression, ast.Name) and expression.id == "__name__":
            return ast.Constant(module.name), module
        if depth > _FOLLOW_MAX or not isinstance(expression, ast.Name | ast.Attribute):
            return expression, module
        found, owner = self._meant(expression, module)
        return (expression, module) if found is None else self.value_of(found, owner, depth + 1)

    def _meant(
        self, expression: ast.Name | ast.Attribute, module: SourceModule
    ) -> tuple[ast.expr | None, SourceModule]:
        if isinstance(expression, ast.Name):
            return self._named(expression.id, module)
        if isinstance(expression.value, ast.Name) and expression.value.id in module.imports:
            of, attribute = module.imports[expression.value.id]
            other = self.modules.get(f"{of}.{attribute}" if attribute else of)
            if other is not None:
                return self._named(expression.attr, other)
        return None, module

    def _named(self, name: str, module: SourceModule, depth: int = 0) -> tuple[ast.expr | None, SourceModule]:
        if name in module.constants:
            return module.constants[name], module
        of, attribute = module.imports.get(name, ("", ""))
        other = self.modules.get(of)
        if other is None or not attribute or depth > _FOLLOW_MAX:
            return None, module
        return self._named(attribute, other, depth + 1)

    @cached_property
    def used_texts(self) -> frozenset[str]:
        """Every text that is used: written where it is needed, or in a constant that somebody reads.

        A constant that only another one reads is used where that one is. Constants of one name count together.
        """
        waiting: dict[str, list[Said]] = {}
        for module in self.modules.values():
            for name, said in module.said_by.items():
                waiting.setdefault(name, []).append(said)
        pending = [module.said for module in self.modules.values()]
        texts: set[str] = set()
        while pending:
            said = pending.pop()
            texts |= said.texts
            for name in said.loads & waiting.keys():
                pending += waiting.pop(name)
        return frozenset(texts)

    @cached_property
    def keywords(self) -> frozenset[str]:
        """Every name that a value is given under in a call."""
        calls = (call for module in self.modules.values() for call in module.calls)
        return frozenset(keyword.arg for call in calls for keyword in call.keywords if keyword.arg is not None)


def read_source(folder: Path, package: str, *, without: Iterable[str] = ()) -> Source:
    """Read every module of the package in ``folder``; ``without`` names parts of it that are left out."""
    left_out = tuple(folder / name for name in without)
    paths = [path for path in sorted(folder.rglob("*.py")) if not any(path.is_relative_to(one) for one in left_out)]
    return read_files({_module_name(path, folder, package): path for path in paths})


def read_files(files: Mapping[str, Path]) -> Source:
    """Read modules by name and file; what is no Python is in ``unreadable``, as path and reason."""
    modules, unreadable = [], []
    for name, path in files.items():
        try:
            modules.append(read_module(path.read_bytes(), name=name, path=str(path)))
        except (OSError, SyntaxError, ValueError, RecursionError) as error:
            unreadable.append(f"{path}: {error}")
    return Source(modules, unreadable=unreadable)


def joined(sources: Iterable[Source]) -> Source:
    """Put sources together."""
    given = list(sources)
    return Source(
        (module for source in given for module in source.modules.values()),
        unreadable=[text for source in given for text in source.unreadable],
    )


def _module_name(path: Path, folder: Path, package: str) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def read_module(text: bytes | str, *, name: str, path: str) -> SourceModule:
    """Read one module.

    Raises SyntaxError or ValueError where it is no Python.
    """
    tree = ast.parse(text)
    reader = _Reader()
    reader.read(tree)
    package = name if Path(path).stem == "__init__" else name.rpartition(".")[0]
    return SourceModule(
        name,
        path,
        calls=tuple(reader.calls),
        functions=tuple(reader.functions),
        classes=tuple(reader.classes),
        constants=dict(pair for statement in tree.body for pair in _constants_of(statement)),
        assigned={target: tuple(values) for target, values in reader.assigned.items()},
        imports={local: meant for node in reader.imports for local, meant in _imported(node, package)},
        said=reader.said,
        said_by=reader.said_by,
        lookups=tuple(reader.lookups),
    )


class _Reader:
    """One walk over a module."""

    def __init__(self) -> None:
        self.calls: list[ast.Call] = []
        self.functions: list[Function] = []
        self.classes: list[ast.ClassDef] = []
        self.imports: list[ast.Import | ast.ImportFrom] = []
        self.assigned: dict[str, list[ast.expr]] = {}
        self.lookups: list[ast.Subscript] = []
        self.said = Said()
        self.said_by: dict[str, Said] = {}
        self._notes: dict[type, Callable[[Any], None]] = {
            ast.Call: self.calls.append,
            ast.Subscript: self.lookups.append,
            ast.ClassDef: self.classes.append,
            ast.FunctionDef: self.functions.append,
            ast.AsyncFunctionDef: self.functions.append,
            ast.Import: self.imports.append,
            ast.ImportFrom: self.imports.append,
            ast.Assign: self._assign,
            ast.AnnAssign: self._assign,
        }

    def read(self, tree: ast.Module) -> None:
        texts: set[str] = set()
        loads: set[str] = set()
        for statement in tree.body:
            names = [name for name, _ in _constants_of(statement)]
            said = self._read(statement)
            if names:
                self.said_by |= dict.fromkeys(names, said)
            else:
                texts |= said.texts
                loads |= said.loads
        self.said = Said(frozenset(texts), frozenset(loads))

    def _read(self, statement: ast.stmt) -> Said:
        texts: set[str] = set()
        loads: set[str] = set()
        for node in _nodes(statement):
            if isinstance(node, ast.Constant):
                if isinstance(node.value, str):
                    texts.add(node.value)
            elif isinstance(node, ast.Name):
                loads.add(node.id)
            elif isinstance(node, ast.Attribute):
                loads.add(node.attr)
            else:
                self._notes.get(node.__class__, _pass_over)(node)
        return Said(frozenset(texts), frozenset(loads))

    def _assign(self, node: ast.Assign | ast.AnnAssign) -> None:
        if node.value is None:
            return
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            for name, value in _pairs(target, node.value):
                self.assigned.setdefault(name, []).append(value)


def _pass_over(_: ast.AST) -> None:
    """Note nothing of a node."""


def _nodes(statement: ast.stmt) -> Iterator[ast.AST]:
    """Yield what a statement is made of, in its order; docstrings and names that are only assigned are left out.

    `ast.walk` gives each operator and context besides, and takes longer.
    """
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if not (isinstance(node, _NAMES) and isinstance(node.ctx, ast.Store)):
            yield node
        inner: list[ast.AST] = []
        for field_name in node._fields:
            value = getattr(node, field_name, None)
            if isinstance(value, list):
                inner.extend(one for one in value if isinstance(one, ast.AST))
            elif isinstance(value, ast.AST) and value._fields:
                inner.append(value)
        pending.extend(reversed(inner))


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Yield what is assigned to which name; an attribute counts by its last word, as in ``self._log``."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        for one, its_value in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, its_value)
    elif isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute):
        yield target.attr, value


def _constants_of(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        yield from _pairs(statement.targets[0], statement.value)
    elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
        yield from _pairs(statement.target, statement.value)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, (alias.name if alias.asname else top, "")
        return
    base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join([*base, *([node.module] if node.module else [])])
    for alias in node.names:
        yield alias.asname or alias.name, (module, alias.name)
