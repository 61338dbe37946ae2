"""An export as a page that a member can read and print: words for names, days for numbers, sentences for consents.

It knows no section by heart: a kind of record that it has never heard of becomes a table under its own name.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from html import escape
from typing import Any

from chalicelib.kernel.calendar import NEVER, from_milliseconds, zone
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import shown
from chalicelib.points.store import why_from
from chalicelib.points.views import explained
from chalicelib.privacy.actions import Both
from chalicelib.privacy.catalogue import NAMES
from chalicelib.privacy.labels import (
    BESIDE,
    FIELDS,
    INNER,
    KINDS,
    LEFT_OUT,
    NARROW,
    OF_NO_CHANNEL,
    ONLY,
    TEXTS,
    VALUES,
)
from chalicelib.privacy.models import Export, ExportRecord
from chalicelib.programs.models import Program
from chalicelib.programs.rules import NO_TIER
from chalicelib.storage import keys

_WHEN = (
    "at", "occurred_ms", "happened_ms", "merged_at", "made_ms", "notified_ms", "opened_ms", "joined_ms", "used_ms",
    "decided_ms", "entered_ms", "asked_ms", "added_ms",
)  # fmt: skip
"""When a record was made: what a table is sorted by."""

_COLUMNS = (
    *_WHEN, "of", "order_no", "kind_letter", "kind", "asked_for", "action", "event_type", "card_kind", "channel", "by",
    "points", "balance_after", "lines", "shop_id", "why", "status", "outcome", "path", "left_for", "role", "consent",
    "name", "number", "subject", "text", "changes",
)  # fmt: skip
"""Fields that have a column of their own, in this order; what else a record has shares the last one."""

_DAY = re.compile(r"[1-9]\d{3}(\d{2})(\d{2})|([1-9]\d{3})-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}[^ ]*")
_DAYS = frozenset({"expires_on", "matures_on"})
_EPOCH = range(10**12, 5 * 10**12)
"""Milliseconds of this century and the next; nothing else that is counted gets so large."""
_TIERS = frozenset({"tier", "tier_before", "tier_after", "from_tier", "into_tier", "tier_then"})
_PLAIN = frozenset({"birth_year", "cohort"})
"""Numbers that are not counted with."""

_OF_CARDS = frozenset({"points", "balance_after", "given_back"})
"""Numbers that are money, or visits, where a card is what has them."""

_ACCOUNT = re.compile(r"(mem|crd|pol)_[a-z2-7]{16}")
_PROFILE, _MERGE = "profile of a member", "merge of two members"
_PARTS = frozenset({"a member's part in a pool"})
_OUR_IDS = re.compile(r"(mrg|ent|hld|trf|apr)_[\w-]+")
"""Ids that say nothing to whoever reads them, and lead to nothing that the page does not show."""
_ISO_DAY, _LARGE = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"(?<![\d.,¥+-])\d{4,}(?= 分)")

_QUIET = frozenset({"number of cards", "share"})
"""Items whose changes follow from others that stand beside them."""

_STYLE = (
    "*{box-sizing:border-box}"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "h1{margin-bottom:.2em}h2{margin:1.8em 0 .4em;font-size:1.15em;border-bottom:1px solid #ccc}"
    ".soft,td small,caption{color:#555}table{border-collapse:collapse;width:100%;font-size:.92em}"
    "th,td{text-align:left;vertical-align:top;padding:.3em .8em .3em 0;border-bottom:1px solid #e4e4e4;"
    "overflow-wrap:break-word}"
    "thead th{white-space:nowrap;color:#555;font-weight:600}tbody th{width:14em;font-weight:400;color:#555}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "td.d{white-space:nowrap}ul{margin:0;padding-left:1.2em}"
    "div.wide{overflow-x:auto}.list td:last-child{min-width:11em}"
    "@media screen and (max-width:56em){body{margin:1em auto}div.wide{overflow:visible}"
    "tbody th{width:8.5em}td{overflow-wrap:anywhere}"
    "table.list,.list tbody,.list tr,.list td{display:block;width:100%}.list thead{display:none}"
    ".list tr{border:1px solid #ddd;border-radius:8px;padding:.5em .8em;margin:.7em 0}"
    ".list td,.list td.n,.list td.d{display:grid;grid-template-columns:7.5em minmax(0,1fr);gap:.6em;border:0;"
    "padding:.15em 0;text-align:left;white-space:normal}"
    ".list td:empty{display:none}.list td::before{content:attr(data-of);color:#555}}"
    "@media print{body{margin:0;padding:0;max-width:none;font-size:9pt}thead{display:table-header-group}"
    "tr{break-inside:avoid}h2{break-after:avoid}div.wide{overflow:visible}"
    "thead th,td.d{white-space:normal}th,td{overflow-wrap:anywhere;padding-right:.5em}"
    "thead th,td.n,td.w{overflow-wrap:normal}"
    ".list td:last-child{min-width:0}.list td:not(:last-child){min-width:3.2em}tbody th{width:9em}}"
)


def page_of(export: Export, language: Language, program: Program, titles: Mapping[str, str] | None = None) -> str:
    """An export as a page of HTML that needs nothing else: no script, no image, nothing that is loaded.

    Args:
        program: gives its name, the time zone, the words of rules and of its own fields.
        titles: what members call purposes of consents, where texts of consents say so.
    """
    page = _Page(export, language, program, titles or {})
    title, whose = page.text("title"), escape(program.name.in_(language))
    body = "\n".join(page.parts())
    return (
        f'<!doctype html>\n<html lang="{language.value}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title} · {whose}</title>'
        f"<style>{_STYLE}</style>\n"
        f"<h1>{title} · {whose}</h1><p>{page.text('lead')}</p>"
        f'<p class="soft">{page.text("exported")}{page.text("colon")}{page.moment(export.exported_at)} · '
        f"{page.text('zone')} {escape(program.time_zone)}</p>\n{body}\n"
        f"{page.left_out()}\n</html>\n"
    )


@dataclass
class _Page:
    """What the page is made of, and in which words."""

    export: Export
    language: Language
    program: Program
    titles: Mapping[str, str]
    currencies: dict[str, str] = field(default_factory=dict)
    """Of cards: what is paid for them, and of stored-value cards what they hold."""
    of_visits: set[str] = field(default_factory=set)
    """Count cards: their entries count visits."""
    names: dict[str, str] = field(default_factory=dict)
    """Of cards and pools, by id; and the numbers of memberships that were merged."""

    def __post_init__(self) -> None:
        cards = Counter(each.data.get("name") for each in self.export.records if each.kind == "card")
        for record in self.export.records:
            if not record.of:
                continue
            name = record.data.get("name")
            if record.kind == "card":
                self.currencies[record.of] = record.data.get("currency", "")
                if record.data.get("card_kind") == "count":
                    self.of_visits.add(record.of)
                if name and cards[name] == 1:
                    self.names[record.of] = name
            elif record.kind == "pool" and name:
                self.names[record.of] = name
            elif record.kind == _PROFILE:
                self.names[record.of] = record.data.get("number", "")

    # ------------------------------------------------------------ words

    def of_both(self, both: Both) -> str:
        """One of two words."""
        return both[0] if self.language is Language.ZH else both[1]

    def text(self, name: str) -> str:
        """A text of the page's own."""
        return self.of_both(TEXTS[name])

    def label(self, name: str) -> str:
        """What a field is called."""
        return self.of_both(FIELDS[name]) if name in FIELDS else name.removesuffix("_ms").replace("_", " ")

    def word(self, name: str, value: str) -> str:
        """What a value of a field is called."""
        known = VALUES.get(name, {}).get(value)
        return self.of_both(known) if known else value

    def day(self, value: date) -> str:
        """A day as people write it."""
        if value == NEVER:
            return self.text("never")
        if self.language is Language.ZH:
            return f"{value.year}年{value.month}月{value.day}日"
        return f"{value.day} {value:%B} {value.year}"

    def moment(self, value: datetime) -> str:
        """An instant in the program's time zone."""
        local = value.astimezone(zone(self.program.time_zone))
        return f"{self.day(local.date())} {local:%H:%M}"

    def left_out(self) -> str:
        """What is not on the page on purpose, and why."""
        lines = "".join(f"<li>{escape(self.of_both(each))}" for each in LEFT_OUT)
        return f'<h2>{self.text("left_out")}</h2><ul class="soft">{lines}</ul>'

    # ------------------------------------------------------------ parts

    def parts(self) -> Iterator[str]:
        """Who it is, then a table for every kind of record."""
        yield f"<h2>{self.text('about')}</h2>{self._facts(self._about())}"
        kinds: dict[str, list[ExportRecord]] = {}
        for record in self.export.records:
            kind = _kind_of(record)
            if kind not in NARROW and not self._is_own_profile(record):
                kinds.setdefault(kind, []).append(record)
        known = list(KINDS)
        for kind in sorted(kinds, key=lambda each: known.index(each) if each in KINDS else len(known)):
            title = self.of_both(KINDS[kind]) if kind in KINDS else kind
            yield f"<h2>{escape(title)} ({len(kinds[kind])})</h2>{self._records(kinds[kind])}"

    def _is_own_profile(self, record: ExportRecord) -> bool:
        return record.kind == _PROFILE and record.of == self.export.member.member_id

    def _about(self) -> Iterator[tuple[str, str]]:
        said = self.export.member.model_dump(mode="json")
        yield self.text("name"), self._value("name", said["name"])
        yield self.text("member_number"), escape(said["member_number"])
        for name in (
            "mobile", "email", "birthday", "gender", "language", "card_no", "other_identifiers", "external_ids",
            "bank_cards", "custom", "shop_id", "source", "referral_code", "tags", "status",
        ):  # fmt: skip
            yield self.label(name), self._value(name, said[name])
        if said["tier"]:
            yield self.label("tier"), escape(said["tier"]["name"])
        if said["points"]:
            yield self.label("available"), f"{said['points']['available']:,}"
        yield self.label("joined_ms"), self.moment(self.export.member.joined_at)
        yield self.label("consents"), self._list([self._consent(each) for each in map(_parts_of, said["consents"])])
        for record in filter(self._is_own_profile, self.export.records):
            for name in BESIDE:
                if value := self._value(name, record.data.get(name), record):
                    yield self.label(name), value

    def _facts(self, rows: Iterable[tuple[str, str]]) -> str:
        nothing = f"<small>{self.text('nothing')}</small>"
        return _table(None, [f"<tr><th>{escape(name)}<td>{value or nothing}" for name, value in rows])

    def _records(self, records: Sequence[ExportRecord]) -> str:
        """Records as a table; a single one as a list of what it says."""
        several = len({record.of for record in records}) > 1
        rows = [self._row(record, several=several) for record in records]
        if len(rows) == 1:
            names = sorted(rows[0], key=_rank)
            return self._facts([(self.label(name), self._value(name, rows[0][name], records[0])) for name in names])
        rows_of = sorted(zip(rows, records, strict=True), key=lambda pair: _when(pair[0]), reverse=True)
        columns = [
            name for name in _COLUMNS if any(name in row and self._value(name, row[name], of) for row, of in rows_of)
        ]
        others = any(set(row) - set(columns) for row in rows)
        heads = [escape(self.label(name)) for name in columns] + ([self.text("other")] if others else [])
        lines = []
        for row, record in rows_of:
            cells = [
                _cell(name, head, self._value(name, row.get(name), record))
                for name, head in zip(columns, heads, strict=False)
            ]
            if others:
                rest = sorted((name for name in row if name not in columns), key=_rank)
                said = [
                    f"{escape(self.label(name))}{self.text('colon')}{value}"
                    for name in rest
                    if (value := self._value(name, row[name], record))
                ]
                small = "<small>" + "<br>".join(said) + "</small>" if said else ""
                cells.append(_cell("", self.text("other"), small))
            lines.append("<tr>" + "".join(cells))
        return _table(heads, lines)

    def _row(self, record: ExportRecord, *, several: bool) -> dict[str, Any]:
        """What is shown of a record, and whose it is where several stand in one table."""
        data = self._merged(record.data["merge"]) if record.kind == _MERGE else dict(record.data)
        if record.kind.startswith("purchase") and "channel" in data:
            data["channel_of_sale"] = data.pop("channel")
        if "order_no" in data:
            data.pop("purchase_id", None)
        if "means" in (facts := data.get("facts") or {}):
            data["means"] = facts["means"]
            del data["facts"]
        if record.kind == _PROFILE or data.get("member_id") == self.export.member.member_id:
            data.pop("member_id", None)
        if data.get("currency") == self.program.currency or record.of in self.of_visits:
            data.pop("currency", None)
        if data.get("tier_before") == data.get("tier_after") or "tier_after" not in data:
            data.pop("tier_before", None)
        if data.get("into_tier") == data.get("tier_then"):
            data.pop("into_tier", None)
        wanted = ONLY.get(record.kind, data.keys() - INNER)
        # Who has a card does not do what staff do with it; and only members have tiers.
        silent = {"acted_by"} if _kind_of(record) == "entry of a card" else set()
        silent |= {name for name in _TIERS if data.get(name) == NO_TIER}
        silent |= {name for name in ("reference",) if _OUR_IDS.fullmatch(str(data.get(name, "")))}
        # A card's own row has its name; of a part in a pool nothing else says in which.
        named = record.kind == "card" and record.of in self.names
        own = {"of": record.of} if record.of and not named and (several or record.kind in _PARTS) else {}
        shown = {name: value for name, value in data.items() if value not in (None, "", [], {})}
        return own | {name: value for name, value in shown.items() if name in wanted and name not in silent}

    def _merged(self, merge: Mapping[str, Any]) -> dict[str, Any]:
        """A merge, as rows that follow each other: who went, what came with it, and until when it can be undone."""
        undone = merge.get("undone") or {}
        return {
            "merged_at": merge["at"], "from_number": self._number_of(merge["from_member_id"]),
            "points_moved": merge["points_moved"], "from_tier": merge["from_tier"], "into_tier": merge["into_tier"],
            "tier_then": merge["tier_after"], "balance_then": merge["balance_after"], "undone_until": merge["until"],
            "undone_at": undone.get("at"), "points_back": undone.get("points_moved"),
        }  # fmt: skip

    def _number_of(self, member_id: str) -> str:
        """A membership by its number, where it is one of those that became the member's."""
        return self.names.get(member_id) or self.text("another")

    # ------------------------------------------------------------ values

    def _value(self, name: str, value: Any, record: ExportRecord | None = None) -> str:
        """A value as HTML; empty for what says nothing."""
        if value is None or value in ("", [], {}, ()):
            return ""
        currency = self._currency(name, record)
        special: Mapping[str, Callable[[Any], str]] = {
            "of": lambda each: escape(self._whose(each)),
            "why": lambda each: self._list([escape(line) for line in self._why(each, record)]),
            "means": lambda each: self._list([self._payment(one, record) for one in each]),
            "external_ids": self._pairs,
            "other_identifiers": self._pairs,
            "others": self._pairs,
            "consent": self._consent,
            "consents": lambda each: self._list([self._consent(one) for one in each]),
            "lines": lambda each: self._list([self._line(one, record) for one in each]),
            "changes": lambda each: self._bullets([said for one in each if (said := self._change(one))]),
            "former": lambda each: self._bullets([self._former(*one) for one in each]),
            "custom": lambda each: self._list([self._own_field(*one) for one in each.items()]),
            "contact_changed": lambda each: self.moment(from_milliseconds(each[0])),
            "path": lambda each: self._list([self._passed(*one) for one in each]),
            "heard": lambda each: self._list([self._passed("", *one) for one in each]),
            "returned_lines": lambda each: self._list([escape(f"{sku} × {count}") for sku, count in each]),
        }
        if name in special and not (name == "means" and isinstance(value, str)):
            return special[name](value)
        if isinstance(value, bool):
            return self.text("yes" if value else "no")
        if isinstance(value, int):
            if record is not None and record.of in self.of_visits and name in _OF_CARDS:
                return self._visits(name, value)
            return self._number(name, value, currency)
        if isinstance(value, str):
            if name == "kind_letter" and record is not None and _kind_of(record) == "entry of a card":
                opened = value == "e" and not record.data.get("points")
                return escape(self.word("kind_letter_of_card", "opened" if opened else value))
            return escape(self._written(name, value))
        if isinstance(value, Mapping):
            return self._object(value, record)
        return self._list([self._value(name, each, record) for each in value if each not in ("", None, [], {})])

    def _visits(self, name: str, count: int) -> str:
        number = f"{count:+,}" if name == "points" and count else f"{count:,}"
        return self.text("visit" if abs(count) == 1 else "visits").format(count=number)

    def _own_field(self, name: str, value: Any) -> str:
        """A field of the merchant's own, by the name that the program gives it."""
        known = self.program.custom_fields.get(name)
        label = known.label.in_(self.language) if known else self.label(name)
        return f"{escape(label)}{self.text('colon')}{self._value(name, value)}"

    def _change(self, change: Mapping[str, Any]) -> str:
        """What became of something, in words; empty where it is said elsewhere."""
        if change["item"] in _QUIET:
            return ""
        said = [self.word("changed_state", change["state"])] if "state" in change else []
        was, now = ({NAMES.get(n, n): each for n, each in change.get(when, {}).items()} for when in ("before", "after"))
        same = {"currency"} if now.get("currency") == self.program.currency else set()
        for name in (each for each in was | now if each not in INNER and each not in same):
            old, new = (self._value(name, each.get(name)) for each in (was, now))
            if old or new:
                became = f"{old} → {new or self.text('nothing')}" if old else new
                said.append(f"{escape(self.label(name))}{self.text('colon')}{became}")
        # Contact data are sealed anew with every write; the note beside it names those that were changed.
        others = [NAMES.get(each, each) for each in change.get("changed", ()) if each != "contact"]
        labels = [self.label(each) for each in others if each not in INNER]
        labels += [self.text("sums")] if len(labels) < len(others) else []
        if labels:
            said.append(
                f"{self.label('changed')}{self.text('colon')}{escape(self.text('comma').join(dict.fromkeys(labels)))}"
            )
        if not said:
            return ""
        return escape(self.word("item", change["item"])) + self.text("colon") + self.text("semicolon").join(said)

    def _currency(self, name: str, record: ExportRecord | None) -> str:
        """The currency that a number is in; empty for what is no money."""
        if record is None:
            return ""
        if name.endswith("_minor"):
            return str(record.data.get("currency") or self.currencies.get(record.of or "") or self.program.currency)
        return self.currencies.get(record.of or "", "") if name in _OF_CARDS or name == "price" else ""

    def _number(self, name: str, value: int, currency: str) -> str:
        if name.endswith("_ms") or (not currency and value in _EPOCH):
            return escape(self.moment(from_milliseconds(value)))
        if name in _DAYS:
            return escape(self._written(name, str(value)))
        if name == "month":
            return escape(self._month(value))
        if currency:
            return escape(shown(value, currency))
        return str(value) if name in _PLAIN else f"{value:+,}" if name == "points" and value else f"{value:,}"

    def _month(self, value: int) -> str:
        year, month = divmod(value, 100)
        return f"{year}年{month}月" if self.language is Language.ZH else f"{date(year, month, 1):%B %Y}"

    def _birthday(self, value: str) -> str:
        """A month and a day, 03-15, as people write them."""
        month, day = map(int, value.split("-"))
        return f"{month}月{day}日" if self.language is Language.ZH else f"{day} {date(2000, month, 1):%B}"

    def _written(self, name: str, value: str) -> str:
        """A text: a day or an instant as people write it, a word of ours in the page's language, or as it is."""
        if _INSTANT.fullmatch(value):
            return self.moment(datetime.fromisoformat(value))
        if (name.endswith("_ms") or name in _DAYS or "-" in value) and _DAY.fullmatch(value):
            return self.day(date.fromisoformat(value))
        if name in _TIERS and value == NO_TIER:
            return ""
        if name == "fields":
            return self.label(value)
        if name in _TIERS and any(tier.tier_id == value for tier in self.program.ladder.tiers):
            return self.program.tier(value).name.in_(self.language)
        if name == "month_day":
            return self._birthday(value)
        if name == "purchase_id" and (order := keys.order_of(value)):
            return order[1]
        if _ACCOUNT.fullmatch(value):
            return self._whose(value)
        return self.word(name, value)

    def _object(self, value: Mapping[str, Any], record: ExportRecord | None) -> str:
        said = [
            f"{escape(self.label(name))}{self.text('colon')}{inner}"
            for name, each in value.items()
            if name not in INNER and (inner := self._value(name, each, record))
        ]
        return self.text("semicolon").join(said)

    def _list(self, values: Sequence[str]) -> str:
        if len(values) < 2:
            return "".join(values)
        if all(len(each) < 25 and "<" not in each for each in values):
            return self.text("comma").join(values)
        return self._bullets(values)

    def _bullets(self, values: Sequence[str]) -> str:
        if len(values) < 2:
            return "".join(values)
        return "<ul>" + "".join(f"<li>{each}" for each in values) + "</ul>"

    def _former(self, kind: str, value: str, at: int, *_: Any) -> str:
        """A number or address that was the member's, and until when."""
        until = self.moment(from_milliseconds(at))
        return escape(f"{self.word('identifier', kind)}{self.text('colon')}{value}{self.text('comma')}{until}")

    def _pairs(self, value: Sequence[Any]) -> str:
        """Numbers with what they are, as answers have them or as they are stored."""
        pairs = [tuple(each.values()) if isinstance(each, Mapping) else tuple(each) for each in value]
        named = ((self.word("identifier", str(kind)), *rest) for kind, *rest in pairs)
        return self._list([escape(self.text("colon").join(map(str, pair))) for pair in named])

    def _payment(self, parts: Sequence[Any], record: ExportRecord | None) -> str:
        """By what means something was paid, how much, and under which number."""
        kind, *more = parts
        said = [self.word("means", str(kind)), *(str(each) for each in more if each and not isinstance(each, int))]
        currency = self.currencies.get(record.of or "", "") if record else ""
        said += [shown(each, currency) for each in parts if currency and isinstance(each, int)]
        return escape(" ".join(said))

    def _whose(self, account_id: str) -> str:
        if account_id == self.export.member.member_id:
            return self.text("you")
        if account_id.startswith("mem_"):
            number = self.names.get(account_id)
            return self.text("former").format(number=number) if number else self.text("another")
        if account_id in self.names:
            return self.names[account_id]
        sort = self.text("card" if account_id.startswith("crd_") else "pool")
        return f"{sort} …{account_id[-4:]}"

    def _why(self, text: str, record: ExportRecord | None) -> list[str]:
        """A rule's arithmetic in sentences; what entries of cards have there is said by their figures."""
        if record is None or _kind_of(record) == "entry of a card":
            return []
        found = []
        try:
            rules = why_from(text)
        except ValueError:
            return []
        for why in rules:
            if why.rule_id == "base":
                paid = shown(why.args[0], self.program.currency)
                found.append(self.text("base").format(paid=paid, points=f"{why.points:,}"))
                continue
            try:
                found.append(self._sentence(explained(why, self.program, self.language)))
            except (LookupError, ValueError):
                continue
        return found

    def _sentence(self, text: str) -> str:
        """A sentence of the API's, with days and numbers as they stand elsewhere on the page."""
        text = _ISO_DAY.sub(lambda found: self.day(date.fromisoformat(found[0])), text)
        return _LARGE.sub(lambda found: f"{int(found[0]):,}", text)

    def _line(self, line: Mapping[str, Any], record: ExportRecord | None) -> str:
        name = line.get("name") or line.get("sku") or ""
        price = line.get("unit_price_minor")
        cost = f" ({shown(price, self._currency('_minor', record))})" if isinstance(price, int) and record else ""
        return escape(f"{name} × {line.get('quantity', 1)}{cost}")

    def _passed(self, step: str, outcome: str, at: int) -> str:
        """What came of a step of a journey, or of a message, and when."""
        said = (step, self.word("outcome", outcome)) if step else (self.word("outcome", outcome),)
        return escape(f"{self.moment(from_milliseconds(at))}{self.text('colon')}{self.text('comma').join(said)}")

    def _consent(self, parts: Sequence[Any]) -> str:
        """What was said of a consent, in a sentence."""
        purpose, granted, text_version, at, channel, source = (*parts, "", "")[:6]
        more = [] if channel or purpose in OF_NO_CHANNEL else [self.text("all_channels")]
        if text_version:
            known = VALUES["text_version"].get(text_version)
            more.append(self.of_both(known) if known else self.text("text_of").format(text=text_version))
        more += [self.word("source", source)] if source else []
        sentence = self.text(("granted" if granted else "withdrawn") + ("_by" if channel else ""))
        when = self.moment(from_milliseconds(at) if isinstance(at, int) else datetime.fromisoformat(at))
        named = self.titles.get(purpose) or self.word("purpose", purpose)
        said = sentence.format(
            at=when, channel=self.word("channel", channel or ""), purpose=named, more=self.text("comma").join(more)
        )
        return escape(said)


