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
# A replica that does not answer in time may be busy, and is asked here twenty times as often as by ops/kubernetes: it
# is taken out at the third time in a row. One that says itself that it is not ready is taken out at once.
MOST_UNANSWERED = 3


class Endpoints:
    """Keeps nginx's upstreams to the replicas that are ready; used as a context manager.

    ``changes`` tells each change as the names that were in from then on.
    """

    def __init__(self, nginx: Nginx, replicas: Sequence[Replica], *, say: Callable[[str], None]) -> None:
        self.changes: list[tuple[str, ...]] = []
        self._nginx = nginx
        self._replicas = replicas
        self._say = say
        self._unanswered = {replica.name: 0 for replica in replicas}
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
                statuses = pool.map(Replica.readiness, self._replicas)
                asked = zip(self._replicas, statuses, strict=True)
                self._keep([replica for replica, status in asked if self._is_in(replica, status)])

    def _is_in(self, replica: Replica, status: int) -> bool:
        self._unanswered[replica.name] = 0 if status == 200 else self._unanswered[replica.name] + 1
        if status:
            return status == 200
        return replica.name in self.names and self._unanswered[replica.name] < MOST_UNANSWERED

    def _keep(self, ready: Sequence[Replica]) -> None:
        names = tuple(replica.name for replica in ready)
        if names == self.names:
            return
        try:
            self._nginx.route_to(replica.address for replica in ready)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the next turn tries again
            self._say(f"nginx was not reloaded: {error!r}")
            return
        self.changes.append(names)
        self._say(f"nginx sends requests to {', '.join(names) or 'nobody'}")
