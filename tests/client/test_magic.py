"""The magic `%%adql` in a real kernel, against real Web APIs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ipywidgets
import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from pachon_client import Client
from pachon_client.paged_table import PagedTable
from support.app import AS_HOLDER, HOLDER, Site, running_site
from support.skies import FIRST_ID

FEW = f"SELECT id, ra, dec\nFROM stars WHERE id < {FIRST_ID + 50}"
ENDLESS = "SELECT COUNT(*) FROM sky.stars AS a, sky.stars AS b, sky.stars AS c WHERE a.ra+b.ra<c.ra"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[Client]:
    with Client(f"{site.url}/api", HOLDER) as client:
        yield client


class Kernel:
    """A kernel; what cells show is a list of bundles by media type."""

    def __init__(self, manager: KernelManager, channels: BlockingKernelClient) -> None:
        self.manager = manager
        self.channels = channels

    def run(self, source: str, *, on_shown: Callable[[str], None] = lambda _: None) -> list[dict[str, Any]]:
        """What a cell shows; `on_shown` is called with the text of each bundle when it comes."""
        shown: list[dict[str, Any]] = []

        def keep(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append({"text/plain": content["text"]})
            elif message["msg_type"] == "error":
                shown.append({"text/plain": content["ename"]})
            elif message["msg_type"] in {"display_data", "execute_result", "update_display_data"}:
                shown.append(content["data"])
                on_shown(content["data"].get("text/plain", ""))

        reply = self.channels.execute_interactive(source, timeout=60, output_hook=keep, allow_stdin=False)
        return [*shown, {"status": reply["content"]["status"]}]

    def value(self, expression: str) -> str:
        """How Python writes the value of an expression."""
        return str(self.run(expression)[0]["text/plain"])

    def complete(self, source: str) -> tuple[dict[str, str], float]:
        """Words with their kinds that the kernel offers where `|` stands, and the seconds that it took."""
        started_s = time.monotonic()
        reply = self.channels.complete(source.replace("|", ""), source.index("|"), reply=True, timeout=10)
        passed_s = time.monotonic() - started_s
        offered = reply["content"]["metadata"]["_jupyter_types_experimental"]
        return {each["text"]: each["type"] for each in offered}, passed_s

    def explain(self, source: str) -> str:
        """What the kernel says of the word where `|` stands."""
        reply = self.channels.inspect(source.replace("|", ""), source.index("|"), reply=True, timeout=10)
        return str(reply["content"]["data"].get("text/plain", ""))


@contextmanager
def running_kernel(folder: Path, environment: Mapping[str, str]) -> Iterator[Kernel]:
    manager = KernelManager(kernel_name="python3")
    here = {name: value for name, value in os.environ.items() if not name.startswith("PACHON_")}
    manager.start_kernel(env={**here, "IPYTHONDIR": str(folder), **environment}, cwd=str(folder))
    channels = manager.client()
    channels.start_channels()
    try:
        channels.wait_for_ready(timeout=60)
        yield Kernel(manager, channels)
    finally:
        channels.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@pytest.fixture(scope="module")
def kernel(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    given = {"PACHON_API_URL": f"{site.url}/api", "JUPYTERHUB_API_TOKEN": HOLDER}
    with running_kernel(tmp_path_factory.mktemp("home"), given) as kernel:
        yield kernel


def test_words_of_the_platform_are_offered_with_their_kinds_and_python_is_not_asked(kernel: Kernel) -> None:
    offered, seconds = dict[str, str](), list[float]()
    while offered != {"s.dec": "double [deg]"} and sum(seconds) < 20:
        offered, passed_s = kernel.complete("%%adql\nSELECT s.d| FROM sky.stars AS s")
        seconds.append(passed_s)
    assert offered == {"s.dec": "double [deg]"}
    assert min(seconds) < 0.2, seconds
    assert kernel.complete("%%adql --release sky\nSELECT ra FROM st|")[0] == {
        "stars": "table",
        "sky.stars": "table",
        "future.stars": "table",
    }
    assert kernel.complete("%%adql\nSELECT ivo_hasw|")[0] == {"ivo_hasword": "function"}
    assert kernel.complete("%%adql\nSELECT impor|")[0].keys() == {"impor"}
    assert "import" in kernel.complete("impor|")[0]
    told = kernel.explain("%%adql\nSELECT s.de|c FROM sky.stars AS s")
    assert told.startswith("dec: double [deg]\nDeclination, ICRS")
    assert "Return the number of items" in kernel.explain("le|n([])")


def test_without_a_platform_the_magic_is_loaded_by_hand_and_completion_is_silent(tmp_path: Path) -> None:
    with running_kernel(tmp_path, {"JUPYTERHUB_API_TOKEN": ""}) as kernel:
        shown, status = kernel.run("%%adql\nSELECT 1")
        assert "Cell magic `%%adql` not found" in shown["text/plain"]
        assert kernel.run("%load_ext pachon_client") == [{"status": "ok"}]
        for _ in range(2):
            assert kernel.complete("%%adql\nSELECT ra FROM |")[0].keys() == {""}
            assert kernel.complete("%%adql\nSELECT dist|")[0].keys() == {"distance", "distinct"}
        assert kernel.run("1") == [{"text/plain": "1"}, {"status": "ok"}]
        shown, status = kernel.run("%%adql\nSELECT 1")
        assert status == {"status": "error"}
        assert "No address is known: give api_url or set PACHON_API_URL." in shown["text/plain"]


def test_rows_are_bound_shown_by_pages_and_remembered_in_the_history(kernel: Kernel, client: Client) -> None:
    table, status = kernel.run(f"%%adql --release sky --to near\n{FEW}")
    assert status == {"status": "ok"}
    assert table["text/html"].count("<tr>") == 2 + 20
    assert "Rows are in near. 50 rows x 3 columns" in table["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in table
    assert kernel.value("(len(near), near.table.column_names)") == "(50, ['id', 'ra', 'dec'])"
    run = _eventually(lambda: client.executions(1)[0].query.strip() == FEW.replace("stars", "sky.stars"), client)
    assert run.row_count == 50


def _eventually(holds: Callable[[], bool], client: Client) -> Any:
    """The newest execution, once the condition holds: a run is recorded a moment after its answer."""
    for _ in range(100):
        if holds():
            return client.executions(1)[0]
        time.sleep(0.02)
    raise AssertionError


def test_what_a_query_hardly_means_is_told_above_its_rows_and_kept_with_them(kernel: Kernel) -> None:
    *_, table, _ = kernel.run("%%adql --name meant\nSELECT id FROM sky.stars WHERE 2/3600 < dec")
    assert "<strong>Warning:</strong> line 1, column " in table["text/html"]
    assert "2/3600.0" in kernel.value("meant.warnings")
    assert kernel.value("meant_query.result().warnings == meant.warnings") == "True"


def test_a_name_saves_the_query_and_the_same_name_again_makes_a_version(
    kernel: Kernel, client: Client, site: Site
) -> None:
    kernel.run(f"%%adql --name mine --release sky\n{FEW}")
    for number in range(60):  # more than a page that hold the word
        given = {"adql": "SELECT 1", "name": f"mine {number}"}
        site.client.post("/api/queries", json=given, headers=AS_HOLDER).raise_for_status()
    kernel.run(f"%%adql --name mine --release sky --maxrec 7\n{FEW}")
    assert kernel.value("(len(mine), mine.overflow, mine_query.version)") == "(7, True, 2)"
    (found,) = client.queries(name="mine", whose="mine")
    assert [version.adql for version in client.open(found.id).versions()] == [client.open(found.id).adql] * 2
    kernel.run(f'%%adql --name "not a Python name" --release sky --maxrec 3\n{FEW}')
    assert kernel.value("(len(result), result_query.name)") == "(3, 'not a Python name')"


def test_a_mistake_is_pointed_at_and_leaves_what_was_there(kernel: Kernel) -> None:
    kernel.run("kept = 'before'")
    said, status = kernel.run("%%adql --to kept\nSELECT ra,\n  decc\nFROM sky.stars")
    assert status == {"status": "error"}
    lines = said["text/plain"].splitlines()
    assert lines[0].startswith("UsageError: line 2, column 3: ")
    assert lines[-2:] == ["   2 |   decc", "     |   ^"]
    assert kernel.value("kept") == "'before'"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%adql --rows 3\nSELECT 1", "unrecognized arguments: --rows 3"),
        ("%%adql --maxrec few\nSELECT 1", "argument --maxrec: invalid int value: 'few'"),
        ("%%adql --name 'open\nSELECT 1", "The options of %%adql cannot be read: No closing quotation."),
        ("%%adql --to 3x\nSELECT 1", "--to is '3x'; it must be a name of Python."),
        ("%%adql\n \n", "There is nothing below %%adql"),
        ("%%adql --release none\nSELECT 1", "none"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_sentence(kernel: Kernel, cell: str, said: str) -> None:
    shown, status = kernel.run(cell)
    assert status == {"status": "error"}
    assert said in shown["text/plain"]
    assert "Traceback" not in shown["text/plain"]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        (f"%%adql --async\n{ENDLESS}", "the job was aborted on the server"),
        (f"%%adql --name endless\n{ENDLESS}", "the job was aborted on the server"),
        (f"import pachon_client\npachon_client.ask({ENDLESS!r}).result()", "KeyboardInterrupt"),
    ],
)
def test_an_interrupt_aborts_the_job_on_the_server(kernel: Kernel, client: Client, cell: str, told: str) -> None:
    def interrupt(text: str) -> None:
        if text.startswith("EXECUTING"):
            kernel.manager.interrupt_kernel()

    *_, said, status = kernel.run(cell, on_shown=interrupt)
    assert status == {"status": "error"}
    assert told in said["text/plain"]
    assert client.tap().get_job_list(phases=["EXECUTING", "QUEUED"]) == []


def test_a_job_tells_how_it_goes_and_brings_its_rows(kernel: Kernel) -> None:
    *progress, table, status = kernel.run(f"%%adql --async --release sky\n{FEW}")
    assert status == {"status": "ok"}
    assert progress[-1]["text/plain"].startswith("COMPLETED after ")
    assert "50 rows" in table["text/html"]


def test_pages_turn_by_buttons_and_stop_at_both_ends(client: Client) -> None:
    result = client.query(f"SELECT id FROM sky.stars WHERE id < {FIRST_ID + 50} ORDER BY id")
    table = PagedTable(result)
    widget = table.widget(ipywidgets)
    back, place, _, forth = widget.children[0].children
    rows = widget.children[1]
    assert str(FIRST_ID) in rows.value
    back.click()
    assert place.value == 1
    for _ in range(4):
        forth.click()
    assert (place.value, rows.value.count("<tr>")) == (3, 2 + 10)
    assert str(FIRST_ID + 49) in rows.value
    place.value = 2
    assert rows.value == table.page(1)
