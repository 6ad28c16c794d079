"""What every form of report has in common, and how reports are written."""

from __future__ import annotations

import io
import json
import re
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from jsonschema import Draft7Validator, Draft202012Validator
from prometheus_client.parser import text_string_to_metric_families
from tests.support.findings import ADDED, BLIND, CLEAN, OUTCOME, OUTCOMES, REMOVED, RUN, RUNS
from tests.support.sarif_schema import SARIF_SCHEMA

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Outcome, Place
from prethrift_backend.verify.reports import RENDERERS, Request, parse_request, presentable, render, write_reports
from prethrift_backend.verify.verdict import Run

SCHEMA = json.loads((Path(__file__).parents[3] / "contracts" / "findings.schema.json").read_text())
FINDINGS_SCHEMA = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
SARIF = Draft7Validator(SARIF_SCHEMA, format_checker=Draft7Validator.FORMAT_CHECKER)
SECRET = "hunter2-and-more-9"
_COMMAND = re.compile(r"::(error|warning|notice)( [a-z]+=[^:,\r\n]*(,[a-z]+=[^:,\r\n]*)*)?::[^\r\n]*")


def _write(
    requests: list[Request], outcome: Outcome = OUTCOME, *, run: Run = RUN, environ: dict[str, str] | None = None
) -> str:
    output = io.StringIO()
    write_reports(requests, outcome, run, output=output, environ=environ or {})
    return output.getvalue()


def _suite(outcome: Outcome, run: Run) -> ET.Element:
    text = render("junit", outcome, run)
    return ET.fromstring(text.encode())[0]  # noqa: S314 - we wrote it ourselves, and an entity in it would be a fault


# Well-formed, whatever a finding says.


@given(OUTCOMES, RUNS)
def test_every_json_document_keeps_to_its_schema(outcome: Outcome, run: Run) -> None:
    """No text breaks the document or takes it out of its schema."""
    FINDINGS_SCHEMA.validate(json.loads(render("json", outcome, run).encode()))


@given(OUTCOMES, RUNS)
def test_every_json_line_is_one_object(outcome: Outcome, run: Run) -> None:
    """A line a finding and one for the whole, by every notion of a line's end."""
    lines = render("jsonl", outcome, run).encode().decode().splitlines()

    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds == ["finding"] * len(outcome.findings) + ["excused"] * len(outcome.excused) + ["outcome"]


@given(OUTCOMES, RUNS)
def test_every_junit_document_is_xml(outcome: Outcome, run: Run) -> None:
    """No text is taken for markup or holds a character that XML forbids; the counts are those of the cases."""
    suite = _suite(outcome, run)

    assert suite.attrib["tests"] == str(len(suite.findall("testcase")))
    assert suite.attrib["failures"] == str(len(suite.findall("testcase/failure")))
    assert len(suite.findall("testcase")) >= len(outcome.items)


@given(OUTCOMES, RUNS)
def test_every_sarif_document_keeps_to_the_standard(outcome: Outcome, run: Run) -> None:
    """No text breaks the document, and each result points at its rule."""
    document = json.loads(render("sarif", outcome, run).encode())

    SARIF.validate(document)
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in document["runs"][0]["results"])


@given(OUTCOMES, RUNS)
def test_every_annotation_is_one_command(outcome: Outcome, run: Run) -> None:
    """No text ends its command, begins another or adds a property."""
    lines = render("github", outcome, run).encode().decode().splitlines()

    assert all(_COMMAND.fullmatch(line) for line in lines)
    assert len(lines) >= len(outcome.findings) + len(outcome.inconclusive)


@given(OUTCOMES, RUNS)
def test_every_exposition_can_be_parsed(outcome: Outcome, run: Run) -> None:
    """No text breaks a label or adds a family, and no series is there twice."""
    text = render("prom", outcome, run).encode().decode()

    families = list(text_string_to_metric_families(text))
    assert len(families) == 5
    for family in families:
        samples = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(set(samples)) == len(samples)


