"""The views that segments and campaigns ask, as SQL over the files of a base and of the patch that lies over it.

The text is made of names that a head gives, of a day and of an instant: nothing in it comes from a caller.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime

from chalicelib.kernel.calendar import milliseconds
from chalicelib.lake.models import Edges, Head
from chalicelib.lake.rules import (
    ACTIVE_DAYS,
    AGE_BANDS,
    ANSWERED_DAYS,
    BASE,
    NEW_DAYS,
    PATCH,
    SLEEPING_DAYS,
    latest_born,
)
from chalicelib.lake.tables import FACT_ROWS, FACT_TABLES, FORM, PROFILE, SPELLED, TABLES, WHOLE

_NEVER = "DATE '9999-12-31'"


def files(root: str, folder: str, table: str, slices: int) -> list[str]:
    """The files of a table of a base."""
    return [f"{root}/{folder}/{table}/{number:05d}.parquet" for number in range(slices)]


def stored(root: str, head: Head) -> Iterator[tuple[str, str]]:
    """Every table of base and patch as a view, `base_people` and `patch_people`; an empty one where there is none."""
    for table in TABLES:
        paths = files(root, f"{BASE}/{head.base}", table, head.slices) if head.base else []
        yield f"base_{table}", reading(paths, table, head.form)
        patch = [f"{root}/{PATCH}/{head.patch}/{table}.parquet"] if head.patch else []
        yield f"patch_{table}", reading(patch, table, head.form)


def reading(paths: Sequence[str], table: str, form: int = FORM) -> str:
    """A SELECT of all columns of a table's files; those that an older form has not are null.

    Args:
        form: the oldest that a file may have.
    """
    columns = TABLES[table]
    if not paths:
        return _nothing(columns)
    listed = ", ".join(f"'{path}'" for path in paths)
    if form == FORM:
        return f"SELECT {named(columns)} FROM read_parquet([{listed}])"
    rows = f"SELECT * FROM read_parquet([{listed}], union_by_name = true)"
    if form > 1 or table != "people":
        return f"SELECT {named(columns)} FROM ({rows} UNION ALL BY NAME {_nothing(columns)})"
    both = _nothing({**columns, **{name: PROFILE[name] for name in SPELLED}})
    spelled = ", ".join(f"coalesce({kept}, {spelled_out(name)}) AS {kept}" for name, kept in SPELLED.items())
    return f"SELECT {named(columns)} FROM (SELECT * REPLACE ({spelled}) FROM ({rows} UNION ALL BY NAME {both}))"


def _nothing(columns: Mapping[str, str]) -> str:
    return "SELECT " + ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items()) + " WHERE false"


def spelled_out(name: str) -> str:
    """A list of `SPELLED` as the text that files have for it."""
    return f"array_to_string({name}, chr(10))"


def named(columns: Iterable[str]) -> str:
    """Columns by name; quoted, because `at` is a word of SQL."""
    return ", ".join(f'"{name}"' for name in columns)


def state(table: str) -> str:
    """A SELECT of a table as it is now, base and patch together, before it is said for whom each row counts."""
    columns = named(TABLES[table])
    if table not in WHOLE:
        return f"SELECT {columns} FROM base_{table} UNION ALL SELECT {columns} FROM patch_{table}"
    by = "m" if table == "people" else "own"
    hidden = f"SELECT {columns} FROM base_{table} ANTI JOIN patched ON patched.m = base_{table}.{by}"
    return f"{hidden} UNION ALL SELECT {columns} FROM patch_{table}"


def restless(today: date) -> str:
    """A SELECT of those of the base whose points time has changed since they were summed up, or may any moment."""
    day = _literal(today)
    columns = ", ".join(f'base_people."{name}"' for name in TABLES["people"])
    changed = f"shown AND (until_on <= {day} OR from_on > {day})"
    return f"SELECT {columns} FROM base_people ANTI JOIN patched ON patched.m = base_people.m WHERE {changed}"


def asked(head: Head, today: date, now: datetime, *, settled: bool) -> Iterator[tuple[str, str]]:
    """The views that the lake is asked by, each with its SELECT.

    Args:
        settled: see `members`.
    """
    yield "members", members(head.edges, today, now, settled=settled)
    yield "contacts", f"SELECT m, from_base64(sealed) AS sealed, version FROM ({state('contacts')}) WHERE own = m"
    yield (
        "purchases",
        "SELECT m, purchase_id, shop_id, channel, bought_on, bought_at, paid_minor, refunded_minor, net_minor, "
        f"tender_minor, points_earned, lines_count, returned FROM ({state('purchases')})",
    )
    yield (
        "lines",
        f"SELECT m, purchase_id, bought_on, shop_id, sku, category, quantity, amount_minor FROM ({state('lines')})",
    )
    yield "entries", _added(head, "entries", tuple(TABLES["entries"])[2:])
    for fact, table in FACT_TABLES.items():
        yield table, _added(head, table, tuple(FACT_ROWS[fact]))
    yield "replies", _replies(head)


def _replies(head: Head) -> str:
    """Who opted out by answering, which says of no message that it is the one: the last one of that channel counts.

    What was sent to whom is told apart also after they were merged.
    """
    told = _added(head, "receipts", ("own", "channel", "kind", "at", "delivery_id"))
    sent = _added(
        head, "deliveries",
        ("own", "channel", "at", "source", "source_id", "variant", "outcome", "delivery_id"),
    )  # fmt: skip
    return f"""
