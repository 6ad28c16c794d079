"""Redaction: what is hidden, and what must stay readable."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.regex_steps import count_steps

from prethrift_backend.observability import redaction
from prethrift_backend.observability.redaction import REDACTED, STANDARD, Redactor, redact, redact_query, redact_text

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


@pytest.mark.parametrize(
    "key",
    [
        "password", "Password", "db_password", "passwordHash", "authorization", "Proxy-Authorization", "cookie",
        "set-cookie", "Set_Cookie", "api_key", "X-API-Key", "apikey", "apiKey", "otlp_api_key", "token", "access_token",
        "accessToken", "csrf-token", "client_secret", "AWS_SECRET_ACCESS_KEY", "dsn", "sentry_dsn", "private_key",
        "session_id", "sessionid", "credentials", "access_tokens", "card_number", "auth", "APIKey",
        "dbpassword", "mysecret", "authtoken", "privatekey", "DB_PASS", "sig", "bearer",
        "pass", "pw", "passWord", "PHPSESSID", "ssh_key",
    ],
)  # fmt: skip
def test_a_secret_key_hides_its_value(key: str) -> None:
    """A value under a secret name is hidden, in whatever style the name is written."""
    assert redact({key: "harmless"}) == {key: REDACTED}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("author", "Ann"), ("authority", "x"), ("session_length", "12"), ("tokens_per_second", 31.5),
        ("token_count", 12), ("max_tokens", 100), ("tokenizer", "bpe"), ("key", "items/1.jpg"), ("secretary", "Bo"),
        ("passport_office", "Bonn"), ("cookies_accepted", True), ("keyboard", "de"), ("status", "ok"),
        ("password_length", 12), ("monkey", "x"), ("passed", 3), ("pass_rate", 1), ("object_key", "a/b"),
        ("discount", 3),
    ],
)  # fmt: skip
def test_a_name_that_only_resembles_a_secret_stays(key: str, value: object) -> None:
    """A name that merely contains or measures a secret word keeps its value."""
    assert redact({key: value}) == {key: value}


@pytest.mark.parametrize(
    ("text", "canary"),
    [
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("bearer " + "x" * 24, "x" * 24),
        ("Basic dXNlcjpwYXNzd29yZDEyMw==", "dXNlcjpwYXNzd29yZDEyMw"),
        (f"got {JWT} from client", "dozjgNryP4J3"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEow cut off", "MIIEow"),
        ("postgresql://app:hunter2@db/prethrift", "hunter2"),
        ("postgresql://app:p@ss@db/prethrift", "p@ss"),
        ("see //user:pw1@host", "pw1"),
        ("https://0123456789abcdef0123456789abcdef@o1.ingest.example/1", "0123456789abcdef"),
        ("redis://:hunter2@cache:6379/0", "hunter2"),
        ("host=db password=hunter2 user=app", "hunter2"),
        ("ValueError: password=hunter2", "hunter2"),
        ('{"api_key": "hunter2"}', "hunter2"),
        ("{'client_secret': 'hunter2'}", "hunter2"),
        ("/cb?code=1&access_token=hunter2&x=1", "hunter2"),
        ("paid with 4111 1111 1111 1111", "1111 1111"),
        ("paid with 5500-0000-0000-0004", "0000-0004"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("https://ghp_0123456789abcdefghij0123@github.example/x", "0123456789abcdef"),
        ('password="two words hunter2"', "hunter2"),
        ('{\\"password\\": \\"hunter2\\"}', "hunter2"),
        ("password: hunter2", "hunter2"),
        ("Cookie: theme=dark; session=canary", "canary"),
        ("/x?next=%2F&category=token%3Dhunter2&q=Bearer+abcdef123456", "hunter2"),
        ("/x?q=Bearer+abcdef123456", "abcdef123456"),
        ("https://account.blob.example/x?sv=1&sig=hunter2", "hunter2"),
        ('{"password": "a\\"hunter2"}', "hunter2"),
        ('{\\"password\\": \\"a\\\\\\"hunter2\\", \\"x\\": 1}', "hunter2"),
        ('{"password": "hunter2\\', "hunter2"),
        ("{b'password': b'hunter2'}", "hunter2"),
        ("[(b'host', b'x'), (b'x-api-key', b'hunter2')]", "hunter2"),
        ('("session_id", "hunter2")', "hunter2"),
        ("password   =   hunter2", "hunter2"),
        ("password => hunter2", "hunter2"),
        ("password := hunter2", "hunter2"),
        ("/x?next=password%253Dhunter2", "hunter2"),
        ("next=postgresql%3A%2F%2Fapp%3Ahunter2%40db%2Fprethrift", "hunter2"),
        ("Authorization: Token hunter2canary", "hunter2"),
        ("authorization=ApiKey hunter2canary", "hunter2"),
        ("<Error><SecretAccessKey>hunter2 x</SecretAccessKey></Error>", "hunter2"),
        ("Command '['psql', '--password', 'hunter2']' returned 1", "hunter2"),
        ("usage: job --api-key hunter2 --verbose", "hunter2"),
        ("smtp_pass=hunter2", "hunter2"),
        ("PassWord=hunter2", "hunter2"),
        ("duplicate key value\nDETAIL:  Key (email)=(hunter2@example.com) already exists.", "hunter2"),
        ("violates check\nDETAIL:  Failing row contains (7, first line\n\nhunter2, null).\nHINT:  none", "hunter2"),
        ("invalid input for query argument $3: 'hunter2' (expected a float)", "hunter2"),
        ("invalid input for query argument $1 in element #2 of executemany() sequence: 'hunter2' (x)", "hunter2"),
        ('invalid input syntax for type timestamp with time zone: "hunter2"', "hunter2"),
        ('invalid input value for enum shop.size: "hunter2"', "hunter2"),
    ],
)  # fmt: skip
def test_a_secret_in_a_text_is_hidden(text: str, canary: str) -> None:
    """A text under an innocent name loses its secret."""
    assert canary not in str(redact({"note": text}))


@pytest.mark.parametrize(
    "text",
    [
        "Bearer authentication failed", "basic striped dress", "http://127.0.0.1:8000/api?mail=a@b.example",
        "http://host:8000", "4111 1111 1111 1112", "1700000000000000000", "2026-01-01T10:00:00+00:00",
        "invalid token: expired", "blue striped dress", "4bf92f3577b34da6a3ce929d0e0e4736", "max_tokens=100",
        "ratio a=1 b=2", "12:30:45", "size: 12", "https://example.com/a//b:c",
        "('body', 'author', 'missing')", "<b>token</b>", "<author>Ann</author>", "--tokenizer-name bpe", "a -- token",
        "('token_count', 12)", "Authorization: it was refused", "https%3A%2F%2Fexample.com%2Fmail%40b",
        "usage: job --password --verbose",
    ],
)  # fmt: skip
def test_an_innocent_text_stays(text: str) -> None:
    """A text that only resembles a secret is not changed."""
    assert redact_text(text) == text


def test_a_database_error_keeps_what_is_not_the_data() -> None:
    """Only the rows' own values go: the constraint, the statement and the exceptions after it stay."""
    chain = """\
asyncpg.exceptions.UniqueViolationError: duplicate key value violates unique constraint "items_pkey"
DETAIL:  Key (email)=(hunter2@example.com) already exists.

The above exception was the direct cause of the following exception:

sqlalchemy.exc.IntegrityError: <class 'asyncpg.exceptions.UniqueViolationError'>: "items_pkey"
DETAIL:  Key (email)=(hunter2@example.com) already exists.
[SQL: INSERT INTO items (email) VALUES ($1)]"""

    cleaned = redact_text(chain)

    assert cleaned == chain.replace("Key (email)=(hunter2@example.com) already exists.", REDACTED)
    assert redact_text(cleaned) == cleaned


