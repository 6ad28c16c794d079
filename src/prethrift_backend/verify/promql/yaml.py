"""YAML with the line of every value; scalars as the text that stands there, as Prometheus reads them into strings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prethrift_backend.exceptions import PrethriftError

try:
    import yaml
except ModuleNotFoundError as error:  # the extra `contracts` is not installed; said when a file is to be read
    _MISSING: ModuleNotFoundError | None = error
else:
    _MISSING = None

# Deeper than any rule file; also what a list that holds itself comes to. Arbitrary.
_DEPTH_MAX: Final = 12
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


class YamlError(PrethriftError):
    """A text that is no YAML of the plain kind; ``line`` where it stops to be."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class YamlValue:
    """A text, a list, names and values, or nothing; and the line where it begins."""

    value: str | list[YamlValue] | dict[str, YamlValue] | None
    line: int


def read_yaml(content: bytes) -> YamlValue | None:
    """Read one document; None where there is nothing in it.

    Raises YamlError.
    """
    if _MISSING is not None:
        what = f"rule files need the module {_MISSING.name!r}, which is not installed"
        raise YamlError(f"{what}: pip install 'prethrift-backend[contracts]'")
    try:
        # The reader in C is some eight times as fast; a build of the module may be without it.
        root = yaml.compose(content.decode(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except UnicodeDecodeError as error:
        raise YamlError("it is not UTF-8", content.count(b"\n", 0, error.start) + 1) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise YamlError(error.problem or "it cannot be read", mark.line + 1 if mark is not None else None) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise YamlError("it cannot be read") from error
    return None if root is None else _Values().of(root, 0)


class _Values:
    """Turns nodes into values, each once: an alias of an alias must not be written out again and again."""

    def __init__(self) -> None:
        self._made: dict[int, YamlValue] = {}

    def of(self, node: yaml.Node, depth: int) -> YamlValue:
        if id(node) not in self._made:
            self._made[id(node)] = self._make(node, depth)
        return self._made[id(node)]

    def _make(self, node: yaml.Node, depth: int) -> YamlValue:
        line = node.start_mark.line + 1
        if depth > _DEPTH_MAX:
            raise YamlError("it is nested too deeply", line)
        if isinstance(node, yaml.MappingNode):
            return YamlValue(self._mapping(node, depth), line)
        if isinstance(node, yaml.SequenceNode):
            return YamlValue([self.of(item, depth + 1) for item in node.value], line)
        style = node.style if isinstance(node, yaml.ScalarNode) else None
        if style is None and node.value in _NULLS:
            return YamlValue(None, line)
        # The text of a block begins in the line below its mark.
        return YamlValue(str(node.value), line + (style in ("|", ">")))

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, YamlValue]:
        found: dict[str, YamlValue] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a name is a text", line)
            if key.value in found:
                raise YamlError(f"{key.value!r} is there twice", line)
            found[key.value] = self.of(value, depth + 1)
        return found
