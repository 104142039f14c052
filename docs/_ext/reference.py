"""Writes the generated parts of the reference from the code itself: settings, commands, errors, addresses and more.

A page holds a comment such as `<!-- generated: settings -->`; when it is read, the Markdown made here takes its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import click
import typer
from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx

from pachon.app import cli, web
from pachon.app.settings import Settings
from pachon.core import errors
from pachon.hub import roles
from pachon.identity.models import Scope
from pachon.queries.adql.udfs import USER_FUNCTIONS
from pachon.queries.saved.documents import query_schema
from pachon.vo.errors import status_of

if TYPE_CHECKING:
    from pachon.app.wiring import Services

_MARKER = re.compile(r"<!-- generated: (\w+) -->")
_FIGURES = Path(__file__).resolve().parents[1] / "reference" / "benchmarks.json"
_CHART_SCHEMA = Path(__file__).resolve().parents[2] / "helm" / "pachon" / "values.schema.json"
_METHODS = ("get", "post", "put", "patch", "delete")


def settings_page() -> str:
    """Every setting, group by group, with its environment variable, type and default."""
    groups = {name: info.annotation for name, info in Settings.model_fields.items() if _is_group(info.annotation)}
    plain = {name: info for name, info in Settings.model_fields.items() if name not in groups}
    parts = ["## General\n", *_settings_table("", plain)]
    for name, group in groups.items():
        fields = group.model_fields
        inner = {each: info for each, info in fields.items() if _is_group(info.annotation)}
        parts += [
            f"\n## {name}\n",
            f"{(group.__doc__ or '').strip()}\n",
            *_settings_table(f"{name}.", {each: info for each, info in fields.items() if each not in inner}),
        ]
        for each, info in inner.items():
            parts += [f"\n### {name}.{each}\n", f"{info.description}\n"]
            parts += _settings_table(f"{name}.{each}.", _with_defaults_of(info.get_default()))
    return "\n".join(parts)


def _is_group(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _with_defaults_of(model: BaseModel) -> dict[str, FieldInfo]:
    """The fields of a group, with the values of this one as defaults."""
    return {
        name: FieldInfo(default=getattr(model, name), description=info.description, annotation=info.annotation)
        for name, info in type(model).model_fields.items()
    }


def _settings_table(prefix: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| setting | meaning | default | environment variable |"
    yield "|---|---|---|---|"
    for name, info in fields.items():
        variable = "PACHON_" + f"{prefix}{name}".upper().replace(".", "__")
        yield f"| `{prefix}{name}` | {_cell(info.description or '')} | {_default(info)} | `{variable}` |"


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, set | frozenset | tuple):
        return ", ".join(f"`{item}`" for item in sorted(map(str, value))) or "none"
    return "none" if value is None or value == {} else f"`{value}`"


def commands_page() -> str:
    """Every command with its arguments and options."""
    return "\n".join(_command_section(typer.main.get_command(cli.app), ("pachon",)))


def command_names(command: click.Command | None = None, path: tuple[str, ...] = ("pachon",)) -> Iterator[str]:
    """Full names of the commands people type, groups left out."""
    command = command or typer.main.get_command(cli.app)
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path)
    for name, child in children.items():
        if not child.hidden:
            yield from command_names(child, (*path, name))


def _command_section(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    children = getattr(command, "commands", {})
    if not children:
        yield f"## `{' '.join(path)}`\n"
        yield f"{(command.help or '').strip()}\n"
        yield from _command_parameters(command)
    for name, child in children.items():
        if not child.hidden:
            yield from _command_section(child, (*path, name))


def _command_parameters(command: click.Command) -> Iterator[str]:
    shown = [parameter for parameter in command.params if parameter.name != "help"]
    if shown:
        yield "| argument or option | meaning | default |"
        yield "|---|---|---|"
    for parameter in shown:
        names = [str(parameter.name)] if parameter.param_type_name == "argument" else parameter.opts
        default = parameter.default
        shown_default = "" if callable(default) or default in (None, False, ()) else f"`{default}`"
        written = ", ".join(f"`{name}`" for name in [*names, *parameter.secondary_opts])
        yield f"| {written} | {_cell(getattr(parameter, 'help', None) or '')} | {shown_default} |"
    yield ""


def scopes_page() -> str:
    """The custom scopes, and the roles that grant scopes."""
    lines = ["| scope | allows |", "|---|---|"]
    lines += [f"| `{scope.value}` | {roles.CUSTOM_SCOPES[scope.value]['description']} |" for scope in Scope]
    lines += ["", "## Roles", "", "| role | for | grants |", "|---|---|---|"]
    for role in roles.roles(Settings()):
        scopes = role["scopes"] if isinstance(role["scopes"], list) else []
        granted = ", ".join(f"`{scope}`" for scope in scopes)
        lines.append(f"| `{role['name']}` | {role['description']} | {granted} |")
    return "\n".join(lines)


def errors_page() -> str:
    """The tree of errors with the HTTP status of each."""
    lines = ["| error | HTTP status | meaning |", "|---|---|---|"]
    for kind in error_kinds():
        meaning = _cell((kind.__doc__ or "").strip().splitlines()[0])
        status = "none: exit code 2" if kind is errors.SetupError else str(status_of(kind("")))
        lines.append(f"| `{kind.__name__}` | {status} | {meaning} |")
    return "\n".join(lines)


def error_kinds() -> list[type[errors.PachonError]]:
    """The errors that reach people, in the order of the tree."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, errors.PachonError) and kind is not errors.PachonError]


