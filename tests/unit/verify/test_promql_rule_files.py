"""Rule files: read with their lines, held against what Prometheus accepts, and linted together."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.promql_cases import RIGHT, WRONG, make_contract

from prethrift_backend.verify.findings import Finding, Item
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.rule_files import duration_seconds, know_rules, lint_rule_files, read_rule_file
from prethrift_backend.verify.promql.tree import QueryError, parse

GOOD = """\
groups:
  - name: shop
    interval: 30s
    rules:
      - record: endpoint:errors:ratio5m
        expr: |
          sum by (endpoint) (rate(http_requests_total{status_code=~"5.."}[5m]))
            / sum by (endpoint) (rate(http_requests_total[5m]))
            or sum by (endpoint) (rate(http_requests_total[5m])) * 0
        labels: {tier: web}
      - alert: Errors
        expr: endpoint:errors:ratio5m > 0.05 and sum by (endpoint, tier) (endpoint:errors:ratio5m) > 0
        for: 5m
        labels: {severity: page}
        annotations:
          summary: "{{ $labels.endpoint }} of {{ $labels.tier }}: {{ $value | humanizePercentage }}"
      - alert: Down
        expr: up{job="shop"} == 0
      - alert: Gone
        expr: absent(up{job="shop"})
"""


@pytest.fixture
def known() -> Known:
    """Know the contract of the cases."""
    return Known(make_contract())


def _write(folder: Path, text: str, name: str = "rules.yml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _lint_files(paths: Sequence[Path], known: Known) -> tuple[list[Finding], list[Item]]:
    files = [read_rule_file(path) for path in paths]
    return lint_rule_files(files, know_rules(files, known))


def _lint(path: Path, known: Known) -> list[Finding]:
    return _lint_files([path], known)[0]


def _rule(expression: str, *, kind: str = "alert: A") -> str:
    key, name = kind.split(": ")
    return json.dumps({"groups": [{"name": "g", "rules": [{key: name, "expr": expression}]}]})


def test_good_file_has_no_findings(tmp_path: Path, known: Known) -> None:
    """Recorded names, their labels and an alert on absence beside the one on up are all understood."""
    findings, items = _lint_files([_write(tmp_path, GOOD)], known)

    assert findings == []
    assert [item.name for item in items] == ["endpoint:errors:ratio5m", "Errors", "Down", "Gone"]


def test_finding_names_the_line_of_the_expression(tmp_path: Path, known: Known) -> None:
    """The place is the expression's, in a block the first line of its text."""
    text = GOOD.replace("http_requests_total{status", "http_request_total{status").replace('up{job="shop"}', "up")

    findings = _lint(_write(tmp_path, text), known)

    assert [(finding.rule, finding.place.line if finding.place else 0) for finding in findings] == [
        ("PQ002", 7),
        ("PQ011", 18),
    ]


def test_recorded_name_has_the_labels_that_are_left(tmp_path: Path, known: Known) -> None:
    """A label that the recording rule aggregated away is unknown in the alert, by matcher and by template."""
    text = GOOD.replace("endpoint:errors:ratio5m > 0.05", 'endpoint:errors:ratio5m{method="GET"} > 0.05')
    text = text.replace("{{ $labels.tier }}", "{{ $labels.method }}")

    assert [finding.rule for finding in _lint(_write(tmp_path, text), known)] == ["PQ003", "PQ014"]


def test_files_know_one_another(tmp_path: Path, known: Known) -> None:
    """A name that one file records is known in the other, whichever comes first."""
    record = _write(tmp_path, _rule("sum(queue_length)", kind="record: all:queue"), "b.yml")
    alert = _write(tmp_path, _rule("all:queue > 5"), "a.yml")

    assert [finding.rule for finding in _lint(alert, known)] == ["PQ002"]
    assert _lint_files([alert, record], known)[0] == []


def test_the_same_rule_twice_and_slow_groups_are_found(tmp_path: Path, known: Known) -> None:
    """PQ015: one of two equal rules is too many, and results more than 5 minutes apart have gaps."""
    text = GOOD.replace("interval: 30s", "interval: 10m") + GOOD[GOOD.index("      - alert: Gone") :]

    findings = _lint(_write(tmp_path, text), known)

    assert [finding.rule for finding in findings] == ["PQ015", "PQ015"]
    assert findings[1].message == "'Gone' is there twice: first in line 20"


# What promtool refuses, and so do we.
BROKEN = (
    "groups: [",
    "groups: 5",
    "- groups",
    "grups: []",
    "groups: [{rules: []}]",
    "groups: [{name: a}, {name: a}]",
    "groups: [{name: a, interval: soon}]",
    "groups: [{name: a, rules: 5}]",
    "groups: [{name: a, ruls: []}]",
    "groups: [{name: a, rules: [{expr: up}]}]",
    "groups: [{name: a, rules: [{alert: A}]}]",
    "groups: [{name: a, rules: [{alert: A, record: a, expr: up}]}]",
    "groups: [{name: a, rules: [{record: 'a b', expr: up}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, for: 5m}]}]",
    "groups: [{name: a, rules: [{record: a, expr: up, annotations: {a: b}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, for: 5 minutes}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, four: 5m}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, labels: {'a-b': c}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, labels: {a: [c]}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, labels: {__name__: c}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, annotations: {a: '{{ $labels.x '}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, annotations: {a: '{{ $lables.x }}'}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: up == 1, labels: {a: '{{ $value | humanise }}'}}]}]",
    "groups: [{name: a, rules: [{alert: A, expr: 'up =='}]}]",
    "groups: [{name: a, name: b}]",
)