SELECT m, channel, kind, "at", a.delivery_id, a.source_id, a.variant FROM (
    SELECT r.m, r.own, r.channel, r.kind, r."at",
        arg_max({{'delivery_id': d.delivery_id, 'source_id': d.source_id, 'variant': d.variant}}, d."at") AS a
    FROM ({told}) r JOIN ({sent}) d ON d.own = r.own AND d.channel = r.channel
    WHERE r.delivery_id IS NULL AND d.source IN ('campaign', 'journey') AND d.outcome IN ('sent', 'unknown')
        AND d."at" < r."at" + to_seconds(1) AND d."at" > r."at" - to_days({ANSWERED_DAYS})
    GROUP BY ALL
)"""


def _added(head: Head, table: str, columns: Sequence[str]) -> str:
    """Rows that never change: those of the base count for whoever answers for them by now."""
    listed = ", ".join(f'base_{table}."{name}"' for name in columns)
    based = f"SELECT base_{table}.m, {listed} FROM base_{table}"
    if head.moved:
        based = (
            f"SELECT coalesce(moved.root, base_{table}.m) AS m, {listed} "
            f"FROM base_{table} LEFT JOIN moved ON moved.own = base_{table}.own"
        )
    if head.gone:
        based += f" ANTI JOIN gone ON gone.own = base_{table}.own"
    return f"{based} UNION ALL SELECT m, {named(columns)} FROM patch_{table}"


def spendable(day: str, instant: int) -> tuple[str, str]:
    """What an account's lots come to on a day, as SQL: points that can be spent, and points that cannot yet.

    Args:
        instant: milliseconds; what is reserved for longer than until then cannot be spent either.
    """

    def total(rows: str, condition: str) -> str:
        return f"coalesce(list_sum(list_transform(list_filter({rows}, x -> {condition}), x -> x.p)), 0)"

    live = total("lots", f"x.d >= {day}")
    waiting = total("waits", f"(x.a IS NULL OR x.a <= {day}) AND (x.z IS NULL OR x.z > {day})")
    held = total("held", f"x.u > {instant}")
    return f"greatest({live} - {waiting} - {held}, 0)::BIGINT", f"{waiting}::BIGINT"


def members(edges: Edges, today: date, now: datetime, *, settled: bool) -> str:
    """The SELECT of view `members`.

    Args:
        settled: those whose points are not as the base says are in table `restless`, and these and those of the patch
            in `apart`. Then nobody's lots need to be looked at but theirs, which takes longer than all else.
    """
    day = _literal(today)
    points, pending = spendable(day, milliseconds(now))
    fresh = f"{day} >= from_on AND {day} < until_on"
    now_points = f"CASE WHEN {fresh} THEN points ELSE {points} END"
    now_pending = f"CASE WHEN {fresh} THEN points_pending ELSE {pending} END"
    if not settled:
        return _members(edges, today, state("people"), now_points, now_pending)
    columns = named(TABLES["people"])
    based = f"SELECT {columns} FROM base_people ANTI JOIN apart ON apart.m = base_people.m"
    others = f"SELECT {columns} FROM patch_people UNION ALL SELECT {columns} FROM restless"
    return " UNION ALL ".join(
        (
            _members(edges, today, based, "points", "points_pending"),
            _members(edges, today, others, now_points, now_pending),
        )
    )


def _literal(day: date) -> str:
    return f"DATE '{day.isoformat()}'"


def _members(edges: Edges, today: date, people: str, points: str, pending: str) -> str:
    day = _literal(today)
    return f"""
