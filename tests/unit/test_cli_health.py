"""What `prethrift-backend health` makes of arguments, environment and answers; nothing is asked over a network."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend import probe
from prethrift_backend.cli import main
from prethrift_backend.probe import Answer, ProbeError, Target

TARGET = Target("http", "127.0.0.1", 8000, "/health")
BODY = {
    "status": "degraded",
    "timestamp": "2026-01-01T00:00:00.000Z",
    "version": "1.2.3",
    "environment": "staging",
    "uptime_seconds": 3725.5,
    "checks": [
        {
            "name": "database",
            "status": "healthy",
            "duration_ms": 1.25,
            "message": "Database connection successful",
            "details": {},
        },
        {"name": "s3", "status": "unhealthy", "duration_ms": 1000, "message": "No answer in time", "details": {}},
    ],
}


def _answer(status_code: int = 200, **changes: Any) -> Answer:
    return Answer(status_code, json.dumps(BODY | changes).encode())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """Stand for the server: the first entry is what it answers."""
    entries = [_answer()]
    monkeypatch.setattr(probe, "fetch", lambda *_args, **_options: entries[0])
    return entries


def _status(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["health", *arguments])
    return ended.value.code


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (_answer(status="healthy"), 0),
        (_answer(status="degraded"), 0),
        (_answer(503, status="unhealthy"), 1),
        (_answer(200, status="unhealthy"), 1),
        (_answer(503, status="healthy"), 1),
        (Answer(200, b"<html>hello</html>"), 2),
        (Answer(503, b"no server is available"), 2),
        (Answer(200, b'{"ok": true}'), 2),
        (Answer(200, b"[]"), 2),
        (Answer(200, b"[" * 100_000), 2),
        (Answer(200, b"\xff"), 2),
        (Answer(200, b'"' + b"x" * (1 << 20) + b'"'), 2),
        (_answer(404), 2),
        (_answer(301), 2),
        (_answer(500), 2),
    ],
)
def test_the_exit_status_tells_of_health(answers: list[Answer], answer: Answer, status: int) -> None:
    """0 is healthy or degraded, 1 unhealthy by code or body, 2 whatever tells nothing of health."""
    answers[0] = answer

    assert _status() == status


def test_what_is_no_health_answer_is_said_in_one_sentence(
    answers: list[Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing can be said of health, standard output is empty and the other has one line."""
    answers[0] = Answer(404, b"nothing here")
    _status("http://shop.example/health?secret=1")

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == (
        "prethrift-backend: http://shop.example:80/health answered 404, which no health endpoint does: "
        "is this its address?\n"
    )


