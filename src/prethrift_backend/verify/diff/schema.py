"""Whether every body of a new schema is also one of the old: for a restricted part of JSON Schema 2020-12.

The question is undecidable enough in general that tools which answer it for any schema answer wrongly for some. So the
keywords are few, any other is refused, and where the answer is not plain it is "perhaps not": a difference is reported
that need not be one, never the other way round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from prethrift_backend.exceptions import ContractError

_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "string", "integer"})
_ANNOTATIONS: Final = frozenset({"$schema", "$id", "$defs", "title", "description"})
_LOWER: Final = {"minimum": "number", "minLength": "string", "minItems": "array"}
_UPPER: Final = {"maximum": "number", "maxLength": "string", "maxItems": "array"}
_BOUNDS: Final = _LOWER | _UPPER
_SINGLE: Final = frozenset({"items", "additionalProperties", "propertyNames", "not", "if", "then", "else"})
_MANY: Final = frozenset({"allOf", "anyOf"})
_CONDITION: Final = ("if", "then", "else")
# Arbitrary: a schema by hand has a dozen levels at most.
_MAX_DEPTH: Final = 40


@dataclass(frozen=True, slots=True)
class Node:
    """A schema with its references put in place.

    ``keywords`` has nodes where the schema has schemas, and lists of values as canonical JSON. ``definition`` is the
    name under ``$defs`` that it came from. ``is_never`` is the schema ``false``.
    """

    keywords: Mapping[str, Any] = field(default_factory=dict)
    is_never: bool = False
    definition: str | None = field(default=None, compare=False)

    @property
    def values(self) -> tuple[str, ...] | None:
        """The closed list of values, each as JSON; None where there is none."""
        listed: tuple[str, ...] | None = self.keywords.get("enum")
        return listed

    @property
    def types(self) -> frozenset[str]:
        """The types that a value may have; all where the schema does not say."""
        stated: frozenset[str] = self.keywords.get("type", _TYPES)
        return stated | {"integer"} if "number" in stated else stated

    @property
    def properties(self) -> Mapping[str, Node]:
        """The named properties."""
        named: Mapping[str, Node] = self.keywords.get("properties", {})
        return named

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the properties that are always there."""
        names: tuple[str, ...] = self.keywords.get("required", ())
        return names

    @property
    def rest(self) -> Node:
        """What holds of a property that is not named."""
        node: Node = self.keywords.get("additionalProperties", _ANYTHING)
        return node

    def without(self, *keywords: str) -> Node:
        """Return the node with less said."""
        left = {key: value for key, value in self.keywords.items() if key not in keywords}
        return replace(self, keywords=left)

    def allows(self, value: object) -> bool:
        """Say whether the value is certainly allowed; False where that is not plain."""
        if self.is_never or any(key in self.keywords for key in ("not", "format", *_CONDITION)):
            return False
        return all(_holds(key, stated, value) for key, stated in self.keywords.items())


_ANYTHING: Final = Node()


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", dict: "object", list: "array"}
    return names.get(type(value), "null")


def _holds(key: str, stated: Any, value: object) -> bool:
    match key:
        case "type":
            return _type_of(value) in Node({"type": stated}).types
        case "enum":
            return canonical(value) in stated
        case "allOf":
            return all(node.allows(value) for node in stated)
        case "anyOf":
            return any(node.allows(value) for node in stated)
        case "pattern":
            return not isinstance(value, str) or re.search(stated, value) is not None
    return _is_within(key, stated, value) if key in _BOUNDS else not isinstance(value, dict | list)


def _is_within(key: str, bound: float, value: object) -> bool:
    if isinstance(value, bool) or value is None:
        return True
    if _BOUNDS[key] == "number":
        measure = value if isinstance(value, int | float) else None
    else:
        measure = len(value) if isinstance(value, str if _BOUNDS[key] == "string" else list) else None
    if measure is None:
        return True
    return measure >= bound if key in _LOWER else measure <= bound