def test_secrets_are_found_at_depth() -> None:
    """Mappings, sequences and lists of header pairs are searched."""
    tree = {
        "a": [{"b": {"password": "hunter2"}}],
        "headers": [(b"authorization", b"hunter2"), (b"accept", b"*/*")],
        "set": {"postgresql://u:hunter2@h/d"},
    }

    assert "hunter2" not in str(redact(tree))


def test_an_object_is_searched_as_text() -> None:
    """An object that JSON cannot hold is turned into text before the value rules run."""

    class Address:
        def __str__(self) -> str:
            return "postgresql://u:hunter2@h/d"

    assert redact({"address": Address()}) == {"address": f"postgresql://u:{REDACTED}@h/d"}


def test_a_dataclass_is_searched_by_field() -> None:
    """The fields of a dataclass are judged by their names."""

    @dataclass
    class Login:
        user: str
        password: str

    assert redact({"login": Login("ann", "hunter2")}) == {"login": {"user": "ann", "password": REDACTED}}


def test_an_object_without_text_is_named() -> None:
    """An object whose `__str__` raises is named by its class."""

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert "Broken" in str(redact({"x": Broken()})["x"])


def test_a_key_is_searched_as_a_text() -> None:
    """A key of a caller's mapping may hold a secret itself, however often it comes; a header's name too."""
    tree = {"postgresql://u:hunter2@h/d": 1, "deep": [("token=hunter2", 1)]}

    assert "hunter2" not in str([redact(tree), redact(tree)])


