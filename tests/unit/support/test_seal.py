"""The seal on the network, and the environment, of unit tests."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest
from tests.conftest import HERE, is_sealed
from tests.support.environment import leaking_names
from tests.support.ports import free_port
from tests.support.seal import NetworkSeal, NetworkSealedError


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_connecting_is_refused(network: NetworkSeal, family: socket.AddressFamily) -> None:
    """A unit test that connects a socket gets a sentence, and the attempt is kept."""
    with socket.socket(family) as client, pytest.raises(NetworkSealedError, match="a unit test may open no socket"):
        client.connect(("127.0.0.1" if family == socket.AF_INET else "::1", 9))

    assert len(network.attempts) == 1
    network.attempts.clear()


def test_binding_is_refused(network: NetworkSeal) -> None:
    """A unit test that opens a port gets the same, through any helper."""
    with pytest.raises(NetworkSealedError, match=r"socket\.bind"):
        free_port()

    network.attempts.clear()


def test_asking_for_an_address_is_refused(network: NetworkSeal) -> None:
    """A unit test may not ask the resolver, which is a network of its own."""
    with pytest.raises(NetworkSealedError, match=r"socket\.getaddrinfo"):
        socket.getaddrinfo("localhost", 80)

    network.attempts.clear()


async def test_a_connection_of_asyncio_is_refused(network: NetworkSeal) -> None:
    """The event loop's own connections are seen as well."""
    with pytest.raises(NetworkSealedError):
        await asyncio.open_connection("127.0.0.1", 9)

    network.attempts.clear()


def test_an_attempt_is_kept_even_if_its_error_is_swallowed(network: NetworkSeal) -> None:
    """Code that hides every error still leaves a trace, with which the test is failed at its end."""
    with contextlib.suppress(BaseException):
        free_port()

    assert network.attempts
    network.attempts.clear()


def test_local_sockets_are_allowed(network: NetworkSeal) -> None:
    """A pair of local sockets, which every event loop has, is no network."""
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b"x")

        assert right.recv(1) == b"x"
    assert network.attempts == []


@pytest.mark.parametrize(
    ("path", "sealed"),
    [
        ("unit/config/test_settings.py", True),
        ("fuzz/test_api.py", False),
        ("test_something.py", True),
        ("unit/integration/test_trap.py", True),
        ("integration/stores/test_postgres.py", False),
        ("perf/test_recall.py", False),
    ],
)
def test_the_seal_is_off_for_real_parts_alone(path: str, sealed: bool) -> None:
    """Only the top folders fuzz, integration and perf may touch the network."""
    assert is_sealed(HERE / path) is sealed


def test_the_users_environment_is_taken_away() -> None:
    """Settings of ours in any case, and those of the libraries below, are found; the rest is left."""
    names = ["PATH", "HOME", "database_url", "LOG_LEVEL", "OTEL_SERVICE_NAME", "AWS_PROFILE", "PGHOST"]

    leaking = leaking_names(names, ["database_url", "log_level"])

    assert leaking == ["AWS_PROFILE", "LOG_LEVEL", "OTEL_SERVICE_NAME", "PGHOST", "database_url"]


def test_no_real_account_is_in_reach() -> None:
    """The AWS libraries find credentials that open nothing, and none of the user's files."""
    assert os.environ["AWS_ACCESS_KEY_ID"] == "testing"
    assert os.environ["AWS_SHARED_CREDENTIALS_FILE"] == "/dev/null"


def test_the_working_directory_is_empty() -> None:
    """Tests run where no `.env` lies."""
    assert list(Path.cwd().iterdir()) == []
