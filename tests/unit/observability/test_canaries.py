"""Secrets put in at every door of an application, and looked for behind every one that telemetry leaves by."""

import asyncio
import io
import string
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from fastapi import FastAPI, Request
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import BaseModel
from tests.support.asgi import Answer, drive, http_scope

from prethrift_backend.api.problems import install_handlers
from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, get_logger, get_tracer, instrument, redact_text
from prethrift_backend.observability.exposition import MetricsEndpoint
from prethrift_backend.observability.redaction import STANDARD, Redactor, redact
from prethrift_backend.observability.testing import Capture, capture_telemetry

LOG = get_logger("canaries")
TRACER = get_tracer("canaries")
CANARY = "kanarie7vogel"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJrYW5hcmllIn0.{CANARY}0123456789"
DSN = f"postgresql://app:{CANARY}@db.internal:5432/prethrift"
# The forms in which a secret may stand in a text.
TEXTS = (
    DSN, f"Bearer {CANARY}", f"token={CANARY}", f'{{"password": "{CANARY}"}}', f"Cookie: session={CANARY}; a=b", JWT,
    f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----", f"https://x/?a=1&api_key={CANARY}",
    f'{{\\"client_secret\\": \\"{CANARY}\\"}}', f"password: {CANARY}", f"amqp://u:{CANARY}@mq", f"ghp_{CANARY * 2}",
)  # fmt: skip


class Login(BaseModel):
    """A body with a secret in it."""

    user: int
    password: str


def fail_deeply(text: str) -> None:
    """Raise a chain of exceptions, with notes, groups, causes and locals that hold ``text``."""
    password = text
    try:
        try:
            raise ConnectionError(f"cannot reach {text}")
        except ConnectionError as cause:
            raise ExceptionGroup("several", [ValueError(text), KeyError(password)]) from cause
    except ExceptionGroup as group:
        error = RuntimeError(f"gave up: {text}", {"password": text})
        error.add_note(text)
        raise error from group


def make_application() -> FastAPI:
    """Build an application that tells its logs and spans whatever it gets."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    install_handlers(app)

    @app.get("/items/{item}")
    async def read(item: str, request: Request) -> int:
        headers = list(request.headers.items())
        LOG.info("seen", headers=headers, raw=request.headers.raw, cookies=dict(request.cookies), url=str(request.url))
        with TRACER.start_as_current_span("look_up") as span:
            span.set_attribute("http.request.header.authorization", request.headers.get("authorization", ""))
            span.set_attribute("url.full", str(request.url))
            span.add_event("asked", {"cookie": request.headers.get("cookie", "")})
        return 1

    @app.post("/login")
    async def log_in(login: Login) -> int:
        LOG.info("logged_in", login=login, body=login.model_dump(), text=login.model_dump_json())
        fail_deeply(DSN)
        return 1

    @app.get("/birds/{bird}")
    async def fail_about(bird: str) -> None:
        LOG.warning(bird, bird=bird)
        with TRACER.start_as_current_span(bird, attributes={"bird": bird}):
            fail_deeply(bird)

    @app.get("/fail/{number}")
    async def fail(number: int) -> None:
        text = TEXTS[number]
        LOG.warning(text, text=text, deep=[{"x": (text, text.encode())}], **{text: 1})
        structlog.get_logger(text).info("said")
        with TRACER.start_as_current_span(text, attributes={"text": text, text: 1}) as span:
            span.add_event(text, {"text": text})
            fail_deeply(text)

    return app


@dataclass
class Heard:
    """Everything that left the process, by the door it left by."""

    doors: dict[str, bytes] = field(default_factory=dict)

    def leaks(self, canary: str) -> list[str]:
        """Return the doors behind which ``canary`` is."""
        return [name for name, content in self.doors.items() if canary.encode() in content]


@contextmanager
def listening(heard: Heard, redactor: Redactor = STANDARD) -> Iterator[Capture]:
    """Capture what a telemetry says, as JSON, and hand it to ``heard`` at the end."""
    with capture_telemetry(redactor=redactor) as capture:
        yield capture
        heard.doors["log"] = b"".join(capture.raw_lines)
        heard.doors["otlp"] = b"".join(request.body for request in capture.otlp_requests)
        heard.doors["sentry"] = repr(capture.error_events).encode()
        answer = asyncio.run(drive(MetricsEndpoint(capture.telemetry.metrics.registry), http_scope(path="/metrics")))
        heard.doors["metrics"] = answer.body


def ask(capture: Capture, scopes: Sequence[dict[str, Any]], body: bytes = b"") -> list[Answer]:
    """Serve requests one after the other."""
    app = instrument(make_application(), capture.telemetry)
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    return [asyncio.run(drive(app, scope, list(incoming))) for scope in scopes]


def answers_of(answers: Sequence[Answer]) -> bytes:
    """Return the answers' headers and bodies."""
    return repr([answer.messages for answer in answers]).encode()


