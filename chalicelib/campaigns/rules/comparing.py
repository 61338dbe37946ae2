"""What groups of a campaign's members did, beside those who were held out and beside each other. Pure."""

from collections.abc import Mapping, Sequence

from chalicelib.campaigns.models import Compared, Cost, Group, GroupResults, Interval
from chalicelib.campaigns.rules import statistics
from chalicelib.campaigns.rules.statistics import Range, sample_of
from chalicelib.providers.models import TOLD_BY, ReceiptKind

MEMBERS_MIN = 30
"""With fewer on either side the normal law that the intervals rest on does not hold for sales, which are skewed."""

SKIPPED = ("skipped", "refused", "expired")


def total(groups: Mapping[str, Group]) -> Group:
    """Several groups as one."""
    outcomes: dict[str, int] = {}
    heard: dict[str, int] = {}
    sent_by: dict[str, int] = {}
    for group in groups.values():
        for into, some in ((outcomes, group.outcomes), (heard, group.receipts), (sent_by, group.sent_by)):
            for name, count in (some or {}).items():
                into[name] = into.get(name, 0) + count
    every = groups.values()
    return Group(
        members=sum(each.members for each in every),
        buyers=sum(each.buyers for each in every),
        purchases=sum(each.purchases for each in every),
        sales_minor=sum(each.sales_minor for each in every),
        sales_squares=sum(each.sales_squares for each in every),
        points_earned=sum(each.points_earned for each in every),
        outcomes=outcomes,
        receipts=heard,
        sent_by=sent_by,
        cost_micro=sum(each.cost_micro for each in every),
        gift_points=sum(each.gift_points for each in every),
    )


def results(group: Group, held_out: Group | None, cost: Cost, *, compares: bool = True) -> GroupResults:
    """What a group did, and how much more than those who were held out.

    Args:
        held_out: None where nobody is.
        compares: False for those who are held out themselves.
    """
    outcomes, heard = group.outcomes or {}, group.receipts or {}
    skipped: dict[str, int] = {}
    for name, count in outcomes.items():
        kind, _, reason = name.partition(" ")
        if kind in SKIPPED:
            skipped[reason or kind] = skipped.get(reason or kind, 0) + count
    return GroupResults(
        planned=group.members,
        sent=_sum(outcomes, "sent"),
        delivered=_heard(group, ReceiptKind.DELIVERED),
        opened=_heard(group, ReceiptKind.OPENED),
        clicked=_heard(group, ReceiptKind.CLICKED),
        bounced=_heard(group, ReceiptKind.BOUNCED, ReceiptKind.FAILED),
        complained=_heard(group, ReceiptKind.COMPLAINED),
        opted_out=heard.get("opted_out", 0),
        unknown=_sum(outcomes, "unknown"),
        skipped=skipped,
        buyers=group.buyers,
        buyers_per_million=_scaled(statistics.share(group.buyers, group.members), 10**6) if group.members else None,
        purchases=group.purchases,
        sales_minor=group.sales_minor,
        points_earned=group.points_earned,
        messages_cost_minor=cost.messages,
        points_cost_minor=cost.points,
        cost_minor=cost.messages + cost.points,
        compared=compared(group, held_out) if compares else None,
    )


def compared(group: Group, held_out: Group | None) -> Compared:
    """How much more a group bought than others, who were held out or had another variant; or why nobody can say."""
    why_not = _why_not(group, held_out)
    if held_out is None or why_not is not None:
        return _nothing(why_not)
    buying = statistics.difference_of_shares(group.buyers, group.members, held_out.buyers, held_out.members)
    selling = statistics.difference_of_means(
        sample_of(group.members, group.sales_minor, group.sales_squares),
        sample_of(held_out.members, held_out.sales_minor, held_out.sales_squares),
    )
    return Compared(
        buyers_per_million=_scaled(buying, 10**6),
        sales_per_thousand_minor=_scaled(selling, 1000),
        incremental_sales_minor=_scaled(selling, group.members),
        why_not=None,
    )


def beside_first(groups: Mapping[str, Group], names: Sequence[str]) -> dict[str, Compared]:
    """How much more each other variant bought than the first.

    Args:
        names: of all variants, in their order; who was assigned to none of a variant is not among the groups.
    """
    first, *others = (groups.get(name, Group()) for name in names)
    return {
        name: _nothing("too_few_members") if first.members == 0 else compared(other, first)
        for name, other in zip(names[1:], others, strict=True)
    }


def _nothing(why_not: str | None) -> Compared:
    return Compared(
        buyers_per_million=None, sales_per_thousand_minor=None, incremental_sales_minor=None, why_not=why_not
    )


def _why_not(group: Group, held_out: Group | None) -> str | None:
    if held_out is None or held_out.members == 0:
        return "no_holdout"
    if min(group.members, held_out.members) < MEMBERS_MIN:
        return "too_few_members"
    return "nothing_bought" if group.purchases + held_out.purchases == 0 else None


def return_percent(incremental_minor: int | None, cost_minor: int) -> int | None:
    """Incremental sales less cost, in percent of cost; None without either."""
    if incremental_minor is None or cost_minor == 0:
        return None
    return round((incremental_minor - cost_minor) * 100 / cost_minor)


def _heard(group: Group, *kinds: ReceiptKind) -> int | None:
    """How many messages it was told of; None where no provider that took any tells such things."""
    heard = sum((group.receipts or {}).get(kind, 0) for kind in kinds)
    tells = any(name in TOLD_BY[kind] for name in group.sent_by or () for kind in kinds)
    return heard if heard or tells or not group.sent_by else None


def _sum(outcomes: Mapping[str, int], kind: str) -> int:
    return sum(count for name, count in outcomes.items() if name.partition(" ")[0] == kind)


def _scaled(found: Range, by: int) -> Interval:
    return Interval(value=round(found.value * by), low=round(found.low * by), high=round(found.high * by))
