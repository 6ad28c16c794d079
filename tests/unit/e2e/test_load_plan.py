"""The plan of the end-to-end session's load: the same from the same seed, at its rate, with its mix."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from tests.e2e.load import MIX, STATUSES, plan

ITEMS = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")


def test_the_same_seed_makes_the_same_requests() -> None:
    """Kinds, paths, ids and times are equal, and another seed makes others."""
    first, again, other = (list(islice(plan(seed, items=ITEMS), 300)) for seed in (1, 1, 2))

    assert first == again
    assert [one.path for one in first] != [one.path for one in other]


def test_requests_leave_evenly_and_end() -> None:
    """At ten a second for three seconds thirty are due, each a tenth of a second after the one before."""
    due = [one.due_seconds for one in plan(1, items=ITEMS, rate=10, seconds=3)]

    assert due == pytest.approx([number / 10 for number in range(30)])


def test_the_mix_is_as_its_weights() -> None:
    """Of ten thousand requests each kind has its share, within a third."""
    counted = Counter(one.kind for one in islice(plan(5, items=ITEMS), 10_000))
    whole = sum(kind.weight for kind in MIX)

    for kind in MIX:
        assert counted[kind.name] == pytest.approx(10_000 * kind.weight / whole, rel=0.34)
    assert set(STATUSES) == set(counted)


def test_each_request_can_be_followed() -> None:
    """No request id and no traceparent comes twice, and a traceparent is one by its form."""
    planned = list(islice(plan(5, items=ITEMS), 2_000))

    assert len({one.request_id for one in planned}) == len({one.traceparent for one in planned}) == 2_000
    assert all([len(part) for part in one.traceparent.split("-")] == [2, 32, 16, 2] for one in planned)
