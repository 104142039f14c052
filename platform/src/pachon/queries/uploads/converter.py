"""One converter: a process that fetches and converts the uploads of one query at a time.

Started as `python -m pachon.queries.uploads.converter`, it waits for lines of JSON. What people send is parsed
here and nowhere else: memory has a limit of its own, the process is killed to stop it, and leaves when its owner does.
"""

from __future__ import annotations

import json
import os
import queue
import resource
import sys
import threading
import traceback
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pachon.core.errors import LimitError, PachonError, UnavailableError, UsageError
from pachon.core.healpix import spatial_index
from pachon.queries.uploads.conversion import convert
from pachon.queries.uploads.fetching import fetch
from pachon.queries.uploads.models import Upload, UploadedTable, UploadLimits
from pachon.queries.uploads.storage import ReceivedPart

FAULT = "Fault"
"""The kind of an answer whose message is for the log alone."""
_KINDS = (LimitError, UnavailableError, UsageError)


def main() -> None:
    """Serve requests on the standard streams."""
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    spatial_index(np.zeros(1), np.zeros(1))  # loads its libraries, which nobody should wait for
    while True:
        request = json.loads(requests.get())
        limits = UploadLimits(**{**request["limits"], "hosts": frozenset(request["limits"]["hosts"])})
        resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
        sys.stdout.write(json.dumps(_answer(request, limits)) + "\n")
        sys.stdout.flush()


def _listen(requests: queue.SimpleQueue[str]) -> None:
    """Take requests, and leave when the owner does: the stream ends then, also in the middle of a conversion."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _answer(request: dict[str, Any], limits: UploadLimits) -> dict[str, Any]:
    name = ""
    try:
        tables = []
        for each in request["uploads"]:
            name = each["name"]
            tables.append(_told(_converted(each, Path(request["folder"]), limits)))
    except PachonError as error:
        kind = next((kind.__name__ for kind in _KINDS if isinstance(error, kind)), FAULT)
        return {"kind": kind, "message": error.message}
    except (MemoryError, pa.ArrowMemoryError):
        allowed = f"the {limits.memory_bytes:,} bytes of memory allowed"
        return {"kind": "LimitError", "message": f"Upload '{name}': reading the table takes more than {allowed}."}
    except Exception:  # noqa: BLE001 -- the edge of the process: told to its owner, who logs it
        return {"kind": FAULT, "message": traceback.format_exc()}
    return {"tables": tables}


def _converted(each: dict[str, Any], folder: Path, limits: UploadLimits) -> UploadedTable:
    """One upload; what is converted lies in the folder, whatever was its place before."""
    raw = folder / f"{each['name'].lower()}.raw"
    if each["path"] is None:
        with closing(ReceivedPart(each["name"], raw, limits)) as part:
            fetch(Upload(each["name"], each["uri"]), part, limits)
    else:
        raw.symlink_to(each["path"])
    return convert(each["name"], raw, limits)


def _told(table: UploadedTable) -> dict[str, Any]:
    return {**asdict(table), "path": str(table.path)}


if __name__ == "__main__":
    main()
