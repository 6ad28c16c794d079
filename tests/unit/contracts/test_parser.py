"""The parser of metrics.txt: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contract_fuzz import check_parsed, with_one_character_changed

from prethrift_backend.contracts import MetricLabel, _tokens, load_metrics, parse_metrics
from prethrift_backend.exceptions import ContractError

HEADER = "# CONTRACT metrics 1.2.3\n"
COUNTER = "# HELP jobs_total Jobs done.\n# TYPE jobs_total counter\n"
HISTOGRAM = "# HELP wait_seconds Wait.\n# TYPE wait_seconds histogram\n"


def _fault(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse_metrics(text, source="m.txt")
    return str(raised.value)


def test_header_gives_version_scrape_and_budget() -> None:
    """CONTRACT, SCRAPE and BUDGET are read into the contract, durations in seconds."""
    text = (
        HEADER + "# SCRAPE job=api path=/m interval=30s timeout=2.5s\n# BUDGET series=10 bytes=20 scrape_seconds=0.5\n"
    )

    contract = parse_metrics(text, source="m.txt")

    assert contract.version == "1.2.3"
    assert contract.scrape is not None
    assert (contract.scrape.job, contract.scrape.path) == ("api", "/m")
    assert (contract.scrape.interval_seconds, contract.scrape.timeout_seconds) == (30.0, 2.5)
    assert (contract.budget.series, contract.budget.bytes, contract.budget.scrape_seconds) == (10, 20, 0.5)
    assert (contract.scrape.line, contract.budget.line) == (2, 3)


def test_sha256_is_of_the_text() -> None:
    """The digest is the one that sha256sum prints for the file."""
    assert parse_metrics(HEADER, source="m.txt").sha256 == hashlib.sha256(HEADER.encode()).hexdigest()


def test_every_label_kind_is_read() -> None:
    """enum, enum+, match, open and const keep their values, pattern, bound and overflow value."""
    text = (
        HEADER
        + COUNTER
        + "# LABEL jobs_total a enum x|y overflow=y\n# LABEL jobs_total b enum+ x|y max=3\n"
        + "# LABEL jobs_total c match [0-9]+ max=4 overflow=other\n"
        + "# LABEL jobs_total d open\n# LABEL jobs_total e const v\n"
    )

    labels = parse_metrics(text, source="m.txt").family("jobs_total").labels

    assert labels == (
        MetricLabel("a", "enum", ("x", "y"), overflow="y"),
        MetricLabel("b", "enum+", ("x", "y"), max_values=3),
        MetricLabel("c", "match", pattern="[0-9]+", overflow="other", max_values=4),
        MetricLabel("d", "open"),
        MetricLabel("e", "const", ("v",)),
    )


@pytest.mark.parametrize(("meta", "across"), [("", "sum"), (" across=max", "max"), (" across=min", "min")])
def test_a_gauge_says_how_workers_share_it(meta: str, across: str) -> None:
    """META across= is read into the family; without it the workers' values are added up."""
    text = f"{HEADER}# HELP depth Depth.\n# TYPE depth gauge\n# META depth stability=beta{meta}\n"

    assert parse_metrics(text, source="m.txt").family("depth").across == across


def test_meta_series_and_buckets_are_read() -> None:
    """META, SERIES and BUCKETS land in the family."""
    text = (
        HEADER
        + HISTOGRAM
        + "# META wait_seconds stability=beta since=1.0.0 owner=us unit=seconds expires=2.0.0\n"
        + "# BUCKETS wait_seconds 0.1 1\n# LABEL wait_seconds q enum a|b\n"
        + "# SERIES wait_seconds max=10 presence=if=queue init=all\n"
    )

    family = parse_metrics(text, source="m.txt").family("wait_seconds")

    assert (family.stability, family.since, family.owner, family.unit, family.expires) == (
        "beta",
        "1.0.0",
        "us",
        "seconds",
        "2.0.0",
    )
    assert family.buckets == (0.1, 1.0)
    assert (family.max_series, family.presence, family.series_per_label_set) == (10, "if=queue", 5)
    assert family.initial_label_sets() == (("a",), ("b",))


def test_init_with_pairs_gives_the_product_of_the_named_values() -> None:
    """A label that init does not name takes all its values; a named one only those."""
    text = (
        HEADER
        + COUNTER
        + "# LABEL jobs_total kind enum a|b\n# LABEL jobs_total host open max=5\n"
        + "# SERIES jobs_total max=10 init=host:one,host:two\n"
    )

    family = parse_metrics(text, source="m.txt").family("jobs_total")

    assert family.initial_label_sets() == (("a", "one"), ("a", "two"), ("b", "one"), ("b", "two"))


