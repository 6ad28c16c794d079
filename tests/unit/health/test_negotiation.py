"""Which form an Accept header asks for."""

from __future__ import annotations

import pytest
from tests.unit.health._parts import PROMETHEUS_OPENMETRICS, PROMETHEUS_TEXT

from prethrift_backend.health._negotiation import Form, negotiate

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (PROMETHEUS_OPENMETRICS, Form.OPENMETRICS),
        (PROMETHEUS_TEXT, Form.TEXT),
        ("text/plain", Form.TEXT),
        ("TEXT/PLAIN ; Q=0.5", Form.TEXT),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", Form.TEXT),
        ("application/openmetrics-text, text/plain", Form.OPENMETRICS),
        ("text/plain;version=1.0.0;q=0.4", Form.TEXT),  # q after another parameter is still q
        ("text/plain;q=0.4, application/json;q=0.3", Form.TEXT),
        ("text/plain, */*", Form.TEXT),
        (None, Form.JSON),
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("json", Form.JSON),
        ("image/png", Form.JSON),
        (BROWSER, Form.JSON),
        ("application/json", Form.JSON),
        ("application/health+json, text/plain;q=0.9", Form.JSON),
        ("application/json, text/plain, */*", Form.JSON),  # what axios sends
        ("text/plain;q=0.1, */*", Form.JSON),
        ("text/plain;q=0", Form.JSON),
        ("text/plain;q=banana", Form.JSON),
        ("text/plain;q=2", Form.JSON),
        (";;;,,,q=,=", Form.JSON),
    ],
)
def test_form_follows_the_header(accept: str | None, form: Form) -> None:
    """A Prometheus form is given to whoever names it, JSON to everybody else."""
    assert negotiate(accept) is form
