"""The supervisor with small programs of its own: restarts, orphans, endings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from pachon.app.supervisor import family, logs
from support.stack import free_ports

_SUPERVISE = """
import os, signal, sys
from pathlib import Path
from pachon.app.supervisor import family
from pachon.app.supervisor.models import Layout, PlatformRecord, Program
from pachon.app.supervisor.service import Supervisor

home = Path(sys.argv[1])
(home / "run").mkdir()
asked = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: asked.append(1))
program = Program(name="part", title="Part", command=(sys.executable, sys.argv[2]), health_url="http://127.0.0.1:9/",
                  environment={family.MARK: str(home)})
supervisor = Supervisor((program,), Layout(home), base=PlatformRecord(pid=os.getpid(), started=0, home="", base_url=""),
                        tell=lambda line: print(line, flush=True), stop_asked=lambda: bool(asked))
supervisor.start()
supervisor.keep()
supervisor.stop()
print("ended", flush=True)
"""

_WITH_LAB = """
import subprocess, sys, time
lab = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("lab", lab.pid, flush=True)
time.sleep(600)
"""

_START = """
import os, sys
from pathlib import Path
from pachon.app.supervisor.errand import Errand
from pachon.app.supervisor.models import Layout, PlatformRecord, Program
from pachon.app.supervisor.service import Supervisor
from pachon.core.errors import SetupError

home, port, part, words = Path(sys.argv[1]), *sys.argv[2:]
(home / "run").mkdir()
program = Program(name="part", title="Part", command=(sys.executable, "-uc", part),
                  health_url=f"http://127.0.0.1:{port}/")
log = home / "logs" / "errand.log"
errand = Errand((sys.executable, "-uc", words), {}, log, tell=print, done=lambda: print("done"))
supervisor = Supervisor((program,), Layout(home), base=PlatformRecord(pid=os.getpid(), started=0, home="", base_url=""),
                        tell=print, stop_asked=lambda: False, errand=errand if words else None)
supervisor.start()
try:
    supervisor.wait_until_ready((), timeout_s=30, ready=print)
    print("ready")
except SetupError as error:
    print(error)
finally:
    supervisor.stop()
"""

_ANSWERING = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", {port}), Answer).serve_forever()
"""


class _Run:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, folder: Path, part: str) -> None:
        (folder / "supervise.py").write_text(_SUPERVISE)
        (folder / "part.py").write_text(part)
        self.log = folder / "logs" / "part.log"
        self.process = subprocess.Popen(
            [sys.executable, str(folder / "supervise.py"), str(folder), str(folder / "part.py")],
            stdout=subprocess.PIPE,
            text=True,
        )

    def said(self, words: str) -> str:
        for line in self.process.stdout:
            if words in line:
                return line
        pytest.fail(f"The supervisor ended without saying '{words}'.")

    def labs(self, count: int) -> list[int]:
        for _ in range(200):
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            found = [int(line.split()[1]) for line in lines if line.startswith("lab")]
            if len(found) >= count:
                return found
            time.sleep(0.05)
        pytest.fail(f"There are fewer than {count} labs.")

    def parent(self) -> psutil.Process:
        return psutil.Process(self.process.pid)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], _Run]]:
    runs: list[_Run] = []

    def begin(part: str) -> _Run:
        runs.append(_Run(tmp_path, part))
        return runs[-1]

    yield begin
    for run in runs:
        if run.process.poll() is None:
            run.process.send_signal(signal.SIGTERM)
        run.process.wait(30)
        run.process.stdout.close()
    family.end_leftovers(tmp_path)


def test_a_killed_process_is_restarted_and_its_lab_lives_on_until_the_platform_stops(
    start: Callable[[str], _Run],
) -> None:
    run = start(_WITH_LAB)
    (first_lab,) = run.labs(1)
    part = psutil.Process(first_lab).parent()
    part.kill()
    assert "signal 9" in run.said("ended")
    labs = run.labs(2)
    assert psutil.Process(first_lab).ppid() == run.process.pid
    run.process.send_signal(signal.SIGINT)
    run.process.send_signal(signal.SIGINT)
    run.said("ended")
    assert run.process.wait(30) == 0
    assert not any(psutil.pid_exists(pid) for pid in (part.pid, *labs))


def test_a_lab_that_ends_after_losing_its_hub_leaves_no_zombie(start: Callable[[str], _Run]) -> None:
    run = start(_WITH_LAB)
    (lab,) = run.labs(1)
    psutil.Process(lab).parent().kill()
    run.labs(2)
    os.kill(lab, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(lab):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_keeps_failing_is_told_with_its_log_and_waits_longer_each_time(
    start: Callable[[str], _Run],
) -> None:
    run = start("raise SystemExit(3)")
    waits = [run.said("ended") for _ in range(3)]
    assert [wait.split(" in ")[1] for wait in waits] == ["0.2 s.\n", "0.4 s.\n", "0.8 s.\n"]
    assert str(run.log) in run.said("failed 3 times")


def test_the_platform_is_ready_once_its_errand_has_ended_well_and_its_words_were_passed_on(tmp_path: Path) -> None:
    errand = "import time; print('half'); time.sleep(1); print('whole')"
    assert [line for line in _what_a_start_says(tmp_path, errand=errand) if line != "part"] == [
        "half",
        "whole",
        "done",
        "ready",
    ]


def test_an_errand_that_fails_ends_the_start_with_its_own_sentence(tmp_path: Path) -> None:
    errand = "print('trying'); print('pachon: The disk is full.'); raise SystemExit(2)"
    assert _what_a_start_says(tmp_path, errand=errand)[-1] == "The disk is full."


def test_a_program_that_the_machine_does_not_allow_is_not_tried_again_and_its_sentence_is_told(tmp_path: Path) -> None:
    said = _what_a_start_says(tmp_path, part="print('pachon: No database.'); raise SystemExit(2)")
    assert said[-1].startswith("Part: No database.")
    assert (tmp_path / "logs" / "part.log").read_text().count("No database") == 1


def _what_a_start_says(home: Path, *, part: str = _ANSWERING, errand: str = "") -> list[str]:
    """The lines of a start: what became ready, what the errand said, how it ended."""
    (port,) = free_ports(1)
    (home / "start.py").write_text(_START)
    done = subprocess.run(
        [sys.executable, "-u", str(home / "start.py"), str(home), str(port), part.replace("{port}", str(port)), errand],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if "starts again" not in line]


def test_processes_end_when_their_supervisor_is_killed_and_labs_are_found_by_their_mark(
    start: Callable[[str], _Run], tmp_path: Path
) -> None:
    run = start(_WITH_LAB)
    (lab,) = run.labs(1)
    part = psutil.Process(lab).parent()
    run.process.kill()
    run.process.wait()
    part.wait(10)
    assert psutil.pid_exists(lab)
    assert family.end_leftovers(tmp_path) == 1
    assert family.end_leftovers(tmp_path) == 0


def test_a_log_is_cut_at_its_bound_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "part.log"
    with path.open("ab", buffering=0) as writer:
        writer.write(b"old " * 100)
        logs.bound(path, max_bytes=300)
        writer.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.with_name("part.log.1").read_bytes() == b"old " * 100
