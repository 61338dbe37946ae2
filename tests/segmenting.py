"""A small world of members and purchases as the lake shows it, and who fits a definition, told without SQL.

`opening` puts a world into the views of the lake by hand, in memory. `fits` says of one member whether a definition
holds; it shares nothing with what compiles definitions, but the documents.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from chalicelib.kernel.ids import SegmentId
from chalicelib.segments.engine import Engine, Opens

TODAY = date(2026, 3, 15)
ZONE_HOURS = 8
"""Shanghai."""

SHOPS = ("shp_a", "shp_b", "shp_c")
CHANNELS = ("pos", "web")
SKUS = ("L1", "L2", "T1", "';DROP/**/TABLE/**/members;--")
CATEGORIES = ("咖啡", "茶", "a\"b'c")
TAGS = ("vip", "金", "x' OR 1=1 --")
PURPOSES = ("marketing", "marketing:sms", "notices:email")
WAYS = ("sms", "email", "wechat", "app")
TIERS = ("bronze", "silver", "gold")
REGIONS = ("CN", "CN-31", "DE")
SOURCES = ("till", "web", "import")
CAMPAIGNS = ("cmp_one", "cmp_two", "jrn_back")
KINDS = ("delivered", "opened", "clicked", "bounced", "complained", "opted_out", "failed")
AGES = ("under_18", "18_24", "25_34", "35_44", "45_54", "55_64", "65_up")
STAGES = ("new", "active", "sleeping", "lost")

Row = dict[str, Any]

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "members": {
        "m": "UINTEGER", "member_id": "VARCHAR", "status": "VARCHAR", "joined_on": "DATE", "tier_id": "VARCHAR",
        "points": "BIGINT", "points_pending": "BIGINT", "points_earned": "BIGINT", "points_spent": "BIGINT",
        "points_expiring": "STRUCT(expires_on DATE, points BIGINT)[]", "gender": "VARCHAR", "language": "VARCHAR",
        "month_day": "VARCHAR", "born": "SMALLINT", "age_band": "VARCHAR", "shop_id": "VARCHAR", "region": "VARCHAR",
        "source": "VARCHAR", "tags": "VARCHAR[]", "custom": "VARCHAR", "consents": "VARCHAR[]",
        "withdrawn": "VARCHAR[]", "ways": "VARCHAR[]", "suppressed": "VARCHAR[]", "purchases_count": "BIGINT",
        "spent_minor": "BIGINT", "average_minor": "BIGINT", "first_bought_on": "DATE", "last_bought_on": "DATE",
        "r": "TINYINT", "f": "TINYINT", "mo": "TINYINT", "stage": "VARCHAR",
    },
    "purchases": {
        "m": "UINTEGER", "purchase_id": "VARCHAR", "shop_id": "VARCHAR", "channel": "VARCHAR", "bought_on": "DATE",
        "net_minor": "BIGINT", "returned": "BOOLEAN",
    },
    "lines": {
        "m": "UINTEGER", "purchase_id": "VARCHAR", "bought_on": "DATE", "shop_id": "VARCHAR", "sku": "VARCHAR",
        "category": "VARCHAR", "quantity": "INTEGER", "amount_minor": "BIGINT",
    },
    "deliveries": {
        "m": "UINTEGER", "source_id": "VARCHAR", "channel": "VARCHAR", "outcome": "VARCHAR", "at": "TIMESTAMP",
    },
    "receipts": {"m": "UINTEGER", "source_id": "VARCHAR", "channel": "VARCHAR", "kind": "VARCHAR", "at": "TIMESTAMP"},
    "replies": {"m": "UINTEGER", "source_id": "VARCHAR", "channel": "VARCHAR", "kind": "VARCHAR", "at": "TIMESTAMP"},
    "assignments": {"m": "UINTEGER", "campaign_id": "VARCHAR", "held_out": "BOOLEAN", "at": "TIMESTAMP"},
}  # fmt: skip
"""The columns of the lake's views that segments ask for."""