def canonical(value: object) -> str:
    """Return the value as JSON, the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# Reading.


def read_schema(document: Mapping[str, Any], *, source: str) -> Node:
    """Return the schema with its references in place.

    Raises ContractError where a keyword is not one of the few, or is not used as it should be.
    """
    return _Reader(document, source).read(document, "#", depth=0)


class _Reader:
    def __init__(self, document: Mapping[str, Any], source: str) -> None:
        self._document = document
        self._source = source
        self._open: list[str] = []  # the definitions that are being put in place

    def read(self, schema: object, at: str, *, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise self._fault(at, "too deep", f"a schema has {_MAX_DEPTH} levels at most", "make it flat")
        if isinstance(schema, bool):
            return Node(is_never=not schema)
        if not isinstance(schema, dict):
            raise self._fault(at, f"{schema!r} is no schema", "it is an object or a boolean", "correct it")
        said = {key: value for key, value in schema.items() if key not in _ANNOTATIONS}
        if "$ref" in said:
            return self._referred(said, at, depth)
        keywords = {}
        for key, value in said.items():
            keywords.update(self._keyword(key, value, f"{at}/{key}", depth))
        return Node(keywords)

    def _referred(self, said: dict[str, Any], at: str, depth: int) -> Node:
        reference = said.pop("$ref")
        name = str(reference).removeprefix("#/$defs/")
        definitions = self._document.get("$defs")
        if said:
            what = f"{', '.join(sorted(said))} beside $ref"
            raise self._fault(at, what, "a reference stands alone here, a description aside", "use allOf")
        if not isinstance(definitions, dict) or name not in definitions or reference != f"#/$defs/{name}":
            raise self._fault(at, f"$ref {reference!r} leads nowhere", "it is '#/$defs/NAME'", "correct it")
        if name in self._open:
            raise self._fault(at, f"$ref {reference!r} goes round in a circle", "a body has an end", "make it flat")
        self._open.append(name)
        node = replace(self.read(definitions[name], reference, depth=depth + 1), definition=name)
        self._open.pop()
        return node

    def _keyword(self, key: str, value: object, at: str, depth: int) -> dict[str, Any]:
        if key in _SINGLE:
            return {key: self.read(value, at, depth=depth + 1)}
        if key in _MANY and isinstance(value, list) and value:
            parts = enumerate(value)
            return {key: tuple(self.read(part, f"{at}/{index}", depth=depth + 1) for index, part in parts)}
        if key == "properties" and isinstance(value, dict):
            return {key: {name: self.read(part, f"{at}/{name}", depth=depth + 1) for name, part in value.items()}}
        return self._assertion(key, value, at)

    def _assertion(self, key: str, value: object, at: str) -> dict[str, Any]:
        reader = _ASSERTIONS.get(key)
        if reader is None:
            known = ", ".join(sorted({*_SINGLE, *_MANY, *_ASSERTIONS, "properties", "$ref"}))
            rule = f"the comparison understands {known}"
            if key in _MANY or key == "properties":
                raise self._fault(at, f"{value!r} cannot be read", "it has schemas", "correct it")
            raise self._fault(at, f"keyword {key!r} is unknown", rule, "say it with these")
        try:
            return reader(value)
        except (TypeError, ValueError, re.error) as error:
            raise self._fault(at, f"{value!r} cannot be read", str(error), "correct it") from error

    def _fault(self, at: str, what: str, rule: str, fix: str) -> ContractError:
        return ContractError(f"{self._source}: {at}: {what}: {rule}; {fix}")


def _read_type(value: object) -> dict[str, Any]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(name in _TYPES for name in names):
        raise ValueError(f"a type is one of {', '.join(sorted(_TYPES))}")
    return {"type": frozenset(names)}


def _read_enum(value: object) -> dict[str, Any]:
    if not isinstance(value, list) or not value:
        raise ValueError("enum has a list of values")
    return {"enum": tuple(canonical(one) for one in value)}


def _read_const(value: object) -> dict[str, Any]:
    return {"enum": (canonical(value),)}


def _read_required(value: object) -> dict[str, Any]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError("required has a list of names")
    return {"required": tuple(value)}


def _read_pattern(value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        raise TypeError("a pattern is a text")
    re.compile(value)
    return {"pattern": value}


def _read_format(value: object) -> dict[str, Any]:
    if not isinstance(value, str):
        raise TypeError("a format is a text")
    return {"format": value}


def _bound_reader(key: str) -> Callable[[object], dict[str, Any]]:
    def read(value: object) -> dict[str, Any]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError("a bound is a number")
        return {key: value}

    return read


_ASSERTIONS: Final[Mapping[str, Callable[[object], dict[str, Any]]]] = {
    "type": _read_type,
    "enum": _read_enum,
    "const": _read_const,
    "required": _read_required,
    "pattern": _read_pattern,
    "format": _read_format,
    **{key: _bound_reader(key) for key in _BOUNDS},
}


# Comparing.


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that may be in a new body and was in no old one; or, where it does not widen, that no longer is."""

    rule: str
    path: str
    message: str
    expected: str | None = None
    observed: str | None = None
    widens: bool = True


