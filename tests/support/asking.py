"""Ways to ask a small sky."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pachon.core.errors import ConflictError
from pachon.core.fields import arrow_schema
from pachon.identity.models import ANONYMOUS, Principal
from pachon.queries.engines.duckdb_engine import DuckDBEngine
from pachon.queries.models import Execution
from pachon.queries.service import QueryService
from pachon.releases.service import ReleaseService

HOLDERS = "rights-holders"
_EXAMPLES = {
    "INTEGER": "5",
    "DOUBLE PRECISION": "ra",
    "VARCHAR": "'a'",
    "POINT": "POINT(ra, dec)",
    "TIMESTAMP": "epoch",
    "CIRCLE": "CIRCLE(10, 20, 1)",
    "POLYGON": "POLYGON(0, 0, 1, 0, 0, 1)",
}
_MAP_EXAMPLES = _EXAMPLES | {"VARCHAR": "'4/30-33 38'", "POINT": "POINT(10, 20)"}


def example_call(signature: str, *, without: int = 0) -> str:
    """A call of a user-defined function on the stars of a sky, its first arguments left out if asked."""
    name, _, rest = signature.partition("(")
    kinds = [argument.strip().partition(" ")[2] for argument in rest.partition(")")[0].split(",")]
    examples = _MAP_EXAMPLES if name == "MOC" else _EXAMPLES
    return f"{name}({', '.join(examples[kind] for kind in kinds[without:])})"


@dataclass
class Executions:
    """Remembers what it is given."""

    kept: list[Execution] = field(default_factory=list)
    broken: bool = False

    def add(self, execution: Execution) -> None:
        if self.broken:
            raise ConflictError("kept already")
        self.kept.append(execution)


@dataclass
class Sky:
    """Releases `sky` (open to all) and `secret` (for holders), and ways to ask them."""

    root: Path
    rows: pa.Table
    releases: ReleaseService
    engine: DuckDBEngine
    executions: Executions

    def service(self, **changes: Any) -> QueryService:
        return QueryService(self.releases, self.engine, self.executions, **changes)

    def ask(
        self, adql: str, *, principal: Principal = ANONYMOUS, max_rows: int | None = None, **changes: Any
    ) -> pa.Table:
        answer = self.service(**changes).ask(principal, adql, max_rows=max_rows)
        try:
            batches = list(answer.batches)
        finally:
            answer.close()
        return pa.Table.from_batches(batches, schema=arrow_schema(answer.fields))

    def column(self, name: str) -> np.ndarray:
        return self.rows[name].to_numpy(zero_copy_only=False)
