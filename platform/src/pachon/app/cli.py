"""The command line: `pachon`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import MutableMapping
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import version as distribution_version
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, Literal

import typer
from pydantic import ValidationError
from typer.core import TyperGroup

from pachon.app import commands_status, commands_up, preparation
from pachon.app.accounts import account_lines, demo_accounts
from pachon.app.settings import Settings
from pachon.app.supervisor import record
from pachon.app.supervisor.models import SETUP_EXIT_STATUS, Layout
from pachon.core.errors import PachonError, SetupError
from pachon.core.imports import quick_imports

_INTERRUPTED_EXIT_CODE = 130
_GROUPS = {"data": "pachon.preview.commands", "release": "pachon.releases.commands"}
_SERVERS = {"api": "pachon.app.web", "hub": "pachon.hub.__main__", "portal": "pachon.portal.server"}


class _Commands(TyperGroup):
    """The commands; groups are imported when they are asked for, since they bring seconds of imports."""

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """All of them, by name."""
        return {**self._quick, **{name: _group(name) for name in _GROUPS}}

    @commands.setter
    def commands(self, commands: MutableMapping[str, Any]) -> None:
        self._quick = commands

    def get_command(self, ctx: object, cmd_name: str) -> Any:  # noqa: ANN401 -- typer keeps the type private
        """One of them."""
        del ctx
        return _group(cmd_name) if cmd_name in _GROUPS else self._quick.get(cmd_name)


def _group(name: str) -> Any:  # noqa: ANN401 -- typer keeps the type private
    group = typer.main.get_command(import_module(_GROUPS[name]).app)
    group.name = name
    return group


app = typer.Typer(
    name="pachon",
    cls=_Commands,
    help="An open science platform for a sky survey.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


Home = Annotated[Path | None, typer.Option("--home", help="Folder of everything this installation keeps.")]
AsJSON = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


@app.callback()
def _begin(context: typer.Context) -> None:
    context.obj = lambda home: commands_up.settled(home, None)


@app.command()
def up(
    *,
    home: Home = None,
    port: Annotated[int | None, typer.Option(min=1, max=65531, help="Port of the address people use.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return once everything is ready.")] = False,
) -> None:
    """Start the whole platform; Ctrl-C stops it. A platform already running in this home is left alone (exit 0)."""
    settings = commands_up.settled(home, port)
    if known := record.read(Layout(settings.home)):
        typer.echo(f"Already {'up' if known.ready else 'starting'}: {known.base_url} (process {known.pid}).")
    elif detach:
        commands_up.run_detached(settings)
    else:
        commands_up.run(settings)


@app.command()
def down(
    *,
    home: Home = None,
    timeout: Annotated[float, typer.Option(min=0, help="How long to wait, seconds.")] = 60.0,
) -> None:
    """Stop the platform and wait until every process has ended."""
    stopped = commands_status.stop(Layout(commands_up.settled(home, None).home), timeout_s=timeout)
    typer.echo("Stopped." if stopped else "Nothing was running.")


@app.command()
def status(
    *,
    home: Home = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is ready.")] = False,
    timeout: Annotated[float, typer.Option(min=0, help="How long to wait, seconds.")] = 120.0,
    as_json: AsJSON = False,
) -> None:
    """Say what runs and whether it answers; exit code 0 if all of it does, else 1."""
    layout = Layout(commands_up.settled(home, None).home)
    found = commands_status.wait_for_status(layout, timeout_s=timeout if wait else 0)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    else:
        _print_status(found)
    raise typer.Exit(0 if found.ready else 1)


def _print_status(found: commands_status.PlatformStatus) -> None:
    if not found.running:
        typer.echo(f"Nothing runs in {found.home}.")
        return
    typer.echo(f"{found.base_url}: {'ready' if found.ready else 'not ready'} (process {found.pid})")
    for process in found.processes:
        state = "answers" if process.healthy else f"does not answer, read {process.log}"
        typer.echo(f"  {process.name:<8}{process.pid or '-':<9}{state}; restarts: {process.restarts}")


@app.command("demo-accounts")
def show_demo_accounts(*, home: Home = None, as_json: AsJSON = False) -> None:
    """List the demo accounts with their passwords."""
    settings = commands_up.settled(home, None)
    if not settings.home.is_dir():
        raise SetupError(f"There is no installation in {settings.home}: 'pachon up' makes one.")
    if as_json:
        accounts = [asdict(account) for account in demo_accounts(settings)]
        typer.echo(json.dumps({"accounts": accounts}, indent=1))
        return
    lines = account_lines(settings)
    typer.echo("\n".join(lines) if lines else "Another authenticator is set: there are no demo accounts.")


@app.command(hidden=True)
def serve(part: Literal["hub", "api", "portal"]) -> None:
    """Run one process of the platform; the supervisor and the chart call this."""
    with quick_imports():
        server = import_module(_SERVERS[part])
    server.serve(Settings())


@app.command()
def migrate() -> None:
    """Bring the schema of the state database up to this version; an earlier version still runs on it."""
    import_module("pachon.state.database").migrate(Settings().database_url)
    typer.echo("The state database has the schema of this version.")


@app.command(hidden=True)
def prepare() -> None:
    """Build the default catalogues that are missing; the supervisor calls this."""
    preparation.prepare(Settings())


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(distribution_version("pachon"))


def main() -> None:
    """Run the command line: an expected error is one sentence; one of the set-up kind exits with code 2.

    What the system refuses (a full disk, a missing right) is one sentence too, with code 1: it may pass.
    """
    signal.signal(signal.SIGTERM, _end)
    try:
        app()
    except SetupError as error:
        _refuse(error, SETUP_EXIT_STATUS)
    except ValidationError as error:
        _refuse(_explain(error), SETUP_EXIT_STATUS)
    except PachonError as error:
        _refuse(error, 1)
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        _refuse(PachonError(f"The system refuses what this command needs: {error.strerror or error}{place}."), 1)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED_EXIT_CODE)


def _end(number: int, frame: FrameType | None) -> None:
    """A polite kill unwinds like any exception, so that a download under way is ended and unfinished files go."""
    del frame
    sys.exit(128 + number)


def _explain(error: ValidationError) -> SetupError:
    """What is wrong in the settings; their values are not repeated, since some are secret."""
    wrong = "; ".join(
        ": ".join(filter(None, (".".join(map(str, found["loc"])), found["msg"]))) for found in error.errors()
    )
    return SetupError(f"The settings (the file of PACHON_SETTINGS, and variables PACHON_...) are wrong: {wrong}.")


def _refuse(error: PachonError, exit_code: int) -> None:
    typer.echo(f"pachon: {error}", err=True)
    sys.exit(exit_code)


if __name__ == "__main__":
    main()
