"""Who finds the pods, who may ask them and whom they may ask, who scrapes them, and how many of them there are."""

from __future__ import annotations

import re
import subprocess
from typing import Any
from urllib.parse import urlsplit

import yaml
from tests.support.manifests import ROOT, Document, Manifests, environment_of

from prethrift_backend.contracts import load_metrics

SCRAPES = yaml.safe_load((ROOT / "ops/prometheus/prometheus.yml").read_text())["scrape_configs"]
DEFAULT_PORTS = {"http": 80, "https": 443, "postgresql": 5432}
# Whoever sets no port means this one: S3 and Sentry are asked by TLS.
HTTPS = 443
DNS = {(53, "UDP"), (53, "TCP")}


def _labels(overlay: Manifests, kind: str) -> Document:
    found: Document = overlay.only(kind)["spec"]["template"]["metadata"]["labels"]
    return found


def _matches(selector: dict[str, Any], labels: Document) -> bool:
    return selector.keys() == {"matchLabels"} and selector["matchLabels"].items() <= labels.items()


def _policy(overlay: Manifests, kind: str) -> Document:
    """Return the one policy that selects the pods of a kind."""
    (found,) = [
        policy["spec"]
        for policy in overlay.all("NetworkPolicy")
        if _matches(policy["spec"]["podSelector"], _labels(overlay, kind))
    ]
    assert found["policyTypes"] == ["Ingress", "Egress"]
    return dict(found)


def _ports(rules: list[Document]) -> set[tuple[int | str, str]]:
    return {(port["port"], port["protocol"]) for rule in rules for port in rule["ports"]}


