"""Comments that explain an item: they come with it out of every contract."""

from __future__ import annotations

from prethrift_backend.contracts import parse_logs, parse_metrics, parse_settings, parse_spans

METRICS = """\
# CONTRACT metrics 1.0.0
# a section, with a line below it

# of several workers
# the worst counts
# HELP up_state What is up.
# TYPE up_state gauge
# the check's own name
# LABEL up_state check open
# last of all
# SERIES up_state presence=always
up_state{check="a"} 1

# HELP other Other.
# TYPE other gauge
"""
LOGS = """\
# CONTRACT logs 1.0.0
# every line
RECORD json
# above
FIELD * user string # beside

# a section

EVENT done level=info
  # of the field
  # in two lines
  id string # whose
EVENT gone level=info # when it went
"""
SPANS = """\
# CONTRACT spans 1.0.0
# all spans
RECORD max-links=3
# of a request
SPAN server kind=server scope=a
  NAME a
  STATUS unset | error # of the server
  EVENT exception # what was raised
    exception.type string # a class
  LINK caller # of the caller
  OPEN # to applications
"""


def test_comments_above_a_family_and_above_a_label_are_kept_apart() -> None:
    """A family has those above its own lines, a label those above its line, and nobody those with a gap below."""
    state, other = parse_metrics(METRICS, source="m.txt").families

    assert (state.note, state.labels[0].note) == (
        "of several workers the worst counts last of all",
        "the check's own name",
    )
    assert other.note == ""


def test_comments_above_and_beside_a_line_are_one_note() -> None:
    """Events, fields and the record have what stands above them and behind them, in this order."""
    contract = parse_logs(LOGS, source="l.txt")

    assert contract.record.note == "every line"
    assert [one.note for one in contract.fields] == ["above beside"]
    assert [(event.note, [one.note for one in event.fields]) for event in contract.events] == [
        ("", ["of the field in two lines whose"]),
        ("when it went", []),
    ]


def test_the_parts_of_a_span_have_their_notes() -> None:
    """Status, events, links and OPEN are explained one by one."""
    contract = parse_spans(SPANS, source="s.txt")
    span = contract.spans[0]

    assert (contract.limits.note, span.note) == ("all spans", "of a request")
    assert (span.status_note, span.open_note) == ("of the server", "to applications")
    assert (span.events[0].note, span.events[0].attributes[0].note) == ("what was raised", "a class")
    assert span.links[0].note == "of the caller"


def test_a_setting_has_what_stands_above_it() -> None:
    """The head of the file, with a gap below, is of no setting."""
    text = "# CONTRACT settings 1.0.0\n# the head\n\n# a port\nSETTING PORT int default=1\n"

    assert parse_settings(text, source="s.txt").setting("PORT").note == "a port"


def test_notes_are_no_promise() -> None:
    """Contracts that differ by comments alone are equal, item by item."""
    commented, plain = (
        parse_metrics(text, source="m.txt") for text in (METRICS, METRICS.replace("# the worst counts\n", ""))
    )

    assert commented.families == plain.families
