"""No operation becomes dearer unseen, and none is left out.

What an operation costs is metered anew, for all three members, and compared with what is kept. The planted changes
show that a dearer one is found.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench import op_cost
from bench.op_cost import OtherWay, metered, stored_bytes
from bench.operations.registry import BESIDE, EXEMPT, Metered, operations, unmeasured, ways_in
from bench.operations.scene import PEOPLE, Scene
from chalicelib.api.routing import ROUTES
from chalicelib.runtime import wiring
from chalicelib.storage import keys
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Put, Write
from local.costs import Cost, Row, advice, differences, kept, page, written
from local.deploy.functions import FUNCTIONS

REGULAR = PEOPLE[1:2]


def test_every_way_into_the_product_is_taken_by_an_operation_or_exempt() -> None:
    left = unmeasured(operations())
    assert not left, f"add operations to bench/operations and run `make costs`, or exempt with a reason: {left}"


def test_what_is_exempt_or_beside_is_there_and_not_measured_all_the_same() -> None:
    taken = {each.way for each in operations().values()}
    assert set(EXEMPT) <= set(ways_in())
    assert not set(EXEMPT) & taken
    assert set(BESIDE) <= taken
    assert taken <= set(ways_in())


def test_every_function_that_is_deployed_is_a_way_into_the_product() -> None:
    known = {"app.app"} | {way.partition(" ")[0] for way in ways_in()}  # the app is its routes
    assert {each.handler.removeprefix("chalicelib.") for each in FUNCTIONS} <= known


def test_every_operation_costs_what_is_kept_of_it() -> None:
    found = differences(kept(), metered())
    assert not found, advice(found)


def test_a_route_and_a_job_that_nobody_measures_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    ways_in()

    def paint_points() -> None:
        """Paint points."""

    monkeypatch.setattr("bench.operations.registry.ROUTES", [*ROUTES, replace(ROUTES[0], function=paint_points)])
    monkeypatch.setattr("bench.operations.registry.Job", ["birthday", "sweep"])
    assert unmeasured(operations()) == ["jobs.jobs.work_job sweep", "paint_points"]


# ---------------------------------------------------------------- dearer ones


def changed(name: str, planted: Callable[[Scene, Metered], Metered]) -> list[str]:
    """What is said of an operation whose call was changed."""
    real = operations()[name]

    def arrange(where: Scene) -> Metered:
        return planted(where, real.arrange(where))

    rows = metered(REGULAR, {name: replace(real, arrange=arrange)})
    return differences({name: kept()[name]}, rows)


def test_an_operation_that_was_not_changed_is_not_named() -> None:
    assert changed("record_purchase", lambda _, call: call) == []


def test_one_more_read_is_found() -> None:
    def planted(where: Scene, call: Metered) -> Metered:
        return lambda: (where.house.table.get(keys.account(where.member)), call())

    found = changed("record_purchase", planted)
    title = "record_purchase (a purchase of 3 lines, by member id), regular: "
    assert found == [title + "trips grew from 2 to 3 (+50%)", title + "RRU grew from 0.5 to 1 (+100%)"]


class _Padding(DynamoTable):
    """A table port that writes more of every item than it should."""

    more = 0

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        padded = [
            replace(each, item={**each.item, "more": "x" * self.more}) if isinstance(each, Put) else each
            for each in writes
        ]
        super().commit(padded, keyed=keyed)


@pytest.mark.parametrize(("more", "units"), [(40, []), (1_000, ["WRU grew from 5 to 9 (+80%)"])])
def test_larger_items_are_found_in_bytes_first_and_then_in_units(more: int, units: list[str]) -> None:
    def planted(where: Scene, call: Metered) -> Metered:
        port = _Padding(where.watch, where.core, meter=where.meter)
        port.more = more
        where.house = replace(where.house, table=port)
        wiring.use(where.house)
        return call

    found = [each.partition(": ")[2] for each in changed("spend_points", planted)]
    assert [each for each in found if "WRU" in each] == units
    assert any("bytes of the largest item written grew" in each for each in found)


def test_an_operation_that_takes_another_way_than_it_says_is_refused() -> None:
    real = operations()["get_points"]
    with pytest.raises(OtherWay, match="get_points says get_points and took get_member"):
        metered(
            REGULAR,
            {"get_points": replace(real, arrange=lambda where: lambda: where.get(f"/v1/members/{where.member}"))},
        )


# ---------------------------------------------------------------- the comparison


def a_row(**cost: Any) -> dict[str, Row]:
    """One operation for one member."""
    values = {"trips": 2, "refused": 0, "wru": 100.0, "rru": 0.5, "largest_bytes": 400, "kept_bytes": -500, **cost}
    return {"op": Row("points", "spend", "`POST /x`", {"regular": Cost(**values)})}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, []),
        ({"wru": 104.9}, []),
        ({"wru": 105.0}, ["WRU grew from 100 to 105 (+5%)"]),
        ({"wru": 95.0}, ["WRU fell from 100 to 95 (-5%)"]),
        ({"rru": 0.0}, ["RRU fell from 0.5 to 0 (-100%)"]),
        ({"refused": 1}, ["refused calls grew from 0 to 1"]),
        ({"kept_bytes": -480}, []),
        ({"kept_bytes": -470}, ["bytes kept grew from -500 to -470 (+6%)"]),
        ({"trips": 3, "largest_bytes": 500}, ["trips grew from 2 to 3 (+50%)", "bytes of the largest item written grew "
                                             "from 400 to 500 (+25%)"]),
    ],
)  # fmt: skip
def test_a_change_of_five_per_cent_is_named_up_and_down(change: dict[str, Any], said: list[str]) -> None:
    assert differences(a_row(), a_row(**change)) == [f"op (spend), regular: {each}" for each in said]


def test_operations_and_members_that_come_and_go_are_named() -> None:
    row = a_row()["op"]
    other = {"op": replace(row, costs={"old customer": row.costs["regular"]})}
    assert differences({}, {"op": row}) == ["op (spend) is new: what it costs is not kept yet"]
    assert differences({"op": row}, {}) == ["op is no operation any more"]
    assert differences({"op": row}, {"op": replace(row, way="`PUT /x`")}) == [
        "op (spend) is shown otherwise on the page"
    ]
    assert differences({"op": row}, other) == ["op (spend) was never metered for the old customer"]


def test_who_made_an_operation_dearer_is_told_how_to_keep_it() -> None:
    told = advice(differences(a_row(), a_row(wru=110.0)))
    assert "op (spend), regular: WRU grew from 100 to 110 (+10%)" in told
    assert "`make costs`" in told


def test_what_is_stored_is_counted_with_its_rows_in_the_indexes_and_what_aws_adds() -> None:
    item = {"pk": {"S": "ab"}, "sk": {"S": "c"}, "x": {"S": "d" * 10}}
    assert stored_bytes(item) == 2 + 2 + 2 + 1 + 1 + 10 + 100
    due = {"due": {"S": "e" * 20}}
    assert stored_bytes(item | due) == stored_bytes(item) + 23 + (2 + 2 + 2 + 1 + 23 + 100)
    line = {"tl": {"S": "f"}, "at": {"S": "g"}}
    assert stored_bytes(item | line) == stored_bytes(item) + 6 + (2 + 2 + 2 + 1 + 6 + 100)


def test_figures_are_kept_as_they_were_metered(tmp_path: Any) -> None:
    path = tmp_path / "costs.json"
    path.write_text(written(a_row(wru=105.0)))
    assert kept(path) == a_row(wru=105.0)


def test_new_figures_replace_those_that_a_merge_left_in_pieces(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "costs.json"
    path.write_text("<<<<<<< ours\n{}")
    monkeypatch.setattr(op_cost, "FIGURES", path)
    monkeypatch.setattr(op_cost, "metered", a_row)
    assert op_cost.main(["--publish"]) == 0
    assert kept(path) == a_row()
    assert "op (spend) is new" in capsys.readouterr().out
    monkeypatch.setattr(op_cost, "unmeasured", lambda known: ["paint_points"])
    assert op_cost.main(["--publish"]) == 1, "nothing is kept while something is not measured"


def test_every_operation_stands_on_the_page() -> None:
    shown = page()
    for row in kept().values():
        assert f"| {row.title} | {row.way} |" in shown


def test_no_two_operations_of_one_way_share_a_title() -> None:
    found = operations().values()
    assert len({(each.way, each.title) for each in found}) == len(found)