SECRET_HEADERS = [
    (b"authorization", f"Bearer {CANARY}".encode()), (b"authorization", f"Basic {CANARY}".encode()),
    (b"cookie", f"session={CANARY}; csrftoken={CANARY}".encode()), (b"x-api-key", CANARY.encode()),
    (b"x-request-id", JWT.encode()), (b"x-trace-id", f"token={CANARY}".encode()),
    (b"x-amz-security-token", CANARY.encode()), (b"x-csrf-token", CANARY.encode()),
    (b"tracestate", f"v=Bearer {CANARY}".encode()), (b"x-forwarded-for", DSN.encode()),
    (b"referer", f"https://x/?token={CANARY}".encode()), (b"proxy-authorization", CANARY.encode()),
]  # fmt: skip
SECRET_QUERY = f"token={CANARY}&q=Bearer+{CANARY}&category=token%3D{CANARY}&sig={CANARY}&access_token={CANARY}".encode()


def test_no_secret_of_a_request_is_told() -> None:
    """A secret in path, query, header or cookie is in no log, span, error event, metric or error body."""
    heard = Heard()
    with listening(heard) as capture:
        plain = [http_scope(path="/items/5", headers=[pair], query=SECRET_QUERY) for pair in SECRET_HEADERS]
        lost = [http_scope(path=path, headers=SECRET_HEADERS) for path in (f"/token={CANARY}", f"/{JWT}/x")]
        wrong = [http_scope(method=CANARY.upper(), path="/items/5"), http_scope(method="PUT", path=f"/items/{JWT}")]
        answers = ask(capture, [*plain, *lost, *wrong])
        heard.doors["answers"] = answers_of(answers)

    assert heard.leaks(CANARY) == []
    assert heard.leaks(CANARY.upper()) == []
    assert heard.leaks("seen") == ["log"]  # the lines were there


def test_no_secret_of_a_body_is_told() -> None:
    """A secret in a body that is wrong, or that a handler fails on, is in nothing that leaves the process."""
    heard = Heard()
    with listening(heard) as capture:
        good = b'{"user": 1, "password": "%s"}' % CANARY.encode()
        wrong = b'{"user": "password=%s", "password": {"token": "%s"}}' % (CANARY.encode(), CANARY.encode())
        headers = [(b"content-type", b"application/json")]
        scope = http_scope(method="POST", path="/login", headers=headers)
        answers = [answer for body in (good, wrong) for answer in ask(capture, [dict(scope)], body)]
        heard.doors["answers"] = answers_of(answers)

    assert [answer.status for answer in answers] == [500, 422]
    assert heard.leaks(CANARY) == []


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_no_secret_of_an_exception_is_told(number: int) -> None:
    """A secret in an exception's text, cause, group, note or locals, in a line or a span, is told by nobody."""
    heard = Heard()
    with listening(heard) as capture:
        heard.doors["answers"] = answers_of(ask(capture, [http_scope(path=f"/fail/{number}")]))

    assert heard.leaks(CANARY) == []
    assert heard.leaks("fail_deeply") == ["log", "otlp", "sentry"]  # the stack was there


