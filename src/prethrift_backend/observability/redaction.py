"""The one choke point that keeps secrets out of what the process says of itself.

Two kinds of rule, because each alone leaks. By key: what is called ``password`` is hidden, whatever it holds. By
value: a bearer token, a JSON Web Token, a PEM block, the password in a URL or a card number is hidden, whatever it is
called. Numbers under a measuring name (``token_count``, ``tokens_per_second``) stay: hiding them would cost more than
it protects.

What leaves `redact` is a plain tree (dict, list, str, int, float, bool, None, datetime) of bounded depth and size: an
object that JSON cannot hold is turned into text *here*, before the value rules run, so that nothing gets past them in
its ``__str__``.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time
from enum import Enum
from itertools import islice, pairwise
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote_plus

Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | float | bool | datetime | date | time | None"
ValueRule: TypeAlias = Callable[[str], str]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


REDACTED: Final = "[redacted]"

# A word that makes a key secret wherever it stands in it ("db_password", "secret_access_key").
_SECRET_WORDS: Final = _set(
    "password passwd pwd passphrase secret authorization cookie credential credentials apikey token jwt dsn "
    "cvv cvc signature sessionid otp privatekey secretkey accesskey"
)
# A word that ends so is one that somebody did not part ("dbpassword"). No innocent word ends in any of these.
_SECRET_ENDINGS: Final = ("password", "passwd", "passphrase", "secret", "token", "apikey", "credentials")
# In the plural these name counts as often as secrets: hidden unless the value is a number ("max_tokens": 100).
_SECRET_PLURALS: Final = _set("passwords secrets tokens cookies apikeys signatures")
# Two words that are secret only side by side: a "key" alone is as often the name of an object in S3.
_SECRET_PAIRS: Final = _set(
    "api_key access_key secret_key private_key signing_key encryption_key account_key session_id session_key "
    "card_number auth_header auth_key db_pass user_pass smtp_pass pass_word ssh_key hmac_key"
)
_SECRET_KEYS: Final = _set("auth bearer session sid sig pin pass pw jsessionid phpsessid sessid")
# A key that ends so tells about the secret; it does not hold it.
_MEASURES: Final = _set(
    "count length len size total ms seconds second minute bytes age rate limit type kind policy present "
    "enabled configured status expired expires used left"
)

ALLOWED_QUERY_KEYS: Final = frozenset({"q", "limit", "offset", "category", "max_price"})

# Arbitrary bounds, wide enough for every line that we write ourselves.
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 100
MAX_TEXT: Final = 4096
_MAX_KEY: Final = 256
_MAX_REMEMBERED: Final = 64
# The rules look so much further than the cut: a password whose "@" stands behind it must not pass as harmless text.
_LOOK_AHEAD: Final = 1024
# What is kept of a text until it is redacted, where that comes later: a cut before the rules would take from a password
# the "@" by which they know it. Cut it at `MAX_TEXT` behind them.
CAPTURED_TEXT: Final = MAX_TEXT + _LOOK_AHEAD
# And so far back from where the end of a long text begins, to start at a line of its own: of a secret that is cut in
# two the second half looks harmless. Wider than any token that a header has room for.
_LOOK_BACK: Final = 4096

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Each pattern is linear: no repetition stands inside another that could match the same characters, and no two starts
# scan the same stretch. Where a stretch of text could hold many starts, an atomic group takes the first of them or a
# bound ends the scan.
_SCHEME: Final = re.compile(
    r"\b(bearer|basic|digest|authorization\"?'?\s?[=:]\s?[\"']?\w{1,20})(\s+|\+|%20)"
    r"(?=[^\s,;\"']*\d|[^\s,;\"']{20})[^\s,;\"']{8,}",
    re.IGNORECASE,
)
_JWT: Final = re.compile(r"(?<![\w-])(?>([\w-]*?)eyJ)[\w-]{5,}+\.[\w-]{5,}+(?:\.[\w-]*+)?")
_PEM: Final = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
# A URL as far as white space or a quotation mark; in it the first user with a password. A port is no password.
_UNBROKEN: Final = re.compile(r"[^\s\"'<>]+")
_USER: Final = re.compile(r"//[^\s:/?#@]*:(?!\d{1,5}(?:[/?#]|\Z))")
# Sentry's DSN has its key where others have the user; so do URLs with a token for git.
_URL_KEY: Final = re.compile(r"(//)(?:[0-9a-fA-F]{16,}+|[\w-]{24,}+)@")
# A header as text: all that is behind it on the line, since a cookie has several parts.
_COOKIE_LINE: Final = re.compile(r"(?i)(\bcookie\"?'?\s?[=:]\s?[\"']?)[^\s=;,:\"']{1,60}=[^\r\n\"']*")
# Only keys with a suspicious word are matched at all: a match that is let go has consumed what stands behind it.
_ASSIGNED_WORDS: Final = (
    "password|passwd|pwd|passphrase|secret|authorization|cookie|credential|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|signature|session[_-]?id|token|jwt|dsn|\bsig\b|pass_word|(?:db|user|smtp)_pass"
)
# Name, separator (in a URL it may be encoded, twice even) and value. A quoted value goes to its closing quotation mark,
# or to where the text was cut; one that is escaped, since it is inside of a text inside of JSON, likewise.
_QUOTED: Final = (
    r"\\{{1,7}}{q}(?:[^{q}\\]++|\\{{2,}}+{q}?|\\(?![{q}\\]))*+(?:\\?{q}|\Z)|{q}(?:[^{q}\\]++|\\[\s\S])*+(?:{q}|\\?\Z)"
)
_VALUE: Final = "|".join([_QUOTED.format(q='"'), _QUOTED.format(q="'"), r"[^\s\"'&,;]+"])
_ASSIGNMENT: Final = (
    r"(?i)((?:WORDS)[\w.-]{0,40})(\\{0,7}[\"']?\s{0,4}(?:=>|:=|[=:]|%(?:25){0,3}3[AD])\s{0,4}(?:b(?=[\"']))?)(VALUE)"
).replace("VALUE", _VALUE)
# What is looked for only where there is a sign of it.
_RARE: Final = re.compile(r"</|--|\(b?[\"']|%40")
# Each with four groups: what stands before, the name, what stands between, the value.
_ELEMENT: Final = r"(?i)(<[\w:.-]{0,40}?)((?:WORDS)[\w.-]{0,40})(>)([^<]+)"
_OPTION: Final = r"(?i)(?<![\w-])(--[\w-]{0,40}?)((?:WORDS)[\w-]{0,40})(\s{1,4}|[\"'],\s?[\"'])([^\s\"'-][^\s\"']*)"
# A pair as `repr` shows it, which is how libraries show headers.
_PAIR: Final = r"(?i)(\(b?[\"'][\w.-]{0,40}?)((?:WORDS)[\w.-]{0,40})([\"'],\s?b?)(VALUE)".replace("VALUE", _VALUE)
_ENCODED_USER: Final = re.compile(
    r"(?i)(%3A%2F%2F(?:(?!%2F|%3A|%40)[^\s\"'<>&]){0,100}%3A)(?:(?!%2F)[^\s\"'<>&]){1,300}%40"
)
# Where a database writes what was in the rows and in the parameters: PostgreSQL's detail goes over as many lines as the
# value has, up to the next part of the report or the next exception; its other messages end with their line.
_DATABASE_DETAIL: Final = re.compile(
    r"(\bDETAIL: {1,4})(?:(?!\n[ |]{0,40}\n?[ |]{0,40}(?:HINT|CONTEXT|STATEMENT|\[SQL|\(Background|The above exc"
    r"|During handling|Traceback)).)++",
    re.DOTALL,
)
_DATABASE_VALUE: Final = re.compile(
    r"(\binvalid input (?:for query argument \$\d{1,6}[^:\n]{0,80}|syntax for type [\w ]{1,60}"
    r"|value for enum [\w.]{1,80}): )[^\n]++"
)
_SPACE: Final = re.compile(r"\s")
_ODD: Final = re.compile(r"[\d!@#$%^&*+~]")
_CARD: Final = re.compile(r"(?<![\w.-])[2-6](?:[ -]?\d){12,18}(?![\w-])")
_KNOWN_PREFIX: Final = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_\w{20,}|\bxox[abprs]-[\w-]{10,}|\b[sr]k_(?:live|test)_\w{10,}"
)


def _hide_userinfo(match: re.Match[str]) -> str:
    url = match.group()
    # The password may hold an "@", so the last one ends it.
    end = url.rfind("@")
    user = _USER.search(url) if end > 0 else None
    return url if user is None or user.end() >= end else f"{url[: user.end()]}{REDACTED}{url[end:]}"


def _quote_of(value: str) -> str:
    """Return the quotation mark that ``value`` begins with, with its escapes; empty where it has none."""
    start = len(value) - len(value.lstrip("\\"))
    return value[: start + 1] if value[start : start + 1] in {'"', "'"} else ""


def _from_whole_line(text: str, *, at_most: int) -> str:
    """Return ``text`` from its first whole line on, or its first whole word where no line begins in ``at_most``."""
    start = text.find("\n", 0, at_most)
    if start < 0:
        start = next((match.start() for match in _SPACE.finditer(text)), len(text))
    return text[start + 1 :]


def _passes_luhn(digits: str) -> bool:
    total = 0
    for position, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + position % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0


def _hide_card(match: re.Match[str]) -> str:
    digits = match.group().replace(" ", "").replace("-", "")
    return REDACTED if _passes_luhn(digits) else match.group()


def _luhn(text: str) -> str:
    return _CARD.sub(_hide_card, text)


def _hide_scheme(word: str) -> ValueRule:
    def hide(match: re.Match[str]) -> str:
        is_meant = word in match[1].lower()
        return f"{match[1]}{match[2]}{REDACTED}" if is_meant else match.group()

    return lambda text: _SCHEME.sub(hide, text)


def _hide_in_urls(text: str) -> str:
    return _URL_KEY.sub(rf"\1{REDACTED}@", _UNBROKEN.sub(_hide_userinfo, text))


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(key)]


def _is_secret(words: list[str], *, extra: Collection[str] = ()) -> bool:
    if not words or words[-1] in _MEASURES:
        return False
    if "_".join(words) in _SECRET_KEYS or not _SECRET_WORDS.isdisjoint(words) or not set(extra).isdisjoint(words):
        return True
    return any(word.endswith(_SECRET_ENDINGS) for word in words) or any(
        f"{first}_{second}" in _SECRET_PAIRS for first, second in pairwise(words)
    )


def _is_odd(word: str) -> bool:
    """Return whether ``word`` holds digits or signs among its letters, as passwords do and sentences do not."""
    return len(word) >= 6 and not word.isdigit() and _ODD.search(word) is not None


def _number(value: numbers.Real) -> int | float | str:
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return whole if -(2**63) <= whole < 2**64 else str(whole)  # beyond it orjson refuses
    return float(value)


def _is_plain(value: object) -> bool:
    kind = type(value)
    # `isinstance` of an abstract number class, which other numbers go through, costs ten times as much.
    return kind is float or kind is bool or value is None or (kind is int and -(2**63) <= cast("int", value) < 2**63)


def text_of(value: object) -> str:
    """Return ``value`` as text, whatever it is; never raises."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__; the line matters more than this value
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


