"""Traffic of all kinds on a running backend, the same from the same seed: searches, the catalogue, health, mistakes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import UUID

import httpx

from prethrift_backend.devstack.sample import SampleItem, sample_items

WORDS = ("blue striped dress", "red hat", "green coat", "a warm scarf", "black boots", "white shirt")
TIMEOUT_SECONDS = 60.0


class CatalogueTraffic:
    """Sends requests one after the other; ``statuses`` counts what was answered. Used as a context manager."""

    def __init__(self, address: str, *, seed: int) -> None:
        self.statuses: dict[int, int] = {}
        self._random = random.Random(seed)
        self._client = httpx.Client(base_url=address, trust_env=False, timeout=TIMEOUT_SECONDS)
        self._samples = itertools.cycle(list(sample_items(24)))
        self._items: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send_round(self) -> None:
        """Send each kind of request at least once, in an order of chance."""
        kinds: list[Callable[[], httpx.Response]] = [
            self.add_item,
            self.search_by_text,
            self.search_by_text,
            self.search_by_picture,
            self.look_at_item,
            self.look_at_picture,
            self.make_mistake,
            self.look_for_nothing,
            self.ask_for_health,
        ]
        self._random.shuffle(kinds)
        for send in kinds:
            self.count(send())

    def count(self, response: httpx.Response) -> None:
        """Count one answer."""
        self.statuses[response.status_code] = self.statuses.get(response.status_code, 0) + 1

    def add_item(self) -> httpx.Response:
        """Put a garment of the sample catalogue in."""
        sample = next(self._samples)
        response = self._client.post("/api/items", data=_form(sample), files={"image": _picture(sample)})
        if response.is_success:
            self._items.append(response.json()["id"])
        return response

    def search_by_text(self) -> httpx.Response:
        """Search by words, of which some come again and are in the cache."""
        return self._client.get("/api/search", params={"q": self._random.choice(WORDS), "limit": 5})

    def search_by_picture(self) -> httpx.Response:
        """Search by the picture of a garment."""
        return self._client.post("/api/search/visual", files={"image": _picture(next(self._samples))})

    def look_at_item(self) -> httpx.Response:
        """Look at an item that is there, if any is."""
        return self._client.get(f"/api/items/{self._known()}")

    def look_at_picture(self) -> httpx.Response:
        """Look at the picture of one."""
        return self._client.get(f"/api/items/{self._known()}/image")

    def make_mistake(self) -> httpx.Response:
        """Ask for something without sense, which is a 422."""
        return self._client.get("/api/search", params={"q": "", "limit": -1})

    def look_for_nothing(self) -> httpx.Response:
        """Ask for an item, or a path, that is not there."""
        return self._client.get(self._random.choice((f"/api/items/{UUID(int=0)}", "/wp-login.php")))

    def ask_for_health(self) -> httpx.Response:
        """Ask as a person does; probes are not counted."""
        return self._client.get("/health")

    def _known(self) -> str:
        return self._random.choice(self._items) if self._items else str(UUID(int=0))


def _form(sample: SampleItem) -> dict[str, str]:
    return {
        "title": sample.title,
        "description": sample.description,
        "category": sample.category,
        "price": str(sample.price),
    }


def _picture(sample: SampleItem) -> tuple[str, bytes, str]:
    return ("garment.png", sample.picture_png(), "image/png")
