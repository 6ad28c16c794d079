"""What the readers of all contract files share: the lines of a text, its digest, its faults."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts._tokens import FaultError
from prethrift_backend.exceptions import ContractError, ContractFault

# Arbitrary: enough to mend a file in one go, few enough to read.
_FAULTS_SHOWN: Final = 20
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Faults:
    """Everything that was found wrong with one file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: list[ContractFault] = []

    def note(self, line: int, fault: FaultError) -> None:
        """Take up a fault of this line, unless it names its own."""
        place = (self._source, fault.line or line, fault.column)
        self._found.append(ContractFault(*place, fault.what, fault.rule, fault.fix))

    def raise_any(self) -> None:
        """Raise ContractError with all faults, where there is one."""
        if not self._found:
            return
        hidden = len(self._found) - _FAULTS_SHOWN
        more = [f"{self._source}: and {hidden} more faults"] if hidden > 0 else []
        shown = [str(fault) for fault in self._found[:_FAULTS_SHOWN]]
        raise ContractError("\n".join(shown + more), faults=self._found)


def numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, without what stands at its end and is not seen."""
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, line.rstrip(" \t\r")


def check_line(line: str) -> None:
    """Refuse control characters: nobody sees them, and formatting would move them."""
    found = _CONTROL.search(line)
    if found is not None:
        what = f"control character {found[0]!r}"
        raise FaultError(found.start() + 1, what, "a contract is text that can be seen", "take it away")


def comment_text(line: str) -> list[str]:
    """Return what a comment says, nothing where it says nothing."""
    said = line.strip(" \t").lstrip("#").strip(" \t")
    return [said] if said else []


def digest(text: str) -> str:
    """Return what sha256sum prints for the text as a file."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
