"""The answers: every state in every form by every method, and what no answer may hold or depend on."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import ValidationError
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from pydantic import SecretStr
from tests.unit.health._parts import (
    PROMETHEUS_OPENMETRICS,
    PROMETHEUS_TEXT,
    Harness,
    ScriptedCheck,
    health_validator,
    statuses,
    valid_body,
)

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_health_schema
from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.health import (
    CheckCode,
    CheckFailed,
    CheckWording,
    DetailsGate,
    HealthCheck,
    HealthEndpoint,
    HealthResponse,
    HealthStatus,
)
from prethrift_backend.health.http import Kind

KINDS: tuple[Kind, ...] = ("live", "ready", "health")
FORMS = {"json": "application/json", "text": PROMETHEUS_TEXT, "openmetrics": PROMETHEUS_OPENMETRICS}


class _Stack(Harness):
    """A harness with one critical check and one that is not, both well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.database, self.s3 = ScriptedCheck(), ScriptedCheck()
        self.registry.register("database", self.database)
        self.registry.register("s3", self.s3, critical=False)


async def _starting(stack: _Stack) -> None:
    await stack.engine.refresh()


async def _slow_start(stack: _Stack) -> None:
    stack.clock.advance(61)


async def _all_good(stack: _Stack) -> None:
    stack.lifecycle.mark_ready()
    await stack.run_checks()


async def _uncritical_bad(stack: _Stack) -> None:
    await _all_good(stack)
    stack.s3.fail()
    await stack.run_checks(4)


async def _critical_bad_once(stack: _Stack) -> None:
    await _all_good(stack)
    stack.database.fail()
    await stack.run_checks()


async def _critical_bad(stack: _Stack) -> None:
    await _all_good(stack)
    stack.database.fail()
    await stack.run_checks(3)


async def _stale(stack: _Stack) -> None:
    await _all_good(stack)
    stack.clock.advance(100)
    stack.database.gate = stack.s3.gate = asyncio.Event()


async def _draining(stack: _Stack) -> None:
    await _all_good(stack)
    stack.lifecycle.start_draining()


async def _draining_while_bad(stack: _Stack) -> None:
    await _critical_bad(stack)
    stack.lifecycle.start_draining()


async def _broken(stack: _Stack) -> None:
    stack.lifecycle.mark_ready()

    async def refresh(**_: object) -> None:
        raise RuntimeError("postgresql://app:s3cr3t@db.internal/items")

    stack.engine.refresh = refresh  # type: ignore[method-assign,assignment] # the point is to break it


# state: (how to get there, status and reason of ready, of health; live is always healthy)
MATRIX: dict[str, tuple[Callable[[_Stack], Awaitable[None]], tuple[str, str | None], tuple[str, str | None]]] = {
    "starting": (_starting, ("unhealthy", "starting"), ("degraded", "starting")),
    "slow_start": (_slow_start, ("unhealthy", "starting"), ("healthy", None)),
    "all_good": (_all_good, ("healthy", None), ("healthy", None)),
    "uncritical_bad": (_uncritical_bad, ("degraded", None), ("degraded", None)),
    "critical_bad_once": (_critical_bad_once, ("degraded", None), ("degraded", None)),
    "critical_bad": (_critical_bad, ("unhealthy", None), ("unhealthy", None)),
    "stale": (_stale, ("unhealthy", "stale"), ("unhealthy", "stale")),
    "draining": (_draining, ("unhealthy", "draining"), ("healthy", None)),
    "draining_while_bad": (_draining_while_bad, ("unhealthy", "draining"), ("unhealthy", None)),
    "broken": (_broken, ("unhealthy", "internal"), ("unhealthy", "internal")),
}


def _expected(state: str, kind: Kind) -> tuple[str, str | None]:
    _, ready, health = MATRIX[state]
    return {"live": ("healthy", None), "ready": ready, "health": health}[kind]


def _header(response: HealthResponse, name: str) -> str | None:
    return dict(response.headers).get(name)


