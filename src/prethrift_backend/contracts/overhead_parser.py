"""Read ``overhead.txt``: one BUDGET line a case, and one more for each Python version that is counted on its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from prethrift_backend.contracts._blocks import BlockReader, Line
from prethrift_backend.contracts._reading import digest
from prethrift_backend.contracts._tokens import FaultError, Token, check_match, check_once, number, operand
from prethrift_backend.contracts.overhead import CostBudget, CostLimit, OverheadContract

_CASE: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_FIGURE: Final = re.compile(r"([a-z][a-z0-9_]{0,63})(<=|=)(.+)")
_PYTHON: Final = re.compile(r"[1-9]\.[0-9]{1,2}")
_FORM: Final = "BUDGET request py=3.11 opcodes=2281 added_us<=40"


def parse_overhead(text: str, *, source: str) -> OverheadContract:
    """Return the contract that the text states; ``source`` is the name to give in error texts.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    return _Reader(source).contract(text, source)


class _Reader(BlockReader):
    signal = "overhead"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._budgets: dict[tuple[str, str | None], CostBudget] = {}
        self._directives = {"BUDGET": self._read_budget}

    def contract(self, text: str, source: str) -> OverheadContract:
        version = self.read(text)
        self.faults.raise_any()
        return OverheadContract(version, digest(text), source, tuple(self._budgets.values()))

    def _leave(self) -> None:
        pass

    def _read_inner(self, line: Line) -> None:
        fix = "begin it at its first column"
        raise FaultError(1, "the line is indented", "a budget is one line", fix, line=line.number)

    def _read_budget(self, tokens: list[Token]) -> None:
        case = operand(tokens, 1, _FORM)
        check_match(_CASE, case, "a case is a word in lower case", "request")
        operand(tokens, 2, _FORM)
        python, limits = _figures(tokens[2:])
        check_once(self._budgets.get((case.text, python)), case)
        if not limits:
            raise FaultError(case.column, f"{case.text!r} has no figure", "a budget limits something", f"write {_FORM}")
        self._budgets[case.text, python] = CostBudget(case.text, limits, python, self._note, case.line)


def _figures(tokens: list[Token]) -> tuple[str | None, Mapping[str, CostLimit]]:
    """Return the version of Python and the limits by name."""
    python: str | None = None
    limits: dict[str, CostLimit] = {}
    for token in tokens:
        found = _FIGURE.fullmatch(token.text)
        if found is None:
            rule = "a figure is name=number where it is exact, name<=number where it is the most"
            raise FaultError(token.column, f"{token.text!r} is no figure", rule, f"write it as in {_FORM!r}")
        value = Token(found[3], token.column + found.start(3), token.line)
        check_once(python if found[1] == "py" else limits.get(found[1]), token._replace(text=found[1]))
        if found[1] == "py" and found[2] == "=":
            check_match(_PYTHON, value, "it is a minor version of Python", "3.11")
            python = value.text
        else:
            limits[found[1]] = CostLimit(number(value), is_exact=found[2] == "=")
    return python, limits
