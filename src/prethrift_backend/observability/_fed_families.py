"""The families that this package feeds, and what a contract of somebody else's may not change of them."""

from __future__ import annotations

from typing import Final

from prethrift_backend.contracts import MetricsContract, load_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability import _names

_NAMES: Final = frozenset(value for value in vars(_names).values() if isinstance(value, str))


def check_fed_families(contract: MetricsContract) -> None:
    """Raise ContractError where a family that is fed here has another type or other labels than it is fed with.

    Values of labels, buckets and bounds are the contract's to choose. With other labels every use would be refused,
    and without strict mode nobody would hear of it: the family would stay empty.
    """
    ours = {family.name: family for family in load_metrics().families if family.name in _NAMES}
    faults = []
    for family in contract.families:
        fed = ours.get(family.name)
        if fed is not None and (family.kind, set(family.label_names)) != (fed.kind, set(fed.label_names)):
            labels = f"the labels {', '.join(fed.label_names)}" if fed.labels else "no label"
            faults.append(
                f"{contract.source}:{family.line}: family {family.name!r} is fed by the telemetry as a {fed.kind} with "
                f"{labels}: declare it so, or give yours another name"
            )
    if faults:
        raise ContractError("\n".join(faults))