def test_rules_of_ones_own_stand_at_every_door() -> None:
    """What only the telemetry's own redactor knows as a secret is in no log, span or error event either."""
    own = Redactor(extra_keys=["iban"], extra_rules=[lambda text: text.replace("Zeisig", "Z")])
    heard = Heard()
    with listening(heard, own) as capture:
        query = b"q=Zeisig&category=Zeisig&iban=Zeisig"
        headers = [
            (b"x-iban", b"Zeisig"),
            (b"x-request-id", b"Zeisig"),
            (b"tracestate", b"v=Zeisig"),
            (b"x-bird", b"Zeisig"),
        ]
        seen = http_scope(path="/items/Zeisig", query=query, headers=headers)
        failed = http_scope(path="/birds/Zeisig", query=query, headers=headers)
        ask(capture, [seen, failed])

    assert heard.leaks("Zeisig") == []
    assert heard.leaks("fail_deeply") == ["log", "otlp", "sentry"]


@pytest.mark.parametrize("text", TEXTS)
def test_no_secret_is_on_the_console(text: str) -> None:
    """The form for people hides as much as JSON does."""
    stream = io.BytesIO()
    telemetry = configure(Settings(log_format="console"), log_stream=stream, strict=True)
    try:
        fail_deeply(text)
    except RuntimeError:
        LOG.exception(text, text=text, deep=[{"x": (text, text.encode())}])
    telemetry.close()

    assert b"fail_deeply" in stream.getvalue()
    assert CANARY.encode() not in stream.getvalue()


# Shapes of secrets, one strategy for each rule. A secret is long enough not to be found by chance.

WORD = string.ascii_letters + string.digits
secret_word = st.text(WORD, min_size=8, max_size=40).map(lambda text: f"{text}9q")
base64ish = st.text(WORD + "-_", min_size=12, max_size=60)
password = st.text(WORD + "!$%&()*+,-.;=[]^_`{|}~", min_size=8, max_size=30).filter(lambda text: not text.isdigit())
name = st.sampled_from(
    ["password", "db_password", "PGPASSWORD", "clientSecret", "api-key", "X-Api-Key", "access_token", "AWS_SECRET_KEY"]
)


def with_check_digit(digits: str) -> str:
    """Return a card number: ``digits`` and the digit that makes the sum of Luhn right."""
    total = sum(sum(divmod(int(digit) * (2 - position % 2), 10)) for position, digit in enumerate(reversed(digits)))
    return f"{digits}{-total % 10}"


@st.composite
def cards(draw: st.DrawFn) -> tuple[str, str]:
    """Return a card number as people write it."""
    number = with_check_digit(draw(st.from_regex(r"[2-6]\d{14}", fullmatch=True)))
    separator = draw(st.sampled_from(["", " ", "-"]))
    written = separator.join(number[start : start + 4] for start in range(0, 16, 4))
    return written, written


def pairs(secrets: st.SearchStrategy[str], *forms: str) -> st.SearchStrategy[tuple[str, str]]:
    """Return a text in one of the forms, and the secret in it."""
    return st.tuples(secrets, st.sampled_from(forms)).map(lambda pair: (pair[1].replace("{}", pair[0]), pair[0]))


RULES: dict[str, st.SearchStrategy[tuple[str, str]]] = {
    "scheme": pairs(secret_word, "Bearer {}", "Authorization: Bearer {}", "basic {}", "BEARER  {}"),
    "jwt": pairs(base64ish, "eyJhbGciOi.{}.sig", "xeyJhbGciOi.eyJzdWIi.{}", "eyJ{}.{}.{}"),
    "pem": pairs(base64ish, "-----BEGIN EC PRIVATE KEY-----\n{}\n{}", "-----BEGIN A-----{}-----END A-----"),
    "userinfo": pairs(password, "redis://:{}@cache:6379/0", "postgresql+asyncpg://app:{}@db/x", "see //u:{}@h"),
    "key in a url": pairs(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), "https://{}@o1.ingest.example/1"),
    "known prefix": pairs(
        st.from_regex(r"[A-Z0-9]{16}", fullmatch=True), "AKIA{}", "sk_live_{}", "ghp_{}{}", "xoxb-{}"
    ),
    "assignment": st.tuples(
        name, pairs(secret_word, "={}", " = {}", '": "{}"', "': '{}'", "='{}'", ': "{}"', '\\": \\"{}\\"', "%3D{}")
    ).map(lambda drawn: (f"{drawn[0]}{drawn[1][0]}", drawn[1][1])),
    "quoted words": st.tuples(name, secret_word).map(lambda drawn: (f'{drawn[0]}="two words {drawn[1]}"', drawn[1])),
    "cookie": pairs(secret_word, "Cookie: sid={}; theme=dark", "set-cookie: a=b; sid={}", "{'cookie': 'sid={}'}"),
    "card": cards(),
}  # fmt: skip
around = st.sampled_from(["", " ", "\n", "x, ", "(", "error: ", "http://h:80/ "])


