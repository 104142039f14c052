"""`pachon data`: build, list and verify catalogues, the default ones and those built only when asked for.

The program that mounts `app` gives, as the object of its context, a function from the option `--home` to the settings.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from pachon.core.errors import PachonError, SetupError
from pachon.preview.build import DEFAULT, OPTIONAL, build, build_missing, is_current, published_folder
from pachon.preview.models import Catalogue, LineReporter, Places, PlatformSettings, Reporter
from pachon.releases.description import read_description
from pachon.releases.upkeep import problems

_EXIT_CODE = 2
CATALOGUES = (*DEFAULT, *OPTIONAL)

app = typer.Typer(help="The catalogues: real data with their sources and licences.", no_args_is_help=True)

Home = Annotated[Path | None, typer.Option("--home", help="Folder of everything this installation keeps.")]
Only = Annotated[list[str] | None, typer.Option("--only", help="Id of a catalogue; may be repeated.")]


@app.command("build")
def build_command(
    context: typer.Context,
    *,
    home: Home = None,
    only: Only = None,
    every: Annotated[bool, typer.Option("--all", help="The optional catalogues too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Build again what is there.")] = False,
) -> None:
    """Download and build the default catalogues that are missing, or those that are named."""
    with _one_sentence_errors():
        places, chosen = _places(context, home), _chosen(only, every=every)
        with _reporter() as reporter:
            if not (only or force):
                build_missing(places, reporter, chosen)
            for catalogue in chosen if only or force else ():
                if force or not is_current(catalogue, places):
                    build(catalogue, places, reporter)
        for catalogue in chosen:
            typer.echo(f"{catalogue.id}: {_state(catalogue, places)}.")


@app.command("list")
def list_command(context: typer.Context, *, home: Home = None) -> None:
    """List the catalogues, with size and licence, and whether they are built."""
    with _one_sentence_errors():
        places = _places(context, home)
        for catalogue in CATALOGUES:
            release = read_description(catalogue.folder / "release.yaml")
            optional = " (optional)" if catalogue in OPTIONAL else ""
            size = f"{catalogue.row_count:,} rows, {catalogue.download.size_bytes / 1e6:.0f} MB to download"
            typer.echo(f"{catalogue.id}{optional}: {_state(catalogue, places)}.")
            typer.echo(f"  {release.title}, {size}. {release.licence}.")
            typer.echo(f"  {release.source}")


@app.command("verify")
def verify_command(context: typer.Context, *, home: Home = None, only: Only = None) -> None:
    """Count the rows of the catalogues that are built and compare every file with its digest."""
    with _one_sentence_errors():
        places = _places(context, home)
        chosen = _chosen(only, every=not only)
        built = {each: folder for each in chosen if (folder := published_folder(each, places)) is not None}
        if not built:
            raise SetupError(f"No catalogue is built in {places.releases}; 'pachon data build' builds them.")
        damaged = [catalogue.id for catalogue, folder in built.items() if not _is_sound(catalogue, folder)]
        if damaged:
            rebuild = " ".join(f"--only {each}" for each in damaged)
            raise SetupError(f"Damaged: {', '.join(damaged)}; 'pachon data build --force {rebuild}' builds them anew.")


def _is_sound(catalogue: Catalogue, folder: Path) -> bool:
    found = _problems(folder)
    for problem in found:
        typer.echo(f"{catalogue.id}: {problem}.")
    if not found:
        typer.echo(f"{catalogue.id}: {catalogue.row_count:,} rows, every file as built.")
    return not found


def _problems(folder: Path) -> list[str]:
    try:
        return list(problems(folder))
    except PachonError as error:
        return [str(error).rstrip(".")]


def _state(catalogue: Catalogue, places: Places) -> str:
    folder = published_folder(catalogue, places)
    if folder is None:
        return "not built"
    if is_current(catalogue, places):
        return f"built, in {folder}"
    return f"built by another version; 'pachon data build --only {catalogue.id}' builds it anew"


def _chosen(only: list[str] | None, *, every: bool) -> tuple[Catalogue, ...]:
    if only and every:
        raise SetupError("Options --only and --all exclude each other; give one of them.")
    return _named(only) if only else CATALOGUES if every else DEFAULT


def _named(ids: list[str]) -> tuple[Catalogue, ...]:
    known = {catalogue.id: catalogue for catalogue in CATALOGUES}
    if unknown := [each for each in ids if each not in known]:
        raise SetupError(f"There is no catalogue '{unknown[0]}'; there are {', '.join(known)}.")
    return tuple(known[each] for each in ids)


def _places(context: typer.Context, home: Path | None) -> Places:
    settled: Callable[[Path | None], PlatformSettings] = context.obj
    return Places.from_settings(settled(home))


@contextlib.contextmanager
def _one_sentence_errors() -> Iterator[None]:
    try:
        yield
    except PachonError as error:
        typer.echo(f"pachon: {error}", err=True)
        raise typer.Exit(_EXIT_CODE) from None


@contextlib.contextmanager
def _reporter() -> Iterator[Reporter]:
    """Bars on a terminal, lines otherwise."""
    console = Console()
    if not console.is_terminal:
        yield LineReporter(typer.echo)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _BarReporter(progress)


class _BarReporter:
    """One bar a catalogue, below the lines."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def say(self, line: str) -> None:
        """Print above the bars."""
        self._progress.console.print(line, highlight=False, markup=False)

    def rows(self, catalogue: Catalogue, done: int) -> None:
        """Move the catalogue's bar."""
        if catalogue.id not in self._tasks:
            self._tasks[catalogue.id] = self._progress.add_task(catalogue.id, total=catalogue.row_count)
        self._progress.update(self._tasks[catalogue.id], completed=done)
