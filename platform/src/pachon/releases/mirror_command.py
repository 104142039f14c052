"""`pachon release mirror`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from pachon.releases.mirror import Mirror
from pachon.releases.remote import Remote

_MOST_JOBS = 16


def mirror(
    base_url: Annotated[str, typer.Argument(help="Address of the other platform: https://sky.example.org.")],
    release_id: Annotated[str, typer.Argument(help="Id of the release.")],
    folder: Annotated[Path, typer.Argument(help="Where copies are kept: files go to FOLDER/RELEASE_ID.")],
    *,
    token: Annotated[
        str | None, typer.Option(envvar="PACHON_TOKEN", help="Token of that platform; better in PACHON_TOKEN.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, max=_MOST_JOBS, help="Files that are fetched at once.")] = 4,
    under: Annotated[str, typer.Option(help="Only what is in this folder of the release.")] = "",
) -> None:
    """Copy a release from another platform: what is missing or changed, resumed and verified; run again to update."""
    with Remote(base_url, release_id, token=token) as remote, _display() as display:
        outcome = Mirror(remote, folder, display).run(jobs=jobs, under=under)
    typer.echo(
        f"{folder / release_id}: {outcome.fetched:,} files fetched, {outcome.present:,} were there; all are verified."
    )


class _Bar:
    """A bar of bytes."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("list of files", total=None)

    def expect(self, files: int, size_bytes: int) -> None:
        """Set the total."""
        self._progress.update(self._task, description=f"{files:,} files", total=size_bytes)

    def add(self, size_bytes: int) -> None:
        """Move on."""
        self._progress.advance(self._task, size_bytes)


@contextmanager
def _display() -> Iterator[_Bar]:
    """Shown on a terminal, silent elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        yield _Bar(progress)