def _port_of(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or DEFAULT_PORTS[parts.scheme]


def test_the_selectors_find_the_server_and_not_the_migration(overlay: Manifests) -> None:
    """Deployment, Service, budget, monitor and spread select the server's pods alone."""
    spec = overlay.only("Deployment")["spec"]
    selectors = [
        spec["selector"],
        {"matchLabels": overlay.only("Service")["spec"]["selector"]},
        overlay.only("PodDisruptionBudget")["spec"]["selector"],
        overlay.only("PodMonitor")["spec"]["selector"],
        *(part["labelSelector"] for part in spec["template"]["spec"]["topologySpreadConstraints"]),
    ]

    assert all(_matches(selector, _labels(overlay, "Deployment")) for selector in selectors)
    assert not any(_matches(selector, _labels(overlay, "Job")) for selector in selectors)


def test_no_selector_has_a_version_in_it(overlay: Manifests) -> None:
    """A Deployment's selector cannot be changed: with a version in it, the next release could not be applied."""
    assert "app.kubernetes.io/version" not in overlay.only("Deployment")["spec"]["selector"]["matchLabels"]
    assert "app.kubernetes.io/version" not in overlay.only("Service")["spec"]["selector"]


def test_the_server_is_asked_on_its_port_alone(overlay: Manifests) -> None:
    """By the ingress and by Prometheus; each source is named."""
    ingress = _policy(overlay, "Deployment")["ingress"]
    (port,) = overlay.server["ports"]

    assert _ports(ingress) == {(port["name"], "TCP")}
    assert all(rule["from"] and all("namespaceSelector" in source for source in rule["from"]) for rule in ingress)


def test_the_server_asks_on_the_ports_of_its_settings_alone(overlay: Manifests) -> None:
    """The database, the collector, S3 and Sentry; and names."""
    environ = environment_of(overlay.only("Deployment")["spec"]["template"], overlay)
    used = {_port_of(environ[name]) for name in ("DATABASE_URL", "OTLP_ENDPOINT", "SENTRY_DSN")} | {HTTPS}
    assert "AWS_ENDPOINT_URL_S3" not in environ

    assert _ports(_policy(overlay, "Deployment")["egress"]) == {(port, "TCP") for port in used} | DNS


def test_the_collector_is_in_the_namespace_that_is_open(overlay: Manifests) -> None:
    """The namespace in OTLP_ENDPOINT is the one that the policy names for its port."""
    host = urlsplit(overlay.configuration["OTLP_ENDPOINT"]).hostname or ""
    (rule,) = [
        rule
        for rule in _policy(overlay, "Deployment")["egress"]
        if _ports([rule]) == {(_port_of(overlay.configuration["OTLP_ENDPOINT"]), "TCP")}
    ]

    assert [part["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for part in rule["to"]] == [
        host.split(".")[1]
    ]


def test_the_migration_asks_the_database_alone_and_is_asked_by_nobody(overlay: Manifests) -> None:
    """It needs nothing else."""
    policy = _policy(overlay, "Job")

    assert policy["ingress"] == []
    assert _ports(policy["egress"]) == {(5432, "TCP")} | DNS


def test_the_scrapes_are_those_of_prometheus(overlay: Manifests) -> None:
    """The same jobs with the same paths, intervals, timeouts and limit, so that the same rules hold."""
    spec = overlay.only("PodMonitor")["spec"]
    ours = {
        relabeling["replacement"]: (end["path"], end["interval"], end["scrapeTimeout"])
        for end in spec["podMetricsEndpoints"]
        for relabeling in end["relabelings"]
        if relabeling.get("targetLabel") == "job"
    }

    assert ours == {
        scrape["job_name"]: (scrape["metrics_path"], scrape["scrape_interval"], scrape["scrape_timeout"])
        for scrape in SCRAPES
    }
    assert {spec["sampleLimit"]} == {scrape["sample_limit"] for scrape in SCRAPES if "sample_limit" in scrape}
    assert load_metrics().scrape.job in ours  # type: ignore[union-attr]  # the contract has the line


def test_the_command_of_the_page_makes_rules_for_the_operator() -> None:
    """Each file of rules, whole, as a PrometheusRule; kubectl gets what an `apply` reads."""
    page = (ROOT / "ops/kubernetes/README.md").read_text()
    (command,) = re.findall(r"```sh\n( +for name in .+?)```", page, re.DOTALL)
    script = f"kubectl() {{ cat; }}\n{command}"
    done = subprocess.run(["sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    made = [document for document in yaml.safe_load_all(done.stdout) if document]

    assert {(document["apiVersion"], document["kind"]) for document in made} == {
        ("monitoring.coreos.com/v1", "PrometheusRule")
    }
    files = sorted((ROOT / "ops/prometheus/rules").glob("*.yml"))
    assert {document["metadata"]["name"]: document["spec"] for document in made} == {
        f"prethrift-{path.stem}": yaml.safe_load(path.read_text()) for path in files
    }


def test_the_labels_of_a_target_are_those_that_queries_ask_for(overlay: Manifests) -> None:
    """Dashboards choose by `environment`; the operator's `endpoint`, which would hide our own, is taken away."""
    environment = overlay.configuration["ENVIRONMENT"]
    for end in overlay.only("PodMonitor")["spec"]["podMetricsEndpoints"]:
        assert {"targetLabel": "environment", "replacement": environment} in end["relabelings"]
        assert {"action": "labeldrop", "regex": "endpoint"} in end["relabelings"]


def test_each_scrape_has_the_token_that_its_path_asks_for(overlay: Manifests) -> None:
    """METRICS_TOKEN opens /metrics, HEALTH_TOKEN the details of /health."""
    tokens = {
        end["path"]: (end["authorization"]["type"], end["authorization"]["credentials"]["key"])
        for end in overlay.only("PodMonitor")["spec"]["podMetricsEndpoints"]
    }

    assert tokens == {"/metrics": ("Bearer", "METRICS_TOKEN"), "/health": ("Bearer", "HEALTH_TOKEN")}


def test_the_autoscaler_counts_the_pods(overlay: Manifests) -> None:
    """It scales the Deployment, which has no number of its own, and leaves more than the budget may take away."""
    scaler, deployment = overlay.only("HorizontalPodAutoscaler")["spec"], overlay.only("Deployment")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment["metadata"]["name"]}

    assert scaler["scaleTargetRef"] == target
    assert "replicas" not in deployment["spec"]
    assert scaler["minReplicas"] > overlay.only("PodDisruptionBudget")["spec"]["maxUnavailable"]
    assert scaler["maxReplicas"] > scaler["minReplicas"]
    assert overlay.server["resources"]["requests"]["cpu"]  # a share of nothing cannot be measured


def test_a_rollout_takes_no_pod_away_before_its_successor_is_ready(overlay: Manifests) -> None:
    """One more comes, none fewer serve."""
    assert overlay.only("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
