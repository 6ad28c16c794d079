"""The canonical form of ``metrics.txt``.

The header comes first, then each family as a block (HELP, TYPE, META, LABEL, BUCKETS, SERIES, samples) in the order in
which the file names them, then DEPRECATED, then EXTERNAL; one empty line between blocks. A comment right above a line
stays above it; one with an empty line below it stays above the block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.contracts._layout import Comments, in_columns, joined, ordered
from prethrift_backend.contracts._reading import numbered_lines
from prethrift_backend.contracts._samples import BARE_LINE, parse_sample
from prethrift_backend.contracts._tokens import DIRECTIVE, Token, split
from prethrift_backend.contracts.model import MetricFamily, MetricsContract

_HEADER: Final = ("CONTRACT", "SCRAPE", "BUDGET")
_FAMILY: Final = ("HELP", "TYPE", "META", "LABEL", "BUCKETS", "SERIES", "sample")
_UNKNOWN_HELP: Final = "Not described yet."


@dataclass(slots=True)
class _Item:
    """A line that says something: what it is, its words from the key on, the text from its third word on."""

    key: str
    tokens: list[Token]
    text: str
    comments: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Block:
    """Lines that stand together; ``sections`` are the comments above all of them, each with a line below it."""

    sections: list[str] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)

    def add(self, item: _Item, leading: list[str]) -> None:
        """Put a line into the block, with the comments above it."""
        gap = max((index + 1 for index, line in enumerate(leading) if not line), default=0)
        if not self.items:
            self.sections = leading[:gap]
            leading = leading[gap:]
        item.comments = [line for line in leading if line]
        self.items.append(item)


def lay_out_metrics(text: str, contract: MetricsContract) -> str:
    """Return the canonical form of a text that states ``contract``."""
    families = {family.name: family for family in contract.families}
    blocks: dict[str, _Block] = {}
    comments = Comments()
    for number, line in numbered_lines(text):
        item = _read(line, number)
        if item is None:
            comments.add(line)
        else:
            blocks.setdefault(_owner(item, families), _Block()).add(item, comments.take())
    written = [_header(blocks.get("#CONTRACT", _Block()), contract)]
    written += [_family(blocks[name], family) for name, family in families.items()]
    written += [_plain(blocks[key]) for key in ("#DEPRECATED", "#EXTERNAL") if key in blocks]
    end = "\n".join(comments.take()).strip("\n")
    return "\n\n".join([part for part in [*written, end] if part]) + "\n"


def _read(line: str, number: int) -> _Item | None:
    """Return None for a comment and for an empty line."""
    tokens = split(line, number)
    if not line.startswith("#"):
        return _Item("sample", tokens, line) if line else None
    key = tokens[1].text if len(tokens) > 1 and tokens[0].text == "#" else ""
    if DIRECTIVE.fullmatch(key) is None:
        return None
    text = line[tokens[3].column - 1 :] if len(tokens) > 3 else ""
    return _Item(key, tokens[1:], text)


def _owner(item: _Item, families: dict[str, MetricFamily]) -> str:
    """Return the name of the family that a line belongs to; what belongs to none has a name that no family can have."""
    if item.key in _HEADER:
        return "#CONTRACT"
    if item.key in ("DEPRECATED", "EXTERNAL"):
        return f"#{item.key}"
    if item.key != "sample":
        return item.tokens[1].text
    name = _sample_name(item.text)
    for suffix in ("_bucket", "_sum", "_count"):
        owner = families.get(name.removesuffix(suffix))
        if name.endswith(suffix) and owner is not None and owner.kind == "histogram":
            return owner.name
    return name


def _sample_name(text: str) -> str:
    return split(text, 0)[0].text.partition("{")[0]


def _header(block: _Block, contract: MetricsContract) -> str:
    if not any(item.key == "CONTRACT" for item in block.items):
        words = [Token(word, 1) for word in ("CONTRACT", "metrics", contract.version)]
        block.items.append(_Item("CONTRACT", words, ""))
    block.items.sort(key=lambda item: _HEADER.index(item.key))
    return _plain(block)


def _family(block: _Block, family: MetricFamily) -> str:
    declared = [item for item in block.items if not _is_bare(item)]
    if len(declared) < len(block.items):
        loose = [line for item in block.items if _is_bare(item) for line in item.comments]
        block.items = _completed(declared, family, loose)
    labels = {name: place for place, name in enumerate(family.label_names)}

    def place(item: _Item) -> tuple[int, int]:
        rank = _FAMILY.index(item.key)
        return rank, labels[item.tokens[2].text] if item.key == "LABEL" else 0

    block.items.sort(key=place)
    return _plain(block, label_width=max(map(len, labels), default=0) + 1)


def _is_bare(item: _Item) -> bool:
    """Say whether a line gives names and labels alone."""
    return item.key == "sample" and BARE_LINE.fullmatch(item.text) is not None


def _completed(items: list[_Item], family: MetricFamily, comments: list[str]) -> list[_Item]:
    """Write out what a bare line left unsaid."""
    present = {(item.key, item.tokens[2].text if item.key == "LABEL" else "") for item in items}
    wanted = [("HELP", "", _UNKNOWN_HELP), ("TYPE", "", "untyped")]
    wanted += [("LABEL", name, f"{name} open") for name in family.label_names]
    made = [
        _Item(key, [Token(word, 1) for word in (key, family.name, *text.split(" "))], text)
        for key, name, text in wanted
        if (key, name) not in present
    ]
    every = sorted([*made, *items], key=lambda item: _FAMILY.index(item.key))
    every[0].comments = comments + every[0].comments
    return every


def _plain(block: _Block, *, label_width: int = 0) -> str:
    lines: list[str] = list(block.sections)
    for item in block.items:
        lines += item.comments
        lines.append(_label(item, label_width) if item.key == "LABEL" else _WRITERS[item.key](item))
    return "\n".join(lines).strip("\n")


def _with_options(operands: int, order: tuple[str, ...], *, width: int = 0) -> Callable[[_Item], str]:
    def write(item: _Item) -> str:
        said, given = item.tokens[1 : operands + 1], item.tokens[operands + 1 :]
        words = " ".join(part for part in (joined(said), ordered(given, order)) if part)
        return in_columns([(f"# {item.key}", width + 2), (words, 0)])

    return write


def _help(item: _Item) -> str:
    return f"# HELP {item.tokens[1].text} {item.text}"


def _words(item: _Item) -> str:
    return in_columns([(f"# {item.key}", 0), (joined(item.tokens[1:]), 0)])


def _label(item: _Item, width: int) -> str:
    name, label, kind = (token.text for token in item.tokens[1:4])
    listed = 4 if kind == "open" else 5
    words = [kind, joined(item.tokens[4:listed]), ordered(item.tokens[listed:], ("max", "overflow"))]
    return f"# LABEL {name} {label.ljust(width)}{' '.join(word for word in words if word)}"


def _sample(item: _Item) -> str:
    sample = parse_sample(item.text, 0)
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels)
    value = item.text.rpartition("}")[2].strip(" \t") if labels or "}" in item.text else item.tokens[-1].text
    return f"{sample.name}{{{labels}}} {value}" if labels else f"{sample.name} {value}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_WRITERS: Final[dict[str, Callable[[_Item], str]]] = {
    "BUCKETS": _words,
    "BUDGET": _with_options(0, ("series", "bytes", "scrape_seconds"), width=10),
    "CONTRACT": lambda item: in_columns([("# CONTRACT", 12), (joined(item.tokens[1:]), 0)]),
    "DEPRECATED": _with_options(1, ("since", "remove", "replaced-by")),
    "EXTERNAL": _words,
    "HELP": _help,
    "META": _with_options(1, ("stability", "since", "owner", "unit", "expires", "across"), width=6),
    "SCRAPE": _with_options(0, ("job", "path", "interval", "timeout"), width=10),
    "SERIES": _with_options(1, ("max", "presence", "init")),
    "TYPE": _words,
    "sample": _sample,
}