def addresses_page() -> str:
    """Every address of the Web APIs."""
    lines: list[str] = []
    for tag, entries in addresses().items():
        lines += [f"## {tag}\n"]
        for method, path, operation in entries:
            lines += [f"### {method.upper()} `{path}`\n", f"{operation.get('summary', '')}.\n"]
            lines += [_demoted(operation.get("description", "")), "", *_parameters(operation)]
    return "\n".join(lines)


def application() -> FastAPI:
    """The Web APIs, complete but for the services behind them: enough to be described."""
    return web.create_app(cast("Services", SimpleNamespace(settings=Settings())))


def addresses() -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Method, path and OpenAPI operation of every address, by tag."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in application().openapi()["paths"].items():
        for method in _METHODS:
            if method in operations:
                tag = operations[method].get("tags", ["other"])[0]
                found.setdefault(tag, []).append((method, path, operations[method]))
    return dict(sorted(found.items()))


def _parameters(operation: dict[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if parameters:
        yield "| parameter | in | meaning |"
        yield "|---|---|---|"
    for parameter in parameters:
        required = "" if not parameter.get("required") else " (required)"
        yield f"| `{parameter['name']}`{required} | {parameter['in']} | {_cell(parameter.get('description', ''))} |"
    yield ""


def _demoted(text: str) -> str:
    """Text of a docstring as a paragraph: its own underlined headings would break the page's order."""
    return re.sub(r"^(\w+)\n-{3,}$", r"**\1**\n", text, flags=re.MULTILINE)


def functions_page() -> str:
    """The user-defined functions of ADQL."""
    lines = ["| function | what it gives |", "|---|---|"]
    for function in USER_FUNCTIONS.values():
        forms = "<br>".join(f"`{form}`" for form in function.forms)
        lines.append(f"| {forms} | {_cell(function.description)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def figures_page() -> str:
    """The stored results of `make bench`."""
    figures = json.loads(_FIGURES.read_text()) if _FIGURES.exists() else {}
    if not figures:
        return "No figure is stored yet."
    lines = ["| what | measured | target | | when, where |", "|---|---|---|---|---|"]
    for name, figure in figures.items():
        verdict = "met" if figure["passed"] else "**missed**"
        note = f" {_cell(figure['note'])}" if figure["note"] else ""
        about = f"{figure['date']}, commit `{figure['commit']}`, {figure['machine']}"
        measured = f"{figure['value']:.4g} {figure['unit']}"
        lines.append(f"| {_cell(name)}.{note} | {measured} | {_cell(figure['target'])} | {verdict} | {about} |")
    return "\n".join(lines)


def query_schema_page() -> str:
    """Every part of a saved query with its members."""
    schema = query_schema()
    parts = {"Query": schema} | schema["$defs"]
    lines: list[str] = []
    for name, part in parts.items():
        if "properties" in part:
            lines += [
                f"### {name}\n",
                f"{part.get('description', '')}\n",
                "| member | type | meaning |",
                "|---|---|---|",
            ]
            lines += [_member(member, about) for member, about in part["properties"].items()]
            lines.append("")
    return "\n".join(lines)


def _member(name: str, about: dict[str, Any]) -> str:
    return f"| `{name}` | {_cell(_type_of(about))} | {_cell(about.get('description', ''))} |"


def _type_of(about: dict[str, Any]) -> str:
    """The type of a member in words."""
    if "$ref" in about:
        return str(about["$ref"]).rpartition("/")[2]
    for choice in ("anyOf", "oneOf"):
        if choice in about:
            return " or ".join(_type_of(each) for each in about[choice])
    if "enum" in about:
        return " or ".join(f"`{value}`" for value in about["enum"])
    if "const" in about:
        return f"`{about['const']}`"
    if about.get("type") == "array":
        return f"list of {_type_of(about['items'])}"
    return str(about.get("type", "any"))


def chart_page() -> str:
    """Every value of the chart, part by part."""
    parts = json.loads(_CHART_SCHEMA.read_text())["properties"]
    plain = {name: about for name, about in parts.items() if "properties" not in about and "description" in about}
    lines = ["## General\n", *_values_table("", plain)]
    for name, about in parts.items():
        if "properties" in about:
            lines += [f"\n## {name}\n", f"{about['description']}\n", *_values_table(f"{name}.", about["properties"])]
    return "\n".join(lines)


def _values_table(prefix: str, values: dict[str, Any]) -> Iterator[str]:
    yield "| value | meaning | default |"
    yield "|---|---|---|"
    for name, about in _leaves(prefix, values):
        allowed = ", ".join(f"`{each}`" for each in about.get("enum", ()))
        meaning = _cell(about["description"]) + (f" One of {allowed}." if allowed else "")
        default = json.dumps(about["default"], ensure_ascii=False)
        yield f"| `{name}` | {meaning} | {'none' if about['default'] in ('', [], {}) else f'`{default}`'} |"


def _leaves(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, about in values.items():
        if "properties" in about:
            yield from _leaves(f"{prefix}{name}.", about["properties"])
        else:
            yield f"{prefix}{name}", about


PAGES = {
    "chart": chart_page,
    "query_schema": query_schema_page,
    "figures": figures_page,
    "settings": settings_page,
    "commands": commands_page,
    "scopes": scopes_page,
    "errors": errors_page,
    "functions": functions_page,
    "addresses": addresses_page,
}


def _fill(app: Sphinx, _docname: str, content: list[str]) -> None:
    """Put the generated Markdown where a page asks for it, and have such pages read again at every build."""
    filled = _MARKER.sub(lambda found: PAGES[found[1]](), content[0])
    if filled != content[0]:
        app.env.note_reread()
        content[0] = filled


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"version": "1", "parallel_read_safe": True}
