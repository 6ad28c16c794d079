"""`prethrift-backend health` as a process, against real sockets: answers of a server, and all that is none."""

from __future__ import annotations

import os
import re
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from threading import Event

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.health_process._processes import FOREVER_SECONDS, Steered
from tests.support.processes import LOOPBACK, free_port, wait_for

COMMAND = str(Path(sys.executable).with_name("prethrift-backend"))
BODY = b'{"status": "healthy", "checks": []}'
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


def _health(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [COMMAND, "health", *arguments]
    return subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=60
    )


@dataclass
class Stub:
    """A listener that answers each connection by a function, and keeps what was sent to it."""

    port: int
    received: list[bytes] = field(default_factory=list)


@contextmanager
def _stub(answer: Callable[[socket.socket], None], *, context: ssl.SSLContext | None = None) -> Iterator[Stub]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                connection: socket.socket = self.request
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                with connection:
                    stub.received.append(connection.recv(65536))
                    answer(connection)

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Handler) as server:
        server.daemon_threads = True
        stub = Stub(server.server_address[1])
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        try:
            yield stub
        finally:
            server.shutdown()


def _one_sentence(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert re.fullmatch(rf"prethrift-backend: {pattern}\n", done.stderr), done.stderr


@pytest.fixture
def steered(tmp_path: Path) -> Iterator[Steered]:
    """Start the small application, healthy."""
    steered = Steered(tmp_path, free_port(), drain_seconds=FOREVER_SECONDS)
    steered.set("start")
    with steered.process:
        steered.wait_for_all((200, None))
        yield steered


def test_the_status_follows_the_server(steered: Steered) -> None:
    """A healthy and a degraded server give 0, an unhealthy one 1 with its lines, and an ended one 2."""
    port = str(steered.site.port)
    healthy = _health(PORT=port)
    steered.set("s3-fails")
    wait_for(lambda: steered.site.get("/health").json()["status"] == "degraded", 30)
    degraded = _health(PORT=port)
    steered.set("database-fails")
    wait_for(lambda: steered.site.outcome("/health")[0] == 503, 30)
    unhealthy, live = _health(PORT=port), _health("--kind", "live", PORT=port)
    steered.process.stop()
    gone = _health(PORT=port)

    found = [healthy.returncode, degraded.returncode, unhealthy.returncode, live.returncode, gone.returncode]
    assert found == [0, 0, 1, 0, 2]
    assert unhealthy.stdout.startswith(f"unhealthy  http://127.0.0.1:{port}/health  1.0.0  development  up 0:00:0")
    assert [line.split()[:2] for line in unhealthy.stdout.splitlines()[1:]] == [
        ["unhealthy", "database"],
        ["unhealthy", "s3"],
    ]


def test_the_status_holds_where_nobody_reads_the_text(steered: Steered) -> None:
    """A reader that has gone, as in `... | head -0`, changes nothing about the status."""
    steered.set("database-fails")
    wait_for(lambda: steered.site.outcome("/health")[0] == 503, 30)
    reading, writing = os.pipe()
    os.close(reading)
    environ = {**os.environ, "PORT": str(steered.site.port)}
    done = subprocess.run([COMMAND, "health"], env=environ, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (1, b"")


def test_the_token_is_sent_to_the_address_alone() -> None:
    """HEALTH_TOKEN goes out as a bearer token; a redirect and a proxy of the environment are not followed."""
    with _stub(lambda connection: connection.sendall(GOOD)) as other:
        away = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:%d/health\r\ncontent-length: 0\r\n\r\n" % other.port
        with _stub(lambda connection: connection.sendall(away)) as stub:
            proxy = f"http://127.0.0.1:{other.port}"
            done = _health(f"http://127.0.0.1:{stub.port}", HEALTH_TOKEN="of-sixteen-chars", http_proxy=proxy)

    _one_sentence(done, r"http://127\.0\.0\.1:\d+/health answered 302, which no health endpoint does: .+")
    assert b"GET /health HTTP/1.1\r\n" in stub.received[0]
    assert b"Authorization: Bearer of-sixteen-chars\r\n" in stub.received[0]
    assert other.received == []


def test_a_port_where_nobody_listens() -> None:
    """A refused connection is said with what to look at."""
    _one_sentence(_health(PORT=str(free_port())), r"nothing listens at 127\.0\.0\.1:\d+: is the server started.+")


def test_a_host_that_is_not_known() -> None:
    """A name without an address is said; .invalid never has one (RFC 2606)."""
    _one_sentence(_health("http://shop.invalid"), r"(the host 'shop\.invalid' is not known: .+|.+ no answer within .+)")


@pytest.mark.parametrize("trickles", [False, True])
def test_a_server_that_hangs(trickles: bool) -> None:
    """The limit is one for the whole: a server that sends a byte now and then does not stretch it."""
    over = Event()

    def hang(connection: socket.socket) -> None:
        if trickles:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while not over.wait(0.05):
            if trickles:
                connection.sendall(b" ")

    with _stub(hang) as stub:
        done = _health(f"http://127.0.0.1:{stub.port}", "--timeout-seconds", "0.3")
        over.set()

    _one_sentence(done, r"127\.0\.0\.1:\d+ gave no answer within 0\.3 s: .+")


@pytest.mark.parametrize(
    ("answer", "pattern"),
    [
        (b"", r"127\.0\.0\.1:\d+ closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"what listens at 127\.0\.0\.1:\d+ does not answer in HTTP: .+"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", r"http://\S+/health answered 200 with .+ not JSON"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", r"http://\S+/health answered 200 with .+ not JSON"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            r"http://\S+/health answered 200 with JSON that does not .+",
        ),
    ],
    ids=["closed", "ssh", "text", "short", "json"],
)
def test_what_is_no_health_answer(answer: bytes, pattern: str) -> None:
    """Each thing that a wrong port may do is one sentence."""
    with _stub(lambda connection: connection.sendall(answer)) as stub:
        _one_sentence(_health(f"http://127.0.0.1:{stub.port}"), pattern)


def test_tls_where_none_is_spoken() -> None:
    """https:// to a plain port is said as such."""
    with _stub(lambda connection: connection.sendall(GOOD)) as stub:
        _one_sentence(_health(f"https://127.0.0.1:{stub.port}"), r"no TLS connection with 127\.0\.0\.1:\d+: .+")


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    """One of nobody's is refused with the reason; with SSL_CERT_FILE it is taken."""
    certificate = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _stub(lambda connection: connection.sendall(GOOD), context=context) as stub:
        url = f"https://127.0.0.1:{stub.port}"
        refused, taken = _health(url), _health(url, SSL_CERT_FILE=str(certificate))

    _one_sentence(refused, r"no TLS connection with 127\.0\.0\.1:\d+: self.signed certificate; .+")
    assert (taken.returncode, taken.stdout) == (0, f"healthy  {url}/health\n")


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(LOOPBACK))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


def test_no_server_library_is_loaded() -> None:
    """The command imports the standard library and two modules of its own, so that a container can start it often."""
    code = "import sys; from prethrift_backend.cli import main; main(['health'])"
    environ = {**os.environ, "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], env=environ, capture_output=True, text=True, check=False
    )
    loaded = set(re.findall(r"^import time:.*\| +(\S+)$", done.stderr, re.MULTILINE))

    ours = {name for name in loaded if name.startswith("prethrift_backend")}
    assert ours == {
        "prethrift_backend",
        "prethrift_backend.cli",
        "prethrift_backend.exceptions",
        "prethrift_backend.probe",
    }
    assert {"http.client"} <= loaded
    assert not loaded & {"fastapi", "uvicorn", "pydantic", "structlog", "starlette", "orjson", "numpy", "dotenv"}