def test_a_key_is_cut() -> None:
    """A key of a megabyte is shortened, its value judged all the same."""
    ((key, value),) = redact({"password" + "_x" * 500_000: "hunter2"}).items()

    assert (len(key) < 300, value) == (True, REDACTED)


@pytest.mark.parametrize(
    "text", [f"{'x ' * 2035}postgresql://u:hunter2@h/d", f"{'x ' * 2035}eyJhbGci.eyJzdWIi.hunter2"]
)
def test_a_secret_at_the_cut_is_hidden(text: str) -> None:
    """Where a text is cut, the rules see what stands behind the cut."""
    assert "hunter" not in redact_text(text + " x" * 4096)


def test_a_stack_loses_its_middle_and_no_secret() -> None:
    """Beginning and end of a long text stay, and a secret that a cut goes through is hidden."""
    dsn = "postgresql://u:hunter2@h/d"
    text = f"{'a ' * 40}{dsn}{' b' * 5000} {dsn}{' c' * 40}"

    shown = STANDARD.redact_long_text(text, max_characters=190)

    assert "hunter" not in shown
    assert shown.startswith("a a")
    assert shown.endswith("c c")
    assert "characters left out" in shown


LONG_SECRETS = {
    "jwt": f"eyJhbGciOiJIUzI1NiJ9.{'Q' * 2500}.{'Q' * 43}",
    "pem": f"-----BEGIN RSA PRIVATE KEY-----\n{('Q' * 64 + chr(10)) * 100}-----END RSA PRIVATE KEY-----",
    "cookie": f"Cookie: {'; '.join(f'c{number}=Q' for number in range(400))}",
    "quoted": f"password='{'Q ' * 1200}'",
}


@pytest.mark.parametrize("secret", LONG_SECRETS.values(), ids=LONG_SECRETS)
@pytest.mark.parametrize("behind", range(0, 8000, 500))
def test_a_long_secret_does_not_show_its_second_half(secret: str, behind: int) -> None:
    """Where the end of a long text begins in the middle of a secret, that secret is hidden all the same."""
    text = f"{('a ' * 50 + chr(10)) * 100}{secret}\n{('b ' * (behind // 2))}"

    assert "Q" not in STANDARD.redact_long_text(text, max_characters=8192)


def test_the_end_of_a_text_without_any_space_is_left_out() -> None:
    """One word longer than all that is looked at may be the second half of a secret."""
    assert "Q" not in STANDARD.redact_long_text(f"{'a ' * 5000}token={'Q' * 20_000}", max_characters=8192)


def test_a_circle_ends() -> None:
    """A structure that contains itself is cut at a fixed depth."""
    circle: dict[object, object] = {}
    circle["again"] = circle

    assert "nested too deep" in str(redact(circle))


