"""Exceptions from the rules: ``contracts/exceptions.txt``.

A line an exception: ``RULE target until=YYYY-MM-DD reason="why"``. The target is the name of the item, in quotation
marks where it holds a space; each ``*`` in it stands for any text. The day is the last on which it is in force.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Excused, Finding, Outcome, Place
from prethrift_backend.verify.rules import RULES

FILE_NAME: Final = "exceptions.txt"

# A word, or key="text"; in quotation marks a backslash stands before a quotation mark and before itself.
_WORD: Final = re.compile(r'(?P<key>[a-z]+=)?(?:"(?P<quoted>(?:[^"\\]|\\["\\])*)"|(?P<plain>[^\s"]+))(?=\s|\Z)')
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FORM: Final = 'RULE target until=YYYY-MM-DD reason="why"'
_OPTIONS: Final = ("until", "reason")


@dataclass(frozen=True, slots=True)
class RuleException:
    """One rule that one item, or several of like names, may break until a day."""

    rule: str
    target: str
    until: date
    reason: str
    place: Place

    def covers(self, finding: Finding) -> bool:
        """Return whether the finding is one that this exception is about."""
        pattern = ".*".join(re.escape(part) for part in self.target.split("*"))
        return finding.rule == self.rule and re.fullmatch(pattern, finding.name, re.DOTALL) is not None


class _FaultError(Exception):
    def __init__(self, column: int, text: str) -> None:
        super().__init__(f"{column}: {text}")


def load_exceptions(directory: Path) -> tuple[RuleException, ...]:
    """Read the exceptions in the folder of the contracts; none where the file is not there.

    Raises ContractError where it cannot be read.
    """
    path = directory / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"{path}: {error}: it is a text in UTF-8; restore it or mend its mode") from error
    return parse_exceptions(text, source=str(path))


def parse_exceptions(text: str, *, source: str, known_rules: Collection[str] = RULES) -> tuple[RuleException, ...]:
    """Return the exceptions that the text states.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    found: dict[tuple[str, str], RuleException] = {}
    faults: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            exception = _parse_line(line, Place(source, number), known_rules)
            _check_first(exception, found)
            found[exception.rule, exception.target] = exception
        except _FaultError as fault:
            faults.append(f"{source}:{number}:{fault}")
    if faults:
        raise ContractError("\n".join(faults))
    return tuple(found.values())


def apply_exceptions(outcome: Outcome, exceptions: Iterable[RuleException], *, today: date) -> Outcome:
    """Return the outcome without the findings that are excused, and with one for each exception that is no use.

    An exception is unused only where the run has judged its rule (``outcome.rules``) and can tell: another command
    may need it.
    """
    excused: dict[Finding, Excused] = {}
    stale: list[Finding] = []
    for exception in exceptions:
        if exception.until < today:
            stale.append(_expired(exception))
            continue
        covered = [finding for finding in outcome.findings if exception.covers(finding)]
        for finding in covered:
            excused.setdefault(finding, Excused(finding, exception.reason, exception.until.isoformat()))
        if not covered and exception.rule in outcome.rules and not outcome.inconclusive:
            stale.append(_unused(exception))
    left = [finding for finding in outcome.findings if finding not in excused]
    return replace(outcome, findings=(*left, *stale), excused=(*outcome.excused, *excused.values()))


def _parse_line(line: str, place: Place, known_rules: Collection[str]) -> RuleException:
    words = _words(line)
    names = [word for word in words if not word["key"]]
    if len(names) != 2:
        column = names[2].start() + 1 if len(names) > 2 else len(line.rstrip()) + 1
        raise _FaultError(column, f"{len(names)} words where two stand: an exception is {_FORM}; write it so")
    rule, target = _text(names[0]), _text(names[1])
    if rule not in known_rules or rule == "V004":
        raise _FaultError(
            names[0].start() + 1,
            f"no rule {rule!r} to be excepted from: rules are those of 'contracts rules' but V004; correct the id",
        )
    options = _options(words)
    column = len(line.rstrip()) + 1
    for key in _OPTIONS:
        if not options.get(key, (0, ""))[1].strip():
            raise _FaultError(column, f"no {key}= with a value: every exception says until when and why; add it")
    return RuleException(rule, target, _day(*options["until"]), options["reason"][1], place)


def _words(line: str) -> list[re.Match[str]]:
    words: list[re.Match[str]] = []
    position = len(line) - len(line.lstrip())
    while position < len(line):
        word = _WORD.match(line, position)
        if word is None:
            raise _FaultError(
                position + 1, f"{line[position : position + 20]!r} cannot be read: an exception is {_FORM}; write it so"
            )
        words.append(word)
        position = len(line) - len(line[word.end() :].lstrip())
    return words


def _text(word: re.Match[str]) -> str:
    quoted = word["quoted"]
    return str(word["plain"]) if quoted is None else re.sub(r"\\(.)", r"\1", quoted)


def _options(words: Sequence[re.Match[str]]) -> dict[str, tuple[int, str]]:
    options: dict[str, tuple[int, str]] = {}
    for word in words:
        if not word["key"]:
            continue
        key = word["key"][:-1]
        if key not in _OPTIONS or key in options:
            what = f"{key}= stands twice" if key in options else f"{key}= is unknown"
            raise _FaultError(word.start() + 1, f"{what}: until= and reason= stand once each; take it away")
        options[key] = (word.start() + 1, _text(word))
    return options


def _day(column: int, text: str) -> date:
    try:
        if _DAY.fullmatch(text) is None:
            raise ValueError(text)
        return date.fromisoformat(text)
    except ValueError as error:
        raise _FaultError(column, f"until={text!r} is no day: a day is YYYY-MM-DD; correct it") from error


def _check_first(exception: RuleException, found: dict[tuple[str, str], RuleException]) -> None:
    first = found.get((exception.rule, exception.target))
    if first is not None:
        what = f"{exception.rule} {exception.target!r} stands in line {first.place.line} already"
        raise _FaultError(1, f"{what}: one line an exception; take one away")


def _expired(exception: RuleException) -> Finding:
    return Finding(
        "V004",
        "error",
        "docs",
        f"{exception.rule} {exception.target}",
        f"the exception ran out on {exception.until}",
        place=exception.place,
        fix="mend what it excuses and take the line away, or agree on a new day",
    )


def _unused(exception: RuleException) -> Finding:
    return Finding(
        "V004",
        "error",
        "docs",
        f"{exception.rule} {exception.target}",
        "the exception is not used: nothing breaks this rule there",
        place=exception.place,
        fix="take the line away",
    )
