"""Whether the version of a contract moved as far as its changes need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prethrift_backend.verify.diff.changes import BUMPS, Bump, Change, parse_version
from prethrift_backend.verify.findings import Signal

_UNVERSIONED = "0.0.0"


def version_changes(
    signal: Signal, before: str, after: str, *, bump: Bump, changes: Sequence[Change]
) -> Iterator[Change]:
    """Return how the version of a file whose text is another breaks the rules for versions.

    A list without a version has none to raise.
    """
    if before == _UNVERSIONED:
        return
    old, new = parse_version(before), parse_version(after)
    shown = f"{_next(old, bump)} or later", after
    fix = f"write '# CONTRACT {signal} {_next(old, bump)}'"
    if new < old:
        message = f"the version of the {signal} went down from {before}"
        yield Change("V002", signal, "CONTRACT", message, line=1, fix=fix).shown(*shown)
        return
    if new == old:
        message = f"the {signal} changed under the version {before}"
        yield Change("V002", signal, "CONTRACT", message, line=1, fix=fix).shown(*shown)
    if bump != "patch" and not _reaches(old, new, bump):
        message = f"for {_because(changes, bump)} a {bump} version has to follow {before}"
        yield Change("V001", signal, "CONTRACT", message, line=1, fix=fix).shown(*shown)


def _reaches(old: tuple[int, ...], new: tuple[int, ...], bump: Bump) -> bool:
    # Before 1.0.0 a minor version may break (semver.org, 4).
    parts = 1 if bump == "major" and old[0] > 0 else 2
    return new[:parts] > old[:parts]


def _next(old: tuple[int, ...], bump: Bump) -> str:
    major, minor, patch = old
    if bump == "major" and major > 0:
        return f"{major + 1}.0.0"
    return f"{major}.{minor}.{patch + 1}" if bump == "patch" else f"{major}.{minor + 1}.0"


def _because(changes: Sequence[Change], bump: Bump) -> str:
    rules = sorted({change.rule for change in changes if BUMPS.index(change.needed_bump) >= BUMPS.index(bump)})
    return " and ".join([", ".join(rules[:-1]), rules[-1]] if len(rules) > 1 else rules)


def health_version_changes(before: int | None, after: int | None, *, changes: Sequence[Change]) -> Iterator[Change]:
    """Return how the major version in ``$id`` breaks the rules; a schema has no minor one."""
    if before is None:
        return
    shown = f"…:{before + 1}", "none" if after is None else f"…:{after}"
    if after is None or after < before:
        yield Change("V002", "health", "$id", f"the version of the schema went down from {before}").shown(*shown)
    elif after == before and any(change.needed_bump == "major" for change in changes):
        message = f"for {_because(changes, 'major')} a major version has to follow {before}"
        yield Change("V001", "health", "$id", message, fix=f"end $id with ':{before + 1}'").shown(*shown)
