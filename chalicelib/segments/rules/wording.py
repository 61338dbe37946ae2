"""A definition as a sentence that a marketer reads, in Chinese and in English. Pure.

Every leaf is a clause: in English what follows "Members who", in Chinese what stands before "的会员". Each knows how it
is denied, so that "not" reads as people say it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
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
        by_id: names of tiers, segments, shops and campaigns, by their ids; what has none is called by its id.
        custom: labels of custom fields, by their names.
    """

    currency: str = "CNY"
    by_id: Mapping[str, str] = field(default_factory=dict)
    custom: Mapping[str, str] = field(default_factory=dict)

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
    return f"Members who {said}." if language is Language.EN else f"{said}的会员。"


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
            return _en_list(node)
        case Tagged():
            what = "tag" if len(node.tags) == 1 else "tags"
            return _en_several(node.op, "have", f"the {what} ", _quoted(node.tags))
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


_CHANNELS = {
    "sms": ("短信", "text messages"), "email": ("电子邮件", "e-mail"), "wechat": ("微信", "WeChat"),
    "app": ("应用", "the app"), "phone": ("电话", "calls"), "post": ("信函", "letters"),
    "webhook": ("回调", "webhooks"),
}  # fmt: skip


def _spoken(node: ListField, place: int) -> list[str]:
    """Values of a list as people say them: channels by their names in Chinese (0) or English (1), the rest as it is."""
    if node.name not in ("ways", "suppressed"):
        return list(node.values)
    return [_CHANNELS[each][place] if each in _CHANNELS else each for each in node.values]


def _en_list(node: ListField) -> Clause:
    verb, what = {
        "consents": ("have", "consented to "),
        "withdrawn": ("have", "withdrawn "),
        "ways": ("have", "an address for "),
        "suppressed": ("are", "suppressed on "),
    }[node.name]
    clause = _en_several(node.op, verb, what, _spoken(node, 1))
    if node.name in ("consents", "withdrawn"):
        clause = (clause[0].replace("do not have", "have not"), clause[1].replace("do not have", "have not"))
    return clause


def _en_several(op: ListOp, verb: str, what: str, values: Sequence[str]) -> Clause:
    some = _verb(verb, what + (_en_and(values) if op is ListOp.HAS_ALL else _en_or(values)))
    return (some[1], some[0]) if op is ListOp.HAS_NONE else some


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
        channels = f" through {_en_or(list(node.channels))}"
    return f"{shops}{channels}{_en_window(node.window)}"


def _en_window(window: LastDays | FromTo | None) -> str:
    match window:
        case None:
            return ""
        case LastDays(days=1):
            return " today"
        case LastDays(skip=0):
            return f" in the last {window.days} days"
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
    sources = [f"“{names.of(each)}”" for each in node.source_ids or ()]
    by = f" by {_en_or(list(node.channels))}" if node.channels else ""
    whole = f"{_en_or(sources) if sources else 'any campaign'}{by}{_en_window(node.window)}"
    yes, no = _EN_DID[node.did]
    return f"{yes} {whole}", f"{no} {whole}"


_EN_DID: Mapping[Did, Clause] = {
    Did.SENT: ("were sent", "were not sent"),
    Did.DELIVERED: ("got", "did not get"),
    Did.OPENED: ("opened", "did not open"),
    Did.CLICKED: ("followed a link in", "did not follow a link in"),
    Did.BOUNCED: ("could not be reached with", "could be reached with, or were not sent,"),
    Did.COMPLAINED: ("complained about", "did not complain about"),
    Did.OPTED_OUT: ("opted out after", "did not opt out after"),
    Did.FAILED: ("could not be sent", "could be sent, or were not meant to be sent,"),
    Did.HELD_OUT: ("were held out of", "were not held out of"),
    Did.NOT_DELIVERED: ("were sent and did not get", "got, or were not sent,"),
    Did.NOT_OPENED: ("were sent and did not open", "opened, or were not sent,"),
    Did.NOT_CLICKED: ("were sent and followed no link in", "followed a link in, or were not sent,"),
}


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
            return _zh_list(node)
        case Tagged():
            return _zh_several(node.op, ("带有", "没有"), _zh_quoted(node.tags), "标签")
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


def _zh_list(node: ListField) -> Clause:
    verbs, noun = {
        "consents": (("同意", "不同意"), ""),
        "withdrawn": (("撤回过", "没有撤回过"), "的同意"),
        "ways": (("留有", "没有留"), "联系方式"),
        "suppressed": (("屏蔽了", "没有屏蔽"), "渠道"),
    }[node.name]
    channels = node.name in ("ways", "suppressed")
    values = [each if channels else f" {each} " for each in _spoken(node, 0)]
    return _zh_several(node.op, verbs, values, noun)


def _zh_several(op: ListOp, verbs: tuple[str, str], values: Sequence[str], noun: str) -> Clause:
    together = "和".join(values) if op is ListOp.HAS_ALL else _zh_or(values)
    some = (f"{verbs[0]}{together}{noun}".rstrip(), f"{verbs[1]}{together}{noun}".rstrip())
    return (some[1], some[0]) if op is ListOp.HAS_NONE else some


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
        channels = f"通过渠道 {_zh_or(list(node.channels))} "
    return f"{_zh_window(node.window)}{shops}{channels}"


def _zh_window(window: LastDays | FromTo | None) -> str:
    match window:
        case None:
            return ""
        case LastDays(days=1):
            return "今天"
        case LastDays(skip=0):
            return f"最近 {window.days} 天内"
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
    sources = _zh_or([f"“{names.of(each)}”" for each in node.source_ids]) if node.source_ids else "任一活动"
    by = f"通过 {_zh_or(list(node.channels))} " if node.channels else ""
    yes, no = _ZH_DID[node.did]
    where = f"{_zh_window(node.window)}{by}"
    return where + yes.format(sources), where + no.format(sources)


_ZH_DID: Mapping[Did, Clause] = {
    Did.SENT: ("收到过{}的发送", "没有收到{}的发送"),
    Did.DELIVERED: ("成功收到{}", "没有成功收到{}"),
    Did.OPENED: ("打开过{}", "没有打开{}"),
    Did.CLICKED: ("点击过{}", "没有点击{}"),
    Did.BOUNCED: ("{}被退回", "{}没有被退回"),
    Did.COMPLAINED: ("投诉过{}", "没有投诉过{}"),
    Did.OPTED_OUT: ("在{}后退订", "没有在{}后退订"),
    Did.FAILED: ("{}发送失败", "{}没有发送失败"),
    Did.HELD_OUT: ("在{}的对照组中", "不在{}的对照组中"),
    Did.NOT_DELIVERED: ("已发送但没有成功收到{}", "成功收到或未被发送{}"),
    Did.NOT_OPENED: ("已发送但没有打开{}", "打开过或未被发送{}"),
    Did.NOT_CLICKED: ("已发送但没有点击{}", "点击过或未被发送{}"),
}


def _zh_quoted(values: Sequence[str]) -> list[str]:
    return [f"“{each}”" for each in values]


def _zh_or(values: Sequence[str]) -> str:
    word = " 或 " if values[-1].isascii() else "或"
    return values[0] if len(values) == 1 else f"{'、'.join(values[:-1])}{word}{values[-1]}"