def _assert_form(response: HealthResponse, form: str, status: str, reason: str | None) -> None:
    """Assert that the body parses as what it says to be, and tells the status."""
    content_type = _header(response, "content-type") or ""
    if form == "json":
        body = valid_body(response)
        assert content_type == "application/json"
        assert (body["status"], body.get("reason")) == (status, reason)
        return
    parse = parse_openmetrics if form == "openmetrics" else parse_text
    assert content_type.startswith("application/openmetrics-text" if form == "openmetrics" else "text/plain")
    families = {family.name: family for family in parse(response.body.decode())}
    assert families["health_up"].samples[0].value == float(status != "unhealthy")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", MATRIX)
async def test_state_matrix(state: str, kind: Kind, form: str) -> None:
    """Each state has one code and status at each endpoint, in each form, with a valid body; HEAD agrees with GET."""
    stack = _Stack(deadline_seconds=0.02 if state == "stale" else 5.0)
    await MATRIX[state][0](stack)

    answer = await stack.endpoint.answer(kind, accept=FORMS[form])
    head = await stack.endpoint.answer(kind, method="HEAD", accept=FORMS[form])
    await stack.engine.aclose()

    status, reason = _expected(state, kind)
    assert answer.status_code == (503 if status == "unhealthy" else 200)
    _assert_form(answer, form if kind == "health" else "json", status, reason)
    assert (head.status_code, head.body) == (answer.status_code, b"")
    assert [name for name, _ in head.headers] == [name for name, _ in answer.headers]


@pytest.mark.parametrize("state", MATRIX)
@pytest.mark.parametrize("kind", KINDS)
async def test_headers_of_every_answer(state: str, kind: Kind) -> None:
    """No answer is stored or sniffed, its length is right, and 503 says when to come back."""
    stack = _Stack(deadline_seconds=0.02)
    await MATRIX[state][0](stack)

    answer = await stack.endpoint.answer(kind)
    await stack.engine.aclose()

    assert _header(answer, "cache-control") == "no-store"
    assert _header(answer, "x-content-type-options") == "nosniff"
    assert _header(answer, "content-length") == str(len(answer.body))
    assert _header(answer, "retry-after") == ("5" if answer.status_code == 503 else None)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "NONSENSE"])
@pytest.mark.parametrize("kind", KINDS)
async def test_other_methods_are_refused(kind: Kind, method: str) -> None:
    """A method other than GET and HEAD gets 405 and the list of those allowed."""
    answer = await _Stack().endpoint.answer(kind, method=method)

    assert (answer.status_code, _header(answer, "allow"), answer.body) == (405, "GET, HEAD", b"")
    assert _header(answer, "cache-control") == "no-store"


async def test_body_is_that_of_the_contract() -> None:
    """The body has exactly the promised members, in the promised order."""
    stack = _Stack(details=DetailsGate("never"))
    await _all_good(stack)
    stack.clock.advance(1.5)

    body = valid_body(await stack.endpoint.answer("health"))

    assert list(body) == ["status", "timestamp", "version", "environment", "uptime_seconds", "checks"]
    assert body == {
        "status": "healthy",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "version": "1.2.3",
        "environment": "production",
        "uptime_seconds": 9.5,
        "checks": [
            {"name": name, "status": "healthy", "duration_ms": 0.0, "message": "Check passed", "details": {}}
            for name in ("database", "s3")
        ],
    }


async def test_failing_check_is_shown_raw_before_it_counts() -> None:
    """Before hysteresis the check shows its failure while the whole is only degraded."""
    stack = _Stack()
    await _critical_bad_once(stack)

    body = valid_body(await stack.endpoint.answer("health"))

    assert statuses(body) == [("database", "unhealthy"), ("s3", "healthy")]
    details = body["checks"][0]["details"]
    assert {name: details[name] for name in ("code", "critical", "consecutive_failures", "age_seconds")} == {
        "code": "unreachable", "critical": True, "consecutive_failures": 1, "age_seconds": 0.0,
    }  # fmt: skip


