from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pytest
import pyvo
from astropy.io.votable import parse
from astropy.table import Table

from pachon.core.fields import DataType, Field
from pachon.core.sky import Cone
from pachon.releases.models import Column
from pachon.releases.models import Table as Described
from pachon.scs.service import in_old_words
from support.app import AS_HOLDER, AS_NO_SCOPE, MAX_ROWS, Site, running_site
from support.skies import make_release
from support.stilts import needs_stilts

CONES = {
    "north pole": (10.0, 89.99, 0.5),
    "at the south pole": (77.0, -90.0, 1.0),
    "across RA 0": (359.95, 5.0, 3.0),
    "RA beyond a turn": (360.5, 5.0, 3.0),
    "RA below 0": (-0.5, 5.0, 3.0),
    "plain": (120.0, -30.0, 8.0),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(Path(tmp_path_factory.mktemp("scs"))) as running:
        yield running


def cone(
    site: Site, headers: dict[str, str] | None = None, table: str = "sky.stars", **given: object
) -> httpx.Response:
    params = {"RA": 0, "DEC": 90, "SR": 1, **given}
    wanted = {name: str(value) for name, value in params.items() if value is not None}
    return site.client.get(f"/api/scs/{table}", params=wanted, headers=headers)


def refusal(answer: httpx.Response) -> str:
    document = parse(io.BytesIO(answer.content))
    (info,) = [info for info in document.infos if info.name == "Error"]
    return str(info.value)


def columns(answer: httpx.Response) -> list[str]:
    return [field.name for field in parse(io.BytesIO(answer.content)).get_first_table().fields]


def expected_ids(site: Site, ra_deg: float, dec_deg: float, radius_deg: float) -> set[int]:
    stars = site.stars.to_pydict()
    inside = Cone(ra_deg, dec_deg, radius_deg).contains(np.array(stars["ra"]), np.array(stars["dec"]))
    return {stars["id"][n] for n in np.flatnonzero(inside)}


@pytest.mark.parametrize("place", CONES)
def test_pyvo_finds_exactly_the_rows_that_brute_force_finds(site: Site, place: str) -> None:
    ra_deg, dec_deg, radius_deg = CONES[place]
    expected = expected_ids(site, ra_deg % 360, dec_deg, radius_deg)

    found = pyvo.dal.SCSService(f"{site.url}/api/scs/sky.stars").search((ra_deg, dec_deg), radius_deg)

    assert {int(record.id) for record in found} == expected
    assert len(found) == len(expected) > 0
    assert all(Cone(ra_deg, dec_deg, radius_deg).contains(r.pos.ra.deg, r.pos.dec.deg) for r in list(found)[:5])


def test_the_main_columns_are_told_in_the_words_of_version_1_03(site: Site) -> None:
    answer = cone(site, MAXREC=3)

    table = parse(io.BytesIO(answer.content)).get_first_table()
    roles = {field.ucd: (field.name, field.datatype) for field in table.fields}
    assert roles["ID_MAIN"] == ("id", "char")
    assert (roles["POS_EQ_RA_MAIN"], roles["POS_EQ_DEC_MAIN"]) == (("ra", "double"), ("dec", "double"))
    assert b"<TABLEDATA>" in answer.content
    assert {int(text) for text in table.array["id"]} <= expected_ids(site, 0, 90, 1)


def test_version_1_1_tells_the_main_columns_in_new_words_and_their_own_types(site: Site) -> None:
    fields = parse(io.BytesIO(cone(site, MAXREC=1, VERSION="1.1").content)).get_first_table().fields

    assert [(field.ucd, field.datatype) for field in fields[:3]] == [
        ("meta.id;meta.main", "long"),
        ("pos.eq.ra;meta.main", "double"),
        ("pos.eq.dec;meta.main", "double"),
    ]


def test_a_table_without_identifiers_has_them_made_of_the_position(site: Site) -> None:
    stars = make_release(
        site.services.settings.releases_path, release_id="without_identifiers", rows=500, has_ids=False
    )
    expected = {f"{row['ra']!r} {row['dec']!r}" for row in stars.to_pylist() if row["dec"] >= 88}

    found = pyvo.dal.SCSService(f"{site.url}/api/scs/without_identifiers.stars").search((0, 90), 2)

    assert {f"{float(ra)!r} {float(dec)!r}" for ra, dec in (record.id.split() for record in found)} == expected
    assert len(found) == len(expected) > 10
    assert columns(cone(site, table="without_identifiers.stars", SR=0))[:4] == ["position_id", "id", "ra", "dec"]


def test_there_is_exactly_one_of_each_main_column_whatever_the_table_says() -> None:
    columns = (
        ("number", DataType.LONG, "meta.id;meta.main"),
        ("alpha", DataType.FLOAT, "pos.eq.ra;meta.main"),
        ("delta", DataType.DOUBLE, "pos.eq.dec;meta.main"),
        ("old_id", DataType.CHAR, "ID_MAIN"),
        ("old_ra", DataType.DOUBLE, "pos_eq_ra_main"),
        ("mag", DataType.FLOAT, "phot.mag"),
    )
    fields = [Field(name=name, datatype=kind, ucd=ucd) for name, kind, ucd in columns]
    main = {"id_column": "number", "ra_column": "alpha", "dec_column": "delta"}
    table = Described(schema="a", name="b", description="c", columns=tuple(Column(field=f) for f in fields), **main)

    told = [in_old_words(field, table) for field in fields]

    assert [(field.datatype, field.ucd) for field in told] == [
        (DataType.CHAR, "ID_MAIN"),
        (DataType.DOUBLE, "POS_EQ_RA_MAIN"),
        (DataType.DOUBLE, "POS_EQ_DEC_MAIN"),
        (DataType.CHAR, None),
        (DataType.DOUBLE, None),
        (DataType.FLOAT, "phot.mag"),
    ]


def test_verbosity_chooses_columns(site: Site) -> None:
    few, usual, every = (columns(cone(site, MAXREC=1, VERB=level)) for level in (1, 2, 3))

    assert few[:3] == usual[:3] == every[:3] == ["id", "ra", "dec"]
    assert every == site.stars.column_names
    assert len(few) <= len(usual) < len(every)
    assert columns(cone(site, MAXREC=1)) == usual


@pytest.mark.parametrize("given", [{"SR": 0}, {"MAXREC": 0}, {"SR": 0, "MAXREC": 10}])
def test_metadata_alone_is_given_for_sr_or_maxrec_zero(site: Site, given: dict[str, int]) -> None:
    table = parse(io.BytesIO(cone(site, **given).content)).get_first_table()

    assert [field.name for field in table.fields][:3] == ["id", "ra", "dec"]
    assert len(table.array) == 0


def test_more_rows_than_maxrec_are_an_overflow(site: Site) -> None:
    answer = cone(site, SR=10, MAXREC=5)

    assert answer.text.count("<TR>") == 5
    assert 'value="OVERFLOW"' in answer.text
    assert 'value="OVERFLOW"' not in cone(site, SR=10, MAXREC=MAX_ROWS).text


def without_run(answer: httpx.Response) -> str:
    run = answer.headers["X-Pachon-Execution"]
    assert run in answer.text
    return answer.text.replace(run, "")


def test_names_have_no_case_and_unknown_parameters_are_ignored(site: Site) -> None:
    odd = site.client.get("/api/scs/SKY.Stars?ra=0&Dec=90&sR=1&colour=red&verb=2&responseformat=votable/td")

    assert without_run(odd) == without_run(cone(site))


def test_other_formats_are_there_on_request(site: Site) -> None:
    table = pa.ipc.open_stream(cone(site, RESPONSEFORMAT="arrow").content).read_all()
    binary = parse(io.BytesIO(cone(site, RESPONSEFORMAT="votable/b2").content)).get_first_table().array

    fits = Table.read(io.BytesIO(cone(site, RESPONSEFORMAT="application/fits").content), format="fits")

    assert set(map(int, table["id"].to_pylist())) == expected_ids(site, 0, 90, 1) == {int(i) for i in binary["id"]}
    assert {int(i) for i in fits["id"]} == expected_ids(site, 0, 90, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"RA": None}, "RA is missing: a right ascension in decimal degrees, ICRS, 0 to 360."),
        ({"RA": "400"}, "RA must be a right ascension in decimal degrees, ICRS, 0 to 360, not 400."),
        ({"RA": "-1"}, "RA must be a right ascension in decimal degrees, ICRS, 0 to 360, not -1."),
        ({"RA": "12h30m"}, "RA must be a number (a right ascension in decimal degrees, ICRS, 0 to 360), not '12h30m'."),
        ({"RA": "nan"}, "RA must be a number"),
        ({"DEC": "north"}, "DEC must be a number (declination in decimal degrees, ICRS, -90 to +90), not 'north'."),
        ({"DEC": "91"}, "DEC must be between -90 and +90 degrees, not 91.0."),
        ({"SR": None}, "SR is missing: a radius in decimal degrees, 0 (metadata only) to 10."),
        ({"SR": "-1"}, "SR must be a radius in decimal degrees, 0 (metadata only) to 10, not -1."),
        ({"SR": "10.001"}, "SR must be a radius in decimal degrees, 0 (metadata only) to 10, not 10.001."),
        ({"SR": "inf"}, "SR must be a number"),
        ({"VERB": "4"}, "VERB must be 1, 2 or 3, not '4'."),
        ({"VERSION": "2"}, "VERSION must be 1.03 or 1.1, not '2'."),
        ({"MAXREC": "-5"}, "MAXREC must be a whole number of rows, 0 (metadata only) or more"),
        ({"RESPONSEFORMAT": "xls"}, "RESPONSEFORMAT 'xls' is not known; allowed are votable"),
    ],
)
def test_bad_input_is_a_400_that_names_the_parameter_and_what_is_allowed(
    site: Site, given: dict[str, str | None], message: str
) -> None:
    answer = cone(site, **given)

    assert answer.status_code == 400
    assert refusal(answer).startswith(message)


