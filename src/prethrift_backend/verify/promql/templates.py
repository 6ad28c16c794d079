"""The texts of an alert: templates over the labels and the value of the result (PQ014)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prethrift_backend.verify.promql.alerts import has_rate
from prethrift_backend.verify.promql.query import Fault, Subject, listed

_ACTION: Final = re.compile(r"\{\{-?((?:[^{}\"`]|\"(?:[^\"\\]|\\.)*\"|`[^`]*`)*)-?\}\}")
_TEXTS: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|`[^`]*`|/\*.*?\*/", re.DOTALL)
_LABEL_USE: Final = re.compile(r"""(?:\$labels|\.Labels)\.([a-zA-Z_]\w*)|index\s+(?:\$labels|\.Labels)\s+"(\w+)\"""")
_VALUE_USE: Final = re.compile(r"(?:\$value|\.Value)\b")
_VARIABLE: Final = re.compile(r"\$(\w*)(\s*(?:,\s*\$(\w+)\s*)?:=)?")
_WORD: Final = re.compile(r"(?<![\w$.])[a-zA-Z_]\w*")

_VARIABLES: Final = frozenset({"", "labels", "externalLabels", "externalURL", "value"})
# Words of Go's templates, its functions, and those that Prometheus adds.
_WORDS: Final = frozenset(
    {
        "and", "args", "block", "break", "call", "continue", "define", "else", "end", "eq", "externalURL",
        "false", "first", "ge", "graphLink", "gt", "html", "humanize", "humanize1024", "humanizeDuration",
        "humanizePercentage", "humanizeTimestamp", "if", "index", "js", "label", "le", "len", "lt", "match",
        "ne", "nil", "not", "or", "parseDuration", "pathPrefix", "print", "printf", "println", "query", "range",
        "reReplaceAll", "safeHtml", "slice", "sortByLabel", "stripDomain", "stripPort", "strvalue", "tableLink",
        "template", "title", "tmpl", "toLower", "toTime", "toUpper", "true", "urlquery", "value", "with"
    }
)  # fmt: skip


def check_templates(subject: Subject) -> Iterator[Fault]:
    """PQ014: templates use labels that the result has, and nothing that changes stands in an alert's labels."""
    if not subject.is_alert:
        return
    query = subject.query
    for name, text in (*query.labels.items(), *query.annotations.items()):
        yield from _unknown_labels(name, text, subject)
        yield from _unreadable(name, text)
    for name, text in query.labels.items():
        if any(_VALUE_USE.search(action) for action in _ACTION.findall(text)):
            what = f"label {name!r} holds the value: each evaluation makes another alert, and none waits long enough"
            yield Fault("PQ014", what, "put the value into an annotation")
    for name, text in query.annotations.items():
        bare = any(action.strip() in ("$value", ".Value") for action in _ACTION.findall(text))
        if bare and has_rate(subject.tree):
            what = f"annotation {name!r} shows the value with all its digits"
            yield Fault("PQ014", what, "write {{ $value | humanize }} or humanizePercentage", level="info")


def _unknown_labels(name: str, text: str, subject: Subject) -> Iterator[Fault]:
    shape = subject.shapes.of(subject.tree)
    actions = _ACTION.findall(text)
    for used in (found[1] or found[2] for action in actions for found in _LABEL_USE.finditer(action)):
        if shape is None or shape.may_have(used) or used == "__name__":
            continue
        what = f"{name!r} uses the label {used!r}, which the result has not: it stays empty"
        fix = f"keep it in by(…), or use one of: {listed(shape.labels)}"
        yield Fault("PQ014", what, fix, expected=listed(shape.labels), observed=used)


def _unreadable(name: str, text: str) -> Iterator[Fault]:
    if _ACTION.sub("", text).count("{{"):
        yield Fault("PQ014", f"the template of {name!r} does not close what it opens", "balance {{ and }}")
    actions = [_TEXTS.sub('""', action) for action in _ACTION.findall(text)]
    found = [match for action in actions for match in _VARIABLE.finditer(action)]
    own = {variable for match in found if match[2] for variable in (match[1], match[3])}
    for unknown in sorted({match[1] for match in found} - own - _VARIABLES):
        yield Fault("PQ014", f"the template of {name!r} uses ${unknown}, which nothing sets", "use $labels or $value")
    for unknown in sorted({word for action in actions for word in _WORD.findall(action)} - _WORDS):
        what = f"the template of {name!r} calls {unknown!r}, which is no function"
        yield Fault("PQ014", what, "use one of Prometheus', such as humanize")
