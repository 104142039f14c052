"""Releases in an ADQL text: which it names, and the same text on another release."""

from __future__ import annotations

from sqlglot import exp

from pachon.core.errors import LimitError, QuerySyntaxError, UsageError
from pachon.queries.adql.grammar import parse

_OWN_SCHEMAS = frozenset({"tap_schema", "tap_upload"})


def releases_named(adql: str) -> tuple[str, ...]:
    """The schemas that a text names before its tables, in lower case, sorted; none if it is no ADQL (yet)."""
    try:
        names = {schema.name.lower() for schema in _schemas(parse(adql))}
    except (QuerySyntaxError, LimitError):
        return ()
    return tuple(sorted(names - _OWN_SCHEMAS))


def renamed(adql: str, *, source: str, target: str) -> str:
    """A text that asks another release; everything else stays as it was written.

    Parameters
    ----------
    source, target
        Ids of releases; `source` in lower case.

    Raises
    ------
    QuerySyntaxError
        If it is no ADQL.
    UsageError
        If it does not name `source`.
    """
    tree = parse(adql)
    found = {
        (identifier.meta["start"], identifier.meta["end"] + 1)
        for identifier in _schemas(tree)
        if identifier.name.lower() == source
    }
    if not found:
        raise UsageError(f"The query does not ask release '{source[:80]}'.", parameter="from")
    for start, end in sorted(found, reverse=True):
        adql = f"{adql[:start]}{target}{adql[end:]}"
    return adql


def tables_named(adql: str) -> tuple[tuple[str, str], ...]:
    """Schema and table of each table that a text names with a schema, as written.

    Raises
    ------
    QuerySyntaxError
        If it is no ADQL.
    """
    found = {(node.args["db"].name, node.name): None for node in parse(adql).find_all(exp.Table) if node.args.get("db")}
    return tuple(found)


def columns_named(adql: str) -> frozenset[str]:
    """Names of the columns that a text names, in lower case.

    Raises
    ------
    QuerySyntaxError
        If it is no ADQL.
    """
    return frozenset(node.name.lower() for node in parse(adql).find_all(exp.Column))


def _schemas(tree: exp.Query) -> list[exp.Expr]:
    """Identifiers of schemas, before tables and before columns."""
    nodes = (node.args.get("db") for node in tree.find_all(exp.Table, exp.Column))
    return [node for node in nodes if isinstance(node, exp.Identifier)]