def test_deprecated_and_external_are_read() -> None:
    """A tombstone needs no family of its own; EXTERNAL patterns match by their stem."""
    text = (
        HEADER
        + COUNTER
        + "# DEPRECATED job_total since=1.0.0 remove=2.0.0 replaced-by=jobs_total\n# EXTERNAL process_* python_info\n"
    )

    contract = parse_metrics(text, source="m.txt")

    (gone,) = contract.deprecations
    assert (gone.name, gone.since, gone.remove, gone.replaced_by) == ("job_total", "1.0.0", "2.0.0", "jobs_total")
    assert contract.is_external("process_open_fds")
    assert contract.is_external("python_info")
    assert not contract.is_external("python_information")


def test_help_and_sample_escapes_are_undone() -> None:
    """Backslash, newline and quote come back as they were."""
    text = (
        HEADER
        + "# HELP jobs_total a\\nb\\\\c\n# TYPE jobs_total counter\n# LABEL jobs_total path open\n"
        + 'jobs_total{path="a\\"b\\\\c\\nd, }"} 1\n'
    )

    family = parse_metrics(text, source="m.txt").family("jobs_total")

    assert family.help == "a\nb\\c"
    assert family.samples[0].labels == (("path", 'a"b\\c\nd, }'),)


def test_lower_case_comments_are_free_text() -> None:
    """A comment whose first word is not all upper case says nothing, and an empty one neither."""
    text = HEADER + "# label is a word\n#\n# The jobs.\n#no space\n# a\n\n" + COUNTER

    assert [family.name for family in parse_metrics(text, source="m.txt").families] == ["jobs_total"]


def test_bare_list_needs_no_header() -> None:
    """A list of names and labels alone is a contract of version 0.0.0 with untyped families."""
    contract = parse_metrics("jobs_total{kind, status}\nup\n", source="m.txt")

    assert contract.version == "0.0.0"
    assert [(family.name, family.kind, family.label_names) for family in contract.families] == [
        ("jobs_total", "untyped", ("kind", "status")),
        ("up", "untyped", ()),
    ]


def test_windows_line_ends_are_read() -> None:
    """A file that was saved with CRLF states the same."""
    text = (HEADER + COUNTER).replace("\n", "\r\n")

    assert parse_metrics(text, source="m.txt").family("jobs_total").help == "Jobs done."


