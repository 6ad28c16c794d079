"""The sample catalogue, taken in as a shop does it: item by item through the API."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import httpx

from prethrift_backend.devstack.sample import SampleItem, sample_items

_AT_ONCE = 8
_SECONDS = 60.0


def fill(url: str, count: int) -> None:
    """Post the first ``count`` items of the sample; raises where one is refused."""
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=_SECONDS) as client,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="shop") as pool,
    ):
        for answer in pool.map(lambda sample: _post(client, sample), islice(sample_items(), count)):
            answer.raise_for_status()


def _post(client: httpx.Client, sample: SampleItem) -> httpx.Response:
    fields = {
        "title": sample.title,
        "description": sample.description,
        "category": sample.category,
        "price": str(sample.price),
    }
    return client.post("/api/items", data=fields, files={"image": ("picture.png", sample.picture_png(), "image/png")})