Differences: TypeAlias = Iterator[Difference]


def compare(old: Node, new: Node, path: str = "") -> list[Difference]:
    """Return in what new bodies may differ from all old ones.

    Where no difference widens, every body of the new schema is one of the old.
    """
    if new.definition is not None and new.definition == old.definition:
        path = new.definition
    return list(dict.fromkeys(_compared(old, new, path)))


def _implies(new: Node, old: Node) -> bool:
    return not any(difference.widens for difference in compare(old, new))


def _compared(old: Node, new: Node, path: str) -> Differences:
    if new.is_never or old == new:
        return
    if old.is_never:
        yield Difference("H005", path, f"{path} is there and was not allowed")
    elif new.values is not None:
        yield from _listed(old, new, path)
    elif old.values is not None:
        message = f"{path} is no longer one of a closed list"
        yield Difference("H004", path, message, expected="|".join(old.values), observed="any value")
    elif "anyOf" in old.keywords or "anyOf" in new.keywords:
        yield from _alternatives(old, new, path)
    else:
        yield from _plain(old, new, path)


def _listed(old: Node, new: Node, path: str) -> Differences:
    values = new.values or ()
    added = [value for value in values if not old.allows(json.loads(value))]
    gone = [value for value in old.values or () if value not in values]
    if added:
        message = f"{path} may have a value that it never had: {', '.join(added)}"
        yield Difference("H004", path, message, observed="|".join(added))
    if gone:
        message = f"{path} no longer has the value {', '.join(gone)}"
        yield Difference("H012", path, message, expected="|".join(gone), widens=False)


def _alternatives(old: Node, new: Node, path: str) -> Differences:
    before, after = old.keywords.get("anyOf"), new.keywords.get("anyOf")
    old_rest, new_rest = old.without("anyOf"), new.without("anyOf")
    if before == after:
        yield from compare(old_rest, new_rest, path)
        return
    for branch in after or (_ANYTHING,):
        facts = [branch, new_rest]
        if not (branch.keywords.keys() & new_rest.keywords.keys()):
            facts.insert(0, Node({**new_rest.keywords, **branch.keywords}, is_never=branch.is_never))
        if not any(_implies(fact, old_rest) for fact in facts):
            yield from compare(old_rest, facts[0], path)
        if before and not any(_implies(fact, choice) for fact in facts for choice in before):
            yield Difference("H003", path, f"{path} may have a form that it never had")


def _plain(old: Node, new: Node, path: str) -> Differences:
    wider = new.types - old.types
    if wider:
        message = f"{path} may be of another type"
        yield Difference("H003", path, message, expected=_listing(old.types), observed=_listing(new.types))
    elif old.types - new.types:
        message = f"{path} is of fewer types"
        yield Difference(
            "H012", path, message, expected=_listing(old.types), observed=_listing(new.types), widens=False
        )
    yield from _bounds(old, new, path)
    yield from _texts(old, new, path)
    yield from _conjunctions(old, new, path)
    if "array" in new.types:
        yield from compare(old.keywords.get("items", _ANYTHING), new.keywords.get("items", _ANYTHING), f"{path}[]")
    if "object" in new.types:
        yield from _objects(old, new, path)


