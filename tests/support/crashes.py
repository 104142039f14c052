"""Runs an import in a process of its own that dies at a failpoint; forks, so that imports are paid for once.

Called as `python -m support.crashes <file> <root> <point>...` with a folder `<root>/<point>` each; says on standard
output how each process ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from pachon.core.failpoints import arm
from pachon.releases.hats import workplace
from pachon.releases.importing import csv_source, import_table
from support.imports import NO_SKY, STARS

SMALL_BLOCK_BYTES = 40_000
PARTITION_ROWS = 500
PASSES = {"import.before-run": 5, "import.before-partition": 4, "import.before-part": 2}
"""So many are complete before the crash, where there are several."""


def main(file: Path, root: Path, points: list[str]) -> None:
    """Crash once at each point."""
    ends = {}
    for point in points:
        child = os.fork()
        if not child:
            _die(file, root / point, point)
        ends[point] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.stdout.write(json.dumps(ends))


def is_plain(point: str) -> bool:
    """Whether only a table without positions passes a point."""
    return point in {"import.before-part", "import.before-part-list"}


def _die(file: Path, folder: Path, point: str) -> None:
    workplace.BLOCK_BYTES = SMALL_BLOCK_BYTES
    csv_source._BLOCK_BYTES = SMALL_BLOCK_BYTES
    arm(point, passes=PASSES.get(point, 0))
    import_table([file], NO_SKY if is_plain(point) else STARS, folder, partition_rows=PARTITION_ROWS)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
