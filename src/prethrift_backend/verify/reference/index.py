"""The first page of the reference: which contracts it is made from, and which files it has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.reference.markdown import code, page, paragraph, table, text

_INTRO = (
    "What the service promises to say of itself, generated from its contracts. Change the contracts, never these "
    "files; `prethrift-backend contracts docs` writes them anew, and `--check` says whether they are up to date."
)


def render_index(contracts: Contracts, files: Iterable[str]) -> str:
    """Return ``index.md``; ``files`` are the other files of the reference."""
    versions = table(("contract", "version", "sha256"), _versions(contracts))
    return page("Reference", [paragraph(_INTRO), "## Contracts", versions, "## Files", _listed(files)])


def _versions(contracts: Contracts) -> Iterator[tuple[str, str, str]]:
    texts = (contracts.metrics, contracts.logs, contracts.spans, contracts.settings, contracts.overhead)
    for name, contract in zip(("metrics", "logs", "spans", "settings", "overhead"), texts, strict=True):
        if contract is not None:
            yield code(f"{name}.txt"), text(contract.version), code(contract.sha256)
    if contracts.health_schema is not None:
        content = (contracts.directory / "health.schema.json").read_bytes()
        schema_id = str(contracts.health_schema.get("$id", ""))
        yield (
            code("health.schema.json"),
            code(schema_id) if schema_id else "",
            code(hashlib.sha256(content).hexdigest()),
        )


def _listed(files: Iterable[str]) -> str:
    return "\n".join(f"- [{name}]({name})" for name in sorted(files))
