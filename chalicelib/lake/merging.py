"""How rows of the log become a patch, and base and patch a new base: SQL that the engine carries out, table by table.

A row says how something is, with a version; of each thing the highest counts. People get a number when something first
names them and keep it. Whoever a row touches, and everybody whose purchases count together with theirs, is in the patch
with all that is known of them; of what never changes the patch has what is new.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.calendar import milliseconds
from chalicelib.lake.models import Edges
from chalicelib.lake.rules import FACTS_KEPT, SLICE
from chalicelib.lake.tables import ACCOUNT, ADDED, FACT_TABLES, KEPT_PROFILE, LOGGED, NAMED, PEOPLE, SPELLED, TABLES
from chalicelib.lake.views import named, spelled_out, spendable, state

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

_CHAIN_MAX = 64
"""So many merges one upon another are followed. A ring, which only rows from different moments can make, has no end:
whoever is in it answers for themselves until the rows between have come."""

_MERGED = "status = 'merged' AND into_m IS NOT NULL"


def take_in(con: "Connection", paths: Sequence[str]) -> int | None:
    """Read files of the log: of each thing, the row of its highest version; the newest moment in them, milliseconds.

    Makes `in_member`, `in_account`, `in_purchase`, `in_entry`, and one table for each kind of fact.
    """
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in LOGGED.items())
    listed = ", ".join(f"'{path}'" for path in paths)
    rows = f"read_json([{listed}], format = 'newline_delimited', compression = 'gzip', columns = {{{columns}}})"
    empty = "SELECT " + ", ".join(f"NULL::{kind} AS {name}" for name, kind in LOGGED.items()) + " WHERE false"
    con.execute(f"CREATE OR REPLACE TEMP TABLE incoming AS {f'SELECT * FROM {rows}' if paths else empty}")
    for kind, key in (("member", "id"), ("account", "id"), ("purchase", "purchase_id")):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE in_{kind} AS SELECT unnest(max_by({kind}, {kind}.v)) FROM incoming "
            f"WHERE {kind} IS NOT NULL GROUP BY {kind}.{key}"
        )
    spelled = ", ".join(f"{spelled_out(name)} AS {kept}" for name, kept in SPELLED.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE in_member AS SELECT *, {spelled} FROM in_member")
    for kind, key in (("entry", "entry_id"), *((fact, "row_id") for fact in FACT_TABLES)):
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE in_{kind} AS SELECT unnest(max({kind})) FROM incoming "
            f"WHERE {kind} IS NOT NULL GROUP BY {kind}.{key}"
        )
    newest = con.execute("SELECT max(batch.through) FROM incoming").fetchone()
    con.execute("DROP TABLE incoming")
    return int(newest[0]) if newest is not None and newest[0] is not None else None


def merge(con: "Connection", *, next_m: int, today: date, now: datetime) -> int:
    """Make the tables of the next patch, `out_people` and so on, from what `take_in` and `duck.show` have made.

    Args:
        next_m: the number that the next new member gets.

    Returns:
        The number that the next one after these gets.
    """
    next_m = _number(con, next_m)
    _people(con)
    _families(con)
    _purchases(con)
    _written_people(con, today, now)
    _contacts(con)
    for table in ADDED:
        _added(con, table)
    return next_m


def _number(con: "Connection", next_m: int) -> int:
    """`hit`: everybody whom the new rows name, by number; who had none gets one."""
    ids = [
        "SELECT id FROM in_member",
        "SELECT id FROM in_account",
        'SELECT "into" FROM in_account',
        "SELECT id FROM in_purchase",
    ]
    ids += ["SELECT id FROM in_entry", *(f"SELECT member_id FROM in_{fact}" for fact in FACT_TABLES)]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE ids AS SELECT DISTINCT id FROM ({' UNION ALL '.join(ids)}) WHERE id IS NOT NULL"
    )
    con.execute(f"CREATE OR REPLACE TEMP VIEW state_people AS {state('people')}")
    con.execute("CREATE OR REPLACE TEMP TABLE hit AS SELECT m, id FROM state_people SEMI JOIN ids USING (id)")
    con.execute(
        f"INSERT INTO hit SELECT {next_m} + row_number() OVER (ORDER BY id) - 1, id FROM ids ANTI JOIN hit USING (id)"
    )
    (last,) = con.execute("SELECT max(m) FROM hit").fetchone() or (None,)
    return max(next_m, (last + 1) if last is not None else 0)


def _people(con: "Connection") -> None:
    """`hit_people`: profile and account of everybody who is named, each of its highest version."""
    newer_profile, newer_account = "n.v > coalesce(p.pv, -1)", "a.v > coalesce(p.av, -1)"
    chosen = [
        *(f'CASE WHEN {newer_profile} THEN n."{name}" ELSE p."{name}" END AS "{name}"' for name in KEPT_PROFILE),
        *(f'CASE WHEN {newer_account} THEN a."{name}" ELSE p."{name}" END AS "{name}"' for name in ACCOUNT),
    ]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE hit_people AS SELECT h.m, h.id, p.was, "
        f"CASE WHEN {newer_account} THEN i.m ELSE p.into_m END AS into_m, "
        "greatest(p.pv, n.v) AS pv, greatest(p.av, a.v) AS av, " + ", ".join(chosen) + " FROM hit h "
        "LEFT JOIN (SELECT s.* FROM state_people s SEMI JOIN hit ON hit.m = s.m) p ON p.m = h.m "
        "LEFT JOIN in_member n ON n.id = h.id LEFT JOIN in_account a ON a.id = h.id "
        'LEFT JOIN hit i ON i.id = a."into"'
    )


def _families(con: "Connection") -> None:
    """`root_of`: who answers for whom was merged; `touched`: everybody who is to be in the patch."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE edge_before AS SELECT m, into_m, root FROM state_people WHERE {_MERGED}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE edge AS SELECT m, into_m FROM edge_before ANTI JOIN hit ON hit.m = edge_before.m "
        f"UNION ALL SELECT m, into_m FROM hit_people WHERE {_MERGED}"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE root_of AS WITH RECURSIVE walk(m, at_m, steps) AS ("
        "SELECT m, into_m, 1 FROM edge UNION ALL "
        f"SELECT walk.m, edge.into_m, steps + 1 FROM walk JOIN edge ON edge.m = walk.at_m WHERE steps < {_CHAIN_MAX}) "
        "SELECT walk.m, walk.at_m AS root FROM walk ANTI JOIN edge ON edge.m = walk.at_m"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE answering AS "
        "SELECT coalesce(b.root, h.m) AS root FROM hit h LEFT JOIN edge_before b ON b.m = h.m "
        "UNION SELECT coalesce(r.root, h.m) FROM hit h LEFT JOIN root_of r ON r.m = h.m"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS "
        "SELECT m FROM patched UNION SELECT m FROM hit UNION SELECT root FROM answering "
        "UNION SELECT m FROM edge_before SEMI JOIN answering ON answering.root = edge_before.root "
        "UNION SELECT m FROM root_of SEMI JOIN answering ON answering.root = root_of.root"
    )
    known = [name for name in PEOPLE if name not in ("root", "shown", "gone")]
    same = {*KEPT_PROFILE, *ACCOUNT, "m", "id", "was", "into_m", "pv", "av"}
    mine = ", ".join(f'"{name}"' if name in same else f'NULL::{PEOPLE[name]} AS "{name}"' for name in known)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE persons AS SELECT {mine} FROM hit_people UNION ALL "
        f"SELECT {named(known)} FROM state_people SEMI JOIN touched ON touched.m = state_people.m "
        "ANTI JOIN hit ON hit.m = state_people.m"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE family AS SELECT p.m AS own, coalesce(r.root, p.m) AS root, "
        "coalesce(p.erased, false) OR coalesce(s.erased, false) AS gone FROM persons p "
        "LEFT JOIN root_of r ON r.m = p.m LEFT JOIN persons s ON s.m = r.root"
    )


