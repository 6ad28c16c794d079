"""The parts of a POST that need no socket: how long to wait, which proxy, what may be shown."""

from base64 import b64decode
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import urllib3

from prethrift_backend.observability._http_poster import HttpPoster, proxy_for, readable, retry_after, secrets_of

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 5 ", 5.0),
        (format_datetime(NOW.replace(minute=2), usegmt=True), 120.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, None),
        ("Tue, 99 Nov 2026 12:00:00 GMT", None),
        ("\u0665", 5.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Both forms of RFC 9110 are read; nothing that a receiver writes there raises, or asks for less than no time."""
    assert retry_after(header, now_seconds=NOW.timestamp()) == seconds


def test_what_a_receiver_says_is_one_short_line() -> None:
    """Newlines, colours and length of an answer do not reach the log."""
    said = readable("\x1b[31mno\r\n\u2028 room\t" + "x" * 1000)

    assert said.startswith("[31mno room xxx")
    assert len(said) == 300


def test_a_receiver_that_repeats_our_headers_shows_no_key() -> None:
    """The values that we send are hidden where they come back, whole or without their scheme."""
    hidden = secrets_of({"authorization": "Basic c2VjcmV0OnRva2Vu", "x-scope": "team"})

    said = readable("you sent 'Basic c2VjcmV0OnRva2Vu', that is c2VjcmV0OnRva2Vu, for team", hiding=hidden)

    assert "c2VjcmV0OnRva2Vu" not in said
    assert said.endswith("for team")


def test_secrets_of_others_are_hidden_by_their_form() -> None:
    """What looks like a secret is hidden, whoever's it is."""
    assert "hunter22" not in readable("cannot reach postgresql://app:hunter22@db/prethrift")


def test_a_proxy_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY and NO_PROXY are honoured, and nothing stands between us and our own machine."""
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "internal.example.com")
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("all_proxy", raising=False)

    assert proxy_for("https://api.honeycomb.io/v1/traces") == "http://proxy.example.com:3128"
    assert proxy_for("http://collector.example.com") is None
    assert proxy_for("https://collector.internal.example.com") is None
    assert proxy_for("https://127.0.0.1:4318") is None
    assert proxy_for("https://localhost:4318") is None
    assert proxy_for("https://[::1]:4318") is None


def test_a_proxy_gets_its_password_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands percent-encoded in the URL of a proxy is sent as it is meant, as everybody's clients do."""
    monkeypatch.setenv("http_proxy", "http://us%40er:p%3Aw%2Ford@proxy.example.com:3128")
    monkeypatch.delenv("no_proxy", raising=False)

    manager = HttpPoster("http://collector.example.com")._connected()

    assert isinstance(manager, urllib3.ProxyManager)
    assert b64decode(manager.proxy_headers["proxy-authorization"].removeprefix("Basic ")) == b"us@er:p:w/ord"
