"""Results, codes and words of one check."""

from __future__ import annotations

from typing import cast

import pytest

from prethrift_backend.contracts import load_health_schema
from prethrift_backend.exceptions import DatabaseUnavailableError, EmbeddingQueueFullError, ModelsNotReadyError
from prethrift_backend.health import CheckCode, CheckFailed, CheckWording, HealthCheck, HealthStatus
from prethrift_backend.health.check import DEFAULT_SENTENCES


class ShopClosedError(Exception):
    """An error of a user's own."""


def test_status_may_be_a_plain_string() -> None:
    """A status written as its word becomes the enum."""
    assert HealthCheck("x", cast("HealthStatus", "degraded")).status is HealthStatus.DEGRADED


def test_unknown_status_is_refused() -> None:
    """A fourth status cannot be made."""
    with pytest.raises(ValueError, match="fine"):
        HealthCheck("x", cast("HealthStatus", "fine"))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), CheckCode.TIMEOUT),
        (ConnectionRefusedError(), CheckCode.UNREACHABLE),
        (PermissionError(), CheckCode.FORBIDDEN),
        (FileNotFoundError(), CheckCode.NOT_FOUND),
        (DatabaseUnavailableError(), CheckCode.UNREACHABLE),
        (ModelsNotReadyError(), CheckCode.LOADING),
        (EmbeddingQueueFullError(), CheckCode.BUSY),
        (CheckFailed("wrong_dimension"), CheckCode.WRONG_DIMENSION),
        (RuntimeError("anything"), CheckCode.INTERNAL),
    ],
)
def test_code_follows_the_type_of_the_error(error: Exception, code: CheckCode) -> None:
    """The code is chosen by the nearest class of the error, and is internal when none fits."""
    assert CheckWording().code_of(error) is code


def test_registration_may_name_codes_for_its_errors() -> None:
    """A registration's own classes come before the defaults."""
    wording = CheckWording(codes={ShopClosedError: CheckCode.BUSY})

    assert wording.code_of(ShopClosedError()) is CheckCode.BUSY


def test_registration_may_word_a_code() -> None:
    """A sentence of the registration replaces the default one for its code only."""
    wording = CheckWording({CheckCode.OK: "Database connection successful"})

    assert wording.sentence(CheckCode.OK) == "Database connection successful"
    assert wording.sentence(CheckCode.TIMEOUT) == DEFAULT_SENTENCES[CheckCode.TIMEOUT]


@pytest.mark.parametrize("sentence", ["", "two\nlines", "x" * 201])
def test_sentence_that_cannot_be_shown_is_refused(sentence: str) -> None:
    """A sentence is one line of reasonable length, checked where it is written."""
    with pytest.raises(ValueError, match="cannot be shown"):
        CheckWording({CheckCode.OK: sentence})


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (CheckCode.FORBIDDEN, HealthStatus.DEGRADED),
        (CheckCode.POOL_SATURATED, HealthStatus.DEGRADED),
        (CheckCode.BUSY, HealthStatus.DEGRADED),
        (CheckCode.UNREACHABLE, HealthStatus.UNHEALTHY),
        (CheckCode.INTERNAL, HealthStatus.UNHEALTHY),
    ],
)
def test_busy_is_not_down(code: CheckCode, status: HealthStatus) -> None:
    """Each code has its usual status, and only what is really away is unhealthy."""
    assert CheckFailed(code).status is status


def test_every_code_has_a_sentence_and_a_place_in_the_schema() -> None:
    """The list of codes is the same in the code, in the sentences and in the contract."""
    words = load_health_schema()["$defs"]["code"]["enum"]

    assert set(DEFAULT_SENTENCES) == set(CheckCode)
    assert words == [code.value for code in CheckCode]
