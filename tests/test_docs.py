"""The documentation says everything there is, and its commands exist."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import BaseModel

from pachon.app.settings import Settings
from pachon.core import errors
from pachon.identity.models import Scope

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
UNLISTED_ADDRESSES = {
    *("/", "/favicon.ico", "/api/brand/{name}", "/api/docs", "/api/oauth_callback"),
    *("/api/tap", "/api/scs", "/api/front"),
}
"""For browsers only: pages, what they look like, where addresses of tools lead, and the second half of a login."""


@pytest.fixture(scope="module")
def reference() -> Iterator[ModuleType]:
    """The module that writes the generated pages."""
    sys.path.insert(0, str(DOCS))
    try:
        yield importlib.import_module("_ext.reference")
    finally:
        sys.path.remove(str(DOCS))


def all_settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted name and description of every setting."""
    for name, info in model.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from all_settings(info.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", info.description or ""


def test_every_generated_part_is_on_a_page_that_the_index_leads_to(reference: ModuleType) -> None:
    pages = {
        path.relative_to(DOCS).with_suffix("").as_posix(): path.read_text() for path in DOCS.glob("reference/*.md")
    }
    asked_for = {part for text in pages.values() for part in re.findall(r"<!-- generated: (\w+) -->", text)}
    assert asked_for == set(reference.PAGES)
    index = (DOCS / "index.md").read_text()
    assert [page for page in pages if f"\n{page}\n" not in index] == []


def test_every_setting_is_documented_with_its_meaning(reference: ModuleType) -> None:
    page = reference.settings_page()
    settings = dict(all_settings(Settings))
    assert [name for name in settings if f"`{name}`" not in page] == []
    assert [name for name, meaning in settings.items() if not meaning.strip()] == []


def test_every_command_is_documented_with_its_options(reference: ModuleType) -> None:
    page = reference.commands_page()
    sections = dict(re.findall(r"^## `(.+?)`\n\n(.*?)(?=^## |\Z)", page, flags=re.MULTILINE | re.DOTALL))
    assert set(sections) == set(reference.command_names())
    assert [name for name, text in sections.items() if not text.split("|")[0].strip()] == []
    assert re.findall(r"^\| `.+?` \|  \|", page, flags=re.MULTILINE) == []


def test_every_scope_is_documented(reference: ModuleType) -> None:
    page = reference.scopes_page()
    assert [scope for scope in Scope if f"| `{scope.value}` | " not in page] == []


def test_every_error_is_documented(reference: ModuleType) -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and name.endswith("Error")}
    page = reference.errors_page()
    assert [name for name in kinds - {"PachonError"} if f"| `{name}` | " not in page] == []


def test_every_address_is_documented_with_a_summary(reference: ModuleType) -> None:
    page = reference.addresses_page()
    routes = [
        route
        for route in iter_route_contexts(reference.application().routes)
        if isinstance(route.original_route, APIRoute)
    ]
    paths = [(method, route.path.replace(":path}", "}")) for route in routes for method in route.methods]
    wanted = {(method, path) for method, path in paths if method != "HEAD"}
    assert len(wanted) > len(UNLISTED_ADDRESSES)
    missing = [(method, path) for method, path in wanted if f"### {method} `{path}`" not in page]
    assert sorted(path for _, path in missing if path not in UNLISTED_ADDRESSES) == []
    operations = [operation for entries in reference.addresses().values() for operation in entries]
    assert [path for _, path, operation in operations if not operation.get("summary")] == []


def test_commands_in_the_texts_exist(reference: ModuleType) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    commands = set(reference.command_names())
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("**/*.md")]
    wrong = [
        f"{path.name}: {found}"
        for path in pages
        for text in [path.read_text()]
        for found, known in [
            *(
                (f"make {target}", target in targets)
                for target in re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)
            ),
            *(
                (words, _is_command(words, commands))
                for words in re.findall(r"(?:`|bin/)(pachon [a-z-]+(?: [a-z-]+)?)", text)
            ),
        ]
        if not known
    ]
    assert wrong == []


def _is_command(words: str, commands: set[str]) -> bool:
    """Whether the words begin with a command, or begin one (`pachon data`)."""
    return any(f"{words} ".startswith(f"{command} ") for command in commands)


def test_relative_links_of_the_readme_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text())
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_tutorial_notebook_is_a_page_that_the_index_leads_to() -> None:
    pages = {path: path.read_text() for path in DOCS.glob("tutorials/*.md")}
    shown = {name: path.stem for path, text in pages.items() for name in re.findall(r"<!-- notebook: (\S+) -->", text)}
    assert set(shown) == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    index = (DOCS / "index.md").read_text()
    assert [stem for stem in shown.values() if f"\ntutorials/{stem}\n" not in index] == []
