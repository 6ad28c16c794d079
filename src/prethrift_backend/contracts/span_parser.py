"""Read ``spans.txt``: RECORD, RESOURCE, NEVER-KEY, NEVER-VALUE, and a block for each SPAN."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast, get_args

from prethrift_backend.contracts._blocks import BlockReader, Line, make_count
from prethrift_backend.contracts._reading import digest
from prethrift_backend.contracts._tokens import (
    DIRECTIVE,
    FaultError,
    Token,
    check_end,
    check_match,
    check_once,
    check_stability,
    count,
    operand,
    options,
)
from prethrift_backend.contracts._values import NeverWords, make_value
from prethrift_backend.contracts.spans import (
    SpanAttribute,
    SpanEvent,
    SpanKindName,
    SpanLimits,
    SpanLink,
    SpanPromise,
    SpansContract,
    SpanStatus,
    placeholders,
)

_KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SPAN_FORM: Final = "SPAN server kind=server scope=my.package"
_Attributes = dict[str, tuple[Token, SpanAttribute]]


def parse_spans(text: str, *, source: str) -> SpansContract:
    """Return the contract that the text states; ``source`` is the name to give in error texts.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    return _Reader(source).contract(text, source)


@dataclass(slots=True)
class _DraftEvent:
    name: Token
    options: dict[str, Token]
    attributes: _Attributes = field(default_factory=dict)
    note: str = ""


@dataclass(slots=True)
class _Draft:
    """A span while its lines are being read."""

    key: Token
    note: str = ""
    options: dict[str, Token] = field(default_factory=dict)
    names: list[Token] | None = None
    statuses: tuple[SpanStatus, ...] | None = None
    attributes: _Attributes = field(default_factory=dict)
    events: dict[str, _DraftEvent] = field(default_factory=dict)
    links: dict[str, SpanLink] = field(default_factory=dict)
    open_at: Token | None = None
    status_note: str = ""
    open_note: str = ""


class _Reader(BlockReader):
    signal = "spans"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._limits: SpanLimits | None = None
        self._resource: _Attributes = {}
        self._drafts: dict[str, _Draft] = {}
        self._draft: _Draft | None = None
        self._event: _DraftEvent | None = None
        self._never = NeverWords()
        self._directives = {
            "NEVER-KEY": self._never.read_keys,
            "NEVER-VALUE": self._never.read_values,
            "RECORD": self._read_record,
            "RESOURCE": self._read_resource,
            "SPAN": self._read_span,
        }
        self._rules: dict[str, Callable[[_Draft, Line], None]] = {
            "EVENT": self._read_event,
            "LINK": _read_link,
            "NAME": _read_names,
            "OPEN": _read_open,
            "STATUS": _read_statuses,
        }

    def contract(self, text: str, source: str) -> SpansContract:
        version = self.read(text)
        for draft in self._drafts.values():
            self._attempt(draft.key.line, lambda draft=draft: self._check(draft))  # type: ignore[misc] # a lambda with defaults
        self._check_never()
        self.faults.raise_any()
        return SpansContract(
            version=version,
            sha256=digest(text),
            source=source,
            limits=self._limits or SpanLimits(),
            resource=_made(self._resource),
            spans=tuple(_make_span(draft) for draft in self._drafts.values()),
            never_keys=tuple(self._never.keys.values()),
            never_values=tuple(self._never.values.values()),
        )

    def _leave(self) -> None:
        self._draft = self._event = None

    def _read_inner(self, line: Line) -> None:
        draft = self._draft
        if draft is None:
            fix = "write the SPAN line above it, or begin the line at its first column"
            raise FaultError(1, "an indented line without a SPAN", "it says more of the span above it", fix)
        if line.depth > 1:
            if self._event is None:
                fix = "write the EVENT line above it, or indent by two"
                raise FaultError(1, "an attribute of no event", "by four spaces stands what an EVENT has", fix)
            _add(self._event.attributes, line.tokens, line.note)
            return
        self._event = None
        first = line.tokens[0]
        rule = self._rules.get(first.text)
        if rule is not None:
            rule(draft, line)
        elif DIRECTIVE.fullmatch(first.text):
            known = ", ".join(sorted(self._rules))
            what = f"rule {first.text!r} is unknown"
            raise FaultError(first.column, what, f"a word in upper case is one of {known}", "correct it")
        else:
            _add(draft.attributes, line.tokens, line.note)

    def _read_record(self, tokens: list[Token]) -> None:
        check_once(self._limits, tokens[0])
        given = options(tokens[1:], ("max-attributes", "max-events", "max-links", "max-text"))
        self._limits = SpanLimits(
            max_attributes=count(given.get("max-attributes")),
            max_events=count(given.get("max-events")),
            max_links=count(given.get("max-links")),
            max_text=count(given.get("max-text")),
            note=self._note,
            line=tokens[0].line,
        )

    def _read_resource(self, tokens: list[Token]) -> None:
        operand(tokens, 1, "RESOURCE service.name string required")
        _add(self._resource, tokens[1:], self._note)

    def _read_span(self, tokens: list[Token]) -> None:
        key = operand(tokens, 1, _SPAN_FORM)
        check_match(_KEY, key, "the key of a span is a word in lower case", "server")
        check_once(self._drafts.get(key.text), key)
        self._draft = self._drafts[key.text] = _Draft(key, self._note)
        self._skips = False
        given = options(tokens[2:], ("kind", "scope", "stability", "count", "count<", "parent"))
        for name in ("kind", "scope"):
            if name not in given:
                rule, fix = f"the {name} is promised", f"write something like '{_SPAN_FORM}'"
                raise FaultError(tokens[0].column, f"SPAN has no {name}", rule, fix)
        if given["kind"].text not in get_args(SpanKindName):
            rule = f"it is one of {', '.join(get_args(SpanKindName))}"
            raise FaultError(given["kind"].column, f"kind {given['kind'].text!r} is unknown", rule, "choose one")
        check_stability(given.get("stability"))
        make_count(given)
        self._draft.options = given

    def _read_event(self, draft: _Draft, line: Line) -> None:
        name = operand(line.tokens, 1, "EVENT exception count<=1")
        self._event = _DraftEvent(name, {}, note=line.note)
        check_once(draft.events.get(name.text), name)
        draft.events[name.text] = self._event
        given = options(line.tokens[2:], ("count", "count<"))
        make_count(given)
        self._event.options = given

    def _check(self, draft: _Draft) -> None:
        """Hold a span to what only the whole file can tell."""
        if draft.names is None:
            rule, fix = "the names that such a span may have are promised", "add a line '  NAME …' below it"
            raise FaultError(draft.key.column, f"span {draft.key.text!r} has no NAME", rule, fix)
        for token in draft.names:
            missing = [name for name in placeholders(token.text) if name not in draft.attributes]
            if missing:
                what, rule = f"{token.text!r} is made of {missing[0]!r}", "a name is made of the span's own attributes"
                raise FaultError(token.column, what, rule, "add that attribute, or correct it", line=token.line)
        parent = draft.options.get("parent")
        if parent is not None and parent.text not in self._drafts:
            what, rule = f"no span has the key {parent.text!r}", "a parent is a span of this file"
            raise FaultError(parent.column, what, rule, "add a SPAN block for it, or correct the key", line=parent.line)

    def _check_never(self) -> None:
        owners = [self._resource]
        for draft in self._drafts.values():
            owners += [draft.attributes, *(event.attributes for event in draft.events.values())]
        for attributes in owners:
            for name, _ in attributes.values():
                self._attempt(name.line, lambda name=name: self._never.check(name))  # type: ignore[misc] # as above


