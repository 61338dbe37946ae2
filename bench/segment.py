"""Eight segments over ten million members and twenty million purchases, by the lake and by Postgres.

The members are made by the engine and written as the files of a base of the lake; a process of its own then asks its
views, as the function does that answers the console: two threads, and as little memory as it takes. The very same rows,
as the views show them, go to a Postgres of the bench's own, with an index on every column that is asked for, which may
use all cores. Both must count the same.

`SIZE=50000000` makes fifty million members, without Postgres, and asks ten conditions at once.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.medusa import postgres
from bench.report import CannotRun, Figure, table
from chalicelib.lake import duck, merging
from chalicelib.lake.models import Head
from chalicelib.lake.rules import BASE, SLICE
from chalicelib.lake.tables import SPELLED, TABLES
from chalicelib.segments.models import DEFINITION
from chalicelib.segments.rules import compiled
from chalicelib.storage.places import Place
from local.settings import ROOT

GOAL = 0.2
_RSS_GOAL = 250
_ALONE_GOAL = 3.0
_MEMBERS, _QUICK = 10_000_000, 20_000
_WITHOUT_A_PEER = 20_000_000
_ROUNDS = 3
_THREADS = 2
"""As the product has (`Place.threads`); ten conditions at once are asked by one."""
_MEMORY_MB = 110
"""What the engine may use. The rest of the process, Python and the engine's own code, is beside it."""

TODAY = date(2026, 3, 15)
NOW = datetime(2026, 3, 15, 4, tzinfo=UTC)
_NAME = "bench"


@dataclass(frozen=True)
class Query:
    """A segment, and the same by hand for Postgres."""

    name: str
    definition: Mapping[str, Any]
    sql: str


def _all(*of: Any) -> dict[str, Any]:
    return {"kind": "all", "of": list(of)}


def _any(*of: Any) -> dict[str, Any]:
    return {"kind": "any", "of": list(of)}


def _not(of: Any) -> dict[str, Any]:
    return {"kind": "not", "of": of}


def _field(name: str, op: str, **more: Any) -> dict[str, Any]:
    return {"kind": "field", "name": name, "op": op, **more}


def _bought(measure: str, op: str, value: int, days: int, **more: Any) -> dict[str, Any]:
    window = {"kind": "last_days", "days": days}
    return {"kind": "purchases", "measure": measure, "op": op, "value": value, "window": window, **more}


_SHOPS = [f"shp_{number:03d}" for number in range(5)]
_IN_SHOPS = ", ".join(f"'{each}'" for each in _SHOPS)


def _since(days: int) -> str:
    return f"bought_on BETWEEN '{TODAY - timedelta(days=days - 1)}' AND '{TODAY}'"


QUERIES = (
    Query(
        "women of 25 to 44 in Shanghai with 500 points",
        _all(
            _field("gender", "is_any", values=["female"]), _field("age_band", "is_any", values=["25_34", "35_44"]),
            _field("region", "is_any", values=["CN-31"]), _field("points", "at_least", value=500),
        ),
        "SELECT count(*) FROM members WHERE gender = 'female' AND age_band IN ('25_34', '35_44') AND region = 'CN-31' "
        "AND points >= 500",
    ),
    Query(
        "gold, bought last more than 90 days ago",
        _all(_field("tier_id", "is_any", values=["gold"]), _field("last_bought_on", "more_than_days_ago", days=90)),
        f"SELECT count(*) FROM members WHERE tier_id = 'gold' AND last_bought_on < '{TODAY - timedelta(days=90)}'",
    ),
    Query(
        "three purchases in 90 days",
        _bought("count", "at_least", 3, 90),
        f"SELECT count(*) FROM (SELECT m FROM purchases WHERE NOT returned AND {_since(90)} GROUP BY m "
        "HAVING count(*) >= 3) q",
    ),
    Query(
        "¥500 in a year in five shops",
        _bought("sum", "at_least", 50_000, 365, shop_ids=_SHOPS),
        f"SELECT count(*) FROM (SELECT m FROM purchases WHERE NOT returned AND {_since(365)} "
        f"AND shop_id IN ({_IN_SHOPS}) GROUP BY m HAVING sum(net_minor) >= 50000) q",
    ),
    Query(
        "on the web in a year, nowhere in 90 days, with consent",
        _all(
            _bought("count", "at_least", 1, 365, channels=["web"]), _not(_bought("count", "at_least", 1, 90)),
            _field("consents", "has_any", values=["marketing"]),
        ),
        "SELECT count(*) FROM members WHERE consents && ARRAY['marketing'] "
        f"AND last_bought_on < '{TODAY - timedelta(days=89)}' "
        f"AND EXISTS (SELECT 1 FROM purchases p WHERE p.m = members.m AND NOT returned AND channel = 'web' "
        f"AND {_since(365)})",
    ),
    Query(
        "birthday in a week, reachable by SMS",
        _all(
            _field("birthday", "in_next_days", days=7), _field("ways", "has_any", values=["sms"]),
            _field("status", "is_any", values=["active"]),
        ),
        "SELECT count(*) FROM members WHERE month_day BETWEEN '03-15' AND '03-21' AND ways && ARRAY['sms'] "
        "AND status = 'active'",
    ),
    Query(
        "champions who did not buy on the web in 30 days",
        _all(
            {"kind": "rfm", "recency": [4, 5], "frequency": [4, 5]},
            _not(_bought("count", "at_least", 1, 30, channels=["web"])),
        ),
        "SELECT count(*) FROM members WHERE r IN (4, 5) AND f IN (4, 5) AND NOT EXISTS (SELECT 1 FROM purchases p "
        f"WHERE p.m = members.m AND NOT returned AND channel = 'web' AND {_since(30)})",
    ),
    Query(
        "tagged, large or new, and not suspended",
        _all(
            _any(
                {"kind": "tag", "op": "has_any", "tags": ["vip"]}, _field("spent_minor", "at_least", value=300_000),
                _field("joined_on", "in_last_days", days=30),
            ),
            _field("status", "is_none", values=["suspended"]),
        ),
        f"SELECT count(*) FROM members WHERE (tags && ARRAY['vip'] OR spent_minor >= 300000 OR joined_on BETWEEN "
        f"'{TODAY - timedelta(days=29)}' AND '{TODAY}') AND status IS DISTINCT FROM 'suspended'",
    ),
)  # fmt: skip

