"""Tycho-2 (Høg et al. 2000, CDS I/259): the main catalogue, `tyc2.dat`, in the terms of our schema."""

from __future__ import annotations

import lzma
import re
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pachon.core.errors import SetupError
from pachon.preview.models import Catalogue, Channel, Download

_PART = re.compile(r"(.*/)?tyc2\.dat\.\d\d")
_RAW_COLUMNS = [
    *("tyc", "mean_flag", "ra_mean", "dec_mean", "pmra", "pmdec", "e_ra_mean", "e_dec_mean", "e_pmra", "e_pmdec"),
    *("epoch_ra_mean", "epoch_dec_mean", "n_positions", "q_ra_mean", "q_dec_mean", "q_pmra", "q_pmdec"),
    *("bt_mag", "e_bt_mag", "vt_mag", "e_vt_mag", "prox_100mas", "tycho1", "hip_ccdm", "ra_observed", "dec_observed"),
    *("epoch_ra_1990", "epoch_dec_1990", "e_ra_observed", "e_dec_observed", "solution_flag", "corr"),
]
_TEXTS = frozenset({"tyc", "mean_flag", "tycho1", "hip_ccdm", "solution_flag"})
_READ_BYTES = 1 << 20
_BLANKS = [" " * width for width in range(13)]


def read(path: Path) -> Iterator[pa.RecordBatch]:
    """Rows of the main catalogue from the archive of its files, in its order.

    Raises
    ------
    SetupError
        If the archive cannot be read.
    """
    try:
        for text in _one_ahead(_parts(path)):
            yield from _columns(_parse(text)).to_batches()
    except (tarfile.TarError, lzma.LZMAError, EOFError, OSError, pa.ArrowInvalid) as error:
        raise SetupError(f"{path.name} cannot be read as the Tycho-2 catalogue: {error}.") from None


def _parts(path: Path) -> Iterator[bytes]:
    """The catalogue's 20 files, unpacked in memory one after the other."""
    with tarfile.open(path, "r|*", bufsize=_READ_BYTES) as archive:
        for member in archive:
            file = archive.extractfile(member) if _PART.fullmatch(member.name) else None
            if file is not None:
                yield file.read()


def _one_ahead(texts: Iterator[bytes]) -> Iterator[bytes]:
    """The same, with the next one unpacked in a thread meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        upcoming = pool.submit(next, texts, b"")
        while text := upcoming.result():
            upcoming = pool.submit(next, texts, b"")
            yield text


def _parse(text: bytes) -> pa.Table:
    """The 32 fields as written, blanks as nulls."""
    types = {name: pa.string() if name in _TEXTS else pa.float64() for name in _RAW_COLUMNS}
    return pyarrow.csv.read_csv(
        pa.BufferReader(text),
        read_options=pyarrow.csv.ReadOptions(column_names=_RAW_COLUMNS),
        parse_options=pyarrow.csv.ParseOptions(delimiter="|", quote_char=False),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, null_values=_BLANKS, strings_can_be_null=True),
    )


def _columns(raw: pa.Table) -> pa.Table:
    tyc = [pc.cast(pc.utf8_slice_codeunits(raw["tyc"], *span), pa.int16()) for span in ((0, 4), (5, 10), (11, 12))]
    colour = pc.subtract(raw["bt_mag"], raw["vt_mag"])
    columns = {
        "tyc": pc.binary_join_element_wise(*(pc.cast(part, pa.string()) for part in tyc), "-"),
        **dict(zip(("tyc1", "tyc2", "tyc3"), tyc, strict=True)),
        "ra": pc.coalesce(raw["ra_mean"], raw["ra_observed"]),
        "dec": pc.coalesce(raw["dec_mean"], raw["dec_observed"]),
        "has_mean_position": pc.is_valid(raw["ra_mean"]),
        "v_mag": pc.subtract(raw["vt_mag"], pc.multiply(colour, 0.090)),
        "b_v": pc.multiply(colour, 0.850),
        "hip": pc.cast(_part(raw["hip_ccdm"], 0, 6), pa.int32()),
        "ccdm": _part(raw["hip_ccdm"], 6, 9),
        "prox": pc.multiply(raw["prox_100mas"], 0.1),
        "is_tycho1": pc.is_valid(raw["tycho1"]),
        "epoch_ra_observed": pc.add(raw["epoch_ra_1990"], 1990.0),
        "epoch_dec_observed": pc.add(raw["epoch_dec_1990"], 1990.0),
    }
    unchanged = {name: raw[name] for name in _RAW_COLUMNS if name not in columns}
    return pa.table({**unchanged, **columns})


def _part(texts: pa.ChunkedArray, start: int, stop: int) -> pa.ChunkedArray:
    """A piece of a text without the blanks around it, null if nothing is left."""
    trimmed = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(texts, start, stop))
    return pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)


TYCHO2 = Catalogue(
    id="tycho2",
    row_count=2_539_913,
    download=Download(
        channel=Channel.DEBIAN_SOURCE,
        package="tycho2",
        filename="tycho2_2.orig.tar.xz",
        size_bytes=121_142_216,
        sha256="b0d74bd4280e53f7cfc4b37ccb30a1cfbbc30131907dda81c706bbbab5632dfa",
    ),
    read=read,
)
