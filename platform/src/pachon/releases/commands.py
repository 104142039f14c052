"""`pachon release`: make releases, publish and retire them, and look after what is published.

The program that mounts `app` gives, as the object of its context, a function from the option `--home` to the settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import typer

from pachon.core import clock
from pachon.core.errors import NotFoundError, SetupError
from pachon.releases.description import MAX_EMBARGO_HOURS, description_from, read_document
from pachon.releases.drafts import (
    add_files,
    add_images,
    add_table,
    copy_release,
    create,
    draft_description,
    writable_links,
)
from pachon.releases.mirror_command import mirror
from pachon.releases.models import FileCollection, FileKind, ImageCollection, Release
from pachon.releases.publishing import publish, retire
from pachon.releases.registry import Registry
from pachon.releases.summary import Summary, summaries
from pachon.releases.tiers import move_archived, remove_replaced
from pachon.releases.upkeep import recover, verify

app = typer.Typer(help="The releases: make, publish, archive, verify and mirror them.", no_args_is_help=True)
app.command("mirror")(mirror)

Home = Annotated[Path | None, typer.Option("--home", help="Folder of everything this installation keeps.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
ReleaseId = Annotated[str, typer.Argument(help="Id of the release; also its schema name in ADQL.")]
Files = Annotated[list[Path], typer.Argument(help="Files, or folders of files.")]
_LINK = "Hard links instead of copies: whoever changes an original afterwards damages the release; make them read-only."
Link = Annotated[bool, typer.Option("--link", help=_LINK)]
CollectionId = Annotated[str, typer.Argument(help="Id of the collection, which is made if there is none.")]
Title = Annotated[str | None, typer.Option(help="Its name for people; default: what it has, or its id.")]
About = Annotated[str | None, typer.Option("--description", help="What it holds; default: what it says already.")]


class _DataGroup(Protocol):
    @property
    def keep_replaced_hours(self) -> float: ...


class _Settings(Protocol):
    """What of the platform's settings matters here."""

    @property
    def releases_path(self) -> Path: ...

    @property
    def mass_path(self) -> Path: ...

    @property
    def data(self) -> _DataGroup: ...


def _settings(context: typer.Context, home: Path | None) -> _Settings:
    settled: Callable[[Path | None], _Settings] = context.obj
    return settled(home)


def _registry(context: typer.Context, home: Path | None) -> Registry:
    settings = _settings(context, home)
    return Registry(settings.releases_path, settings.mass_path)


@app.command("create")
def create_command(
    context: typer.Context,
    release_id: ReleaseId,
    *,
    description_file: Annotated[
        Path | None, typer.Option("--from", help="A release.yaml; options win over what it says.")
    ] = None,
    copy_of: Annotated[
        Path | None, typer.Option(help="Folder of the same release, such as a mirror, of which everything is taken.")
    ] = None,
    link: Link = False,
    schema: Annotated[Path | None, typer.Option(help="Felis file that describes its tables.")] = None,
    title: Annotated[str | None, typer.Option(help="Its name for people.")] = None,
    about: Annotated[str | None, typer.Option("--description", help="What it is.")] = None,
    kind: Annotated[
        Literal["data-release", "special-programme", "catalogue", "prompt"] | None, typer.Option(help="Its kind.")
    ] = None,
    date: Annotated[str | None, typer.Option(help="Release date, UTC: YYYY-MM-DD.")] = None,
    audience: Annotated[Literal["world", "holders"] | None, typer.Option(help="For whom it is on its date.")] = None,
    simulated: Annotated[bool | None, typer.Option("--simulated/--observed", help="How the data came about.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the data come from.")] = None,
    licence: Annotated[str | None, typer.Option(help="How they may be used.")] = None,
    credit: Annotated[str | None, typer.Option(help="Whom to name.")] = None,
    doi: Annotated[str | None, typer.Option(help="Its digital object identifier.")] = None,
    provenance: Annotated[list[str] | None, typer.Option(help="How it was made; may be repeated.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Hub group for which it is; may be repeated.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Throw a draft away, or replace what is published.")] = False,
    home: Home = None,
) -> None:
    """Begin a release: a draft that nobody sees until it is published."""
    given = {
        "title": title,
        "description": about,
        "kind": kind.replace("-", " ") if kind else None,
        "date": date,
        "audience": audience,
        "simulated": simulated,
        "source": source,
        "licence": licence,
        "credit": credit,
        "doi": doi,
        "provenance": provenance,
        "groups": group,
    }
    given = {name: value for name, value in given.items() if value not in (None, [])}
    registry = _registry(context, home)
    if copy_of is not None:
        if given or description_file or schema:
            raise SetupError("Option --copy-of takes all descriptions from the folder; give no other.")
        draft = copy_release(registry, release_id, copy_of, link=link, anew=anew)
    else:
        release = _described(release_id, description_file, given)
        draft = create(registry, release, schema=schema, anew=anew)
    typer.echo(f"{release_id}: a draft, in {draft}.")
    _warn_of_links(registry, release_id, link=link)


