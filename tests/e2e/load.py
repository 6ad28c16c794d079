"""Load in an open loop: requests leave at their times, whether the ones before have been answered or not.

What is asked, and in which order, comes from a seed. Most of it is cheap, as in a shop: people look at items; a part
are searches, some are mistakes, and a few put something in.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self
from uuid import UUID

import aiohttp
import httpx
from tests.e2e.load_results import Answer

from prethrift_backend.devstack.sample import sample_items

RATE: Final = 200
# Arbitrary, and above what nginx and a replica give a request: an answer that is late is an answer.
TIMEOUT_SECONDS: Final = 30.0
_MOST_OPEN: Final = 512  # connections: a load that nobody answers must end somewhere
_MOST_SECONDS: Final = 900.0
_PHRASES: Final = ("blue striped dress", "red hat", "green coat", "a warm scarf", "black boots", "white shirt")
_PICTURES: Final = 4


class Kind(NamedTuple):
    """A kind of request: its share of the mix, in parts of all weights, and the status that is right."""

    name: str
    weight: int
    status: int


MIX: Final = (
    Kind("item", 700, 200),
    Kind("search", 100, 200),
    Kind("picture", 40, 200),
    Kind("mistake", 70, 422),
    Kind("nothing", 84, 404),
    Kind("add", 3, 201),
    Kind("visual", 3, 200),
)
STATUSES: Final = {kind.name: kind.status for kind in MIX}


class Planned(NamedTuple):
    """One request of the plan; ``picture`` is the number of the picture that it carries, if it carries one."""

    due_seconds: float
    kind: str
    method: str
    path: str
    request_id: str
    traceparent: str
    picture: int | None = None


def plan(seed: int, *, items: Sequence[str], rate: float = RATE, seconds: float = _MOST_SECONDS) -> Iterator[Planned]:
    """Yield the requests in order, ``rate`` a second, the same from the same seed and the same ids of items."""
    chance = random.Random(seed)
    names, weights = [kind.name for kind in MIX], [kind.weight for kind in MIX]
    for number in range(round(rate * seconds)):
        [kind] = chance.choices(names, weights)
        method, path, picture = _request(kind, chance, items)
        trace, span = chance.getrandbits(128), chance.getrandbits(64)
        traceparent = f"00-{trace | 1:032x}-{span | 1:016x}-01"
        yield Planned(number / rate, kind, method, path, f"load-{seed}-{number}", traceparent, picture)


def _request(kind: str, chance: random.Random, items: Sequence[str]) -> tuple[str, str, int | None]:
    item = chance.choice(items)
    phrase = chance.choice(_PHRASES).replace(" ", "+")
    picture = chance.randrange(_PICTURES)
    return {
        "item": ("GET", f"/api/items/{item}", None),
        "search": ("GET", f"/api/search?q={phrase}&limit=5", None),
        "picture": ("GET", f"/api/items/{item}/image", None),
        "mistake": ("GET", "/api/search?q=&limit=-1", None),
        "nothing": ("GET", f"/api/items/{UUID(int=0)}", None),
        "add": ("POST", "/api/items", picture),
        "visual": ("POST", "/api/search/visual", picture),
    }[kind]


def known_items(url: str) -> list[str]:
    """Return the ids of some items that are there, in the order of their ids."""
    found: set[str] = set()
    with httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        for phrase in _PHRASES:
            answer = client.get("/api/search", params={"q": phrase, "limit": 10}).raise_for_status()
            found.update(hit["id"] for hit in json.loads(answer.text)["hits"])
    return sorted(found)


@dataclass(frozen=True)
class _Form:
    """What a request with a picture carries."""

    fields: dict[str, str]
    picture: bytes

    def data(self, kind: str) -> aiohttp.FormData:
        """Return it anew: such a body can be sent once."""
        form = aiohttp.FormData(self.fields if kind == "add" else {})
        form.add_field("image", self.picture, filename="garment.png", content_type="image/png")
        return form


class Load:
    """Sends a plan from a thread of its own. Used as a context manager; leaving the block stops it.

    with Load(stack.url, plan(7, items=known_items(stack.url))) as load:
        stack.replicas[0].stop()
    assert not failures(load.answers)
    """

    def __init__(self, url: str, planned: Iterable[Planned]) -> None:
        self.answers: list[Answer] = []
        self.started_at = 0.0
        self._url = url
        self._planned = planned
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._send_all()), name="load")
        self._forms = [
            _Form(_fields(sample.title, sample.category, str(sample.price)), sample.picture_png())
            for sample in itertools.islice(sample_items(), _PICTURES)
        ]

    def __enter__(self) -> Self:
        self.started_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Tell whether requests are still sent or waited for."""
        return self._thread.is_alive()

    def stop(self) -> list[Answer]:
        """Send nothing more, wait for what is under way, and return all answers in the order of their ends."""
        self._stopped.set()
        self._thread.join()
        return self.answers

    async def _send_all(self) -> None:
        # A kept connection may be closed by nginx, which reloads, in the moment in which a request leaves. As browsers
        # do, the client then asks again; where that might do something twice it takes a new connection from the start.
        async with (
            _session(self._url, force_close=False) as kept,
            _session(self._url, force_close=True) as fresh,
            asyncio.TaskGroup() as under_way,
        ):
            for planned in self._planned:
                await asyncio.sleep(self.started_at + planned.due_seconds - time.monotonic())
                if self._stopped.is_set():
                    break
                sessions = (kept, fresh) if planned.method == "GET" else (fresh,)
                under_way.create_task(self._send(sessions, planned))

    async def _send(self, sessions: Sequence[aiohttp.ClientSession], planned: Planned) -> None:
        sent_at = time.monotonic()
        status, trace_id, errors = 0, "", list[str]()
        for session in sessions:
            try:
                status, trace_id = await self._ask(session, planned)
                break
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as lost:
                errors.append(repr(lost))
            except (aiohttp.ClientError, TimeoutError) as failed:
                errors.append(repr(failed))
                break
        self.answers.append(
            Answer(
                request_id=planned.request_id,
                kind=planned.kind,
                sent_at=sent_at,
                late_seconds=sent_at - self.started_at - planned.due_seconds,
                seconds=time.monotonic() - sent_at,
                status=status,
                is_right=status == STATUSES[planned.kind],
                trace_id=trace_id,
                error="" if status else errors[-1],
                is_repeated=len(errors) > (not status),
            )
        )

    async def _ask(self, session: aiohttp.ClientSession, planned: Planned) -> tuple[int, str]:
        body = self._body(planned)
        async with session.request(planned.method, planned.path, headers=_headers(planned), data=body) as response:
            await response.read()
            return response.status, response.headers.get("X-Trace-Id", "")

    def _body(self, planned: Planned) -> aiohttp.FormData | None:
        return None if planned.picture is None else self._forms[planned.picture].data(planned.kind)


def _session(url: str, *, force_close: bool) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=_MOST_OPEN, force_close=force_close)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    return aiohttp.ClientSession(url, connector=connector, timeout=timeout, trust_env=False)


def _headers(planned: Planned) -> dict[str, str]:
    return {"X-Request-ID": planned.request_id, "traceparent": planned.traceparent}


def _fields(title: str, category: str, price: str) -> dict[str, str]:
    return {"title": title, "description": "one of the load", "category": category, "price": price}
