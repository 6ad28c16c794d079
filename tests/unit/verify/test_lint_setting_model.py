"""A class of settings against a settings contract, and the environment that is read past it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings
from tests.support.contract_edits import CONTRACTS, Edit, append, swap

from prethrift_backend.config import Settings
from prethrift_backend.contracts import SettingsContract, load_settings_contract, parse_settings
from prethrift_backend.verify.lint.setting_model import check_environment, check_settings_model
from prethrift_backend.verify.lint.source import Source, read_module

LINES = (
    "SHOP_PORT int default=8000",
    "SHOP_TOKEN str default=unset secret",
    "SHOP_MODE enum fast|slow default=fast",
    "SHOP_LOG path default=unset",
    "SHOP_RATE float default=1",
    "SHOP_OPEN bool default=true",
    "SHOP_WORDS str default=abc",
)


class ShopSettings(BaseSettings, env_prefix="SHOP_"):
    """The settings of another team."""

    port: int = 8000
    token: SecretStr | None = None
    mode: Literal["fast", "slow"] = "fast"
    log: Path | None = None
    rate: float = 1.0
    open: bool = True
    text: str = Field(default="abc", validation_alias="shop_words")


def _contract(*lines: str) -> SettingsContract:
    text = "\n".join(("# CONTRACT settings 1.0.0", *(f"SETTING {line} group=shop" for line in lines)))
    return parse_settings(text, source="settings.txt")


def test_a_class_of_another_team_as_promised_is_no_finding() -> None:
    """Names by prefix and by alias, types, defaults and secrecy agree."""
    assert list(check_settings_model(_contract(*LINES), ShopSettings)) == []


@pytest.mark.parametrize(
    ("at", "line", "words"),
    [
        (0, "SHOP_PORT float default=8000", "another type"),
        (0, "SHOP_PORT int default=8001", "another default"),
        (1, "SHOP_TOKEN str default=unset", "another secrecy"),
        (2, "SHOP_MODE enum fast|slow|idle default=fast", "another type"),
        (5, "SHOP_OPEN bool default=false", "another default"),
    ],
)
def test_a_difference_is_found(at: int, line: str, words: str) -> None:
    """Type, default and secrecy that differ are CD013, at the line of the setting."""
    lines = [*LINES[:at], line, *LINES[at + 1 :]]
    (finding,) = check_settings_model(_contract(*lines), ShopSettings)

    assert finding.rule == "CD013"
    assert words in finding.message
    assert str(finding.place) == f"settings.txt:{at + 2}"


def test_names_are_compared_both_ways() -> None:
    """What only one side has is V006."""
    found = list(check_settings_model(_contract(*LINES[1:], "SHOP_HOST str default=unset"), ShopSettings))

    assert [(finding.rule, finding.name) for finding in found] == [("V006", "SHOP_HOST"), ("V006", "SHOP_PORT")]


@pytest.mark.parametrize(
    ("edit", "rule", "name"),
    [
        (
            swap("LOG_FILE path default=unset group=observability", "LOG_FILE path default=unset group=x"),
            "CD013",
            "LOG_FILE",
        ),
        (swap("group=database secret required=production", "group=database secret"), "CD013", "DATABASE_URL"),
        (append("SETTING SHOP str default=unset"), "V006", "SHOP"),
    ],
)
def test_the_own_settings_are_held_to_groups_and_demands_too(edit: Edit, rule: str, name: str) -> None:
    """Of this package's own class the group, and what production requires, are known as well."""
    text = edit((CONTRACTS / "settings.txt").read_text(encoding="utf-8"))
    (finding,) = check_settings_model(parse_settings(text, source="settings.txt"), Settings)

    assert (finding.rule, finding.name) == (rule, name)


def test_the_own_settings_are_as_promised() -> None:
    """The file and the class agree in both directions."""
    assert list(check_settings_model(load_settings_contract(), Settings)) == []


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("os.environ.get('SHOP_COLOUR')", ["SHOP_COLOUR"]),
        ("os.getenv('SHOP_COLOUR', '')", ["SHOP_COLOUR"]),
        ("os.environ['SHOP_COLOUR']", ["SHOP_COLOUR"]),
        ("os.environ.get('SHOP_PORT')", []),
        ("os.environ.get('NO_COLOR')", []),
        ("os.environ.get(name)", []),
        ("settings.get('SHOP_COLOUR')", []),
    ],
)
def test_the_environment_past_the_settings_is_found(call: str, names: list[str]) -> None:
    """A name that no contract has is CD014; names of the terminal and of libraries are nobody's setting."""
    source = Source([read_module(call, name="shop", path="/src/shop.py")])

    found = [(finding.rule, finding.name) for finding in check_environment(_contract(*LINES), source)]
    assert found == [("CD014", name) for name in names]
