"""Panels of single families: title, unit, description and query follow the contract.

A family or a label that the contract has not is refused when the panel is made, so that no panel asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.dashboards.model import SELECTOR, Panel, Query

_UNITS: Final = {"seconds": "s", "bytes": "bytes", "ratio": "percentunit"}
_WRITTEN_OUT: Final = {"http": "HTTP", "db": "Database"}
_ENDINGS: Final = ("_total", "_seconds", "_bytes", "_ratio", "_timestamp", "_info")
_QUANTILES: Final = (0.5, 0.95, 0.99)
_WINDOW: Final = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Families:
    """Makes panels of the families of one contract; ``selector`` narrows all of their queries."""

    contract: MetricsContract
    selector: str = SELECTOR

    def rate(self, name: str, *by: str, only: str = "", otherwise_zero: bool = False) -> Panel:
        """Show how often a counter counts, or a histogram observes, per second, by some of its labels.

        ``otherwise_zero`` draws 0 where no series is there yet, which is so of what comes with the first error.
        """
        family = self._family(name, *by)
        series = name if family.kind == "counter" else f"{name}_count"
        query = _grouped("sum", by, f"rate({series}{self._braces(only)}[{_WINDOW}])")
        query += " or on() vector(0)" if otherwise_zero else ""
        unit = "reqps" if name == "http_requests_total" else "cps"
        title = f"{heading(family)}{_by(by)}, {'' if family.kind == 'counter' else 'number '}per second"
        return _panel(family, title, unit, Query(query, _legend(by)))

    def increase(self, name: str, *by: str) -> Panel:
        """Show how much a counter rose in each step; 0 where it has no series yet."""
        family = self._family(name, *by)
        query = _grouped("sum", by, f"increase({name}{self._braces()}[{_WINDOW}])") + " or on() vector(0)"
        return _panel(family, f"{heading(family)}{_by(by)}", "short", Query(query, _legend(by)))

    def gauge(self, name: str, *by: str, only: str = "") -> Panel:
        """Show a gauge, put together as the contract says that workers' values are."""
        family = self._family(name, *by)
        query = _grouped(family.across, by, f"{name}{self._braces(only)}")
        return _panel(family, f"{heading(family)}{_by(by)}", unit_of(family), Query(query, _legend(by)))

    def age(self, name: str, *by: str) -> Panel:
        """Show how long ago the time was that a gauge holds."""
        family = self._family(name, *by)
        query = f"time() - {_grouped(family.across, by, name + self._braces())}"
        title = f"Time since {_lowered(heading(family))}{_by(by)}"
        return _panel(family, title, "s", Query(query, _legend(by)))

    def quantiles(self, name: str, by: str = "", *, only: str = "") -> Panel:
        """Show the median, the 95th and the 99th percentile; or the 95th by one label. Exemplars link to traces."""
        family = self._family(name, *((by,) if by else ()))
        shares = (0.95,) if by else _QUANTILES
        queries = tuple(
            Query(
                self.quantile(name, share, *((by,) if by else ()), only=only),
                f"{{{{{by}}}}}" if by else f"{share * 100:g} %",
                exemplars=share == 0.95,
            )
            for share in shares
        )
        title = f"{heading(family)}, 95th percentile{_by((by,))}" if by else f"{heading(family)}, percentiles"
        return _panel(family, title, unit_of(family), *queries)

    def slowest(self, name: str) -> Panel:
        """Show what 95 % of all observations are within, with a title that fits a small panel."""
        family = self._family(name)
        return _panel(family, f"{heading(family)}, 95 %", unit_of(family), Query(self.quantile(name, 0.95)))

    def quantile(self, name: str, share: float, *by: str, only: str = "") -> str:
        """Return the query for one quantile over all series of a histogram, or by some labels."""
        self._family(name, *by)
        buckets = f"rate({name}_bucket{self._braces(only)}[{_WINDOW}])"
        return f"histogram_quantile({share:g}, {_grouped('sum', ('le', *by), buckets)})"

    def heatmap(self, name: str) -> Panel:
        """Show how many observations each bucket got, with exemplars."""
        family = self._family(name)
        query = f"sum by (le) (increase({name}_bucket{self._braces()}[{_WINDOW}]))"
        drawn = _panel(family, f"{heading(family)}, by bucket", unit_of(family), Query(query, "{{le}}", exemplars=True))
        return replace(drawn, kind="heatmap")

    def share(self, name: str, title: str, *by: str, part: str) -> Panel:
        """Show which share of a counter is ``part``, a matcher; 0 where that has no series yet."""
        family = self._family(name, *by)
        return _panel(family, title, "percentunit", Query(self.ratio(name, *by, part=part), _legend(by)))

    def ratio(self, name: str, *by: str, part: str) -> str:
        """Return the query for that share."""
        whole = _grouped("sum", by, f"rate({name}{self._braces()}[{_WINDOW}])")
        some = _grouped("sum", by, f"rate({name}{self._braces(part)}[{_WINDOW}])")
        return f"({some} or {f'{whole} * 0' if by else 'vector(0)'}) / {whole}"

    def within(self, name: str, bound: float, *by: str) -> Panel:
        """Show which share of a histogram's observations was at most ``bound``, which is one of its buckets.

        Raises ContractError where it is none.
        """
        family = self._family(name, *by)
        if bound not in family.buckets:
            raise ContractError(f"{name} has no bucket {bound:g}: a share can be told at {family.buckets}; choose one")
        bucket = self._braces(f'le="{bound:g}"')
        below = _grouped("sum", by, f"rate({name}_bucket{bucket}[{_WINDOW}])")
        query = f"{below} / {_grouped('sum', by, f'rate({name}_count{self._braces()}[{_WINDOW}])')}"
        title = f"{heading(family)}, share within {bound:g} s{_by(by)}"
        return _panel(family, title, "percentunit", Query(query, _legend(by)))

    def labels(self, name: str, *by: str) -> Panel:
        """Show in a table how many instances have which values of labels."""
        family = self._family(name, *by)
        query = _grouped("count", by, name + self._braces())
        table = _panel(family, f"{heading(family)}, instances{_by(by)}", "short", Query(query))
        return replace(table, kind="table")

    def _family(self, name: str, *labels: str) -> MetricFamily:
        family = self.contract.family(name)
        strange = sorted(set(labels) - {*family.label_names, "instance"})
        if strange:
            raise ContractError(f"{name} has no label {strange[0]!r}: choose one of {', '.join(family.label_names)}")
        return family

    def _braces(self, more: str = "") -> str:
        return f"{{{self.selector}{',' if more else ''}{more}}}"


