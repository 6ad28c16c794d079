"""Stages 3 to 5: liveness, readiness, and health in detail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.live import health_checks
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.live.health_checks import DETAILS_ITEM

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# Two give a pair to compare; a third tells a schedule that ran in between from a check that runs each time.
_REPEATS: Final = 3


def promise(run: LiveContext) -> None:
    """Enter the endpoints, and the details where there is a place for them."""
    if run.validator is None:
        return
    place = Place(str(run.folder / "health.schema.json"))
    for path in run.health_paths:
        run.ledger.promise("health", path, place)
    if run.options.paths.health:
        run.ledger.promise("health", DETAILS_ITEM, place)


def look(run: LiveContext) -> None:
    """Run the stages of health."""
    if run.validator is None:
        for number, name in ((3, "liveness"), (4, "readiness"), (5, "health detail")):
            run.ledger.skip(number, name, "the contracts have no health.schema.json")
        return
    with run.ledger.stage(3, "liveness"):
        _liveness(run, run.validator)
    with run.ledger.stage(4, "readiness"):
        _readiness(run, run.validator)
    with run.ledger.stage(5, "health detail"):
        _detail(run, run.validator)


def _liveness(run: LiveContext, validator: Draft202012Validator) -> None:
    path, ledger, client = run.options.paths.live, run.ledger, run.client
    if not path:
        return
    run.live = answer = client.ask(path)
    health_checks.read_body(ledger, path, answer, validator)
    health_checks.check_live(ledger, path, answer)
    health_checks.check_answer(ledger, path, answer, bytes_max=health_checks.LIVE_BYTES_MAX)
    health_checks.check_leaks(ledger, path, answer)
    health_checks.check_head(ledger, path, answer, client.ask(path, method="HEAD"))
    health_checks.check_refusal(ledger, path, client.ask(path, method="PROPFIND"))


def _readiness(run: LiveContext, validator: Draft202012Validator) -> None:
    path, ledger, client = run.options.paths.ready, run.ledger, run.client
    if not path:
        return
    token = run.options.tokens.health
    run.ready = answer = client.ask(path, token=token)
    body = health_checks.read_body(ledger, path, answer, validator)
    if body is not None:
        health_checks.check_status(ledger, path, answer, body)
    health_checks.check_answer(ledger, path, answer, bytes_max=health_checks.HEALTH_BYTES_MAX)
    health_checks.check_leaks(ledger, path, answer)
    if run.live is not None:
        health_checks.check_liveness_alone(ledger, run.options.paths.live or path, run.live, answer)
    health_checks.check_head(ledger, path, answer, client.ask(path, method="HEAD", token=token))
    repeats = [client.ask(path, token=token) for _ in range(_REPEATS)]
    health_checks.check_repeats(ledger, path, repeats, gap_seconds=1 / run.options.limits.rate_per_second)


def _detail(run: LiveContext, validator: Draft202012Validator) -> None:
    path, token, ledger = run.options.paths.health, run.options.tokens.health, run.ledger
    if not path:
        return
    answer = run.client.ask(path, token=token, headers={"Accept": "application/json"})
    now = run.client.clock.epoch()
    body = health_checks.read_body(ledger, path, answer, validator)
    health_checks.check_answer(ledger, path, answer, bytes_max=health_checks.HEALTH_BYTES_MAX)
    if body is None:
        return
    run.health = answer, body
    health_checks.check_status(ledger, path, answer, body)
    health_checks.check_detail(ledger, path, answer, body, now=now)
    if token is not None:
        stranger = run.client.ask(path, headers={"Accept": "application/json"})
        seen = health_checks.read_body(ledger, path, stranger, validator)
        health_checks.check_hidden(ledger, path, stranger, seen or {})
