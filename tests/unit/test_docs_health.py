"""What docs/health.md says, held against the code: its examples are run, its tables are compared."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fastapi.routing import APIRoute
from pydantic import SecretStr
from tests.unit.health._parts import Harness, health_validator
from tests.unit.health.test_http import MATRIX

from prethrift_backend.api import health_router
from prethrift_backend.cli import _make_parser, show_health
from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_health_schema, load_metrics
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.health import FAMILIES, CheckCode, HealthRegistry
from prethrift_backend.health.check import CODE_STATUSES
from prethrift_backend.health.groups import DEFAULT_STATUSES, READY_DEADLINE_SECONDS
from prethrift_backend.main import _register_checks
from prethrift_backend.stores import ImageStore, Postgres

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "health.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
STATES = {
    "starting": "starting: models load, first checks run",
    "all_good": "all good",
    "uncritical_bad": "a check that is not critical fails",
    "critical_bad_once": "a critical check fails once or twice",
    "critical_bad": "a critical check fails three times in a row",
    "stale": "results are too old to be believed",
    "draining": "draining",
    "broken": "a fault in the health code itself",
}


def _blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def _table(*header: str) -> list[list[str]]:
    """Return the rows of the table with this header; the marks of code are taken off."""
    start = PAGE.index(f"| {' | '.join(header)} |")
    lines = PAGE[start:].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """No example stands on the page in a language that nothing here looks at."""
    assert {language for language, _ in BLOCKS} == {"python", "json", "yaml", "sh", "dockerfile"}


def _run_python() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "docs_health"}
    for number, block in enumerate(_blocks("python")):
        exec(compile(block, f"docs/health.md, example {number}", "exec"), namespace)  # noqa: S102 - our own page
    return namespace


async def test_python_examples_do_what_the_page_says() -> None:
    """Run as one program they make an application whose checks, group and wrapped part answer."""
    made = await asyncio.to_thread(_run_python)
    transport = httpx.ASGITransport(made["app"])
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        group = await client.get("/health/groups/storage")
        whole = await client.get("/health")
        other = await client.get("/anything")

    statuses = {check["name"]: (check["status"], check["message"]) for check in whole.json()["checks"]}
    assert (group.status_code, other.status_code) == (429, 204)
    assert statuses == {
        "cache": ("degraded", "The check reports degraded service"),
        "disk": ("healthy", "Check passed"),
        "warm_entries": ("degraded", "The cache is being filled"),
    }


def test_overrides_of_the_example_register_the_check() -> None:
    """What the example hands to build() adds its check to a registry."""
    registry = HealthRegistry()

    _run_python()["overrides"].register_checks(registry)

    assert "disk" in registry


@pytest.mark.parametrize("block", _blocks("json"))
def test_bodies_keep_the_schema(block: str) -> None:
    """A body on the page is one that the contract allows."""
    health_validator().validate(json.loads(block))


def _command(arguments: list[str]) -> Any:
    assert arguments[0] == "prethrift-backend"
    return _make_parser().parse_args(arguments[1:])


@pytest.mark.parametrize("line", [line for block in _blocks("sh") for line in block.splitlines()])
def test_commands_are_taken(line: str) -> None:
    """A command on the page is one that the command line takes."""
    assert _command(shlex.split(line)).command is show_health


@pytest.mark.parametrize("block", _blocks("dockerfile"))
def test_container_check_is_taken(block: str) -> None:
    """The command of the image's health check is one that the command line takes."""
    assert _command(json.loads(block.partition(" CMD ")[2])).kind == "live"


def _routes() -> set[str]:
    router = health_router(Harness().endpoint, load_health_schema())
    return {route.path for route in router.routes if isinstance(route, APIRoute)}


def test_endpoints_are_those_that_are_routed() -> None:
    """The table of endpoints is complete, and names nothing that does not exist."""
    assert {row[0] for row in _table("endpoint", "for whom", "what decides")} == _routes()


def test_codes_of_the_statuses_are_those_of_the_code() -> None:
    """Each status has the HTTP code that it has by default."""
    rows = _table("status", "HTTP code", "means")

    assert {row[0]: int(row[1]) for row in rows} == {status.value: code for status, code in DEFAULT_STATUSES.items()}


