"""A lake of made-up members, as large as is wanted: the files of a base, written by the engine itself."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.lake import duck, merging, rules, store
from chalicelib.lake.models import Head
from chalicelib.lake.service import Lake
from chalicelib.lake.tables import TABLES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MADE_AT = datetime(2026, 11, 1, 19, tzinfo=UTC)
_DAY = "DATE '2026-11-02'"


def make(lake: Lake, members: int, *, visits: int = 2, lines: int = 2) -> Head:
    """Write a base, and make it the one that counts.

    Args:
        visits: purchases of each member on the average; some have none, some many.
        lines: of each purchase.
    """
    name = rules.attempt(MADE_AT, 1)
    slices = -(-members // rules.SLICE)
    with duck.connected(lake.place) as con:
        folders = {table: duck.folder(lake.place, f"{rules.BASE}/{name}/{table}") for table in TABLES}
        for number in range(slices):
            first, end = number * rules.SLICE, min((number + 1) * rules.SLICE, members)
            for table, select in _made(con, first, end, visits, lines).items():
                path = f"{folders[table]}/{number:05d}.parquet"
                typed = ", ".join(f'"{column}"::{kind} AS "{column}"' for column, kind in TABLES[table].items())
                merging.write_file(con, f"SELECT {typed} FROM ({select})", path)
        head = Head(
            base=name, slices=slices, next_m=members, members=members, base_at=MADE_AT, built_at=MADE_AT, version=1
        )
        duck.show(con, lake.place, head)
        head = head.model_copy(update={"edges": merging.edges_of(con)})
    lake.ops.commit([store.move_head(store.find_head(lake.ops), head)])
    return head


def _made(con: "DuckDBPyConnection", first: int, end: int, visits: int, lines: int) -> dict[str, str]:
    """A SELECT for each table of a slice; what is drawn follows from numbers, so that all tables agree."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE bought AS
        SELECT m, n, hash(m, n, 1) AS h, {_DAY} - (hash(m, n, 2) % 1000)::INTEGER AS day,
          100 + (hash(m, n, 3) % 50000)::BIGINT AS paid, 'pur_' || m || '_' || n AS pid,
          'shp_' || (hash(m, 5) % 300) AS shop
        FROM (SELECT range AS m FROM range({first}, {end})), range({visits * 4}) AS r(n)
        WHERE hash(m, n, 4) % 4 = 0"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE sums AS
        SELECT m, count(*) AS c, sum(paid)::BIGINT AS s, min(day) AS a, max(day) AS z FROM bought GROUP BY m"""
    )
    empty = {
        table: "SELECT " + ", ".join(f'NULL::{kind} AS "{column}"' for column, kind in columns.items()) + " WHERE false"
        for table, columns in TABLES.items()
    }
    people = f"""
        SELECT range AS m, 'mem_' || lpad(range::VARCHAR, 16, 'a') AS id, range AS root, range AS was, NULL AS into_m,
          true AS shown, false AS gone, 1 AS pv, 1 AS av, NULL AS erased,
          ['female', 'male', 'unknown'][(1 + hash(range, 6) % 3)::INTEGER] AS gender,
          ['zh', 'en', NULL][(1 + hash(range, 17) % 3)::INTEGER] AS language,
          strftime(DATE '2024-01-01' + (hash(range, 7) % 366)::INTEGER, '%m-%d') AS month_day,
          1940 + 5 * (hash(range, 8) % 14) AS born, 'shp_' || (hash(range, 5) % 300) AS shop_id,
          ['CN', 'HK', 'SG', 'US'][(1 + hash(range, 9) % 4)::INTEGER] AS region,
          ['till', 'web', 'app'][(1 + hash(range, 10) % 3)::INTEGER] AS source,
          ['t' || (hash(range, 11) % 20), 't' || (20 + hash(range, 12) % 20)] AS tags, NULL AS custom,
          CASE WHEN hash(range, 13) % 3 > 0 THEN ['marketing'] ELSE []::VARCHAR[] END AS consents,
          []::VARCHAR[] AS withdrawn,
          CASE WHEN hash(range, 14) % 2 = 0 THEN ['sms'] ELSE ['sms', 'email'] END AS ways, []::VARCHAR[] AS suppressed,
          'active' AS status, {_DAY} - (1000 + hash(range, 15) % 1000)::INTEGER AS joined_on,
          ['basic', 'silver', 'gold'][(1 + hash(range, 16) % 3)::INTEGER] AS tier_id,
          coalesce(s, 0) // 100 AS points_earned, 0 AS points_spent,
          [{{'d': DATE '2027-06-30', 'p': coalesce(s, 0) // 100}}] AS lots,
          [] AS waits, [] AS held, coalesce(c, 0) AS purchases_count, coalesce(s, 0) AS spent_minor,
          a AS first_bought_on, z AS last_bought_on, coalesce(s, 0) // 100 AS points, 0 AS points_pending,
          {_DAY} AS from_on, DATE '2027-07-01' AS until_on
        FROM range({first}, {end}) LEFT JOIN sums ON sums.m = range ORDER BY range"""
    contacts = f"""
        SELECT range AS own, range AS m, to_base64(repeat('x', 120)::BLOB) AS sealed, 1 AS version
        FROM range({first}, {end})"""
    purchases = f"""
        SELECT m AS own, m, pid AS purchase_id, 0 AS version, shop AS shop_id, 'pos' AS channel, day AS bought_on,
          day::TIMESTAMP AS bought_at, paid AS paid_minor, 0 AS refunded_minor, paid AS net_minor, 0 AS tender_minor,
          paid // 100 AS points_earned, {lines} AS lines_count, false AS returned
        FROM bought ORDER BY m, day"""
    bought_lines = f"""
        SELECT m AS own, m, pid AS purchase_id, day AS bought_on, shop AS shop_id,
          'sku' || (hash(h, l) % 5000) AS sku, 'cat' || (hash(h, l) % 40) AS category, 1 AS quantity,
          paid // 2 AS amount_minor
        FROM bought, range({lines}) AS x(l) ORDER BY m, day"""
    entries = """
        SELECT m AS own, m, 'ent_' || m || '_' || n AS entry_id, n + 1 AS seq, 'purchase' AS kind, 'earn' AS reason,
          paid // 100 AS points, 0 AS balance_after, day AS occurred_on, day::TIMESTAMP AS recorded_at
        FROM bought ORDER BY m, day"""
    made = {"people": people, "contacts": contacts, "purchases": purchases, "lines": bought_lines, "entries": entries}
    return {**empty, **made}