def _described(release_id: str, file: Path | None, given: dict[str, Any]) -> Release:
    """A release from the options, and a file for what they do not say."""
    document = {"id": release_id, **(read_document(file) if file is not None else {}), **given}
    release = description_from(document, source=str(file or "The options"))
    if release.id != release_id:
        raise SetupError(f"{file} describes release '{release.id}', not '{release_id}'.")
    return release


@app.command("add-table")
def add_table_command(
    context: typer.Context,
    release_id: ReleaseId,
    table: Annotated[str, typer.Argument(help="Name of the table in the schema.")],
    files: Annotated[list[Path], typer.Argument(help="CSV, FITS, VOTable or Parquet files, in order.")],
    *,
    schema: Annotated[Path | None, typer.Option(help="Felis file, if the draft has none yet.")] = None,
    home: Home = None,
) -> None:
    """Import files into a table of a draft: all rows, or a list of what is wrong with them."""
    registry = _registry(context, home)
    done = add_table(registry, release_id, table, files, schema=schema)
    size = f"{done.row_count:,} rows, {done.size_bytes / 1e6:,.1f} MB"
    typer.echo(f"{done.table}: {size} in {len(done.partitions)} files, in {done.seconds:.1f} s.")


@app.command("add-images")
def add_images_command(
    context: typer.Context,
    release_id: ReleaseId,
    collection: CollectionId,
    files: Files,
    *,
    title: Title = None,
    about: About = None,
    embargo_hours: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=MAX_EMBARGO_HOURS,
            help="For how long after its exposure an image is for nobody; default: as the collection has it, or 0.",
        ),
    ] = None,
    shorten_embargo: Annotated[
        bool, typer.Option("--shorten-embargo", help="Allow fewer hours than the collection has, for all its images.")
    ] = False,
    link: Link = False,
    home: Home = None,
) -> None:
    """Put FITS images into a collection of a draft."""
    registry = _registry(context, home)
    known = {each.id: each for each in draft_description(registry, release_id).images}
    before = known.get(collection) or ImageCollection(id=collection, title=collection)
    title, about = before.title if title is None else title, before.description if about is None else about
    hours = before.embargo_hours if embargo_hours is None else embargo_hours
    images = replace(before, title=title, description=about, embargo_hours=hours)
    count = add_images(registry, release_id, images, files, link=link, shorten_embargo=shorten_embargo)
    typer.echo(f"{release_id}: {count:,} images in collection {collection}.")
    _warn_of_links(registry, release_id, link=link)


@app.command("add-files")
def add_files_command(
    context: typer.Context,
    release_id: ReleaseId,
    collection: CollectionId,
    files: Files,
    *,
    kind: Annotated[
        Literal["raw", "calibration", "telemetry", "configuration", "other"], typer.Option(help="What the files are.")
    ],
    title: Title = None,
    about: About = None,
    link: Link = False,
    home: Home = None,
) -> None:
    """Put files for download into a collection of a draft."""
    registry = _registry(context, home)
    known = {each.id: each for each in draft_description(registry, release_id).files}
    before = known.get(collection) or FileCollection(id=collection, kind=FileKind[kind.upper()], title=collection)
    title, about = before.title if title is None else title, before.description if about is None else about
    what = replace(before, kind=FileKind[kind.upper()], title=title, description=about)
    count = add_files(registry, release_id, what, files, link=link)
    typer.echo(f"{release_id}: {count:,} files in collection {collection}.")
    _warn_of_links(registry, release_id, link=link)


