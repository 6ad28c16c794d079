"""What a caller's trace headers may say, and whom we tell about our traces."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState, use_span
from tests.support.asgi import Recorder

from prethrift_backend.observability import trace_headers
from prethrift_backend.observability.propagation import (
    Propagation,
    is_client_trace_id,
    parse_trace_id,
    parse_traceparent,
    parse_tracestate,
    read_identity,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALID = f"00-{TRACE}-{SPAN}-01".encode()


def test_a_valid_traceparent_is_the_callers_span() -> None:
    """Trace, span and the sampled flag are taken, and the span is known to be somebody else's."""
    caller = parse_traceparent([b" " + VALID + b"\t"])

    assert caller is not None
    assert (f"{caller.trace_id:032x}", f"{caller.span_id:016x}") == (TRACE, SPAN)
    assert (caller.is_remote, caller.trace_flags.sampled) == (True, True)


@pytest.mark.parametrize(("flags", "is_sampled"), [("00", False), ("01", True), ("02", False), ("ff", True)])
def test_only_the_sampled_flag_is_read(flags: str, is_sampled: bool) -> None:
    """Flags of later levels are neither refused nor passed on."""
    caller = parse_traceparent([f"00-{TRACE}-{SPAN}-{flags}".encode()])

    assert caller is not None
    assert caller.trace_flags == int(is_sampled)


@pytest.mark.parametrize("value", [f"cc-{TRACE}-{SPAN}-01", f"01-{TRACE}-{SPAN}-01-what-comes-later"])
def test_a_later_version_is_read_as_far_as_it_is_known(value: str) -> None:
    """A version that we do not know may have more parts."""
    assert parse_traceparent([value.encode()]) is not None


BROKEN = [
    [],
    [VALID, VALID],
    [b""],
    [VALID.upper()],
    [VALID + b"-"],
    [VALID + b"-00"],
    [VALID[:-1]],
    [VALID.replace(b"-", b"_")],
    [b"ff" + VALID[2:]],
    [f"00-{'0' * 32}-{SPAN}-01".encode()],
    [f"00-{TRACE}-{'0' * 16}-01".encode()],
    [f"00-{TRACE[:-1]}g-{SPAN}-01".encode()],
    [f"01-{TRACE}-{SPAN}-01.later".encode()],
    [VALID + b"\n"],
    ["\N{ARABIC-INDIC DIGIT ZERO}0-".encode() + VALID[3:]],
    [b"\xff\x00" * 30],
]


@pytest.mark.parametrize("values", BROKEN)
def test_a_broken_traceparent_counts_as_none(values: list[bytes]) -> None:
    """Two headers, capitals, zeroes, version ff, other characters and other lengths are no traceparent."""
    assert parse_traceparent(values) is None


def test_the_members_of_several_tracestates_are_joined() -> None:
    """Members keep their order over all headers; empty ones are allowed."""
    state = parse_tracestate([b"rojo=00f067aa0ba902b7 ,", b"\tcongo@vendor=t61rcWkgMzE"])

    assert state is not None
    assert list(state.items()) == [("rojo", "00f067aa0ba902b7"), ("congo@vendor", "t61rcWkgMzE")]


STATES = [
    [],
    [b""],
    [b","],
    [b"a"],
    [b"A=1"],
    [b"a=1,a=2"],
    [b"a=1,b"],
    [b"a=\xe9"],
    [b"a=" + b"x" * 511],
    [b",".join(b"k%d=1" % n for n in range(33))],
    [b"a=1\nb=2"],
]


@pytest.mark.parametrize("values", STATES)
def test_a_broken_tracestate_is_left_out(values: list[bytes]) -> None:
    """One broken member, a key twice, too many or too long: nothing of it is kept."""
    assert parse_tracestate(values) is None


