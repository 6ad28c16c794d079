"""Step 2: the database dies and comes back, and nobody does anything about the replicas."""

from __future__ import annotations

import time

import httpx
from tests.e2e.stack import Stack
from tests.support.waiting import wait_for

ALERT = "DatabaseDown"
# Three runs of the check, each up to 5 s after the one before; then the probe and the reload. Generous besides.
UNREADY_SECONDS = 60.0
ALERT_SECONDS = 60.0
RECOVERY_SECONDS = 60.0


def test_a_dead_database_takes_the_replicas_out_calls_somebody_and_all_recovers(stack: Stack) -> None:
    """Readiness falls, nginx asks nobody, DatabaseDown reaches the pager; with the database all is well by itself."""
    pids = [replica.pid for replica in stack.replicas]
    begun = time.monotonic()

    stack.database.stop()
    stack.say("the database has died")

    wait_for(lambda: not any(replica.is_ready() for replica in stack.replicas), UNREADY_SECONDS)
    stack.say(f"readiness is 503 on every replica, {time.monotonic() - begun:.1f} s later")
    wait_for(lambda: stack.endpoints.names == (), UNREADY_SECONDS, what="nginx without replicas")
    refused = _search(stack)
    stack.say(f"nginx answers a search with {refused.status_code}: {refused.text}")
    assert refused.status_code == 502
    assert refused.headers["content-type"] == "application/problem+json"

    alerts = stack.monitoring.wait_for_alert(ALERT, ALERT_SECONDS)
    stack.say(f"{ALERT} is in Alertmanager {time.monotonic() - begun:.1f} s after the death, for {_instances(alerts)}")
    wait_for(lambda: len(stack.monitoring.alerts(ALERT)) == len(stack.replicas), ALERT_SECONDS)
    wait_for(lambda: stack.monitoring.notified("pager", ALERT, "firing"), ALERT_SECONDS, what="the page")
    stack.say(f"the pager was called; alerts that are active: {', '.join(stack.monitoring.firing_names())}")
    assert all(_is_live(replica.url) for replica in stack.replicas)

    back = time.monotonic()
    stack.database.start()
    stack.say("the database is back")
    stack.wait_until_routed(deadline_seconds=RECOVERY_SECONDS)
    stack.say(f"all replicas get requests again, {time.monotonic() - back:.1f} s later")
    assert _search(stack).status_code == 200
    stack.monitoring.wait_until_resolved(ALERT, RECOVERY_SECONDS)
    wait_for(lambda: stack.monitoring.notified("pager", ALERT, "resolved"), RECOVERY_SECONDS, what="the all-clear")
    stack.say(f"{ALERT} is resolved, and the pager was told, {time.monotonic() - back:.1f} s after the return")
    assert [replica.pid for replica in stack.replicas] == pids


def _search(stack: Stack) -> httpx.Response:
    return httpx.get(f"{stack.url}/api/search", params={"q": "red hat"}, trust_env=False, timeout=30.0)


def _is_live(url: str) -> bool:
    return httpx.get(f"{url}/health/live", trust_env=False, timeout=5.0).status_code == 200


def _instances(alerts: list[dict[str, dict[str, str]]]) -> str:
    return ", ".join(sorted(alert["labels"]["instance"] for alert in alerts))
