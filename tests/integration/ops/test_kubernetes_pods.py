"""The pods fit the backend: its ports, paths, settings and times, and no more rights than it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.support.images import MIGRATION_MEMORY, SERVER_MEMORY
from tests.support.manifests import ROOT, SECRETS, Manifests, container_of, environment_of

from prethrift_backend.api.health import health_router
from prethrift_backend.config import load
from prethrift_backend.contracts import load_health_schema, load_settings_contract
from prethrift_backend.health import HealthEndpoint, HealthEngine, HealthRegistry, Lifecycle
from prethrift_backend.health.groups import READY_DEADLINE_SECONDS
from prethrift_backend.server import http as server_http

# What the last answer leaves to do: models, pool and log are given back; the supervisor of workers allows the same.
CLOSING_SECONDS = 5
SETTINGS = {setting.name: setting for setting in load_settings_contract().settings}
# Of the libraries below us, not settings of ours.
FOREIGN_NAMES = {"HF_HUB_OFFLINE"}
# README.md says what a worker with the small models takes.
MEASURED_BYTES = 670_000_000
DEGRADED_SHARE = 0.85  # docs/health.md: from here on the check of memory is degraded


def _paths() -> set[str]:
    endpoint = HealthEndpoint(HealthEngine(HealthRegistry()), Lifecycle(), version="1", environment="production")
    return {route.path for route in health_router(endpoint, load_health_schema()).routes}  # type: ignore[attr-defined]  # all are routes


def _bytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]  # the form that is used here
    return int(number) * {"Mi": 2**20, "Gi": 2**30}[unit]


def test_the_variables_are_settings(overlay: Manifests) -> None:
    """Each name is promised by the contract of the settings, or is one of a library's that is known here."""
    for pod in overlay.pods:
        assert set(environment_of(pod, overlay)) - FOREIGN_NAMES <= SETTINGS.keys()


def test_secrets_come_from_the_secret(overlay: Manifests) -> None:
    """What the contract calls secret is never in the ConfigMap, and nothing else is in the Secret."""
    assert not [name for name in overlay.configuration if SETTINGS[name].secret]
    for pod in overlay.pods:
        for variable in container_of(pod)["env"]:
            is_secret = "secretKeyRef" in variable.get("valueFrom", {})
            assert is_secret == (variable["name"] in SETTINGS and SETTINGS[variable["name"]].secret)


def test_the_secret_has_one_name(overlay: Manifests) -> None:
    """The keys of the Secret are the names of the variables, and PodMonitor reads the same Secret."""
    references = [
        (variable["name"], variable["valueFrom"]["secretKeyRef"])
        for pod in overlay.pods
        for variable in container_of(pod)["env"]
        if "secretKeyRef" in variable.get("valueFrom", {})
    ]
    scraped = [end["authorization"]["credentials"] for end in overlay.only("PodMonitor")["spec"]["podMetricsEndpoints"]]

    assert {name for name, _ in references} == SECRETS.keys()
    assert all(reference == {"name": "prethrift-backend", "key": name} for name, reference in references)
    assert {(secret["name"], secret["key"]) for secret in scraped} <= {("prethrift-backend", name) for name in SECRETS}


def test_the_environment_passes_the_settings_own_checks(overlay: Manifests) -> None:
    """The server and the migration start with it: every value is good, and no name looks misspelt."""
    for pod in overlay.pods:
        loaded = load(environ=environment_of(pod, overlay), dotenv=None)

        assert loaded.warnings == ()