@given(OUTCOMES, RUNS)
def test_every_line_for_people_is_printable(outcome: Outcome, run: Run) -> None:
    """No text moves the cursor, changes colours or the direction of writing, or looks like a line of ours."""
    text = render("human", outcome, run).encode().decode()

    assert all(character == "\n" or character.isprintable() for character in text)
    starts = sum(line.startswith(("    ", "inconclusive: ", "not observed (")) for line in text.split("\n"))
    assert len(text.split("\n")) - starts <= len(outcome.findings) + len(outcome.excused) + 2


# Without secrets.


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("field", ["rule", "name", "message", "expected", "observed", "fix", "reproduce", "place"])
def test_no_report_shows_a_secret(kind: str, field: str) -> None:
    """What looks like a secret is hidden in every field of every report."""
    text = f"curl -H 'Authorization: Bearer {SECRET}' http://u:{SECRET}@host/"
    change: Any = {field: Place(text) if field == "place" else text}
    leaky = replace(REMOVED, **change)

    assert SECRET not in render(kind, replace(OUTCOME, findings=(leaky,)), RUN)


@pytest.mark.parametrize("kind", RENDERERS)
def test_no_report_shows_a_token_that_the_run_has_used(kind: str) -> None:
    """A value that no rule would know is hidden where the run names it, in target, items and reasons too."""
    outcome = replace(
        BLIND,
        target="http://host/plainword",
        inconclusive=("plainword is refused",),
        findings=(replace(REMOVED, message="plainword"),),
    )

    assert "plainword" not in render(kind, outcome, RUN, secrets=["plainword", ""])


def test_the_worst_stands_first() -> None:
    """Findings are sorted by level, then by place, so that two runs compare line by line."""
    assert [finding.level for finding in presentable(OUTCOME).findings] == ["error", "warning", "info"]


def test_the_same_outcome_makes_the_same_report() -> None:
    """The order in which checks found things is nowhere seen."""
    backwards = replace(OUTCOME, findings=OUTCOME.findings[::-1])

    assert all(render(kind, backwards, RUN) == render(kind, OUTCOME, RUN) for kind in RENDERERS)


# Asked for and written.


def test_reports_are_asked_for_by_kind_and_file() -> None:
    """`KIND=FILE` goes to a file; `KIND` and `KIND=-` to standard output."""
    asked = [parse_request(text) for text in ("human", "json=-", "junit=out/a=b.xml")]

    assert asked == [Request("human"), Request("json"), Request("junit", Path("out/a=b.xml"))]


@pytest.mark.parametrize("text", ["yaml", "", "json=", "=x"])
def test_what_is_no_report_is_refused(text: str) -> None:
    """The error names the value and says what may stand there."""
    with pytest.raises(ValueError, match=re.escape(repr(text.partition("=")[0] if text != "json=" else text))):
        parse_request(text)


