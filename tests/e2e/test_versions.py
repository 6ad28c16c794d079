"""Step 5: a deployment has stopped half-way, and one replica runs an older version of the contract."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.releases import older_release
from tests.e2e.stack import Stack
from tests.support.verify_targets import verify
from tests.support.waiting import wait_for

ALERT = "MixedContractVersions"
ALERT_SECONDS = 90.0  # it waits for thirty of them: half an hour by the faster clock
RESOLVED_SECONDS = 60.0


def test_a_replica_of_an_older_contract_version_is_noticed(stack: Stack, tmp_path: Path) -> None:
    """Prometheus sees both versions, the alert fires, `contracts verify` says so, and all ends with the older one."""
    older, replica = older_release(tmp_path), stack.replicas[-1]
    replica.stop()
    replica.command = older.command
    replica.settings |= older.settings
    replica.start(wait=False)  # what it promises is said before it is ready
    stack.say(f"{replica.name} is started from a release with version {older.contract_version} of the metrics contract")

    wait_for(lambda: len(_versions(stack)) == 2, ALERT_SECONDS, what="both versions in Prometheus")
    stack.say(f"contract_info has the versions {', '.join(_versions(stack))}")
    [alert] = stack.monitoring.wait_for_alert(ALERT, ALERT_SECONDS)
    stack.say(f"{ALERT} is in Alertmanager: {alert['annotations']['summary']}")
    wait_for(lambda: stack.monitoring.notified("tickets", ALERT, "firing"), ALERT_SECONDS, what="the ticket")
    replica.wait_ready()
    found = _verified(stack)
    stack.say(f"contracts verify --prometheus: {found}")
    assert "LV300" in found

    stack.mend()
    stack.monitoring.wait_until_resolved(ALERT, RESOLVED_SECONDS)
    stack.say(f"{replica.name} runs the release of the others, and {ALERT} is resolved")
    assert len(_versions(stack)) == 1


def _versions(stack: Stack) -> list[str]:
    found = stack.monitoring.query('count by (version) (contract_info{job="prethrift-backend",contract="metrics"})')
    return sorted(series["metric"]["version"] for series in found)


def _verified(stack: Stack) -> str:
    """Return the lines of the report that tell of the versions."""
    options = ("--prometheus", stack.prometheus_url, "--rules", str(stack.monitoring.rules), "--arrival-timeout", "2")
    report = verify(stack.replicas[0].url, *options, "--rate", "100").stdout
    return " ".join(line.strip() for line in report.splitlines() if "LV300" in line or "other contracts" in line)
