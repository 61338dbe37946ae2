"""A definition as SQL over the views of the lake. Pure.

Whatever somebody wrote is a parameter. The text of a query is made of the words of this file alone, chosen by the
definition's own words, which are enumerations.

Negation is pushed down to the leaves, so that groups are plain AND and OR. There a leaf that is NULL, because nothing
is known, counts as one that does not hold, as everywhere in WHERE; a negated leaf is `IS NOT TRUE`. So leaves stay bare
comparisons, which let whole groups of rows be passed over by their smallest and largest values.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import TypeVar

from chalicelib.kernel.calendar import zone
from chalicelib.kernel.ids import SegmentId, ShopId
from chalicelib.lake.rules import AGE_BANDS, latest_born
from chalicelib.segments.models import (
    All,
    AnyOf,
    BirthdayField,
    BirthdayOp,
    Bought,
    Campaigns,
    ChoiceField,
    ChoiceOp,
    CustomCondition,
    CustomOp,
    DayField,
    DayOp,
    Definition,
    Did,
    ExpiringField,
    FromTo,
    InSegment,
    InStage,
    LastDays,
    ListField,
    ListOf,
    ListOp,
    Not,
    NumberField,
    NumberOp,
    PurchasesDay,
    PurchasesNumber,
    Rfm,
    Segment,
    Tagged,
)

_T = TypeVar("_T")

Value = str | int | bool | date | datetime

Resolve = Callable[[SegmentId], Segment | None]
"""Finds a segment that a definition names."""

_OF_MEMBERS = "SELECT m FROM members WHERE"
_OF_PURCHASES = "SELECT m FROM purchases WHERE"
_OF_LINES = "SELECT m FROM lines WHERE"
_OF_DELIVERIES = "SELECT m FROM deliveries WHERE"
_OF_RECEIPTS = "SELECT m FROM receipts WHERE"
_OF_REPLIES = "SELECT m FROM replies WHERE"
_OF_ASSIGNMENTS = "SELECT m FROM assignments WHERE"
_OF_LIST = "SELECT member_id FROM"

LEAP_DAY, DAY_BEFORE = "02-29", "02-28"


@dataclass(frozen=True, slots=True)
class ListKey:
    """A parameter that stands for where a list is: known once there is an archive to read it from."""

    key: str


Param = Value | ListKey


@dataclass(frozen=True, slots=True)
class Compiled:
    """A definition as a query.

    Attributes:
        where: what holds of the members meant, over the view `members`.
        params: what stands for each `?`, in order.
    """

    where: str
    params: tuple[Param, ...] = ()

    @property
    def sql(self) -> str:
        """A SELECT of `m`, each member once."""
        return f"{_OF_MEMBERS} {self.where}"

    def values(self, archive: str) -> list[Value]:
        """The parameters, with lists as paths.

        Args:
            archive: the folder or bucket of the archive, as DuckDB reads it, with no `/` at its end.
        """
        return bound(self.params, archive)


def bound(params: Iterable[Param], archive: str) -> list[Value]:
    """Parameters as DuckDB takes them. See `Compiled.values`."""
    return [f"{archive}/{each.key}" if isinstance(each, ListKey) else each for each in params]


def nobody(name: SegmentId) -> Segment | None:  # noqa: ARG001 - a resolver's shape
    """Resolves nothing."""
    return None


@dataclass
class _Compiler:
    today: date
    resolve: Resolve
    time_zone: str
    params: list[Param] = field(default_factory=list)
    inside: tuple[SegmentId, ...] = ()

    def p(self, value: Param) -> str:
        """A parameter, where the text has come to."""
        self.params.append(value)
        return "?"

    def several(self, values: Sequence[Param]) -> str:
        return ", ".join(map(self.p, values))


def compiled(
    definition: Definition,
    *,
    today: date,
    resolve: Resolve = nobody,
    time_zone: str = "UTC",
    within: frozenset[ShopId] | None = None,
) -> Compiled:
    """A definition that was checked, as a query over the views of the lake.

    Args:
        today: the day in the program's time zone.
        resolve: finds the segments that it names; who is in one that is not found is nobody.
        time_zone: in which the days of messages are counted.
        within: only members of these shops; None: of all.
    """
    at = _Compiler(today, resolve, time_zone)
    where = _node(at, definition, True)
    if within is not None:
        where = f"({where}) AND {_among(at, 'shop_id', sorted(within))}"
    return Compiled(where, tuple(at.params))


def compiled_segment(
    segment: Segment,
    *,
    today: date,
    resolve: Resolve,
    time_zone: str = "UTC",
    within: frozenset[ShopId] | None = None,
) -> Compiled:
    """A segment, live or static, as a query. See `compiled`."""
    whole = InSegment(kind="segment", segment_id=segment.segment_id)

    def found(segment_id: SegmentId) -> Segment | None:
        return segment if segment_id == segment.segment_id else resolve(segment_id)

    return compiled(whole, today=today, resolve=found, time_zone=time_zone, within=within)


def uses_clock(definition: Definition, resolve: Resolve) -> bool:
    """Whether who is meant can change with the day alone, with nothing happening to a member."""
    match definition:
        case All() | AnyOf():
            return any(uses_clock(each, resolve) for each in definition.of)
        case Not():
            return uses_clock(definition.of, resolve)
        case InSegment():
            found = resolve(definition.segment_id)
            return found is not None and found.definition is not None and uses_clock(found.definition, resolve)
        case DayField():
            return definition.op in _CLOCKED
        case PurchasesDay():
            return definition.op in _CLOCKED or isinstance(definition.window, LastDays)
        case BirthdayField():
            return definition.op is BirthdayOp.IN_NEXT_DAYS
        case PurchasesNumber() | Bought() | Campaigns():
            return isinstance(definition.window, LastDays)
        case ChoiceField():
            # A tier ends and an age band is left on a day of its own.
            return definition.name in ("tier_id", "age_band")
        case NumberField():
            # Points expire and are released by themselves.
            return definition.name in ("points", "points_pending")
        case ExpiringField() | Rfm() | InStage():
            return True
        case _:
            return False


def uses_scores(definition: Definition, resolve: Resolve) -> bool:
    """Whether who is meant depends on scores of recency, frequency and spending."""
    match definition:
        case All() | AnyOf():
            return any(uses_scores(each, resolve) for each in definition.of)
        case Not():
            return uses_scores(definition.of, resolve)
        case InSegment():
            found = resolve(definition.segment_id)
            return found is not None and found.definition is not None and uses_scores(found.definition, resolve)
        case _:
            return isinstance(definition, Rfm)


_CLOCKED = (DayOp.IN_LAST_DAYS, DayOp.MORE_THAN_DAYS_AGO)


# ---------------------------------------------------------------- groups


def _node(at: _Compiler, node: Definition, holds: bool) -> str:
    """What holds where a node holds, or where it does not."""
    match node:
        case All() | AnyOf():
            word = " AND " if isinstance(node, All) == holds else " OR "
            parts = [_node(at, each, holds) for each in node.of]
            if len(parts) < 2:
                return parts[0] if parts else ("TRUE" if isinstance(node, All) == holds else "FALSE")
            return "(" + word.join(parts) + ")"
        case Not():
            return _node(at, node.of, not holds)
        case InSegment():
            return _segment(at, node, holds)
        case _:
            text = _leaf(at, node)
            return _bounded(at, node, text) if holds else _negated(text)


def _bounded(at: _Compiler, node: Definition, text: str) -> str:
    """A leaf, with what follows from it for the members' own columns.

    Who bought something in a window bought last on its first day or later. That rules most members out before they are
    looked for among purchases, and keeps what is remembered of them small.
    """
    if not text.startswith("m IN ") or " GROUP BY " in text or not isinstance(node, PurchasesNumber | PurchasesDay):
        return text  # those that are counted up are few already
    first, _ = days_of(node.window, at.today)
    return text if first is None else f"({text} AND last_bought_on >= {at.p(first)})"


def _negated(text: str) -> str:
    """The complement of a leaf. Membership in a subquery is never NULL, and its own negation is quicker."""
    if text.startswith("m IN "):
        return "m NOT" + text[1:]
    if text.startswith("m NOT IN "):
        return "m" + text[5:]
    return f"(({text}) IS NOT TRUE)"


def _segment(at: _Compiler, node: InSegment, holds: bool) -> str:
    found = at.resolve(node.segment_id)
    if found is None or node.segment_id in at.inside:
        return "FALSE" if holds else "TRUE"
    if found.listed is not None:
        some = f"member_id IN ({_OF_LIST} {_LIST.format(at.p(ListKey(found.listed.key)))})"
        return some if holds else f"({some}) IS NOT TRUE"
    assert found.definition is not None, "a segment has a definition or a list"
    before, at.inside = at.inside, (*at.inside, node.segment_id)
    text = _node(at, found.definition, holds)
    at.inside = before
    return f"({text})"


_LIST = (
    "read_csv({}, auto_detect = false, header = false, delim = ',', quote = '', escape = '', compression = 'gzip', "
    "columns = {{'member_id': 'VARCHAR'}})"
)


def listed(listing: ListOf) -> Compiled:
    """Who is on a list, as a query of member ids: also who is no member yet, or any more, by the lake."""
    return Compiled(f"{_OF_LIST} {_LIST.format('?')}", (ListKey(listing.key),))


# ---------------------------------------------------------------- leaves


def _leaf(at: _Compiler, node: Definition) -> str:  # noqa: PLR0912 - a case for each kind
    match node:
        case NumberField():
            return _number(at, _NUMBERS[node.name], node.op, node.value, node.to)
        case ExpiringField():
            return _expiring(at, node)
        case ChoiceField():
            return _choice(at, node)
        case DayField():
            return _day(at, _DAYS[node.name], node)
        case BirthdayField():
            return _birthday(at, node)
        case ListField():
            return _list(at, _LISTS[node.name], node.op, node.values)
        case Tagged():
            return _list(at, "tags", node.op, node.tags)
        case CustomCondition():
            return _custom(at, node)
        case PurchasesNumber():
            return _purchases_number(at, node)
        case PurchasesDay():
            return _purchases_day(at, node)
        case Bought():
            return _bought(at, node)
        case Campaigns():
            return _campaigns(at, node)
        case Rfm():
            asked = {"recency": node.recency, "frequency": node.frequency, "monetary": node.monetary}
            return " AND ".join(_scored(name, some) for name, some in asked.items() if some is not None)
        case InStage():
            return _among(at, "stage", [each.value for each in node.stages])
        case _:
            raise AssertionError(f"{type(node).__name__} is no leaf")


_NUMBERS = {
    "points": "points",
    "points_pending": "points_pending",
    "points_earned": "points_earned",
    "points_spent": "points_spent",
    "purchases_count": "purchases_count",
    "spent_minor": "spent_minor",
    "average_minor": "average_minor",
}
_CHOICES = {
    "status": "status",
    "gender": "gender",
    "language": "language",
    "age_band": "age_band",
    "tier_id": "tier_id",
    "shop_id": "shop_id",
    "region": "region",
    "source": "source",
}
_DAYS = {"joined_on": "joined_on", "first_bought_on": "first_bought_on", "last_bought_on": "last_bought_on"}
_LISTS = {"consents": "consents", "withdrawn": "withdrawn", "ways": "ways", "suppressed": "suppressed"}

_COMPARISONS = {
    NumberOp.IS: "=",
    NumberOp.IS_NOT: "<>",
    NumberOp.BELOW: "<",
    NumberOp.AT_MOST: "<=",
    NumberOp.ABOVE: ">",
    NumberOp.AT_LEAST: ">=",
}


def _number(at: _Compiler, number: str, op: NumberOp, value: int, to: int | None) -> str:
    if to is not None:
        return f"{number} BETWEEN {at.p(value)} AND {at.p(to)}"
    if op is NumberOp.IS_NOT:
        return f"{number} IS DISTINCT FROM {at.p(value)}"
    return f"{number} {_COMPARISONS[op]} {at.p(value)}"


def _expiring(at: _Compiler, node: ExpiringField) -> str:
    last = at.today + timedelta(days=node.days - 1)
    some = (
        "coalesce(list_sum(list_transform(list_filter(points_expiring, "
        f"lambda e: e.expires_on BETWEEN {at.p(at.today)} AND {at.p(last)}), lambda e: e.points)), 0)"
    )
    return _number(at, some, node.op, node.value, node.to)


def _among(at: _Compiler, column: str, values: Sequence[Value]) -> str:
    if not values:
        return "FALSE"
    if len(values) == 1:
        return f"{column} = {at.p(values[0])}"
    return f"{column} IN ({at.several(values)})"


def _choice(at: _Compiler, node: ChoiceField) -> str:
    column = _CHOICES[node.name]
    match node.op:
        case ChoiceOp.IS_ANY | ChoiceOp.IS_NONE if node.name == "age_band":
            some = _aged(at, frozenset(node.values))
            return some if node.op is ChoiceOp.IS_ANY else f"({some} IS NOT TRUE)"
        case ChoiceOp.IS_ANY:
            return _among(at, column, node.values)
        case ChoiceOp.IS_NONE:
            return "(" + " AND ".join(f"{column} IS DISTINCT FROM {at.p(each)}" for each in node.values) + ")"
        case ChoiceOp.IS_KNOWN:
            return f"{column} IS NOT NULL"
        case ChoiceOp.IS_UNKNOWN:
            return f"{column} IS NULL"


def _aged(at: _Compiler, bands: frozenset[str]) -> str:
    """Whether somebody's age is in one of some bands, told by the years of birth of bands that lie together."""
    ages = [*AGE_BANDS.values(), None]
    spans = []
    for first, end in _runs([name in bands for name in AGE_BANDS]):
        latest, before = ages[first], ages[end]
        span = [] if latest is None else [f"born <= {at.p(latest_born(latest, at.today))}"]
        span += [] if before is None else [f"born > {at.p(latest_born(before, at.today))}"]
        spans.append(" AND ".join(span) or "born IS NOT NULL")
    return f"({' OR '.join(spans) or 'FALSE'})"


