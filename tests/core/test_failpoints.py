import signal
import subprocess
import sys

import pytest

from pachon.core.errors import SetupError
from pachon.core.failpoints import NAMES, arm, failpoint
from support.stack import PACHON, platform_environment


def _run(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode


def test_an_armed_point_kills_the_process_after_the_passes_it_was_given() -> None:
    start = "from pachon.core.failpoints import arm, failpoint; arm('import.after-spill', passes=1);"
    point = "failpoint('import.after-spill');"
    assert _run(f"{start} {point} failpoint('import.after-checks')") == 0
    assert _run(f"{start} {point} {point}") == -signal.SIGKILL


def test_points_do_nothing_unless_they_are_armed() -> None:
    for name in NAMES:
        failpoint(name)
    with pytest.raises(SetupError, match=r"no failpoint 'import\.nowhere'; allowed are create\."):
        arm("import.nowhere")


def test_the_command_line_arms_the_point_that_the_settings_name() -> None:
    done = subprocess.run(
        [*PACHON, "down"],
        env=platform_environment(None, {"PACHON_FAILPOINT": "nowhere"}),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "no failpoint 'nowhere'" in done.stderr
