"""What a campaign has brought, as questions to the lake. Pure.

Members count by what they were assigned, whether or not anything reached them. Purchases count from the beginning of
the run on, for as long as the campaign says, with what was returned of them since taken off.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.campaigns.rules.picking import Question


@dataclass(frozen=True, slots=True)
class Counted:
    """Whose results.

    Attributes:
        until: purchases that were made later do not count yet.
    """

    campaign_id: str
    attribution_days: int
    until: datetime


def sales(of: Counted) -> Question:
    """By variant, and whether held out: members, buyers, purchases, sales, the sum of their squares, points earned.

    Who was merged into another counts once, with what either bought.
    """
    sql = """
WITH assigned AS (
    SELECT m, run_id, variant, held_out, "at" AS starts FROM assignments WHERE campaign_id = ?
    QUALIFY row_number() OVER (PARTITION BY m, run_id ORDER BY held_out, variant) = 1
),
each_one AS (
    SELECT a.m, a.run_id, a.variant, a.held_out, count(p.purchase_id) AS purchases,
        coalesce(sum(p.net_minor), 0)::HUGEINT AS sales, coalesce(sum(p.points_earned), 0) AS points
    FROM assigned a LEFT JOIN purchases p ON p.m = a.m AND NOT coalesce(p.returned, FALSE)
        AND p.bought_at >= a.starts AND p.bought_at < a.starts + to_days(?::INTEGER) AND p.bought_at < ?
    GROUP BY ALL
)
SELECT variant, held_out, count(*), count(*) FILTER (purchases > 0), sum(purchases), sum(sales), sum(sales * sales),
    sum(points)
FROM each_one GROUP BY variant, held_out
"""
    return Question(sql, (of.campaign_id, of.attribution_days, of.until.astimezone(UTC).replace(tzinfo=None)))


def outcomes(of: Counted) -> Question:
    """By variant, outcome, reason and provider: messages and what they cost."""
    sql = """
SELECT variant, outcome, reason, provider, count(*), sum(coalesce(cost_micro, 0)) FROM deliveries
WHERE source = 'campaign' AND source_id = ? GROUP BY variant, outcome, reason, provider
"""
    return Question(sql, (of.campaign_id,))


def lately(since: datetime) -> Question:
    """By channel: messages of whatever source that were sent since, and what they cost."""
    sql = """
SELECT channel, count(*), sum(coalesce(cost_micro, 0)) FROM deliveries
WHERE outcome = 'sent' AND "at" >= ? GROUP BY channel
"""
    return Question(sql, (since.astimezone(UTC).replace(tzinfo=None),))


def receipts(of: Counted) -> Question:
    """By variant and kind: messages of which it was told, each once."""
    sql = """
SELECT variant, kind, count(DISTINCT delivery_id) FROM (
    SELECT d.variant, r.kind, r.delivery_id FROM receipts r
    JOIN deliveries d ON d.delivery_id = r.delivery_id AND d.source = 'campaign' AND d.source_id = ?
    WHERE r.source_id = ?
    UNION ALL SELECT variant, kind, delivery_id FROM replies WHERE source_id = ?
) GROUP BY variant, kind
"""
    return Question(sql, (of.campaign_id,) * 3)


def gifts(of: Counted) -> Question:
    """By variant: points given with the campaign's messages, by their entries: an entry's id is its key, packed.

    The key of a gift begins with the campaign's id and a space; keys that callers choose have no spaces. It counts for
    the variant that the member was last assigned to by then: a birthday's may be another next year.
    """
    sql = """
WITH given AS (
    SELECT m, points, recorded_at FROM entries WHERE kind = 'adjust' AND points > 0 AND contains(
        decode(from_base64(rpad(replace(replace(substr(entry_id, 5), '-', '+'), '_', '/'),
            (((length(entry_id) - 4 + 3) // 4) * 4)::INTEGER, '='))), ?)
),
assigned AS (SELECT m, variant, "at" AS starts FROM assignments WHERE campaign_id = ? AND NOT held_out),
each_one AS (
    SELECT any_value(g.points) AS points, arg_max(a.variant, (a.starts <= g.recorded_at, a.starts)) AS variant
    FROM (SELECT *, row_number() OVER () AS n FROM given) g JOIN assigned a ON a.m = g.m GROUP BY g.n
)
SELECT variant, sum(points) FROM each_one GROUP BY variant
"""
    return Question(sql, (f"#{of.campaign_id} ", of.campaign_id))
