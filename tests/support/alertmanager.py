"""A real Alertmanager for the tests that need one; where it is missing is decided with Prometheus."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import LOOPBACK, ServerProcess, free_port

START_SECONDS = 60.0

CONFIGURATION = """\
route:
  receiver: mailbox
  routes:
    - receiver: pager
      matchers: ['severity="page"']
    - receiver: tickets
      matchers: ['severity=~"ticket|info"']
receivers:
  - name: mailbox
  - name: pager
    webhook_configs: [{url: "http://127.0.0.1:9/"}]
  - name: tickets
    webhook_configs: [{url: "http://127.0.0.1:9/"}]
"""


class AlertmanagerServer:
    """An Alertmanager on loopback, alone; used as a context manager: leaving the block ends it."""

    def __init__(self, folder: Path, configuration: str = CONFIGURATION) -> None:
        self.address = f"{LOOPBACK}:{free_port()}"
        self.url = f"http://{self.address}"
        path = folder / "alertmanager.yml"
        path.write_text(configuration)
        self.process = ServerProcess(
            [
                "prometheus-alertmanager",
                f"--config.file={path}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={self.address}",
                "--cluster.listen-address=",
                "--log.level=warn",
            ],
            directory=folder,
        )

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_for_http(f"{self.url}/-/ready", START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.__exit__(kind, error, trace)