def test_the_original_is_not_changed() -> None:
    """Redaction makes a copy."""
    original: dict[object, object] = {"password": "hunter2"}

    redact(original)

    assert original == {"password": "hunter2"}


def test_rules_can_be_added() -> None:
    """A redactor of one's own hides further keys and further values."""
    own = Redactor(extra_keys=["iban"], extra_rules=[lambda text: text.replace("Ann", "A.")])

    assert own.redact({"iban_main": "DE00", "note": "Ann"}) == {"iban_main": REDACTED, "note": "A."}


def test_rules_of_ones_own_hold_for_queries() -> None:
    """A redactor of one's own hides in the parameters that it keeps."""
    own = Redactor(extra_rules=[lambda text: text.replace("Ann", "A.")])

    assert own.redact_query(b"q=Ann&x=Ann") == {"q": "A."}


def test_a_query_keeps_only_listed_keys() -> None:
    """Of a query string only the allow-listed parameters are left, without secrets in them."""
    query = b"q=blue+dress&token=hunter2&limit=5&q2=x&category=Bearer%20abcdef123456"

    assert redact_query(query) == {"q": "blue dress", "limit": "5", "category": f"Bearer {REDACTED}"}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(st.dictionaries(st.text(), JSON))
def test_redaction_never_fails(mapping: dict[object, object]) -> None:
    """Any tree of plain values is redacted without an exception."""
    redact(mapping)


@given(st.text(), st.text())
def test_a_password_is_hidden_wherever_it_stands(before: str, after: str) -> None:
    """A DSN's password does not survive, whatever stands around it."""
    text = f"{before} postgresql://app:hunter2canary@db/prethrift {after}"[:4000]

    assert "hunter2canary" not in redact_text(text)


PATTERNS = {name: value for name, value in vars(redaction).items() if isinstance(value, re.Pattern)} | {
    "assignment": STANDARD._assignment,
    "element": STANDARD._element,
    "option": STANDARD._option,
    "pair": STANDARD._pair,
    "database detail": redaction._DATABASE_DETAIL,
    "database value": redaction._DATABASE_VALUE,
}
# What each pattern could be made to begin with again and again, and what it would look for in vain.
HOSTILE = (
    "a", " ", "eyJ", "eyJabcdef.", "//u:", "//a", "//0a", "bearer ", "bearer", "basic+", "-----BEGIN A",
    "-----BEGIN A-----", "-----END ", "cookie:", "cookie: a=", "password", "password=", 'password="', "token='", "4 ",
    "41111", "=", "\\", "@", "ghp_", "xoxb-", "sig", "%3D",
    "<", "<token", "<a>", "</", "--", "--token", "--token ", "('", "('token', '", "('token'", "%3A%2F%2F",
    "DETAIL: ", "DETAIL: x", "\n", "\n ", "|", "invalid input for query argument $1: ",
    "invalid input syntax for type a",
    "%3A%2F%2Fu%3A", "%40", "%25", 'token=\\"', 'token="\\', "token='\\\\", "authorization: ", "token    =    ",
)  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_twice_the_text_is_twice_the_work(pattern: re.Pattern[str]) -> None:
    """No input makes a rule's work grow faster than its length: no client can make a log line cost a second."""
    grown = {
        part: count_steps(pattern, (part * 200)[:200]) / count_steps(pattern, (part * 100)[:100]) for part in HOSTILE
    }

    assert max(grown.values()) < 2.3, grown


@pytest.mark.parametrize(
    ("bad", "part", "length"),
    [(r"eyJ[\w-]{5,}\.[\w-]{5,}", "eyJ", 100), (r"//[^\s:]*:[^\s]+@", "//u:", 100), (r"(?:a+)+b", "a", 8)],
)
def test_the_count_of_work_finds_what_it_is_for(bad: str, part: str, length: int) -> None:
    """A pattern that looks harmless and is not is caught by the same measure."""
    once, twice = (count_steps(re.compile(bad), (part * count)[:count]) for count in (length, 2 * length))

    assert twice / once > 3