async def test_live_and_draining_run_no_check() -> None:
    """Liveness looks at nothing, and a process that is not ready does not ask its checks why."""
    stack = _Stack()
    await stack.endpoint.answer("live")
    await stack.endpoint.answer("ready")
    stack.lifecycle.start_draining()
    await stack.endpoint.answer("ready")

    assert stack.database.runs == 0


async def test_vary_names_what_the_answer_depends_on() -> None:
    """Accept matters to /health only, Authorization where details depend on it."""
    open_stack, guarded = _Stack(), _Stack(details=DetailsGate("authorized", token="t"))

    async def vary(stack: _Stack) -> list[str | None]:
        return [_header(await stack.endpoint.answer(kind), "vary") for kind in KINDS]

    assert await vary(open_stack) == [None, None, "Accept"]
    assert await vary(guarded) == [None, "Authorization", "Accept, Authorization"]


MUTATIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "word for a timestamp": lambda body: body.update(timestamp="yesterday"),
    "impossible date": lambda body: body.update(timestamp="2026-02-30T00:00:00Z"),
    "local time": lambda body: body.update(timestamp="2026-01-02T03:04:05+02:00"),
    "unknown status": lambda body: body.update(status="fine"),
    "unknown environment": lambda body: body.update(environment="moon"),
    "unknown reason": lambda body: body.update(status="unhealthy", reason="tired"),
    "reason without trouble": lambda body: body.update(reason="starting"),
    "draining and yet degraded": lambda body: body.update(status="degraded", reason="draining"),
    "extra member": lambda body: body.update(host="db.internal"),
    "missing member": lambda body: body.pop("version"),
    "negative uptime": lambda body: body.update(uptime_seconds=-1),
    "check with an extra member": lambda body: body["checks"][0].update(error="x"),
    "check without details": lambda body: body["checks"][0].pop("details"),
    "check with an unknown status": lambda body: body["checks"][0].update(status="warn"),
    "check with an empty message": lambda body: body["checks"][0].update(message=""),
    "check with a bad name": lambda body: body["checks"][0].update(name="Data Base"),
    "details with an unknown code": lambda body: body["checks"][0]["details"].update(code="oops"),
    "details with a text": lambda body: body["checks"][0]["details"].update(url="http://u:p@h"),
    "details with local time": lambda body: body["checks"][0]["details"].update(since="2026-01-02T03:04:05+01:00"),
    "history without a time": lambda body: body["checks"][0]["details"]["history"][0].pop("at"),
    "history with an unknown code": lambda body: body["checks"][0]["details"]["history"][0].update(code="oops"),
    "history with an extra member": lambda body: body["checks"][0]["details"]["history"][0].update(error="x"),
    "history that is too long": lambda body: body["checks"][0]["details"].update(
        history=body["checks"][0]["details"]["history"] * 21
    ),
    "details with a list": lambda body: body["checks"][0]["details"].update(hosts=["a"]),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
async def test_schema_refuses_what_was_not_promised(mutation: str) -> None:
    """A body that differs from the contract in one place fails the schema, formats included."""
    stack = _Stack()
    await _all_good(stack)
    body = valid_body(await stack.endpoint.answer("health"))

    mutated = copy.deepcopy(body)
    MUTATIONS[mutation](mutated)

    with pytest.raises(ValidationError):
        health_validator().validate(mutated)


@pytest.mark.parametrize("code", CheckCode)
async def test_every_code_has_a_valid_body(code: CheckCode) -> None:
    """Each code of the closed list can be shown, with its sentence and in its status."""
    stack = Harness()
    stack.registry.register("x", ScriptedCheck(CheckFailed(code)))

    body = valid_body(await stack.endpoint.answer("health"))

    assert body["checks"][0]["details"]["code"] == code.value