def test_states_are_those_of_the_matrix() -> None:
    """The codes in the table of states are those that the state matrix tests."""
    rows = {row[0]: [int(code) for code in row[1:]] for row in _table("state", "live", "ready", "health")}

    assert rows == {
        words: [200, *(503 if status == "unhealthy" else 200 for status, _ in MATRIX[state][1:])]
        for state, words in STATES.items()
    }


def test_codes_are_the_closed_list() -> None:
    """Every code is there, in its order, with its usual status."""
    rows = _table("code", "status unless the check says another")

    assert rows == [[code.value, CODE_STATUSES.get(code, "unhealthy")] for code in CheckCode]


def test_codes_that_checks_may_say_exist() -> None:
    """The table of checks uses no word outside the list."""
    rows = _table("check", "critical", "every", "may say")
    said = {word for _, _, _, codes in rows for word in re.findall(r"[a-z]+_[a-z_]+", codes)}

    assert said - {"database"} <= {code.value for code in CheckCode}


def test_checks_are_those_that_the_application_registers() -> None:
    """Name, weight and interval of each check are as they are registered; making the parts opens nothing."""
    settings = Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1:9/none"))
    registry = _register_checks(Postgres.from_settings(settings), ImageStore.from_settings(settings), NullEmbeddings())

    rows = [row[:3] for row in _table("check", "critical", "every", "may say")]

    assert rows == [
        [check.name, "yes" if check.critical else "no", f"{check.interval_seconds:g} s"] for check in registry
    ]


def test_metrics_are_the_families() -> None:
    """The table of metrics has every family with its labels."""
    rows = _table("metric", "labels", "what it says")

    assert [(name, tuple(label.strip() for label in labels.split(",") if label)) for name, labels, _ in rows] == [
        (family.name, family.labels) for family in FAMILIES
    ]


def test_events_are_those_that_are_written() -> None:
    """The table of log events is what the package writes."""
    source = "".join(path.read_text() for path in (ROOT / "src/prethrift_backend/health").glob("*.py"))
    written = set(re.findall(r'"(health_(?:check_changed|\w+_restarted|\w+_failed))"', source))

    assert {row[0] for row in _table("event", "level", "when")} == written


def _yaml(key: str) -> Any:
    (found,) = [parsed for parsed in map(yaml.safe_load, _blocks("yaml")) if key in parsed]
    return found[key]


def test_probes_ask_what_they_should() -> None:
    """Liveness asks live, readiness asks ready, and neither gives up before the process answers."""
    (container,) = _yaml("spec")["containers"]
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}

    assert asked == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert container["readinessProbe"]["timeoutSeconds"] > READY_DEADLINE_SECONDS


def test_pod_has_time_to_drain() -> None:
    """The pod is not killed while it drains, and draining outlasts the period of the probe."""
    spec = _yaml("spec")
    (container,) = spec["containers"]
    settings = Settings(**{item["name"].lower(): float(item["value"]) for item in container["env"]})

    assert container["readinessProbe"]["periodSeconds"] < settings.drain_seconds
    assert settings.drain_seconds + 30 <= spec["terminationGracePeriodSeconds"]


def test_scrape_is_of_the_job_that_the_alert_names() -> None:
    """Job, path and limits fit together."""
    (job,) = _yaml("scrape_configs")

    assert job["metrics_path"] in _routes()
    assert float(job["scrape_timeout"].removesuffix("s")) >= 3
    assert all(
        f'job="{job["job_name"]}"' in rule["expr"] for rule in _yaml("groups")[0]["rules"] if "up{" in rule["expr"]
    )


def test_alerts_use_metrics_that_exist() -> None:
    """An expression names `up`, functions, and families with label values of the contract; absent() is among them."""
    contract = load_metrics()
    expressions = [rule["expr"] for rule in _yaml("groups")[0]["rules"]]

    named = {name for text in expressions for name in re.findall(r"\bhealth_\w+", text)}
    assert named <= {family.name for family in contract.families}
    assert 'absent(up{job="prethrift-health"})' in expressions
    assert 'up{job="prethrift-health"} == 0' in expressions


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_every_link_leads_somewhere(path: str) -> None:
    """A file that the page links to is there."""
    assert (ROOT / "docs" / path).resolve().exists()
