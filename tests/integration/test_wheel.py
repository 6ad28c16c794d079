"""The package as others get it: a wheel in a clean environment, far from the source tree."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the source tree."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    _succeed(command)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel without extras into an environment of its own; give its command."""
    environment = tmp_path_factory.mktemp("clean")
    _succeed([sys.executable, "-m", "venv", str(environment)])
    pip = [str(environment / "bin/python"), "-m", "pip", "install", "-q"]
    command = [*pip, "-c", str(ROOT / "constraints.txt"), str(wheel)]
    _succeed(command)
    return environment / "bin/prethrift-backend"


def _succeed(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def _run(command: Path, *arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    inherited = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        [command, *arguments],
        cwd=folder,
        env=inherited | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_wheel_carries_the_contracts_and_the_development_models(wheel: Path) -> None:
    """Every file of contracts/ and of the small CLIP is in the wheel, once."""
    names = zipfile.ZipFile(wheel).namelist()
    contracts = {f"prethrift_backend/contracts/data/{file.name}" for file in (ROOT / "contracts").iterdir()}

    assert contracts <= set(names)
    assert "prethrift_backend/devstack/clip/model.safetensors" in names
    assert len(names) == len(set(names))


def test_the_wheel_announces_the_fixtures(wheel: Path) -> None:
    """Whoever installs the wheel beside pytest has its fixtures."""
    with zipfile.ZipFile(wheel) as archive:
        (announced,) = [name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt")]
        text = archive.read(announced).decode()

    assert "[pytest11]\nprethrift_telemetry = prethrift_backend.pytest_plugin\n" in text


@pytest.mark.timeout(400)
def test_the_command_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    """`prethrift-backend config` works in a clean environment, in a folder that is not the source tree."""
    done = _run(installed, "config", folder=tmp_path, PORT="8123")

    assert done.returncode == 0, done.stderr
    assert "8123" in done.stdout


def test_the_installed_package_finds_its_contracts(installed: Path, tmp_path: Path) -> None:
    """The contracts are read from inside the installed package, not from a source tree."""
    script = (
        "from prethrift_backend.contracts import find_contracts, load_metrics; load_metrics(); print(find_contracts())"
    )
    done = _run(installed.with_name("python"), "-c", script, folder=tmp_path)

    assert done.stdout.strip().endswith("prethrift_backend/contracts/data"), done.stderr


def test_a_missing_extra_is_named_with_the_line_that_installs_it(installed: Path, tmp_path: Path) -> None:
    """`dev` without the extras ends with status 2 and the literal install line."""
    done = _run(installed, "dev", folder=tmp_path)

    assert done.returncode == 2
    assert "pip install 'prethrift-backend[embeddings,dev]'" in done.stderr


def test_every_fault_of_the_configuration_is_reported_before_anything_starts(installed: Path, tmp_path: Path) -> None:
    """`serve` with two faults names both, with rule and fix, and ends with status 2."""
    done = _run(installed, "serve", folder=tmp_path, PORT="http", TRACE_SAMPLE_RATE="1.5")

    assert done.returncode == 2
    assert "PORT='http'" in done.stderr
    assert "TRACE_SAMPLE_RATE='1.5'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["fmt", "--check"], ["rules"], ["docs", "--out", "reference"]],
    ids=" ".join,
)
def test_what_reads_contracts_alone_needs_no_extra(installed: Path, tmp_path: Path, arguments: list[str]) -> None:
    """`contracts` starts without the extra, and what asks no server and reads no query does its work."""
    done = _run(installed, "contracts", *arguments, folder=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify", "http://127.0.0.1:1"],
        ["verify", "--app", "shop:app"],
        ["record", "http://127.0.0.1:1", "--out", "drafts"],
        ["lint-queries", "rules.yml"],
        ["lint", "--no-app"],
    ],
    ids=" ".join,
)
def test_a_command_on_contracts_names_the_extra(installed: Path, tmp_path: Path, arguments: list[str]) -> None:
    """What needs the extra ends with status 2 and the literal install line, and leaves nothing behind."""
    (tmp_path / "rules.yml").write_text("groups: [{name: a, rules: [{record: a:b, expr: up}]}]\n")
    done = _run(installed, "contracts", *arguments, folder=tmp_path)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "pip install 'prethrift-backend[contracts]'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["rules.yml"]


def test_coverage_says_that_it_needs_pytest(installed: Path, tmp_path: Path) -> None:
    """`coverage` without pytest ends with status 2 and the line that installs it."""
    done = _run(installed, "contracts", "coverage", folder=tmp_path)

    assert done.returncode == 2
    assert "pip install pytest" in done.stderr
