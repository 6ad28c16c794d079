"""The configuration of ops/nginx in a real nginx: what it passes on, what it keeps to itself, whom it asks again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.support.nginx import OPS, Nginx
from tests.support.ports import LOOPBACK, free_port
from tests.support.upstreams import Upstream, running_upstream
from tests.support.waiting import wait_for

from prethrift_backend.catalogue import MAX_PICTURE_BYTES
from prethrift_backend.main import _MAX_BODY_BYTES
from prethrift_backend.server.http import KEEP_ALIVE_SECONDS

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def replica(nginx: Nginx) -> Iterator[Upstream]:
    """Run one replica that answers, and send requests to it."""
    with running_upstream() as upstream:
        nginx.route_to([upstream.address])
        yield upstream


def _ask(nginx: Nginx, path: str = "/api/search", method: str = "GET", **options: object) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        return client.request(method, f"{nginx.url}{path}", **options)  # type: ignore[arg-type]  # httpx's own options


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/ready", "/health/checks/database"])
def test_what_the_process_says_of_itself_is_not_shown_outside(nginx: Nginx, replica: Upstream, path: str) -> None:
    """Health and metrics are 404 on the way in, and no replica is asked."""
    assert _ask(nginx, path).status_code == 404
    assert replica.asked == []


def test_ids_that_the_backend_would_take_are_passed_on(nginx: Nginx, replica: Upstream) -> None:
    """A client's request id and trace reach the replica as they came."""
    _ask(nginx, headers={"X-Request-ID": "checkout-7.a_b", "traceparent": TRACEPARENT, "X-Trace-Id": "test-trace-123"})

    [(_, _, headers)] = replica.asked
    assert headers["x-request-id"] == "checkout-7.a_b"
    assert headers["traceparent"] == TRACEPARENT
    assert headers["x-trace-id"] == "test-trace-123"


@pytest.mark.parametrize("given", [None, "two words", "x" * 129, '"}'])
def test_any_other_request_id_becomes_one_of_nginx(nginx: Nginx, replica: Upstream, given: str | None) -> None:
    """The replica and the access log have the same id, of 32 hexadecimal digits."""
    _ask(nginx, headers={} if given is None else {"X-Request-ID": given})

    [(_, _, headers)] = replica.asked
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])
    assert "traceparent" not in headers
    assert _line(nginx, "/api/search")["request_id"] == headers["x-request-id"]


def test_the_clients_address_is_what_the_balancer_says(nginx: Nginx, replica: Upstream) -> None:
    """What a client has put in front of it is not believed, and does not reach the replica."""
    _ask(nginx, headers={"X-Forwarded-For": "198.51.100.66, 203.0.113.9"})

    [(_, _, headers)] = replica.asked
    assert headers["x-forwarded-for"] == "203.0.113.9"
    assert _line(nginx, "/api/search")["client_address"] == "203.0.113.9"


def test_the_access_log_tells_a_request_without_its_query(nginx: Nginx, replica: Upstream) -> None:
    """One line of JSON: ids, path, statuses, times, replica; what was searched for is not in it."""
    _ask(nginx, "/api/search?q=private+matters", headers={"User-Agent": 'a "quoted" one'})

    line = _line(nginx, "/api/search")
    assert (line["status"], line["upstream"], line["upstream_status"]) == (200, replica.address, "200")
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["duration_seconds"] >= 0
    assert "private" not in nginx.access_log.read_text()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/api/search", 200), ("POST", "/api/search/visual", 200), ("POST", "/api/items", 502)],
)
def test_only_what_may_be_sent_twice_is_sent_twice(nginx: Nginx, method: str, path: str, status: int) -> None:
    """Where a replica breaks the connection, another one is asked, but not to take an item in a second time."""
    with running_upstream(breaks=True) as broken, running_upstream() as sound:
        nginx.route_to([broken.address, sound.address])

        statuses = [_ask(nginx, path, method, content=b"x" if method == "POST" else None).status_code for _ in range(2)]

    assert len(broken.asked) == 1
    assert sorted(statuses) == [200, status]


def test_a_replica_that_is_gone_costs_no_request(nginx: Nginx) -> None:
    """Where no connection came about nothing was sent: every request is asked of the other replica."""
    with running_upstream() as sound:
        nginx.route_to([f"{LOOPBACK}:{free_port()}", sound.address])

        statuses = {_ask(nginx, "/api/items", "POST", content=b"x").status_code for _ in range(6)}

    assert statuses == {200}


def test_without_replicas_the_client_gets_a_problem_document(nginx: Nginx) -> None:
    """It says what is wrong, when to try again, and which request it was."""
    answer = _ask(nginx, headers={"X-Request-ID": "checkout-7"})

    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["x-request-id"] == "checkout-7"
    assert answer.json()["status"] == 502


def test_a_picture_of_the_largest_size_passes(nginx: Nginx, replica: Upstream) -> None:
    """The backend's own limit is the one that a client meets, and says why; what is far above it stops at nginx."""
    picture = b"x" * _MAX_BODY_BYTES

    assert _ask(nginx, "/api/search/visual", "POST", content=picture + b"x").status_code == 200
    assert _ask(nginx, "/api/search/visual", "POST", content=picture * 2).status_code == 413
    assert replica.body_bytes == [_MAX_BODY_BYTES + 1]
    assert _MAX_BODY_BYTES > MAX_PICTURE_BYTES


def test_nginx_lets_go_of_an_idle_connection_before_the_backend_does() -> None:
    """Otherwise a request could be sent into a connection that is being closed."""
    [seconds] = re.findall(r"keepalive_timeout (\d+)s;", (OPS / "upstream.conf").read_text())

    assert int(seconds) < KEEP_ALIVE_SECONDS


def test_replicas_change_without_a_lost_request(nginx: Nginx) -> None:
    """After a change of the upstreams the new ones are asked, and the address that clients use stays."""
    with running_upstream() as first, running_upstream() as second:
        nginx.route_to([first.address])
        _ask(nginx)
        nginx.route_to([second.address])
        _ask(nginx)

        assert (len(first.asked), len(second.asked)) == (1, 1)


def _line(nginx: Nginx, path: str) -> dict[str, Any]:
    """Return the line of the one request for a path."""
    wait_for(lambda: any(line["path"] == path for line in nginx.log_lines()), 5.0, what="the line in the access log")
    [line] = [line for line in nginx.log_lines() if line["path"] == path]
    return line
