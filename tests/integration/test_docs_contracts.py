"""What docs/contracts.md says, done as a newcomer does it: its files are written, its commands run, in order."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tests.support.documents import DocumentRun, blocks_of, commands_of

from prethrift_backend.verify.verdict import UNUSABLE, VERDICTS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contracts.md").read_text()
BLOCKS = blocks_of(PAGE)
WORKFLOW = next(block.text for block in BLOCKS if block.word.endswith("workflows/contracts.yml"))
# Some fifty commands, each a process of its own.
pytestmark = pytest.mark.timeout(600)
STEPS = {step["name"]: step["run"] for step in yaml.safe_load(WORKFLOW)["jobs"]["contracts"]["steps"] if "name" in step}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DocumentRun]:
    """Do all that the page says, and hold what is printed against what it shows."""
    with DocumentRun(tmp_path_factory.mktemp("newcomer")) as document:
        for block in BLOCKS:
            document.run(block)
        yield document


def test_the_page_leads_from_nothing_to_a_verified_service(run: DocumentRun) -> None:
    """Every command ends and prints as shown; at the end the service keeps its contracts."""
    options = "--contracts contracts --live-path '' --ready-path '' --probe"

    status, printed = run.output_of(f"prethrift-backend contracts verify http://127.0.0.1:8000 {options}")

    assert status == 0, printed


def test_every_step_of_the_workflow_succeeds(run: DocumentRun) -> None:
    """The job is green for the folder that the page has made, the step with a server of its own too."""
    run.stop_server()
    run.output_of("git add -A && git commit -q -m 'Look at it in CI' && git update-ref refs/remotes/origin/main HEAD")

    ended = {
        name: run.output_of(f"{script}\nstatus=$?; kill $! 2>/dev/null; exit $status") for name, script in STEPS.items()
    }

    assert list(ended) == ["form", "lint", "diff", "coverage", "verify"]
    assert {name: printed for name, (status, printed) in ended.items() if status != 0} == {}
    assert (run.folder / "lint.sarif").is_file()


def test_the_alerts_ask_for_what_the_file_has(run: DocumentRun) -> None:
    """Each metric of the alerts is in the textfile that the command writes."""
    alerts = yaml.safe_load((run.folder / "alerts.yml").read_text())
    asked = {name for rule in alerts["groups"][0]["rules"] for name in re.findall(r"contract_\w+", rule["expr"])}

    exposed = set(re.findall(r"^# TYPE (\S+)", (run.folder / "contracts.prom").read_text(), re.MULTILINE))
    assert asked
    assert asked <= exposed


def test_what_is_installed_is_what_there_is() -> None:
    """The extra that the page names is one of the package."""
    (block,) = (block for block in BLOCKS if block.word == "install")
    (command,) = commands_of(block.text)
    needed = Requirement(command.text.split()[2].strip("'"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert needed.name == project["name"]
    assert needed.extras <= project["optional-dependencies"].keys()


def test_the_table_has_every_status() -> None:
    """Its words are those of the verdicts."""
    told = dict(re.findall(r"^\| (\d+) \| (\w+)", PAGE, re.MULTILINE))

    assert told == {
        **{str(status): word for status, word in VERDICTS.items()},
        str(UNUSABLE): "unusable",
        "130": "interrupted",
    }


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE))))
def test_every_link_leads_somewhere(path: str) -> None:
    """A file that the page links to is there."""
    assert (ROOT / "docs" / path).resolve().exists()
