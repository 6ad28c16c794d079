"""The options that say where records come from."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.records.options import RecordOptions, add_record_options, record_options


def _read(*words: str) -> RecordOptions:
    parser = argparse.ArgumentParser()
    add_record_options(parser)
    return record_options(parser.parse_args(words))


def test_without_options_nothing_is_given() -> None:
    """No file, no command, no receiver."""
    options = _read()

    assert options == RecordOptions()
    assert (options.gives_lines, options.gives_spans) == (False, False)


def test_a_file_and_a_command_are_two_options() -> None:
    """A name never turns into a command, and one run has one of the two."""
    assert _read("--logs", "a b.log").log_file == Path("a b.log")
    assert _read("--logs-command", "kubectl logs x").log_command == "kubectl logs x"
    with pytest.raises(SystemExit):
        _read("--logs", "a", "--logs-command", "b")


@pytest.mark.parametrize(
    ("text", "address"),
    [("4318", ("127.0.0.1", 4318)), ("tap.internal:1", ("tap.internal", 1)), ("[::1]:2", ("::1", 2))],
)
def test_a_receiver_listens_on_loopback_unless_told_otherwise(text: str, address: tuple[str, int]) -> None:
    """A port alone is enough."""
    assert _read("--otlp-tap", text).tap == address


def test_spans_are_waited_for_longer() -> None:
    """An exporter whose receiver was not there pauses; whoever gives a time is believed."""
    seconds = [_read(*words).wait_seconds for words in ((), ("--otlp-tap", "1"), ("--records-timeout", "2"))]

    assert seconds == [10, 35, 2]


@pytest.mark.parametrize("words", [("--otlp-tap", "x"), ("--otlp-tap", ":1"), ("--otlp-tap", "0"),
                                   ("--otlp-tap", "65536"), ("--records-timeout", "-1"),
                                   ("--records-timeout", "nan")])  # fmt: skip
def test_what_cannot_be_meant_is_refused(words: tuple[str, str]) -> None:
    """The text names the option and its rule."""
    with pytest.raises(ContractError, match=words[0]):
        _read(*words)