def test_an_unknown_table_is_a_404_with_the_nearest_names(site: Site) -> None:
    answer = cone(site, table="sky.strs")

    assert answer.status_code == 404
    assert refusal(answer).startswith("There is no table 'sky.strs'; did you mean sky.stars")


def test_a_closed_release_reads_like_one_that_does_not_exist(site: Site) -> None:
    closed, invented = cone(site, table="future.stars"), cone(site, table="futura.stars")

    assert closed.status_code == invented.status_code == 404
    assert refusal(closed) == refusal(invented).replace("futura", "future")
    assert "'future.stars'" in refusal(closed)
    assert cone(site, AS_HOLDER, table="future.stars").text.count("<TR>") > 0


def test_a_token_without_the_scope_is_refused_by_its_name(site: Site) -> None:
    answer = cone(site, AS_NO_SCOPE)

    assert answer.status_code == 403
    assert "custom:pachon:query" in refusal(answer)


def test_pyvo_shows_the_message_of_a_refusal(site: Site) -> None:
    with pytest.raises(
        pyvo.dal.DALQueryError, match=r"^SR must be a radius in decimal degrees, 0 \(metadata only\) to 10"
    ):
        pyvo.dal.SCSService(f"{site.url}/api/scs/sky.stars").search((0, 0), 20)


def test_clients_that_hide_messages_under_400_get_the_200_of_the_standard(site: Site) -> None:
    answer = cone(site, {"User-Agent": "STILTS/3.4.7 (IVOA-use) Java/17"}, SR=20)

    assert answer.status_code == 200
    assert refusal(answer).startswith("SR must be")
    assert "User-Agent" in answer.headers["vary"]


@needs_stilts
def test_stilts_reads_rows_and_shows_the_message_of_a_refusal(site: Site) -> None:
    ask = ["stilts", "cone", f"serviceurl={site.url}/api/scs/sky.stars?", "lon=0", "lat=90", "ofmt=csv"]

    found, refused = (
        subprocess.run([*ask, f"radius={sr}"], capture_output=True, text=True, check=False, timeout=60)
        for sr in (1, 20)
    )

    assert {int(line.split(",")[0]) for line in found.stdout.splitlines()[1:]} == expected_ids(site, 0, 90, 1)
    assert refused.stderr.strip() == "Error: SR must be a radius in decimal degrees, 0 (metadata only) to 10, not 20."
