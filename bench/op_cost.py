"""What every operation of the product costs: write and read units, trips, dollars, bytes.

`make bench B=op_cost` meters all of them for three members and compares with the figures that are kept; the rows also
go to `build/costs.json`. `make costs` (`python -m bench.op_cost --publish`) keeps what was metered.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from bench.operations.registry import Operation, operations, unmeasured, ways_in
from bench.operations.scene import PEOPLE, Items, Life, Person, Typed, Watch, items_of, lived, plain, scene_of
from bench.report import Figure, table
from bench.stack import database, item_bytes
from chalicelib.runtime.observe import logger
from local.costs import FIGURES, Cost, Row, Rows, advice, differences, kept, written
from local.settings import ROOT
from local.tables import TEMPLATE, table_calls

EACH_BYTES = 100
"""AWS adds so many to each item, and to each row of an index."""


class OtherWay(Exception):
    """An operation took another way into the product than it says."""


def run(*, quick: bool = False) -> Figure:
    """Meter all operations; the value is the most that a unit figure grew over the one that is kept."""
    rows = metered(PEOPLE[1:2] if quick else PEOPLE)
    path = ROOT / "build" / "costs.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(written(rows))
    _show(rows)
    found = differences(kept(), rows)
    if found:
        print(advice(found))
    print(f"  {len(rows)} operations, in full in {path.relative_to(ROOT)}")
    details = {name: {who: _units(cost) for who, cost in row.costs.items()} for name, row in rows.items()}
    worst = max(_growths(kept(), rows), default=1.0)
    return Figure("op_cost", "units ÷ those kept, the operation that grew most", worst, 1.05, "×", details=details)


def metered(people: Iterable[Person] = PEOPLE, chosen: Mapping[str, Operation] | None = None) -> dict[str, Row]:
    """What operations cost for people.

    Args:
        chosen: some operations; all, when left out.

    Raises:
        OtherWay: an operation took another way into the product than it says.
    """
    chosen = operations() if chosen is None else chosen
    with database() as server, closing(Watch(server.endpoint)) as watch, _quiet():
        lives = [lived(watch, person) for person in people]
        ways = ways_in()
        return {
            each.name: Row(
                each.group, each.title, ways[each.way], {life.person.name: cost(watch, life, each) for life in lives}
            )
            for each in chosen.values()
        }


def cost(watch: Watch, life: Life, operation: Operation) -> Cost:
    """What an operation costs for a person.

    Raises:
        OtherWay: it took another way into the product than it says.
    """
    with scene_of(life) as scene:
        call = operation.arrange(scene)
        before = items_of(watch, scene.core)
        scene.ready()
        call()
        found = Cost(
            watch.trips, watch.refused, scene.meter.write, scene.meter.read, watch.largest,
            _growth(before, items_of(watch, scene.core)),
        )  # fmt: skip
    if set(scene.taken) != {operation.way}:
        raise OtherWay(f"{operation.name} says {operation.way} and took {', '.join(scene.taken) or 'none'}")
    return found


def main(arguments: Sequence[str]) -> int:
    """Meter, and keep what was metered."""
    parser = argparse.ArgumentParser(prog="python -m bench.op_cost")
    parser.add_argument("--publish", action="store_true", help="keep the figures; else they are only compared")
    publish = parser.parse_args(arguments).publish
    if left := unmeasured(operations()):
        print(f"No operation takes these ways in: {', '.join(left)}. See bench/operations.", file=sys.stderr)
        return 1
    rows = metered()
    if publish:
        found = differences(_readable(), rows)
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text(written(rows))
        print("\n".join([f"{len(rows)} operations are kept in {FIGURES.name}. What changed: {len(found)}", *found]))
        return 0
    found = differences(kept(), rows)
    print(advice(found) if found else "Every operation costs what is kept of it.")
    return 1 if found else 0


def _readable() -> dict[str, Row]:
    """The figures that are kept; none where they cannot be read, as in the midst of a merge."""
    try:
        return kept(FIGURES)
    except (OSError, ValueError, KeyError, TypeError):
        return {}


# ---------------------------------------------------------------- measuring


def _growth(before: Items, after: Items) -> int:
    """By how many bytes what is stored grew."""
    gone = sum(stored_bytes(item) for key, item in before.items() if after.get(key) != item)
    come = sum(stored_bytes(item) for key, item in after.items() if before.get(key) != item)
    return come - gone


def stored_bytes(typed: Typed) -> int:
    """Bytes of an item of table `core` and its rows in the indexes, as AWS bills their storage."""
    item = plain(typed)
    return sum(item_bytes(each) + EACH_BYTES for each in (item, *_rows_of(item)))


def _rows_of(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the indexes hold of an item."""
    for needed, copied in _INDEXES:
        if needed <= set(item):
            yield {name: value for name, value in item.items() if name in copied}


def _indexes() -> list[tuple[set[str], set[str]]]:
    """Of each index of `core`: the attributes that an item needs to be in it, and those that it copies."""
    core = next(
        each for each in table_calls(json.loads(TEMPLATE.read_text()), "x") if each["TableName"].endswith("core")
    )
    own = {each["AttributeName"] for each in core["KeySchema"]}
    found = []
    for index in core["GlobalSecondaryIndexes"]:
        needed = {each["AttributeName"] for each in index["KeySchema"]}
        assert index["Projection"]["ProjectionType"] in ("INCLUDE", "KEYS_ONLY")
        found.append((needed, own | needed | set(index["Projection"].get("NonKeyAttributes", ()))))
    return found


_INDEXES = _indexes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing of what is metered."""
    level = logger().log_level
    logger().setLevel("CRITICAL")
    try:
        yield
    finally:
        logger().setLevel(level)


# ---------------------------------------------------------------- telling


def _growths(before: Rows, now: Rows) -> Iterator[float]:
    for name, row in now.items():
        for who, cost_ in row.costs.items():
            was = before[name].costs.get(who) if name in before else None
            for old, new in zip(_units(was), _units(cost_), strict=True) if was else ():
                yield new / old if old else 1.0 if not new else float("inf")


def _units(cost_: Cost) -> tuple[float, float]:
    return cost_.wru, cost_.rru


def _show(rows: Rows) -> None:
    table(
        ["operation", "trips", "WRU", "RRU", "$ per million", "largest item", "bytes kept"],
        [
            [
                f"{name}, {who}", each.trips, each.wru, each.rru, each.dollars_per_million,
                each.largest_bytes, each.kept_bytes,
            ]
            for name, row in rows.items()
            for who, each in row.costs.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