def _scored(name: str, scores: Sequence[int]) -> str:
    """Whether a score is one of some, told by the figure itself and the edges between scores."""
    column = {"recency": "last_bought_on", "frequency": "purchases_count", "monetary": "spent_minor"}[name]
    spans = []
    for first, end in _runs([score in scores for score in range(1, SCORES + 1)]):
        span = [f"{column} > getvariable('{name}')[{first}]"] if first else []
        span += [f"{column} <= getvariable('{name}')[{end}]"] if end < SCORES else []
        spans.append(" AND ".join(span) or f"getvariable('{name}')[1] IS NOT NULL")
    return f"(purchases_count > 0 AND ({' OR '.join(spans) or 'FALSE'}))"


SCORES = 5
"""The highest score: members are in fifths."""


def _runs(chosen: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where what is chosen lies together: places of the first of each, and of the one behind its last."""
    place = 0
    for some, each in groupby(chosen):
        end = place + len([*each])
        if some:
            yield place, end
        place = end


def _day(at: _Compiler, day: str, node: DayField | PurchasesDay) -> str:
    match node.op:
        case DayOp.ON:
            return f"{day} = {at.p(_given(node.day))}"
        case DayOp.BEFORE:
            return f"{day} < {at.p(_given(node.day))}"
        case DayOp.AFTER:
            return f"{day} > {at.p(_given(node.day))}"
        case DayOp.BETWEEN:
            return f"{day} BETWEEN {at.p(_given(node.day))} AND {at.p(_given(node.to))}"
        case DayOp.IN_LAST_DAYS:
            return f"{day} BETWEEN {at.p(_first_of(at.today, _given(node.days)))} AND {at.p(at.today)}"
        case DayOp.MORE_THAN_DAYS_AGO:
            return f"{day} < {at.p(at.today - timedelta(days=_given(node.days)))}"
        case DayOp.IS_KNOWN:
            return f"{day} IS NOT NULL"
        case DayOp.IS_UNKNOWN:
            return f"{day} IS NULL"


def _first_of(today: date, days: int) -> date:
    """The first of so many days that end today."""
    return today - timedelta(days=days - 1)


def _birthday(at: _Compiler, node: BirthdayField) -> str:
    match node.op:
        case BirthdayOp.IN_MONTHS:
            return f"month_day[:2] IN ({at.several([f'{month:02d}' for month in node.months])})"
        case BirthdayOp.IS_KNOWN:
            return "month_day IS NOT NULL"
        case BirthdayOp.IS_UNKNOWN:
            return "month_day IS NULL"
        case BirthdayOp.IN_NEXT_DAYS:
            first, last = month_days(at.today, _given(node.days))
            if (first, last) == WHOLE_YEAR:
                return "month_day IS NOT NULL"
            if first <= last:
                return f"month_day BETWEEN {at.p(first)} AND {at.p(last)}"
            return f"(month_day >= {at.p(first)} OR month_day <= {at.p(last)})"


WHOLE_YEAR = ("01-01", "12-31")


def month_days(today: date, days: int) -> tuple[str, str]:
    """The first and the last day of the year, `MM-DD`, of so many that begin today.

    The last may come before the first: then the year turns in between.
    """
    end = today + timedelta(days=days - 1)
    if end >= _year_later(today):
        return WHOLE_YEAR
    last = f"{end:%m-%d}"
    if last == DAY_BEFORE and (end + timedelta(days=1)).month != 2:
        last = LEAP_DAY  # who was born on it has their birthday on the day before, this year
    return f"{today:%m-%d}", last


def _year_later(today: date) -> date:
    """The day before today's next anniversary."""
    leap = f"{today:%m-%d}" == LEAP_DAY
    return date(today.year + 1, 2, 28) if leap else today.replace(year=today.year + 1) - timedelta(days=1)


_FEW = 6
"""So many values are looked for one by one in a list: for one that takes a quarter of what `list_has_any` does."""


def _list(at: _Compiler, column: str, op: ListOp, values: Sequence[str]) -> str:
    whole = op is ListOp.HAS_ALL
    if len(values) > _FEW:
        some = f"list_has_{'all' if whole else 'any'}({column}, [{at.several(values)}])"
    else:
        word = " AND " if whole else " OR "
        some = f"({word.join(f'list_contains({column}, {at.p(each)})' for each in values)})"
    return f"({some} IS NOT TRUE)" if op is ListOp.HAS_NONE else some


_CUSTOM = {
    CustomOp.BELOW: "<",
    CustomOp.AT_MOST: "<=",
    CustomOp.ABOVE: ">",
    CustomOp.AT_LEAST: ">=",
}


def _custom(at: _Compiler, node: CustomCondition) -> str:
    path = f"$.{node.custom_field}"
    if node.op is CustomOp.IS_KNOWN:
        return f"json_exists(custom, {at.p(path)})"
    if node.op is CustomOp.IS_UNKNOWN:
        return f"(json_exists(custom, {at.p(path)}) IS NOT TRUE)"
    if node.op in _CUSTOM:
        return f"{_custom_number(at, path)} {_CUSTOM[node.op]} {at.p(_given(node.value))}"
    some = "(" + " OR ".join(_custom_is(at, path, value) for value in node.values) + ")"
    return some if node.op is CustomOp.IS_ANY else f"({some} IS NOT TRUE)"


def _custom_is(at: _Compiler, path: str, value: bool | int | str) -> str:
    """Whether a custom field has a value of the very same type: the text `5` is not the number."""
    if isinstance(value, bool):
        return f"json_extract(custom, {at.p(path)})::VARCHAR = {at.p(json.dumps(value))}"
    if isinstance(value, int):
        return f"{_custom_number(at, path)} = {at.p(value)}"
    kind = f"json_type(custom, {at.p(path)}) = 'VARCHAR'"
    return f"({kind} AND json_extract_string(custom, {at.p(path)}) = {at.p(value)})"


def _custom_number(at: _Compiler, path: str) -> str:
    return (
        f"CASE WHEN json_type(custom, {at.p(path)}) IN ('BIGINT', 'UBIGINT') "
        f"THEN TRY_CAST(json_extract_string(custom, {at.p(path)}) AS HUGEINT) END"
    )


# ---------------------------------------------------------------- what members bought


def _purchases_number(at: _Compiler, node: PurchasesNumber) -> str:
    column = {"count": "purchases_count", "sum": "spent_minor", "average": "average_minor"}[node.measure]
    if _is_plain(node):
        if node.measure != "average":
            return _number(at, f"coalesce({column}, 0)" if _fits(node, 0) else column, node.op, node.value, node.to)
        return f"({_number(at, column, node.op, node.value, node.to)} AND purchases_count > 0)"
    first = _since(at, node)
    if first is not None and node.measure == "count" and _any_or_none(node):
        some = f"last_bought_on >= {at.p(first)}"
        return f"(({some}) IS NOT TRUE)" if _fits(node, 0) else some
    if node.measure == "count" and _any_or_none(node):
        word = "m NOT IN" if _fits(node, 0) else "m IN"
        return f"{word} ({_OF_PURCHASES} {_which(at, node)})"
    if node.measure != "average" and _fits(node, 0):
        # Who bought nothing has 0, and is in no row: those are found to whom it does not apply.
        return "m NOT IN (" + _groups(at, node, lambda: f"({_having(at, node)}) IS NOT TRUE") + ")"
    return "m IN (" + _groups(at, node, lambda: _having(at, node)) + ")"


NEVER_COUNTED = 10**9
"""More purchases than any member has."""


def _any_or_none(node: PurchasesNumber) -> bool:
    """Whether a count only asks if there is any purchase, or none."""
    return all(_fits(node, each) != _fits(node, 0) for each in (1, 2, NEVER_COUNTED))


def _since(at: _Compiler, node: PurchasesNumber | PurchasesDay) -> date | None:
    """The day from which on all purchases count, where they do: then the day of the last one says if there is any."""
    first, last = days_of(node.window, at.today)
    return first if last is None and node.shop_ids is None and node.channels is None else None


def _groups(at: _Compiler, node: PurchasesNumber | PurchasesDay, having: Callable[[], str]) -> str:
    return f"{_OF_PURCHASES} {_which(at, node)} GROUP BY m HAVING {having()}"


def _having(at: _Compiler, node: PurchasesNumber) -> str:
    if node.measure == "count":
        return _number(at, "count(*)", node.op, node.value, node.to)
    if node.measure == "sum":
        return _number(at, "sum(net_minor)", node.op, node.value, node.to)
    # As the member's own average is: whole minor units, rounded down.
    return _number(at, "sum(net_minor) // count(*)", node.op, node.value, node.to)


def _purchases_day(at: _Compiler, node: PurchasesDay) -> str:
    if _is_plain(node):
        return _day(at, f"{node.measure}_bought_on", node)
    first = _since(at, node)
    if first is not None and node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
        some = f"last_bought_on >= {at.p(first)}"
        return some if node.op is DayOp.IS_KNOWN else f"(({some}) IS NOT TRUE)"
    if node.op is DayOp.IS_KNOWN:
        return f"m IN ({_OF_PURCHASES} {_which(at, node)})"
    if node.op is DayOp.IS_UNKNOWN:
        return f"m NOT IN ({_OF_PURCHASES} {_which(at, node)})"
    day = "max(bought_on)" if node.measure == "last" else "min(bought_on)"
    return "m IN (" + _groups(at, node, lambda: _day(at, day, node)) + ")"


def _is_plain(node: PurchasesNumber | PurchasesDay) -> bool:
    """Whether all purchases count: then the member's own sums say it."""
    return node.window is None and node.shop_ids is None and node.channels is None


def _which(at: _Compiler, node: PurchasesNumber | PurchasesDay) -> str:
    parts = ["NOT returned", *_days_of(at, "bought_on", node.window)]
    if node.shop_ids is not None:
        parts.append(_among(at, "shop_id", node.shop_ids))
    if node.channels is not None:
        parts.append(_among(at, "channel", node.channels))
    return " AND ".join(parts)


def _bought(at: _Compiler, node: Bought) -> str:
    named = []
    if node.skus is not None:
        named.append(_among(at, "sku", node.skus))
    if node.categories is not None:
        named.append(_among(at, "category", node.categories))
    parts = ["(" + " OR ".join(named) + ")", "quantity > 0", *_days_of(at, "bought_on", node.window)]
    if node.shop_ids is not None:
        parts.append(_among(at, "shop_id", node.shop_ids))
    rows = f"{_OF_LINES} {' AND '.join(parts)}"
    if node.measure != "amount" and node.at_least == 1:
        return f"m IN ({rows})"
    sums = {"times": "count(DISTINCT purchase_id)", "quantity": "sum(quantity)", "amount": "sum(amount_minor)"}
    return f"m IN ({rows} GROUP BY m HAVING {sums[node.measure]} >= {at.p(node.at_least)})"


def _days_of(at: _Compiler, column: str, window: LastDays | FromTo | None) -> list[str]:
    first, last = days_of(window, at.today)
    parts = []
    if first is not None:
        parts.append(f"{column} >= {at.p(first)}")
    if last is not None:
        parts.append(f"{column} <= {at.p(last)}")
    return parts


def days_of(window: LastDays | FromTo | None, today: date) -> tuple[date | None, date | None]:
    """The first and the last day of a window; None where it has no end. Nothing happens after today."""
    match window:
        case None:
            return None, None
        case LastDays():
            return _first_of(today, window.days), today - timedelta(days=window.skip) if window.skip else None
        case FromTo():
            return window.first, window.last


# ---------------------------------------------------------------- what became of messages

_RECEIPTS = {
    Did.DELIVERED: "delivered",
    Did.OPENED: "opened",
    Did.CLICKED: "clicked",
    Did.BOUNCED: "bounced",
    Did.COMPLAINED: "complained",
    Did.OPTED_OUT: "opted_out",
    Did.FAILED: "failed",
}
_WITHOUT = {
    # Who followed a link has opened the message, and who opened it has got it, whatever else the channel tells.
    Did.NOT_DELIVERED: ("delivered", "opened", "clicked"),
    Did.NOT_OPENED: ("opened", "clicked"),
    Did.NOT_CLICKED: ("clicked",),
}


def _campaigns(at: _Compiler, node: Campaigns) -> str:
    if node.did is Did.HELD_OUT:
        return f"m IN ({_OF_ASSIGNMENTS} held_out AND {_messages(at, node, 'campaign_id')})"
    if node.did in _RECEIPTS:
        kind = at.p(_RECEIPTS[node.did])
        some = f"{_OF_RECEIPTS} kind = {kind} AND {_messages(at, node, 'source_id')}"
        if node.did is Did.OPTED_OUT:
            some += f" UNION ALL {_OF_REPLIES} {_messages(at, node, 'source_id')}"
        return f"m IN ({some})"
    sent = f"{_OF_DELIVERIES} outcome = 'sent' AND {_messages(at, node, 'source_id')}"
    if node.did is Did.SENT:
        return f"m IN ({sent})"
    kinds = at.several(_WITHOUT[node.did])
    told = f"{_OF_RECEIPTS} kind IN ({kinds}) AND {_messages(at, node, 'source_id', timed=False)}"
    return f"m IN ({sent} EXCEPT {told})"


def _messages(at: _Compiler, node: Campaigns, source: str, *, timed: bool = True) -> str:
    """Which messages count: of a campaign or journey, at some time. A receipt may come after the window is over."""
    parts = []
    if node.source_ids is not None:
        parts.append(_among(at, source, node.source_ids))
    elif source == "source_id":
        parts.append("(source_id LIKE 'cmp\\_%' ESCAPE '\\' OR source_id LIKE 'jrn\\_%' ESCAPE '\\')")
    if node.channels is not None:
        parts.append(_among(at, "channel", node.channels))
    first, last = days_of(node.window, at.today)
    if first is not None and timed:
        parts.append(f'"at" >= {at.p(_midnight(first, at.time_zone))}')
    if last is not None and timed:
        parts.append(f'"at" < {at.p(_midnight(last + timedelta(days=1), at.time_zone))}')
    return " AND ".join(parts) or "TRUE"


def _midnight(day: date, time_zone: str) -> datetime:
    """When a day begins, in UTC, without an offset, as the lake keeps instants."""
    return datetime.combine(day, time(), tzinfo=zone(time_zone)).astimezone(UTC).replace(tzinfo=None)


def _fits(node: PurchasesNumber, number: int) -> bool:
    """Whether a number is one that the condition takes."""
    return fits(node.op, node.value, node.to, number)


def fits(op: NumberOp, value: int, to: int | None, number: int) -> bool:
    """Whether a number compares as an operator says."""
    match op:
        case NumberOp.IS:
            return number == value
        case NumberOp.IS_NOT:
            return number != value
        case NumberOp.BELOW:
            return number < value
        case NumberOp.AT_MOST:
            return number <= value
        case NumberOp.ABOVE:
            return number > value
        case NumberOp.AT_LEAST:
            return number >= value
        case NumberOp.BETWEEN:
            return value <= number <= _given(to)


def _given(value: _T | None) -> _T:
    """What the model's validators saw to be there."""
    assert value is not None
    return value
