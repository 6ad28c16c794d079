"""Contracts held against an application and its source: every promise has a producer, every producer a promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import prethrift_backend
from prethrift_backend.contracts import Contracts, MetricFamily
from prethrift_backend.verify.application import Application
from prethrift_backend.verify.findings import Finding, Item, Place
from prethrift_backend.verify.items import items_of
from prethrift_backend.verify.lint.events import EventChecks
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.metric_calls import family_uses
from prethrift_backend.verify.lint.metric_uses import MetricUses
from prethrift_backend.verify.lint.registry import Registered, check_registry, registered_families
from prethrift_backend.verify.lint.routes import check_routes, route_items
from prethrift_backend.verify.lint.setting_model import check_environment, check_settings_model
from prethrift_backend.verify.lint.source import Source, joined, read_files, read_source
from prethrift_backend.verify.lint.span_producers import SpanProducers
from prethrift_backend.verify.lint.word_lists import check_word_lists

_PACKAGE: Final = prethrift_backend.__name__
# What checks and develops has no part in what the application says.
_TOOLS: Final = ("verify", "devstack", "cli.py", "probe.py", "pytest_plugin.py")


@dataclass(frozen=True)
class CodeChecks:
    """The contracts, the application that is to keep them, and its source."""

    contracts: Contracts
    application: Application

    @cached_property
    def own(self) -> Source:
        """The source that is judged: the application's package."""
        application = self.application
        if application.source_files:
            return read_files(application.source_files)
        folder, package = application.source_folder, application.package
        return Source(()) if folder is None else read_source(folder, package, without=_tools(package))

    @cached_property
    def source(self) -> Source:
        """The source that may keep a promise: the package, and this one where its telemetry is used."""
        if self.application.telemetry is None or self.application.package == _PACKAGE:
            return self.own
        ours = read_source(Path(prethrift_backend.__file__).parent, _PACKAGE, without=_tools(_PACKAGE))
        return joined([self.own, ours])

    @cached_property
    def _registered(self) -> Mapping[str, Registered]:
        return registered_families(self.application.registry)

    @cached_property
    def _events(self) -> EventChecks | None:
        return None if self.contracts.logs is None else EventChecks(self.contracts.logs, self.own, self.source)

    @cached_property
    def _spans(self) -> SpanProducers | None:
        return None if self.contracts.spans is None else SpanProducers(self.contracts.spans, self.own, self.source)

    def findings(self) -> Iterator[Finding]:
        """Say where code and contracts differ."""
        contracts, application = self.contracts, self.application
        yield from check_registry(contracts.metrics, self._registered)
        is_bound = application.metrics is not None
        yield from MetricUses(contracts.metrics, self.own, self.source, is_bound=is_bound).findings()
        if not is_bound:
            yield from self._unregistered()
        if self._events is not None:
            yield from self._events.findings()
        if self._spans is not None:
            yield from self._spans.findings()
        if contracts.settings is not None:
            if application.settings_model is not None:
                yield from check_settings_model(contracts.settings, application.settings_model)
            yield from check_environment(contracts.settings, self.own)
        yield from check_word_lists(contracts, self.own)
        if application.endpoints:
            yield from check_routes(contracts, application.endpoints)

    def _unregistered(self) -> Iterator[Finding]:
        made = self._registered.keys() | {use.name for use in family_uses(self.source) if use.is_made}
        for family in self.contracts.metrics.families:
            if family.name not in made and _why_absent(family) is None:
                about = About("metrics", family.name, Place(self.contracts.metrics.source, family.line))
                message = f"{family.name!r} is promised, and nothing registers it"
                yield about.fault("V006", message, "make it where the application is made, or take it away")

    def items(self) -> tuple[Item, ...]:
        """Return every item of the contracts and every promised path, with what could not be looked at and why."""
        why_no_routes = None if self.application.endpoints else "the application keeps no routes that can be read"
        found = [self._judged(item) for item in items_of(self.contracts)]
        return (*found, *route_items(self.contracts, why_not=why_no_routes))

    def _judged(self, item: Item) -> Item:
        reason = self._why_not(item)
        return item if reason is None else Item(item.signal, item.name, item.place, reason)

    def _why_not(self, item: Item) -> str | None:
        application = self.application
        if item.signal == "settings" and application.settings_model is None:
            return "no class of settings was found in the application's package"
        if item.signal in ("logs", "spans") and not self.source.modules:
            return "the application's source cannot be read"
        if item.signal == "logs" and self._events is not None:
            return self._events.why_unjudged(self._events.contract.event(item.name))
        if item.signal == "spans" and self._spans is not None:
            return self._spans.why_unjudged(self._spans.contract.span(item.name))
        if item.signal == "metrics" and application.metrics is None:
            family = self.contracts.metrics.family(item.name)
            return None if family.name in self._registered else _why_absent(family)
        return None


def _why_absent(family: MetricFamily) -> str | None:
    """Return why a family need not be registered here, None where it has to be."""
    feature = family.presence.removeprefix("if=")
    return (
        f"it is there where the feature {feature!r} is, which this application may lack"
        if "=" in family.presence
        else None
    )


def _tools(package: str) -> tuple[str, ...]:
    return _TOOLS if package == _PACKAGE else ()
