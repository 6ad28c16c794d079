"""What Kubernetes does for a service: it asks each replica whether it is ready, and sends requests to those that are.

nginx without its commercial part asks nobody; it finds out by requests that fail. So a thread asks readiness as the
kubelet does, writes the upstream file, and has nginx read it again, whenever the answer has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from tests.e2e.replicas import Replica
from tests.support.nginx import Nginx

# The faster clock's five seconds of ops/kubernetes would be less; four times a second is enough, arbitrary.
PERIOD_SECONDS = 0.25


class Endpoints:
    """Keeps nginx's upstreams to the replicas that are ready; used as a context manager.

    ``changes`` tells each change as the names that were in from then on.
    """

    def __init__(self, nginx: Nginx, replicas: Sequence[Replica], *, say: Callable[[str], None]) -> None:
        self.changes: list[tuple[str, ...]] = []
        self.failures: list[str] = []
        self._nginx = nginx
        self._replicas = replicas
        self._say = say
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endpoints")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the replicas that get requests now."""
        return self.changes[-1] if self.changes else ()

    def _run(self) -> None:
        with ThreadPoolExecutor(len(self._replicas), thread_name_prefix="kubelet") as pool:
            while not self._ended.wait(PERIOD_SECONDS):
                ready = pool.map(Replica.is_ready, self._replicas)
                self._keep([replica for replica, is_in in zip(self._replicas, ready, strict=True) if is_in])

    def _keep(self, ready: Sequence[Replica]) -> None:
        names = tuple(replica.name for replica in ready)
        if names == self.names:
            return
        try:
            self._nginx.route_to(replica.address for replica in ready)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the next turn tries again
            self.failures.append(repr(error))
            return
        self.changes.append(names)
        self._say(f"nginx sends requests to {', '.join(names) or 'nobody'}")
