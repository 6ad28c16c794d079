"""A real S3 server over HTTP for tests: moto's, in a process of its own.

Not in a thread: it would share the interpreter's lock with the code under test, and tests measure how long that code
holds its event loop.
"""

import contextlib
import sys
import uuid
from collections.abc import Iterator

import httpx
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

START_SECONDS = 60.0  # seen: 2; the import of moto on a machine that is busy with other things takes longer
REGION = "eu-central-1"


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Run the server on a port of its own; yield its endpoint, `http://127.0.0.1:PORT`."""
    port = free_port()
    endpoint = f"http://{LOOPBACK}:{port}"
    with ServerProcess([sys.executable, "-m", "moto.server", "-H", LOOPBACK, "-p", str(port)]) as process:
        process.wait_for_http(f"{endpoint}/moto-api/", START_SECONDS, accept=lambda answer: answer.status_code == 200)
        yield endpoint


@contextlib.contextmanager
def fresh_bucket(endpoint: str) -> Iterator[str]:
    """Create a bucket with a name of its own and yield the name; it is gone when the server is."""
    name = f"test-{uuid.uuid4().hex}"
    place = f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    with httpx.Client(trust_env=False, timeout=30.0) as client:
        client.put(f"{endpoint}/{name}", content=place).raise_for_status()
    yield name
