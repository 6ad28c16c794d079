"""The words of a directive, each with its column, and the checks that every directive shares."""

from __future__ import annotations

import functools
import math
import re
import warnings
from collections.abc import Callable
from typing import Final, NamedTuple, cast, get_args

from prethrift_backend.contracts.values import Stability

DIRECTIVE: Final = re.compile(r"[A-Z][A-Z_-]+")
FAMILY_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
VERSION: Final = re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}")
NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
COUNT_OPTION: Final = re.compile(r"([0-9]{1,9})(?:/([a-z][a-z0-9_]{0,63}))?")
_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}")
_SECONDS: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,6})?)s")
_ESCAPE: Final = re.compile(r"\\(.)")
_RESERVED_LABELS: Final = ("le", "quantile")


class Token(NamedTuple):
    """A word and where it begins; lines and columns count from 1."""

    text: str
    column: int
    line: int = 0


_new: Final[Callable[[type[Token], tuple[str, int, int]], Token]] = tuple.__new__


class FaultError(Exception):
    """One thing wrong with the file; collected by the reader, never seen outside."""

    def __init__(self, column: int, what: str, rule: str, fix: str, *, line: int | None = None) -> None:
        self.column, self.what, self.rule, self.fix, self.line = column, what, rule, fix, line
        super().__init__(f"{column}: {what}: {rule}; {fix}")


def split(line: str, line_number: int) -> list[Token]:
    # Reading a large contract spends more time here than anywhere else; a regular expression is slower.
    tokens: list[Token] = []
    column = 1
    for word in line.replace("\t", " ").split(" "):
        if word:
            tokens.append(_new(Token, (word, column, line_number)))
        column += len(word) + 1
    return tokens


def operand(tokens: list[Token], index: int, form: str) -> Token:
    if index < len(tokens):
        return tokens[index]
    what = f"{tokens[0].text} ends too early"
    raise FaultError(tokens[-1].column + len(tokens[-1].text), what, "a directive is complete", f"write '# {form}'")


def check_end(tokens: list[Token], index: int) -> None:
    if index < len(tokens):
        extra = tokens[index]
        raise FaultError(extra.column, f"{extra.text!r} is too much", "the directive ended before it", "take it away")


def check_once(present: object, token: Token) -> None:
    if present is not None:
        what = f"{token.text!r} is given a second time"
        raise FaultError(token.column, what, "it is said once", "take one of the two away")


def check_match(pattern: re.Pattern[str], token: Token, rule: str, example: str) -> None:
    if pattern.fullmatch(token.text) is None:
        raise FaultError(token.column, f"{token.text!r} is not valid here", rule, f"write something like {example!r}")


def check_label_name(token: Token) -> None:
    check_match(LABEL_NAME, token, "a label name has letters, digits and '_'", "method")
    if token.text in _RESERVED_LABELS or token.text.startswith("__"):
        rule = "le, quantile and names that begin with '__' belong to Prometheus"
        raise FaultError(token.column, f"label {token.text!r} is reserved", rule, "choose another name")


def options(tokens: list[Token], allowed: tuple[str, ...]) -> dict[str, Token]:
    """Read ``key=value`` words; the values keep the column at which they stand."""
    given: dict[str, Token] = {}
    for token in tokens:
        key, equals, value = token.text.partition("=")
        if key not in allowed or not equals or not value:
            rule = f"the options are {', '.join(f'{name}=…' for name in allowed)}"
            raise FaultError(token.column, f"{token.text!r} is no option here", rule, "correct it or take it away")
        if key in given:
            check_once(given[key], token._replace(text=key))
        given[key] = _new(Token, (value, token.column + len(key) + 1, token.line))
    return given


def check_stability(token: Token | None) -> Stability:
    """Return how firm a promise is; development where nothing is said."""
    if token is None:
        return "development"
    if token.text not in get_args(Stability):
        rule = f"it is one of {'|'.join(get_args(Stability))}"
        raise FaultError(token.column, f"stability {token.text!r} is unknown", rule, "choose one")
    return cast(Stability, token.text)


def check_words(token: Token) -> tuple[str, ...]:
    """Return the words of ``a|b``: none is empty, none stands twice."""
    values = tuple(token.text.split("|"))
    if "" in values or len(set(values)) < len(values):
        what = f"{token.text!r} has an empty or a repeated value"
        raise FaultError(token.column, what, "values differ", "correct it")
    return values


def check_pattern(token: Token) -> None:
    """Refuse what ``re`` refuses, and what it only warns of: its meaning would change with the Python version."""
    error = _pattern_error(token.text)
    if error is not None:
        rule = f"it is a regular expression of Python ({error})"
        raise FaultError(token.column, f"pattern {token.text!r} cannot be read", rule, "correct it")


@functools.lru_cache(maxsize=1024)  # families share patterns, and to compile one costs more than to read a line
def _pattern_error(pattern: str) -> str | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        return str(error)
    return None


def count(token: Token | None) -> int | None:
    if token is None:
        return None
    check_match(_COUNT, token, "it is a whole number from 1 to 999999999", "100")
    return int(token.text)


def number(token: Token) -> float:
    check_match(NUMBER, token, "it is a decimal number", "0.25")
    number = float(token.text)
    if not math.isfinite(number):
        raise FaultError(token.column, f"{token.text!r} is not finite", "it is a decimal number", "write a smaller one")
    return number


def seconds(token: Token) -> float:
    check_match(_SECONDS, token, "a duration is in seconds", "15s")
    return float(token.text.removesuffix("s"))


def unescape(text: str) -> str:
    """Undo the escapes of the exposition: backslash, newline and quote."""
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1] if found[1] in '\\"' else found[0], text)