def test_several_reports_are_written_at_once(tmp_path: Path) -> None:
    """Each goes where it was asked to go, and nothing else is left in the folder."""
    printed = _write([Request("human"), *(Request(kind, tmp_path / kind) for kind in RENDERERS)])

    assert printed.endswith("not observed\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(RENDERERS)


def test_a_file_of_a_report_is_for_everybody(tmp_path: Path) -> None:
    """The node exporter runs as somebody else than the job that writes."""
    _write([Request("prom", tmp_path / "contracts.prom")])

    assert stat.S_IMODE((tmp_path / "contracts.prom").stat().st_mode) == 0o644


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """Who has the old file open reads the old one to its end."""
    path = tmp_path / "out.json"
    path.write_text("old")
    with path.open() as reader:
        _write([Request("json", path)])

        assert reader.read() == "old"
    assert json.loads(path.read_text())["verdict"] == "violated"


def test_a_file_that_cannot_be_written_is_an_error_by_name(tmp_path: Path) -> None:
    """The path is named, and the folder keeps nothing of the attempt."""
    with pytest.raises(ContractError, match=r"missing/out\.json: No such file"):
        _write([Request("json", tmp_path / "missing" / "out.json")])


def test_standard_output_of_any_encoding_will_do() -> None:
    """A terminal that has no such letter gets its escape, not a traceback."""
    raw = io.BytesIO()
    output = io.TextIOWrapper(raw, encoding="ascii", newline="\n")
    outcome = replace(OUTCOME, findings=(replace(REMOVED, message="größer"),))
    write_reports([Request("human")], outcome, RUN, output=output, environ={})
    output.flush()

    assert rb"gr\xf6\xdfer" in raw.getvalue()


# Human.


def test_people_read_a_line_a_finding_and_how_to_mend_it() -> None:
    """Place, level, rule, item and sentence; expected, observed, users, fix and a command below; a count at the end."""
    outcome = replace(OUTCOME, excused=())

    assert render("human", outcome, RUN).splitlines() == [
        "contracts/metrics.txt:12:3: error M001 metrics http_requests_total: the family is gone",
        "    expected: a counter",
        "    observed: nothing",
        "    used by: ops/alerts.yml:7",
        "    fix: put it back, or announce it with DEPRECATED",
        "    see: curl -s http://127.0.0.1:8000/metrics",
        "contracts/logs.txt: warning L006 logs search_completed: the rate is raised",
        "info L003 logs search_completed: the field 'page' is new",
        "not observed (no request was traced): GET {route}",
        "violated: 1 error, 1 warning, 1 info; 4 items: 2 passed, 1 failed, 1 not observed",
    ]


def test_an_excused_finding_is_not_forgotten() -> None:
    """It is shown with its day and reason, and fails nothing."""
    lines = render("human", replace(OUTCOME, findings=()), RUN).splitlines()

    assert lines[0].startswith("excused until 2027-01-31: contracts/metrics.txt:12:3: error M001 ")
    assert lines[0].endswith(" (agreed with its users)")
    assert lines[-1].startswith("verified: ")


def test_nothing_observed_is_said() -> None:
    """A run that saw nothing says so before its count."""
    assert render("human", BLIND, RUN).splitlines()[-2:] == [
        "inconclusive: nothing was observed",
        "inconclusive: 0 errors, 0 warnings, 0 info; 1 item: 1 not observed",
    ]


def test_colour_marks_levels_and_the_verdict() -> None:
    """Red for errors, yellow for warnings, cyan for the rest; green when verified."""
    coloured = replace(RUN, in_colour=True)
    text = render("human", OUTCOME, coloured)

    assert all(mark in text for mark in ("\x1b[31merror\x1b[0m", "\x1b[33mwarning\x1b[0m", "\x1b[36minfo\x1b[0m"))
    assert render("human", CLEAN, coloured).startswith("\x1b[32mverified")


# JSON.


def test_the_schema_is_a_schema() -> None:
    """The document that promises the form is itself of the form that it names."""
    Draft202012Validator.check_schema(SCHEMA)


def test_the_schema_bites() -> None:
    """A field too many, a time that is none and an unknown level are refused: the checks above are not empty."""
    document = json.loads(render("json", OUTCOME, RUN))
    broken: list[dict[str, Any]] = [
        document | {"extra": 1},
        document | {"at": "yesterday"},
        document | {"findings": [document["findings"][0] | {"level": "fatal"}]},
        document | {"excused": [document["excused"][0] | {"until": "soon"}]},
    ]

    assert not any(FINDINGS_SCHEMA.is_valid(each) for each in broken)


def test_a_json_document_holds_the_finding_whole() -> None:
    """Programs get every field, and the counts and the verdict beside them."""
    document = json.loads(render("json", OUTCOME, RUN))

    assert document["findings"][0] == {
        "rule": "M001",
        "level": "error",
        "category": "QUERY",
        "signal": "metrics",
        "name": "http_requests_total",
        "message": "the family is gone",
        "expected": "a counter",
        "observed": "nothing",
        "place": {"path": "/repo/contracts/metrics.txt", "line": 12, "column": 3},
        "consumers": [{"path": "/repo/ops/alerts.yml", "line": 7, "column": None}],
        "fix": "put it back, or announce it with DEPRECATED",
        "reproduce": "curl -s http://127.0.0.1:8000/metrics",
        "fingerprint": REMOVED.fingerprint,
    }
    assert (document["verdict"], document["exit_status"]) == ("violated", 1)
    assert document["counts"] == {
        "findings": {"error": 1, "warning": 1, "info": 1},
        "items": {"passed": 2, "failed": 1, "excused": 0, "not_observed": 1},
    }


# JUnit.


def _cases(outcome: Outcome, run: Run = RUN) -> dict[str, Any]:
    return {case.attrib["name"]: case for case in _suite(outcome, run)}


def test_junit_has_a_case_for_each_item() -> None:
    """Failed, passed, skipped with the reason; what does not count as a failure is output."""
    cases = _cases(replace(OUTCOME, excused=()))

    assert [[part.tag for part in case] for case in cases.values()] == [["failure"], ["system-out"], ["skipped"], []]
    assert cases["http_requests_total"].attrib["file"] == "contracts/metrics.txt"
    assert cases["http_requests_total"].find("failure").attrib["message"] == "M001: the family is gone"
    assert cases["GET {route}"].find("skipped").attrib["message"] == "not observed: no request was traced"


def test_junit_skips_what_is_excused() -> None:
    """An exception is neither a pass nor a failure."""
    case = _cases(replace(OUTCOME, findings=()))["http_requests_total"]

    assert case.find("skipped").attrib["message"] == "excused until 2027-01-31: agreed with its users"


def test_junit_has_a_case_for_a_finding_without_an_item() -> None:
    """A finding about something that no contract names is not lost."""
    cases = _cases(Outcome("lint", (REMOVED,)))

    assert cases["http_requests_total"].find("failure") is not None


def test_junit_follows_what_counts_as_a_failure() -> None:
    """With `--fail-on warning` a warning fails its case."""
    assert _cases(OUTCOME, replace(RUN, fail_on="warning"))["search_completed"].find("failure") is not None


def test_junit_has_an_error_for_a_run_that_cannot_tell() -> None:
    """All cases skipped would look green to most CI servers."""
    suite = _suite(BLIND, RUN)

    assert suite.attrib["errors"] == "1"


# SARIF.


def _sarif(outcome: Outcome) -> Any:
    return json.loads(render("sarif", outcome, RUN))["runs"][0]


def test_sarif_points_at_lines_below_the_root() -> None:
    """The address is relative to where the command runs, as code scanning wants it, and users are related."""
    result = _sarif(OUTCOME)["results"][0]

    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "contracts/metrics.txt"},
        "region": {"startLine": 12, "startColumn": 3},
    }
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "ops/alerts.yml"}
    assert (result["ruleId"], result["level"]) == ("M001", "error")
    assert result["partialFingerprints"] == {"prethriftFinding/v1": REMOVED.fingerprint}