def test_the_command_accepts_the_environment_of_production(overlay: Manifests, tmp_path: Path) -> None:
    """`prethrift-backend config` prints it, with the secrets masked."""
    pod = next(iter(overlay.pods))
    environ = {"PATH": os.environ["PATH"], **environment_of(pod, overlay)}
    command = [str(Path(sys.executable).with_name("prethrift-backend")), "config"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stderr
    assert not [secret for secret in SECRETS.values() if secret in done.stdout]
    assert overlay.configuration["ENVIRONMENT"] in done.stdout


def test_without_its_secret_production_is_refused(overlay: Manifests, tmp_path: Path) -> None:
    """The check above is one: with a setting of production missing the command ends with status 2."""
    environ = environment_of(next(iter(overlay.pods)), overlay) | {"ENVIRONMENT": "production"}
    del environ["SENTRY_DSN"]
    command = [str(Path(sys.executable).with_name("prethrift-backend")), "config"]
    done = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 2
    assert "SENTRY_DSN" in done.stderr


def test_the_ports_are_the_servers(overlay: Manifests) -> None:
    """Container, Service, probes and PodMonitor meet on PORT."""
    (port,) = overlay.server["ports"]
    (service,) = overlay.only("Service")["spec"]["ports"]
    ends = overlay.only("PodMonitor")["spec"]["podMetricsEndpoints"]
    probes = [overlay.server[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness", "readiness")]

    assert str(port["containerPort"]) == overlay.configuration["PORT"]
    assert {service["targetPort"], *probes, *(end["port"] for end in ends)} == {port["name"]}


def test_the_probes_ask_what_there_is(overlay: Manifests) -> None:
    """Liveness looks at no resource, readiness at all that a request needs."""
    asked = {kind: overlay.server[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}

    assert asked == {"startup": "/health/live", "liveness": "/health/live", "readiness": "/health/ready"}
    assert set(asked.values()) <= _paths()


def test_the_probes_wait_longer_than_an_answer_takes(overlay: Manifests) -> None:
    """A slow check is the process's to report; a probe that gives up first would report something else."""
    for kind in ("startup", "liveness", "readiness"):
        probe = overlay.server[f"{kind}Probe"]

        assert probe["timeoutSeconds"] > READY_DEADLINE_SECONDS
        assert kind == "startup" or probe["periodSeconds"] > probe["timeoutSeconds"]


def test_the_grace_period_covers_the_end_of_the_process(overlay: Manifests) -> None:
    """Drain, requests under way and closing fit, so that nothing is killed."""
    settings = load(environ=environment_of(next(iter(overlay.pods)), overlay), dotenv=None).settings
    spec = overlay.only("Deployment")["spec"]["template"]["spec"]
    needed_seconds = settings.drain_seconds + server_http.GRACEFUL_SHUTDOWN_SECONDS + CLOSING_SECONDS

    assert spec["terminationGracePeriodSeconds"] > needed_seconds
    assert "lifecycle" not in overlay.server  # a preStop would take its time from the same period


def test_the_drain_outlasts_a_readiness_probe(overlay: Manifests) -> None:
    """Whoever asks for readiness hears of the end before the socket closes."""
    probe = overlay.server["readinessProbe"]

    assert float(overlay.configuration["DRAIN_SECONDS"]) > probe["periodSeconds"] * probe["failureThreshold"]


def test_one_process_a_pod(overlay: Manifests) -> None:
    """Replicas are Kubernetes' to count."""
    assert overlay.configuration["WORKERS"] == "1"
    assert overlay.server["args"] == ["serve"]
    assert container_of(overlay.only("Job")["spec"]["template"])["args"] == ["migrate"]


def test_the_memory_has_room_for_what_was_measured(overlay: Manifests) -> None:
    """The check of memory is not degraded by the small models, which are the least that a pod needs."""
    limit_bytes = _bytes(overlay.server["resources"]["limits"]["memory"])

    assert f"about {MEASURED_BYTES // 1_000_000} MB a worker" in (ROOT / "README.md").read_text()
    assert limit_bytes * DEGRADED_SHARE > MEASURED_BYTES
    assert overlay.server["resources"]["requests"]["memory"] == overlay.server["resources"]["limits"]["memory"]


def test_the_memory_is_what_the_image_is_tested_with(overlay: Manifests) -> None:
    """The test of the image runs server and migration within the same limits."""
    migration = container_of(overlay.only("Job")["spec"]["template"])

    limits = [container["resources"]["limits"]["memory"] for container in (overlay.server, migration)]
    assert limits == [
        f"{memory.removesuffix(unit)}{unit.upper()}i"
        for memory, unit in ((SERVER_MEMORY, "g"), (MIGRATION_MEMORY, "m"))
    ]


def test_no_pod_has_rights_that_it_does_not_need(overlay: Manifests) -> None:
    """A number for a user, nothing to write to but /tmp, no capability, no way to more, no token."""
    for pod in overlay.pods:
        spec, container = pod["spec"], container_of(pod)
        assert spec["securityContext"]["runAsNonRoot"]
        assert isinstance(spec["securityContext"]["runAsUser"], int)
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        }
        writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
        assert writable == ["/tmp"]  # noqa: S108 - in the container
        assert spec["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & spec.keys()


def test_the_user_is_that_of_the_image(overlay: Manifests) -> None:
    """The image's user is a number, and the same, so that its files and its /tmp belong to it."""
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    for pod in overlay.pods:
        context = pod["spec"]["securityContext"]
        assert (str(context["runAsUser"]), str(context["runAsGroup"])) == user


def test_the_version_is_the_tag(overlay: Manifests) -> None:
    """What logs, traces and errors call the version is what runs."""
    for pod in overlay.pods:
        _, _, tag = container_of(pod)["image"].rpartition(":")
        assert pod["metadata"]["labels"]["app.kubernetes.io/version"] == tag
    assert environment_of(next(iter(overlay.pods)), overlay)["SERVICE_VERSION"] == tag


@pytest.mark.parametrize("kind", ["staging", "production"])
def test_an_overlay_is_an_environment(kind: str, deploy_tools: None) -> None:
    """The folder's name is the ENVIRONMENT, which decides the defaults."""
    text = (ROOT / "ops/kubernetes/overlays" / kind / "kustomization.yaml").read_text()

    assert f"ENVIRONMENT={kind}" in yaml.safe_load(text)["configMapGenerator"][0]["literals"]
