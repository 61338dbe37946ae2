"""Who is written to, as questions to the lake. Pure: every value is a parameter, and no word of a user's is in the SQL.

Members of the segment are judged in this order, and the first that applies counts: not active, written to by this
campaign this year already, no consent, no address, suppressed, capped; of the others some are held out. So those who
are held out could all have been written to, and are a fair comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.campaigns.models import Definition, FrequencyCap
from chalicelib.campaigns.ports import Asked
from chalicelib.campaigns.rules.assigning import DIGITS, held_out_below, variants_below
from chalicelib.members.models import MARKETING_PURPOSE, TOPIC_PREFIX

AGAIN_AFTER = timedelta(days=300)
"""Nobody is congratulated twice within so long, also who changes their birthday."""

HABIT_DAYS = 365
HABIT_MIN = 3
"""An hour is a habit from so many purchases in a year on."""

LEFT_OUT = ("not_active", "again", "no_consent", "no_address", "suppressed", "capped")


@dataclass(frozen=True, slots=True)
class Question:
    """SQL and its parameters."""

    sql: str
    params: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a plan goes by.

    Attributes:
        channels: in the order in which they are tried, each with the one that members consent to for it.
        month_days: only members with these birthdays; None: everybody.
        recent: runs whose rosters count in place of what the lake has of their deliveries.
    """

    campaign_id: str
    definition: Definition
    salt: str
    step: str
    channels: tuple[tuple[str, str], ...]
    starts_at: datetime
    time_zone: str
    month_days: tuple[str, ...] | None = None
    recent: tuple[str, ...] = ()


ROSTER = """
CREATE OR REPLACE TEMP TABLE roster (member_id VARCHAR, campaign_id VARCHAR, run_id VARCHAR, held_out BOOLEAN)
"""
"""Members of runs of late, of which the lake may not have the deliveries yet."""


def roster_from(files: Sequence[str]) -> Question:
    """Take members of other runs from their files."""
    sql = """
INSERT INTO roster SELECT member_id, campaign_id, run_id, held_out FROM read_json(?, format = 'newline_delimited',
    compression = 'gzip', columns = {member_id: 'VARCHAR', campaign_id: 'VARCHAR', run_id: 'VARCHAR',
    held_out: 'BOOLEAN'})
"""
    return Question(sql, (list(files),))


def candidates(asked: Asked, terms: Terms) -> Question:
    """Table `candidate`: the segment's members, the first channel by which each can be reached, why not where none."""
    channel, reach = _channel(terms)
    born = ""
    born_params: tuple[Any, ...] = ()
    if terms.month_days is not None:
        born, born_params = "WHERE list_contains(?, p.month_day)", (list(terms.month_days),)
    sql = f"""
CREATE OR REPLACE TEMP TABLE candidate AS
WITH segment AS ({asked.sql}),
people AS (
    SELECT p.m, p.member_id, p.status,
        coalesce(p.consents, []) AS consents, coalesce(p.withdrawn, []) AS withdrawn,
        coalesce(p.ways, []) AS ways, coalesce(p.suppressed, []) AS suppressed
    FROM members p SEMI JOIN segment s ON p.m = s.m
    {born}
),
reached AS (SELECT m, member_id, status, {channel} AS channel, {reach} AS fault FROM people)
SELECT m, member_id, channel,
    CASE WHEN status <> 'active' THEN 'not_active' WHEN channel IS NULL THEN fault END AS reason,
    sha256(? || '/' || ? || '/' || member_id) AS draw
FROM reached
"""  # noqa: S608 - the segment's SQL is compiled from typed data; the rest is of this module
    params = (*asked.params, *born_params, *_channel_params(terms), terms.salt, terms.step)
    return Question(sql, params)


