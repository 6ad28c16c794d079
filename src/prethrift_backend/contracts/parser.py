"""Read ``metrics.txt``: a Prometheus exposition whose comments carry the rest of the contract.

HELP, TYPE and sample lines are plain Prometheus text format 0.0.4, so that any tool can read the file. A comment whose
first word is in upper case is a directive, and an unknown one is a fault: a typo must not vanish into a comment. Any
other comment is free text. A line ``name{label,label}`` declares names and labels only, which is all that a bare list
of metrics has to say.

Every fault of the file is reported at once, each with file, line, column, rule and fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final, cast, get_args

from prethrift_backend.contracts._families import Draft, check_stem, make_family
from prethrift_backend.contracts._labels import make_label
from prethrift_backend.contracts._reading import Faults, check_line, comment_text, digest, numbered_lines
from prethrift_backend.contracts._samples import BARE_LINE, parse_sample
from prethrift_backend.contracts._tokens import (
    DIRECTIVE,
    FAMILY_NAME,
    VERSION,
    FaultError,
    Token,
    check_end,
    check_label_name,
    check_match,
    check_once,
    count,
    number,
    operand,
    options,
    seconds,
    split,
    unescape,
)
from prethrift_backend.contracts.model import (
    Across,
    Budget,
    Deprecation,
    FamilyKind,
    LabelKind,
    MetricFamily,
    MetricsContract,
    Scrape,
)

_PRESENCE: Final = re.compile(r"always|after-traffic|after-error|if=[a-z][a-z0-9_-]*")
_FAMILY_KINDS: Final = get_args(FamilyKind)
_LABEL_KINDS: Final = get_args(LabelKind)
_ACROSS: Final = get_args(Across)
_STABILITIES: Final = ("development", "beta", "stable")


def parse_metrics(text: str, *, source: str) -> MetricsContract:
    """Return the contract that the text states.

    ``source`` is the name to give in error texts, a path as a rule. A text without a CONTRACT line is accepted only as
    a bare list of names and labels; its version is 0.0.0.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    reader = _Reader(source)
    for line_number, line in numbered_lines(text):
        reader.read(line_number, line)
    return reader.finish(digest(text))