NAMED_RULES: Final[Mapping[str, ValueRule]] = {
    "jwt": lambda text: _JWT.sub(rf"\1{REDACTED}", text),
    "pem": lambda text: _PEM.sub(REDACTED, text),
    "bearer": _hide_scheme("bearer"),
    "basic": _hide_scheme("basic"),
    "dsn-password": _hide_in_urls,
    "card-number": _luhn,
}
"""The rules that contracts know by name (NEVER-VALUE), each by itself."""


class Redactor:
    """Hide secrets by key and by value; ``extra_keys`` and ``extra_rules`` add to the rules that exist.

    An extra key is one lower-case word (``"iban"``); it is secret wherever it stands in a key. An extra rule takes a
    text and returns it without the secret.
    """

    def __init__(self, *, extra_keys: Iterable[str] = (), extra_rules: Iterable[ValueRule] = ()) -> None:
        self._extra_keys = frozenset(key.lower() for key in extra_keys)
        self._extra_rules = tuple(extra_rules)
        words = "|".join([_ASSIGNED_WORDS, *map(re.escape, sorted(self._extra_keys))])
        self._assignment, self._element, self._option, self._pair = (
            re.compile(pattern.replace("WORDS", words)) for pattern in (_ASSIGNMENT, _ELEMENT, _OPTION, _PAIR)
        )
        self._verdicts: dict[str, str] = {}
        self._clean: set[str] = set()

    def redact(self, mapping: Mapping[Any, Any]) -> dict[str, Plain]:
        """Return ``mapping`` as a plain tree without secrets; the original is not changed."""
        return self._mapping(mapping, 0)

    def redact_text(self, text: str) -> str:
        """Return ``text``, cut at 4,096 characters, without what looks like a secret."""
        if text in self._clean:
            return text
        cleaned = self._apply_rules(text)
        if cleaned is text and len(text) <= _MAX_REMEMBERED:
            self._remember_clean(text)
        return cleaned

    def redact_long_text(self, text: str, *, max_characters: int) -> str:
        """Return ``text`` without secrets, and without its middle where it is longer than ``max_characters``."""
        if len(text) > max_characters and "-----BEGIN" in text:  # a key has many lines
            text = _PEM.sub(REDACTED, text)
        if len(text) <= max_characters:
            return self._value_rules(text)
        half = max_characters // 2
        head = self._value_rules(text[: half + _LOOK_AHEAD])[:half]
        tail = self._value_rules(_from_whole_line(text[-half - _LOOK_BACK :], at_most=_LOOK_BACK))[-half:]
        left_out = max(0, len(text) - len(head) - len(tail))
        return f"{head}\n[{left_out} characters left out]\n{tail}"

    def redact_query(self, query: bytes, *, allowed: Collection[str] = ALLOWED_QUERY_KEYS) -> dict[str, str]:
        """Return the allow-listed parameters of a raw query string; of a repeated key the last value."""
        kept: dict[str, str] = {}
        for part in query[:MAX_TEXT].decode("latin-1").split("&"):
            key, _, value = part.partition("=")
            if key in allowed:
                kept[key] = self.redact_text(unquote_plus(value, errors="replace"))
        return kept

    def is_clean(self, text: str) -> bool:
        """Return whether no rule finds anything to hide in ``text``."""
        return self.redact_text(text) == text

    def _remember_clean(self, text: str) -> None:
        # The same few dozen short values (methods, templates, states) make up most lines. Emptied, not evicted: an
        # order of use would cost more than the rules. 2,048 is arbitrary.
        if len(self._clean) >= 2048:
            self._clean.clear()
        self._clean.add(text)

    def _apply_rules(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            cleaned = self._value_rules(text[:CAPTURED_TEXT])[:MAX_TEXT]
            return f"{cleaned}[{len(text) - MAX_TEXT} characters left out]"
        return self._value_rules(text) if len(text) >= 8 or self._extra_rules else text

    def _value_rules(self, text: str) -> str:
        cleaned = text
        if "-----BEGIN" in cleaned:
            cleaned = _PEM.sub(REDACTED, cleaned)
        if "eyJ" in cleaned:
            cleaned = _JWT.sub(rf"\1{REDACTED}", cleaned)
        if "//" in cleaned and "@" in cleaned:
            cleaned = _hide_in_urls(cleaned)
        cleaned = _KNOWN_PREFIX.sub(REDACTED, _SCHEME.sub(rf"\1\2{REDACTED}", cleaned))
        if "=" in cleaned or ":" in cleaned or "%3" in cleaned or "%25" in cleaned:
            cleaned = self._assignment.sub(self._hide_assignment, _COOKIE_LINE.sub(rf"\1{REDACTED}", cleaned))
        if _RARE.search(cleaned) is not None:
            cleaned = self._rare_rules(cleaned)
        if "DETAIL: " in cleaned:
            cleaned = _DATABASE_DETAIL.sub(rf"\1{REDACTED}", cleaned)
        if "invalid input " in cleaned:
            cleaned = _DATABASE_VALUE.sub(rf"\1{REDACTED}", cleaned)
        cleaned = _luhn(cleaned)
        for rule in self._extra_rules:
            cleaned = rule(cleaned)
        return text if cleaned == text else cleaned

    def _rare_rules(self, text: str) -> str:
        for pattern in (self._element, self._option, self._pair):
            text = pattern.sub(self._hide_named, text)
        return _ENCODED_USER.sub(rf"\1{REDACTED}%40", text)

    def _hide_named(self, match: re.Match[str]) -> str:
        before, key, between, value = match.groups()
        verdict = self._verdict(key)
        if verdict == "open" or (verdict == "plural" and value.isdigit()):
            return match.group()
        quote = _quote_of(value)
        return f"{before}{key}{between}{quote}{REDACTED}{quote}"

    def _hide_assignment(self, match: re.Match[str]) -> str:
        key, separator, value = match.groups()
        quote = _quote_of(value)
        # "invalid token: expired" is a sentence; 'token="abc"', token=abc and "password: hunter2" are not.
        is_sentence = separator.strip() == ":" and not quote and not _is_odd(value)
        verdict = self._verdict(key)
        if is_sentence or verdict == "open" or value.startswith(f"{quote}{REDACTED[:-1]}"):
            return match.group()
        if verdict == "plural" and value.strip("\\\"'").isdigit():
            return match.group()
        return f"{key}{separator}{quote}{REDACTED}{quote}"

    def _verdict(self, key: str) -> str:
        verdict = self._verdicts.get(key)
        if verdict is None:
            verdict = self._judge(key)
            # Remembered keys are taken over as they are, so only short and clean ones are.
            if len(key) <= _MAX_REMEMBERED and self.is_clean(key):
                if len(self._verdicts) >= 2048:  # keys come from code, but those of a user's mapping may not
                    self._verdicts.clear()
                self._verdicts[key] = verdict
        return verdict

    def _judge(self, key: str) -> str:
        words = _words(key[:256])
        if _is_secret(words, extra=self._extra_keys):
            return "secret"
        return "plural" if words and words[-1] in _SECRET_PLURALS else "open"

    def _mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[str, Plain]:
        if depth > _MAX_DEPTH:
            return {"[left out]": "nested too deep"}
        plain: dict[str, Plain] = {}
        left_out = len(mapping) - _MAX_ITEMS
        verdicts, clean = self._verdicts, self._clean
        for raw_key, value in mapping.items() if left_out <= 0 else islice(mapping.items(), _MAX_ITEMS):
            # Most fields of most lines are a short clean text or a small number under an open name: no call for those.
            if verdicts.get(raw_key) == "open" and (value in clean if type(value) is str else _is_plain(value)):
                plain[raw_key] = value
            else:
                key = raw_key if type(raw_key) is str else text_of(raw_key)
                plain[self._name(key)] = self._member(key, value, depth)
        if left_out > 0:
            plain["[left out]"] = left_out
        return plain

    def _name(self, key: str) -> str:
        # Keys of a user's mapping may hold anything: a DSN, or a megabyte.
        return self.redact_text(key) if len(key) <= _MAX_KEY else f"{self.redact_text(key)[:_MAX_KEY]}[cut]"

    def _member(self, key: str, value: object, depth: int) -> Plain:
        verdict = self._verdict(key)
        if verdict == "open" or value is None or isinstance(value, bool):
            return self._value(value, depth)
        if verdict == "plural" and isinstance(value, numbers.Real):
            return _number(value)
        return REDACTED

    def _value(self, value: object, depth: int) -> Plain:
        kind = type(value)
        if kind is str:
            return self.redact_text(value)  # type: ignore[arg-type]  # `kind is str` does not narrow
        if value is None or kind is bool or kind is float:
            return value  # type: ignore[return-value]  # the same
        if isinstance(value, Enum):
            return self._value(value.value, depth + 1) if depth <= _MAX_DEPTH else value.name
        if isinstance(value, numbers.Real):
            return _number(value)
        return self._composite(value, depth)

    def _composite(self, value: object, depth: int) -> Plain:
        if isinstance(value, datetime | date | time):
            return value
        if isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return self._sequence(value, depth + 1)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields: dict[object, object] = {
                field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)
            }
            return self._mapping(fields, depth + 1)
        return self.redact_text(text_of(value))

    def _sequence(self, values: Collection[object], depth: int) -> list[Plain]:
        if depth > _MAX_DEPTH:
            return ["[nested too deep]"]
        plain: list[Plain] = []
        for position, value in enumerate(values):
            if position >= _MAX_ITEMS:
                plain.append(f"[{len(values) - position} left out]")
                break
            plain.append(self._item(value, depth))
        return plain

    def _item(self, value: object, depth: int) -> Plain:
        """Return an item of a sequence; a pair is taken as name and value, as ASGI's lists of headers have them."""
        if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
            name = text_of(value[0])
            return [self._name(name), self._member(name, value[1], depth)]
        return self._value(value, depth)


STANDARD: Final = Redactor()

redact = STANDARD.redact
redact_text = STANDARD.redact_text
redact_long_text = STANDARD.redact_long_text
redact_query = STANDARD.redact_query
is_clean = STANDARD.is_clean