def _enums(node: Any, path: str = "") -> dict[str, list[str]]:
    """Return every closed list of the schema by the path of its place."""
    if not isinstance(node, dict):
        return {}
    found = {path: node["enum"]} if "enum" in node else {}
    for key, child in node.items():
        if key not in ("allOf", "if", "then"):
            found |= _enums(child, f"{path}.{key}")
    return found


async def _bodies_of_every_state() -> list[Any]:
    bodies = []
    for reach, *_ in MATRIX.values():
        stack = _Stack(deadline_seconds=0.02)
        await reach(stack)
        bodies += [valid_body(await stack.endpoint.answer(kind)) for kind in KINDS]
        await stack.engine.aclose()
    for code in CheckCode:
        stack = Harness()  # type: ignore[assignment] # one check of its own will do
        stack.registry.register("x", ScriptedCheck(CheckFailed(code)))
        bodies.append(valid_body(await stack.endpoint.answer("health")))
    for environment in ("development", "staging"):
        endpoint = HealthEndpoint(stack.engine, stack.lifecycle, version="1", environment=environment)
        bodies.append(valid_body(await endpoint.answer("live")))
    return bodies


async def test_every_word_of_the_schema_is_reachable() -> None:
    """No closed list of the schema promises a value that no state gives."""
    bodies = await _bodies_of_every_state()
    checks = [check for body in bodies for check in body["checks"]]
    seen = {
        ".properties.environment": {body["environment"] for body in bodies},
        ".properties.reason": {body["reason"] for body in bodies if "reason" in body},
        ".$defs.status": {body["status"] for body in bodies} & {check["status"] for check in checks},
        ".$defs.code": {check["details"]["code"] for check in checks},
    }

    promised = {path: set(values) for path, values in _enums(load_health_schema()).items()}

    assert seen == promised


@pytest.mark.parametrize(
    ("header", "deadline"),
    [
        (None, 2.0),
        ("10", 2.0),
        ("2.2", 1.7),
        ("1", 0.5),
        ("0.3", 0.0),
        ("0", 2.0),
        ("-5", 2.0),
        ("nan", 2.0),
        ("inf", 2.0),
        ("soon", 2.0),
        ("1, 2", 2.0),
        ("", 2.0),
    ],
)
async def test_scrape_timeout_shortens_the_wait(header: str | None, deadline: float) -> None:
    """Prometheus's limit less half a second is honoured where it is shorter; nothing lengthens the wait."""
    stack, seen = _Stack(deadline_seconds=2.0), []

    async def refresh(*, deadline_seconds: float, **_: object) -> tuple[()]:
        seen.append(deadline_seconds)
        return ()

    stack.engine.refresh = refresh  # type: ignore[method-assign,assignment] # notes the limit and runs nothing
    await stack.endpoint.answer("health", accept=PROMETHEUS_TEXT, scrape_timeout=header)

    assert seen == pytest.approx([deadline])


SECRETS = ["postgresql://app:s3cr3t@db.internal:5432/items", "s3cr3t", "db.internal", "AKIAIOSFODNN7EXAMPLE"]
SECRET_TEXT = f"cannot connect to {SECRETS[0]} with {SECRETS[3]}"


def _nested(text: str) -> Exception:
    error = RuntimeError(text)
    error.__cause__ = OSError(f"cause: {text}")
    error.add_note(text)
    return error


class _Secret(Exception):  # noqa: N818 - stands for any driver's class
    """An error whose own code and details hold the secret, as drivers' errors do."""

    code = SECRET_TEXT
    details = {"dsn": SECRET_TEXT}  # noqa: RUF012 - read only


