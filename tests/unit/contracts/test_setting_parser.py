"""The parser of settings.txt: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contract_fuzz import check_parsed, with_one_character_changed

from prethrift_backend.contracts import Setting, load_settings_contract, parse_settings
from prethrift_backend.exceptions import ContractError

HEADER = "# CONTRACT settings 1.2.3\n"


def _fault(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse_settings(text, source="e.txt")
    return str(raised.value)


def test_settings_are_read() -> None:
    """Type, default, group, secret and required land in the model, with the line."""
    text = (
        HEADER
        + "#   SETTING <name> <type>\n"
        + "SETTING PORT int default=8000 group=app\n"
        + "SETTING KEY str default=unset group=app secret required=production # ours\n"
        + "SETTING MODE enum a|b default=development:a,staging:b,production:unset\n"
    )

    contract = parse_settings(text, source="e.txt")

    assert contract.version == "1.2.3"
    assert contract.settings == (
        Setting("PORT", "int", defaults=("8000",), group="app"),
        Setting("KEY", "str", group="app", secret=True, required_in=("production",)),
        Setting("MODE", "enum", ("a", "b"), ("development:a", "staging:b", "production:unset")),
    )
    assert (contract.setting("KEY").line, contract.setting("KEY").note) == (4, "ours")
    assert (contract.setting("MODE").kind, contract.setting("KEY").required_in_production) == ("enum a|b", True)


@pytest.mark.parametrize(
    ("default", "staging", "production"),
    [("x:1,y", "x:1,y", "x:1,y"), ("unset", None, None), ("development:a,staging:b,production:unset", "b", None)],
)
def test_a_default_holds_for_all_environments_or_for_each(default: str, staging: object, production: object) -> None:
    """Only the names of environments before a colon make a default one of an environment."""
    setting = parse_settings(f"{HEADER}SETTING A str default={default}\n", source="e.txt").setting("A")

    assert (setting.default("staging"), setting.default("production")) == (staging, production)


def test_a_setting_that_is_not_there_is_named_with_the_file() -> None:
    """Asking for an unknown setting raises with its name and the contract's."""
    with pytest.raises(ContractError, match=r"'PORT' is not in e\.txt"):
        parse_settings(HEADER, source="e.txt").setting("PORT")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SETTINGS A int default=1\n", "e.txt:2:1: directive 'SETTINGS' is unknown"),
        ("SETTING a int default=1\n", "e.txt:2:9: 'a' is not valid here"),
        ("SETTING A\n", "e.txt:2:10: SETTING ends too early"),
        ("SETTING A integer default=1\n", "e.txt:2:11: type 'integer' is unknown"),
        ("SETTING A int\n", "e.txt:2:1: SETTING has no default"),
        ("SETTING A int default=x\n", "e.txt:2:23: default 'x' is no int"),
        ("SETTING A float default=x\n", "e.txt:2:25: default 'x' is no float"),
        ("SETTING A bool default=yes\n", "e.txt:2:24: default 'yes' is no bool"),
        ("SETTING A enum a|b default=c\n", "e.txt:2:28: default 'c' is no enum"),
        ("SETTING A enum a| default=a\n", "e.txt:2:16: 'a|' has an empty or a repeated value"),
        ("SETTING A str default=staging:a\n", "e.txt:2:23: default=staging:a is incomplete"),
        ("SETTING A int default=1 secrets\n", "e.txt:2:25: 'secrets' is no option here"),
        ("SETTING A int default=1 required=prod\n", "e.txt:2:34: required=prod names no environment"),
        ("SETTING A int default=1\nSETTING A int default=1\n", "e.txt:3:9: 'A' is given a second time"),
        ("  SETTING A int default=1\n", "e.txt:2:1: the line is indented"),
    ],
)
def test_fault_names_place_rule_and_fix(line: str, expected: str) -> None:
    """Each fault says file, line, column and what is wrong, then the rule, then the fix."""
    fault = _fault(HEADER + line)

    assert fault.startswith(expected)
    assert len(fault.splitlines()) == 1
    assert "; " in fault


VOCABULARY = """
# CONTRACT SETTING FOO settings 1.0.0 PORT a int float bool str path enum a|b a| default=1 default=unset default=
default=staging:1 default=development:1,staging:2,production:3 default=1e999 group=a secret required=production #x ñ
"""
WORDS = st.sampled_from([*VOCABULARY.split(" "), "CONTRACT settings 1.0.0", "\n", "\n  ", "\n\t", "\r", "\ud800"])
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


@settings(deadline=None)
@given(st.one_of(st.text(), TEXTS, TEXTS.map(lambda text: HEADER + text)))
def test_no_text_crashes_the_parser(text: str) -> None:
    """Any text gives a contract or a ContractError, nothing else."""
    check_parsed(parse_settings, text)


@settings(deadline=None)
@given(st.data())
def test_no_change_of_one_character_crashes_the_parser(data: st.DataObject) -> None:
    """The shipped file with a character replaced gives a contract or a ContractError."""
    check_parsed(
        parse_settings,
        with_one_character_changed(data, Path(load_settings_contract().source).read_text(encoding="utf-8")),
    )
