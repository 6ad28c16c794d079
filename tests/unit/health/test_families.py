"""The metric families of health: by the contract, on /metrics as in the Prometheus form of /health."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from tests.unit.health._parts import (
    NEW_YEAR,
    PROMETHEUS_OPENMETRICS,
    PROMETHEUS_TEXT,
    Harness,
    ScriptedCheck,
)

from prethrift_backend.contracts import load_metrics
from prethrift_backend.health import FAMILIES, HealthEngine, HealthRegistry, HealthStatus
from prethrift_backend.observability.metrics import MetricSet

OF_HEALTH = [family for family in load_metrics().families if family.name.startswith("health_")]


async def _flapped() -> Harness:
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("good", ScriptedCheck())
    harness.registry.register("bad", check)
    harness.lifecycle.mark_ready()
    await harness.run_checks()
    check.fail()
    await harness.run_checks(3)
    return harness


def test_families_are_those_of_the_contract() -> None:
    """Names, types, words and labels are the contract's, in its order."""
    ours = [(family.name, family.kind, family.description, family.labels) for family in FAMILIES]

    assert ours == [(family.name, family.kind, family.help, family.label_names) for family in OF_HEALTH]


async def test_readings_tell_everything() -> None:
    """Each family has its value for each check, and states are one-hot."""
    harness = await _flapped()

    readings = harness.engine.readings(harness.lifecycle)

    assert readings["health_up"] == {(): 0.0}
    assert readings["health_check_up"] == {("good",): 1.0, ("bad",): 0.0}
    assert {key for key, value in readings["health_check_state"].items() if value} == {
        ("good", "healthy"),
        ("bad", "unhealthy"),
    }
    assert readings["health_check_age_seconds"] == {("good",): 0.0, ("bad",): 0.0}
    assert readings["health_check_last_success_timestamp_seconds"] == {
        ("good",): NEW_YEAR + 32,
        ("bad",): NEW_YEAR + 8,
    }
    assert readings["health_checks_total"][("bad", "unhealthy")] == 3.0
    assert readings["health_check_transitions_total"] == {
        ("good", "healthy"): 1.0,
        ("good", "degraded"): 0.0,
        ("good", "unhealthy"): 0.0,
        ("bad", "healthy"): 1.0,
        ("bad", "degraded"): 1.0,
        ("bad", "unhealthy"): 1.0,
    }


async def test_reading_runs_no_check() -> None:
    """A scrape is no reason to ask a database anything."""
    check, harness = ScriptedCheck(), Harness()
    harness.registry.register("x", check)
    harness.clock.advance(100)

    harness.engine.readings(harness.lifecycle)

    assert check.runs == 0


async def test_prometheus_form_is_what_metrics_shows() -> None:
    """Both forms of /health parse to the very samples that the registry of /metrics exports."""
    harness = await _flapped()
    metrics = MetricSet(load_metrics(), strict=True)
    for family in FAMILIES:
        metrics.observe(family.name, lambda name=family.name: harness.engine.readings(harness.lifecycle)[name])  # type: ignore[misc] # mypy cannot infer a lambda with a default
    exported = {
        sample.name: 0 for family in metrics.registry.collect() for sample in family.samples if "health" in sample.name
    }

    for accept, parse in ((PROMETHEUS_TEXT, parse_text), (PROMETHEUS_OPENMETRICS, parse_openmetrics)):
        body = (await harness.endpoint.answer("health", accept=accept)).body.decode()
        for parsed in parse(body):
            for sample in parsed.samples:
                exported[sample.name] += 1
                assert metrics.registry.get_sample_value(sample.name, sample.labels) == sample.value

    assert set(exported) == {family.name for family in OF_HEALTH} - {"health_scheduler_heartbeat_age_seconds"}
    assert 0 not in exported.values()


async def test_all_checks_of_an_application_fit_the_contract() -> None:
    """With as many checks as the contract bounds, nothing is refused in strict mode."""
    registry = HealthRegistry()
    for number in range(20):
        registry.register(f"check_{number}", ScriptedCheck())
    engine, metrics = HealthEngine(registry), MetricSet(load_metrics(), strict=True)
    lifecycle = Harness().lifecycle
    for family in FAMILIES:
        metrics.observe(family.name, lambda name=family.name: engine.readings(lifecycle)[name])  # type: ignore[misc] # mypy cannot infer a lambda with a default

    list(metrics.registry.collect())

    labels = {"check": "check_19", "state": HealthStatus.UNHEALTHY.value}
    assert metrics.registry.get_sample_value("health_check_state", labels) == 1.0
    assert metrics.registry.get_sample_value("contract_violations_total") is None
