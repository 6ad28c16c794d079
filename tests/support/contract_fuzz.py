"""What holds for every parser of a contract, whatever it is given."""

from __future__ import annotations

from typing import Any, Protocol

from hypothesis import strategies as st

from prethrift_backend.exceptions import ContractError


class Parse(Protocol):
    """A parser of one kind of contract file."""

    def __call__(self, text: str, *, source: str) -> Any:
        """Return the contract; raise ContractError where the text has faults."""
        ...


def check_parsed(parse: Parse, text: str) -> None:
    """Parse ``text``; hold that it gives a contract, or a ContractError that begins with its place."""
    try:
        contract = parse(text, source="a.txt")
    except ContractError as error:
        assert str(error).startswith("a.txt:")  # noqa: PT017 - the other outcome, a contract, is as good
    else:
        assert contract.version


def with_one_character_changed(data: st.DataObject, text: str) -> str:
    """Return ``text`` with a character that hypothesis draws in the place of one that it draws."""
    position = data.draw(st.integers(0, len(text) - 1))
    return text[:position] + data.draw(st.characters()) + text[position + 1 :]