def test_people_get_one_line_a_check(answers: list[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    """The whole comes first, then each check with state, time and sentence, in columns."""
    _status()

    assert capsys.readouterr().out.splitlines() == [
        "degraded  http://127.0.0.1:8000/health  1.2.3  staging  up 1:02:05",
        "  healthy    database      1.2 ms  Database connection successful",
        "  unhealthy  s3         1000.0 ms  No answer in time",
    ]


def test_the_reason_stands_beside_the_state(answers: list[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    """A process that drains says so, although its checks are fine."""
    answers[0] = _answer(503, status="unhealthy", reason="draining")
    _status()

    assert capsys.readouterr().out.startswith("unhealthy (draining)  http://127.0.0.1:8000/health  ")


def test_one_check_alone_is_a_line_too() -> None:
    """The body of a single check, as a path of its own has it, is shown as that check."""
    body = json.dumps(BODY["checks"][0]).encode()  # type: ignore[index] # the dict above is typed by its first values

    text = probe.describe(TARGET, probe.understand(TARGET, Answer(200, body)))

    assert text.splitlines()[1].split()[:2] == ["healthy", "database"]


@pytest.mark.parametrize(
    ("is_terminal", "environ", "coloured"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    answers: list[Answer],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    environ: dict[str, str],
    coloured: bool,
) -> None:
    """A pipe, NO_COLOR and a dumb terminal get plain text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    _status()

    assert ("\x1b[33mdegraded\x1b[0m" in capsys.readouterr().out) is coloured


def test_json_is_passed_through(answers: list[Answer], capsys: pytest.CaptureFixture[str]) -> None:
    """With --json the body comes out byte for byte."""
    _status("--json")

    assert capsys.readouterr().out.encode() == answers[0].body + b"\n"


HOSTILE = st.text(st.characters(codec="utf-8") | st.sampled_from("\x1b\x07\x9b\x7f\r\n\u202e\u2028"), min_size=1)


@given(HOSTILE, HOSTILE, HOSTILE, st.booleans())
def test_nothing_of_the_server_commands_the_terminal(name: str, message: str, reason: str, is_raw: bool) -> None:
    """No text in a body reaches the output with a control character, and it makes no lines of its own."""
    check = {"name": name, "status": message, "message": message, "duration_ms": name}
    content = {"status": "unhealthy", "reason": reason, "version": name, "uptime_seconds": name, "checks": [check]}
    body = json.dumps(content, ensure_ascii=not is_raw).encode()

    finding = probe.understand(TARGET, Answer(503, body))
    text = probe.describe(TARGET, finding)

    assert all(line.isprintable() for line in text.split("\n"))
    assert text.count("\n") == 1
    assert probe.passed_through(finding).isprintable()
    assert json.loads(probe.passed_through(finding)) == content


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_json_with_a_state_can_be_shown(value: object) -> None:
    """Fields of the wrong type are shown or left out; they are no traceback."""
    for name in ("uptime_seconds", "checks", "reason", "version"):
        body = json.dumps({"status": "healthy", name: value}).encode()
        assert probe.describe(TARGET, probe.understand(TARGET, Answer(200, body)))
    check = {"name": value, "status": value, "message": value, "duration_ms": value}
    body = json.dumps({"status": "healthy", "checks": [check, value]}).encode()
    assert probe.describe(TARGET, probe.understand(TARGET, Answer(200, body)))


def test_a_terminal_without_unicode_gets_escapes() -> None:
    """What the output's encoding does not have is escaped as in JSON, and --json stays the same document."""
    body = json.dumps({"status": "healthy", "version": "größer 😀"}, ensure_ascii=False).encode()
    finding = probe.understand(TARGET, Answer(200, body))

    assert "gr\\u00f6\\u00dfer" in probe.describe(TARGET, finding, encoding="ascii")
    assert json.loads(probe.passed_through(finding, encoding="ascii"))["version"] == "größer 😀"


@pytest.mark.parametrize(
    ("url", "kind", "port", "asked"),
    [
        (None, None, None, "http://127.0.0.1:8000/health"),
        (None, None, "9000", "http://127.0.0.1:9000/health"),
        (None, None, "", "http://127.0.0.1:8000/health"),
        (None, "ready", "9000", "http://127.0.0.1:9000/health/ready"),
        ("http://h", None, "9000", "http://h:80/health"),
        ("https://h/", "live", None, "https://h:443/health/live"),
        ("http://h:1/shop/health", None, None, "http://h:1/shop/health"),
        ("http://h:1/shop/health", "live", None, "http://h:1/shop/health/live"),
        ("http://h:1/shop", "live", None, "http://h:1/shop/health/live"),
        ("http://h:1/health/ready", "live", None, "http://h:1/health/live"),
        ("http://h:1/health/checks/database", None, None, "http://h:1/health/checks/database"),
        ("http://[::1]:8000", None, None, "http://[::1]:8000/health"),
        ("http://h/größe", None, None, "http://h:80/gr%C3%B6%C3%9Fe"),
    ],
)
def test_the_address_to_ask(url: str | None, kind: probe.Kind | None, port: str | None, asked: str) -> None:
    """Without a URL it is PORT on this machine; a URL without a path gets the one of the kind."""
    environ = {} if port is None else {"PORT": port}

    assert probe.locate(url, kind=kind, environ=environ).url == asked


def test_the_query_is_asked_and_not_shown() -> None:
    """What follows the ? goes to the server and into no output."""
    target = probe.locate("http://h/health?key=1&b=c d".replace(" ", "+"), kind=None, environ={})

    assert (target.path, target.url) == ("/health?key=1&b=c+d", "http://h:80/health")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "'localhost:8000' is not a web address: give a URL, as in http://127.0.0.1:8000/health"),
        ("ftp://h", "'ftp://h' is not a web address"),
        ("http://", "'http://' is not a web address"),
        ("http://h:0", "'http://h:0' is not a web address"),
        ("http://h:port", "'http://h:port' cannot be taken apart"),
        ("http://h:70000", "'http://h:70000' cannot be taken apart"),
        ("http://[::1", "'http://[::1' cannot be taken apart"),
        ("http://h/a b", "'http://h/a b' is not a web address"),
        ("http://h/\x1b[31m", r"'http://h/\x1b[31m' is not a web address"),
        ("http://me:hidden@h/", "'********' holds a user or a password: leave it out"),
    ],
)
def test_a_bad_url_is_said_in_one_sentence(url: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A URL that cannot be asked ends with status 2, what is wrong and what to give, and no secret."""
    status = _status(url)

    output = capsys.readouterr().err
    assert (status, output.count("\n")) == (2, 1)
    assert output.startswith(f"prethrift-backend: {words}")
    assert "hidden" not in output


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1", "8000 8001", "9" * 5000])
def test_a_bad_port_is_said_in_one_sentence(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PORT=0 and what is no port cannot be asked; status 2."""
    monkeypatch.setenv("PORT", port)

    assert _status() == 2
    assert "is not a port to ask: give a whole number from 1 to 65535, or a URL\n" in capsys.readouterr().err


@pytest.mark.parametrize("token", ["two words", "two\nlines", "größe"])
def test_a_token_that_cannot_be_sent_is_not_shown(token: str) -> None:
    """A HEALTH_TOKEN that is no header value ends with a sentence without it."""
    with pytest.raises(ProbeError, match=re.escape("HEALTH_TOKEN='********' cannot be sent")):
        probe.own_token({"HEALTH_TOKEN": token})


@pytest.mark.parametrize(
    ("environ", "token"), [({}, None), ({"HEALTH_TOKEN": " "}, None), ({"HEALTH_TOKEN": "abc\n"}, "abc")]
)
def test_the_token_is_that_of_the_environment(environ: dict[str, str], token: str | None) -> None:
    """White space around it is dropped, as the server does, and an empty one is none."""
    assert probe.own_token(environ) == token


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon", "4000"])
def test_a_bad_timeout_is_wrong_usage(timeout: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds above 0 and below an hour are taken, nothing else; status 2."""
    assert _status("--timeout-seconds", timeout) == 2
    assert "is not a time" in capsys.readouterr().err
