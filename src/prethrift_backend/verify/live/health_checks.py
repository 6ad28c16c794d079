"""The health endpoints against their JSON Schema and against what every probe relies on."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.observability.redaction import REDACTED, Redactor
from prethrift_backend.verify.live.client import LiveAnswer, LiveUsageError
from prethrift_backend.verify.live.items import Ledger, listed
from prethrift_backend.verify.live.scrape import Scrape

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

Body: TypeAlias = dict[str, Any]

# What the words of health formats mean: ours, Spring Boot's, and those of the draft health+json.
_DOWN_WORDS: Final = frozenset({"unhealthy", "down", "fail", "error", "out_of_service"})
_UP_WORDS: Final = frozenset({"healthy", "up", "pass", "ok"})
_TRACE: Final = re.compile(
    r'Traceback \(most recent call last\)|File "[^"]+", line [0-9]+|\bat [\w.$]+\([\w.]+:[0-9]+\)'
)
_NO_FORMATS: Final = "formats cannot be checked: pip install 'prethrift-backend[contracts]'"
DETAILS_ITEM: Final = "health details"
_CHECK_UP: Final = "health_check_up"

# Kubernetes gives a probe one second where nobody says otherwise.
PROBE_SECONDS_MAX: Final = 1.0
LIVE_BYTES_MAX: Final = 4 * 1024  # arbitrary: a word, a time, a version
HEALTH_BYTES_MAX: Final = 64 * 1024  # arbitrary: twenty checks with their histories
# More is not read any further: it is no answer to a probe, and to look through it takes minutes. Arbitrary.
_READ_BYTES_MAX: Final = 1024 * 1024
_ERRORS_MAX: Final = 20
# How far the clocks of two machines may be apart; NTP keeps them closer by far. Arbitrary.
_CLOCK_SKEW_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class HealthPaths:
    """Where the endpoints are; None where the service has none."""

    live: str | None = "/health/live"
    ready: str | None = "/health/ready"
    health: str | None = "/health"


def make_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """Return a validator that holds formats too.

    Raises LiveUsageError where the schema is none, or no checker of times is installed: without one, jsonschema lets
    every text pass as a time and says nothing.
    """
    try:
        # It loads the grammars of all formats, which takes as long as a whole run: only where there is a schema.
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above
    except ModuleNotFoundError:
        raise LiveUsageError(_NO_FORMATS) from None
    checker = Draft202012Validator.FORMAT_CHECKER
    if Draft202012Validator({"format": "date-time"}, format_checker=checker).is_valid("yesterday"):
        raise LiveUsageError(_NO_FORMATS)
    try:
        Draft202012Validator.check_schema(schema)
    except Exception as error:  # its own kinds of errors differ between versions
        raise LiveUsageError(f"health.schema.json is no JSON Schema: {error}; correct it") from error
    return Draft202012Validator(schema, format_checker=checker)


def read_body(ledger: Ledger, path: str, answer: LiveAnswer, validator: Draft202012Validator) -> Body | None:
    """Read a body and hold it against the schema; None where it is no JSON object."""
    ledger.saw("health", path)
    if len(answer.body) > _READ_BYTES_MAX:  # `check_answer` says so
        return None
    body = _parsed(answer)
    is_json = answer.media_type == "application/json" or answer.media_type.endswith("+json")
    if not isinstance(body, dict) or not is_json:
        observed = answer.headers.get("content-type", "no content type")
        message = f"{path} answered {answer.status_code} with something that is no JSON object"
        _find(ledger, "LV058", path, answer, message, expected="application/json", observed=observed)
        return None
    errors = [
        f"{error.json_path}: {error.message}" for error in itertools.islice(validator.iter_errors(body), _ERRORS_MAX)
    ]
    if errors:
        message = f"{path} breaks its schema: {errors[0]}"
        _find(ledger, "LV050", path, answer, message, observed=listed(errors[1:]) or None)
    return body


def check_answer(ledger: Ledger, path: str, answer: LiveAnswer, *, bytes_max: int) -> None:
    """Hold what every health answer has in common: time, size, caching."""
    if answer.seconds > PROBE_SECONDS_MAX:
        message = f"{path} took {answer.seconds:.2f} s"
        _find(ledger, "LV032", path, answer, message, expected=f"at most {PROBE_SECONDS_MAX:g} s")
    if len(answer.body) > bytes_max:
        message = f"{path} has {len(answer.body)} bytes"
        _find(ledger, "LV033", path, answer, message, expected=f"at most {bytes_max}")
    caching = answer.headers.get("cache-control", "")
    if "no-store" not in caching.lower():
        message = f"{path} may be cached"
        _find(ledger, "LV034", path, answer, message, expected="no-store", observed=caching or "no Cache-Control")


def check_live(ledger: Ledger, path: str, answer: LiveAnswer) -> None:
    """Hold the status of liveness."""
    if answer.status_code != 200:
        message = f"liveness answered {answer.status_code}"
        _find(ledger, "LV030", path, answer, message, expected="200", observed=answer.status_code)


def check_head(ledger: Ledger, path: str, got: LiveAnswer, head: LiveAnswer) -> None:
    """Hold HEAD against GET."""
    # A service that turns in between is no fault of HEAD: codes of health are told apart from those of a refusal.
    is_same = head.status_code == got.status_code or {head.status_code, got.status_code} == {200, 503}
    if not is_same or head.body:
        message = f"HEAD {path} answered {head.status_code} with {len(head.body)} bytes"
        _find(ledger, "LV035", path, head, message, expected=f"{got.status_code} and none")


def check_refusal(ledger: Ledger, path: str, answer: LiveAnswer) -> None:
    """Hold that a method which nobody promised is refused."""
    if answer.status_code not in (405, 501):
        message = f"{answer.method} {path} answered {answer.status_code}"
        _find(ledger, "LV036", path, answer, message, expected="405", observed=answer.status_code)


def check_status(ledger: Ledger, path: str, answer: LiveAnswer, body: Body) -> None:
    """Hold the status code against the word in the body, and the whole against its checks."""
    word = _word(body)
    expected = 503 if word in _DOWN_WORDS else 200
    if answer.status_code != expected:
        message = f"{path} says {word!r} with status {answer.status_code}"
        _find(ledger, "LV040", path, answer, message, expected=str(expected), observed=answer.status_code)
    if answer.status_code == 503 and "retry-after" not in answer.headers:
        _find(ledger, "LV041", path, answer, f"{path} answered 503 without Retry-After", expected="Retry-After")
    hidden = [check for check in checks_of(body) if _word(check) in _DOWN_WORDS and _is_critical(check)]
    if hidden and word in _UP_WORDS:
        names = listed(check.get("name") for check in hidden)
        message = f"{path} says {word!r} while critical checks are not: {names}"
        _find(ledger, "LV057", path, answer, message, expected="not healthy", observed=word)


def _is_critical(check: Body) -> bool:
    """Say whether a check decides on the whole, as far as can be seen, and has failed for longer than once."""
    details = check.get("details")
    # One failure alone may be within hysteresis: the whole has not turned yet, and rightly.
    return isinstance(details, dict) and details.get("critical") is True and _failures(details) > 3


def _failures(details: Body) -> float:
    failures = details.get("consecutive_failures", 0)
    return failures if isinstance(failures, int | float) else 0


def check_liveness_alone(ledger: Ledger, path: str, live: LiveAnswer, ready: LiveAnswer | None) -> None:
    """Hold that liveness does not go down with readiness."""
    if live.status_code == 503 and ready is not None and ready.status_code == 503:
        _find(ledger, "LV031", path, live, "liveness is down together with readiness", expected="200", observed="503")


def check_detail(ledger: Ledger, path: str, answer: LiveAnswer, body: Body, *, now: float) -> None:
    """Hold what the detailed body says: of now, each check once, no secret, no trace."""
    _check_time(ledger, path, answer, body, now=now)
    names = [str(check.get("name")) for check in checks_of(body)]
    if len(set(names)) < len(names):
        _find(ledger, "LV051", path, answer, f"{path} names a check twice", observed=listed(names))
    check_leaks(ledger, path, answer)
    if any(check.get("details") for check in checks_of(body)):
        ledger.saw("health", DETAILS_ITEM)
    else:
        ledger.missed("health", DETAILS_ITEM, "the service shows none: give its token in --token", is_due=False)
    word = _word(body)
    if word not in _UP_WORDS:
        message = f"{path} says {word!r}"
        _find(ledger, "LV056", path, answer, message, expected="healthy", observed=word)


def check_leaks(ledger: Ledger, path: str, answer: LiveAnswer) -> None:
    """Look for secrets and stack traces anywhere in a body."""
    text = answer.body[:_READ_BYTES_MAX].decode(errors="replace")
    if _holds_secret(text):
        # The value is not shown: a report is read by more people than the endpoint.
        _find(ledger, "LV053", path, answer, f"{path} holds what looks like a secret", observed="[redacted]")
    if _TRACE.search(text.replace('\\"', '"')):
        _find(ledger, "LV054", path, answer, f"{path} holds a stack trace")


def _holds_secret(text: str) -> bool:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return not Redactor().is_clean(text)
    # By key as well as by value: {"password": "…"} looks harmless to the rules over values. Marks are counted, since
    # what is redacted is also cut.
    shown = json.dumps(Redactor().redact({"body": parsed}), default=str)
    return shown.count(REDACTED) > text.count(REDACTED)


def _check_time(ledger: Ledger, path: str, answer: LiveAnswer, body: Body, *, now: float) -> None:
    told = body.get("timestamp")
    if not isinstance(told, str):
        return
    try:
        age = now - datetime.fromisoformat(told).timestamp()
    except (ValueError, OverflowError):  # the schema has found it
        return
    if abs(age) > _CLOCK_SKEW_SECONDS:
        message = f"{path} is of {abs(age):.0f} s {'ago' if age > 0 else 'from now'}"
        _find(ledger, "LV052", path, answer, message, expected=f"within {_CLOCK_SKEW_SECONDS:g} s", observed=told)


def check_hidden(ledger: Ledger, path: str, answer: LiveAnswer, body: Body) -> None:
    """Hold that details are hidden from a request without the token."""
    shown = [str(check.get("name")) for check in checks_of(body) if check.get("details")]
    if shown:
        _find(ledger, "LV055", path, answer, f"{path} shows details of {listed(shown)} to everybody")


def check_repeats(ledger: Ledger, path: str, answers: Sequence[LiveAnswer], *, gap_seconds: float) -> None:
    """Hold that quick repetitions are answered from results that are kept: their age goes up."""
    ages: dict[str, list[float]] = {}
    for answer in answers:
        body = _parsed(answer)
        for check in checks_of(body) if isinstance(body, dict) else ():
            age = _age(check)
            if age is not None:
                ages.setdefault(str(check.get("name")), []).append(age)
    fresh = [name for name, seen in ages.items() if len(seen) > 2 and max(seen) < gap_seconds / 2]
    if fresh:
        message = f"each of {len(answers)} quick requests ran {listed(fresh)} again"
        _find(ledger, "LV042", path, answers[-1], message, expected="results that are kept for a moment")


def _age(check: Body) -> float | None:
    details = check.get("details")
    age = details.get("age_seconds") if isinstance(details, dict) else None
    return float(age) if isinstance(age, int | float) else None


def _parsed(answer: LiveAnswer) -> object:
    if len(answer.body) > _READ_BYTES_MAX:
        return None
    try:
        return json.loads(answer.body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> float:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    raise ValueError(f"{name} is not JSON")


def check_against_metrics(
    ledger: Ledger, path: str, answer: LiveAnswer, body: Body, scrape: Scrape, contract: MetricsContract
) -> None:
    """Hold the names and the verdict of the body against the metrics of health, where there are any."""
    names = {str(check.get("name")) for check in checks_of(body)}
    allowed = _listed_names(contract)
    if allowed and not names <= allowed:
        _find(
            ledger,
            "LV051",
            path,
            answer,
            f"{path} has checks that the contract does not list: {listed(sorted(names - allowed))}",
            expected=listed(sorted(allowed)),
        )
    told = {sample.labels.get("check", "") for sample in scrape.samples.get(_CHECK_UP, ())}
    if told and told != names:
        message = f"{path} and {_CHECK_UP} name different checks"
        _find(
            ledger, "LV059", path, answer, message, expected=listed(sorted(told)), observed=listed(sorted(names)) or "-"
        )
    up = [sample.value for sample in scrape.samples.get("health_up", ())]
    if up in ([0.0], [1.0]) and _word(body) in (_UP_WORDS if up == [0.0] else _DOWN_WORDS):
        _find(ledger, "LV059", path, answer, f"{path} says {_word(body)!r} while health_up is {up[0]:g}")


def _listed_names(contract: MetricsContract) -> set[str]:
    labels = (label for family in contract.families if family.name == _CHECK_UP for label in family.labels)
    return {value for label in labels if label.name == "check" and label.is_closed for value in label.values}


def checks_of(body: Body) -> list[Body]:
    """Return the checks of a body; ours are a list, those of other formats may be a mapping of names."""
    checks = body.get("checks", [])
    return list(_as_list(checks))


def _as_list(checks: object) -> Iterator[Body]:
    if isinstance(checks, dict):
        yield from ({"name": name, **check} for name, check in checks.items() if isinstance(check, dict))
    elif isinstance(checks, list):
        yield from (check for check in checks if isinstance(check, dict))


def _word(body: Body) -> str:
    return str(body.get("status", "")).lower()


def _find(  # noqa: PLR0913 - the parts of a finding, two of them with a default
    ledger: Ledger,
    rule: str,
    path: str,
    answer: LiveAnswer,
    message: str,
    *,
    expected: str | None = None,
    observed: object = None,
) -> None:
    options = "-I " if answer.method == "HEAD" else "-i " if answer.method == "GET" else f"-i -X {answer.method} "
    command = f"curl -sS {options}'{answer.url}'"
    ledger.find(rule, "health", path, message, expected=expected, observed=observed, reproduce=command)