TEN = Query(
    "ten conditions at once",
    _all(
        _field("status", "is_any", values=["active"]), _field("gender", "is_any", values=["female"]),
        _field("age_band", "is_any", values=["25_34", "35_44"]), _field("points", "at_least", value=100),
        _field("tier_id", "is_any", values=["gold", "silver"]), _field("consents", "has_any", values=["marketing"]),
        _field("spent_minor", "at_least", value=10_000), _field("joined_on", "more_than_days_ago", days=90),
        _field("last_bought_on", "in_last_days", days=180), _not(_bought("count", "at_least", 1, 30)),
    ),
    "",
)  # fmt: skip


def run(*, quick: bool = False) -> Figure:
    """Make members, ask both, compare."""
    size = int(os.environ.get("SIZE") or (_QUICK if quick else _MEMBERS))  # noqa: TID251 - as other benches
    with TemporaryDirectory(prefix="regulars-segment-") as name:
        root = Path(name)
        root.chmod(0o755)
        started = time.monotonic()
        head, bought = _lake(root, size)
        print(f"  {size:,} members, {bought:,} purchases in {_bytes(root):,.0f} MB: {time.monotonic() - started:.0f} s")
        (root / "head.json").write_text(head.model_dump_json())
        ours = _asked(root)
        if size > _WITHOUT_A_PEER:
            return _alone(ours, size)
        with _peer(root, head) as run_sql:
            theirs = [_timed(run_sql, query.sql) for query in QUERIES]
    return _compared(ours, theirs, size)


def _bytes(root: Path) -> float:
    return sum(path.stat().st_size for path in root.rglob("*.parquet")) / 1e6


# ---------------------------------------------------------------- the rows


_CHANCE = "(hash({0}) >> 11)"
"""A whole number by chance, the same each time for the same words."""


def _chance(what: str, below: int) -> str:
    return f"({_CHANCE.format(what)} % {below})::INTEGER"


def _one_of(what: str, values: Sequence[str]) -> str:
    listed = ", ".join("NULL" if each is None else f"'{each}'" for each in values)
    return f"[{listed}][1 + {_chance(what, len(values))}]"


