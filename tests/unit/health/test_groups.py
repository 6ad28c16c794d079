"""Groups as data, and each check at a path of its own."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from tests.unit.health._parts import Harness, ScriptedCheck, statuses, valid_body

from prethrift_backend.health import (
    DetailsGate,
    HealthEndpoint,
    HealthGroup,
    HealthResponse,
    HealthStatus,
    readiness_of,
)

GOOD, WARN, BAD = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY


class _Grouped(Harness):
    """Three checks in three groups."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.database, self.s3, self.model = ScriptedCheck(), ScriptedCheck(), ScriptedCheck()
        self.registry.register("database", self.database)
        self.registry.register("s3", self.s3, critical=False)
        self.registry.register("model", self.model)
        self.lifecycle.mark_ready()
        self.grouped = HealthEndpoint(
            self.engine,
            self.lifecycle,
            version="1",
            environment="production",
            gate=DetailsGate("authorized", token="t"),
            groups=[
                HealthGroup("storage", ("database", "s3")),
                HealthGroup("strict", ("s3",), {WARN: 429}),
                HealthGroup("traffic", judge=readiness_of),
            ],
        )


def _codes(response: HealthResponse) -> tuple[int, str, str | None]:
    body = valid_body(response)
    return response.status_code, body["status"], body.get("reason")


async def test_group_is_made_of_its_checks() -> None:
    """Only its checks are run and shown, and only they decide."""
    stack = _Grouped()
    stack.model.fail()

    answer = await stack.grouped.answer_group("storage")

    assert statuses(valid_body(answer)) == [("database", "healthy"), ("s3", "healthy")]
    assert _codes(answer) == (200, "healthy", None)
    assert stack.model.runs == 0


async def test_group_has_its_own_codes() -> None:
    """The HTTP mapping is the group's: the same state has another code there."""
    stack = _Grouped()
    stack.s3.fail()

    assert _codes(await stack.grouped.answer_group("storage")) == (200, "degraded", None)
    assert _codes(await stack.grouped.answer_group("strict")) == (429, "degraded", None)


async def test_group_has_its_own_aggregation() -> None:
    """A group may look at the life cycle as readiness does; another one does not."""
    stack = _Grouped()
    stack.lifecycle.start_draining()

    assert _codes(await stack.grouped.answer_group("traffic")) == (503, "unhealthy", "draining")
    assert _codes(await stack.grouped.answer_group("storage")) == (200, "healthy", None)


@pytest.mark.parametrize("name", ["database", "s3"])
async def test_check_path_is_judged_by_that_check_alone(name: str) -> None:
    """Critical or not, a check that is unhealthy is 503 at its own path, and the others there are not."""
    stack = _Grouped()
    getattr(stack, name).fail()

    answers = {other: await stack.grouped.answer_check(other) for other in ("database", "s3", "model")}

    assert {other: answer.status_code for other, answer in answers.items()} == {
        other: 503 if other == name else 200 for other in answers
    }
    assert statuses(valid_body(answers[name])) == [(name, "unhealthy")]


async def test_check_path_counts_as_the_whole_does() -> None:
    """A single failure shows and does not move anything: the path has hysteresis as well."""
    stack = _Grouped()
    await stack.run_checks()
    stack.s3.fail()
    await stack.run_checks()

    assert _codes(await stack.grouped.answer_check("s3")) == (200, "degraded", None)
    await stack.run_checks(2)
    assert _codes(await stack.grouped.answer_check("s3")) == (503, "unhealthy", None)


async def test_check_path_shows_details_by_the_policy() -> None:
    """Details are for the bearer of the token, and the answer says that it depends on that."""
    stack = _Grouped()

    public = await stack.grouped.answer_check("database")
    private = await stack.grouped.answer_check("database", authorization="Bearer t")

    assert valid_body(public)["checks"][0]["details"] == {}
    assert valid_body(private)["checks"][0]["details"]["code"] == "ok"
    assert dict(public.headers)["vary"] == "Authorization"
    assert dict(public.headers)["cache-control"] == "no-store"


@pytest.mark.parametrize("what", ["check", "group"])
async def test_head_agrees_with_get(what: str) -> None:
    """HEAD has the code and the headers of GET, for a name that exists and for one that does not."""
    stack = _Grouped()
    answer: Any = stack.grouped.answer_check if what == "check" else stack.grouped.answer_group

    for name in ("s3", "storage", "nobody"):
        get, head = await answer(name), await answer(name, method="HEAD")

        assert (head.status_code, head.body) == (get.status_code, b"")
        assert [key for key, _ in head.headers] == [key for key, _ in get.headers]


@pytest.mark.parametrize("what", ["check", "group"])
async def test_unknown_name_is_told_what_exists(what: str) -> None:
    """A name that does not exist is 404, with the names that do and without the one that was asked for."""
    stack = _Grouped()
    answer: Any = stack.grouped.answer_check if what == "check" else stack.grouped.answer_group

    response = await answer("<script>")
    body = orjson.loads(response.body)

    assert response.status_code == 404
    assert dict(response.headers)["content-type"] == "application/problem+json"
    assert dict(response.headers)["cache-control"] == "no-store"
    assert body["code"] == f"{what}_not_found"
    assert body[f"{what}s"] == {"check": ["database", "s3", "model"], "group": ["storage", "strict", "traffic"]}[what]
    assert b"script" not in response.body


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_other_methods_are_refused(method: str) -> None:
    """The paths of checks and groups are read only."""
    stack = _Grouped()

    answers = [
        await stack.grouped.answer_check("s3", method=method),
        await stack.grouped.answer_group("storage", method=method),
    ]

    assert [(answer.status_code, dict(answer.headers)["allow"]) for answer in answers] == [(405, "GET, HEAD")] * 2


async def test_broken_health_code_is_unhealthy_at_these_paths_too() -> None:
    """A fault inside is a valid 503 with the reason "internal"."""
    stack = _Grouped()

    async def refresh(**_: object) -> None:
        raise RuntimeError

    stack.engine.refresh = refresh  # type: ignore[method-assign,assignment] # the point is to break it

    assert _codes(await stack.grouped.answer_check("s3")) == (503, "unhealthy", "internal")
    assert _codes(await stack.grouped.answer_group("storage")) == (503, "unhealthy", "internal")


def _made(**options: Any) -> HealthGroup:
    return HealthGroup(**{"name": "x", **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "No Name"}, "group name 'No Name' cannot be used"),
        ({"name": ""}, "group name '' cannot be used"),
        ({"statuses": {GOOD: 99}}, "99 for 'healthy' is not an HTTP code"),
        ({"statuses": {"fine": 200}}, "'fine' is not a valid HealthStatus"),
        ({"deadline_seconds": 0}, "deadline_seconds=0 is not above 0"),
        ({"deadline_seconds": float("nan")}, "deadline_seconds=nan is not above 0"),
    ],
)
def test_group_that_cannot_be_is_refused(options: dict[str, Any], words: str) -> None:
    """A group with a name, code or deadline that is none does not come to be."""
    with pytest.raises(ValueError, match=words):
        _made(**options)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ([HealthGroup("x", ("nobody",))], "group 'x' names the check 'nobody', which is not registered"),
        ([HealthGroup("x"), HealthGroup("x")], "group name 'x' is taken"),
    ],
)
def test_groups_are_held_against_the_registry(groups: list[HealthGroup], words: str) -> None:
    """A group of checks that do not exist is refused at the start and not at the first probe."""
    harness = Harness()

    with pytest.raises(ValueError, match=words):
        HealthEndpoint(harness.engine, harness.lifecycle, version="1", environment="staging", groups=groups)
