"""An export as a page that a member can read and print: words for names, days for numbers, sentences for consents.

It knows no section by heart: a kind of record that it has never heard of becomes a table under its own name.
"""

import re
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
from chalicelib.privacy.labels import FIELDS, INNER, KINDS, LEFT_OUT, NARROW, ONLY, TEXTS, VALUES
from chalicelib.privacy.models import Export, ExportRecord
from chalicelib.programs.models import Program
from chalicelib.programs.rules import NO_TIER

_COLUMNS = (
    "at", "occurred_ms", "made_ms", "notified_ms", "opened_ms", "joined_ms", "used_ms", "decided_ms", "entered_ms",
    "asked_ms", "added_ms", "of", "kind_letter", "kind", "asked_for", "action", "event_type", "card_kind", "channel",
    "by", "points", "balance_after", "lines", "shop_id", "why", "status", "outcome", "path", "left_for", "role",
    "consent", "name", "number", "subject", "text", "changes",
)  # fmt: skip
"""Fields that have a column of their own, in this order; what else a record has shares the last one."""
_WHEN = _COLUMNS[:11]

_DAY = re.compile(r"[1-9]\d{3}(\d{2})(\d{2})|([1-9]\d{3})-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}[^ ]*")
_DAYS = frozenset({"expires_on", "matures_on"})
_EPOCH = range(10**12, 5 * 10**12)
"""Milliseconds of this century and the next; nothing else that is counted gets so large."""
_TIERS = frozenset({"tier", "tier_before", "tier_after", "from_tier", "into_tier"})
_PLAIN = frozenset({"birth_year", "cohort", "month"})
"""Numbers that are not counted with."""

_OF_CARDS = frozenset({"points", "balance_after", "price", "given_back"})
"""Numbers that are money where the card is of a currency."""

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
    "@media print{body{margin:0;max-width:none;font-size:10pt}thead{display:table-header-group}"
    "tr{break-inside:avoid}h2{break-after:avoid}div.wide{overflow:visible}}"
)