def _people(first: int, end: int) -> str:
    """Members by their numbers; what they bought is joined to them."""
    lists = {
        "consents": f"CASE WHEN {_chance('i * 11 + 2', 10)} < 6 THEN ['marketing', 'marketing:sms'] ELSE [] END",
        "ways": f"CASE WHEN {_chance('i * 11 + 3', 10)} < 8 THEN ['sms', 'wechat'] ELSE ['email'] END",
        "withdrawn": "[]", "suppressed": "[]",
    }  # fmt: skip
    made = {
        "m": "i::UINTEGER", "root": "i::UINTEGER", "was": "i::UINTEGER", "shown": "true", "gone": "false",
        "id": "'mem_' || lpad(i::VARCHAR, 16, 'a')", "pv": "1", "av": "1",
        "gender": _one_of("i * 7 + 1", ["female", "female", "male", "male", "male", "unknown"]),
        "month_day": f"strftime(DATE '2024-01-01' + {_chance('i * 7 + 2', 366)}, '%m-%d')",
        "born": f"(1945 + 5 * {_chance('i * 7 + 3', 13)})::SMALLINT",
        "shop_id": f"'shp_' || lpad({_chance('i * 7 + 4', 200)}::VARCHAR, 3, '0')",
        "region": _one_of("i * 7 + 5", ["CN-31", "CN-11", "CN-44", "CN-32", "CN-33", "CN-37", "CN-42", "CN-51"]),
        "source": _one_of("i * 7 + 6", ["till", "web", "app", "import"]),
        "tags": f"CASE WHEN {_chance('i * 11 + 1', 50)} = 0 THEN ['vip'] ELSE []::VARCHAR[] END",
        **{kept: f"array_to_string({lists[name]}, chr(10))" for name, kept in SPELLED.items()},
        "status": _one_of("i * 11 + 4", [*["active"] * 18, "suspended", "closed"]),
        "joined_on": f"DATE '{TODAY}' - {_chance('i * 11 + 5', 1500)}",
        "tier_id": _one_of("i * 11 + 6", [*["bronze"] * 6, *["silver"] * 3, "gold"]),
        "points": f"({_chance('i * 13 + 1', 1000)} * {_chance('i * 13 + 2', 4)})::BIGINT", "points_pending": "0",
        "points_earned": f"{_chance('i * 13 + 3', 5000)}::BIGINT", "points_spent": "0",
        "from_on": "DATE '2000-01-01'", "until_on": "DATE '2999-12-31'",
        "purchases_count": "coalesce(purchases_count, 0)", "spent_minor": "coalesce(spent_minor, 0)",
        "first_bought_on": "first_bought_on", "last_bought_on": "last_bought_on",
    }  # fmt: skip
    columns = ", ".join(f'({made.get(name, "NULL")})::{kind} AS "{name}"' for name, kind in TABLES["people"].items())
    sums = (
        "SELECT m AS i, count(*) AS purchases_count, sum(net_minor) AS spent_minor, min(bought_on) AS first_bought_on, "
        "max(bought_on) AS last_bought_on FROM bought WHERE NOT returned GROUP BY m"
    )
    return f"SELECT {columns} FROM range({first}, {end}) n(i) LEFT JOIN ({sums}) USING (i) ORDER BY m"


def _bought_rows(first: int, end: int) -> str:
    """Two purchases a member: nothing of two in five, of some fifteen; most of them lately."""
    many = f"[0, 0, 1, 1, 1, 0, 2, 3, 4, 8][1 + {_chance('i * 17 + 1', 10)}]"
    key = "i * 31 + k * 1000003"
    ago = f"least({_chance(key + ' + 1', 1095)}, {_chance(key + ' + 2', 1095)})"
    returned = f"({_chance(key + ' + 3', 33)} = 0)"
    made = {
        "own": "i::UINTEGER", "m": "i::UINTEGER", "purchase_id": "'pur_' || i::VARCHAR || '_' || k::VARCHAR",
        "version": "1", "shop_id": f"'shp_' || lpad({_chance(key + ' + 4', 200)}::VARCHAR, 3, '0')",
        "channel": _one_of(key + " + 5", ["pos", "pos", "pos", "web"]), "bought_on": f"DATE '{TODAY}' - {ago}",
        "paid_minor": f"(100 * (1 + {_chance(key + ' + 6', 400)}))::BIGINT", "lines_count": "1",
        "net_minor": f"CASE WHEN {returned} THEN 0 ELSE 100 * (1 + {_chance(key + ' + 6', 400)}) END",
        "returned": returned,
    }  # fmt: skip
    columns = ", ".join(f'({made.get(name, "NULL")})::{kind} AS "{name}"' for name, kind in TABLES["purchases"].items())
    return f"SELECT {columns} FROM (SELECT i, unnest(range({many})) AS k FROM range({first}, {end}) n(i))"


def _place(root: Path, *, memory_mb: int, threads: int) -> Place:
    return Place(str(root), scratch=str(root / "scratch"), memory_mb=memory_mb, threads=threads)


