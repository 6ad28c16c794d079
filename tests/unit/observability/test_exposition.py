"""The scrape: formats by Accept, and the endpoint that serves them."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector
from tests.support.crowds import crowded_metrics
from tests.support.waiting import wait_for_async

from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability.exposition import MetricsEndpoint, render
from prethrift_backend.observability.metrics import MetricSet

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus 2 and 3 send.
PROMETHEUS_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"  # noqa: E501 - a header is one line
PROMETHEUS_3 = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"  # noqa: E501 - a header is one line

EMPTY = CollectorRegistry()


@dataclass(frozen=True)
class Answer:
    """What an ASGI application sent."""

    status: int
    headers: dict[str, str]
    body: bytes


async def _ask(app: MetricsEndpoint, method: str = "GET", *headers: tuple[bytes, bytes]) -> Answer:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError("a scrape has no body to read")

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app({"type": "http", "method": method, "path": "/metrics", "headers": list(headers)}, receive, send)
    start, body = sent
    assert (start["type"], body["type"]) == ("http.response.start", "http.response.body")
    return Answer(start["status"], {key.decode(): value.decode() for key, value in start["headers"]}, body["body"])


def _openmetrics(body: str) -> list[Metric]:
    return list(parse_openmetrics(body))  # type: ignore[no-untyped-call]  # published without types


@pytest.fixture
def metrics() -> MetricSet:
    """Return the families of the shipped contract with one observation that has an exemplar."""
    metrics = MetricSet(load_metrics(), strict=True)
    child = metrics.histogram("http_request_duration_seconds").labels(method="GET", endpoint="/x")
    child.observe(0.2, {"trace_id": "a" * 32})
    return metrics


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/*", TEXT),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", TEXT),
        ("application/json", TEXT),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ("Application/OpenMetrics-Text; Version=1.0.0", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text; q=0.2; version=1.0.0, text/plain; q=0.1", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; q=0.2, text/plain; q=0.3", TEXT),
        ("application/openmetrics-text; q=0.2; version=1.0.0, text/plain; version=0.0.4; q=0.3", TEXT),
        ("application/openmetrics-text; charset=utf-8; version=1.0.0; q=0.5, */*; q=0.1", OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text; version=0.0.1", TEXT),
        ("application/openmetrics-text; q=0, */*", TEXT),
        ("application/openmetrics-text; q=0", TEXT),
        ("text/plain; q=0, */*; q=0.1", OPENMETRICS),
        ("*/*; q=0.9, text/plain; q=0.1", OPENMETRICS),
        ("application/*", OPENMETRICS),
        ("text/plain, application/openmetrics-text", TEXT),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("text/plain; q=0", TEXT),
        ("application/openmetrics-text; q=nan, text/plain; q=0.1", TEXT),
        ("application/openmetrics-text; q=2", TEXT),
        ("application/openmetrics-text; q=", TEXT),
        ("\xff\xfe;;;=,,;q=1,\x00", TEXT),
    ],
)
def test_format_follows_accept(accept: str, expected: str) -> None:
    """Quality decides, then the more specific range, then the first; without a wish it is text."""
    assert render(EMPTY, accept).content_type == expected


def test_openmetrics_body_has_exemplars_and_an_end(metrics: MetricSet) -> None:
    """The OpenMetrics body is read by its own parser and carries the trace id."""
    body = render(metrics.registry, PROMETHEUS_3).body.decode()

    families = {family.name: family for family in _openmetrics(body)}

    assert body.endswith("# EOF\n")
    exemplars = [sample.exemplar for sample in families["http_request_duration_seconds"].samples if sample.exemplar]
    assert [exemplar.labels for exemplar in exemplars] == [{"trace_id": "a" * 32}]


def test_both_formats_hold_the_same_families(metrics: MetricSet) -> None:
    """Whoever scrapes in whichever format sees the same names and types."""
    text = {(family.name, family.type) for family in parse_text(render(metrics.registry, "").body.decode())}
    openmetrics = _openmetrics(render(metrics.registry, "application/openmetrics-text").body.decode())

    assert text == {(family.name, family.type) for family in openmetrics}


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(), st.text(alphabet='atext/plinomrcs-;=,*"q0.1 v\xff', max_size=80).map(lambda t: t.encode("latin-1"))
    )
)
def test_no_accept_header_is_an_error(accept: bytes) -> None:
    """Any bytes in the headers give one of the two formats."""
    headers = ((b"accept", accept), (b"accept-encoding", accept))

    answer = asyncio.run(_ask(MetricsEndpoint(EMPTY), "GET", *headers))

    assert answer.status == 200
    assert answer.headers["content-type"] in (TEXT, OPENMETRICS)


async def test_get_answers_with_the_exposition(metrics: MetricSet) -> None:
    """GET has the body, its length and no permission to keep it."""
    answer = await _ask(MetricsEndpoint(metrics.registry))

    assert answer.status == 200
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert b"http_request_duration_seconds_count" in answer.body


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    """HEAD tells the length that GET would have, as long as no value changes between the two."""
    still = CollectorRegistry()
    Gauge("still", "A value that stays.", registry=still).set(1)
    endpoint = MetricsEndpoint(still)
    get = await _ask(endpoint)

    head = await _ask(endpoint, "HEAD")

    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "get"])
async def test_other_methods_are_refused(method: str) -> None:
    """Anything but GET and HEAD is 405 with the allowed methods."""
    answer = await _ask(MetricsEndpoint(EMPTY), method)

    assert (answer.status, answer.body) == (405, b"")
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.headers["content-length"] == "0"


@pytest.mark.parametrize("header", [b"gzip", b"deflate, gzip;q=0.5", b"*", b"GZIP", b"x-gzip"])
async def test_larger_body_is_compressed_when_wanted(metrics: MetricSet, header: bytes) -> None:
    """A client that takes gzip gets it, with the length of what is sent."""
    answer = await _ask(MetricsEndpoint(metrics.registry), "GET", (b"Accept-Encoding", header))

    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-length"] == str(len(answer.body))
    assert b"http_request_duration_seconds_count" in gzip.decompress(answer.body)


@pytest.mark.parametrize("header", [b"", b"identity", b"gzip;q=0", b"gzip;q=0, *", b"br", b"*;q=0", b"gzip;q=high"])
async def test_body_is_not_compressed_unasked(metrics: MetricSet, header: bytes) -> None:
    """A client that does not take gzip gets plain bytes."""
    answer = await _ask(MetricsEndpoint(metrics.registry), "GET", (b"accept-encoding", header))

    assert "content-encoding" not in answer.headers


async def test_small_body_is_not_compressed() -> None:
    """Below a packet's size compression gains nothing."""
    answer = await _ask(MetricsEndpoint(EMPTY), "GET", (b"accept-encoding", b"gzip"))

    assert "content-encoding" not in answer.headers


