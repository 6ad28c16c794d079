"""The spans of a source against a span contract."""

from __future__ import annotations

import pytest

from prethrift_backend.contracts import parse_spans
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.source import Source, read_module
from prethrift_backend.verify.lint.span_producers import SpanProducers

CONTRACT = parse_spans(
    """# CONTRACT spans 1.0.0
NEVER-KEY password|url.path
SPAN parcel kind=internal scope=shop.parcels
  NAME send parcel | send {parcel.kind}
  parcel.kind string
  parcel.size int
SPAN driver kind=client scope=driver.library
  NAME query
""",
    source="spans.txt",
)
SET = "span.set_attribute('parcel.size', 3)\nspan.set_attribute('parcel.kind', 'x')\n"
SENT = f"{SET}tracer = get_tracer(__name__)\ntracer.start_span('send parcel')"


def _checks(text: str) -> SpanProducers:
    source = Source([read_module(text, name="shop.parcels", path="/src/shop/parcels.py")])
    return SpanProducers(CONTRACT, source, source)


def _findings(text: str) -> list[Finding]:
    return list(_checks(text).findings())


@pytest.mark.parametrize(
    "start",
    [
        "get_tracer(__name__).start_as_current_span('send parcel')",
        "tracer = trace.get_tracer('shop.parcels')\nwith tracer.start_as_current_span(name='send parcel'): pass",
        "tracer = get_tracer(__name__)\ntracer.start_span(f'send {kind}')",
        "NAME = 'send parcel'\nstart_child(__name__, NAME, kind=SpanKind.INTERNAL)",
        "with ChildSpan(__name__, 'send parcel', kind=k): pass",
        "class Parcel(ChildSpan):\n  def __init__(self):\n    super().__init__(__name__, 'send parcel', kind=k)",
        "signals.tracer(__name__).start_span(name_of(parcel))\nWORDS = 'send parcel'",
    ],
)
def test_a_promised_span_that_is_made_is_no_finding(start: str) -> None:
    """Tracers of OpenTelemetry and the helpers of this package are known, names by constants and f-strings too."""
    assert _findings(SET + start) == []


@pytest.mark.parametrize("start", ["'lose parcel'", "f'lose {kind}'"])
def test_a_span_that_nobody_promised_is_found_with_file_and_line(start: str) -> None:
    """A name outside of the contract is V006."""
    (finding,) = _findings(f"{SENT}\ntracer.start_span({start})")

    assert finding.rule == "V006"
    assert str(finding.place) == "/src/shop/parcels.py:5"


def test_a_promised_name_of_another_scope_is_found() -> None:
    """The scope belongs to the promise."""
    (finding,) = _findings(f"{SENT}\nget_tracer('shop.tills').start_span('send parcel')")

    assert (finding.rule, finding.name) == ("V006", "send parcel")


def test_a_promised_span_that_nothing_makes_is_found() -> None:
    """A scope in whose modules no name of the span stands is V006, at its block."""
    (finding,) = _findings(SET)

    assert (finding.rule, finding.name, str(finding.place)) == ("V006", "parcel", "spans.txt:3")


def test_an_attribute_that_nothing_sets_is_found() -> None:
    """A promised attribute whose name stands nowhere is CD012."""
    (finding,) = _findings(SENT.replace("'parcel.size'", "'parcel.weight'"))

    assert (finding.rule, finding.name, str(finding.place)) == ("CD012", "parcel", "spans.txt:6")


@pytest.mark.parametrize(
    "name",
    [
        "f'send {request.url.path}'",
        "f'send {scope[\"path\"]}'",
        "f'send {parcel.id} {parcel_id}'",
        "f'send {response.status_code}'",
        "'send ' + str(request.url)",
        "f'send {len(parcels)}'",
        "'send {}'.format(request.url.path)",
    ],
)
def test_a_name_of_values_without_an_end_is_found(name: str) -> None:
    """With a raw path, an id, a count or a status it is another name for each request: CD011."""
    found = _findings(f"{SENT}\ntracer.start_span({name})")

    assert [finding.rule for finding in found] == ["CD011"]


@pytest.mark.parametrize(
    "given",
    [
        "span.set_attribute('db.password', p)",
        "tracer.start_span('send parcel', attributes={'url.path': p})",
        "attributes = {'user_password': p}",
    ],
)
def test_a_secret_in_an_attribute_is_found(given: str) -> None:
    """A key of NEVER-KEY is CD010, however it is given."""
    assert [finding.rule for finding in _findings(f"{SENT}\n{given}")] == ["CD010"]


def test_a_span_of_a_library_is_not_judged_and_says_why() -> None:
    """A scope outside of the source cannot be looked at."""
    checks = _checks(SENT)

    assert "driver.library" in str(checks.why_unjudged(CONTRACT.span("driver")))
    assert checks.why_unjudged(CONTRACT.span("parcel")) is None
