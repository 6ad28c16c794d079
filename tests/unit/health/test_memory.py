"""Memory by the control group, on trees of files as Linux shows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from prethrift_backend.health import CheckCode, CheckFailed, HealthStatus, MemoryUse, check_memory, read_memory

MIB = 2**20
V1_NO_LIMIT = "9223372036854771712"


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write a tree of files below ``root`` and return it."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def group_2(folder: str, *, limit: int | str, used: int, inactive: int = 0, oom_kills: int = 0) -> dict[str, str]:
    """Return the files of a group of version 2."""
    return {
        f"sys/fs/cgroup/{folder}/memory.max": f"{limit}\n",
        f"sys/fs/cgroup/{folder}/memory.current": f"{used}\n",
        f"sys/fs/cgroup/{folder}/memory.stat": f"anon 1\ninactive_file {inactive}\nactive_file 7\n",
        f"sys/fs/cgroup/{folder}/memory.events": f"low 0\noom 3\noom_kill {oom_kills}\n",
    }


def group_1(folder: str, *, limit: int | str, used: int, inactive: int = 0, oom_kills: int = 0) -> dict[str, str]:
    """Return the files of a group of version 1."""
    return {
        f"sys/fs/cgroup/memory/{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"sys/fs/cgroup/memory/{folder}/memory.usage_in_bytes": f"{used}\n",
        f"sys/fs/cgroup/memory/{folder}/memory.stat": f"inactive_file 1\ntotal_inactive_file {inactive}\n",
        f"sys/fs/cgroup/memory/{folder}/memory.oom_control": f"under_oom 0\noom_kill {oom_kills}\n",
    }


def host(*, total_mib: int = 1000, available_mib: int = 900) -> dict[str, str]:
    """Return the host's own figures."""
    return {
        "proc/meminfo": f"MemTotal:  {total_mib * 1024} kB\nMemFree: 5 kB\nMemAvailable: {available_mib * 1024} kB\n"
    }


OURS_2 = {"proc/self/cgroup": "0::/app\n"}
OURS_1 = {"proc/self/cgroup": "5:cpu,cpuacct:/app\n4:memory:/app\n0::/\n"}


def test_version_2_is_read_less_the_pages_that_go_first(tmp_path: Path) -> None:
    """The use is memory.current less inactive_file, the limit memory.max, and the kills are counted."""
    files = OURS_2 | host() | group_2("app", limit=100 * MIB, used=70 * MIB, inactive=30 * MIB, oom_kills=2)

    assert read_memory(write(tmp_path, files)) == MemoryUse("cgroup2", 40 * MIB, 100 * MIB, 2)


def test_version_1_is_read_with_its_own_names(tmp_path: Path) -> None:
    """Where version 2 has no memory controller, version 1 says limit, use and kills."""
    files = OURS_1 | host() | group_1("app", limit=100 * MIB, used=70 * MIB, inactive=30 * MIB, oom_kills=1)

    assert read_memory(write(tmp_path, files)) == MemoryUse("cgroup1", 40 * MIB, 100 * MIB, 1)


def test_version_2_comes_before_version_1(tmp_path: Path) -> None:
    """A group of version 2 with a limit counts, whatever version 1 says."""
    files = OURS_1 | group_2("", limit=100 * MIB, used=MIB) | group_1("app", limit=10 * MIB, used=MIB)

    use = read_memory(write(tmp_path, files))

    assert use is not None
    assert use.source == "cgroup2"


@pytest.mark.parametrize("group", [group_2, group_1])
def test_a_smaller_group_above_ours_is_the_limit(tmp_path: Path, group: type) -> None:
    """What kills is the tightest group on the way to the root, with the use of that group, its other children's too."""
    path = "pods/pod/app"
    files = {"proc/self/cgroup": f"4:memory:/{path}\n0::/{path}\n"}
    files |= group(path, limit=200 * MIB, used=20 * MIB) | group("pods/pod", limit=100 * MIB, used=90 * MIB)
    files |= group("pods", limit=1000 * MIB, used=100 * MIB)

    use = read_memory(write(tmp_path, files))

    assert use is not None
    assert (use.used_bytes, use.limit_bytes) == (90 * MIB, 100 * MIB)


