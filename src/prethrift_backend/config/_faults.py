"""Turn what pydantic says of a value into our own sentences, with secrets masked."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from prethrift_backend.config._fields import choices, plain_type, shown
from prethrift_backend.config._rules import BROKEN, Wording
from prethrift_backend.exceptions import ConfigurationFault

# What pydantic says of a default that depends on other fields while one of these is at fault: no fault of its own.
_NO_DEFAULT_YET = "default_factory_not_called"
_SHOWN_LENGTH_MAX = 80  # arbitrary: one line of a terminal


def faults_of(
    error: ValidationError, fields: Mapping[str, FieldInfo], values: Mapping[str, object]
) -> list[ConfigurationFault]:
    """Give one fault for each field that pydantic refused, in the order of the fields."""
    errors = error.errors(include_url=False, include_input=False)
    details = {str(detail["loc"][0]): detail for detail in errors if detail["type"] != _NO_DEFAULT_YET}
    return [_fault(name, detail, fields, values) for name, detail in details.items()]


def closest(word: str, words: Sequence[str]) -> str | None:
    """Give the word that was probably meant: it begins the same way, or differs by little."""
    begins = [known for known in words if word and known.startswith(word)]
    near = begins or difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return near[0] if near else None


def _fault(
    name: str, detail: ErrorDetails, fields: Mapping[str, FieldInfo], values: Mapping[str, object]
) -> ConfigurationFault:
    field = fields.get(name)
    if field is None:
        meant = closest(name, list(fields))
        fix = f"did you mean {meant}?" if meant else f"the settings are {', '.join(fields)}"
        return ConfigurationFault(name, None, "is not a setting", fix)
    value = values.get(name)
    rule, fix = _texts(field, detail, value)
    return ConfigurationFault(name.upper(), None if value is None else _cut(shown(field, value)), rule, fix)


def _texts(field: FieldInfo, detail: ErrorDetails, value: object) -> tuple[str, str]:
    if detail["type"] == BROKEN:
        return detail["ctx"]["rule"], detail["ctx"]["fix"]
    for wording in field.metadata:
        if isinstance(wording, Wording):
            return wording.rule, wording.fix
    if words := choices(field):
        return "is not one of its choices", _choice_fix(str(value), words)
    if plain_type(field) is bool:
        return "is neither true nor false", "give true or false"
    return "is not text", "give text"


def _choice_fix(value: str, words: tuple[str, ...]) -> str:
    listed = f"give {', '.join(words[:-1])} or {words[-1]}"
    meant = closest(value.lower(), [word.lower() for word in words])
    same_case = next((word for word in words if word.lower() == meant), None)
    return f"did you mean {same_case}? {listed}" if same_case else listed


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH_MAX else text[: _SHOWN_LENGTH_MAX - 1] + "…"