@pytest.mark.parametrize("rule", RULES)
@given(st.data())
def test_a_secret_of_any_shape_is_hidden(rule: str, data: st.DataObject) -> None:
    """Whatever the secret is and whatever stands around it, its rule hides it, in a text and in a field."""
    text, secret = data.draw(RULES[rule])
    assume(secret not in redact_text("z " * 4000))  # a word of our own note on what was cut, such as "characters"
    text = f"{data.draw(around)}{text}{data.draw(st.sampled_from(['', ' ', chr(10), ', x', ')', ' http://h/a@b']))}"

    assert secret not in redact_text(text)
    assert secret not in str(redact({"note": [text, {"x": text.encode()}], text: 1}))
    assert secret not in redact_text("z " * 2040 + text)  # at the place where the text is cut


@given(st.sampled_from(list(RULES)), st.data())
def test_redacting_twice_changes_nothing(rule: str, data: st.DataObject) -> None:
    """What was redacted once is not redacted again: a text that passes two doors stays readable."""
    once = redact_text(data.draw(RULES[rule])[0])

    assert redact_text(once) == once


@given(
    st.sampled_from(["password", "secret", "token", "api_key", "private_key", "session_id", "authorization"]), st.data()
)
def test_a_secret_key_in_any_style_hides_its_value(word: str, data: st.DataObject) -> None:
    """Snake, camel, kebab, upper case, with words before and behind: the value is hidden."""
    before, behind = (
        data.draw(st.sampled_from(["", "db", "x", "client"])),
        data.draw(st.sampled_from(["", "hash", "value"])),
    )
    words = [part for part in (before, *word.split("_"), behind) if part]
    styles = (
        "_".join(words),
        "-".join(words),
        "".join(map(str.title, words)),
        "_".join(words).upper(),
        ".".join(words),
    )
    key = data.draw(st.sampled_from(styles))

    assert redact({key: CANARY, "deep": [(key, CANARY)]}) == {key: "[redacted]", "deep": [[key, "[redacted]"]]}


INNOCENT_KEYS = (
    "author", "authority", "authored_by", "session_length", "token_count", "tokenizer", "monkey", "keyboard", "key",
    "secretary", "secretariat", "object_key", "primary_key", "passport_office", "compass", "passage", "pinned", "spin",
    "cookies_used", "discount", "sign", "signal", "design", "assignee", "basic", "bearing", "credits", "cardinality",
)  # fmt: skip
INNOCENT_WORDS = (
    "the author of a monkey", "secretary", "authority", "session", "token", "tokens", "expired", "basic dress", "//",
    "cookie", "password", "invalid token: expired", "12:30", "a=b", "2026-01-01T00:00:00Z", "size: 42", "a@b.example",
    "http://h:8000/x?y=1", "4111 1111 1111 1112", "key", "max_tokens=100", "blue", "-----", "eyJ", "token_count=12",
)  # fmt: skip


@given(st.sampled_from(INNOCENT_KEYS), st.integers(-(10**6), 10**6) | st.sampled_from(["Ann", "ok", "a/b.jpg"]))
def test_an_innocent_key_keeps_its_value(key: str, value: object) -> None:
    """A name that only resembles a secret's, or tells about one, hides nothing."""
    assert redact({key: value}) == {key: value}


@given(st.lists(st.sampled_from(INNOCENT_WORDS), max_size=12), st.sampled_from([" ", ", ", "\n", "; "]))
def test_an_innocent_text_stays_as_it_is(words: list[str], separator: str) -> None:
    """A sentence of words that only resemble secrets is not changed."""
    text = separator.join(words)

    assert redact_text(text) == text