@pytest.mark.parametrize("path", ["/", "/docker/0123abcd", "/../../elsewhere", "/kubepods/pod1/../x"])
def test_a_container_sees_its_group_as_the_mount(tmp_path: Path, path: str) -> None:
    """Where the path is that of the host, or leads out of what is visible, the mount itself is our group."""
    files = {"proc/self/cgroup": f"0::{path}\n"} | host() | group_2("", limit=100 * MIB, used=50 * MIB)

    assert read_memory(write(tmp_path, files)) == MemoryUse("cgroup2", 50 * MIB, 100 * MIB, 0)


@pytest.mark.parametrize(
    "files",
    [
        OURS_2 | group_2("app", limit="max", used=50 * MIB),
        OURS_1 | group_1("app", limit=V1_NO_LIMIT, used=50 * MIB),
        OURS_2 | group_2("app", limit="nonsense", used=50 * MIB),
        OURS_2 | group_2("app", limit=0, used=50 * MIB),
        {"proc/self/cgroup": "garbage\n\n:::\n"},
        {},
    ],
)
def test_without_a_limit_the_host_counts(tmp_path: Path, files: dict[str, str]) -> None:
    """Where no group has a limit ("max", or its number in version 1), the memory of the machine is left."""
    use = read_memory(write(tmp_path, files | host(total_mib=1000, available_mib=600)))

    assert use == MemoryUse("host", 400 * MIB, 1000 * MIB)


def test_a_file_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    """A group whose limit cannot be read does not hide the one above it."""
    files = {"proc/self/cgroup": "0::/pod/app\n"} | group_2("pod", limit=100 * MIB, used=10 * MIB)
    write(tmp_path, files | group_2("pod/app", limit=5 * MIB, used=MIB))
    limit = tmp_path / "sys/fs/cgroup/pod/app/memory.max"
    limit.unlink()
    limit.mkdir()  # reading it fails for root, too

    assert read_memory(tmp_path) == MemoryUse("cgroup2", 10 * MIB, 100 * MIB, 0)


def test_use_below_nothing_is_nothing(tmp_path: Path) -> None:
    """The two files are not read at one moment; a difference below zero is none."""
    files = OURS_2 | group_2("app", limit=100 * MIB, used=MIB, inactive=2 * MIB)

    use = read_memory(write(tmp_path, files))

    assert use is not None
    assert use.used_bytes == 0


def test_memory_far_from_its_limit_is_well(tmp_path: Path) -> None:
    """Just below 85 % the check passes, and tells the figures."""
    details = check_memory(write(tmp_path, OURS_2 | group_2("app", limit=100 * MIB, used=84 * MIB)))

    assert details == {
        "source": "cgroup2",
        "used_bytes": 84 * MIB,
        "limit_bytes": 100 * MIB,
        "used_share": 0.84,
        "oom_kills": 0,
    }


@pytest.mark.parametrize(
    ("used_mib", "status"),
    [(85, HealthStatus.DEGRADED), (94, HealthStatus.DEGRADED), (95, HealthStatus.UNHEALTHY)],
)
def test_the_check_falls_at_its_two_marks(tmp_path: Path, used_mib: int, status: HealthStatus) -> None:
    """From 85 % on memory is degraded, from 95 % on unhealthy, and the figures are told."""
    write(tmp_path, OURS_2 | group_2("app", limit=100 * MIB, used=used_mib * MIB))

    with pytest.raises(CheckFailed) as caught:
        check_memory(tmp_path)

    assert (caught.value.code, caught.value.status) == (CheckCode.MEMORY_HIGH, status)
    assert caught.value.details["used_share"] == used_mib / 100


def test_memory_that_cannot_be_read_is_said_to_be_unknown(tmp_path: Path) -> None:
    """A system without any of the files is degraded, not found; it is neither well nor down."""
    with pytest.raises(CheckFailed) as caught:
        check_memory(tmp_path)

    assert (caught.value.code, caught.value.status) == (CheckCode.NOT_FOUND, HealthStatus.DEGRADED)


def test_this_machine_can_be_read() -> None:
    """The real files of whatever runs the tests give a use between nothing and the limit."""
    use = read_memory()

    assert use is None or 0 < use.share < 1.5  # None: not Linux