async def _whole(response: HealthResponse) -> str:
    return repr((response.status_code, response.headers, response.body.decode()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("on_thread", [False, True])
@pytest.mark.parametrize("policy", ["always", "authorized", "never"])
@pytest.mark.parametrize(
    "error",
    [
        _nested(SECRET_TEXT),
        _nested(quote(SECRET_TEXT)),
        ConnectionRefusedError(111, SECRET_TEXT),
        _Secret(SECRET_TEXT),
        CheckFailed("unreachable", details={"dsn": SECRET_TEXT, "code": SECRET_TEXT, SECRET_TEXT: 1}),
        ProbeFailedError(SECRET_TEXT, details={"dsn": SECRET_TEXT, "history": SECRET_TEXT, SECRET_TEXT: 1}),
    ],
    ids=["nested", "quoted", "oserror", "attributes", "check_failed", "probe_failed"],
)
async def test_text_of_an_exception_never_leaves(
    error: Exception, policy: str, on_thread: bool, form: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of what an exception says is in a body, a header or a log line, whoever asks and in whatever form."""
    stack = Harness(details=DetailsGate(policy, token="t"))  # type: ignore[arg-type] # parametrised words of the policy

    def plain() -> None:
        raise error

    stack.registry.register("x", plain if on_thread else ScriptedCheck(error))
    caplog.set_level("INFO")

    answers = [await stack.endpoint.answer(kind, accept=FORMS[form], authorization="Bearer t") for kind in KINDS]
    answers.append(await stack.endpoint.answer_check("x", authorization="Bearer t"))

    told = "".join([await _whole(answer) for answer in answers]) + caplog.text
    assert not [secret for secret in (*SECRETS, quote(SECRETS[0])) if secret in told]


@given(st.text(min_size=8, max_size=60, alphabet=st.characters(min_codepoint=33)).map(lambda text: f"§{text}"))
def test_no_text_at_all_leaves(text: str) -> None:
    """The same for arbitrary texts: the answer does not depend on what the exception says."""

    async def answer(error: Exception) -> bytes:
        stack = Harness()
        stack.registry.register("x", ScriptedCheck(error))
        return (await stack.endpoint.answer("health")).body

    assert asyncio.run(answer(_nested(text))) == asyncio.run(answer(_nested("something else")))


async def test_own_message_is_for_those_who_may_see_details() -> None:
    """A message that the check composed is shown like details; others read a sentence of the closed list."""

    async def check() -> HealthCheck:
        return HealthCheck("x", HealthStatus.UNHEALTHY, 1.0, f"failed: {SECRET_TEXT}\n", {"replicas": 2})

    stack = Harness(details=DetailsGate("authorized", token="t"))
    stack.registry.register("x", check)

    public = valid_body(await stack.endpoint.answer("health"))["checks"][0]
    private = valid_body(await stack.endpoint.answer("health", authorization="Bearer t"))["checks"][0]

    assert (public["message"], public["details"]) == ("The check reports a failure", {})
    assert private["message"] == f"failed: {SECRET_TEXT}"
    assert private["details"]["replicas"] == 2


async def test_own_message_of_the_closed_list_is_for_everybody() -> None:
    """A sentence that the registration has declared is shown to everybody, also when the check returns it itself."""

    async def check() -> HealthCheck:
        return HealthCheck("x", HealthStatus.HEALTHY, 1.0, "Database connection successful")

    stack = Harness(details=DetailsGate("never"))
    wording = CheckWording({CheckCode.OK: "Database connection successful"})
    stack.registry.register("x", check, wording=wording)

    body = valid_body(await stack.endpoint.answer("health"))

    assert body["checks"][0]["message"] == "Database connection successful"


@pytest.mark.parametrize(
    ("policy", "token", "authorization", "is_admitted"),
    [
        ("always", None, None, True),
        ("never", "t", "Bearer t", False),
        ("authorized", "t", "Bearer t", True),
        ("authorized", "t", "bearer  t ", True),
        ("authorized", "té", "Bearer tÃ©", True),  # UTF-8 read as latin-1, as a header is
        ("authorized", "t", None, False),
        ("authorized", "t", "", False),
        ("authorized", "t", "t", False),
        ("authorized", "t", "Basic t", False),
        ("authorized", "t", "Bearer T", False),
        ("authorized", "t", "Bearer ☃", False),
        ("authorized", None, "Bearer ", False),
        ("authorized", "", "Bearer ", False),
    ],
)
def test_details_policy(policy: Any, token: str | None, authorization: str | None, is_admitted: bool) -> None:
    """Details go to everybody, to nobody, or to the bearer of the token, which has to exist."""
    assert DetailsGate(policy, token=token).admits(authorization) is is_admitted


ACCEPT_BYTES = st.one_of(
    st.binary(max_size=80),
    st.lists(
        st.sampled_from(
            [b"text/plain", b"application/openmetrics-text", b"*/*", b"application/json", b";q=", b"0.5", b"9", b","]
        ),
        max_size=12,
    ).map(b"".join),
)


@pytest.mark.parametrize("state", ["all_good", "critical_bad", "starting", "broken"])
def test_code_depends_on_the_state_alone(state: str) -> None:
    """Whatever bytes the headers hold, the code is that of the state and the body parses as its declared type."""
    with asyncio.Runner() as runner:
        stack = _Stack(details=DetailsGate("authorized", token="t"))
        runner.run(MATRIX[state][0](stack))  # type: ignore[arg-type] # each is a coroutine function
        plain = runner.run(stack.endpoint.answer("health"))

        @given(ACCEPT_BYTES, st.binary(max_size=30))
        def check(accept: bytes, authorization: bytes) -> None:
            headers = {"accept": accept.decode("latin-1"), "authorization": authorization.decode("latin-1")}

            answer = runner.run(stack.endpoint.answer("health", **headers))

            assert answer.status_code == plain.status_code
            _assert_form(answer, _declared_form(answer), *_expected(state, "health"))

        check()


def _declared_form(response: HealthResponse) -> str:
    content_type = _header(response, "content-type") or ""
    return next((form for form in ("json", "openmetrics") if form in content_type), "text")


async def test_broken_health_code_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A fault in the health code is told once and not for each probe, by its type alone."""
    stack = _Stack()
    await _broken(stack)

    for _ in range(5):
        await stack.endpoint.answer("health")

    assert [message.split()[0] for message in caplog.messages] == ["health_endpoint_failed"]
    assert "s3cr3t" not in caplog.text


async def test_live_survives_a_broken_clock() -> None:
    """Liveness stays 200 whatever else is broken."""

    def utc_now() -> Any:
        raise OSError

    stack = _Stack()
    endpoint = HealthEndpoint(stack.engine, stack.lifecycle, version="1", environment="staging", utc_now=utc_now)

    codes = [(await endpoint.answer(kind)).status_code for kind in KINDS]

    assert codes == [200, 503, 503]


async def test_cancelled_probe_is_not_swallowed() -> None:
    """The last resort catches faults and not the cancellation of the request."""
    stack = Harness()
    stack.lifecycle.mark_ready()
    check = ScriptedCheck(gate=asyncio.Event())
    stack.registry.register("x", check)
    probe = asyncio.create_task(stack.endpoint.answer("ready"))
    await asyncio.sleep(0)

    probe.cancel()
    await asyncio.wait({probe})
    await stack.engine.aclose()

    assert probe.cancelled()


async def test_settings_give_version_environment_and_policy() -> None:
    """The endpoint of the application is made from its settings."""
    stack = _Stack()
    settings = Settings(
        service_version="9.9.9",
        environment="staging",
        health_details="authorized",
        health_token=SecretStr("a-token-long-enough"),
    )
    endpoint = HealthEndpoint.from_settings(stack.engine, stack.lifecycle, settings=settings)

    public = valid_body(await endpoint.answer("health"))
    private = valid_body(await endpoint.answer("health", authorization="Bearer a-token-long-enough"))

    assert (public["version"], public["environment"]) == ("9.9.9", "staging")
    assert public["checks"][0]["details"] == {}
    assert private["checks"][0]["details"]["code"] == "ok"
