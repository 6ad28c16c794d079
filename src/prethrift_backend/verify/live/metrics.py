"""Stages 1, 2 and 6 to 9: what the scrapes of a service show."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.live import health_checks, scrape_checks
from prethrift_backend.verify.live.client import CutOffError, EndlessError, LiveAnswer
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.live.scrape import Scrape, read_scrape, samples_of
from prethrift_backend.verify.live.scrape_checks import BUDGET_ITEM, SCRAPE_ITEM
from prethrift_backend.verify.live.versions import find_released, is_allowed

# Each connection may come to another worker; eight of them miss one of two workers in 1 of 128 runs.
SCRAPES: Final = 8
_CERTIFICATE_DAYS_MIN: Final = 14  # arbitrary; renewal by machine comes a month before the end

_TEXT_ACCEPT: Final = "text/plain;version=0.0.4"
_OPENMETRICS_ACCEPT: Final = "application/openmetrics-text;version=1.0.0"


def promise(run: LiveContext) -> None:
    """Enter the families, the scrape, and the budget where there is one."""
    contract, ledger = run.contract, run.ledger
    for family in contract.families:
        ledger.promise("metrics", family.name, Place(contract.source, family.line))
    ledger.promise("live", SCRAPE_ITEM, Place(contract.source))
    if any((contract.budget.series, contract.budget.bytes, contract.budget.scrape_seconds)):
        ledger.promise("live", BUDGET_ITEM, Place(contract.source))


def reach(run: LiveContext) -> bool:
    """Ask for the first time; without an answer there is nothing to go on with."""
    before = len(run.ledger.inconclusive)
    with run.ledger.stage(1, "reach"):
        answer = _scrape_answer(run, _TEXT_ACCEPT)
        if 300 <= answer.status_code < 400:
            target = answer.headers.get("location", "")
            message = f"the address answered {answer.status_code}; no redirect is followed"
            run.ledger.find("LV011", "live", SCRAPE_ITEM, message, observed=target.partition("?")[0])
        days = answer.certificate_days
        if days is not None and days < _CERTIFICATE_DAYS_MIN:
            run.ledger.find("LV010", "live", SCRAPE_ITEM, f"the certificate ends in {days:.0f} days")
        _take_scrape(run, answer)
    return len(run.ledger.inconclusive) == before


def identify(run: LiveContext) -> None:
    """Hold the contract that the process names against the one at hand."""
    if not run.scrapes:
        run.ledger.skip(2, "identity", "there is no scrape that could be read")
        return
    with run.ledger.stage(2, "identity") as notes:
        scrape, own = run.scrapes[0][1], run.contract.version
        version = scrape_checks.told_version(scrape)
        if version is None or _has_contract(run, version):
            scrape_checks.check_identity(run.ledger, scrape, run.contract)
        notes.append(scrape_checks.described_version(version, own))


def _has_contract(run: LiveContext, version: str) -> bool:
    """Go over to the contract of another version where that is allowed; say whether the run has the one it needs."""
    if version == run.contract.version or not is_allowed(version, run.options.versions):
        return True
    found = find_released(version, folder=run.folder, released=run.options.released)
    if found is None:
        place = run.options.released or run.folder / "released"
        reason = f"contract {version} is allowed, and neither {place} nor a tag of git has it: give --released DIR"
        run.ledger.inconclusive.append(reason)
        return False
    run.adopt(found)
    return True


def look(run: LiveContext) -> None:
    """Run the stages of the scrape."""
    if not run.scrapes:
        for number, name in ((6, "scrape"), (7, "families"), (8, "cost"), (9, "consistency")):
            run.ledger.skip(number, name, "there is no scrape that could be read")
        return
    first, scrape = run.scrapes[0]
    with run.ledger.stage(6, "scrape"):
        _check_text_form(run, first, scrape)
        _check_openmetrics(run, scrape)
        _take_scrape(run, _scrape_answer(run, _TEXT_ACCEPT, "gzip"))
    with run.ledger.stage(7, "families"):
        scrape_checks.check_families(run.ledger, scrape, run.contract)
        _check_health_metrics(run, scrape)
    with run.ledger.stage(9, "consistency"):
        while len(run.scrapes) < SCRAPES:
            if fresh_scrape(run) is None:
                break
        versions = run.options.versions
        scrape_checks.check_consistency(run.ledger, [seen for _, seen in run.scrapes], versions=versions)
        # The first scrape: what the run itself has sent since then is odd on purpose.
        scrape_checks.check_violations(run.ledger, scrape)
    with run.ledger.stage(8, "cost"):
        # The quickest: what is asked is what a scrape takes, not what else the machine had to do meanwhile.
        seconds = min(answer.seconds for answer, _ in run.scrapes)
        size = len(first.body)
        scrape_checks.check_cost(run.ledger, scrape, run.contract, size_bytes=size, seconds=seconds)


def fresh_scrape(run: LiveContext) -> Scrape | None:
    """Scrape once more in the text format; None where the answer cannot be read."""
    return _take_scrape(run, _scrape_answer(run, _TEXT_ACCEPT))


def _scrape_answer(run: LiveContext, accept: str, encoding: str = "identity") -> LiveAnswer:
    headers = {"Accept": accept, "Accept-Encoding": encoding}
    try:
        return run.client.ask(run.metrics_path, headers=headers, token=run.options.tokens.metrics)
    except (EndlessError, CutOffError) as error:
        # Such a scrape is lost every time, however often Prometheus asks: more than an answer that did not come.
        run.ledger.find("LV101" if isinstance(error, EndlessError) else "LV066", "live", SCRAPE_ITEM, str(error))
        raise


def _take_scrape(run: LiveContext, answer: LiveAnswer) -> Scrape | None:
    """Read a scrape in the text format and keep it; None where it cannot be read."""
    if answer.status_code in (401, 403):
        reason = f"{run.metrics_path} answered {answer.status_code}: give its token"
        if reason not in run.ledger.inconclusive:
            run.ledger.inconclusive.append(reason)
        return None
    if answer.status_code != 200:
        _find(run, "LV060", f"{run.metrics_path} answered {answer.status_code}", answer, expected="200")
        return None
    run.ledger.saw("live", SCRAPE_ITEM)
    if answer.fault is not None:
        _find(run, "LV065", answer.fault, answer)
        return None
    try:
        text = answer.body.decode()
        scrape = _scrape_of(run, answer.body) or read_scrape(text)
    except ValueError as error:  # UnicodeDecodeError is one as well
        rule = "LV062" if isinstance(error, UnicodeDecodeError) else "LV066"
        _find(run, rule, f"the scrape cannot be read: {error}", answer)
        return None
    if not text.endswith("\n"):
        _find(run, "LV066", "the last line does not end", answer, expected="a line feed at the end")
    run.scrapes.append((answer, scrape))
    return scrape


def _scrape_of(run: LiveContext, body: bytes) -> Scrape | None:
    """Return the last scrape where it was of the same bytes: to read one again takes as long as to fetch it."""
    last = run.scrapes[-1] if run.scrapes else None
    return last[1] if last is not None and last[0].body == body else None


def _check_text_form(run: LiveContext, answer: LiveAnswer, scrape: Scrape) -> None:
    told = answer.headers.get("content-type", "no content type")
    if answer.media_type != "text/plain" or answer.parameters.get("version") != "0.0.4":
        message = "the scrape has another content type than the text format"
        _find(run, "LV061", message, answer, expected="text/plain; version=0.0.4", observed=told)
    _check_charset(run, answer)
    if answer.body.rstrip().endswith(b"# EOF"):
        _find(run, "LV064", "the text format ends with # EOF, which is of OpenMetrics", answer)
    scrape_checks.check_form(run.ledger, scrape)


def _check_charset(run: LiveContext, answer: LiveAnswer) -> None:
    charset = answer.parameters.get("charset", "")
    if charset.lower() != "utf-8":
        message = f"{answer.media_type} does not say charset=utf-8"
        _find(run, "LV062", message, answer, expected="utf-8", observed=charset or "none")


def _check_openmetrics(run: LiveContext, scrape: Scrape) -> None:
    answer = _scrape_answer(run, _OPENMETRICS_ACCEPT)
    told = answer.headers.get("content-type", "no content type")
    if answer.media_type != "application/openmetrics-text":
        message = "OpenMetrics was asked for, and something else came"
        _find(run, "LV063", message, answer, expected="application/openmetrics-text", observed=told)
        return
    if answer.parameters.get("version") not in ("1.0.0", "0.0.1"):
        _find(run, "LV061", "OpenMetrics has no version", answer, expected="version=1.0.0", observed=told)
    _check_charset(run, answer)
    if not answer.body.endswith(b"# EOF\n"):
        message = "OpenMetrics does not end with # EOF"
        _find(run, "LV064", message, answer, observed=answer.body[-40:].decode(errors="replace"))
        return
    try:
        names = {sample.name for sample in samples_of(answer.body.decode(), openmetrics=True)}
    except ValueError as error:
        _find(run, "LV067", f"OpenMetrics cannot be read: {error}", answer)
        return
    promised = [scrape.samples.get(family.name, ()) for family in run.contract.families]
    missing = {sample.name for samples in promised for sample in samples} - names
    if missing:
        message = f"OpenMetrics has no {', '.join(sorted(missing)[:5])}"
        _find(run, "LV075", message, answer, observed=len(missing))


def _check_health_metrics(run: LiveContext, scrape: Scrape) -> None:
    path = run.options.paths.health
    if run.health is not None and path:
        health_checks.check_against_metrics(run.ledger, path, *run.health, scrape, run.contract)


def _find(
    run: LiveContext,
    rule: str,
    message: str,
    answer: LiveAnswer,
    *,
    expected: str | None = None,
    observed: object = None,
) -> None:
    secret = ' -H "Authorization: Bearer $METRICS_TOKEN"' if run.options.tokens.metrics else ""
    command = f"curl -sSi{secret} '{answer.url}'"
    run.ledger.find(rule, "live", SCRAPE_ITEM, message, expected=expected, observed=observed, reproduce=command)
