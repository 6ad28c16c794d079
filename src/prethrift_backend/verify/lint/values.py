"""What ``logs.txt`` and ``spans.txt`` have in common: promised values, conditions, and what never occurs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from prethrift_backend.contracts import Contracts, LogsContract, SpansContract
from prethrift_backend.contracts.values import PromisedValue, ValueType
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.records.never_checks import NeverChecks

# What a store takes for one type.
_STORED_AS: Final[Mapping[str, str]] = {
    "int": "number",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
}
_CONDITIONS: Final = ("request", "span", "user", "exception", "error", "matched", "status", "connection")


def check_types(rule: str, values: Iterable[tuple[About, PromisedValue]]) -> Iterator[Finding]:
    """Say where one name is of two types; ``values`` come with the item that each belongs to."""
    first: dict[str, tuple[str, PromisedValue]] = {}
    for about, value in values:
        owner, known = first.setdefault(value.name, (about.name, value))
        if _stored(value.type) != _stored(known.type):
            message = f"{value.name!r} of {about.name!r} is {value.type.kind}, and that of {owner!r} {known.type.kind}"
            fix = "give one of the two another name, or make the types one"
            yield about.at(value.line).fault(rule, message, fix)


def _stored(value_type: ValueType) -> str:
    if value_type.kind == "const":
        word = value_type.values[0]
        if word in ("true", "false"):
            return "boolean"
        return "number" if word.lstrip("-").replace(".", "", 1).isdigit() else "text"
    return _STORED_AS.get(value_type.kind, "text")


def check_never(
    values: Iterable[tuple[About, PromisedValue]], contract: LogsContract | SpansContract
) -> Iterator[Finding]:
    """Say which promised names would be taken for one that never occurs."""
    never = NeverChecks(contract.never_keys, ())
    for about, value in values:
        for leak in never.leaks({value.name: "x"}):
            message = f"{value.name!r} of {about.name!r} is promised, and NEVER-KEY {leak.word} takes it"
            yield about.at(value.line).fault("FL004", message, "rename it, or take the word off the NEVER-KEY line")


def check_conditions(values: Iterable[tuple[About, PromisedValue]], contracts: Contracts) -> Iterator[Finding]:
    """Say which conditions nobody could tell: a setting that is not there, or a word that is a known one misspelt."""
    for about, value in values:
        for condition in value.required_if:
            meant = _meant(condition, contracts)
            if meant is not None:
                message = f"required-if={condition} of {value.name!r} of {about.name!r} names nothing"
                yield about.at(value.line).fault("FL007", message, f"write {meant}")


def _meant(condition: str, contracts: Contracts) -> str | None:
    """Return what should stand there; None where the condition may be one of an application's own."""
    if condition == condition.upper():
        names = [setting.name for setting in contracts.settings.settings] if contracts.settings else [condition]
        return None if condition in names else "the name of a setting of settings.txt"
    word = condition.partition(":")[0]
    alike = get_close_matches(word, _CONDITIONS, n=1)
    return None if word in _CONDITIONS or not alike else f"required-if={alike[0]}"


def check_secrets(contracts: Contracts) -> Iterator[Finding]:
    """Say where a contract of lines or spans names no secret, or one that the other does not know."""
    both = [contract for contract in (contracts.logs, contracts.spans) if contract is not None]
    for contract in both:
        signal = "logs" if contract is contracts.logs else "spans"
        about = About("logs" if signal == "logs" else "spans", "NEVER-KEY", Place(contract.source, 1))
        if not contract.never_keys:
            yield about.fault("FL005", f"{signal}.txt names no key that never occurs", "add a NEVER-KEY line")
        if not contract.never_values:
            yield about.fault("FL005", f"{signal}.txt names no value that never occurs", "add a NEVER-VALUE line")
    if contracts.logs is not None and contracts.spans is not None:
        yield from _check_same(contracts.logs, contracts.spans)


def _check_same(logs: LogsContract, spans: SpansContract) -> Iterator[Finding]:
    """Hold the words of lines to be known for spans; spans may name more, such as raw addresses."""
    for kind, words, known in (
        ("NEVER-KEY", logs.never_keys, spans.never_keys),
        ("NEVER-VALUE", logs.never_values, spans.never_values),
    ):
        missing = sorted({word.name for word in words} - {word.name for word in known})
        if missing and known:
            about = About("spans", kind, Place(spans.source, known[0].line))
            message = f"spans.txt lacks {', '.join(missing)}, which {kind} of logs.txt names"
            yield about.fault("FL005", message, f"add {'|'.join(missing)} to its {kind} line")
    more = sorted({word.name for word in spans.never_values} - {word.name for word in logs.never_values})
    if more and logs.never_values:
        about = About("logs", "NEVER-VALUE", Place(logs.source, logs.never_values[0].line))
        message = f"logs.txt lacks {', '.join(more)}, which NEVER-VALUE of spans.txt names"
        yield about.fault("FL005", message, f"add {'|'.join(more)} to its NEVER-VALUE line")