@given(values=st.lists(st.binary(max_size=90) | st.just(VALID), max_size=3))
def test_any_bytes_can_be_parsed(values: list[bytes]) -> None:
    """Whatever a header holds, parsing ends without an exception, and without a word in the log."""
    caller = parse_traceparent(values)

    assert caller is None or (values == [VALID] and caller.is_valid)
    assert parse_tracestate(values) is None or len(values) > 0


@pytest.mark.parametrize(("text", "trace_id"), [(TRACE, int(TRACE, 16)), (TRACE.upper(), None), ("0" * 32, None)])
def test_only_32_small_hexadecimal_digits_are_a_trace_id(text: str, trace_id: int | None) -> None:
    """Capitals and zeroes are words of the caller, not ids."""
    assert parse_trace_id(text) == trace_id


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("test-trace-123", True),
        ("a b", True),
        ("x" * 128, True),
        ("", False),
        (" a", False),
        ("a ", False),
        ("x" * 129, False),
        ("a\nb", False),
        ("é", False),
        ("\x1b[31m", False),
    ],
)
def test_a_client_trace_id_is_short_and_printable(text: str, is_kept: bool) -> None:
    """A caller's own word for its trace may not break a line, colour a terminal or fill a disk."""
    assert is_client_trace_id(text) is is_kept


def test_only_the_headers_that_identify_are_read() -> None:
    """Baggage is not among them, so that it cannot be passed on; repeated headers keep all their values."""
    headers = [(b"baggage", b"k=v"), (b"traceparent", b"1"), (b"host", b"a"), (b"traceparent", b"2")]

    assert read_identity(headers) == {b"traceparent": [b"1", b"2"]}
    assert read_identity(None) == {}


@pytest.fixture
def inside_a_span() -> Iterator[None]:
    """Make a span of a known trace current."""
    own = SpanContext(int(TRACE, 16), int(SPAN, 16), False, TraceFlags(1), TraceState([("rojo", "1")]))
    with use_span(NonRecordingSpan(own)):
        yield


REACHED = [
    ("http://api.example.com/x", True),
    ("https://API.Example.com:8443", True),
    ("http://a.b.inner.test/", True),
    ("http://user:x@api.example.com/", True),
    ("http://inner.test/", False),
    ("http://notinner.test/", False),
    ("http://example.com/", False),
    ("http://api.example.com.evil.test/", False),
    ("http://api.example.com@evil.test/", False),
    ("http://evil.test\\@api.example.com/", False),
    ("http://evil.test/?api.example.com", False),
    ("http://evil.test\t.inner.test/", False),
    ("http://[::1", False),
    ("/relative", False),
    ("", False),
]


@pytest.mark.usefixtures("inside_a_span")
@pytest.mark.parametrize(("url", "is_told"), REACHED)
def test_only_listed_hosts_are_told_about_the_trace(url: str, is_told: bool) -> None:
    """A listed name counts exactly, one with a dot before it counts for all below; tricks with the URL do not help."""
    headers = Propagation("api.example.com, .inner.test").headers(url)

    told = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "rojo=1"}
    assert headers == (told if is_told else {})


@pytest.mark.usefixtures("inside_a_span")
def test_without_a_list_nobody_is_told() -> None:
    """The default is that our traces are nobody's business."""
    assert Propagation("").headers("http://api.example.com/") == {}


def test_outside_of_a_trace_there_is_nothing_to_tell() -> None:
    """A call from start-up code has no trace context."""
    assert Propagation("api.example.com").headers("http://api.example.com/") == {}


@pytest.mark.usefixtures("inside_a_span")
def test_the_public_function_follows_the_settings() -> None:
    """``trace_headers`` asks the current telemetry, and is empty without one."""
    before = trace_headers("http://api.example.com/")
    recorder = Recorder(trace_propagate_hosts="api.example.com")

    inside = trace_headers("http://api.example.com/")

    recorder.telemetry.close()
    assert (before, set(inside)) == ({}, {"traceparent", "tracestate"})