def test_sarif_names_a_user_once() -> None:
    """Two places that differ in what SARIF does not say are one; the standard wants a set."""
    users = (Place("a.yml", None, 3), Place("a.yml"), Place("/repo/a.yml"), Place("a.yml", 3))
    result = _sarif(replace(OUTCOME, findings=(replace(REMOVED, consumers=users),)))["results"][0]

    assert len(result["relatedLocations"]) == 2


def test_sarif_has_every_rule_that_the_run_judged() -> None:
    """Rules without findings are there too, since their absence in the results says that they hold."""
    rules = _sarif(replace(CLEAN, rules=("V004",)))["tool"]["driver"]["rules"]

    assert [rule["id"] for rule in rules] == ["V004"]
    assert rules[0]["help"]["text"].startswith("An exception that has run out")


def test_sarif_suppresses_what_is_excused() -> None:
    """Code scanning shows it as dismissed, with the reason."""
    (result,) = _sarif(replace(OUTCOME, findings=()))["results"]

    assert result["suppressions"] == [{"kind": "external", "justification": "until 2027-01-31: agreed with its users"}]


def test_sarif_leaves_promql_readable_and_makes_no_links() -> None:
    """Only what a viewer would replace is escaped: placeholders and links."""
    message = 'rate(x{a="b"}[5m]) is {0} [here](1)'
    (result,) = _sarif(replace(OUTCOME, findings=(replace(REMOVED, message=message),), excused=()))["results"]

    assert r'rate(x{a="b"}[5m]) is {{0}} \[here](1)' in result["message"]["text"]