@pytest.mark.parametrize("text", BROKEN)
def test_what_prometheus_refuses_is_an_error(text: str, tmp_path: Path, known: Known) -> None:
    """A file that would not be loaded has a finding of level error."""
    assert "error" in [finding.level for finding in _lint(_write(tmp_path, text), known)]


def test_missing_and_empty_files(tmp_path: Path, known: Known) -> None:
    """A file that is not there is a finding; one with nothing in it is well."""
    assert [finding.rule for finding in _lint(tmp_path / "none.yml", known)] == ["PQ000"]
    assert _lint(_write(tmp_path, "# nothing\n"), known) == []
    assert [finding.rule for finding in _lint(_write(tmp_path, "\0"), known)] == ["PQ000"]


def test_aliases_of_aliases_cost_little(tmp_path: Path, known: Known) -> None:
    """A small file that would be a huge one when written out, or an endless one, is read or refused at once."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 11)]

    assert {f.rule for f in _lint(_write(tmp_path, "\n".join(lines)), known)} == {"PQ000"}
    assert {f.rule for f in _lint(_write(tmp_path, "groups: &g [*g]"), known)} == {"PQ000"}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        ("10ms", 0.01),
        ("0", 0.0),
        ("", None),
        ("5", None),
        ("m", None),
    ],
)
def test_durations_are_prometheus_own(text: str, seconds: float | None) -> None:
    """Units go from the largest to the smallest, each once."""
    assert duration_seconds(text) == seconds


@given(text=st.text(max_size=300) | st.text("groups:rulesalertexpr -{}[]\n&*|>'\"", max_size=200))
def test_no_text_crashes_the_reader(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a file holds, it is read or refused."""
    path = _write(tmp_path_factory.getbasetemp(), text.encode("utf-8", "replace").decode(), "fuzz.yml")

    assert read_rule_file(path).path == str(path)


PROMTOOL = shutil.which("promtool")


def _refuses(path: Path) -> bool:
    return (
        subprocess.run([PROMTOOL or "", "check", "rules", str(path)], capture_output=True, check=False).returncode == 1
    )


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("text", [*BROKEN, GOOD])
def test_promtool_refuses_no_file_that_we_take(text: str, tmp_path: Path, known: Known) -> None:
    """Where promtool says no, there is an error of ours; and it takes the file that we find well."""
    path = _write(tmp_path, text)

    assert _refuses(path) == (text != GOOD)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_refuses_no_query_that_we_take(tmp_path: Path, known: Known) -> None:
    """Of all expressions of the table, promtool takes those that are well and those that we say more of than PQ000."""
    texts = sorted({text for _, text, rule in WRONG if rule != "PQ000"} | {text for _, text in RIGHT})
    rules = [{"alert": f"A{number}", "expr": text} for number, text in enumerate(texts)]
    path = _write(tmp_path, json.dumps({"groups": [{"name": "all", "rules": rules}]}))

    assert not _refuses(path)
    assert "PQ000" not in {finding.rule for finding in _lint(path, known)}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize("text", [text for _, text, rule in WRONG if rule == "PQ000" and len(text) < 1000])
def test_promtool_agrees_on_what_is_no_query(text: str, tmp_path: Path, known: Known) -> None:
    """What is PQ000 for us, promtool does not load either."""
    assert _refuses(_write(tmp_path, _rule(text)))


def _mutilated(text: str, chance: random.Random) -> str:
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text) + 1)
        cut = chance.choice((0, 0, 1, 3, 6))
        put = chance.choice(
            (*"(){}[]=~!,*-$:.05", "", " by (a) ", " on (a) ", " bool ", " offset 5m ", " and ", "[5m:]", "5m")
        )
        text = text[:place] + put + text[place + cut :]
    return text


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_refuses_no_mutilated_query_that_we_take(tmp_path: Path) -> None:
    """Of a thousand expressions with something cut out or put in, all that promtool refuses cannot be read here."""
    chance = random.Random(1)
    sources = sorted({text for _, text, _ in WRONG if len(text) < 500} | {text for _, text in RIGHT})
    texts = [_mutilated(chance.choice(sources), chance) for _ in range(1_000)]
    rules = [{"record": f"r{number}", "expr": text} for number, text in enumerate(texts) if text.strip()]
    path = _write(tmp_path, json.dumps({"groups": [{"name": "g", "rules": rules}]}))

    said = subprocess.run([PROMTOOL or "", "check", "rules", str(path)], capture_output=True, check=False, text=True)

    refused = {texts[int(number)] for number in re.findall(r'"r(\d+)": could not parse', said.stdout + said.stderr)}
    assert len(refused) > 100
    assert [text for text in refused if _can_be_read(text)] == []


def _can_be_read(text: str) -> bool:
    try:
        parse(text)
    except QueryError:
        return False
    return True
