"""What stands behind the rows: a FITS file of one's own, or a HiPS (IVOA HiPS 1.0) at an address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pachon_client.errors import RequestError

MOST_BYTES = 256 * 1024**2
_SIMPLE = b"SIMPLE  ="


@dataclass(frozen=True, slots=True)
class Image:
    """A FITS file by its bytes, or a HiPS by its address.

    Parameters
    ----------
    name
        What people read.
    address
        Of a HiPS; empty for a file.
    fits
        The file; empty for a HiPS.
    """

    name: str
    address: str = ""
    fits: bytes = b""


def image_of(source: str | Path) -> Image:
    """The image that a path or an address means.

    Parameters
    ----------
    source
        Path of a FITS file, or address of a HiPS that begins with `http://` or `https://`.

    Raises
    ------
    RequestError
        There is no such file, it is no FITS, or it is too large for a browser.
    """
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        return Image(source, address=source.rstrip("/"))
    path = Path(source).expanduser()
    if not path.is_file():
        raise RequestError(
            f"There is no file '{source}'; give a FITS file, or a HiPS by an address with http:// or https://."
        )
    size_bytes = path.stat().st_size
    if size_bytes > MOST_BYTES:
        raise RequestError(
            f"'{source}' has {size_bytes:,} bytes; at most {MOST_BYTES:,} are sent to a browser: cut out a part of it."
        )
    fits = path.read_bytes()
    if not fits.startswith(_SIMPLE):
        raise RequestError(
            f"'{source}' is no FITS file: it does not begin with 'SIMPLE  =' (FITS 4.0, section 4.4.1.1)."
        )
    return Image(path.name, fits=fits)
