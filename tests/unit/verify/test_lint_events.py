"""The events of a source against a log contract: what is written, what is promised, and by whom."""

from __future__ import annotations

import pytest

from prethrift_backend.contracts import parse_logs
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.events import EventChecks
from prethrift_backend.verify.lint.source import Source, read_module

CONTRACT = parse_logs(
    """# CONTRACT logs 1.0.0
FIELD * event string required
FIELD * request_id string
NEVER-KEY password|token
EVENT order_placed level=info logger=shop.orders
  payment enum card|invoice required
  items   int >=1           required
  note    string
EVENT shop_opened level=info open-fields
EVENT shop_closed level=info|warning
EVENT library_warned level=warning logger=urllib3.pool
""",
    source="logs.txt",
)
HEAD = "log = get_logger(__name__)\nlog.info('shop_opened'); (log.info if early else log.warning)('shop_closed')\n"
PLACED = "log.info('order_placed', payment=how, items=n, note=x)"


def _source(text: str, name: str = "shop.orders") -> Source:
    return Source([read_module(text, name=name, path=f"/src/{name}.py")])


def _findings(text: str, *others: str) -> list[Finding]:
    modules = [read_module(HEAD + text, name="shop.orders", path="/src/shop/orders.py")]
    modules += [read_module(other, name="shop.names", path="/src/shop/names.py") for other in others]
    source = Source(modules)
    return list(EventChecks(CONTRACT, source, source).findings())


@pytest.mark.parametrize(
    "call",
    [
        PLACED,
        "self._log.info('order_placed', payment=how, items=n, note=x)",
        "get_logger(__name__).info('order_placed', payment=how, items=n, note=x)",
        "write = log.info\nwrite('order_placed', payment=how, items=n, note=x)",
        "write = log.info if well else log.warning\nwrite('shop_closed')\n" + PLACED,
        "tell = partial(log.info, 'order_placed', payment=how, items=n, note=x)\ntell()",
        "log.log(logging.INFO, 'order_placed', {'payment': how, 'items': n, 'note': x})",
        "log.info('order_placed', **fields)\nnote = payment(items=1, payment=2, note=3)",
        "log.info('order_placed', payment='card', items=3, note=x, request_id=one)",
        "PLACED = 'order_placed'\nlog.info(PLACED, payment=how, items=n, note=x)",
        "report('order_placed', payment=how, items=n, note=x)",
    ],
)
def test_what_is_written_as_promised_is_no_finding(call: str) -> None:
    """Whichever way a logger is called, with literals or names, a kept promise makes no finding."""
    assert _findings(call) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("log.error('order_placed', payment=how, items=n, note=x)", "at another level"),
        (
            "other = get_logger('shop.tills')\nother.info('order_placed', payment=how, items=n, note=x)",
            "another logger",
        ),
        ("log.info('order_placed', payment=how, note=x)", "without items"),
        ("log.info('order_placed', payment=how, items=n, note=x, colour=c)", "the field 'colour'"),
        ("log.info('order_placed', payment='cheque', items=n, note=x)", "a value of 'payment'"),
        ("log.info('order_placed', payment=how, items=0, note=x)", "a value of 'items'"),
        ("write = log.error if bad else log.info\nwrite('order_placed', payment=how, items=n, note=x)", "level"),
    ],
)
def test_what_is_written_otherwise_is_found_at_its_line(call: str, words: str) -> None:
    """Level, logger, fields and values that differ are CD008, at the line of the call."""
    (finding,) = [finding for finding in _findings(call) if finding.rule == "CD008"]

    assert finding.name == "order_placed"
    assert words in finding.message
    assert finding.place is not None
    assert (finding.place.path, finding.place.line) == ("/src/shop/orders.py", 2 + call.count("\n") + 1)


def test_an_event_that_nobody_promised_is_found_with_file_and_line() -> None:
    """A literal event outside of the contract is V006."""
    (finding,) = _findings(f"{PLACED}\nlog.info('order_lost')")

    assert (finding.rule, finding.name, str(finding.place)) == ("V006", "order_lost", "/src/shop/orders.py:4")


def test_an_event_by_a_constant_of_another_module_is_followed() -> None:
    """The name is resolved through the import, and is V006 where it stands for no promised event."""
    call = f"from shop.names import GONE\nfrom shop import names\n{PLACED}\nlog.info(GONE)\nlog.info(names.GONE)"

    assert [finding.name for finding in _findings(call, "GONE: Final = 'order_lost'")] == ["order_lost", "order_lost"]


