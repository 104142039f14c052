import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pachon.core.failpoints import NAMES
from support.release_lives import live, look

Do = Callable[..., int]
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def do() -> Iterator[Do]:
    """Does a task of `support.release_lives` in a process of its own and tells its exit status."""
    program = [sys.executable, "-m", "support.release_lives"]
    with subprocess.Popen(program, cwd=TESTS, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(task: str, folder: Path, point: str = "") -> int:
            process.stdin.write(f"{task}|{folder}|{point}\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield ask
        process.stdin.close()


@pytest.fixture(scope="module")
def begun(do: Do, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    assert do("begin", folder) == 0
    return folder


@pytest.mark.parametrize("point", [name for name in NAMES if not name.startswith("start.")])
def test_a_crash_at_any_point_shows_nothing_half_made_and_the_same_commands_go_on(
    point: str, do: Do, begun: Path, tmp_path: Path
) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    assert do("live", tmp_path, point) == -signal.SIGKILL
    assert do("look", tmp_path) == 0
    assert do("restart", tmp_path) == 0
    assert do("live", tmp_path) == 0
    assert do("restart", tmp_path) == 0


def test_a_life_without_a_crash_goes_through_all_that_readers_may_see(begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    look(tmp_path)
    live(tmp_path)
    look(tmp_path)
    left = {path.name for path in (tmp_path / "releases").iterdir()} - {".locks", ".drafts"}
    assert left == {"hist_dr3", "registry.json"}
    assert list((tmp_path / "releases" / ".drafts").iterdir()) == []
    assert [path.name for path in (tmp_path / "mass").iterdir()] == ["hist_dr1"]
