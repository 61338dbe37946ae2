"""What every operation costs: the figures that are kept, how new ones differ from them, and the page that shows them.

The figures are metered by `bench.op_cost`, kept in `docs/figures/costs.json`, and shown in `docs/costs.md`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from local.settings import ROOT

FIGURES = ROOT / "docs" / "figures" / "costs.json"
COMMAND = "make costs"
"""Meters all operations and keeps what they cost."""

LARGEST_CHANGE = 0.05
"""A figure that differs by this part or more from the one that is kept must be looked at."""

DOLLARS_PER_MILLION_WRU = 0.625
DOLLARS_PER_MILLION_RRU = 0.125
DOLLARS_PER_GB_MONTH = 0.25
"""List prices of DynamoDB on demand in us-east-1."""

_GB = 2**30


@dataclass(frozen=True)
class Cost:
    """What an operation costs once.

    Attributes:
        trips: calls of the database, one after another.
        refused: how many of them it refused: the emulator meters nothing for those, AWS does.
        wru: write request units, those of indexes among them.
        rru: read request units.
        largest_bytes: of the largest item written.
        kept_bytes: by how much all that is stored in table `core` grew, indexes and AWS' 100 bytes for each item and
            index row included.
    """

    trips: int
    refused: int
    wru: float
    rru: float
    largest_bytes: int
    kept_bytes: int

    @property
    def dollars_per_million(self) -> float:
        """What a million cost by list prices, without storage."""
        return self.wru * DOLLARS_PER_MILLION_WRU + self.rru * DOLLARS_PER_MILLION_RRU


WORDS = {
    "trips": "trips",
    "refused": "refused calls",
    "wru": "WRU",
    "rru": "RRU",
    "largest_bytes": "bytes of the largest item written",
    "kept_bytes": "bytes kept",
}


@dataclass(frozen=True)
class Row:
    """An operation, and what it costs for each of the members who stand for all.

    Attributes:
        way: the way into the product that it takes, as a table shows it.
    """

    group: str
    title: str
    way: str
    costs: Mapping[str, Cost]


Rows = Mapping[str, Row]


# ---------------------------------------------------------------- kept


def kept(path: Path = FIGURES) -> dict[str, Row]:
    """The figures that are kept, by the names of the operations."""
    found: dict[str, Any] = json.loads(path.read_text())
    return {
        name: Row(each["group"], each["title"], each["way"], {who: Cost(**cost) for who, cost in each["costs"].items()})
        for name, each in found.items()
    }


def written(rows: Rows) -> str:
    """The figures as they are kept: a line for each member of each operation, so that a change is one of one line."""
    lines = []
    for name, row in rows.items():
        head = json.dumps({"group": row.group, "title": row.title, "way": row.way}, ensure_ascii=False)
        costs = ",\n".join(f"  {json.dumps(who)}: {json.dumps(asdict(cost))}" for who, cost in row.costs.items())
        lines.append(f'{json.dumps(name)}: {head[:-1]}, "costs": {{\n{costs}\n}}}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def differences(before: Rows, now: Rows) -> list[str]:
    """Sentences that say what differs from the figures that are kept, by so much that it must be looked at.

    What became cheaper is told too: unless that is kept, it could grow back to the old figure unseen.
    """
    found = [f"{name} is no operation any more" for name in before if name not in now]
    for name, row in now.items():
        if name not in before:
            found.append(f"{name} ({row.title}) is new: what it costs is not kept yet")
            continue
        if replace(before[name], costs=row.costs) != row:
            found.append(f"{name} ({row.title}) is shown otherwise on the page")
        for who, cost in row.costs.items():
            was = before[name].costs.get(who)
            if was is None:
                found.append(f"{name} ({row.title}) was never metered for the {who}")
            else:
                found += [f"{name} ({row.title}), {who}: {change}" for change in _changes(was, cost)]
    return found


def advice(found: Sequence[str]) -> str:
    """What is said to who made the difference."""
    return "\n".join(
        [
            f"Operations do not cost what {FIGURES.relative_to(ROOT)} says:",
            *(f"  {each}" for each in found),
            f"If that is meant, run `{COMMAND}` and commit what it changes.",
        ]
    )


def _changes(was: Cost, now: Cost) -> list[str]:
    found = []
    for each in fields(Cost):
        old, new = getattr(was, each.name), getattr(now, each.name)
        if new != old and abs(new - old) >= LARGEST_CHANGE * abs(old):
            part = f" ({(new - old) / abs(old):+.0%})" if old else ""
            found.append(f"{WORDS[each.name]} {'grew' if new > old else 'fell'} from {old:g} to {new:g}{part}")
    return found


# ---------------------------------------------------------------- shown


def page() -> str:
    """The page that shows the figures that are kept."""
    rows = kept()
    parts = ["# What every operation costs", "", _MARK, "", *_INTRODUCTION]
    for group in sorted({row.group for row in rows.values()}, key=lambda each: (_ORDER.get(each, len(_ORDER)), each)):
        parts += ["", f"## {group.capitalize()}", "", *_table([row for row in rows.values() if row.group == group])]
    return "\n".join([*parts, "", *_example(rows), ""])


_MARK = f"<!-- Generated by `make docs` from docs/figures/costs.json, which `{COMMAND}` writes. -->"
_ORDER = {"purchases": 0, "points": 1, "members": 2}
"""What comes first on the page; other groups follow by name."""


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| operation | way in | trips | WRU | RRU | $ per million | largest item written | bytes kept |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        costs = list(row.costs.values())
        mark = "†" if any(cost.refused for cost in costs) else ""
        cells = [
            row.title,
            row.way,
            _spread(costs, lambda cost: cost.trips) + mark,
            _spread(costs, lambda cost: cost.wru),
            _spread(costs, lambda cost: cost.rru),
            _spread(costs, lambda cost: cost.dollars_per_million, "{:.2f}") + mark,
            _spread(costs, lambda cost: cost.largest_bytes),
            _spread(costs, lambda cost: cost.kept_bytes),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _spread(costs: Sequence[Cost], figure: Callable[[Cost], float], shape: str = "{:g}") -> str:
    """The median, and where they differ the least and the most; nothing is a dash."""
    values = sorted(figure(cost) for cost in costs)
    least, middle, most = (_number(each, shape) for each in (values[0], median(values), values[-1]))
    return middle if least == most else f"{middle} ({least}–{most})"


def median(values: Sequence[float]) -> float:
    """The middle one, the lower of two."""
    return sorted(values)[(len(values) - 1) // 2]


def _number(value: float, shape: str) -> str:
    if value == 0:
        return "–"
    return f"{value:,}".replace("-", "−") if isinstance(value, int) else shape.format(value)


def _example(rows: Rows) -> list[str]:
    def middle(name: str, figure: Callable[[Cost], float]) -> float:
        return median([figure(cost) for cost in rows[name].costs.values()])

    wru, rru = (
        middle("record_purchase_by_mobile", figure) for figure in (lambda cost: cost.wru, lambda cost: cost.rru)
    )
    buying = middle("record_purchase_by_mobile", lambda cost: cost.dollars_per_million)
    looking = middle("get_member", lambda cost: cost.dollars_per_million) * 10
    size = middle("record_purchase", lambda cost: cost.kept_bytes)
    month = _month_of_storage(size * 1_000_000)
    year = month * 6.5
    members = middle("enrol_member", lambda cost: cost.kept_bytes) * 100_000
    return f"""\