class _Reader:
    """The state of one pass over a file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._line = 0
        self._text = ""
        self._above: list[str] = []  # the comments since the last line that is empty or says something
        self._faults = Faults(source)
        self._drafts: dict[str, Draft] = {}
        self._version: str | None = None
        self._scrape: Scrape | None = None
        self._budget: Budget | None = None
        self._deprecations: dict[str, Deprecation] = {}
        self._external: list[str] = []
        self._has_directives = False
        self._directives: dict[str, Callable[[list[Token]], None]] = {
            "BUCKETS": self._read_buckets,
            "BUDGET": self._read_budget,
            "CONTRACT": self._read_contract,
            "DEPRECATED": self._read_deprecated,
            "EXTERNAL": self._read_external,
            "HELP": self._read_help,
            "LABEL": self._read_label,
            "META": self._read_meta,
            "SCRAPE": self._read_scrape,
            "SERIES": self._read_series,
            "TYPE": self._read_type,
        }

    def read(self, line_number: int, line: str) -> None:
        """Take in one line; a fault is noted and the next line goes on."""
        self._line = line_number
        self._text = line
        try:
            check_line(line)
            if line.startswith("#"):
                self._read_comment(line)
            elif line:
                self._read_declaration(line)
                self._above.clear()
            else:
                self._above.clear()
        except FaultError as fault:
            self._faults.note(line_number, fault)

    def finish(self, sha256: str) -> MetricsContract:
        """Return the contract, or raise every fault that was noted."""
        families = self._families()
        self._check_replacements()
        if self._version is None and self._has_directives:
            fix = "add '# CONTRACT metrics 1.0.0'"
            self._faults.note(1, FaultError(1, "no CONTRACT line", "every contract has a version", fix))
        self._faults.raise_any()
        return MetricsContract(
            version=self._version or "0.0.0",
            sha256=sha256,
            source=self._source,
            families=families,
            scrape=self._scrape,
            budget=self._budget or Budget(),
            deprecations=tuple(self._deprecations.values()),
            external=tuple(self._external),
        )

    # The lines.

    def _read_comment(self, line: str) -> None:
        tokens = split(line, self._line)
        if len(tokens) == 1 and tokens[0].text == "#":
            return
        if tokens[0].text != "#":
            word = tokens[0].text.lstrip("#")
            if word in self._directives:
                raise FaultError(1, f"{tokens[0].text!r} is no directive", "a space follows '#'", f"write '# {word}'")
            return
        key = tokens[1]
        if not DIRECTIVE.fullmatch(key.text):
            self._above += comment_text(line)
            return
        directive = self._directives.get(key.text)
        if directive is None:
            known = ", ".join(sorted(self._directives))
            raise FaultError(
                key.column,
                f"directive {key.text!r} is unknown",
                f"a first word in upper case is one of {known}",
                "correct it, or begin the comment with a lower-case word",
            )
        self._has_directives = True
        directive(tokens[1:])
        self._above.clear()

    def _read_declaration(self, line: str) -> None:
        bare = BARE_LINE.fullmatch(line)
        if bare is None:
            sample = parse_sample(line, self._line)
            self._owner(sample.name).samples.append(sample)
            return
        names = [part.strip() for part in (bare[2] or "").split(",")]
        names = [] if names == [""] else names
        for name in names:
            check_label_name(Token(name, line.find("{") + 1, self._line))
        if len(set(names)) < len(names):
            raise FaultError(1, f"{line!r} repeats a label", "a label stands once", "take one away")
        draft = self._draft(bare[1])
        if draft.bare_labels is not None:
            raise FaultError(1, f"family {draft.name!r} is listed twice", "one bare line a family", "take one away")
        draft.bare_labels = tuple(names)

    def _owner(self, sample_name: str) -> Draft:
        """Find the family of a sample: its own name, or a histogram's without the suffix."""
        for suffix in ("_bucket", "_sum", "_count"):
            owner = self._drafts.get(sample_name.removesuffix(suffix))
            if sample_name.endswith(suffix) and owner is not None and owner.kind == "histogram":
                return owner
        owner = self._drafts.get(sample_name)
        if owner is None or owner.kind is None:
            raise FaultError(
                1,
                f"sample of {sample_name!r}, whose type is not known",
                "TYPE stands above the first sample",
                f"add '# TYPE {sample_name} counter|gauge|histogram'",
            )
        return owner

    def _draft(self, name: str) -> Draft:
        return self._drafts.setdefault(name, Draft(name, self._line))

    def _named_draft(self, tokens: list[Token], form: str) -> Draft:
        name = operand(tokens, 1, form)
        check_match(FAMILY_NAME, name, "a family name has letters, digits, '_' and ':'", "http_requests_total")
        draft = self._draft(name.text)
        if tokens[0].text != "LABEL":  # it has a note of its own
            draft.notes += self._above
        return draft

    # The directives: tokens[0] is the key.

    def _read_contract(self, tokens: list[Token]) -> None:
        form = "CONTRACT metrics 1.0.0"
        signal, version = operand(tokens, 1, form), operand(tokens, 2, form)
        if signal.text != "metrics":
            raise FaultError(
                signal.column, f"contract of {signal.text!r}", "this file is of metrics", f"write '{form}'"
            )
        check_match(VERSION, version, "a version has three numbers", "1.0.0")
        check_end(tokens, 3)
        check_once(self._version, tokens[0])
        self._version = version.text

    def _read_scrape(self, tokens: list[Token]) -> None:
        given = options(tokens[1:], ("job", "path", "interval", "timeout"))
        if "job" not in given:
            raise FaultError(tokens[0].column, "SCRAPE has no job", "the job's name is promised", "add job=NAME")
        check_once(self._scrape, tokens[0])
        self._scrape = Scrape(
            job=given["job"].text,
            path=given["path"].text if "path" in given else "/metrics",
            interval_seconds=seconds(given["interval"]) if "interval" in given else 15.0,
            timeout_seconds=seconds(given["timeout"]) if "timeout" in given else 10.0,
            line=self._line,
        )

    def _read_budget(self, tokens: list[Token]) -> None:
        given = options(tokens[1:], ("series", "bytes", "scrape_seconds"))
        check_once(self._budget, tokens[0])
        self._budget = Budget(
            series=count(given.get("series")),
            bytes=count(given.get("bytes")),
            scrape_seconds=number(given["scrape_seconds"]) if "scrape_seconds" in given else None,
            line=self._line,
        )

    def _read_help(self, tokens: list[Token]) -> None:
        draft = self._named_draft(tokens, "HELP family text")
        text = self._text[operand(tokens, 2, "HELP family text").column - 1 :]
        check_once(draft.help, tokens[0])
        draft.help = unescape(text)

    def _read_type(self, tokens: list[Token]) -> None:
        draft = self._named_draft(tokens, "TYPE family counter")
        kind = operand(tokens, 2, "TYPE family counter")
        if kind.text not in _FAMILY_KINDS:
            allowed = "|".join(_FAMILY_KINDS)
            raise FaultError(
                kind.column, f"type {kind.text!r} is not supported", f"it is one of {allowed}", "choose one"
            )
        check_end(tokens, 3)
        check_once(draft.kind, tokens[0])
        draft.kind = cast(FamilyKind, kind.text)

    def _read_meta(self, tokens: list[Token]) -> None:
        draft = self._named_draft(tokens, "META family stability=stable")
        given = options(tokens[2:], ("stability", "since", "owner", "unit", "expires", "across"))
        for name, allowed in (("stability", _STABILITIES), ("across", _ACROSS)):
            token = given.get(name)
            if token is not None and token.text not in allowed:
                rule = f"it is one of {'|'.join(allowed)}"
                raise FaultError(token.column, f"{name} {token.text!r} is unknown", rule, "choose one")
        for name in ("since", "expires"):
            if name in given:
                check_match(VERSION, given[name], "a version has three numbers", "1.0.0")
        check_once(draft.meta, tokens[0])
        draft.meta = given

    def _read_label(self, tokens: list[Token]) -> None:
        form = "LABEL family label enum a|b"
        draft, name, kind = self._named_draft(tokens, form), operand(tokens, 2, form), operand(tokens, 3, form)
        check_label_name(name)
        if kind.text not in _LABEL_KINDS:
            allowed = ", ".join(_LABEL_KINDS)
            raise FaultError(
                kind.column, f"label kind {kind.text!r} is unknown", f"it is one of {allowed}", "choose one"
            )
        check_once(draft.labels.get(name.text), name)
        label = make_label(name.text, kind, tokens[4:], self._line)
        draft.labels[name.text] = replace(label, note=" ".join(self._above)) if self._above else label

    def _read_buckets(self, tokens: list[Token]) -> None:
        draft = self._named_draft(tokens, "BUCKETS family 0.1 0.5 1")
        operand(tokens, 2, "BUCKETS family 0.1 0.5 1")
        bounds = tuple(number(token) for token in tokens[2:])
        for token, lower, upper in zip(tokens[3:], bounds, bounds[1:], strict=False):
            if upper <= lower:
                raise FaultError(token.column, f"bucket {token.text!r} does not rise", "buckets rise", "sort them")
        check_once(draft.buckets, tokens[0])
        draft.buckets = bounds

    def _read_series(self, tokens: list[Token]) -> None:
        draft = self._named_draft(tokens, "SERIES family max=100 presence=always")
        given = options(tokens[2:], ("max", "presence", "init"))
        count(given.get("max"))
        if "presence" in given:
            rule = "presence is always, after-traffic, after-error or if=FEATURE"
            check_match(_PRESENCE, given["presence"], rule, "always")
        check_once(draft.series, tokens[0])
        draft.series = given

    def _read_deprecated(self, tokens: list[Token]) -> None:
        name = operand(tokens, 1, "DEPRECATED family since=1.0.0 remove=2.0.0")
        check_match(FAMILY_NAME, name, "a family name has letters, digits, '_' and ':'", "http_requests_total")
        given = options(tokens[2:], ("since", "remove", "replaced-by"))
        for key in ("since", "remove"):
            if key not in given:
                rule = "a deprecation says since when and until when"
                raise FaultError(tokens[0].column, f"DEPRECATED has no {key}", rule, f"add {key}=1.0.0")
            check_match(VERSION, given[key], "a version has three numbers", "1.0.0")
        check_once(self._deprecations.get(name.text), name)
        replaced_by = given["replaced-by"].text if "replaced-by" in given else None
        self._deprecations[name.text] = Deprecation(
            name.text, given["since"].text, given["remove"].text, replaced_by, self._line
        )

    def _read_external(self, tokens: list[Token]) -> None:
        operand(tokens, 1, "EXTERNAL process_*")
        for token in tokens[1:]:
            stem = token._replace(text=token.text.removesuffix("*"))
            check_match(FAMILY_NAME, stem, "a pattern is a family name, perhaps with '*' at its end", "process_*")
            self._external.append(token.text)

    # What only the whole file can tell.

    def _families(self) -> tuple[MetricFamily, ...]:
        families: list[MetricFamily] = []
        stems: dict[str, str] = {}
        for draft in self._drafts.values():
            try:
                family = make_family(draft)
                check_stem(family, stems)
                families.append(family)
            except FaultError as fault:
                self._faults.note(draft.line, fault)
        return tuple(families)

    def _check_replacements(self) -> None:
        for gone in self._deprecations.values():
            if gone.replaced_by is not None and gone.replaced_by not in self._drafts:
                what = f"{gone.name!r} is replaced by {gone.replaced_by!r}, which is not declared"
                rule, fix = "a successor is a family of this file", "declare it, or correct the name"
                self._faults.note(gone.line, FaultError(1, what, rule, fix))
