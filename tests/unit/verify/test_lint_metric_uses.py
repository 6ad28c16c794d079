"""The uses of metrics in a source against a metrics contract."""

from __future__ import annotations

import pytest

from prethrift_backend.contracts import parse_metrics
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.metric_uses import MetricUses
from prethrift_backend.verify.lint.source import Source, read_module

CONTRACT = parse_metrics(
    """# CONTRACT metrics 1.0.0
# HELP parcels_total Sent ones.
# TYPE parcels_total counter
# LABEL parcels_total kind enum small|large
# LABEL parcels_total endpoint open max=10
# SERIES parcels_total max=20
# EXTERNAL process_*
""",
    source="metrics.txt",
)
TAKEN = "parcels = metrics.counter('parcels_total'); use(parcels)\n"
MADE = (
    "from prometheus_client import Counter, Gauge\nparcels = Counter('parcels', 'Sent ones.', ('kind', 'endpoint'))\n"
)


def _findings(text: str, *, is_bound: bool = True) -> list[Finding]:
    source = Source([read_module(text, name="shop.parcels", path="/src/shop/parcels.py")])
    return list(MetricUses(CONTRACT, source, source, is_bound=is_bound).findings())


@pytest.mark.parametrize(
    "use",
    [
        "parcels.labels(kind='small', endpoint=template).inc()",
        "parcels.labels('large', endpoint_template(scope)).inc()",
        "parcels.labels(**labels).inc()",
        "metrics.family('parcels_total').labels(kind=kind, endpoint=request.scope['route'].path).inc()",
        "parcels.labels(kind=kind, endpoint=self._endpoint()).inc()",
    ],
)
def test_a_use_as_promised_is_no_finding(use: str) -> None:
    """The promised labels, with values that are words or templates, make no finding."""
    assert _findings(TAKEN + use) == []


@pytest.mark.parametrize(
    "use",
    [
        "parcels.labels(kind='small').inc()",
        "parcels.labels('small').inc()",
        "parcels.labels(kind='small', route=r).inc()",
        "unknown.labels(kind=k, colour=c).inc()",
    ],
)
def test_other_labels_are_found(use: str) -> None:
    """A label that is dropped, added or renamed is CD003, by name and by place."""
    assert [finding.rule for finding in _findings(TAKEN + use)] == ["CD003"]


def test_a_value_that_is_not_promised_is_found() -> None:
    """A literal outside of a closed list is CD009."""
    (finding,) = _findings(f"{TAKEN}parcels.labels(kind='huge', endpoint=e).inc()")

    assert (finding.rule, finding.name, str(finding.place)) == ("CD009", "parcels_total", "/src/shop/parcels.py:2")


@pytest.mark.parametrize(
    "use",
    [
        (
            "class A:\n def f(self):\n  self._sent = find('parcels_total')\n"
            " def g(self, e):\n  family: Family | None = self._sent\n  family.labels(kind='huge', endpoint=e).inc()\n"
            " def h(self):\n  family = self._other\n"
        ),
        "def f(metrics):\n sent = metrics.counter('parcels_total')\n def g(e):\n  sent.labels('huge', e).inc()\n",
        "def f(e):\n one = two = parcels\n one.labels(kind='huge', endpoint=e).inc()\n",
    ],
)
def test_a_family_is_known_by_another_name(use: str) -> None:
    """A local name, of a function or the one around it, stands for what it was assigned there."""
    assert [finding.rule for finding in _findings(TAKEN + use)] == ["CD009"]


@pytest.mark.parametrize(
    "use",
    [
        (
            "def f(metrics):\n family = metrics.counter('parcels_total')\n"
            "def g(family):\n family.labels(kind='huge', endpoint=e).inc()\n"
        ),
        "class A:\n def f(self, family):\n  self.family = family\n  family.labels(kind='huge', endpoint=e).inc()\n",
        "def f(some):\n for family in some:\n  family.labels(kind='huge', endpoint=e).inc()\n",
    ],
)
def test_a_family_that_is_given_is_not_known(use: str) -> None:
    """A parameter of one function is not the variable of that name in another."""
    assert _findings(TAKEN + use) == []


@pytest.mark.parametrize(
    "value",
    [
        "request.url.path",
        "str(request.url)",
        "scope['path']",
        "self.scope['path'].lower()",
        "scope.get('path', '/')",
        "f'/items/{item_id}'",
        "request.headers['user-agent']",
        "request.path_params['id']",
        "user.email",
        "user_id",
        "str(uuid4())",
        "str(len(parcels))",
        "'/items/' + item.item_id",
    ],
)
def test_what_a_visitor_sent_is_no_value_of_a_label(value: str) -> None:
    """Raw paths, addresses and ids are CD006."""
    found = _findings(f"{TAKEN}parcels.labels(kind='small', endpoint={value}).inc()")

    assert [finding.rule for finding in found if finding.rule != "CD009"] == ["CD006"]


def test_a_raw_path_in_a_variable_is_found_in_its_function() -> None:
    """A name counts by what the function assigned it; the same name elsewhere does not."""
    use = "def f(request):\n    e = request.url.path\n    parcels.labels(kind='small', endpoint=e).inc()\n"
    other = "def g(e):\n    parcels.labels(kind='small', endpoint=e).inc()\n"

    assert [str(finding.place) for finding in _findings(TAKEN + use + other)] == ["/src/shop/parcels.py:4"]


def test_a_family_made_past_the_contract_is_found() -> None:
    """Where families are made from the contract, one by hand is CD005, even under a promised name."""
    rules = [finding.rule for finding in _findings(f"{TAKEN}from prometheus_client import Gauge\nGauge('x', 'X.')")]

    assert rules == ["CD005"]


def test_a_plain_application_makes_its_families_by_hand() -> None:
    """Without a bound set of metrics a promised family may be made, and one that is not promised is V006."""
    assert _findings(MADE, is_bound=False) == []
    (finding,) = _findings(f"{MADE}Gauge('shelves', 'Free ones.')", is_bound=False)
    assert (finding.rule, finding.name) == ("V006", "shelves")


def test_something_else_that_is_called_a_counter_is_passed_over() -> None:
    """Counter of the standard library counts no metric."""
    assert _findings(f"{TAKEN}from collections import Counter\nCounter('abc')") == []


def test_a_family_that_is_taken_and_not_promised_is_found() -> None:
    """A renamed family is V006 where it is taken, and where it is promised and nobody feeds it."""
    found = _findings("metrics.counter('parcel_total').labels(kind='small', endpoint=e)")

    assert [(finding.rule, finding.name) for finding in found] == [("V006", "parcel_total"), ("V006", "parcels_total")]


def test_a_family_that_is_taken_as_another_type_is_found() -> None:
    """A gauge of a counter's name is CD001."""
    assert [finding.rule for finding in _findings("metrics.gauge('parcels_total')")] == ["CD001"]


def test_an_external_family_is_nobody_s_promise() -> None:
    """What EXTERNAL names may be taken and made."""
    assert _findings(f"{TAKEN}metrics.find('process_open_fds')") == []
