"""Writes the chart's `values.yaml` and `values.schema.json` from `values.source.yaml`: run by `make chart`.

The source is a JSON schema (draft 2020-12) in YAML. Every key has a description and a default; an object with
`properties` gets `additionalProperties: false` here, and the default of a part is laid over those of what it refers to.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "helm" / "pachon"
_HEADER = "# Made by `make chart` from values.source.yaml: change that file.\n"
_COMMENT_WIDTH = 120

Node = dict[str, Any]


def documents(source: str) -> dict[str, str]:
    """The text of each file that is made, by its name."""
    tree: Node = yaml.safe_load(source)
    expanded = _expanded(tree, tree["$defs"], "")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **_with_global(expanded)}
    values = "\n".join(_lines(expanded, ""))
    return {
        "values.schema.json": json.dumps(schema, indent=1) + "\n",
        "values.yaml": f"{_HEADER}\n{values}\n",
    }


def _expanded(node: Node, definitions: Node, path: str) -> Node:
    """A part of the schema with what it refers to, closed against unknown keys, and with defaults at its leaves."""
    if "$ref" in node:
        target: Any = definitions
        for word in node["$ref"].removeprefix("#/$defs/").split("/"):
            target = target[word]
        node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    node = {key: value for key, value in node.items() if key != "$defs"}
    if "items" in node:
        node["items"] = _expanded(node["items"], definitions, f"{path}[]")
    if "properties" in node:
        given = node.pop("default", {})
        parts = {}
        for name, part in node["properties"].items():
            over = {"default": given[name]} if name in given else {}
            parts[name] = _expanded({**part, **over}, definitions, f"{path}.{name}" if path else name)
        node = {"type": "object", **node, "properties": parts, "additionalProperties": False}
    elif path and not path.endswith("[]") and "[]" not in path:
        _check(node, path)
    return node


def _check(leaf: Node, path: str) -> None:
    missing = [word for word in ("description", "default") if word not in leaf]
    if missing:
        sys.exit(f"values.source.yaml: {path} has no {' and no '.join(missing)}: every key needs both.")


def _with_global(schema: Node) -> Node:
    """Helm hands a chart the key `global`, whether it asks for it or not."""
    return {**schema, "properties": {**schema["properties"], "global": {"type": "object"}}}


def _lines(node: Node, indent: str) -> Iterator[str]:
    """The lines of `values.yaml` for the keys of an object, each below its description."""
    for name, part in node["properties"].items():
        if description := part.get("description"):
            yield from textwrap.wrap(
                description,
                _COMMENT_WIDTH,
                initial_indent=f"{indent}# ",
                subsequent_indent=f"{indent}# ",
                break_on_hyphens=False,
            )
        if "properties" in part:
            yield f"{indent}{name}:"
            yield from _lines(part, f"{indent}  ")
        else:
            yield f"{indent}{name}: {json.dumps(part['default'], ensure_ascii=False)}"
        if not indent:
            yield ""


def main() -> None:
    """Write the files."""
    for name, text in documents((CHART / "values.source.yaml").read_text()).items():
        (CHART / name).write_text(text)


if __name__ == "__main__":
    main()
