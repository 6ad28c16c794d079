"""How near the process is to the end of its memory: the limit of its control group, or of the host.

What kills a process in a container is the limit of a control group, its own or one above it, and what counts against
the limit is the working set: usage less the file pages that the kernel would drop first (the kubelet reckons so, too).
Libraries that read the host's memory miss both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from prethrift_backend.health.check import CheckCode, CheckFailed
from prethrift_backend.health.status import HealthStatus

DEGRADED_SHARE: Final = 0.85
UNHEALTHY_SHARE: Final = 0.95

# Version 1 writes "no limit" as the largest multiple of a page that fits; no machine has an eighth of that.
_NO_LIMIT_BYTES: Final = 2**60


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The use that is nearest to its limit; ``oom_kills`` is None where the kernel does not count them."""

    source: str
    used_bytes: int
    limit_bytes: int
    oom_kills: int | None = None

    @property
    def share(self) -> float:
        """Return used of limit; 1 means that the next page kills."""
        return self.used_bytes / self.limit_bytes

    def details(self) -> dict[str, object]:
        """Return the figures under the names that the health endpoint shows."""
        details: dict[str, object] = {
            "source": self.source,
            "used_bytes": self.used_bytes,
            "limit_bytes": self.limit_bytes,
            "used_share": round(self.share, 4),
        }
        return details if self.oom_kills is None else details | {"oom_kills": self.oom_kills}


@dataclass(frozen=True, slots=True)
class _Version:
    """Where one version of control groups keeps what, below the folder of a group."""

    source: str
    mounts: tuple[str, ...]
    limit: str
    usage: str
    inactive: str
    events: str


# With both versions mounted ("hybrid"), version 2 lies in `unified` and mostly without a memory controller.
_VERSION_2: Final = _Version(
    "cgroup2",
    ("sys/fs/cgroup", "sys/fs/cgroup/unified"),
    "memory.max",
    "memory.current",
    "inactive_file",
    "memory.events",
)
_VERSION_1: Final = _Version(
    "cgroup1",
    ("sys/fs/cgroup/memory",),
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    "total_inactive_file",
    "memory.oom_control",
)


def check_memory(root: Path = Path("/")) -> Mapping[str, object]:
    """Check that the memory is within its limit; return the figures. Reads a few small files below ``root``.

    Raises:
        CheckFailed: memory_high from 85 % on, as unhealthy from 95 % on; not_found, as degraded, where no figure can
            be read.
    """
    use = read_memory(root)
    if use is None:
        raise CheckFailed(CheckCode.NOT_FOUND, status=HealthStatus.DEGRADED)
    if use.share >= UNHEALTHY_SHARE:
        raise CheckFailed(CheckCode.MEMORY_HIGH, status=HealthStatus.UNHEALTHY, details=use.details())
    if use.share >= DEGRADED_SHARE:
        raise CheckFailed(CheckCode.MEMORY_HIGH, details=use.details())
    return use.details()


def read_memory(root: Path = Path("/")) -> MemoryUse | None:
    """Return the use that is nearest to its limit, of version 2, else 1, else the host; None if nothing is readable."""
    for version in (_VERSION_2, _VERSION_1):
        uses = list(_uses(root, version))
        if uses:
            return max(uses, key=lambda use: use.share)
    return _host_use(root)


def _uses(root: Path, version: _Version) -> Iterator[MemoryUse]:
    """Yield the use of each group, from ours up to the root, that has a limit."""
    path = _group_path(root, version)
    if path is None:
        return
    for mount in version.mounts:
        for folder in _ancestry(root / mount, path):
            use = _use(folder, version)
            if use is not None:
                yield use


def _group_path(root: Path, version: _Version) -> PurePosixPath | None:
    """Return the path of our group: of the line `0::PATH` for version 2, of `N:...memory...:PATH` for version 1."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        is_ours = number == "0" if version is _VERSION_2 else "memory" in controllers.split(",")
        if is_ours:
            return PurePosixPath(path)
    return None


def _ancestry(mount: Path, path: PurePosixPath) -> Iterator[Path]:
    # A container often sees its own group as the mount itself, while the path is still that of the host, or begins
    # with "..": whatever of it does not exist here yields nothing, and the mount itself always counts.
    names = [name for name in path.parts if name not in {"/", ".."}]
    for length in range(len(names), -1, -1):
        yield mount.joinpath(*names[:length])


def _use(folder: Path, version: _Version) -> MemoryUse | None:
    limit_bytes = _number(folder / version.limit)  # None for "max", and for the root, which has no such file
    used_bytes = _number(folder / version.usage)
    if not limit_bytes or limit_bytes >= _NO_LIMIT_BYTES or used_bytes is None:
        return None
    inactive_bytes = _table(folder / "memory.stat").get(version.inactive, 0)
    oom_kills = _table(folder / version.events).get("oom_kill")
    return MemoryUse(version.source, max(0, used_bytes - inactive_bytes), limit_bytes, oom_kills)


def _host_use(root: Path) -> MemoryUse | None:
    table = _table(root / "proc/meminfo")
    total_kib, available_kib = table.get("MemTotal:"), table.get("MemAvailable:")
    if not total_kib or available_kib is None:
        return None
    return MemoryUse("host", (total_kib - available_kib) * 1024, total_kib * 1024)


def _number(file: Path) -> int | None:
    text = _text(file).strip()
    return int(text) if text.isdecimal() else None


def _table(file: Path) -> dict[str, int]:
    """Read lines of a name and a whole number; what follows them and any other line is left out."""
    rows = (line.split() for line in _text(file).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _text(file: Path) -> str:
    """Return the text of ``file``, empty when it cannot be read."""
    with suppress(OSError):
        return file.read_text(encoding="ascii", errors="replace")
    return ""