## An example: a year of a chain of shops

A million purchases by members who say their mobile numbers, and ten million times somebody looks at a member:

| what | how | $ |
|---|---|--:|
| 1,000,000 purchases | {wru:g} WRU and {rru:g} RRU each | {buying:.2f} |
| 10,000,000 reads of a member | {middle("get_member", lambda cost: cost.rru):g} RRU each | {looking:.2f} |
| storage of these purchases | {size:,.0f} bytes each, kept for 6.5 months of the year on average | {year:.2f} |
| **together** | | **{buying + looking + year:.2f}** |

What purchases leave behind is kept for good: {size * 1_000_000 / _GB:.2f} GB for each million of them, ${month:.2f} a
month or ${month * 12:.2f} a year. 100,000 members take {members / _GB:.2f} GB, ${_month_of_storage(members):.2f} a
month. A GB costs ${DOLLARS_PER_GB_MONTH} a month; that AWS gives the first 25 GB of a region away is not taken off.
""".splitlines()


def _month_of_storage(size: float) -> float:
    return size / _GB * DOLLARS_PER_GB_MONTH


_INTRODUCTION = f"""\
Metered by `{COMMAND}` and kept in `docs/figures/costs.json`; `make bench B=op_cost` meters without keeping. `make test`
meters again. It fails when a figure differs by {LARGEST_CHANGE:.0%} or more from the one that is kept, and when the
product has a way in that no operation takes. What an operation is, and its scene, stands in `bench/operations`.

**What is counted.** Every call of the tables `core` and `ops` that one operation makes, through the whole route or
function: write request units (WRU), those of both indexes among them, read request units (RRU), and trips, which are
calls one after another. Dollars are DynamoDB's list prices on demand in us-east-1, ${DOLLARS_PER_MILLION_WRU} for a
million WRU and ${DOLLARS_PER_MILLION_RRU} for a million RRU. A process reads the program once in ten seconds, whatever
it does: that is an operation of its own, and not in the others.

**For whom.** Three members stand for all: a newcomer who has bought once, a regular of a coffee chain after a year, and
one who has shopped in a supermarket for three. Shown is the one in the middle (the median of each figure), with the
least and the most beside it where they differ. A part of a job's run holds up to 25 members, who share what the part
itself costs, 4 WRU and 3 RRU or so; here it holds one.

**Bytes.** A written item of up to 1,024 bytes costs two units in a transaction, a larger one more. Bytes kept are what
table `core` and its indexes grew by, with the 100 bytes that AWS adds for each item and each row of an index. Table
`ops` is not in them, because its items go after a while.

**What this is not.** dynoxide is an emulator that counts as AWS documents its billing; it is not AWS, and no bill was
compared. AWS also bills writes whose condition fails, which the emulator does not: where a transaction is refused
because a command was repeated (†), the row says too little, by up to what the same writes cost when they go through.
Not included: Lambda, API Gateway, the stream and its readers, SQS, EventBridge, S3, logs, backups (PITR), retries after
conflicts, and taxes.
""".splitlines()