def _warn_of_links(registry: Registry, release_id: str, *, link: bool) -> None:
    if link and (path := next(writable_links(registry, release_id), None)) is not None:
        message = f"{path} and perhaps more are links to files that can still be written: take that right from them"
        typer.echo(f"{release_id}: {message}, or a change of the original damages the release.", err=True)


@app.command("publish")
def publish_command(context: typer.Context, release_id: ReleaseId, *, home: Home = None) -> None:
    """Check a draft and serve it; or serve a retired release again. A data release moves older ones down."""
    settings = _settings(context, home)
    registry = _registry(context, home)
    before = registry.read().entries
    after = publish(registry, release_id, at=clock.now()).entries
    typer.echo(f"{release_id}: published, {after[release_id].lifecycle.value}.")
    for other_id, entry in after.items():
        if other_id in before and before[other_id].lifecycle is not entry.lifecycle:
            typer.echo(f"{other_id}: {entry.lifecycle.value}.")
    left = move_archived(registry, at=clock.now(), report=typer.echo)
    remove_replaced(registry, at=clock.now(), keep=timedelta(hours=settings.data.keep_replaced_hours))
    if left:
        message = f"{release_id} is published, but not moved to mass storage are: {', '.join(left)}"
        raise SetupError(f"{message}; 'pachon release verify' tries again.")


@app.command("retire")
def retire_command(
    context: typer.Context,
    release_id: ReleaseId,
    *,
    delete: Annotated[
        bool, typer.Option("--delete", help="Forget it and remove its files, or throw its draft away.")
    ] = False,
    home: Home = None,
) -> None:
    """Serve a release no more; its files are kept, and 'publish' serves it again."""
    retire(_registry(context, home), release_id, at=clock.now(), delete=delete)
    typer.echo(f"{release_id}: {'deleted' if delete else 'retired'}.")


@app.command("list")
def list_command(context: typer.Context, *, as_json: AsJSON = False, home: Home = None) -> None:
    """List all releases and drafts, with lifecycle, storage tier, date and size."""
    found = summaries(_registry(context, home))
    if as_json:
        typer.echo(json.dumps({"releases": [each.document() for each in found]}, indent=1))
    else:
        typer.echo("\n".join(each.line() for each in found) or "There are no releases yet.")


@app.command("show")
def show_command(context: typer.Context, release_id: ReleaseId, *, as_json: AsJSON = False, home: Home = None) -> None:
    """Show all that is known of a release, with what was decided about it and when."""
    found = [each for each in summaries(_registry(context, home)) if each.id == release_id]
    if not found:
        raise NotFoundError(f"There is no release '{release_id}'; 'pachon release list' lists what there is.")
    if as_json:
        documents: list[dict[str, Any]] = [each.document() for each in found]
        typer.echo(json.dumps({"releases": documents}, indent=1))
    else:
        typer.echo("\n".join(_full(found)))


def _full(found: list[Summary]) -> list[str]:
    return [line for each in found for line in each.lines()]


@app.command("verify")
def verify_command(
    context: typer.Context,
    only: Annotated[list[str] | None, typer.Argument(help="Ids of releases; default: all.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, not digests.")] = False,
    home: Home = None,
) -> None:
    """Finish or undo what a crash left, and compare every file of the releases with its digest."""
    settings = _settings(context, home)
    registry = _registry(context, home)
    keep = timedelta(hours=settings.data.keep_replaced_hours)
    left = recover(registry, at=clock.now(), keep=keep, report=typer.echo)
    known = registry.read().entries
    if unknown := [each for each in only or () if each not in known]:
        raise NotFoundError(f"There is no release '{unknown[0]}'; 'pachon release list' lists what there is.")
    damaged = dict.fromkeys(left)
    for damage in verify(registry, quick=quick, only=frozenset(only or ())):
        typer.echo(f"{damage}.")
        damaged[damage.release_id] = None
    if damaged:
        raise SetupError(f"Not as they should be: {', '.join(damaged)}; the lines above say why.")
    typer.echo(f"{len(only or known)} releases, every file as published.")