def test_family_that_is_not_there_is_named_with_the_file() -> None:
    """Asking for an unknown family raises with its name and the contract's."""
    with pytest.raises(ContractError, match=r"'jobs' is not in m\.txt"):
        parse_metrics(HEADER, source="m.txt").family("jobs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# LABELS jobs_total a open\n", "m.txt:1:3: directive 'LABELS' is unknown"),
        ("#TYPE jobs_total counter\n", "m.txt:1:1: '#TYPE' is no directive"),
        (COUNTER, "m.txt:1:1: no CONTRACT line"),
        (HEADER + HEADER, "m.txt:2:3: 'CONTRACT' is given a second time"),
        ("# CONTRACT logs 1.0.0\n", "m.txt:1:12: contract of 'logs'"),
        ("# CONTRACT metrics 1.0\n", "m.txt:1:20: '1.0' is not valid here"),
        ("# CONTRACT metrics\n", "m.txt:1:19: CONTRACT ends too early"),
        ("# CONTRACT metrics 1.0.0 beta\n", "m.txt:1:26: 'beta' is too much"),
        (HEADER + "# SCRAPE path=/m\n", "m.txt:2:3: SCRAPE has no job"),
        (HEADER + "# SCRAPE job=a interval=1m\n", "m.txt:2:25: '1m' is not valid here"),
        (HEADER + "# BUDGET series=0\n", "m.txt:2:17: '0' is not valid here"),
        (HEADER + "# BUDGET lines=3\n", "m.txt:2:10: 'lines=3' is no option here"),
        (HEADER + "# HELP jobs_total\n", "m.txt:2:18: HELP ends too early"),
        (HEADER + "# TYPE jobs_total summary\n", "m.txt:2:19: type 'summary' is not supported"),
        (HEADER + "# TYPE jobs_total counter\n", "m.txt:2:1: family 'jobs_total' has no HELP"),
        (HEADER + "# HELP 1st Jobs.\n", "m.txt:2:8: '1st' is not valid here"),
        (HEADER + "# HELP jobs_total Jobs.\n", "m.txt:2:1: family 'jobs_total' has no TYPE"),
        (HEADER + "# HELP jobs J.\n# TYPE jobs counter\n", "m.txt:2:1: counter 'jobs' is misnamed"),
        (HEADER + "# HELP j_total J.\n# TYPE j_total gauge\n", "m.txt:2:1: gauge 'j_total' is misnamed"),
        (HEADER + "# HELP j_sum J.\n# TYPE j_sum gauge\n", "m.txt:2:1: family name 'j_sum' is taken"),
        (HEADER + COUNTER + "# HELP jobs J.\n# TYPE jobs gauge\n", "'jobs' and 'jobs_total' are one family"),
        (HEADER + HISTOGRAM, "m.txt:2:1: histogram 'wait_seconds' has no BUCKETS"),
        (HEADER + COUNTER + "# BUCKETS jobs_total 1\n", "m.txt:2:1: 'jobs_total' has BUCKETS"),
        (HEADER + HISTOGRAM + "# BUCKETS wait_seconds 1 0.5\n", "m.txt:4:26: bucket '0.5' does not rise"),
        (HEADER + HISTOGRAM + "# BUCKETS wait_seconds 1 +Inf\n", "m.txt:4:26: '+Inf' is not valid here"),
        (HEADER + HISTOGRAM + "# BUCKETS wait_seconds 1e999\n", "m.txt:4:24: '1e999' is not finite"),
        (HEADER + COUNTER + "# META jobs_total stability=solid\n", "m.txt:4:29: stability 'solid' is unknown"),
        (HEADER + COUNTER + "# META jobs_total across=mean\n", "m.txt:4:26: across 'mean' is unknown"),
        (HEADER + COUNTER + "# META jobs_total across=max\n", "m.txt:4:26: counter 'jobs_total' has across="),
        (HEADER + COUNTER + "# LABEL jobs_total a enumm x\n", "m.txt:4:22: label kind 'enumm' is unknown"),
        (HEADER + COUNTER + "# LABEL jobs_total le open\n", "m.txt:4:20: label 'le' is reserved"),
        (HEADER + COUNTER + "# LABEL jobs_total a enum\n", "m.txt:4:22: 'enum' says no values"),
        (HEADER + COUNTER + "# LABEL jobs_total a enum x|\n", "m.txt:4:27: 'x|' has an empty or a repeated value"),
        (HEADER + COUNTER + "# LABEL jobs_total a enum x overflow=y\n", "m.txt:4:38: overflow='y' is not listed"),
        (HEADER + COUNTER + "# LABEL jobs_total a enum x max=2\n", "m.txt:4:33: a closed list has a max"),
        (HEADER + COUNTER + "# LABEL jobs_total a match [a\n", "m.txt:4:28: pattern '[a' cannot be read"),
        (HEADER + COUNTER + "# LABEL jobs_total a match [[a]\n", "m.txt:4:28: pattern '[[a]' cannot be read"),
        (
            HEADER + COUNTER + "# LABEL jobs_total a open\n# LABEL jobs_total a open\n",
            "m.txt:5:20: 'a' is given a second",
        ),
        (HEADER + COUNTER + "# SERIES jobs_total presence=never\n", "m.txt:4:30: 'never' is not valid here"),
        (
            HEADER + COUNTER + "# LABEL jobs_total a enum x|y\n# SERIES jobs_total max=1\n",
            "m.txt:5:25: 'jobs_total' has max=1",
        ),
        (
            HEADER + COUNTER + "# LABEL jobs_total a enum x|y\n# SERIES jobs_total max=3\n",
            "m.txt:5:25: 'jobs_total' has max=3",
        ),
        (HEADER + COUNTER + "# LABEL jobs_total a open\n# SERIES jobs_total init=all\n", "m.txt:5:26: init= leaves"),
        (
            HEADER + COUNTER + "# LABEL jobs_total a enum x\n# SERIES jobs_total init=a:z\n",
            "m.txt:5:26: init=a:z names",
        ),
        (HEADER + "# DEPRECATED j_total since=1.0.0\n", "m.txt:2:3: DEPRECATED has no remove"),
        (
            HEADER + "# DEPRECATED j since=1.0.0 remove=2.0.0 replaced-by=k\n",
            "'j' is replaced by 'k', which is not declared",
        ),
        (HEADER + "# EXTERNAL process*_x\n", "m.txt:2:12: 'process*_x' is not valid here"),
        (HEADER + COUNTER + "jobs_total one\n", "m.txt:4:12: 'one' is no value of a sample"),
        (HEADER + COUNTER + "jobs_total 1 1700000000\n", "m.txt:4:12: '1 1700000000' is no value of a sample"),
        (HEADER + COUNTER + "jobs_total{a=x} 1\n", "m.txt:4:12: the labels cannot be read from here"),
        (HEADER + COUNTER + 'jobs_total{a="1",a="2"} 1\n', "m.txt:4:18: 'a' is given a second time"),
        (HEADER + COUNTER + 'jobs_total{a="1"} 1\n', "m.txt:4:1: a sample of 'jobs_total' has other labels"),
        (
            HEADER + COUNTER + '# LABEL jobs_total a enum x\njobs_total{a="y"} 1\n',
            "m.txt:5:1: a sample of 'jobs_total' has a='y'",
        ),
        (HEADER + "up 1\n", "m.txt:2:1: sample of 'up', whose type is not known"),
        (HEADER + HISTOGRAM + '# BUCKETS wait_seconds 1\nwait_seconds_bucket{le="2"} 1\n', "m.txt:5:1: a sample"),
        (HEADER + HISTOGRAM + "# BUCKETS wait_seconds 1\nwait_seconds_bucket 1\n", "m.txt:5:1: a sample"),
        ("up{a,a}\n", "m.txt:1:1: 'up{a,a}' repeats a label"),
        ("up\nup\n", "m.txt:2:1: family 'up' is listed twice"),
        (
            "up{a}\n# CONTRACT metrics 1.0.0\n# LABEL up b open\n",
            "m.txt:1:1: 'up' is listed with a and has LABEL lines for b",
        ),
        ("?\n", "m.txt:1:1: neither a comment nor a sample"),
    ],
)
def test_fault_names_place_rule_and_fix(text: str, expected: str) -> None:
    """Each fault says file, line, column and what is wrong, then the rule, then the fix."""
    fault = _fault(text)

    assert expected in fault
    line = next(line for line in fault.splitlines() if expected in line)
    assert line.count(": ") >= 2
    assert "; " in line


