"""Ask a field of the settings: its type, whether it is a secret, how its value may be shown."""

from __future__ import annotations

import types
import typing

from pydantic import SecretStr
from pydantic.fields import FieldInfo

MASK = "********"


def plain_type(field: FieldInfo) -> object:
    """Give the field's type without its None and its rules."""
    kind: object = field.annotation
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def is_secret(field: FieldInfo) -> bool:
    """Tell whether the field's value must never be shown."""
    return plain_type(field) is SecretStr


def choices(field: FieldInfo) -> tuple[str, ...]:
    """Give the words that the field may hold; none where it is no choice."""
    kind = plain_type(field)
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def shown(field: FieldInfo, value: object) -> str:
    """Give a value as it may be printed and as it would stand in the environment.

    A secret is masked, and so is what a URL that is no secret may hold of one: the query, or, where there is an @ and
    with it a user, all of it; which part of a broken URL is the user cannot be told.
    """
    if is_secret(field):
        return MASK
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    scheme = text.partition("://")[0] + "://" if "://" in text else ""
    if "@" in text:
        return f"{scheme}{MASK}"
    address, question, _ = text.partition("?")
    return f"{address}?{MASK}" if scheme and question else text
