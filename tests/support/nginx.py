"""The nginx of ops/nginx on loopback: its own configuration, with its address and its replicas put in place.

Where nginx is missing is decided as for Prometheus: in CI the tests fail, elsewhere they are left out with a note.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.prometheus import PrometheusDecision

OPS = Path(__file__).parents[2] / "ops" / "nginx"
START_SECONDS = 30.0
RELOAD_SECONDS = 10.0
# Debian has it where only root looks.
_SEARCHED_AS_WELL = ("/usr/sbin", "/usr/local/sbin")
_SERVER = re.compile(r"^ *server .*;$", re.MULTILINE)
_LISTEN = "listen 8080;"
_ACCESS_LOG = "access_log /dev/stdout json;"


def find_nginx() -> str | None:
    """Return the path of the command, None where there is none."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", os.defpath), *_SEARCHED_AS_WELL)))


def decide_nginx(*, required: bool, find: Callable[[], str | None] = find_nginx) -> PrometheusDecision:
    """Choose from what the machine has and whether the tests are required."""
    if find() is not None:
        return PrometheusDecision(is_collected=True)
    if required:
        failure = "there is no nginx, and CI allows no run without it: run `scripts/ci-tools` as root"
        return PrometheusDecision(is_collected=True, failure=failure)
    note = "the tests on a real nginx were left out: there is none (the Debian package nginx-light brings it)"
    return PrometheusDecision(is_collected=False, note=note)


class Nginx:
    """An nginx in front of some replicas; used as a context manager: leaving the block ends it.

    with Nginx(folder) as nginx:
        nginx.route_to(["127.0.0.1:8001", "127.0.0.1:8002"])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.access_log = folder / "access.log"
        self._targets: tuple[str, ...] = ()
        self._write()
        self.process = ServerProcess(self._command(), directory=folder)

    def __enter__(self) -> Self:
        self.check()
        self.process.start()
        self.process.wait_for_http(self.url, START_SECONDS, accept=lambda _: True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where clients ask."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def targets(self) -> tuple[str, ...]:
        """The replicas (host:port) that it sends requests to."""
        return self._targets

    def check(self) -> None:
        """Have nginx read its configuration, and raise with what it says of it where it refuses it."""
        done = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False, timeout=30)
        if done.returncode:
            raise AssertionError(f"nginx refuses its configuration: {done.stderr}")

    def route_to(self, targets: Iterable[str]) -> None:
        """Send requests to these replicas (host:port) and no others; returns when no new request goes elsewhere."""
        self._targets = tuple(targets)
        self._write_upstream()
        before = self._workers()
        subprocess.run([*self._command(), "-s", "reload"], capture_output=True, check=True, timeout=30)
        # The old workers take connections until a moment after the new ones have come.
        self.process.wait_for(lambda: self._workers() - before, RELOAD_SECONDS, what="new workers of nginx")
        self.process.wait_for(lambda: all(map(_is_leaving, before)), RELOAD_SECONDS, what="the end of the old workers")

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of its access log so far, parsed."""
        text = self.access_log.read_text() if self.access_log.exists() else ""
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    def _workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def _command(self) -> list[str]:
        # The master drops to another user's rights for its workers, who could not read a test's folder.
        user = "user root; " if os.geteuid() == 0 else ""
        globals_ = f"{user}daemon off; pid {self.folder / 'nginx.pid'};"
        configuration = str(self.folder / "nginx.conf")
        return [find_nginx() or "nginx", "-p", f"{self.folder}/", "-c", configuration, "-e", "stderr", "-g", globals_]

    def _write(self) -> None:
        text = (OPS / "nginx.conf").read_text()
        text = _replaced(text, _LISTEN, f"listen {LOOPBACK}:{self.port};")
        text = _replaced(text, _ACCESS_LOG, f"access_log {self.access_log} json;")
        (self.folder / "nginx.conf").write_text(text)
        self._write_upstream()

    def _write_upstream(self) -> None:
        text = (OPS / "upstream.conf").read_text()
        [line] = _SERVER.findall(text)
        # nginx refuses to have no server at all; one that is down is its way to say so.
        lines = [line.replace("127.0.0.1:8000", target) for target in self._targets] or [
            f"    server {LOOPBACK}:1 down;"
        ]
        (self.folder / "upstream.conf").write_text(_replaced(text, line, "\n".join(lines)))


def _is_leaving(pid: int) -> bool:
    try:
        title = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return not title or b"shutting down" in title  # without a title it has ended, and its parent has not noticed yet


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise AssertionError(f"{old!r} stands {text.count(old)} times in the file of ops/nginx, which has it once")
    return text.replace(old, new)
