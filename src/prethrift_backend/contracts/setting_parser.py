"""Read ``settings.txt``: one SETTING line a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast, get_args

from prethrift_backend.contracts._blocks import BlockReader, Line
from prethrift_backend.contracts._reading import digest
from prethrift_backend.contracts._tokens import (
    FaultError,
    Token,
    check_match,
    check_once,
    check_words,
    number,
    operand,
    options,
)
from prethrift_backend.contracts.settings import ENVIRONMENTS, PREFIXES, UNSET, Setting, SettingsContract, SettingType

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,18}")
_FORM: Final = "SETTING PORT int default=8000 group=application"


def parse_settings(text: str, *, source: str) -> SettingsContract:
    """Return the contract that the text states; ``source`` is the name to give in error texts.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    return _Reader(source).contract(text, source)


class _Reader(BlockReader):
    signal = "settings"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._settings: dict[str, Setting] = {}
        self._directives = {"SETTING": self._read_setting}

    def contract(self, text: str, source: str) -> SettingsContract:
        version = self.read(text)
        self.faults.raise_any()
        return SettingsContract(version, digest(text), source, tuple(self._settings.values()))

    def _leave(self) -> None:
        pass

    def _read_inner(self, line: Line) -> None:
        fix = "begin it at its first column"
        raise FaultError(1, "the line is indented", "a setting is one line", fix, line=line.number)

    def _read_setting(self, tokens: list[Token]) -> None:
        name, kind = operand(tokens, 1, _FORM), operand(tokens, 2, _FORM)
        check_match(_NAME, name, "a name of the environment is in upper case", "LOG_LEVEL")
        check_once(self._settings.get(name.text), name)
        if kind.text not in get_args(SettingType):
            rule = f"it is one of {', '.join(get_args(SettingType))}"
            raise FaultError(kind.column, f"type {kind.text!r} is unknown", rule, "choose one")
        is_enum = kind.text == "enum"
        values = check_words(operand(tokens, 3, "SETTING LOG_FORMAT enum json|console default=json")) if is_enum else ()
        words = tokens[4 if is_enum else 3 :]
        rest = [token for token in words if token.text != "secret"]
        given = options(rest, ("default", "group", "required"))
        self._settings[name.text] = Setting(
            name=name.text,
            type=cast(SettingType, kind.text),
            values=values,
            defaults=_defaults(tokens[0], given.get("default"), kind.text, values),
            group=given["group"].text if "group" in given else "",
            secret=len(rest) < len(words),
            required_in=_environments(given.get("required")),
            note=self._note,
            line=name.line,
        )


def _defaults(key: Token, token: Token | None, kind: str, values: tuple[str, ...]) -> tuple[str, ...]:
    if token is None:
        raise FaultError(key.column, "SETTING has no default", "what it is when it is not set is promised", "add one")
    parts = tuple(token.text.split(","))
    if not all(part.startswith(PREFIXES) for part in parts):
        _check_default(token, token.text, kind, values)
        return (token.text,)
    names = [part.partition(":")[0] for part in parts]
    if sorted(names) != sorted(ENVIRONMENTS):
        rule = f"there is one default, or one for each of {', '.join(ENVIRONMENTS)}"
        raise FaultError(token.column, f"default={token.text} is incomplete", rule, "add those that are missing")
    for part in parts:
        _check_default(token, part.partition(":")[2], kind, values)
    return parts


def _check_default(token: Token, text: str, kind: str, values: tuple[str, ...]) -> None:
    if text == UNSET or (kind == "enum" and text in values):
        return
    if kind == "enum" or not _CHECKS[kind](token._replace(text=text)):
        rule = f"it is one of {', '.join(values)}, or unset" if values else f"it is a value of type {kind}, or unset"
        raise FaultError(token.column, f"default {text!r} is no {kind}", rule, "correct it")


def _is_number(token: Token) -> bool:
    try:
        number(token)
    except FaultError:
        return False
    return True


_CHECKS: Final[dict[str, Callable[[Token], bool]]] = {
    "bool": lambda token: token.text in ("true", "false"),
    "int": lambda token: _WHOLE.fullmatch(token.text) is not None,
    "float": _is_number,
    "str": lambda token: token.text != "",
    "path": lambda token: token.text != "",
}


def _environments(token: Token | None) -> tuple[str, ...]:
    if token is None:
        return ()
    found = check_words(token)
    if not set(found) <= set(ENVIRONMENTS):
        rule = f"it is of {', '.join(ENVIRONMENTS)}"
        raise FaultError(token.column, f"required={token.text} names no environment", rule, "choose from them")
    return found