def page_of(export: Export, language: Language, program: Program) -> str:
    """An export as a page of HTML that needs nothing else: no script, no image, nothing that is loaded.

    Args:
        program: gives the time zone, and the words of rules.
    """
    page = _Page(export, language, program)
    title = page.text("title")
    body = "\n".join(page.parts())
    return (
        f'<!doctype html>\n<html lang="{language.value}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style>\n"
        f"<h1>{title}</h1><p>{page.text('lead')}</p>"
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
    currencies: dict[str, str] = field(default_factory=dict)
    """Of stored-value cards: their entries count in money."""

    def __post_init__(self) -> None:
        for record in self.export.records:
            if record.of and record.kind == "card" and "currency" in record.data:
                self.currencies[record.of] = record.data["currency"]

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
            if kind not in NARROW:
                kinds.setdefault(kind, []).append(record)
        known = list(KINDS)
        for kind in sorted(kinds, key=lambda each: known.index(each) if each in KINDS else len(known)):
            title = self.of_both(KINDS[kind]) if kind in KINDS else kind
            yield f"<h2>{escape(title)} ({len(kinds[kind])})</h2>{self._records(kinds[kind])}"

    def _about(self) -> Iterator[tuple[str, str]]:
        said = self.export.member.model_dump(mode="json")
        yield self.text("name"), self._value("name", said["name"])
        yield self.text("member_number"), escape(said["member_number"])
        for name in (
            "mobile", "email", "birthday", "gender", "card_no", "other_identifiers", "external_ids", "bank_cards",
            "custom", "shop_id", "source", "referral_code", "tags", "status",
        ):  # fmt: skip
            yield self.label(name), self._value(name, said[name])
        if said["tier"]:
            yield self.label("tier"), escape(said["tier"]["name"])
        if said["points"]:
            yield self.label("available"), f"{said['points']['available']:,}"
        yield self.label("joined_ms"), self.moment(self.export.member.joined_at)
        yield self.label("consents"), self._list([self._consent(each) for each in map(_parts_of, said["consents"])])

    def _facts(self, rows: Iterable[tuple[str, str]]) -> str:
        nothing = f"<small>{self.text('nothing')}</small>"
        return _table(None, [f"<tr><th>{escape(name)}<td>{value or nothing}" for name, value in rows])

    def _records(self, records: Sequence[ExportRecord]) -> str:
        """Records as a table; a single one as a list of what it says."""
        several = len({record.of for record in records}) > 1
        rows = [_shown(record, several=several) for record in records]
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
                rest = [name for name in row if name not in columns]
                said = [
                    f"{escape(self.label(name))}{self.text('colon')}{value}"
                    for name in rest
                    if (value := self._value(name, row[name], record))
                ]
                small = "<small>" + "<br>".join(said) + "</small>" if said else ""
                cells.append(_cell("", self.text("other"), small))
            lines.append("<tr>" + "".join(cells))
        return _table(heads, lines)

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
            return self._number(name, value, currency)
        if isinstance(value, str):
            return escape(self._written(name, value))
        if isinstance(value, Mapping):
            return self._object(value, record)
        return self._list([self._value(name, each, record) for each in value if each not in ("", None, [], {})])

    def _change(self, change: Mapping[str, Any]) -> str:
        """What became of something, in words; empty where it is said elsewhere."""
        if change["item"] in _QUIET:
            return ""
        said = [self.word("changed_state", change["state"])] if "state" in change else []
        was, now = ({NAMES.get(n, n): each for n, each in change.get(when, {}).items()} for when in ("before", "after"))
        for name in (each for each in was | now if each not in INNER):
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
            return str(record.data.get("currency") or self.program.currency)
        return self.currencies.get(record.of or "", "") if name in _OF_CARDS else ""

    def _number(self, name: str, value: int, currency: str) -> str:
        if name.endswith("_ms") or (not currency and value in _EPOCH):
            return escape(self.moment(from_milliseconds(value)))
        if name in _DAYS:
            return escape(self._written(name, str(value)))
        if currency:
            return escape(shown(value, currency))
        return str(value) if name in _PLAIN else f"{value:+,}" if name == "points" and value else f"{value:,}"

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
        if value == self.export.member.member_id:
            return self.text("you")
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
        said = [str(each) for each in parts if each and not isinstance(each, int)]
        currency = self.currencies.get(record.of or "", "") if record else ""
        said += [shown(each, currency) for each in parts if currency and isinstance(each, int)]
        return escape(" ".join(said))

    def _whose(self, account_id: str) -> str:
        if account_id.startswith("mem_"):
            return self.text("you" if account_id == self.export.member.member_id else "former")
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
                found.append(self.text("base").format(paid=paid, points=why.points))
                continue
            try:
                found.append(explained(why, self.program, self.language))
            except (LookupError, ValueError):
                continue
        return found

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
        said = f"{self.text('comma')}{self.word('source', source)}" if source else ""
        sentence = self.text("granted" if granted else "withdrawn")
        channel = self.word("channel", channel) if channel else self.text("all_channels")
        when = self.moment(from_milliseconds(at) if isinstance(at, int) else datetime.fromisoformat(at))
        purpose, text = self.word("purpose", purpose), self.word("text_version", text_version)
        return escape(sentence.format(at=when, channel=channel, purpose=purpose, text=text, source=said))


def _parts_of(consent: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(consent[name] for name in ("purpose", "granted", "text_version", "at", "channel", "source"))


def _kind_of(record: ExportRecord) -> str:
    """The section that a record belongs to: an entry of a card or a pool is none of the member's points."""
    if record.kind == "ledger entry" and record.of and not record.of.startswith("mem_"):
        return "entry of a card" if record.of.startswith("crd_") else "entry of a pool"
    return record.kind


def _shown(record: ExportRecord, *, several: bool) -> dict[str, Any]:
    """What is shown of a record, and whose it is where several stand in one table."""
    own = {"of": record.of} if several and record.of else {}
    wanted = ONLY.get(record.kind, record.data.keys() - INNER)
    # Who has a card does not do what staff do with it; and only members have tiers.
    silent = {"acted_by"} if _kind_of(record) == "entry of a card" else set()
    silent |= {name for name in _TIERS if record.data.get(name) == NO_TIER}
    return own | {name: value for name, value in record.data.items() if name in wanted and name not in silent}


def _rank(name: str) -> tuple[int, str]:
    return (_COLUMNS.index(name), "") if name in _COLUMNS else (len(_COLUMNS), name)


def _when(row: Mapping[str, Any]) -> str:
    """What a table is sorted by: instants are milliseconds, or text of one form."""
    return next((str(row[name]) for name in _WHEN if name in row), "")


def _cell(name: str, head: str, value: str) -> str:
    """A cell, which says its column's name itself where a narrow screen has no columns."""
    kind = ' class="d"' if name in _WHEN else ""
    if name in ("points", "balance_after") or name.endswith("_minor"):
        kind = ' class="n"'
    return f'<td{kind} data-of="{head}">' + (f"<div>{value}</div>" if value else "")


def _table(heads: Sequence[str] | None, rows: Iterable[str]) -> str:
    head = "<thead><tr>" + "".join(f"<th>{each}" for each in heads) + "</thead>" if heads else ""
    kind = ' class="list"' if heads else ""
    return f'<div class="wide"><table{kind}>{head}<tbody>{"".join(rows)}</tbody></table></div>'