def _channel(terms: Terms) -> tuple[str, str]:
    """SQL of the first channel that can be used, and of why none can."""
    agrees = _agrees(terms.definition.purpose)
    has_way = "list_contains(ways, ?)"
    is_free = "NOT list_contains(suppressed, ?)"
    each = f"WHEN {agrees} AND {has_way} AND {is_free} THEN ?"
    channel = f"CASE {' '.join(each for _ in terms.channels)} END"
    reachable = " OR ".join(f"({agrees} AND {has_way})" for _ in terms.channels)
    agreed = " OR ".join(agrees for _ in terms.channels)
    reach = f"CASE WHEN {reachable} THEN 'suppressed' WHEN {agreed} THEN 'no_address' ELSE 'no_consent' END"
    return channel, reach


def _channel_params(terms: Terms) -> tuple[Any, ...]:
    agrees = {each: _said_of(terms.definition.purpose, by) for each, by in terms.channels}
    first = [value for each, by in terms.channels for value in (*agrees[each], by, by, each)]
    reachable = [value for each, by in terms.channels for value in (*agrees[each], by)]
    agreed = [value for each, _ in terms.channels for value in agrees[each]]
    return (*first, *reachable, *agreed)


def _said_of(purpose: str, by: str) -> tuple[str, ...]:
    """The values that `_agrees` asks for."""
    one = f"{purpose}:{by}"
    own = one, purpose, one
    if not purpose.startswith(TOPIC_PREFIX):
        return own
    wider = f"{MARKETING_PURPOSE}:{by}"
    return *own, purpose, one, purpose, one, wider, MARKETING_PURPOSE, wider


def _agrees(purpose: str) -> str:
    """SQL of whether members may be written to for a purpose by a channel, as `members.rules.may_contact` has it.

    Who said nothing of a topic has it with marketing; `lake.folding` has settled which of the two was said later.
    """
    if not purpose.startswith(TOPIC_PREFIX):
        return _SAID
    silent = "NOT list_has_any(consents, [?, ?]) AND NOT list_has_any(withdrawn, [?, ?])"
    return f"({_SAID} OR ({silent} AND {_SAID}))"


_SAID = "(list_contains(consents, ?) OR (list_contains(consents, ?) AND NOT list_contains(withdrawn, ?)))"


def written_to_already(terms: Terms) -> Question:
    """Mark who was in another run of this campaign within a year."""
    sql = """
UPDATE candidate SET reason = 'again' WHERE reason IS DISTINCT FROM 'not_active' AND (
    m IN (SELECT a.m FROM assignments a WHERE a.campaign_id = ? AND a."at" >= ?)
    OR member_id IN (SELECT r.member_id FROM roster r WHERE r.campaign_id = ?))
"""
    since = _utc(terms.starts_at - AGAIN_AFTER)
    return Question(sql, (terms.campaign_id, since, terms.campaign_id))


def capped(terms: Terms, cap: FrequencyCap) -> Question:
    """Mark whom campaigns and journeys have written to often enough, or have planned to."""
    sql = """
UPDATE candidate SET reason = 'capped' WHERE reason IS NULL AND member_id IN (
    SELECT member_id FROM (
        SELECT c.member_id, count(*) AS sends FROM deliveries d JOIN candidate c ON c.m = d.m
        WHERE d.source IN ('campaign', 'journey') AND d.outcome IN ('sent', 'unknown') AND d."at" >= ?
            AND NOT list_contains(?, coalesce(d.run_id, ''))
        GROUP BY c.member_id
        UNION ALL
        SELECT r.member_id, count(*) AS sends FROM roster r WHERE NOT r.held_out AND list_contains(?, r.run_id)
        GROUP BY r.member_id
    ) GROUP BY member_id HAVING sum(sends) >= ?)
"""
    since = _utc(terms.starts_at - timedelta(days=cap.days))
    return Question(sql, (since, list(terms.recent), list(terms.recent), cap.sends))