def _lake(root: Path, size: int) -> tuple[Head, int]:
    """Write the files of a base, as `lake.merging` lays them out; its head, and how many purchases there are."""
    slices, bought = -(-size // SLICE), 0
    folders = {each: root / BASE / _NAME / each for each in TABLES}
    for folder in folders.values():
        folder.mkdir(parents=True)
    place = _place(root, memory_mb=2048, threads=os.cpu_count() or 1)
    with duck.connected(place) as con:
        for number in range(slices):
            first, end = number * SLICE, min((number + 1) * SLICE, size)
            con.execute(f"CREATE OR REPLACE TEMP TABLE bought AS {_bought_rows(first, end)}")
            (more,) = con.execute("SELECT count(*) FROM bought").fetchone() or (0,)
            bought += more
            for each, columns in TABLES.items():
                empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
                select = f"SELECT {empty} WHERE false"
                if each == "people":
                    select = _people(first, end)
                elif each == "purchases":
                    select = "SELECT * FROM bought ORDER BY m, bought_on"
                merging.write_file(con, select, f"{folders[each]}/{number:05d}.parquet")
        head = Head(base=_NAME, slices=slices, next_m=size, members=size, base_at=NOW, built_at=NOW)
        duck.show(con, place, head)
        edges, buyers = merging.edges_of(con)
        return head.model_copy(update={"edges": edges, "buyers": buyers}), bought


# ---------------------------------------------------------------- our side


@dataclass(frozen=True)
class Asked:
    """What a process that asks the lake told of itself.

    Attributes:
        rss_mb: the most that it had in memory.
    """

    counts: list[int]
    seconds: list[float]
    ten: float
    rss_mb: float


def _asked(root: Path) -> Asked:
    """Ask in a process of its own, so that what made the rows is not in its memory."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.segment", str(root)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CannotRun(f"the lake was not asked: {done.stderr[-1500:]}")
    return Asked(**json.loads(done.stdout.splitlines()[-1]))


def _ask(root: Path) -> Asked:
    """The queries, each some times over; the medians of what they took, the opening of the lake left out."""
    head = Head.model_validate_json((root / "head.json").read_text())
    counts, seconds = _counted(root, head, QUERIES, threads=_THREADS)
    _, (ten,) = _counted(root, head, [TEN], threads=1)
    return Asked(counts, seconds, ten, _most_memory())


def _counted(root: Path, head: Head, queries: Sequence[Query], *, threads: int) -> tuple[list[int], list[float]]:
    """How many each query finds, and the median of what it took."""
    counts, seconds = [], []
    with duck.opened(_place(root, memory_mb=_MEMORY_MB, threads=threads), head, today=TODAY, now=NOW) as con:
        for query in queries:
            some = compiled(DEFINITION.validate_json(json.dumps(query.definition)), today=TODAY)
            took = []
            for _ in range(_ROUNDS):
                started = time.perf_counter()
                row = con.execute(f"SELECT count(*) FROM members WHERE {some.where}", some.values("")).fetchone()
                took.append(time.perf_counter() - started)
            counts.append(int(row[0]) if row is not None else 0)
            seconds.append(statistics.median(took))
    return counts, seconds


def _most_memory() -> float:
    """The most that this process had in memory, MB. What `getrusage` says would be its parent's, who made the rows."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise CannotRun("the kernel does not say how much memory a process had")


# ---------------------------------------------------------------- Postgres


_MEMBERS_COLUMNS = (
    "m", "status", "joined_on", "tier_id", "points", "gender", "month_day", "age_band", "region", "tags", "consents",
    "ways", "spent_minor", "last_bought_on", "r", "f",
)  # fmt: skip
_PURCHASES_COLUMNS = ("m", "shop_id", "channel", "bought_on", "net_minor", "returned")
_KINDS = {
    "m": "integer PRIMARY KEY", "joined_on": "date", "points": "bigint", "tags": "text[]", "consents": "text[]",
    "ways": "text[]", "spent_minor": "bigint", "last_bought_on": "date", "r": "smallint", "f": "smallint",
    "bought_on": "date", "net_minor": "bigint", "returned": "boolean",
}  # fmt: skip
_LISTS = ("tags", "consents", "ways")


@contextmanager
def _peer(root: Path, head: Head) -> Iterator[Any]:
    """A Postgres with the same rows and an index on every column that is asked for; gives what runs a query."""
    files = _exported(root, head)
    megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "shared_buffers": f"{megabytes // 4}MB", "effective_cache_size": f"{megabytes * 3 // 4}MB",
        "work_mem": "256MB", "maintenance_work_mem": "1GB", "max_wal_size": "8GB", "random_page_cost": "1.1",
        "checkpoint_timeout": "1h", "synchronous_commit": "off",
    }  # fmt: skip
    with postgres(root, settings) as (programs, url):

        def sql(text: str) -> str:
            done = subprocess.run(
                [str(programs / "psql"), url, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", "\\timing on", "-c", text],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                raise CannotRun(f"Postgres: {done.stderr[-1000:]}")
            return done.stdout

        started = time.monotonic()
        _load(sql, "members", _MEMBERS_COLUMNS, files["members"])
        _load(sql, "purchases", _PURCHASES_COLUMNS, files["purchases"])
        print(f"  Postgres has the rows and its indexes: {time.monotonic() - started:.0f} s")
        yield sql


def _exported(root: Path, head: Head) -> dict[str, Path]:
    """The rows as the lake's views show them, as CSV."""
    scratch = root / "scratch"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o755)
    files = {name: scratch / f"{name}.csv" for name in ("members", "purchases")}
    with duck.opened(_place(root, memory_mb=2048, threads=os.cpu_count() or 1), head, today=TODAY, now=NOW) as con:
        for name, columns in (("members", _MEMBERS_COLUMNS), ("purchases", _PURCHASES_COLUMNS)):
            listed = ", ".join(
                f"'{{' || array_to_string({each}, ',') || '}}' AS {each}" if each in _LISTS else each
                for each in columns
            )
            con.execute(f"COPY (SELECT {listed} FROM {name}) TO '{files[name]}' (FORMAT csv, HEADER false)")
    for path in files.values():
        path.chmod(0o644)
    return files


def _load(sql: Any, name: str, columns: Sequence[str], file: Path) -> None:
    kinds = _KINDS if name == "members" else {**_KINDS, "m": "integer"}
    typed = ", ".join(f"{each} {kinds.get(each, 'text')}" for each in columns)
    sql(f"CREATE UNLOGGED TABLE {name} ({typed})")
    sql(f"COPY {name} FROM '{file}' (FORMAT csv)")
    file.unlink()
    for each in columns[1:] if name == "members" else columns:
        sql(f"CREATE INDEX ON {name} {'USING gin ' if each in _LISTS else ''}({each})")
    sql(f"VACUUM ANALYZE {name}")


def _timed(run_sql: Any, text: str) -> tuple[int, float]:
    """What a query counts, and the median of what it took, by Postgres's own client."""
    took = []
    for _ in range(_ROUNDS):
        found, told = run_sql(text).strip().splitlines()[-2:]
        took.append(float(told.split()[1]) / 1000)
    return int(found), statistics.median(took)


# ---------------------------------------------------------------- the figures


def _compared(ours: Asked, theirs: Sequence[tuple[int, float]], size: int) -> Figure:
    rows, ratios = [], []
    for query, count, took, (other, peer) in zip(QUERIES, ours.counts, ours.seconds, theirs, strict=True):
        ratios.append(took / peer)
        rows.append([query.name, count, took * 1000, peer * 1000, took / peer])
        if count != other:
            print(f"  {query.name}: {count} here, {other} in Postgres")
    table(["segment", "members", "ms", "Postgres ms", "ratio"], rows)
    print(f"  at most {ours.rss_mb:.0f} MB (goal ≤ {_RSS_GOAL}); ten conditions at once: {ours.ten:.2f} s")
    same = ours.counts == [count for count, _ in theirs]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    return Figure(
        "segment", f"time ÷ indexed Postgres's, geometric mean of eight segments over {size:,} members",
        mean if same else math.inf, GOAL, "×",
        details={
            "members": size, "same_counts": same, "ratios": [round(each, 4) for each in ratios],
            "ms": [round(each * 1000, 1) for each in ours.seconds],
            "postgres_ms": [round(each * 1000, 1) for _, each in theirs],
            "counts": ours.counts, "rss_mb": round(ours.rss_mb, 1), "rss_goal_mb": _RSS_GOAL,
            "ten_conditions_s": round(ours.ten, 3),
        },
    )  # fmt: skip


def _alone(ours: Asked, size: int) -> Figure:
    table(
        ["segment", "members", "ms"],
        [[query.name, count, s * 1000] for query, count, s in zip(QUERIES, ours.counts, ours.seconds, strict=True)],
    )
    return Figure(
        "segment", f"seconds for ten conditions at once over {size:,} members, one thread", ours.ten, _ALONE_GOAL, "s",
        details={
            "members": size, "ms": [round(each * 1000, 1) for each in ours.seconds], "counts": ours.counts,
            "rss_mb": round(ours.rss_mb, 1), "rss_goal_mb": _RSS_GOAL,
        },
    )  # fmt: skip


if __name__ == "__main__":
    told = _ask(Path(sys.argv[1]))
    print(json.dumps(told.__dict__))
