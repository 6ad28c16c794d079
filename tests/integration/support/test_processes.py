"""Server processes of the tests."""

import sys
from pathlib import Path

import psutil
import pytest
from tests.support.processes import ProcessFailedError, ServerProcess, free_port, wait_for

WAIT_SECONDS = 30.0


def python(code: str) -> list[str]:
    """Return the command that runs `code`."""
    return [sys.executable, "-c", code]


def test_a_server_is_waited_for(tmp_path: Path) -> None:
    """The wait ends with the first answer over HTTP, and the process ends with the block."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]

    with ServerProcess(command, directory=tmp_path) as server:
        answer = server.wait_for_http(f"http://127.0.0.1:{port}/", WAIT_SECONDS)
        pid = server.pid

    assert answer.status_code == 200
    assert not psutil.pid_exists(pid)


def test_a_process_that_ends_early_fails_with_its_output() -> None:
    """The wait ends when the process does, and the error shows the status and what was written."""
    with (
        ServerProcess(python("import sys; print('no such folder'); sys.exit(3)")) as server,
        pytest.raises(ProcessFailedError, match=r"(?s)ended with status 3.*no such folder"),
    ):
        server.wait_for_output("ready", WAIT_SECONDS)


def test_a_deadline_fails_with_the_output() -> None:
    """A process that never does what is waited for is reported with what it wrote."""
    with ServerProcess(python("print('starting', flush=True); input()")) as server:
        server.wait_for_exit(WAIT_SECONDS)
        assert "starting" in server.output

    with (
        ServerProcess(python("import time; print('starting', flush=True); time.sleep(60)")) as server,
        pytest.raises(ProcessFailedError, match=r"(?s)'ready' in the output did not come true within 0\.5 s"),
    ):
        server.wait_for_output("ready", 0.5)


def test_children_end_with_the_process() -> None:
    """A child that the process left behind is ended as well."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(f'child={child.pid}.', flush=True); time.sleep(60)"
    )

    with ServerProcess(python(code)) as server:
        server.wait_for(lambda: server.output.endswith(".\n"), WAIT_SECONDS)
        child = int(server.output.strip().rstrip(".").partition("=")[2])

    wait_for(lambda: not _is_alive(child), WAIT_SECONDS)


def test_a_process_that_ignores_the_request_is_killed() -> None:
    """SIGKILL follows when SIGTERM is ignored."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    server = ServerProcess(python(code), stop_seconds=0.5)

    with server:
        server.wait_for_output("on", WAIT_SECONDS)

    assert server.exit_status == -9


def test_ctrl_c_reaches_the_process() -> None:
    """An interrupt arrives as it would from a terminal."""
    with ServerProcess(python("import time; print('on', flush=True); time.sleep(60)")) as server:
        server.wait_for_output("on", WAIT_SECONDS)

        server.interrupt()

        assert server.wait_for_exit(WAIT_SECONDS) == -2


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