def _listing(types: frozenset[str]) -> str:
    return "any" if types == _TYPES else "|".join(sorted(types))


def _bounds(old: Node, new: Node, path: str) -> Differences:
    for key, kind in _BOUNDS.items():
        before, after = old.keywords.get(key), new.keywords.get(key)
        if before == after or not new.types & ({"number", "integer"} if kind == "number" else {kind}):
            continue
        shown = _shown(before), _shown(after)
        if before is None or (after is not None and (after > before if key in _LOWER else after < before)):
            yield Difference("H012", path, f"{key} of {path} is narrower", *shown, widens=False)
        else:
            yield Difference("H009", path, f"{key} of {path} is wider", *shown)


def _shown(bound: float | None) -> str:
    return "none" if bound is None else f"{bound:g}"


def _texts(old: Node, new: Node, path: str) -> Differences:
    if "string" not in new.types:
        return
    for key, rule in (("pattern", "H009"), ("format", "H003")):
        before, after = old.keywords.get(key), new.keywords.get(key)
        if before is not None and before != after:
            yield Difference(rule, path, f"{path} has another {key}", expected=before, observed=after or "none")
        elif before != after:
            yield Difference("H012", path, f"{path} has a {key}", observed=after, widens=False)


def _conjunctions(old: Node, new: Node, path: str) -> Differences:
    olds, parts = old.keywords.get("allOf", ()), new.keywords.get("allOf", ())
    for index, part in enumerate(olds):
        if part not in parts and not _implies(new, part):
            yield Difference("H011", path, f"rule {index + 1} between the fields of {path or 'the body'} is another")
    before, after = _conditions(old), _conditions(new)
    if before != after and any(before):
        yield Difference("H011", path, f"the rule between the fields of {path or 'the body'} is another")
    elif before != after or len(parts) > len(olds):
        yield Difference("H012", path, f"there is a new rule between the fields of {path or 'the body'}", widens=False)


def _conditions(node: Node) -> tuple[Node | None, ...]:
    return tuple(node.keywords.get(key) for key in ("not", *_CONDITION))


def _objects(old: Node, new: Node, path: str) -> Differences:
    for name in old.required:
        # One that may no longer be there at all is told of as gone, with the properties.
        is_named = name in old.properties or name in new.properties
        is_gone = is_named and _may_have(old, name) and not _may_have(new, name)
        if name not in new.required and not is_gone:
            message = f"{_below(path, name)} is no longer required"
            yield Difference("H003", _below(path, name), message, expected="required", observed="optional")
    for name in new.required:
        if name not in old.required and name in old.properties:
            yield Difference("H012", _below(path, name), f"{_below(path, name)} is always there now", widens=False)
    for name in [*old.properties, *(name for name in new.properties if name not in old.properties)]:
        yield from _property(old, new, name, path)
    for key, what in (("additionalProperties", "*"), ("propertyNames", "* (the name)")):
        before, after = old.keywords.get(key, _ANYTHING), new.keywords.get(key, _ANYTHING)
        yield from compare(before, after, _below(path, what))


def _may_have(node: Node, name: str) -> bool:
    return not node.properties.get(name, node.rest).is_never


def _property(old: Node, new: Node, name: str, path: str) -> Differences:
    below = _below(path, name)
    before, after = old.properties.get(name, old.rest), new.properties.get(name, new.rest)
    if after.is_never and not before.is_never:
        rule = "H003" if name in old.required else "H013"
        yield Difference(rule, below, f"{below} is gone", widens=name in old.required)
    elif name in old.properties or before.is_never:
        yield from compare(before, after, below)
    else:
        yield from compare(before, after, below)
        yield Difference("H014", below, f"{below} is new", widens=False)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
