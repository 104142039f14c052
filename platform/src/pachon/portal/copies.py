"""A saved query as lines for other tools."""

from __future__ import annotations

import json
import shlex
from html import escape


def copies(query_id: str, adql: str, *, max_rows: int | None, api_url: str) -> dict[str, str]:
    """Lines that ask the same in other tools, by the tool's name.

    Parameters
    ----------
    api_url
        Public address of the Web APIs.
    """
    tap_url, text = f"{api_url}/tap", adql.strip()
    limit = "" if max_rows is None else f", maxrec={max_rows}"
    wanted = "" if max_rows is None else f" maxrec={max_rows}"
    return {
        "Python": f'import pachon_client\n\nquery = pachon_client.open("{query_id}")\nrows = query.result()',
        "pyvo": (
            f"import pyvo\n\nservice = pyvo.dal.TAPService({json.dumps(tap_url)})\n"
            f"rows = service.run_async({json.dumps(text)}{limit}).to_table()"
        ),
        "STILTS": f"stilts tapquery tapurl={shlex.quote(tap_url)} adql={shlex.quote(text)}{wanted} out=rows.vot",
        "TOPCAT": f"VO > Table Access Protocol (TAP) Query\nTAP URL: {tap_url}\n\n{text}",
    }


def copies_html(lines: dict[str, str]) -> str:
    """Those lines, folded, each to be selected as a whole."""
    return "".join(
        f'<details><summary>For {escape(tool)}</summary><pre class="copy" tabindex="0">{escape(text)}</pre></details>'
        for tool, text in lines.items()
    )