def _purchases(con: "Connection") -> None:
    """`out_purchases` and `out_lines`: all purchases of everybody in the patch, each of its highest version."""
    for table in ("purchases", "lines"):
        con.execute(f"CREATE OR REPLACE TEMP VIEW state_{table} AS {state(table)}")
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE bought AS SELECT {named(TABLES['purchases'])} FROM state_purchases "
        "SEMI JOIN touched ON touched.m = state_purchases.own"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE newer AS SELECT h.m AS own, i.* FROM in_purchase i JOIN hit h ON h.id = i.id "
        "LEFT JOIN bought b ON b.purchase_id = i.purchase_id WHERE b.purchase_id IS NULL OR i.v > b.version"
    )
    rest = named([name for name in TABLES["purchases"] if name not in ("own", "m")])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE out_purchases AS SELECT own, root AS m, {rest} FROM ("
        f"SELECT own, {rest} FROM bought ANTI JOIN newer USING (purchase_id) UNION ALL "
        "SELECT own, purchase_id, v, shop_id, channel, bought_on, epoch_ms(bought_at), paid_minor, refunded_minor, "
        "paid_minor - refunded_minor, tender_minor, points_earned, len(basket)::INTEGER, returned FROM newer"
        ") JOIN family USING (own) WHERE NOT family.gone"
    )
    rest = named([name for name in TABLES["lines"] if name not in ("own", "m")])
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE out_lines AS SELECT own, root AS m, {rest} FROM ("
        f"SELECT own, {rest} FROM state_lines SEMI JOIN touched ON touched.m = state_lines.own "
        "ANTI JOIN newer USING (purchase_id) UNION ALL "
        "SELECT own, purchase_id, bought_on, shop_id, l.sku, l.category, l.quantity, l.amount FROM "
        "(SELECT own, purchase_id, bought_on, shop_id, unnest(basket) AS l FROM newer)"
        ") JOIN family USING (own) WHERE NOT family.gone"
    )