async def test_several_accept_headers_are_one_list() -> None:
    """A header that comes twice is read as one."""
    headers = ((b"accept", b"text/plain;q=0.1"), (b"accept", b"application/openmetrics-text"))

    answer = await _ask(MetricsEndpoint(EMPTY), "GET", *headers)

    assert answer.headers["content-type"] == OPENMETRICS


class _Slow(Collector):
    """A collector that does not finish before the event loop has had its turn."""

    def __init__(self) -> None:
        self.turn = threading.Event()
        self.was_free = False

    def collect(self) -> Iterator[Metric]:
        self.was_free = self.turn.wait(timeout=30)
        yield Metric("slow", "Slow.", "gauge")


async def test_scrape_does_not_hold_the_event_loop() -> None:
    """While a collector waits, the loop runs other work: the collector waits for exactly that."""
    slow, registry = _Slow(), CollectorRegistry()
    registry.register(slow)
    asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(slow.turn.set))

    await _ask(MetricsEndpoint(registry))

    assert slow.was_free


async def test_large_body_comes_in_pieces() -> None:
    """A body of megabytes is given to the server piece by piece, and is whole in the end."""
    metrics, sent = crowded_metrics(10_000), []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/metrics", "headers": []}
    await MetricsEndpoint(metrics.registry)(scope, _unused, send)

    start, *bodies = sent
    assert len(bodies) > 2
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    assert dict(start["headers"])[b"content-length"] == str(sum(len(message["body"]) for message in bodies)).encode()


