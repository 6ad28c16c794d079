"""`contracts verify --inject` on real processes: this application and the shop, treated badly, and in an outage."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from tests.support.proxy import FaultProxy
from tests.support.verify_targets import (
    COMMAND,
    SHOP_OPTIONS,
    START_SECONDS,
    backend,
    is_healthy,
    is_ready,
    shop,
    verdict,
    verify,
)
from tests.support.waiting import PAUSE_SECONDS, wait_for


@pytest.fixture
def store(s3_endpoint: str, images_bucket: str) -> dict[str, str]:
    """Give the settings of the bucket."""
    return {"AWS_ENDPOINT_URL_S3": s3_endpoint, "IMAGES_BUCKET": images_bucket}


@contextmanager
def _switch(proxy: FaultProxy, path: Path) -> Iterator[tuple[str, str]]:
    """Take the database away while a file is there; yield the commands that make it and remove it."""
    ended = Event()

    def follow() -> None:
        is_away = False
        while not ended.wait(PAUSE_SECONDS):
            if path.exists() != is_away:
                is_away = not is_away
                if is_away:
                    proxy.refuse()
                    proxy.cut()
                else:
                    proxy.restore()

    thread = Thread(target=follow)
    thread.start()
    try:
        yield f"touch {path}", f"rm {path}"
    finally:
        ended.set()
        thread.join()


def test_this_application_stands_bad_clients_and_an_outage(
    tmp_path: Path, proxied_database_url: str, database_proxy: FaultProxy, store: dict[str, str]
) -> None:
    """Readiness falls and comes back, liveness stays, the metrics follow, and nothing grows."""
    with backend(proxied_database_url, **store) as (process, address):
        process.wait_for(lambda: is_healthy(address), START_SECONDS)
        with _switch(database_proxy, tmp_path / "away") as (down, up):
            status, findings, report = verdict(address, "--inject", "--down", down, "--up", up)
        assert is_ready(address)

    assert findings == {}
    assert status == 0
    seen = {item["name"] for item in report["items"] if item["state"] == "passed"}
    assert {"bad clients", "outage", "http_requests_total"} <= seen


def test_a_shop_stands_bad_clients() -> None:
    """Any service that counts right and bounds its labels is verified."""
    with shop() as address:
        assert verdict(address, *SHOP_OPTIONS, "--inject")[:2] == (0, {})


def test_raw_paths_are_found_by_what_nobody_expects() -> None:
    """Every unknown path makes a series in this shop."""
    with shop("raw-paths") as address:
        status, findings, _ = verdict(address, *SHOP_OPTIONS, "--inject")

    assert status == 1
    assert {"LV145", "LV092"} <= set(findings)


def test_an_outage_that_readiness_does_not_show_is_a_violation(tmp_path: Path) -> None:
    """The shop knows nothing of what is taken away; it is brought back all the same."""
    path = tmp_path / "away"
    commands = ("--down", f"touch {path}", "--up", f"rm {path}", "--inject-timeout", "1")
    with shop() as address:
        status, findings, _ = verdict(address, *SHOP_OPTIONS, "--inject", *commands)

    assert status == 1
    assert set(findings) == {"LV151"}
    assert not path.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_what_is_taken_away_comes_back_however_the_run_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    """A scheduler that ends the run, a terminal that is closed, and Ctrl-C leave no outage behind."""
    path = tmp_path / "away"
    commands = ("--inject", "--down", f"touch {path}", "--up", f"rm {path}")
    with shop() as address:
        command = [str(COMMAND), "contracts", "verify", address, *SHOP_OPTIONS, "--rate", "100", *commands]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            wait_for(path.exists, START_SECONDS)
            process.send_signal(number)
            out, _ = process.communicate(timeout=START_SECONDS)
        finally:
            process.kill()

    assert process.returncode == 130
    assert "inconclusive: the run was interrupted" in out
    assert not path.exists()


def test_another_machine_is_not_treated_badly() -> None:
    """Nothing is asked there before somebody says that it is his own (the address is one of documentation)."""
    done = verify("http://192.0.2.1:1", "--inject")

    assert done.returncode == 2
    assert "--i-own-this" in done.stderr
