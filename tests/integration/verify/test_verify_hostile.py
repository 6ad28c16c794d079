"""`contracts verify` on addresses where no service is, or one that does not play fair."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.recorded_service import CONTRACTS
from tests.support.verify_targets import ROOT, SHOP_OPTIONS, START_SECONDS, verify
from tests.support.waiting import PAUSE_SECONDS

from prethrift_backend.verify.inject.wire import SocketWire, WireRequest
from prethrift_backend.verify.live.client import LiveClient, LiveLimits, LiveUsageError, UnreachableError, checked_url

OPENSSL = shutil.which("openssl") or ""
LIMITS = LiveLimits(timeout_seconds=0.3)


@contextmanager
def _served(pieces: Callable[[], Iterator[bytes]]) -> Iterator[str]:
    """Send pieces to whoever connects, slowly; yield the address."""
    ended = Event()

    def send(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            for piece in pieces():
                connection.sendall(piece)
                if ended.wait(PAUSE_SECONDS):
                    return
            ended.wait()

    def accept() -> None:
        with suppress(OSError):
            while True:
                thread = Thread(target=send, args=(listener.accept()[0],))
                thread.start()
                senders.append(thread)

    senders: list[Thread] = []
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = Thread(target=accept)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for sender in senders:
                sender.join()


def _nothing() -> Iterator[bytes]:
    yield b""


def _greeting() -> Iterator[bytes]:
    yield b"SSH-2.0-OpenSSH_9.9\r\n"


def _endless_head() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"x"


def _endless_patience() -> Iterator[bytes]:
    while True:
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def _endless_body() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n"
    while True:
        yield b"#"


SERVED = [_nothing, _greeting, _endless_head, _endless_patience, _endless_body]


@pytest.mark.parametrize("pieces", SERVED)
def test_nobody_holds_a_request_longer_than_its_time(pieces: Callable[[], Iterator[bytes]]) -> None:
    """The time is that of the whole request, however the server spreads what it sends over it."""
    with _served(pieces) as url:
        client = LiveClient(url, LIMITS)
        try:
            with pytest.raises(UnreachableError, match=r"longer than 0\.3 s"):
                client.ask("/metrics")
        finally:
            client.close()


@pytest.mark.parametrize("pieces", SERVED)
def test_nobody_holds_a_bad_client_longer_than_its_time(pieces: Callable[[], Iterator[bytes]]) -> None:
    """The wire of injections keeps to the time as well."""
    with _served(pieces) as url:
        assert SocketWire(url, 0.3).exchange(WireRequest("/metrics")).status is None


def test_a_wire_without_a_server_has_no_answers() -> None:
    """A service that dies while it is treated badly is a finding, and ends no run."""
    wire = SocketWire(f"http://{LOOPBACK}:{free_port()}", 0.3)
    looks: list[None] = []

    answers = wire.slowly([WireRequest("/")] * 2, lambda: looks.append(None))

    assert [answer.status for answer in answers] == [None, None]
    assert looks == [None]


@pytest.mark.parametrize("pieces", [_nothing, _greeting])
def test_a_port_that_is_no_service_is_inconclusive(pieces: Callable[[], Iterator[bytes]]) -> None:
    """Never verified, never violated: nothing was observed."""
    with _served(pieces) as url:
        done = verify(url, "--timeout", "0.3")

    assert done.returncode == 3
    assert "nothing was observed" in done.stdout


def test_a_closed_port_is_inconclusive() -> None:
    """The report names the address and the reason."""
    address = f"http://{LOOPBACK}:{free_port()}"

    done = verify(address)

    assert done.returncode == 3
    assert f"GET {address}/metrics had no answer" in done.stdout


def test_a_name_that_cannot_be_looked_up_is_wrong_usage() -> None:
    """A part of a name has 63 characters at most."""
    with pytest.raises(LiveUsageError, match="URL"):
        checked_url(f"http://{'a' * 70}.example")


@pytest.mark.skipif(not OPENSSL, reason="no openssl, which makes the certificate")
def test_a_certificate_of_nobody_is_inconclusive_until_it_is_trusted(tmp_path: Path) -> None:
    """An authority of one's own is given as everywhere, in SSL_CERT_FILE."""
    certificate, key = _certificate(tmp_path)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.support.foreign_shop.app:app", "--port", str(port)]
    command += ["--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)]
    with ServerProcess(command, environ={**os.environ}, directory=ROOT) as process:
        process.wait_for(lambda: _listens(port), START_SECONDS)
        stranger = verify(f"https://localhost:{port}", *SHOP_OPTIONS)
        trusted = verify(f"https://localhost:{port}", *SHOP_OPTIONS, "--inject", SSL_CERT_FILE=str(certificate))

    assert stranger.returncode == 3
    assert "certificate verify failed" in stranger.stdout
    assert trusted.returncode == 0, trusted.stdout


def _listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 60 -subj /CN=localhost"
    files = ["-addext", "subjectAltName=DNS:localhost", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([OPENSSL, *words.split(), *files], check=True, capture_output=True)
    return certificate, key


def test_an_address_is_asked_without_loading_the_backend(tmp_path: Path) -> None:
    """Nor is the grammar of formats loaded where the contracts have no schema: a check by cron begins at once."""
    (tmp_path / "metrics.txt").write_text((CONTRACTS / "metrics.txt").read_text())
    arguments = ["contracts", "verify", f"http://{LOOPBACK}:{free_port()}", "--contracts", str(tmp_path)]
    code = (
        "import sys\nfrom prethrift_backend.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: print(sorted({'prethrift_backend.main', 'jsonschema'} & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
