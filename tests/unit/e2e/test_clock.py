"""The faster clock of the end-to-end session: every time of the real files, and nothing but times."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tests.e2e.clock import OPS, alertmanager_text, faster, with_faster_clock, write_prometheus

RULES = sorted((OPS / "prometheus" / "rules").glob("*.yml"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [("5m", "5s"), ("30m", "30s"), ("1h", "60s"), ("3d", "4320s"), ("15s", "1s"), ("30s", "1s"), ("500ms", "1s")],
)
def test_a_minute_lasts_a_second_and_nothing_is_shorter(given: str, expected: str) -> None:
    """The whole rule, on the durations that the files have."""
    assert faster(given) == expected


def test_a_duration_of_several_units_is_refused() -> None:
    """It would come out wrong in silence."""
    with pytest.raises(ValueError, match="'1h30m' is not one number with one unit"):
        faster("1h30m")


def test_in_an_expression_only_times_change() -> None:
    """Ranges and offsets do; thresholds, names of rules and label values that look alike do not."""
    rule = {"expr": 'job:slow:ratio_rate5m{le="5m"} > 30 and increase(x_total[10m]) - x_total offset 15m > 0.5'}

    changed = with_faster_clock(rule)["expr"]

    assert changed == 'job:slow:ratio_rate5m{le="5m"} > 30 and increase(x_total[10s]) - x_total offset 15s > 0.5'


@pytest.mark.parametrize("path", RULES, ids=[path.name for path in RULES])
def test_no_time_of_the_real_rules_stays_as_it_was(path: Path) -> None:
    """After the change no range, offset, interval or wait is in minutes, hours or days."""
    changed = yaml.safe_dump(with_faster_clock(yaml.safe_load(path.read_text())), width=1000)

    assert not re.findall(r"\[\d+[mhdw]\]|offset \d+[mhdw]\b|^ *(?:for|interval): \d+[mhdw]$", changed, re.MULTILINE)


def test_the_scrape_configuration_keeps_its_jobs_and_paths(tmp_path: Path) -> None:
    """Targets, Alertmanager and times are replaced; jobs, paths and the limit of samples are those of the file."""
    real = yaml.safe_load((OPS / "prometheus" / "prometheus.yml").read_text())

    path = write_prometheus(tmp_path, targets=["127.0.0.1:1", "127.0.0.1:2"], alertmanager="127.0.0.1:3")

    written = yaml.safe_load(path.read_text())
    kept = ("job_name", "metrics_path", "sample_limit")
    assert [[job.get(key) for key in kept] for job in written["scrape_configs"]] == [
        [job.get(key) for key in kept] for job in real["scrape_configs"]
    ]
    assert {str(job["static_configs"][0]["targets"]) for job in written["scrape_configs"]} == {
        "['127.0.0.1:1', '127.0.0.1:2']"
    }
    assert {job["scrape_interval"] for job in written["scrape_configs"]} == {"1s"}


def test_every_receiver_of_alertmanager_gets_an_address() -> None:
    """Routes and inhibition stay, so that what is sent to whom is what the real file says."""
    real = yaml.safe_load((OPS / "alertmanager" / "alertmanager.yml").read_text())

    written = yaml.safe_load(alertmanager_text(inbox="http://127.0.0.1:1"))

    assert written["inhibit_rules"] == real["inhibit_rules"]
    assert written["route"]["routes"][0]["matchers"] == real["route"]["routes"][0]["matchers"]
    urls = [receiver["webhook_configs"][0]["url"] for receiver in written["receivers"]]
    assert urls == [f"http://127.0.0.1:1/{receiver['name']}" for receiver in real["receivers"]]