class _Counted(Collector):
    """A collector that counts how often it is asked and how many ask at once, and waits until it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.begun = threading.Event()
        self.times = 0
        self.at_once = 0
        self.most_at_once = 0

    def collect(self) -> Iterator[Metric]:
        self.times += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.begun.set()
        self.free.wait(timeout=30)
        self.at_once -= 1
        metric = Metric("times", "Times.", "gauge")
        metric.add_sample("times", {}, self.times)
        yield metric


@pytest.fixture
def counted() -> tuple[_Counted, MetricsEndpoint]:
    """Return a collector that waits, and an endpoint that serves it."""
    collector, registry = _Counted(), CollectorRegistry()
    registry.register(collector)
    return collector, MetricsEndpoint(registry)


async def test_ten_scrapers_take_one_thread(counted: tuple[_Counted, MetricsEndpoint]) -> None:
    """While one rendering is under way, all others wait for the next one and share it."""
    collector, endpoint = counted
    first = asyncio.create_task(_ask(endpoint))
    await wait_for_async(collector.begun.is_set, 10)

    others = [asyncio.create_task(_ask(endpoint)) for _ in range(9)]
    await asyncio.sleep(0)  # they are all waiting now
    collector.free.set()
    answers = await asyncio.gather(first, *others)

    assert (collector.times, collector.most_at_once) == (2, 1)
    assert [answer.body.splitlines()[-1] for answer in answers] == [b"times 1.0"] + [b"times 2.0"] * 9


async def test_formats_wait_for_each_other_and_share_nothing(counted: tuple[_Counted, MetricsEndpoint]) -> None:
    """Two scrapers that want different formats are answered one after the other, each in its own."""
    collector, endpoint = counted
    tasks = [
        asyncio.create_task(_ask(endpoint)),
        asyncio.create_task(_ask(endpoint, "GET", (b"accept", b"application/openmetrics-text"))),
    ]
    await wait_for_async(collector.begun.is_set, 10)
    collector.free.set()

    answers = await asyncio.gather(*tasks)

    assert [answer.headers["content-type"] for answer in answers] == [TEXT, OPENMETRICS]
    assert (collector.times, collector.most_at_once) == (2, 1)


async def test_scraper_that_goes_away_takes_nothing_from_the_others(counted: tuple[_Counted, MetricsEndpoint]) -> None:
    """The one who asked first is cancelled; those who share its rendering are answered."""
    collector, endpoint = counted
    under_way = asyncio.create_task(_ask(endpoint))
    await wait_for_async(collector.begun.is_set, 10)
    impatient, patient = (asyncio.create_task(_ask(endpoint)) for _ in range(2))
    await asyncio.sleep(0)

    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    collector.free.set()

    assert (await patient).status == 200
    assert (await under_way).status == 200


async def test_failing_collector_fails_each_scrape_and_not_the_next() -> None:
    """A collector of other people that raises reaches whoever scrapes; once it works, so does the scrape."""
    registry = CollectorRegistry()

    class Broken(Collector):
        works = False

        def collect(self) -> Iterator[Metric]:
            if not self.works:
                raise RuntimeError("broken")
            yield Metric("whole", "Whole.", "gauge")

    broken = Broken()
    registry.register(broken)
    endpoint = MetricsEndpoint(registry)

    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            await _ask(endpoint)
    broken.works = True

    assert (await _ask(endpoint)).status == 200


def test_endpoint_serves_one_event_loop_after_another(metrics: MetricSet) -> None:
    """A test client makes a loop for each request: none of them finds something of an earlier one."""
    endpoint = MetricsEndpoint(metrics.registry)

    async def ask_at_once() -> list[Answer]:
        return list(await asyncio.gather(*(_ask(endpoint) for _ in range(3))))

    statuses = [[answer.status for answer in asyncio.run(ask_at_once())] for _ in range(3)]

    assert statuses == [[200] * 3] * 3


SECRET = "a-token-of-some-length"


@pytest.mark.parametrize(
    "authorization",
    [f"Bearer {SECRET}", f"bearer {SECRET}", f"BEARER  {SECRET} "],
)
async def test_token_opens_the_metrics(metrics: MetricSet, authorization: str) -> None:
    """Whoever sends the token is served; the scheme may be written in any case."""
    endpoint = MetricsEndpoint(metrics.registry, token=SECRET)

    answer = await _ask(endpoint, "GET", (b"Authorization", authorization.encode()))

    assert answer.status == 200
    assert b"http_request_duration_seconds_count" in answer.body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer wrong",
        SECRET.encode(),
        f"Basic {SECRET}".encode(),
        f"Bearer {SECRET[:-1]}".encode(),
        f"Bearer {SECRET}x".encode(),
        f"Bearer {SECRET}, Bearer {SECRET}".encode(),
        "Bearer ÿþ".encode("latin-1"),
    ],
)
async def test_without_the_token_there_is_nothing(metrics: MetricSet, method: str, authorization: bytes | None) -> None:
    """Anything else is 401, says what is wanted, and shows no metric and no part of the token."""
    endpoint = MetricsEndpoint(metrics.registry, token=SECRET)
    headers = () if authorization is None else ((b"authorization", authorization),)

    answer = await _ask(endpoint, method, *headers)

    assert answer.status == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="metrics"'
    assert int(answer.headers["content-length"]) > 0
    assert answer.body == b"" if method == "HEAD" else b"Authorization: Bearer" in answer.body
    assert SECRET not in str(answer)


async def test_without_a_token_anybody_is_served(metrics: MetricSet) -> None:
    """Where no token is set, an Authorization header does not matter."""
    answer = await _ask(MetricsEndpoint(metrics.registry), "GET", (b"authorization", b"Bearer anything"))

    assert answer.status == 200


async def _unused(*_: object) -> Any:
    raise AssertionError("nothing is received or sent")


async def test_websocket_is_refused() -> None:
    """A scope that is not HTTP is a mistake of whoever mounted the endpoint."""
    with pytest.raises(ValueError, match="scope type 'websocket' is not served"):
        await MetricsEndpoint(EMPTY)({"type": "websocket"}, _unused, _unused)
