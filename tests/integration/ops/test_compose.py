"""ops/compose.yaml: docker compose reads it, and its parts find one another and the files of ops/."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from tests.support.deploy_tools import run_program
from tests.support.manifests import ROOT

from prethrift_backend.config import Settings, load
from prethrift_backend.contracts import load_settings_contract
from prethrift_backend.stores import ImageStore

OPS = ROOT / "ops"
MACHINE = "machine"
# Of the libraries below us, not settings of ours.
FOREIGN_NAMES = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "HF_HUB_OFFLINE"}
# Where the services of others listen, as their images come or as they are told to.
PORTS = {
    "postgres": 5432,
    "s3": 5000,
    "otel-collector": 4318,
    "prometheus": 9090,
    "alertmanager": 9093,
    "jaeger": 16686,
}
# Headers of exporters that are in no pipeline here: empty is as good as anything.
EMPTY_NAMES = {"HONEYCOMB_API_KEY", "GRAFANA_OTLP_KEY"}

Project = dict[str, Any]


@pytest.fixture(scope="module")
def project(deploy_tools: None) -> Project:
    """Read the file with docker compose, which refuses what it does not know."""
    found: Project = json.loads(
        run_program("docker-compose", ["--file", str(OPS / "compose.yaml"), "config", "--format", "json"])
    )
    return found


def _service(project: Project, name: str) -> Project:
    found: Project = project["services"][name]
    return found


def _is_on_the_machine(project: Project, name: str) -> bool:
    return _service(project, name).get("network_mode") == f"service:{MACHINE}"


def test_the_whole_stack_is_there(project: Project) -> None:
    """The backend and its parts, and all that watches it."""
    parts = {"backend", "migrate", "bucket", "postgres", "s3"}
    watchers = {"prometheus", "alertmanager", "grafana", "otel-collector", "jaeger"}

    assert project["services"].keys() == parts | watchers | {MACHINE}


def test_what_is_mounted_is_there(project: Project) -> None:
    """The engine would make an empty folder of a path that is missing, and say nothing."""
    mounts = [
        volume
        for service in project["services"].values()
        for volume in service.get("volumes", ())
        if volume["type"] == "bind"
    ]

    assert [mount["source"] for mount in mounts if not Path(mount["source"]).exists()] == []
    assert all(mount["read_only"] for mount in mounts)
    assert {Path(mount["source"]).relative_to(OPS).parts[0] for mount in mounts} == {
        "alertmanager",
        "grafana",
        "otel-collector",
        "prometheus",
    }


@pytest.mark.parametrize("name", ["prometheus", "alertmanager", "otel-collector"])
def test_each_part_reads_what_is_mounted(project: Project, name: str) -> None:
    """The files that a command names are in its container."""
    service = _service(project, name)
    named = re.findall(r"--config(?:\.file)?=(\S+)", " ".join(service["command"]))
    mounted = {volume["target"]: volume.get("source") for volume in service["volumes"]}
    configured = {config["target"] for config in service.get("configs", ())}

    assert named
    for path in named:
        folder, _, file = path.rpartition("/")
        assert path in mounted or path in configured or (Path(mounted[folder]) / file).is_file()


def test_every_port_is_on_loopback(project: Project) -> None:
    """The stack has no password that is one."""
    ports = [port for service in project["services"].values() for port in service.get("ports", ())]

    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}
    assert {port["target"] for port in ports} == {8000, 9090, 9093, 3000, 16686}


@pytest.mark.parametrize("name", ["backend", "migrate"])
def test_the_environment_passes_the_settings_own_checks(project: Project, name: str) -> None:
    """Every name is a setting, every value is good, and none looks misspelt."""
    environ = _service(project, name)["environment"]
    names = {setting.name for setting in load_settings_contract().settings}

    assert environ.keys() - FOREIGN_NAMES <= names
    assert load(environ=environ, dotenv=None).warnings == ()


@pytest.mark.parametrize("name", ["DATABASE_URL", "AWS_ENDPOINT_URL_S3", "OTLP_ENDPOINT"])
def test_the_backend_asks_services_of_the_stack(project: Project, name: str) -> None:
    """By their names, on the ports on which they listen."""
    address = urlsplit(_service(project, "backend")["environment"][name])

    assert address.hostname in project["services"]
    assert address.port == PORTS[address.hostname]


def test_prometheus_finds_its_targets_on_its_own_machine(project: Project) -> None:
    """The addresses of ops/prometheus are those of services that share its network."""
    configuration = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text())
    scraped = {
        target
        for job in configuration["scrape_configs"]
        for part in job["static_configs"]
        for target in part["targets"]
    }
    told = {
        target
        for part in configuration["alerting"]["alertmanagers"]
        for config in part["static_configs"]
        for target in config["targets"]
    }

    assert all(_is_on_the_machine(project, name) for name in ("backend", "prometheus", "alertmanager"))
    assert scraped == {f"127.0.0.1:{_service(project, 'backend')['environment']['PORT']}"}
    assert told == {f"127.0.0.1:{PORTS['alertmanager']}"}


def test_grafana_has_what_its_files_ask_for(project: Project) -> None:
    """Every variable of the provisioning is set; Prometheus and Jaeger are of this stack."""
    environ = _service(project, "grafana")["environment"]
    text = "".join(path.read_text() for path in (OPS / "grafana" / "provisioning").rglob("*.yaml"))
    text += "".join(path.read_text() for path in (OPS / "grafana" / "provisioning").rglob("*.yml"))
    (folder,) = re.findall(r"^\s*path: (\S+)$", text, re.MULTILINE)

    assert set(re.findall(r"\$\{(\w+)\}", text)) <= environ.keys()
    assert environ["PROMETHEUS_URL"] == f"http://{MACHINE}:{PORTS['prometheus']}"
    assert environ["JAEGER_URL"] == f"http://jaeger:{PORTS['jaeger']}"
    assert folder in {volume["target"] for volume in _service(project, "grafana")["volumes"]}


def test_the_collector_exports_to_jaeger_alone(project: Project) -> None:
    """What is written over its file reaches every pipeline of it, and every variable without a default has a value."""
    text = (OPS / "otel-collector" / "sampling.yaml").read_text()
    given, over = yaml.safe_load(text), yaml.safe_load(project["configs"]["here"]["content"])
    pipelines = {
        name: pipeline | over["service"]["pipelines"].get(name, {})
        for name, pipeline in given["service"]["pipelines"].items()
    }
    used = {exporter for pipeline in pipelines.values() for exporter in pipeline["exporters"]}

    assert over["service"]["pipelines"].keys() <= given["service"]["pipelines"].keys()
    assert used == {"otlp/jaeger", "debug", "datadog/connector"}
    assert pipelines["traces"]["exporters"] == ["otlp/jaeger"]
    environ = _service(project, "otel-collector")["environment"]
    assert set(re.findall(r"\$\{env:(\w+)\}", text)) - EMPTY_NAMES <= environ.keys()
    # The collector checks every exporter's settings, used or not: a key of Datadog's has to look like one.
    assert re.fullmatch("[0-9a-fA-F]{32}", environ["DD_API_KEY"])


async def test_the_bucket_is_made_for_the_backend(project: Project, s3_endpoint: str) -> None:
    """The one request makes it, again does no harm, and the backend finds it in its region."""
    command = _service(project, "bucket")["command"]
    environ = _service(project, "backend")["environment"]
    method, address = command[command.index("--request") + 1], urlsplit(command[-1])
    settings = Settings(
        aws_endpoint_url_s3=s3_endpoint, images_bucket=environ["IMAGES_BUCKET"], aws_region=environ["AWS_REGION"]
    )
    assert f"{address.scheme}://{address.netloc}" == environ["AWS_ENDPOINT_URL_S3"]
    assert environ["AWS_REGION"] == "us-east-1"  # where a bucket is whose request names no region

    async with httpx.AsyncClient(base_url=s3_endpoint, trust_env=False) as client:
        answers = [await client.request(method, address.path) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    store = ImageStore.from_settings(settings)
    await store.open()
    try:
        await store.probe()  # raises what is wrong with it
    finally:
        await store.aclose()


@pytest.mark.parametrize("name", ["backend", "migrate"])
def test_the_backend_has_no_rights_that_it_does_not_need(project: Project, name: str) -> None:
    """As in Kubernetes: nothing to write to but /tmp, no capability, no way to more."""
    service = _service(project, name)

    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - in the container


def test_the_build_takes_arguments_of_the_dockerfile(project: Project) -> None:
    """One service builds the image that three run."""
    build = _service(project, MACHINE)["build"]
    arguments = re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert Path(build["context"]) == ROOT
    assert build["args"].keys() <= set(arguments)
    assert {_service(project, name)["image"] for name in (MACHINE, "backend", "migrate")} == {"prethrift-backend"}
