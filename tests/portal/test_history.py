from pachon.core.sky import Cone
from pachon.portal.compute import MAP_QUERY_MARK, cone_query, query_words
from pachon.portal.history_view import distinct_queries
from pachon_client import Execution
from portal.session import STARS


def test_cones_are_listed_by_radius_position_and_table() -> None:
    first, second = cone_query(STARS, Cone(84.05, -1.2, 3)), cone_query(STARS, Cone(84.05, 1.2, 0.25))
    assert query_words(first) == "3° around RA 84.05°, Dec −1.2° in sky.stars"  # noqa: RUF001 -- a minus sign
    assert query_words(second) == "0.25° around RA 84.05°, Dec +1.2° in sky.stars"


def test_other_queries_are_listed_by_their_beginning() -> None:
    assert query_words("SELECT  id\nFROM sky.stars") == "SELECT id FROM sky.stars"
    wide = cone_query(STARS, Cone(84.05, -1.2, 3)) + " AND g_mag < 12"
    assert query_words(wide).startswith("SELECT * FROM sky.stars WHERE")
    assert query_words(wide).endswith("…")


def test_each_query_is_listed_once_with_its_last_run_and_without_the_maps_own() -> None:
    def run(number: int, query: str, protocol: str = "tap/sync") -> Execution:
        return Execution(id=str(number), query=query, protocol=protocol)

    runs = [run(5, "b"), run(4, f"{MAP_QUERY_MARK}\nSELECT"), run(3, "a"), run(2, "CONE", "scs"), run(1, "b\n")]
    assert [execution.id for execution in distinct_queries(runs)] == ["5", "3"]