def _written_people(con: "Connection", today: date, now: datetime) -> None:
    """`out_people`: everybody in the patch, with what their purchases come to and what they can spend."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE sums AS SELECT m, count(*) AS purchases_count, "
        "sum(net_minor)::BIGINT AS spent_minor, min(bought_on) AS first_bought_on, max(bought_on) AS last_bought_on "
        "FROM out_purchases WHERE NOT returned GROUP BY m"
    )
    day = f"DATE '{today.isoformat()}'"
    points, pending = spendable(day, milliseconds(now))
    figures = {
        "root": "family.root",
        "shown": "NOT family.gone AND coalesce(status <> 'merged', false) AND pv IS NOT NULL",
        "gone": "family.gone",
        "purchases_count": "coalesce(sums.purchases_count, 0)",
        "spent_minor": "coalesce(sums.spent_minor, 0)",
        "first_bought_on": "sums.first_bought_on",
        "last_bought_on": "sums.last_bought_on",
        "points": points,
        "points_pending": pending,
        "from_on": day,
        "until_on": _until(day),
    }
    columns = ", ".join(f'{figures[name]} AS "{name}"' if name in figures else f'persons."{name}"' for name in PEOPLE)
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE out_people AS SELECT {columns} FROM persons "
        "JOIN family ON family.own = persons.m "
        "LEFT JOIN sums ON sums.m = persons.m AND family.root = persons.m"
    )


def _until(day: str) -> str:
    """The first day on which time alone changes what somebody can spend; the day itself while something is held."""
    ends = f"list_transform(list_filter(lots, x -> x.d >= {day} AND x.d < DATE '9999-12-31'), x -> x.d + 1)"
    starts = f"list_transform(list_filter(waits, x -> x.a > {day}), x -> x.a)"
    stops = f"list_transform(list_filter(waits, x -> x.z > {day}), x -> x.z)"
    none = "[]::DATE[]"
    changes = (
        f"list_concat(list_concat(coalesce({ends}, {none}), coalesce({starts}, {none})), coalesce({stops}, {none}))"
    )
    return f"CASE WHEN len(held) > 0 THEN {day} ELSE coalesce(list_min({changes}), DATE '9999-12-31') END"


def _contacts(con: "Connection") -> None:
    """`out_contacts`: the sealed contact data of everybody in the patch who was not erased."""
    con.execute(f"CREATE OR REPLACE TEMP VIEW state_contacts AS {state('contacts')}")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE out_contacts AS SELECT own, root AS m, sealed, version FROM ("
        "SELECT c.own, c.sealed, c.version FROM state_contacts c SEMI JOIN touched ON touched.m = c.own "
        "UNION ALL SELECT h.m, n.sealed, n.v FROM in_member n JOIN hit h ON h.id = n.id WHERE n.sealed IS NOT NULL"
        ") JOIN family USING (own) WHERE NOT family.gone "
        "QUALIFY row_number() OVER (PARTITION BY own ORDER BY version DESC) = 1"
    )


def _added(con: "Connection", table: str) -> None:
    """`out_…` of a table whose rows never change: those of the patch, and the new ones that are nowhere yet."""
    kind = next((fact for fact, name in FACT_TABLES.items() if name == table), "entry")
    columns = [name for name in TABLES[table] if name not in ("own", "m")]
    told = ", ".join(
        f'epoch_ms(i."{name}") AS "{name}"' if TABLES[table][name] == "TIMESTAMP" else f'i."{name}"' for name in columns
    )
    owner, by = ("id" if kind == "entry" else "member_id"), NAMED[table]
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE out_{table} AS SELECT own, root AS m, {named(columns)} FROM ("
        f"SELECT own, {named(columns)} FROM patch_{table} UNION ALL "
        f"SELECT h.m AS own, {told} FROM in_{kind} i JOIN hit h ON h.id = i.{owner} "
        f"ANTI JOIN (SELECT {by} FROM ({state(table)}) s SEMI JOIN hit ON hit.m = s.own) known ON known.{by} = i.{by}"
        ") JOIN family USING (own) WHERE NOT family.gone"
    )


# ---------------------------------------------------------------- files


def write_patch(con: "Connection", folder: str) -> None:
    """Write the tables that `merge` made."""
    for table in TABLES:
        by = "m" if table == "people" else "own"
        write_file(con, f"SELECT * FROM out_{table} ORDER BY {by}", f"{folder}/{table}.parquet")


def counted(con: "Connection") -> tuple[int, int, bool, bool]:
    """How many people a patch has, how many of them bought, and whether some moved or are gone since the base."""
    row = con.execute(
        "SELECT count(*), count(*) FILTER (WHERE shown AND purchases_count > 0), "
        "coalesce(bool_or(was IS NOT NULL AND was <> root), false), coalesce(bool_or(gone), false) FROM out_people"
    ).fetchone()
    assert row is not None
    return row


def write_slice(con: "Connection", folders: Mapping[str, str], number: int, *, today: date, now: datetime) -> None:
    """Write a slice of the people, and all that is theirs, as files of a base, each table's in its folder.

    Whose points time has changed since they were summed up gets a sum of today.

    Purchases and what never changes lie in the order of who answers for them: what belongs together is read together.
    """
    oldest = f"TIMESTAMP '{(now - FACTS_KEPT):%Y-%m-%d %H:%M:%S}'"
    first, end = number * SLICE, (number + 1) * SLICE
    for table, columns in TABLES.items():
        by = "m" if table == "people" else "own"
        select = f"SELECT * FROM ({state(table)}) t WHERE t.{by} >= {first} AND t.{by} < {end}"
        if table == "people":
            select = f"SELECT * REPLACE (root AS was, {_summed(today, now)}) FROM ({select})"
        if table in ADDED:
            select = (
                f"SELECT t.* REPLACE (coalesce(moved.root, t.m) AS m) FROM ({select}) t "
                "LEFT JOIN moved ON moved.own = t.own ANTI JOIN gone ON gone.own = t.own"
            )
        if table in FACT_TABLES.values():
            select = f'SELECT * FROM ({select}) WHERE "at" >= {oldest}'
        order = "m" if table in ("people", "contacts") else f"m, {_ORDER[table]}"
        select = f"SELECT {named(columns)} FROM ({select}) ORDER BY {order}"
        write_file(con, select, f"{folders[table]}/{number:05d}.parquet")


def _summed(today: date, now: datetime) -> str:
    """The sums of points that are to be replaced where they are of a day that is over."""
    day = f"DATE '{today.isoformat()}'"
    points, pending = spendable(day, milliseconds(now))
    anew = {"points": points, "points_pending": pending, "from_on": day, "until_on": _until(day)}
    return ", ".join(f"CASE WHEN until_on > {day} THEN {name} ELSE {new} END AS {name}" for name, new in anew.items())


def write_file(con: "Connection", select: str, path: str) -> None:
    """Write what a SELECT gives as one file."""
    con.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")


_ORDER = {
    "purchases": "bought_on", "lines": "bought_on", "entries": "recorded_at",
    **dict.fromkeys(FACT_TABLES.values(), '"at"'),
}  # fmt: skip


def edges_of(con: "Connection") -> tuple[Edges, int]:
    """The last values of the first four fifths of all who bought anything, of the tables that `duck.show` has made;
    and how many those are.

    No edge is the highest value there is, above which nobody would be: it is the highest below that instead. So those
    who are tied at the top have the highest score, however many they are.
    """
    buyers = f"FROM ({state('people')}) WHERE shown AND purchases_count > 0"
    fifths = "[0.2, 0.4, 0.6, 0.8, 1.0]"
    row = con.execute(f"SELECT count(*), {_each(f'quantile_disc({{}}, {fifths})')} {buyers}").fetchone()
    if row is None or row[1] is None:
        return Edges(), 0
    count, *found = row
    below = con.execute(
        f"SELECT {_each('max({0}) FILTER ({0} < ?)')} {buyers}", [values[-1] for values in found]
    ).fetchone()
    recency, frequency, money = (
        _below_the_top(values, second, step)
        for values, second, step in zip(found, below or (None,) * 3, (timedelta(days=1), 1, 1), strict=True)
    )
    return Edges(recency=recency, frequency=frequency, money=money), count


def _each(said: str) -> str:
    """The same of each figure that scores are by."""
    return ", ".join(map(said.format, ("last_bought_on", "purchases_count", "spent_minor")))


def _below_the_top(values: Sequence[Any], second: Any, step: Any) -> tuple[Any, ...]:
    """The last values of four fifths, none of them the highest there is, which is the last that is given.

    Args:
        second: the highest value but one; None where there is one value only. Then everybody is above the edges.
        step: the least by which values differ.
    """
    *fifths, top = values
    highest = top - step if second is None else second
    return tuple(min(each, highest) for each in fifths)
