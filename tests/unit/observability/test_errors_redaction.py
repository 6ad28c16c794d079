"""What of an event may leave."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.observability._sentry_redaction import EventRedaction
from prethrift_backend.observability.redaction import REDACTED, Redactor

CANARY = "hunter2hunter2hunter2"
STANDARD = EventRedaction(Redactor())


@pytest.mark.parametrize(
    "event",
    [
        {"message": f"Bearer {CANARY}"},
        {"logentry": {"message": "paid with %s", "params": [f"token={CANARY}"]}},
        {"exception": {"values": [{"value": f"postgresql://app:{CANARY}@db/shop"}]}},
        {"breadcrumbs": {"values": [{"message": "x", "data": {"authorization": CANARY}}]}},
        {"breadcrumbs": {"values": [{"data": {"url": f"https://x.test/?token={CANARY}"}}]}},
        {"tags": {"api_key": CANARY}},
        {"tags": [["password", CANARY]]},
        {"extra": {"cookies": [CANARY]}},
        {"extra": {"outer": {"inner": {"deeper": {"deep": {"client_secret": {"is": CANARY}}}}}}},
        {"request": {"headers": [["Authorization", CANARY], ["Cookie", f"sid={CANARY}"]]}},
        {"request": {"headers": {"X-Api-Key": CANARY}, "cookies": CANARY}},
        {"request": {"query_string": [["token", CANARY]]}},
        {"contexts": {"auth": {"session_id": CANARY}}},
        {"user": {"id": "1", "password": CANARY}},
        {f"token={CANARY}": "a name that is a secret"},
        {"exception": {"values": [{"stacktrace": {"frames": [{"vars": {"x": CANARY}, "lineno": 1}]}}]}},
    ],
    ids=str,
)
def test_secrets_do_not_leave(event: dict[str, Any]) -> None:
    """By name and by form, wherever in an event they stand, and however deep."""
    assert CANARY not in json.dumps(STANDARD.redact(event))


def test_source_lines_pass_the_value_rules() -> None:
    """A literal in the source around a frame is hidden, and the lines stay the lines they were."""
    frame = {
        "pre_context": ["password", f'    dsn = "postgresql://app:{CANARY}@db/shop"'],
        "context_line": f'    return open(dsn, password="{CANARY}")',
        "post_context": ["", "def close():"],
        "lineno": 12,
    }
    redacted = STANDARD.redact(frame)

    assert CANARY not in json.dumps(redacted)
    assert [len(redacted[name]) for name in ("pre_context", "post_context")] == [2, 2]
    assert redacted["pre_context"][1].startswith("    dsn = ")
    assert redacted["context_line"].startswith("    return open(dsn, password=")
    assert (redacted["pre_context"][0], redacted["post_context"][1]) == ("password", "def close():")


def test_a_key_over_several_lines_of_source_takes_them_all() -> None:
    """What no single line shows to be a secret is one all the same: a private key in PEM."""
    frame = {
        "pre_context": ['KEY = """-----BEGIN PRIVATE KEY-----', "MIIEvQIBADANBgkqhkiG9w0"],
        "context_line": "BAQEFAASCBKcwggSjAgEAAoIBAQC7",
        "post_context": ["-----END PRIVATE KEY-----", '"""'],
    }

    assert STANDARD.redact(frame) == {"pre_context": [], "context_line": REDACTED, "post_context": []}


def test_what_is_no_secret_stays() -> None:
    """Ids, even of digits alone, numbers, names and stacks are as they were."""
    event = {
        "event_id": "4" * 32,
        "contexts": {"trace": {"trace_id": "4111111111111111" * 2, "span_id": "4111111111111111"}},
        "tags": {"author": "Ada", "session_length": "12", "request_id": "4111111111111111"},
        "extra": {"max_tokens": 100, "key": "pictures/1.jpg", "none": None, "share": 0.5, "is_new": True},
        "exception": {
            "values": [{"type": "ValueError", "stacktrace": {"frames": [{"abs_path": "/app/x.py", "lineno": 3}] * 100}}]
        },
        "fingerprint": ["{{ default }}", "shop"],
    }

    assert STANDARD.redact(event) == event


def test_what_json_cannot_hold_is_made_so_that_it_can() -> None:
    """A field that is no number, or a date, does not cost the event."""
    event = {"extra": {"share": float("nan"), "at": datetime(2026, 1, 2, tzinfo=UTC), "most": float("inf")}}

    assert STANDARD.redact(event) == {"extra": {"share": None, "at": "2026-01-02T00:00:00+00:00", "most": None}}


def test_a_users_own_rules_hold() -> None:
    """What the redactor of the telemetry hides, it hides here."""
    redaction = EventRedaction(Redactor(extra_keys=["iban"], extra_rules=[lambda text: text.replace("DE89", "…")]))

    redacted = redaction.redact({"extra": {"iban": "x", "other": "DE89 3704"}})

    assert redacted == {"extra": {"iban": REDACTED, "other": "… 3704"}}


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=30,
)


@given(tree=st.dictionaries(st.text(max_size=20), PLAIN, max_size=4), key=st.sampled_from(["password", "api_key"]))
def test_a_secret_is_hidden_in_any_tree(tree: dict[str, Any], key: str) -> None:
    """Whatever is around it."""
    event = {"extra": {**tree, key: CANARY, "more": [tree, [key, CANARY], {key: [CANARY]}]}}

    assert CANARY not in repr(STANDARD.redact(event))
