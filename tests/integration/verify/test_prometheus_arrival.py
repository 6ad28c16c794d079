"""Arrival on a real Prometheus and a real Alertmanager: they scrape and evaluate, and `contracts verify` looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.alertmanager import CONFIGURATION, AlertmanagerServer
from tests.support.prometheus import Alerting, PrometheusServer
from tests.support.verify_targets import ROOT, SHOP_OPTIONS, START_SECONDS, backend, is_healthy, shop, verdict
from tests.support.waiting import wait_for

from prethrift_backend.verify.arrival.api import Api
from prethrift_backend.verify.arrival.rules import loaded_rules, read_rules, rule_faults
from prethrift_backend.verify.live.client import LiveClient

pytestmark = pytest.mark.usefixtures("prometheus_tools")

# Prometheus looks for its Alertmanagers every five seconds.
TIMEOUT = ("--arrival-timeout", "40")
# A shop without visitors has little to show.
LITTLE = ("--min-coverage", "0.7")
RULES = """\
groups:
  - name: service
    rules:
      - record: job:scrapes:count
        expr: count by (job) (up)
      - alert: ServiceDown
        expr: (up{{job='{job}'}} == 0) or absent(up{{job='{job}'}})
        for: 1m30s
        labels: {{severity: page}}
      - alert: ServiceSlow
        expr: job:scrapes:count > 1e3
        labels: {{severity: ticket}}
"""


@contextmanager
def _watched(folder: Path, address: str, *, job: str, path: str) -> Iterator[tuple[Path, str, str]]:
    """Scrape a service and evaluate rules; yield the rule file and the addresses of both programs."""
    rules = folder / "service.yml"
    rules.write_text(RULES.format(job=job))
    with AlertmanagerServer(folder) as alertmanager:
        alerting = Alerting((rules,), alertmanager.address)
        target = address.removeprefix("http://")
        with PrometheusServer(folder, target=target, path=path, job=job, alerting=alerting) as prometheus:
            yield rules, prometheus.url, alertmanager.url


def _has_scraped(prometheus: str) -> bool:
    """Tell whether Prometheus has found its target, which takes it up to five seconds, and asked it."""
    answer = httpx.get(f"{prometheus}/api/v1/targets", timeout=5, trust_env=False).json()
    return any(target["health"] != "unknown" for target in answer["data"]["activeTargets"])


def test_a_shop_that_is_scraped_has_arrived(tmp_path: Path) -> None:
    """Targets, families, labels, rules and routes are found where they ought to be, without a fixed wait."""
    with shop() as address, _watched(tmp_path, address, job="shop", path="/stats/") as (rules, prometheus, manager):
        options = ("--prometheus", prometheus, "--alertmanager", manager, "--rules", str(rules), *TIMEOUT)
        status, findings, report = verdict(address, *SHOP_OPTIONS, *LITTLE, *options)

    assert set(findings) == {"LV306"}  # half a second in place of the contract's half minute
    assert status == 0
    seen = {item["name"] for item in report["items"] if item["state"] == "passed"}
    assert {"arrival", "alertmanager", "ServiceDown", "ServiceSlow", "job:scrapes:count"} <= seen


def test_what_has_not_arrived_is_reported(tmp_path: Path) -> None:
    """An older threshold, an alert that is not loaded, a receiver that tells nobody, another Alertmanager."""
    other = tmp_path / "other"
    other.mkdir()
    silent = CONFIGURATION.replace('    webhook_configs: [{url: "http://127.0.0.1:9/"}]\n', "", 1)
    with (
        shop() as address,
        _watched(tmp_path, address, job="shop", path="/stats/") as (rules, prometheus, _),
        AlertmanagerServer(other, silent) as manager,
    ):
        wait_for(lambda: _has_scraped(prometheus), START_SECONDS)
        changed = other / "service.yml"
        lines = rules.read_text().replace("1e3", "1e2").replace("ServiceDown", "ServiceGone")
        changed.write_text(lines)
        options = ("--prometheus", prometheus, "--alertmanager", manager.url, "--rules", str(changed))
        status, findings, _ = verdict(address, *SHOP_OPTIONS, *LITTLE, *options, "--arrival-timeout", "6")

    assert status == 1
    assert set(findings) == {"LV137", "LV139", "LV302", "LV303", "LV305", "LV306"}


def test_a_path_that_is_not_scraped_is_a_target_that_is_down(tmp_path: Path) -> None:
    """The finding has the reason that Prometheus gives."""
    with shop() as address, _watched(tmp_path, address, job="shop", path="/metrics") as (_, prometheus, _manager):
        wait_for(lambda: _has_scraped(prometheus), START_SECONDS)
        options = ("--prometheus", prometheus, "--arrival-timeout", "2")
        status, findings, _ = verdict(address, *SHOP_OPTIONS, *LITTLE, *options)

    assert status == 1
    assert "404" in findings["LV131"]


def test_this_application_arrives(
    tmp_path: Path, migrated_database_url: str, s3_endpoint: str, images_bucket: str
) -> None:
    """All families of a running backend are in Prometheus under their labels."""
    store = {"AWS_ENDPOINT_URL_S3": s3_endpoint, "IMAGES_BUCKET": images_bucket}
    with backend(migrated_database_url, **store) as (process, address):
        process.wait_for(lambda: is_healthy(address), START_SECONDS)
        with _watched(tmp_path, address, job="prethrift-backend", path="/metrics") as (rules, prometheus, manager):
            options = ("--prometheus", prometheus, "--alertmanager", manager, "--rules", str(rules), *TIMEOUT)
            status, findings, _ = verdict(address, *options)

    assert set(findings) == {"LV306"}
    assert status == 0


def test_the_rules_of_this_repository_are_told_from_one_another_as_prometheus_writes_them(tmp_path: Path) -> None:
    """Prometheus prints every expression in its own form, and each is found to be the one of the file."""
    files = read_rules([ROOT / "ops" / "prometheus"])
    paths = tuple(Path(file.path) for file in files)
    with PrometheusServer(tmp_path, target="127.0.0.1:9", path="/metrics", alerting=Alerting(paths)) as prometheus:
        client = LiveClient(prometheus.url)
        api = Api("Prometheus", client, "PROMETHEUS_TOKEN")
        # The rules come a moment after the server is ready.
        wait_for(lambda: loaded_rules(api) or None, 30, what="rules of Prometheus")
        faults = list(rule_faults(files, loaded_rules(api), command=""))
        client.close()

    assert files
    assert faults == []