def _parts_of(consent: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(consent[name] for name in ("purpose", "granted", "text_version", "at", "channel", "source"))


def _kind_of(record: ExportRecord) -> str:
    """The section that a record belongs to: an entry of a card or a pool is none of the member's points."""
    if record.kind == "ledger entry" and record.of and not record.of.startswith("mem_"):
        return "entry of a card" if record.of.startswith("crd_") else "entry of a pool"
    return record.kind


_FIELDS = {name: place for place, name in enumerate(FIELDS)}


def _rank(name: str) -> tuple[int, int, str]:
    """Columns first, then what has a name, in the order in which names stand; then the rest."""
    column = _COLUMNS.index(name) if name in _COLUMNS else len(_COLUMNS)
    return column, _FIELDS.get(name, len(_FIELDS)), name


def _when(row: Mapping[str, Any]) -> str:
    """What a table is sorted by: instants are milliseconds, or text of one form."""
    return next((str(row[name]) for name in _WHEN if name in row), "")


def _cell(name: str, head: str, value: str) -> str:
    """A cell, which says its column's name itself where a narrow screen has no columns."""
    kind = ' class="d"' if name in _WHEN else ""
    if name in VALUES:
        kind = ' class="w"'
    if name in ("points", "balance_after") or name.endswith("_minor"):
        kind = ' class="n"'
    return f'<td{kind} data-of="{head}">' + (f"<div>{value}</div>" if value else "")


def _table(heads: Sequence[str] | None, rows: Iterable[str]) -> str:
    head = "<thead><tr>" + "".join(f"<th>{each}" for each in heads) + "</thead>" if heads else ""
    kind = ' class="list"' if heads else ""
    return f'<div class="wide"><table{kind}>{head}<tbody>{"".join(rows)}</tbody></table></div>'