@dataclass
class World:
    """Members, and what they did."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    scored: bool = True

    def of(self, table: str, m: int) -> list[Row]:
        """A member's rows of a table."""
        return [row for row in self.tables[table] if row["m"] == m]


def a_member(m: int, **fields: Any) -> Row:
    """A member as the lake shows one; nothing is known of them but what is said."""
    plain: Row = dict.fromkeys(COLUMNS["members"])
    plain |= {
        "m": m, "member_id": member_id(m), "status": "active", "joined_on": date(2025, 1, 1), "tier_id": "bronze",
        "points": 0, "points_pending": 0, "points_earned": 0, "points_spent": 0, "points_expiring": [], "stage": "lost",
        "purchases_count": 0, "spent_minor": 0,
    }  # fmt: skip
    return plain | fields


def member_id(m: int) -> str:
    """The id of a member by number."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "mem_" + "".join(letters[(m >> (5 * place)) % 32] for place in range(15, -1, -1))


def a_world(seed: int, members: int = 40) -> World:
    """A world by chance."""
    chance = random.Random(seed)
    world = World()
    for m in range(1, members + 1):
        _add_member(world, chance, m)
    return world


def _add_member(world: World, chance: random.Random, m: int) -> None:
    def maybe(value: Any, share: float = 0.8) -> Any:
        return value if chance.random() < share else None

    def some(values: Sequence[str]) -> Any:
        return maybe(sorted(chance.sample(values, chance.randint(0, len(values)))))

    def day(back: int) -> date:
        return TODAY - timedelta(days=chance.randint(0, back))

    bought: list[Row] = [
        {
            "m": m, "purchase_id": f"pur_{m}_{number}", "shop_id": chance.choice(SHOPS),
            "channel": chance.choice(CHANNELS), "bought_on": day(chance.choice((5, 40, 400))),
            "net_minor": 0 if returned else chance.randint(0, 12) * 500, "returned": returned,
        }
        for number in range(chance.choice((0, 0, 1, 2, 5)))
        for returned in [chance.random() < 0.15]
    ]  # fmt: skip
    world.tables["purchases"] += bought
    for each in bought:
        world.tables["lines"] += [
            {
                "m": m, "purchase_id": each["purchase_id"], "bought_on": each["bought_on"], "shop_id": each["shop_id"],
                "sku": chance.choice(SKUS), "category": maybe(chance.choice(CATEGORIES)),
                "quantity": 0 if each["returned"] else chance.randint(1, 3), "amount_minor": chance.randint(0, 9) * 500,
            }
            for _ in range(chance.randint(1, 3))
        ]  # fmt: skip
    for campaign in CAMPAIGNS:
        _add_messages(world, chance, m, campaign)
    kept = [each for each in bought if not each["returned"]]
    spent = sum(each["net_minor"] for each in kept)
    days = [each["bought_on"] for each in kept]
    scores = {
        name: 1 + sum(figure > edge for edge in EDGES[name]) if kept else None
        for name, figure in (("recency", max(days, default=TODAY)), ("frequency", len(kept)), ("monetary", spent))
    }
    born = maybe(chance.choice(range(1945, 2030, 5)))
    custom = {"a": chance.choice((5, 7, "5", True, "x' --")), "b_2": chance.choice((False, "红", 10**12))}
    world.tables["members"].append(
        a_member(
            m, status=chance.choice(("active", "active", "suspended", "closed")), joined_on=day(800),
            tier_id=chance.choice(TIERS), points=chance.randint(0, 10) * 100, points_pending=chance.choice((0, 50)),
            points_earned=chance.randint(0, 20) * 100, points_spent=chance.randint(0, 5) * 100,
            points_expiring=[
                {"expires_on": TODAY + timedelta(days=chance.randint(0, 60)), "points": chance.randint(1, 300)}
                for _ in range(chance.randint(0, 2))
            ],
            gender=maybe(chance.choice(("female", "male", "other"))), language=maybe(chance.choice(("zh", "en")), 0.6),
            month_day=maybe(chance.choice(("02-28", "02-29", "03-01", "03-15", "03-16", "12-31", "01-01", "07-04"))),
            born=born, age_band=None if born is None else band_of(born), shop_id=maybe(chance.choice(SHOPS)),
            region=maybe(chance.choice(REGIONS)), source=maybe(chance.choice(SOURCES)), tags=some(TAGS),
            custom=maybe(_json({name: each for name, each in custom.items() if chance.random() < 0.7})),
            consents=some(PURPOSES), withdrawn=some(PURPOSES), ways=some(WAYS), suppressed=some(WAYS),
            purchases_count=len(kept), spent_minor=spent, average_minor=spent // len(kept) if kept else None,
            first_bought_on=min(days, default=None), last_bought_on=max(days, default=None), r=scores["recency"],
            f=scores["frequency"], mo=scores["monetary"], stage=chance.choice(STAGES),
        )
    )  # fmt: skip


EDGES: Mapping[str, Sequence[Any]] = {
    "recency": [TODAY - timedelta(days=days) for days in (300, 60, 20, 3)],
    "frequency": [1, 1, 2, 4],
    "monetary": [0, 1500, 4000, 9000],
}
"""The last values of the first four fifths."""


def band_of(born: int) -> str:
    """The band of the age of who was born in one of five years, by the year in the middle."""
    age = TODAY.year - born - 2
    return next(name for name, below in zip(AGES, (18, 25, 35, 45, 55, 65, 999), strict=True) if age < below)


def _add_messages(world: World, chance: random.Random, m: int, campaign: str) -> None:
    if chance.random() < 0.3:
        return
    at = datetime.combine(TODAY, datetime.min.time()) - timedelta(hours=chance.randint(-15, 60 * 24))
    channel = chance.choice(WAYS[:2])
    if chance.random() < 0.2:
        world.tables["assignments"].append({"m": m, "campaign_id": campaign, "held_out": True, "at": at})
        return
    world.tables["assignments"].append({"m": m, "campaign_id": campaign, "held_out": False, "at": at})
    outcome = chance.choice(("sent", "sent", "sent", "refused", "unknown"))
    row = {"m": m, "source_id": campaign, "channel": channel, "at": at}
    world.tables["deliveries"].append(row | {"outcome": outcome})
    if outcome == "sent":
        for kind in chance.sample(KINDS, chance.randint(0, 3)):
            late = at + timedelta(hours=chance.randint(0, 90))
            answered = kind == "opted_out" and chance.random() < 0.5
            world.tables["replies" if answered else "receipts"].append(row | {"kind": kind, "at": late})


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=chance_ascii(value))


def chance_ascii(value: Mapping[str, Any]) -> bool:
    """Whether text is escaped: the lake does not say, so both must do."""
    return len(value) % 2 == 0


# ---------------------------------------------------------------- the views


def connected(world: World) -> "duckdb.DuckDBPyConnection":
    """A world as the views of the lake, in memory."""
    connection = duckdb.connect(config={"threads": 1})
    for name, columns in COLUMNS.items():
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f"CREATE TABLE {name} ({listed})")
        rows = [[row.get(column) for column in columns] for row in world.tables[name]]
        if rows:
            one = "(" + ", ".join("?" for _ in columns) + ")"
            marks = ", ".join(one for _ in rows)
            connection.execute(f"INSERT INTO {name} VALUES {marks}", [value for row in rows for value in row])
    for name, edges in EDGES.items():
        connection.execute(f"SET VARIABLE {name} = ?", [edges])
    return connection


def opening(
    world: World,
    archive: Path | None = None,
    *,
    changed: str | None = None,
    base: str = "b1",
    scored: bool = True,
    generation: str = "",
) -> Opens:
    """Opens a world as the lake is opened."""

    @contextmanager
    def opens(today: date, now: datetime) -> Iterator[Engine]:
        connection = connected(world)
        try:
            yield Engine(connection, str(archive or ""), now.astimezone(UTC), base, changed, scored, generation)
        finally:
            connection.close()

    return opens


# ---------------------------------------------------------------- who fits, told without SQL

Document = Mapping[str, Any]


def fits(document: Document, member: Row, world: World, named: Callable[[SegmentId], Document | None]) -> bool:
    """Whether a definition, as JSON has it, holds of a member."""
    kind = document["kind"]
    if kind == "all":
        return all(fits(each, member, world, named) for each in document["of"])
    if kind == "any":
        return any(fits(each, member, world, named) for each in document["of"])
    if kind == "not":
        return not fits(document["of"], member, world, named)
    if kind == "segment":
        found = named(document["segment_id"])
        return found is not None and fits(found, member, world, named)
    return _LEAVES[kind](document, member, world)


def _compare(op: str, number: int | None, value: int, to: int | None) -> bool:
    if number is None:
        return op == "is_not"
    return {
        "is": number == value, "is_not": number != value, "below": number < value, "at_most": number <= value,
        "above": number > value, "at_least": number >= value,
        "between": value <= number <= (value if to is None else to),
    }[op]  # fmt: skip


def _compare_day(document: Document, day: date | None) -> bool:
    op = document["op"]
    if op in ("is_known", "is_unknown"):
        return bool((day is not None) == (op == "is_known"))
    if day is None:
        return False
    if "days" in document:
        ago = (TODAY - day).days
        return bool(0 <= ago < document["days"] if op == "in_last_days" else ago > document["days"])
    given = date.fromisoformat(document["day"])
    if op == "between":
        return given <= day <= date.fromisoformat(document["to"])
    return {"on": day == given, "before": day < given, "after": day > given}[op]


def _has(op: str, values: Sequence[str], own: Sequence[str] | None) -> bool:
    held = [each in (own or ()) for each in values]
    return {"has_any": any(held), "has_all": all(held), "has_none": not any(held)}[op]


def _field(document: Document, member: Row, world: World) -> bool:
    name, op = document["name"], document.get("op", "")
    if name == "points_expiring":
        last = TODAY + timedelta(days=document["days"] - 1)
        total = sum(each["points"] for each in member[name] if TODAY <= each["expires_on"] <= last)
        return _compare(op, total, document["value"], document.get("to"))
    if name in ("joined_on", "first_bought_on", "last_bought_on"):
        return _compare_day(document, member[name])
    if name == "birthday":
        return _birthday(document, member["month_day"])
    if name in ("consents", "withdrawn", "ways", "suppressed"):
        return _has(op, document["values"], member[name])
    if name == "custom":
        return _custom(document, member["custom"])
    if "value" in document:
        return _compare(op, member[name], document["value"], document.get("to"))
    if op in ("is_known", "is_unknown"):
        return bool((member[name] is not None) == (op == "is_known"))
    return bool((member[name] in document["values"]) == (op == "is_any"))


def _birthday(document: Document, month_day: str | None) -> bool:
    op = document["op"]
    if op in ("is_known", "is_unknown"):
        return bool((month_day is not None) == (op == "is_known"))
    if month_day is None:
        return False
    if op == "in_months":
        return int(month_day[:2]) in document["months"]
    for ahead in range(document["days"]):
        day = TODAY + timedelta(days=ahead)
        celebrated = {f"{day:%m-%d}"}
        if (day.month, day.day) == (2, 28) and (day + timedelta(days=1)).month == 3:
            celebrated.add("02-29")
        if month_day in celebrated:
            return True
    return False


def _custom(document: Document, text: str | None) -> bool:
    import json

    own = json.loads(text) if text is not None else {}
    name, op = document["custom_field"], document["op"]
    if op in ("is_known", "is_unknown"):
        return bool((name in own) == (op == "is_known"))
    value = own.get(name)
    if op in ("is_any", "is_none"):
        same = any(type(each) is type(value) and each == value for each in document["values"])
        return bool(same == (op == "is_any"))
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    return number is not None and _compare(op, number, document["value"], None)


def _in_window(window: Document | None, day: date) -> bool:
    if window is None:
        return True
    if window["kind"] == "last_days":
        ago = (TODAY - day).days
        skip = window.get("skip", 0)  # without it the window is open: what is dated ahead counts as today's
        return bool(ago < window["days"] and (not skip or ago >= skip))
    first, last = window.get("first"), window.get("last")
    return (first is None or day >= date.fromisoformat(first)) and (last is None or day <= date.fromisoformat(last))


def _kept(document: Document, member: Row, world: World) -> list[Row]:
    return [
        row
        for row in world.of("purchases", member["m"])
        if not row["returned"]
        and _in_window(document.get("window"), row["bought_on"])
        and row["shop_id"] in document.get("shop_ids", SHOPS)
        and row["channel"] in document.get("channels", CHANNELS)
    ]


def _purchases(document: Document, member: Row, world: World) -> bool:
    rows = _kept(document, member, world)
    measure = document["measure"]
    if measure in ("first", "last"):
        days = [row["bought_on"] for row in rows]
        pick = min if measure == "first" else max
        return _compare_day(document, pick(days, default=None))
    total = sum(row["net_minor"] for row in rows)
    if measure == "average":
        return bool(rows) and _compare(document["op"], total // len(rows), document["value"], document.get("to"))
    number = len(rows) if measure == "count" else total
    return _compare(document["op"], number, document["value"], document.get("to"))


def _bought(document: Document, member: Row, world: World) -> bool:
    rows = [
        row
        for row in world.of("lines", member["m"])
        if (row["sku"] in document.get("skus", ()) or row["category"] in document.get("categories", ()))
        and row["quantity"] > 0
        and _in_window(document.get("window"), row["bought_on"])
        and row["shop_id"] in document.get("shop_ids", SHOPS)
    ]
    measured = {
        "times": len({row["purchase_id"] for row in rows}),
        "quantity": sum(row["quantity"] for row in rows),
        "amount": sum(row["amount_minor"] for row in rows),
    }
    return bool(rows) and measured[document.get("measure", "times")] >= document.get("at_least", 1)


def _campaign(document: Document, member: Row, world: World) -> bool:
    did = document["did"]

    def rows(table: str, source: str, *, timed: bool = True) -> list[Row]:
        return [
            row
            for row in world.of(table, member["m"])
            if row[source] in document.get("source_ids", CAMPAIGNS)
            and row.get("channel") in document.get("channels", (*WAYS, None))
            and (not timed or _in_window(document.get("window"), (row["at"] + timedelta(hours=ZONE_HOURS)).date()))
        ]

    if did == "held_out":
        return any(row["held_out"] for row in rows("assignments", "campaign_id"))
    sent = any(row["outcome"] == "sent" for row in rows("deliveries", "source_id"))
    if did == "sent":
        return sent
    if not did.startswith("not_"):
        return any(row["kind"] == did for table in ("receipts", "replies") for row in rows(table, "source_id"))
    against = {
        "not_delivered": ("delivered", "opened", "clicked"), "not_opened": ("opened", "clicked"),
        "not_clicked": ("clicked",),
    }[did]  # fmt: skip
    return sent and not any(row["kind"] in against for row in rows("receipts", "source_id", timed=False))


def _rfm(document: Document, member: Row, world: World) -> bool:
    columns = {"recency": "r", "frequency": "f", "monetary": "mo"}
    return all(member[column] in document[name] for name, column in columns.items() if name in document)


_LEAVES: Mapping[str, Callable[[Document, Row, World], bool]] = {
    "field": _field,
    "purchases": _purchases,
    "bought": _bought,
    "campaign": _campaign,
    "rfm": _rfm,
    "stage": lambda document, member, _: member["stage"] in document["stages"],
    "tag": lambda document, member, _: _has(document["op"], document["tags"], member["tags"]),
}


# ---------------------------------------------------------------- definitions by chance


class Documents:
    """Makes valid definitions by chance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def definition(self, depth: int = 3) -> Row:
        """A definition."""
        chance = self._chance
        if depth and chance.random() < 0.6:
            kind = chance.choice(("all", "any", "not", "all", "any"))
            if kind == "not":
                return {"kind": kind, "of": self.definition(depth - 1)}
            return {"kind": kind, "of": [self.definition(depth - 1) for _ in range(chance.randint(1, 3))]}
        return chance.choice((self._number, self._choice, self._day, self._birthday, self._list, self._custom,
                              self._purchases, self._purchases, self._purchases_day, self._bought, self._campaign,
                              self._campaign, self._expiring, self._rest))()  # fmt: skip

    def _some(self, values: Sequence[Any]) -> list[Any]:
        return self._chance.sample(values, self._chance.randint(1, len(values)))

    def _compared(self, numbers: Sequence[int]) -> Row:
        chance = self._chance
        op = chance.choice(("is", "is_not", "below", "at_most", "above", "at_least", "between"))
        value = chance.choice(numbers)
        return {"op": op, "value": value, **({"to": value + chance.choice((0, 1, 1000))} if op == "between" else {})}

    def _dayed(self) -> Row:
        chance = self._chance
        op = chance.choice(("on", "before", "after", "between", "in_last_days", "more_than_days_ago", "is_known",
                            "is_unknown"))  # fmt: skip
        day = TODAY - timedelta(days=chance.randint(0, 60))
        if op in ("in_last_days", "more_than_days_ago"):
            return {"op": op, "days": chance.choice((1, 5, 30, 365))}
        if op in ("is_known", "is_unknown"):
            return {"op": op}
        more = {"to": (day + timedelta(days=chance.randint(0, 30))).isoformat()} if op == "between" else {}
        return {"op": op, "day": day.isoformat(), **more}

    def _where(self, *, channels: bool = True) -> Row:
        chance = self._chance
        made: Row = {}
        if chance.random() < 0.6:
            days = chance.choice((1, 7, 30, 90))
            day = TODAY - timedelta(days=chance.randint(0, 60))
            made["window"] = chance.choice((
                {"kind": "last_days", "days": days},
                {"kind": "last_days", "days": days, "skip": chance.randint(0, days - 1)},
                {"kind": "from_to", "first": day.isoformat()},
                {"kind": "from_to", "last": day.isoformat()},
                {"kind": "from_to", "first": day.isoformat(), "last": TODAY.isoformat()},
            ))  # fmt: skip
        if chance.random() < 0.3:
            made["shop_ids"] = self._some(SHOPS)
        if channels and chance.random() < 0.3:
            made["channels"] = self._some(CHANNELS)
        return made

    def _number(self) -> Row:
        name = self._chance.choice(("points", "points_pending", "points_earned", "points_spent", "purchases_count",
                                    "spent_minor", "average_minor"))  # fmt: skip
        numbers = (0, 1, 2) if name == "purchases_count" else (-1, 0, 50, 500, 1000, 2500)
        return {"kind": "field", "name": name, **self._compared(numbers)}

    def _expiring(self) -> Row:
        return {"kind": "field", "name": "points_expiring", "days": self._chance.choice((1, 30, 90)),
                **self._compared((0, 1, 100))}  # fmt: skip

    def _choice(self) -> Row:
        name, values = self._chance.choice((
            ("status", ("active", "suspended", "closed")), ("gender", ("female", "male", "unknown")),
            ("language", ("zh", "en")), ("age_band", AGES), ("tier_id", TIERS), ("shop_id", SHOPS), ("region", REGIONS),
            ("source", SOURCES),
        ))  # fmt: skip
        op = self._chance.choice(("is_any", "is_none", "is_known", "is_unknown"))
        return {"kind": "field", "name": name, "op": op, **({"values": self._some(values)} if op[3] in "an" and op in
                ("is_any", "is_none") else {})}  # fmt: skip

    def _day(self) -> Row:
        name = self._chance.choice(("joined_on", "first_bought_on", "last_bought_on"))
        return {"kind": "field", "name": name, **self._dayed()}

    def _birthday(self) -> Row:
        op = self._chance.choice(("in_next_days", "in_months", "is_known", "is_unknown"))
        days = self._chance.choice((1, 2, 30, 300, 350, 351, 365, 366))
        takes: dict[str, Row] = {"in_next_days": {"days": days}, "in_months": {"months": self._some((1, 2, 3, 12))}}
        more = takes.get(op, {})
        return {"kind": "field", "name": "birthday", "op": op, **more}

    def _list(self) -> Row:
        op = self._chance.choice(("has_any", "has_all", "has_none"))
        if self._chance.random() < 0.4:
            return {"kind": "tag", "op": op, "tags": self._some(TAGS)}
        name, values = self._chance.choice((("consents", PURPOSES), ("withdrawn", PURPOSES), ("ways", WAYS),
                                            ("suppressed", WAYS)))  # fmt: skip
        return {"kind": "field", "name": name, "op": op, "values": self._some(values)}

    def _custom(self) -> Row:
        op = self._chance.choice(("is_any", "is_none", "below", "at_most", "above", "at_least", "is_known",
                                  "is_unknown"))  # fmt: skip
        more: Row = {}
        if op in ("is_any", "is_none"):
            more = {"values": self._some((5, "5", True, False, "x' --", "红"))}
        elif not op.startswith("is"):
            more = {"value": self._chance.choice((5, 6, 10**12))}
        return {"kind": "field", "name": "custom", "custom_field": self._chance.choice(("a", "b_2")), "op": op, **more}

    def _purchases(self) -> Row:
        measure = self._chance.choice(("count", "count", "sum", "average"))
        numbers = (0, 1, 2, 3) if measure == "count" else (0, 1, 500, 1250, 3000)
        return {"kind": "purchases", "measure": measure, **self._compared(numbers), **self._where()}

    def _purchases_day(self) -> Row:
        measure = self._chance.choice(("first", "last"))
        return {"kind": "purchases", "measure": measure, **self._dayed(), **self._where()}

    def _bought(self) -> Row:
        goods: Row = self._chance.choice((
            {"skus": self._some(SKUS)}, {"categories": self._some(CATEGORIES)},
            {"skus": self._some(SKUS), "categories": self._some(CATEGORIES)},
        ))  # fmt: skip
        measure = self._chance.choice(("times", "quantity", "amount"))
        return {"kind": "bought", **goods, "measure": measure, "at_least": self._chance.choice((1, 2, 1000)),
                **self._where(channels=False)}  # fmt: skip

    def _campaign(self) -> Row:
        chance = self._chance
        did = chance.choice(("sent", "held_out", "not_delivered", "not_opened", "not_clicked", *KINDS))
        made: Row = {"kind": "campaign", "did": did}
        if chance.random() < 0.6:
            made["source_ids"] = self._some(CAMPAIGNS)
        if chance.random() < 0.3 and did != "held_out":
            made["channels"] = self._some(WAYS[:2])
        window = self._where().get("window")
        return made | ({"window": window} if window else {})

    def _rest(self) -> Row:
        chance = self._chance
        if chance.random() < 0.3:
            return {"kind": "stage", "stages": self._some(STAGES)}
        if chance.random() < 0.3:
            return {"kind": "segment", "segment_id": chance.choice(("seg_ready_champions", "seg_ready_never_bought",
                                                                    "seg_ready_birthday_soon"))}  # fmt: skip
        names = self._some(("recency", "frequency", "monetary"))
        return {"kind": "rfm", **{name: self._some((1, 2, 3, 4, 5)) for name in names}}