def _add(attributes: _Attributes, tokens: list[Token], note: str) -> None:
    made = make_value(SpanAttribute, tokens, note)
    check_once(attributes.get(made.name), tokens[0])
    attributes[made.name] = (tokens[0], made)


def _alternatives(tokens: list[Token], form: str) -> list[Token]:
    """Return what stands between the bars of a rule, spaces within made single; the column is that of the first."""
    first = operand(tokens, 1, form)
    found = [first._replace(text=part.strip(" ")) for part in " ".join(token.text for token in tokens[1:]).split("|")]
    texts = [token.text for token in found]
    if "" in texts or len(set(texts)) < len(texts):
        what = f"{' '.join(token.text for token in tokens)!r} has an empty or a repeated part"
        raise FaultError(first.column, what, "between bars stand different things", "correct it")
    return found


def _read_names(draft: _Draft, line: Line) -> None:
    check_once(draft.names, line.tokens[0])
    draft.names = _alternatives(line.tokens, "NAME {http.request.method} {http.route} | HTTP")


def _read_statuses(draft: _Draft, line: Line) -> None:
    check_once(draft.statuses, line.tokens[0])
    draft.status_note = line.note
    found = _alternatives(line.tokens, "STATUS unset | error")
    for token in found:
        if token.text not in get_args(SpanStatus):
            rule = f"it is one of {', '.join(get_args(SpanStatus))}"
            raise FaultError(token.column, f"status {token.text!r} is unknown", rule, "choose one")
    draft.statuses = tuple(cast(SpanStatus, token.text) for token in found)


def _read_link(draft: _Draft, line: Line) -> None:
    name = operand(line.tokens, 1, "LINK caller count<=1")
    given = options(line.tokens[2:], ("count", "count<"))
    check_once(draft.links.get(name.text), name)
    draft.links[name.text] = SpanLink(name.text, make_count(given), line.note, name.line)


def _read_open(draft: _Draft, line: Line) -> None:
    check_end(line.tokens, 1)
    check_once(draft.open_at, line.tokens[0])
    draft.open_at = line.tokens[0]
    draft.open_note = line.note


def _made(attributes: _Attributes) -> tuple[SpanAttribute, ...]:
    return tuple(one for _, one in attributes.values())


def _make_span(draft: _Draft) -> SpanPromise:
    given = draft.options
    events = [
        SpanEvent(event.name.text, make_count(event.options), _made(event.attributes), event.note, event.name.line)
        for event in draft.events.values()
    ]
    return SpanPromise(
        key=draft.key.text,
        kind=cast(SpanKindName, given["kind"].text),
        scope=given["scope"].text,
        names=tuple(token.text for token in draft.names or ()),
        stability=check_stability(given.get("stability")),
        count=make_count(given),
        parent=given["parent"].text if "parent" in given else None,
        attributes=_made(draft.attributes),
        statuses=draft.statuses or ("unset", "error"),
        events=tuple(events),
        links=tuple(draft.links.values()),
        is_open=draft.open_at is not None,
        note=draft.note,
        status_note=draft.status_note,
        open_note=draft.open_note,
        line=draft.key.line,
    )