def test_the_schema_of_sarif_bites() -> None:
    """An unknown property, a line 0 and a missing message are refused: the checks above are not empty."""
    document = json.loads(render("sarif", OUTCOME, RUN))
    result = document["runs"][0]["results"][0]
    result["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    errors = {error.json_path for error in SARIF.iter_errors(document)}
    result["fix"] = "x"
    del document["runs"][0]["results"][1]["message"]
    errors |= {error.json_path for error in SARIF.iter_errors(document)}

    assert errors == {
        "$.runs[0].results[0].locations[0].physicalLocation.region.startLine",
        "$.runs[0].results[0]",
        "$.runs[0].results[1]",
    }


# GitHub.


def test_an_annotation_has_place_title_and_text() -> None:
    """The form is the one of workflow commands, with their escapes."""
    assert render("github", replace(OUTCOME, findings=(REMOVED,)), RUN) == (
        "::error file=contracts/metrics.txt,line=12,col=3,title=M001 http_requests_total::the family is gone%0A"
        "expected: a counter%0Aobserved: nothing%0Afix: put it back, or announce it with DEPRECATED%0A"
        "see: curl -s http://127.0.0.1:8000/metrics\n"
    )


def test_an_annotation_keeps_what_is_an_escape_to_the_runner() -> None:
    """A percent sign, and a colon or comma in a property, arrive as they were."""
    finding = replace(ADDED, name="a,b:c", message="90 %0A is no line end")

    assert render("github", replace(OUTCOME, findings=(finding,)), RUN) == (
        "::notice title=L003 a%2Cb%3Ac::90 %250A is no line end\n"
    )


def test_annotations_over_the_cap_are_counted_in_one() -> None:
    """GitHub would drop them without a word."""
    many = tuple(replace(REMOVED, name=f"x{number:02}") for number in range(25))
    lines = render("github", replace(OUTCOME, findings=many), RUN).splitlines()

    assert len(lines) == 10
    assert lines[-1] == "::error title=more findings::16 more findings of this level: M001 (16)"


def test_the_step_summary_is_a_table(tmp_path: Path) -> None:
    """It is added to the file that the runner names; what would end a cell is escaped."""
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    outcome = replace(OUTCOME, findings=(replace(REMOVED, message="a|b\n<c>"),))
    _write([Request("github")], outcome, environ={"GITHUB_STEP_SUMMARY": str(path)})

    text = path.read_text()
    assert text.startswith("before\n### contracts diff\n")
    assert (
        r"| error | M001 | http\_requests\_total | a\|b\\n&lt;c&gt; | contracts/metrics.txt:12 |" in text.splitlines()
    )


# Prometheus.


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_textfile_counts_findings_and_items() -> None:
    """Findings by rule and level, items by state, the status and the time, all by command and target."""
    samples = _samples(render("prom", OUTCOME, RUN))

    assert samples["contract_findings", "diff", "origin/main", "M001", "error"] == 1
    assert samples["contract_items", "diff", "origin/main", "not_observed"] == 1
    assert samples["contract_check_exit_status", "diff", "origin/main"] == 1
    assert samples["contract_check_last_run_timestamp_seconds", "diff", "origin/main"] == RUN.at.timestamp()


def test_the_last_success_outlives_a_failure(tmp_path: Path) -> None:
    """A run that fails keeps the time of the last that did not, so that an alert can be on its age."""
    path = tmp_path / "contracts.prom"
    ours = ("contract_check_last_success_timestamp_seconds", "lint", "")
    _write([Request("prom", path)], replace(CLEAN, findings=(REMOVED,)))
    never = _samples(path.read_text())[ours]
    _write([Request("prom", path)], CLEAN)
    _write([Request("prom", path)], replace(CLEAN, findings=(REMOVED,)), run=replace(RUN, at=RUN.at + timedelta(1)))

    samples = _samples(path.read_text())
    assert never == 0
    assert samples[ours] == RUN.at.timestamp()
    assert samples["contract_check_last_run_timestamp_seconds", "lint", ""] == RUN.at.timestamp() + 86_400
