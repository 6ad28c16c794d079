"""JUnit's XML: a test case for each item, so that a CI server shows coverage and its course."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from prethrift_backend.verify._text import relative_path, visible, xml_text
from prethrift_backend.verify.findings import Excused, Finding, Item, Outcome
from prethrift_backend.verify.verdict import Run, State, counts_as_failure, reasons, states


def render_junit(outcome: Outcome, run: Run) -> str:
    """Return the document.

    A finding that counts fails the case of its item, and has a case of its own where no item is its; others are
    output. What was not observed, or is excused, is skipped with the reason. A run that cannot tell has an error.
    """
    findings = _grouped(outcome.findings)
    excused: dict[tuple[str, str], Excused] = {
        (each.finding.signal, each.finding.name): each for each in outcome.excused
    }
    suite = Element("testsuite", name=xml_text(f"contracts {outcome.command}"))
    named: set[tuple[str, str]] = {(item.signal, item.name) for item in outcome.items}
    for item, state in states(outcome, run.fail_on):
        own = (item.signal, item.name)
        _add_case(suite, item, state, excused=excused.get(own), findings=findings.get(own, ()), run=run)
    for key, those in findings.items():
        if key not in named:
            _add_case(suite, Item(those[0].signal, those[0].name, those[0].place), "passed", findings=those, run=run)
    for reason in reasons(outcome):
        case = SubElement(suite, "testcase", classname="contracts", name="conclusive")
        SubElement(case, "error", message=xml_text(reason), type="inconclusive")
    return _document(suite, run)


def _document(suite: Element, run: Run) -> str:
    counts = {
        "tests": len(suite),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
    }
    for name, count in counts.items():
        suite.set(name, str(count))
    suite.set("time", "0")
    suite.set("timestamp", run.at.replace(microsecond=0).isoformat())
    root = Element("testsuites", {name: str(count) for name, count in counts.items()})
    root.append(suite)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _grouped(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((finding.signal, finding.name), []).append(finding)
    return grouped


def _add_case(
    suite: Element,
    item: Item,
    state: State,
    *,
    findings: Iterable[Finding],
    run: Run,
    excused: Excused | None = None,
) -> None:
    case = SubElement(suite, "testcase", classname=item.signal, name=xml_text(item.name), time="0")
    if item.place is not None:
        case.set("file", xml_text(relative_path(item.place.path, run.root)))
        if item.place.line is not None:
            case.set("line", str(item.place.line))
    failures = [finding for finding in findings if counts_as_failure(finding, run.fail_on)]
    others = [finding for finding in findings if not counts_as_failure(finding, run.fail_on)]
    if failures:
        # One element for all: most readers look at the first alone.
        message = "; ".join(f"{finding.rule}: {finding.message}" for finding in failures)
        failure = SubElement(case, "failure", type=xml_text(failures[0].rule), message=xml_text(message))
        failure.text = _lines(failures)
    elif state == "not observed":
        SubElement(case, "skipped", message=xml_text(f"not observed: {item.not_observed}"))
    elif state == "excused" and excused is not None:
        SubElement(case, "skipped", message=xml_text(f"excused until {excused.until}: {excused.reason}"))
    if others:
        SubElement(case, "system-out").text = _lines(others)


def _lines(findings: Iterable[Finding]) -> str:
    return "\n".join(line for finding in findings for line in _described(finding))


def _described(finding: Finding) -> list[str]:
    place = f"{finding.place}: " if finding.place else ""
    details = {"expected": finding.expected, "observed": finding.observed, "fix": finding.fix, "see": finding.reproduce}
    return [
        visible(f"{place}{finding.level} {finding.rule}: {finding.message}"),
        *(f"  {name}: {visible(text)}" for name, text in details.items() if text),
    ]
