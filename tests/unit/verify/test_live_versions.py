"""A deployment that rolls: a process of another version is held against the contract of that version."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.recorded_service import CONTRACTS, RecordedService

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.live.options import LiveOptions, LiveRun
from prethrift_backend.verify.live.versions import VersionRange, find_released, parse_range
from prethrift_backend.verify.verdict import INCONCLUSIVE, VERIFIED, VIOLATED, exit_status

RUNNING = "1.1.0"  # the version that the recording has


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """Make the contracts of the next version, without a family of the one that runs."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    text = (folder / "metrics.txt").read_text().replace("metrics 1.1.0", "metrics 1.2.0", 1)
    blocks = [block for block in text.split("\n\n") if "# TYPE build_info" not in block]
    assert len(blocks) == text.count("\n\n")
    (folder / "metrics.txt").write_text("\n\n".join(blocks))
    return folder


def _release(folder: Path) -> Path:
    released = folder / "released" / RUNNING
    shutil.copytree(CONTRACTS, released)
    return released


def _verify(contracts: Path, versions: str | None = None, released: Path | None = None) -> LiveRun:
    allowed = None if versions is None else parse_range(versions)
    return RecordedService().verify(LiveOptions(versions=allowed, released=released), contracts)


def _rules(run: LiveRun) -> set[str]:
    return {finding.rule for finding in run.outcome.findings}


def _identity(run: LiveRun) -> str:
    return next(stage.note for stage in run.stages if stage.name == "identity")


def test_an_older_version_is_held_against_its_own_contract(newer: Path) -> None:
    """What that version promises is what counts, its families included; the report says that it is older."""
    released = _release(newer)

    run = _verify(newer, "1.1..1.2")

    assert _rules(run) == set()
    assert exit_status(run.outcome, "error") == VERIFIED
    assert _identity(run) == "contract 1.1.0, older than 1.2.0"
    built = next(item for item in run.outcome.items if item.name == "build_info")
    assert built.place is not None
    assert built.place.path == str(released / "metrics.txt")


def test_the_version_at_hand_is_equal() -> None:
    """Nothing is looked up where the process has the contract at hand."""
    assert _identity(_verify(CONTRACTS, "1.0..1.1")) == "contract 1.1.0, equal"


def test_a_newer_version_is_called_so(newer: Path) -> None:
    """A rollback has the newer process and the older contract."""
    text = (newer / "metrics.txt").read_text().replace("metrics 1.2.0", "metrics 1.0.0", 1)
    (newer / "metrics.txt").write_text(text)

    run = _verify(newer, "1.0..1.1", _release(newer).parent)

    assert (_rules(run), _identity(run)) == (set(), "contract 1.1.0, newer than 1.0.0")


@pytest.mark.parametrize("versions", [None, "1.2..1.3", "0.9..1.0"])
def test_a_version_that_is_not_allowed_is_a_violation(newer: Path, versions: str | None) -> None:
    """That its contract is at hand does not allow it."""
    _release(newer)

    run = _verify(newer, versions)

    assert "LV021" in _rules(run)
    assert exit_status(run.outcome, "error") == VIOLATED


def test_an_allowed_version_without_its_contract_is_inconclusive(newer: Path) -> None:
    """There is nothing to hold the process against; the text says where was looked."""
    run = _verify(newer, "1.1..1.2")

    assert "LV021" not in _rules(run)
    assert f"contract 1.1.0 is allowed, and neither {newer / 'released'}" in run.outcome.inconclusive[0]


def test_another_text_of_a_released_version_is_a_violation(newer: Path) -> None:
    """A released contract does not change."""
    path = _release(newer) / "metrics.txt"
    path.write_text(path.read_text() + "# a word more\n")

    assert _rules(_verify(newer, "1.1..1.2")) == {"LV022"}


def test_two_allowed_versions_behind_one_address_are_no_fault(newer: Path) -> None:
    """Each connection may come to another process; which one is compared is the first."""
    _release(newer)
    service = RecordedService()
    service.from_scrape(5, 'version="1.1.0"', 'version="1.2.0"')

    allowed = service.verify(LiveOptions(versions=parse_range("1.1..1.2")), newer)
    refused = service.verify(LiveOptions(), CONTRACTS)

    assert "LV114" not in _rules(allowed)
    assert exit_status(refused.outcome, "error") in (VIOLATED, INCONCLUSIVE)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    """Before anything is asked."""
    with pytest.raises(ContractError, match="--released"):
        _verify(CONTRACTS, "1.0..1.1", tmp_path / "none")


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_a_tag_of_git_has_the_contract_of_its_release(newer: Path) -> None:
    """Without a folder of releases the tag whose files have the version is found, whatever it is called."""
    _git(newer, "init", "-q")
    next_text = (newer / "metrics.txt").read_text()
    for tag, text in (("first", (CONTRACTS / "metrics.txt").read_text()), ("second", next_text)):
        (newer / "metrics.txt").write_text(text)
        _git(newer, "add", ".")
        _git(newer, "commit", "-q", "-m", tag)
        _git(newer, "tag", tag)

    found = find_released(RUNNING, folder=newer, released=None)

    assert found is not None
    assert (found.origin, found.contract.version) == ("first", RUNNING)
    assert _rules(_verify(newer, "1.1..1.2")) == set()
    assert find_released("7.0.0", folder=newer, released=None) is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("1.0..1.1", ["1.0.0", "1.0.9", "1.1.0", "1.1.7"], ["0.9.9", "1.2.0", "2.0.0"]),
        ("1.0.1..1.1.2", ["1.0.1", "1.1.2"], ["1.0.0", "1.1.3"]),
        ("2..3", ["2.0.0", "3.9.9"], ["1.9.9", "4.0.0"]),
        ("1.4", ["1.4.0", "1.4.2"], ["1.3.9", "1.5.0"]),
        ("1.9..1.10", ["1.10.3"], ["1.1.0", "1.11.0", "next", ""]),
    ],
)
def test_a_range_has_both_its_ends(text: str, inside: list[str], outside: list[str]) -> None:
    """A short end stands for every version that begins so."""
    versions = parse_range(text)

    assert [version in versions for version in inside + outside] == [True] * len(inside) + [False] * len(outside)
    assert 1.0 not in versions


@pytest.mark.parametrize("text", ["", "..", "1.0..", "1.1..1.0", "a..b", "1.0.0.0", "1,0..1,1", "1.0-1.1"])
def test_a_range_that_cannot_be_meant_is_refused(text: str) -> None:
    """The text is shown."""
    with pytest.raises(ValueError, match="'"):
        parse_range(text)


def test_a_range_is_shown_as_it_is_written() -> None:
    """Reports name it."""
    assert str(VersionRange((1, 0), (1, 1))) == "1.0..1.1"