def heading(family: MetricFamily) -> str:
    """Return the name of a family in words, as titles begin: ``db_pool_wait_seconds`` is "Database pool wait"."""
    name = family.name
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    first, *rest = name.split("_")
    return " ".join([_WRITTEN_OUT.get(first, first.capitalize()), *(_WRITTEN_OUT.get(word, word) for word in rest)])


def unit_of(family: MetricFamily) -> str:
    """Return Grafana's name of a family's unit."""
    return _UNITS.get(family.unit or "", "short")


def describe(family: MetricFamily) -> str:
    """Say what the contract says of a family, the text of a panel's description."""
    told = f"{family.help}\n\n`{family.name}`: {family.kind}, {family.stability}"
    told += f" since {family.since}" if family.since else ""
    if not family.buckets:
        return f"{told}."
    unit = f" {family.unit}" if family.unit else ""
    return (
        f"{told}. Buckets from {family.buckets[0]:g} to {family.buckets[-1]:g}{unit}: no percentile is above the last."
    )


def _panel(family: MetricFamily, title: str, unit: str, *queries: Query) -> Panel:
    return Panel(title=title, description=describe(family), unit=unit, queries=queries)


def _grouped(how: str, by: tuple[str, ...], inner: str) -> str:
    return f"{how} by ({', '.join(by)}) ({inner})" if by else f"{how}({inner})"


def _legend(by: tuple[str, ...]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in by)


def _by(by: tuple[str, ...]) -> str:
    *others, last = (label.replace("_", " ") for label in by or ("",))
    return f" by {', '.join(others)}{' and ' if others else ''}{last}" if last else ""


def _lowered(text: str) -> str:
    return text if text.startswith("HTTP") else text[0].lower() + text[1:]