SELECT m, id AS member_id, status, joined_on, tier_id,
  {points} AS points, {pending} AS points_pending,
  points_earned, points_spent,
  list_transform(list_filter(lots, x -> x.d >= {day} AND x.d < {_NEVER}), x -> {{'expires_on': x.d, 'points': x.p}})
    AS points_expiring,
  gender, language, month_day, born,
  {_age_band(today)} AS age_band,
  shop_id, region, source, tags, custom,
  {", ".join(f"{_listed(kept)} AS {name}" for name, kept in SPELLED.items())},
  purchases_count, spent_minor,
  CASE WHEN purchases_count > 0 THEN spent_minor // purchases_count END AS average_minor,
  first_bought_on, last_bought_on,
  {_fifth("last_bought_on", [*map(_literal, edges.recency)])} AS r,
  {_fifth("purchases_count", [str(each) for each in edges.frequency])} AS f,
  {_fifth("spent_minor", [str(each) for each in edges.money])} AS mo,
  {_stage(day)} AS stage
FROM ({people}) WHERE shown"""


def _listed(kept: str) -> str:
    """A text of `SPELLED` as the list that it stands for."""
    return f"CASE WHEN {kept} = '' THEN [] ELSE str_split({kept}, chr(10)) END"


def scores(edges: Edges) -> Iterator[tuple[str, str]]:
    """The variables that segments compare with instead of scores, `recency` and so on, each with its list of edges.

    A comparison of a column lets the engine pass rows over; an expression that has to be worked out for each does not.
    """
    yield "recency", f"[{', '.join(map(_literal, edges.recency))}]::DATE[]"
    yield "frequency", f"{list(edges.frequency)}::BIGINT[]"
    yield "monetary", f"{list(edges.money)}::BIGINT[]"


def _age_band(today: date) -> str:
    """The band of somebody's age; null where nobody knows when they were born."""
    bands = [
        f"WHEN {'born IS NOT NULL' if age is None else f'born <= {latest_born(age, today)}'} THEN '{name}'"
        for name, age in reversed([*AGE_BANDS.items()])
    ]
    return f"CASE {' '.join(bands)} END"


def _fifth(figure: str, edges: Sequence[str]) -> str:
    """The fifth, 1 to 5, that a figure of somebody who bought anything is in; null before there are edges."""
    if not edges:
        return "NULL::TINYINT"
    steps = " + ".join(f"({figure} > {edge})::TINYINT" for edge in edges)
    return f"CASE WHEN purchases_count > 0 THEN (1 + {steps})::TINYINT END"


def _stage(day: str) -> str:
    return (
        f"CASE WHEN coalesce(first_bought_on, joined_on) > {day} - {NEW_DAYS} THEN 'new' "
        f"WHEN last_bought_on > {day} - {ACTIVE_DAYS} THEN 'active' "
        f"WHEN last_bought_on > {day} - {SLEEPING_DAYS} THEN 'sleeping' ELSE 'lost' END"
    )