def habits(terms: Terms) -> Question:
    """Table `habit`: the hour of day, in the program's time zone, at which each mostly bought in a year.

    Of two hours with as many purchases the earlier one counts.
    """
    sql = """
CREATE OR REPLACE TEMP TABLE habit AS
WITH bought AS (
    SELECT p.m, date_part('hour', timezone(?, timezone('UTC', p.bought_at)))::INTEGER AS hour, count(*) AS times
    FROM purchases p SEMI JOIN candidate c ON p.m = c.m
    WHERE p.bought_at >= ? AND p.bought_at < ? AND NOT coalesce(p.returned, FALSE)
    GROUP BY ALL
)
SELECT m, arg_max(hour, times * 100 - hour) AS hour FROM bought GROUP BY m HAVING sum(times) >= ?
"""
    since = _utc(terms.starts_at - timedelta(days=HABIT_DAYS))
    return Question(sql, (terms.time_zone, since, _utc(terms.starts_at), HABIT_MIN))


NO_HABITS = Question("CREATE OR REPLACE TEMP TABLE habit (m UINTEGER, hour INTEGER)")


def assignments(terms: Terms) -> Question:
    """Table `assigned`: who can be written to, with their variant, whether they are held out, and their hour."""
    ends = variants_below(terms.definition.variants)
    names = [each.name for each in terms.definition.variants]
    case = " ".join("WHEN variant_draw < ? THEN ?" for _ in names)
    sql = f"""
CREATE OR REPLACE TEMP TABLE assigned AS
WITH drawn AS (
    SELECT m, member_id, channel, draw, ('0x' || substr(draw, 1, {DIGITS}))::BIGINT AS held_draw,
        ('0x' || substr(draw, {DIGITS + 1}, {DIGITS}))::BIGINT AS variant_draw
    FROM candidate WHERE reason IS NULL
)
SELECT d.m, d.member_id, d.channel, d.draw, held_draw < ? AS held_out, CASE {case} END AS variant, h.hour
FROM drawn d LEFT JOIN habit h ON h.m = d.m
"""  # noqa: S608 - numbers of this module
    pairs = [value for end, name in zip(ends, names, strict=True) for value in (end, name)]
    return Question(sql, (held_out_below(terms.definition.holdout_percent), *pairs))


COUNTS = Question(
    """
SELECT 'left_out', reason, count(*) FROM candidate WHERE reason IS NOT NULL GROUP BY reason
UNION ALL SELECT 'who', CASE WHEN held_out THEN 'held_out' ELSE 'targeted' END, count(*) FROM assigned GROUP BY ALL
UNION ALL SELECT 'variants', variant, count(*) FROM assigned WHERE NOT held_out GROUP BY variant
UNION ALL SELECT 'channels', channel, count(*) FROM assigned WHERE NOT held_out GROUP BY channel
UNION ALL SELECT 'who', 'in_segment', count(*) FROM candidate
"""
)

ROSTER_OF_PLAN = Question("SELECT member_id, variant, held_out FROM assigned ORDER BY draw, member_id")

COLUMNS = {
    "tier": "p.tier_id",
    "points": "p.points",
    "points_pending": "p.points_pending",
    "points_expiring": "p.points_expiring[1].points",
    "points_expire_on": "p.points_expiring[1].expires_on",
    "joined_on": "p.joined_on",
    "birthday": "p.month_day",
    "last_bought_on": "p.last_bought_on",
    "purchases_count": "p.purchases_count",
}
"""Fields of messages that are looked up for each member."""


def recipients(slots: Sequence[int], fields: Sequence[str]) -> Question:
    """Who is written to, in the order of the parts: by their hour, channel and variant, and then by their draw.

    Args:
        slots: for each hour of the day the place of its instant among the run's; at 24 that of who has no habit.
        fields: of `COLUMNS`, those that the templates have.
    """
    columns = "".join(f", {COLUMNS[each]}" for each in fields)
    sql = f"""
SELECT ?[coalesce(a.hour, 24) + 1] AS slot, a.channel, a.variant, a.member_id, a.m,
    to_base64(c.sealed) AS sealed, p.language{columns}
FROM assigned a JOIN members p ON p.m = a.m LEFT JOIN contacts c ON c.m = a.m
WHERE NOT a.held_out ORDER BY slot, a.channel, a.variant, a.draw, a.member_id
"""  # noqa: S608 - columns of this module
    return Question(sql, (list(slots),))


def _utc(at: datetime) -> datetime:
    """An instant as the lake has it: UTC, without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None)
