"""What the process serves, held against the files in contracts/."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import jsonschema
import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract, load_health_schema, load_metrics
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build


@pytest.fixture
async def client(integration_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application until it is ready and has served a search."""
    app = build(integration_settings, overrides=Overrides(embeddings=NullEmbeddings()))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await wait_for_async(is_ready, 10)
        (await client.get("/api/search", params={"q": "dress"})).raise_for_status()
        yield client


async def _served(client: httpx.AsyncClient) -> dict[str, Metric]:
    scrape = (await client.get("/metrics")).text
    return {_full_name(family): family for family in text_string_to_metric_families(scrape)}


def _full_name(family: Metric) -> str:
    # The parser takes the ending off a counter's name; the contract and the exposition have it.
    return f"{family.name}_total" if family.type == "counter" else family.name


@pytest.fixture
def contract() -> MetricsContract:
    """Read contracts/metrics.txt."""
    return load_metrics()


async def test_every_family_that_is_served_is_promised(client: httpx.AsyncClient, contract: MetricsContract) -> None:
    """Nothing is exposed that the contract does not name, as its own or as a library's."""
    promised = {family.name for family in contract.families}

    strangers = [name for name in await _served(client) if name not in promised and not contract.is_external(name)]

    assert strangers == []


async def test_every_family_that_is_promised_is_served(client: httpx.AsyncClient, contract: MetricsContract) -> None:
    """After one request every promised family is exposed, with the promised type and help."""
    served = await _served(client)

    for family in contract.families:
        assert (served[family.name].type, served[family.name].documentation) == (family.kind, family.help)


async def test_every_sample_has_the_promised_labels(client: httpx.AsyncClient, contract: MetricsContract) -> None:
    """A sample carries exactly the labels of its family, each with a value that the contract allows."""
    for name, family in (await _served(client)).items():
        if contract.is_external(name):
            continue
        labels = {label.name: label for label in contract.family(name).labels}
        for sample in family.samples:
            values = {key: value for key, value in sample.labels.items() if key != "le"}
            assert values.keys() == labels.keys()
            assert [key for key, value in values.items() if not labels[key].allows(value)] == []


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_every_health_body_is_as_its_schema_says(client: httpx.AsyncClient, path: str) -> None:
    """The three endpoints answer by contracts/health.schema.json, formats included."""
    checker = jsonschema.Draft202012Validator(
        load_health_schema(), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )

    checker.validate((await client.get(path)).json())
