"""A definition as a sentence that a marketer reads, in Chinese and in English. Pure.

Every leaf is a clause: in English what follows "Members who", in Chinese what stands before "的会员". Each knows how it
is denied, so that "not" reads as people say it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.members.models import ACCOUNT_PURPOSE, ID_NUMBER_PURPOSE, MARKETING_PURPOSE
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
    ListOp,
    Not,
    NumberField,
    NumberOp,
    PurchasesDay,
    PurchasesNumber,
    Rfm,
    Tagged,
)


@dataclass(frozen=True, slots=True)
class Names:
    """How things are called in a sentence.

    Attributes:
        currency: of amounts.
        by_id: names of tiers, segments, campaigns and journeys, by their ids; what has none is called by its id.
        custom: labels of custom fields, by their names.
        purposes: what members call purposes of the merchant's own.
    """

    currency: str = "CNY"
    by_id: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)
    purposes: Mapping[str, str] = field(default_factory=dict)

    def of(self, some: str) -> str:
        """The name of what has an id, or the id."""
        return self.by_id.get(some, some)

    def money(self, minor: int) -> str:
        """An amount."""
        return shown(minor, self.currency)


PLAIN = Names()

Clause = tuple[str, str]
"""What is said, and what is said to deny it."""


def sentence(definition: Definition, language: Language, names: Names = PLAIN) -> str:
    """A definition in one sentence."""
    said = phrase(definition, language, names)
    if language is Language.EN:
        return f"Members who {said}."
    return f"{said}{' ' if said[-1:].isascii() and said[-1:].isalnum() else ''}的会员。"


def phrase(definition: Definition, language: Language, names: Names = PLAIN) -> str:
    """A definition as a clause of another sentence: in English what follows "they"."""
    return _said(definition, language, names, holds=True, inner=False)


def _said(node: Definition, language: Language, names: Names, *, holds: bool, inner: bool) -> str:
    match node:
        case Not():
            return _said(node.of, language, names, holds=not holds, inner=inner)
        case All() | AnyOf():
            parts = [_said(each, language, names, holds=holds, inner=len(node.of) > 1) for each in node.of]
            if len(parts) == 1:
                return parts[0]
            together = isinstance(node, All) == holds
            return _bracketed(_joined(parts, language, together=together), language, inner=inner)
        case _:
            clause = _english(node, names) if language is Language.EN else _chinese(node, names)
            return clause[0] if holds else clause[1]


def _joined(parts: Sequence[str], language: Language, *, together: bool) -> str:
    if language is Language.ZH:
        return ("，并且" if together else "，或者").join(parts)
    word = "and" if together else "or"
    head = ", ".join(parts[:-1])
    return f"{head}, {word} {parts[-1]}"


def _bracketed(text: str, language: Language, *, inner: bool) -> str:
    if not inner:
        return text
    return f"（{text}）" if language is Language.ZH else f"({text})"


# ---------------------------------------------------------------- English


def _english(node: Definition, names: Names) -> Clause:  # noqa: PLR0912 - a case for each kind
    match node:
        case NumberField():
            return _en_number_field(node, names)
        case ExpiringField():
            amount = _en_number(node.op, str(node.value), _text(node.to))
            when = "today" if node.days == 1 else f"within {node.days} days"
            return _verb("have", f"{amount} {_points(node)} that expire {when}")
        case ChoiceField():
            return _en_choice(node, names)
        case DayField():
            return _en_day_field(node)
        case BirthdayField():
            return _en_birthday(node)
        case ListField():
            return _en_several(node.op, _EN_LISTS[node.name], _spoken(node, names, Language.EN))
        case Tagged():
            return _en_several(node.op, _EN_LISTS["tags"], _quoted(node.tags))
        case CustomCondition():
            return _en_custom(node, names)
        case PurchasesNumber():
            return _en_purchases(node, names)
        case PurchasesDay():
            return _en_purchases_day(node, names)
        case Bought():
            return _en_bought(node, names)
        case Campaigns():
            return _en_campaigns(node, names)
        case InSegment():
            return _verb("are", f"in the segment “{names.of(node.segment_id)}”")
        case Rfm():
            scores = (("recency", node.recency), ("frequency", node.frequency), ("monetary value", node.monetary))
            some = [f"{name} {_en_or([str(n) for n in each])}" for name, each in scores if each is not None]
            return _verb("have", f"{_en_and(some)} out of 5")
        case InStage():
            return _verb("are", _en_or([_EN_STAGES[each.value] for each in node.stages]))
        case _:
            raise AssertionError(f"{type(node).__name__} is no leaf")


_EN_STAGES = {"new": "new", "active": "active", "sleeping": "sleeping", "lost": "lost"}
_DENIED = {"have": "do not have", "are": "are not", "were": "were not"}
_PAST = {
    "bought": "buy", "spent": "spend", "joined": "join", "opened": "open", "got": "get", "came": "come",
}  # fmt: skip


def _verb(verb: str, rest: str) -> Clause:
    denied = _DENIED.get(verb) or (f"did not {_PAST[verb]}" if verb in _PAST else f"do not {verb}")
    return f"{verb} {rest}", f"{denied} {rest}"


def _en_number(op: NumberOp, value: str, to: str | None) -> str:
    words = {
        NumberOp.IS: "exactly {}",
        NumberOp.IS_NOT: "other than {}",
        NumberOp.BELOW: "fewer than {}",
        NumberOp.AT_MOST: "at most {}",
        NumberOp.ABOVE: "more than {}",
        NumberOp.AT_LEAST: "at least {}",
    }
    return f"between {value} and {to}" if to is not None else words[op].format(value)


def _en_money(op: NumberOp, value: int, to: int | None, names: Names) -> str:
    said = _en_number(op, names.money(value), names.money(to) if to is not None else None)
    return said.replace("fewer than", "less than")


def _en_number_field(node: NumberField, names: Names) -> Clause:
    count = _en_number(node.op, str(node.value), str(node.to) if node.to is not None else None)
    match node.name:
        case "points":
            return _verb("have", f"{count} {_points(node)}")
        case "points_pending":
            return _verb("have", f"{count} pending {_points(node)}")
        case "points_earned":
            return _verb("have", f"{count} {_points(node)} earned in all")
        case "points_spent":
            return _verb("have", f"{count} {_points(node)} spent in all")
        case "purchases_count":
            return _verb(
                "bought", "once in all" if node.op is NumberOp.IS and node.value == 1 else f"{count} times in all"
            )
        case "spent_minor":
            return _verb("spent", f"{_en_money(node.op, node.value, node.to, names)} in all")
        case "average_minor":
            return _verb("spent", f"{_en_money(node.op, node.value, node.to, names)} a purchase on average")


def _points(node: NumberField | ExpiringField) -> str:
    return "point" if (node.value, node.to) == (1, None) else "points"


_EN_CHOICES = {
    "status": ("status", "the status"),
    "gender": ("gender", "the gender"),
    "language": ("preferred language", "the language"),
    "age_band": ("age", "the age"),
    "tier_id": ("tier", "the tier"),
    "shop_id": ("home shop", "the home shop"),
    "region": ("region", "the region"),
    "source": ("source", "the source"),
}


def _en_choice(node: ChoiceField, names: Names) -> Clause:
    noun, the = _EN_CHOICES[node.name]
    if node.op in (ChoiceOp.IS_KNOWN, ChoiceOp.IS_UNKNOWN):
        known = (f"have a known {noun}", f"have no known {noun}")
        return known if node.op is ChoiceOp.IS_KNOWN else (known[1], known[0])
    values = [_EN_AGES.get(each, names.of(each)) for each in node.values]
    some = _verb("have", f"{the} {_en_or(values)}")
    if node.name in ("gender", "status"):
        some = _verb("are", _en_or(values))
    elif node.name == "age_band":
        some = _verb("are", f"{_en_or(values)} years old")
    elif node.name == "language":
        some = _verb("prefer", _en_or(_words(_LANGUAGES, node.values, Language.EN)))
    elif node.name == "source":
        some = _verb("came", f"by {_en_or(values)}")
    return some if node.op is ChoiceOp.IS_ANY else (some[1], some[0])


_EN_AGES = {
    "under_18": "under 18", "18_24": "18 to 24", "25_34": "25 to 34", "35_44": "35 to 44", "45_54": "45 to 54",
    "55_64": "55 to 64", "65_up": "65 or more",
}  # fmt: skip


def _en_when(node: DayField | PurchasesDay) -> str:
    days = f"{node.days} days"
    match node.op:
        case DayOp.ON:
            return f"on {node.day}"
        case DayOp.BEFORE:
            return f"before {node.day}"
        case DayOp.AFTER:
            return f"after {node.day}"
        case DayOp.BETWEEN:
            return f"between {node.day} and {node.to}"
        case DayOp.IN_LAST_DAYS:
            return "today" if node.days == 1 else f"in the last {days}"
        case _:
            return f"more than {'a day' if node.days == 1 else days} ago"


def _en_day_field(node: DayField) -> Clause:
    if node.name == "joined_on":
        if node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
            return _turned(("have a known day of joining", "have no known day of joining"), node.op)
        return _verb("joined", _en_when(node))
    which = "first" if node.name == "first_bought_on" else "last"
    if node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
        return _turned(("have bought something", "have never bought anything"), node.op)
    return _en_bought_day(which, _en_when(node))


def _en_bought_day(which: str, when: str) -> Clause:
    return f"bought for the {which} time {when}", f"did not buy for the {which} time {when}"


def _turned(clause: Clause, op: DayOp) -> Clause:
    return clause if op is DayOp.IS_KNOWN else (clause[1], clause[0])


def _en_birthday(node: BirthdayField) -> Clause:
    match node.op:
        case BirthdayOp.IN_NEXT_DAYS:
            return _verb("have", "their birthday " + ("today" if node.days == 1 else f"in the next {node.days} days"))
        case BirthdayOp.IN_MONTHS:
            return _verb("have", f"their birthday in {_en_or([_MONTHS[month - 1] for month in node.months])}")
        case BirthdayOp.IS_KNOWN:
            return "have told their birthday", "have not told their birthday"
        case BirthdayOp.IS_UNKNOWN:
            return "have not told their birthday", "have told their birthday"


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


_LANGUAGES = {"zh": ("中文", "Chinese"), "en": ("英文", "English")}
"""Languages in which members are written to."""

_WAYS = {
    "sms": ("短信", "SMS"), "email": ("电子邮件", "e-mail"), "wechat": ("微信", "WeChat"),
    "wecom": ("企业微信", "WeCom"), "app": ("应用", "the app"), "phone": ("电话", "phone calls"),
    "post": ("信函", "letters"), "webhook": ("回调", "webhook"),
}  # fmt: skip
"""Channels by which members are written to, in Chinese and English."""

_COUNTERS = {
    "till": ("收银台", "the till"), "pos": ("POS 收银机", "the POS till"), "web": ("网店", "the web shop"),
    "miniapp": ("小程序", "the mini app"), "app": ("应用", "the app"), "import": ("导入", "an import"),
}  # fmt: skip
"""Channels through which members buy, those that many call the same."""

_PURPOSES = {
    ACCOUNT_PURPOSE: ("会员账户通知", "notices of their account"), MARKETING_PURPOSE: ("优惠与活动", "offers and news"),
    ID_NUMBER_PURPOSE: ("保存证件号码", "the keeping of their identity number"),
}  # fmt: skip
"""What members call purposes that every merchant has, as their page of preferences does."""

SPOKEN_PURPOSES = frozenset(_PURPOSES)
"""Purposes that need no name from anywhere else."""


def _word(words: Mapping[str, tuple[str, str]], value: str, language: Language) -> str:
    """A value as people say it; one that has no word, as it is."""
    return words[value][language is Language.EN] if value in words else value


def _words(words: Mapping[str, tuple[str, str]], values: Sequence[str], language: Language) -> list[str]:
    return [_word(words, each, language) for each in values]


def _spoken(node: ListField, names: Names, language: Language) -> list[str]:
    """Values of a list as people say them."""
    if node.name in ("ways", "suppressed"):
        return _words(_WAYS, node.values, language)
    return [_consent(each, names, language) for each in node.values]


def _consent(value: str, names: Names, language: Language) -> str:
    """A purpose of all channels, or of one. Who spoke of all channels has said nothing of one in particular."""
    name, _, channel = value.partition(":")
    purpose = f"“{_word(_PURPOSES, name, language) if name in _PURPOSES else names.purposes.get(name, name)}”"
    way = _word(_WAYS, channel, language)
    if language is Language.ZH:
        return f"通过{way}接收{purpose}（就该渠道而言）" if channel else purpose
    return f"{purpose} by {way} (said of this channel)" if channel else purpose


@dataclass(frozen=True, slots=True)
class _Lists:
    """How several values are said to be there: `{}` is where they stand.

    Attributes:
        one, no_one: of a single value.
        some, none: of any of several.
        each, not_each: of all of several.
    """

    one: str
    no_one: str
    some: str
    none: str
    each: str
    not_each: str

    def said(self, op: ListOp, several: bool, either: str, both: str) -> Clause:
        """What is said, and what is said to deny it.

        Args:
            either, both: the values, one or other of which is meant, or all of which.
        """
        if not several:
            some = (self.one.format(both), self.no_one.format(both))
        elif op is ListOp.HAS_ALL:
            return self.each.format(both), self.not_each.format(both)
        else:
            some = (self.some.format(either), self.none.format(both))
        return (some[1], some[0]) if op is ListOp.HAS_NONE else some


_EN_LISTS = {
    "tags": _Lists(
        "have the tag {}", "do not have the tag {}", "have the tag {}", "have none of the tags {}",
        "have the tags {}", "do not have all of the tags {}",
    ),
    "consents": _Lists(
        "have agreed to {}", "have not agreed to {}", "have agreed to {}", "have agreed to none of {}",
        "have agreed to {}", "have not agreed to all of {}",
    ),
    "withdrawn": _Lists(
        "have declined {}", "have not declined {}", "have declined {}", "have declined none of {}",
        "have declined {}", "have not declined all of {}",
    ),
    "ways": _Lists(
        "have an address for {}", "do not have an address for {}", "have an address for {}",
        "have an address for none of {}", "have addresses for {}", "do not have addresses for all of {}",
    ),
    "suppressed": _Lists(
        "are suppressed on {}", "are not suppressed on {}", "are suppressed on {}", "are suppressed on none of {}",
        "are suppressed on {}", "are not suppressed on all of {}",
    ),
}  # fmt: skip


def _en_several(op: ListOp, lists: _Lists, values: Sequence[str]) -> Clause:
    values = list(dict.fromkeys(values))
    return lists.said(op, len(values) > 1, _en_or(values), _en_and(values))


def _en_custom(node: CustomCondition, names: Names) -> Clause:
    name = f"“{names.custom.get(node.custom_field, node.custom_field)}”"
    match node.op:
        case CustomOp.IS_KNOWN:
            return f"have a value in {name}", f"have no value in {name}"
        case CustomOp.IS_UNKNOWN:
            return f"have no value in {name}", f"have a value in {name}"
        case CustomOp.IS_ANY | CustomOp.IS_NONE:
            some = _verb("have", f"{_en_or([_value(each) for each in node.values])} in {name}")
            return some if node.op is CustomOp.IS_ANY else (some[1], some[0])
        case _:
            return _verb("have", f"{_en_number(NumberOp(node.op.value), str(node.value), None)} in {name}")


def _value(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"“{value}”" if isinstance(value, str) else str(value)


def _en_purchases(node: PurchasesNumber, names: Names) -> Clause:
    where = _en_where(node, names)
    if node.measure == "count":
        return _en_times(node.op, node.value, node.to, where)
    amount = _en_money(node.op, node.value, node.to, names)
    average = " a purchase on average" if node.measure == "average" else ""
    return _verb("spent", f"{amount}{average}{where or ' in all'}")


def _en_times(op: NumberOp, value: int, to: int | None, where: str) -> Clause:
    ever, never = f"bought something{where}", f"did not buy anything{where}"
    if (op, value) in ((NumberOp.AT_LEAST, 1), (NumberOp.ABOVE, 0), (NumberOp.IS_NOT, 0)):
        return ever, never
    if (op, value) in ((NumberOp.IS, 0), (NumberOp.AT_MOST, 0), (NumberOp.BELOW, 1)):
        return never, ever
    count = _en_number(op, str(value), str(to) if to is not None else None)
    times = "once" if (op, value) == (NumberOp.IS, 1) else f"{count} times"
    return _verb("bought", f"{times}{where}")


def _en_where(node: PurchasesNumber | PurchasesDay | Bought, names: Names) -> str:
    shops = f" in the shop {_en_or([names.of(each) for each in node.shop_ids])}" if node.shop_ids else ""
    channels = ""
    if not isinstance(node, Bought) and node.channels:
        channels = f" through {_en_or(_words(_COUNTERS, node.channels, Language.EN))}"
    return f"{shops}{channels}{_en_window(node.window)}"


def _en_window(window: LastDays | FromTo | None) -> str:
    match window:
        case None:
            return ""
        case LastDays(days=1):
            return " today"
        case LastDays(skip=0):
            return f" in the last {window.days} days"
        case LastDays() if window.days - window.skip == 1:
            return " yesterday" if window.skip == 1 else f" {window.skip} days ago"
        case LastDays():
            return f" between {window.days - 1} and {window.skip} days ago"
        case FromTo(last=None):
            return f" since {window.first}"
        case FromTo(first=None):
            return f" until {window.last}"
        case _:
            return f" from {window.first} to {window.last}"


def _en_purchases_day(node: PurchasesDay, names: Names) -> Clause:
    where = _en_where(node, names)
    if node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
        return _turned((f"bought something{where}", f"did not buy anything{where}"), node.op)
    if not where:
        return _en_bought_day(node.measure, _en_when(node))
    some = f"{node.measure} purchase{where} that was {_en_when(node)}"
    return f"have a {some}", f"have no {some}"


def _en_bought(node: Bought, names: Names) -> Clause:
    goods = []
    if node.skus:
        goods.append(("the article " if len(node.skus) == 1 else "one of the articles ") + _en_or(_quoted(node.skus)))
    if node.categories:
        goods.append("something of the category " + _en_or(_quoted(node.categories)))
    what = _en_or(goods)
    where = _en_where(node, names)
    if node.measure == "amount":
        return _verb("spent", f"at least {names.money(node.at_least)} on {what}{where}")
    if node.at_least == 1:
        return _verb("bought", f"{what}{where}")
    if node.measure == "quantity":
        return _verb("bought", f"at least {node.at_least} pieces of {what}{where}")
    return _verb("bought", f"{what} at least {node.at_least} times{where}")


def _en_campaigns(node: Campaigns, names: Names) -> Clause:
    named = _en_or([f"“{names.of(each)}”" for each in node.source_ids]) if node.source_ids else ""
    any_ = "campaign" if node.did is Did.HELD_OUT else "campaign or journey"
    by = f" by {_en_or(_words(_WAYS, node.channels, Language.EN))}" if node.channels else ""
    window = _en_window(node.window)
    yes, no = _EN_DID[node.did]
    of_none = "some" if node.did in _TWOFOLD else "any"
    return (
        yes.format(f"{named or f'some {any_}'}{by}", window), no.format(f"{named or f'{of_none} {any_}'}{by}", window),
    )  # fmt: skip


_TWOFOLD = (Did.NOT_DELIVERED, Did.NOT_OPENED, Did.NOT_CLICKED)


def _among(some: str) -> Clause:
    """Of two things at once: an `or` in the denial would be one too many in a sentence."""
    return some, f"are not among those who {some}"


_EN_DID: Mapping[Did, Clause] = {
    Did.SENT: ("were sent a message of {}{}", "were sent no message of {}{}"),
    Did.DELIVERED: (
        "have a receipt of delivery of a message of {}{}", "have no receipt of delivery of a message of {}{}",
    ),
    Did.OPENED: ("opened a message of {}{}", "opened no message of {}{}"),
    Did.CLICKED: ("followed a link in a message of {}{}", "followed no link in a message of {}{}"),
    Did.BOUNCED: ("had a message of {} bounce{}", "had no message of {} bounce{}"),
    Did.COMPLAINED: ("complained about a message of {}{}", "complained about no message of {}{}"),
    Did.OPTED_OUT: ("opted out after a message of {}{}", "did not opt out after a message of {}{}"),
    Did.FAILED: ("had a message of {} fail to reach them{}", "had no message of {} fail to reach them{}"),
    Did.HELD_OUT: ("were held out of {}{}", "were not held out of {}{}"),
    Did.NOT_DELIVERED: _among("were sent a message of {}{} and have no receipt of delivery of any"),
    Did.NOT_OPENED: _among("were sent a message of {}{} and opened none"),
    Did.NOT_CLICKED: _among("were sent a message of {}{} and followed no link in any"),
}  # fmt: skip
"""Each is said of one message at least, and denied of all of them."""


def _quoted(values: Sequence[str]) -> list[str]:
    return [f"“{each}”" for each in values]


def _en_or(values: Sequence[str]) -> str:
    return _listed(values, "or")


def _en_and(values: Sequence[str]) -> str:
    return _listed(values, "and")


def _listed(values: Sequence[str], word: str) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} {word} {values[-1]}"


# ---------------------------------------------------------------- Chinese


def _chinese(node: Definition, names: Names) -> Clause:  # noqa: PLR0912 - a case for each kind
    match node:
        case NumberField():
            return _zh_number_field(node, names)
        case ExpiringField():
            when = "今天" if node.days == 1 else f"{node.days} 天内"
            return _zh_not(f"{when}到期的积分{_zh_number(node.op, str(node.value), _text(node.to))}")
        case ChoiceField():
            return _zh_choice(node, names)
        case DayField():
            return _zh_day_field(node)
        case BirthdayField():
            return _zh_birthday(node)
        case ListField():
            return _zh_several(node.op, _ZH_LISTS[node.name], _spoken(node, names, Language.ZH))
        case Tagged():
            return _zh_several(node.op, _ZH_LISTS["tags"], _zh_quoted(node.tags))
        case CustomCondition():
            return _zh_custom(node, names)
        case PurchasesNumber():
            return _zh_purchases(node, names)
        case PurchasesDay():
            return _zh_purchases_day(node, names)
        case Bought():
            return _zh_bought(node, names)
        case Campaigns():
            return _zh_campaigns(node, names)
        case InSegment():
            name = names.of(node.segment_id)
            return f"属于人群“{name}”", f"不属于人群“{name}”"
        case Rfm():
            scores = (("最近消费", node.recency), ("消费频次", node.frequency), ("消费金额", node.monetary))
            some = [f"{name}得分为 {_zh_or([str(n) for n in each])}" for name, each in scores if each is not None]
            return _zh_not("、".join(some))
        case InStage():
            stages = _zh_or([_ZH_STAGES[each.value] for each in node.stages])
            return f"处于{stages}", f"不处于{stages}"
        case _:
            raise AssertionError(f"{type(node).__name__} is no leaf")


_ZH_STAGES = {"new": "新客期", "active": "活跃期", "sleeping": "沉睡期", "lost": "流失期"}


def _zh_not(clause: str) -> Clause:
    return clause, f"不满足“{clause}”"


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _zh_number(op: NumberOp, value: str, to: str | None) -> str:
    words = {
        NumberOp.IS: "等于 {}",
        NumberOp.IS_NOT: "不等于 {}",
        NumberOp.BELOW: "少于 {}",
        NumberOp.AT_MOST: "不超过 {}",
        NumberOp.ABOVE: "多于 {}",
        NumberOp.AT_LEAST: "不少于 {}",
    }
    return f"在 {value} 到 {to} 之间" if to is not None else words[op].format(value)


def _zh_money(op: NumberOp, value: int, to: int | None, names: Names) -> str:
    return _zh_number(op, names.money(value), names.money(to) if to is not None else None)


_ZH_NUMBERS = {
    "points": "积分",
    "points_pending": "待入账积分",
    "points_earned": "累计获得积分",
    "points_spent": "累计使用积分",
    "purchases_count": "累计消费次数",
    "spent_minor": "累计消费金额",
    "average_minor": "平均每单金额",
}


def _zh_number_field(node: NumberField, names: Names) -> Clause:
    said = _zh_number(node.op, str(node.value), _text(node.to))
    if node.name in ("spent_minor", "average_minor"):
        said = _zh_money(node.op, node.value, node.to, names)
    return _zh_not(f"{_ZH_NUMBERS[node.name]}{said}")


_ZH_CHOICES = {
    "status": "状态",
    "gender": "性别",
    "language": "语言",
    "age_band": "年龄",
    "tier_id": "等级",
    "shop_id": "所属门店",
    "region": "地区",
    "source": "来源",
}
_ZH_VALUES = {
    "active": "正常",
    "suspended": "冻结",
    "closed": "已注销",
    "female": "女",
    "male": "男",
    "other": "其他",
    "unknown": "未知",
    "under_18": "18 岁以下",
    "18_24": "18–24 岁",
    "25_34": "25–34 岁",
    "35_44": "35–44 岁",
    "45_54": "45–54 岁",
    "55_64": "55–64 岁",
    "65_up": "65 岁及以上",
}


def _zh_choice(node: ChoiceField, names: Names) -> Clause:
    noun = _ZH_CHOICES[node.name]
    if node.op in (ChoiceOp.IS_KNOWN, ChoiceOp.IS_UNKNOWN):
        known = (f"填写了{noun}", f"没有填写{noun}")
        return known if node.op is ChoiceOp.IS_KNOWN else (known[1], known[0])
    words = _ZH_VALUES if node.name in ("status", "gender", "age_band") else {}
    values = _zh_or([words.get(each) or names.of(each) for each in node.values])
    if node.name == "language":
        values = _zh_or(_words(_LANGUAGES, node.values, Language.ZH))
    some = (f"{noun}为{values}", f"{noun}不为{values}")
    return some if node.op is ChoiceOp.IS_ANY else (some[1], some[0])


def _zh_when(node: DayField | PurchasesDay) -> str:
    match node.op:
        case DayOp.ON:
            return f"在 {node.day}"
        case DayOp.BEFORE:
            return f"早于 {node.day}"
        case DayOp.AFTER:
            return f"晚于 {node.day}"
        case DayOp.BETWEEN:
            return f"在 {node.day} 至 {node.to} 之间"
        case DayOp.IN_LAST_DAYS:
            return "在今天" if node.days == 1 else f"在最近 {node.days} 天内"
        case _:
            return f"在 {node.days} 天以前"


_ZH_DAYS = {"joined_on": "入会日期", "first_bought_on": "首次消费", "last_bought_on": "最近一次消费"}


def _zh_day_field(node: DayField) -> Clause:
    if node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
        known = ("有入会日期", "没有入会日期") if node.name == "joined_on" else ("有过消费", "从未消费")
        return _turned(known, node.op)
    return _zh_is(_ZH_DAYS[node.name], _zh_when(node))


def _zh_is(what: str, when: str) -> Clause:
    """`在` is denied by `不`; `早于` and `晚于` likewise."""
    return f"{what}{when}", f"{what}不{when}"


def _zh_birthday(node: BirthdayField) -> Clause:
    match node.op:
        case BirthdayOp.IN_NEXT_DAYS:
            return _zh_is("生日", "在今天" if node.days == 1 else f"在未来 {node.days} 天内")
        case BirthdayOp.IN_MONTHS:
            return _zh_is("生日", f"在 {_zh_or([str(month) for month in node.months])} 月")
        case BirthdayOp.IS_KNOWN:
            return "填写了生日", "没有填写生日"
        case BirthdayOp.IS_UNKNOWN:
            return "没有填写生日", "填写了生日"


_ZH_LISTS = {
    "tags": _Lists(
        "带有{}标签", "没有{}标签", "带有{}标签", "没有{}中的任何标签", "同时带有{}标签", "不同时带有{}标签",
    ),
    "consents": _Lists(
        "同意{}", "没有同意{}", "同意{}", "没有同意{}中的任何一项", "同时同意{}", "没有同时同意{}",
    ),
    "withdrawn": _Lists(
        "拒绝或撤回了{}", "没有拒绝或撤回{}", "拒绝或撤回了{}", "没有拒绝或撤回{}中的任何一项", "同时拒绝或撤回了{}",
        "没有同时拒绝或撤回{}",
    ),
    "ways": _Lists(
        "留有{}联系方式", "没有留{}联系方式", "留有{}联系方式", "没有留{}中的任何联系方式", "同时留有{}联系方式",
        "没有同时留有{}联系方式",
    ),
    "suppressed": _Lists(
        "屏蔽了{}渠道", "没有屏蔽{}渠道", "屏蔽了{}渠道", "没有屏蔽{}中的任何渠道", "同时屏蔽了{}渠道",
        "没有同时屏蔽{}渠道",
    ),
}  # fmt: skip


def _zh_several(op: ListOp, lists: _Lists, values: Sequence[str]) -> Clause:
    values = list(dict.fromkeys(values))
    return lists.said(op, len(values) > 1, _zh_or(values), "和".join(values))


def _zh_custom(node: CustomCondition, names: Names) -> Clause:
    name = f"“{names.custom.get(node.custom_field, node.custom_field)}”"
    match node.op:
        case CustomOp.IS_KNOWN:
            return f"填写了{name}", f"没有填写{name}"
        case CustomOp.IS_UNKNOWN:
            return f"没有填写{name}", f"填写了{name}"
        case CustomOp.IS_ANY | CustomOp.IS_NONE:
            values = _zh_or([_zh_value(each) for each in node.values])
            some = (f"{name}为{values}", f"{name}不为{values}")
            return some if node.op is CustomOp.IS_ANY else (some[1], some[0])
        case _:
            return _zh_not(f"{name}{_zh_number(NumberOp(node.op.value), str(node.value), None)}")


def _zh_value(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "是" if value else "否"
    return f"“{value}”" if isinstance(value, str) else f" {value} "


def _zh_purchases(node: PurchasesNumber, names: Names) -> Clause:
    where = _zh_where(node, names)
    if node.measure == "count":
        return _zh_times(node.op, node.value, node.to, where)
    what = "消费金额" if node.measure == "sum" else "平均每单金额"
    return _zh_not(f"{where or '累计'}{what}{_zh_money(node.op, node.value, node.to, names)}")


def _zh_times(op: NumberOp, value: int, to: int | None, where: str) -> Clause:
    ever, never = f"{where}有过消费", f"{where}没有消费"
    if (op, value) in ((NumberOp.AT_LEAST, 1), (NumberOp.ABOVE, 0), (NumberOp.IS_NOT, 0)):
        return ever, never
    if (op, value) in ((NumberOp.IS, 0), (NumberOp.AT_MOST, 0), (NumberOp.BELOW, 1)):
        return never, ever
    return _zh_not(f"{where or '累计'}消费{_zh_number(op, str(value), _text(to))} 次")


def _zh_where(node: PurchasesNumber | PurchasesDay | Bought, names: Names) -> str:
    shops = f"在门店 {_zh_or([names.of(each) for each in node.shop_ids])} " if node.shop_ids else ""
    channels = ""
    if not isinstance(node, Bought) and node.channels:
        words = _words(_COUNTERS, node.channels, Language.ZH)
        before, after = (" " if each.isascii() else "" for each in (words[0], words[-1]))
        channels = f"通过渠道{before}{_zh_or(words)}{after}"
    return f"{_zh_window(node.window)}{shops}{channels}"


def _zh_window(window: LastDays | FromTo | None) -> str:
    match window:
        case None:
            return ""
        case LastDays(days=1):
            return "今天"
        case LastDays(skip=0):
            return f"最近 {window.days} 天内"
        case LastDays() if window.days - window.skip == 1:
            return "昨天" if window.skip == 1 else f"{window.skip} 天前当天"
        case LastDays():
            return f"{window.days - 1} 天前到 {window.skip} 天前"
        case FromTo(last=None):
            return f"自 {window.first} 起"
        case FromTo(first=None):
            return f"截至 {window.last} "
        case _:
            return f"{window.first} 至 {window.last} 期间"


def _zh_purchases_day(node: PurchasesDay, names: Names) -> Clause:
    where = _zh_where(node, names)
    if node.op in (DayOp.IS_KNOWN, DayOp.IS_UNKNOWN):
        return _turned((f"{where}有过消费", f"{where}没有消费"), node.op)
    which = "首次消费" if node.measure == "first" else "最近一次消费"
    return _zh_is(f"{where}的{which}" if where else which, _zh_when(node))


def _zh_bought(node: Bought, names: Names) -> Clause:
    goods = []
    if node.skus:
        goods.append(f"商品 {_zh_or(list(node.skus))}")
    if node.categories:
        goods.append(f"{_zh_or(_zh_quoted(node.categories))}类商品")
    what, where = _zh_or(goods), _zh_where(node, names)
    if node.measure == "amount":
        return _zh_not(f"{where}购买{what}的金额不少于 {names.money(node.at_least)}")
    if node.at_least == 1:
        return f"{where}购买过{what}", f"{where}没有购买过{what}"
    unit = "件" if node.measure == "quantity" else "次"
    return _zh_not(f"{where}购买{what}不少于 {node.at_least} {unit}")


def _zh_campaigns(node: Campaigns, names: Names) -> Clause:
    any_ = "营销活动" if node.did is Did.HELD_OUT else "营销活动或自动流程"
    named = _zh_or([f"“{names.of(each)}”" for each in node.source_ids]) if node.source_ids else ""
    ways = _zh_or(_words(_WAYS, node.channels, Language.ZH)) if node.channels else ""
    by = f"通过 {ways} " if ways.isascii() and ways else f"通过{ways}" if ways else ""
    yes, no = _ZH_DID[node.did]
    where = f"{_zh_window(node.window)}{by}"
    some = where + yes.format(named or f"某个{any_}")
    return _zh_not(some) if node.did in _TWOFOLD else (some, where + no.format(named or f"任何{any_}"))


_ZH_DID: Mapping[Did, Clause] = {
    Did.SENT: ("被发送过{}的消息", "没有被发送过{}的消息"),
    Did.DELIVERED: ("有{}消息的送达回执", "没有{}消息的送达回执"),
    Did.OPENED: ("打开过{}的消息", "没有打开过{}的消息"),
    Did.CLICKED: ("点击过{}消息中的链接", "没有点击过{}消息中的链接"),
    Did.BOUNCED: ("有{}的消息被退回", "没有{}的消息被退回"),
    Did.COMPLAINED: ("投诉过{}的消息", "没有投诉过{}的消息"),
    Did.OPTED_OUT: ("在{}的消息后退订", "没有在{}的消息后退订"),
    Did.FAILED: ("有{}的消息投递失败", "没有{}的消息投递失败"),
    Did.HELD_OUT: ("在{}的对照组中", "不在{}的对照组中"),
    Did.NOT_DELIVERED: _zh_not("被发送过{}的消息但没有任何送达回执"),
    Did.NOT_OPENED: _zh_not("被发送过{}的消息但没有打开任何一条"),
    Did.NOT_CLICKED: _zh_not("被发送过{}的消息但没有点击任何链接"),
}


def _zh_quoted(values: Sequence[str]) -> list[str]:
    return [f"“{each}”" for each in values]


def _zh_or(values: Sequence[str]) -> str:
    word = " 或 " if values[-1].isascii() else "或"
    return values[0] if len(values) == 1 else f"{'、'.join(values[:-1])}{word}{values[-1]}"