def test_all_faults_come_at_once() -> None:
    """One error tells every fault, in the order of the lines."""
    fault = _fault(HEADER + "# FOO\n" + COUNTER + "# BAR\njobs_total x\n")

    assert [line.split(":")[1] for line in fault.splitlines()] == ["2", "5", "6"]


def test_many_faults_are_counted_beyond_the_first_twenty() -> None:
    """A file of junk gives twenty faults and the number of the others."""
    fault = _fault("?\n" * 25)

    assert len(fault.splitlines()) == 21
    assert fault.endswith("and 5 more faults")


@pytest.mark.parametrize("families", [1, 50, 500])
def test_each_line_is_taken_apart_once(families: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work grows with the lines and with nothing else, however many families there are."""
    numbers: list[int] = []

    def counted(line: str, number: int) -> list[_tokens.Token]:
        numbers.append(number)
        return _tokens.split(line, number)

    monkeypatch.setattr("prethrift_backend.contracts.parser.split", counted)
    blocks = [COUNTER.replace("jobs", f"jobs_{index}") for index in range(families)]

    parse_metrics(HEADER + "".join(blocks), source="m.txt")

    assert numbers == list(range(1, 2 * families + 2))


def test_a_control_character_is_refused() -> None:
    """What nobody sees does not hide in a contract."""
    assert _fault(HEADER + "# a\x1b[2J\n").startswith("m.txt:2:4: control character '\\x1b'")


VOCABULARY = """
# CONTRACT SCRAPE BUDGET META LABEL BUCKETS SERIES DEPRECATED EXTERNAL HELP TYPE FOO metrics 1.0.0 jobs_total
wait_seconds counter gauge histogram untyped enum enum+ match open const a|b [a (?P<x>) max=3 max=0 overflow=a
presence=always init=all init=a:b init=: job=a interval=15s since=1.0.0 remove=2.0.0 0.1 1 1e999 a method le
jobs_total{a="b"} jobs_total{a,b} wait_seconds_bucket{le="1"} { } " = , \ud800 \u00e9
"""
WORDS = st.sampled_from(VOCABULARY.split())
LINES = st.lists(WORDS, max_size=8).map(" ".join)


@settings(deadline=None)
@given(st.one_of(st.text(), st.lists(LINES, max_size=12).map("\n".join)))
def test_no_text_crashes_the_parser(text: str) -> None:
    """Any text gives a contract or a ContractError, nothing else."""
    check_parsed(parse_metrics, text)


@settings(deadline=None)
@given(st.data())
def test_no_change_of_one_character_crashes_the_parser(data: st.DataObject) -> None:
    """The shipped file with a character replaced gives a contract or a ContractError."""
    check_parsed(parse_metrics, with_one_character_changed(data, _shipped()))


def _shipped() -> str:
    return Path(load_metrics().source).read_text(encoding="utf-8")