def test_an_event_that_nobody_writes_is_found_in_the_contract() -> None:
    """A constant that no code reads writes nothing."""
    (finding,) = _findings("PLACED = 'order_placed'\nfind(payment=1, items=2, note=3)")

    assert (finding.rule, finding.name, str(finding.place)) == ("V006", "order_placed", "logs.txt:5")


def test_an_event_in_a_docstring_is_not_written() -> None:
    """Words about an event are no producer of it."""
    (finding,) = _findings("def f():\n    'order_placed'")

    assert (finding.rule, finding.name) == ("V006", "order_placed")


def test_a_constant_that_only_an_unread_constant_reads_writes_nothing() -> None:
    """A table of names that nobody looks into is no producer."""
    (finding,) = _findings("PLACED = 'order_placed'\nTABLE = (PLACED,)\nfind(payment=1, items=2, note=3)")

    assert (finding.rule, finding.name) == ("V006", "order_placed")


def test_a_sentence_in_the_place_of_an_event_gets_the_fix_for_it() -> None:
    """No contract can promise a sentence: the fix asks for a name."""
    (finding,) = _findings(f"{PLACED}\nlog.info('Order was lost!')")

    assert finding.rule == "V006"
    assert "snake_case" in finding.fix


def test_a_field_that_nothing_gives_is_found() -> None:
    """An optional field whose name stands nowhere is CD012."""
    (finding,) = _findings("log.info('order_placed', payment=how, items=n)")

    assert (finding.rule, finding.name, str(finding.place)) == ("CD012", "order_placed", "logs.txt:8")


@pytest.mark.parametrize("event", ["f'order {n}'", "'order %s' % n", "'order ' + n", "'order {}'.format(n)"])
def test_an_event_that_is_put_together_is_found(event: str) -> None:
    """Each way of making an event of a value is CD007."""
    (finding,) = _findings(f"{PLACED}\nlog.info({event})")

    assert finding.rule == "CD007"


def test_an_event_that_comes_from_elsewhere_is_no_finding() -> None:
    """A parameter is decided by the caller, and not put together here."""
    assert _findings(f"{PLACED}\ndef f(event):\n    log.info(event)") == []


@pytest.mark.parametrize("field", ["password=p", "user_token=t", "**{'password': p}", "extra={'password': p}"])
def test_a_secret_in_a_field_is_found(field: str) -> None:
    """A key of NEVER-KEY, or one that ends with it, is CD010."""
    found = _findings(f"{PLACED}\nlog.info('shop_opened', {field})")

    assert [finding.rule for finding in found] == ["CD010"]


@pytest.mark.parametrize("bound", ["log.bind(password=p)", "bind_contextvars(password=p)", "log.info('x', y=1)"])
def test_a_secret_that_is_bound_is_found(bound: str) -> None:
    """What is bound to a logger or to the context stands on every line after it."""
    found = [finding.rule for finding in _findings(f"{PLACED}\n{bound}")]

    assert found == (["CD010"] if "bind" in bound else ["V006"])


def test_a_level_that_nothing_writes_is_found() -> None:
    """Where all calls are at one of two promised levels, the other is waited for in vain."""
    head = HEAD.replace("(log.info if early else log.warning)", "log.info")
    source = _source(head + PLACED)
    (finding,) = EventChecks(CONTRACT, source, source).findings()

    assert (finding.rule, finding.name, str(finding.place)) == ("CD012", "shop_closed", "logs.txt:10")
    assert "warning" in finding.message


def test_a_field_that_only_begins_like_a_secret_is_none() -> None:
    """The age of a password is no password."""
    assert _findings(f"{PLACED}\nlog.info('shop_opened', password_age_days=3)") == []


def test_an_event_of_a_library_is_not_judged_and_says_why() -> None:
    """A logger outside of the source cannot be looked at: no finding, and a reason."""
    source = _source(HEAD + PLACED)
    checks = EventChecks(CONTRACT, source, source)

    assert [event.name for event in CONTRACT.events if checks.why_unjudged(event)] == ["library_warned"]
    assert "urllib3.pool" in str(checks.why_unjudged(CONTRACT.event("library_warned")))


def test_what_is_no_logger_is_passed_over() -> None:
    """A method of the same name on something else writes no line."""
    assert _findings(f"{PLACED}\ntask.exception()\nself.faults.error('order_lost')\nmath.log(3, 'x')") == []
