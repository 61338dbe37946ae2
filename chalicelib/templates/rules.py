"""What a template comes to: checked when it is saved, compiled once, filled in for each member. Pure.

message = compiled(template, Language.ZH)
for member in …:
    message.filled({"name": "李小明", "points": "1,280", "opt_out": "https://…"})
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape
from json import dumps
from typing import Any

from pydantic import JsonValue

from chalicelib.kernel import texts
from chalicelib.kernel.languages import Language
from chalicelib.members.models import ACCOUNT_PURPOSE, MemberView
from chalicelib.members.rules import is_of_messages
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.templates import markup
from chalicelib.templates.errors import TemplateInvalid
from chalicelib.templates.fields import FIELDS, PERSONAL, Sort, birthday_shown, samples, shown
from chalicelib.templates.holes import (
    Flaw,
    Hole,
    Pieces,
    Place,
    cleaned,
    filled,
    holes_in,
    link_of,
    merged,
    text_of,
    unseen,
)
from chalicelib.templates.models import (
    AppContent,
    Content,
    Contents,
    EmailContent,
    Rendered,
    SmsContent,
    SmsSize,
    Template,
    WebhookContent,
    WechatContent,
)

FAULTS_MAX = 20
NOT_OF_MESSAGES = "members are written to for notices, marketing or marketing_<topic>, and for nothing else"
WHOLE_MAX = 2**53
"""Larger numbers are not the same in every reader of JSON."""

JSON_DEPTH_MAX, JSON_LEAVES_MAX, JSON_MAX = 8, 200, 20_000


def is_commercial(purpose: str) -> bool:
    """Whether a message of a purpose needs a consent beforehand, and a way to opt out: all but that of the account."""
    return purpose != ACCOUNT_PURPOSE


# ---------------------------------------------------------------- compiled


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template in one language, ready to be filled in.

    Attributes:
        needed: the fields that it has.
    """

    language: Language
    parts: Mapping[str, Pieces]
    params: Mapping[str, Pieces] = field(default_factory=dict)
    template_code: str = ""
    signature: str = ""
    needed: frozenset[str] = frozenset()

    @property
    def needs_contact(self) -> bool:
        """Whether the member's contact data have to be opened for it, beside the address."""
        return bool(self.needed & PERSONAL)

    def filled(self, values: Mapping[str, str]) -> Rendered:
        """What one member is written.

        Args:
            values: by field, as `fields.shown` words them; fields that it has not are not looked at.
        """
        given: dict[str, str] = {}
        missing: list[str] = []
        for name in self.needed:
            value = cleaned(name, values[name], self.language) if name in values else ""
            instead = FIELDS[name].instead
            if not value and instead is not None:
                value = instead[self.language]
            if value:
                given[name] = value
            else:
                missing.append(name)
        return Rendered(
            language=self.language,
            params={name: filled(pieces, given) for name, pieces in self.params.items()},
            template_code=self.template_code,
            signature=self.signature,
            missing=tuple(sorted(missing)),
            **{name: filled(pieces, given) for name, pieces in self.parts.items()},
        )


def compiled(template: Template, language: Language, *, provider: str = "") -> Compiled:
    """A template in a language, or in the other one, where it has nothing in this. Compile once for many members.

    Args:
        provider: `aliyun` or `tencent`: with the parameters of its own template, where there is one.
    """
    spoken, content = template.in_(language)
    reading = _Reading(f"/contents/{spoken.value}")
    made = _compile(content, spoken, template.purpose, provider, reading)
    if reading.faults:
        raise TemplateInvalid(faults=reading.faults)
    return made


def language_for(said: Collection[Language], own: Language | None, program: Language) -> Language:
    """The language in which a template goes to a member: their own, else the program's, else the one that it has.

    Args:
        said: the languages in which it says something.
        own: the member's; None: they have none.
    """
    wanted = own or program
    return next((each for each in (wanted, program, *said) if each in said), wanted)


def rendered(template: Template, language: Language, fields: Mapping[str, str], *, provider: str = "") -> Rendered:
    """What one member is written, for those who write to one."""
    return compiled(template, language, provider=provider).filled(fields)


def require_new(contents: Contents, purpose: str) -> None:
    """See that a template may be saved: it is sound, and for a purpose by which members are written to.

    Raises:
        TemplateInvalid: it may not. Members who end all messages would not end another purpose.
    """
    if not is_of_messages(purpose):
        raise TemplateInvalid(faults=[{"pointer": "/purpose", "detail": NOT_OF_MESSAGES}])
    require_sound(contents, purpose, new=True)


def require_sound(contents: Contents, purpose: str, *, new: bool = False) -> dict[Language, Compiled]:
    """See that a template can be sent as it is written; what it comes to, by language.

    Args:
        new: whether it is being saved: then it also has no address where nobody can follow it.

    Raises:
        TemplateInvalid: it cannot; each fault with a JSON pointer, and the character, line and column there.
    """
    faults: list[dict[str, Any]] = []
    found: dict[Language, Compiled] = {}
    for language in Language:
        content: Content | None = getattr(contents, language.value)
        if content is None:
            continue
        for provider in ("", "aliyun", "tencent"):
            reading = _Reading(f"/contents/{language.value}", new=new)
            made = _compile(content, language, purpose, provider, reading)
            faults += [each for each in reading.faults if each not in faults]
            found.setdefault(language, made)
    if faults:
        raise TemplateInvalid(faults=faults[:FAULTS_MAX])
    return found


class _Reading:
    """Collects what is wrong, with where it stands.

    Attributes:
        new: it is being saved. What was saved before goes out though it has addresses of ours where they are of no use.
    """

    def __init__(self, pointer: str, *, new: bool = False) -> None:
        self.pointer = pointer
        self.new = new
        self.faults: list[dict[str, Any]] = []

    def text(self, name: str, text: str, place: Place, *, lines: bool = False) -> Pieces:
        pieces, flaws = text_of(text, place, lines=lines)
        self.note(name, text, flaws)
        return pieces

    def title(self, name: str, text: str) -> Pieces:
        """One line that is no place for an address."""
        pieces = self.text(name, text, Place.LINE)
        links = [each for each in sorted(holes_in(pieces)) if FIELDS[each].sort is Sort.LINK] if self.new else []
        self.note(name, text, [Flaw(f"{each} is an address: nobody can follow it here", 0) for each in links])
        return pieces

    def link(self, name: str, text: str | None) -> Pieces:
        if text is None:
            return ()
        pieces, flaws = link_of(text)
        self.note(name, text, flaws)
        return tuple(_in_clear(each) for each in pieces)

    def note(self, name: str, text: str, flaws: Sequence[Flaw]) -> None:
        for flaw in flaws[:FAULTS_MAX]:
            before = text[: flaw.offset]
            self.faults.append(
                {
                    "pointer": f"{self.pointer}/{name}",
                    "detail": flaw.detail,
                    "offset": flaw.offset,
                    "line": before.count("\n") + 1,
                    "column": flaw.offset - before.rfind("\n"),
                }
            )


def _in_clear(piece: str | Hole) -> str | Hole:
    """An address that stands alone, and in no attribute."""
    return Hole(piece.field, Place.LINE) if isinstance(piece, Hole) and piece.place is Place.ATTRIBUTE else piece


def _compile(content: Content, language: Language, purpose: str, provider: str, reading: _Reading) -> Compiled:
    match content:
        case SmsContent():
            made = _sms(content, language, purpose, provider, reading)
        case EmailContent():
            made = _email(content, language, purpose, reading)
        case AppContent():
            made = _app(content, reading)
        case WechatContent():
            made = _wechat(content, purpose, reading)
        case WebhookContent():
            made = {"parts": {"text": _payload(content.payload, reading)}}
    pieces = [*made["parts"].values(), *made.get("params", {}).values()]
    needed = frozenset(name for each in pieces for name in holes_in(each))
    made["parts"] = {name: merged(each) for name, each in made["parts"].items()}
    return Compiled(language=language, needed=needed, **made)


# ---------------------------------------------------------------- by channel

_WAYS_OUT = re.compile(
    r"(?:^|[\s,.;:!?，。；：！？、~(（])(?:拒收请回复R|请?回复?TD?退订|退订请?回复?TD?|"
    r"(?:reply|text) stop to (?:opt out|unsubscribe|end))[\s.。!！)）]*\Z",
    re.IGNORECASE,
)
"""A text that ends by one of these tells how to opt out: whoever answers so is understood (`reach.rules.meant`). Other
words may say anything: that the shop is open non-stop, or that the answer is of no use.
"""
_REPLY = {Language.ZH: "拒收请回复R", Language.EN: " Reply STOP to opt out"}
_FOOTER = {Language.ZH: ("退订", "消息偏好"), Language.EN: ("Unsubscribe", "Preferences")}


def _tells_way_out(pieces: Pieces) -> bool:
    """Whether a text ends by telling to what to reply."""
    last = pieces[-1] if pieces else ""
    return isinstance(last, str) and _WAYS_OUT.search(last) is not None


def _sms(content: SmsContent, language: Language, purpose: str, provider: str, reading: _Reading) -> dict[str, Any]:
    text = reading.text("text", content.text, Place.SMS, lines=True)
    sign = re.search("[【】]", content.text)
    if sign is not None:
        reading.note("text", content.text, [Flaw("【】 is how a sender signs: put it into signature", sign.start())])
    if content.signature and unseen(content.signature):
        reading.note("signature", content.signature, [Flaw("it holds a character that nobody sees", 0)])
    if is_commercial(purpose) and not _tells_way_out(text):
        # Behind an address they would be part of it.
        text = (*text, " " if text and isinstance(text[-1], Hole) else "", _REPLY[language])
    if content.signature:
        text = (f"【{content.signature}】", *text)
    params: dict[str, Pieces] = {}
    code = ""
    if content.aliyun is not None and provider == "aliyun":
        code = content.aliyun.template_code
        for name, value in content.aliyun.params.items():
            params[name] = reading.text(f"aliyun/params/{name}", value, Place.SMS)
    if content.tencent is not None and provider == "tencent":
        code = content.tencent.template_id
        for number, value in enumerate(content.tencent.params):
            params[str(number + 1)] = reading.text(f"tencent/params/{number}", value, Place.SMS)
    return {"parts": {"text": text}, "params": params, "template_code": code, "signature": content.signature or ""}


def _email(content: EmailContent, language: Language, purpose: str, reading: _Reading) -> dict[str, Any]:
    subject = reading.title("subject", content.subject)
    read = markup.read(content.html)
    reading.note("html", content.html, [*read.flaws, *(read.misplaced if reading.new else ())])
    html, derived = list(read.html), list(read.text)
    if content.text is not None:
        derived = list(reading.text("text", content.text, Place.LINE, lines=True))
    if is_commercial(purpose):
        ways = _FOOTER[language]
        if not read.way_out:
            end = read.body_end or len(html)
            html[end:end] = _footer(ways)
        if "opt_out" not in holes_in(tuple(derived)):
            derived += [f"\n\n{ways[0]}: ", Hole("opt_out", Place.LINE)]
            if "preferences" not in holes_in(tuple(derived)):
                derived += [f"\n{ways[1]}: ", Hole("preferences", Place.LINE)]
    return {"parts": {"subject": subject, "html": tuple(html), "text": _tidied(derived)}}


_SEEN = ";".join(
    f"{name}!important"
    for name in (
        "visibility:visible", "opacity:1", "position:static", "float:none", "transform:none", "clip-path:none",
        "width:auto", "height:auto", "max-width:none", "max-height:none", "overflow:visible", "text-indent:0",
        "margin:0", "padding:0", "font-size:12px", "color:#767676", "background:#fff",
    )
)  # fmt: skip
"""What stands at an element and is important, no style sheet of the mail's can undo."""


def _footer(words: tuple[str, str]) -> list[str | Hole]:
    """The way to opt out, at the end of what is shown."""
    out, preferences = (escape(each) for each in words)
    return [
        f'<p style="display:block!important;{_SEEN};line-height:1.6!important;text-align:center"><a href="',
        Hole("opt_out", Place.ATTRIBUTE),
        f'" style="display:inline!important;{_SEEN}">{out}</a> · <a href="',
        Hole("preferences", Place.ATTRIBUTE),
        f'" style="display:inline!important;{_SEEN}">{preferences}</a></p>',
    ]


def _tidied(pieces: Sequence[str | Hole]) -> Pieces:
    """Text with no more than one empty line at a time, and none at its ends."""
    joined: list[str | Hole] = []
    for each in pieces:
        if isinstance(each, str) and joined and isinstance(joined[-1], str):
            joined[-1] += each
        else:
            joined.append(each)
    tidy = [_without_empty_lines(each) if isinstance(each, str) else each for each in joined]
    if tidy and isinstance(tidy[0], str):
        tidy[0] = tidy[0].lstrip()
    if tidy and isinstance(tidy[-1], str):
        tidy[-1] = tidy[-1].rstrip()
    return tuple(each for each in tidy if each != "")


def _without_empty_lines(text: str) -> str:
    return re.sub(r"\n{2,}", "\n\n", re.sub(r"[ ]*\n[ ]*", "\n", text))


def _app(content: AppContent, reading: _Reading) -> dict[str, Any]:
    """A message in the app. The way to opt out goes beside it: the app shows it, as a webhook's receiver does."""
    parts = {
        "subject": reading.title("title", content.title),
        "text": reading.text("text", content.text, Place.LINE, lines=True),
        "url": reading.link("url", content.url),
    }
    return {"parts": parts}


def _wechat(content: WechatContent, purpose: str, reading: _Reading) -> dict[str, Any]:
    params = {name: reading.text(f"data/{name}", value, Place.LINE) for name, value in content.data.items()}
    url = reading.link("url", content.url)
    text = reading.text("text", content.text, Place.LINE, lines=True) if content.text else ()
    leads_out = len(url) == 1 and not holes_in(url).isdisjoint({"opt_out", "preferences"})
    if is_commercial(purpose) and not leads_out and not any(_tells_way_out(each) for each in params.values()):
        if url:
            detail = (
                "a commercial message tells how to opt out: say so in data (回复TD退订), or let url be {{preferences}}"
            )
            reading.note("data", "", [Flaw(detail, 0)])
        url = (Hole("preferences", Place.LINE),)
    if text and is_commercial(purpose) and "opt_out" not in holes_in(text):
        text = (*text, "\n", Hole("opt_out", Place.LINE))
    return {"parts": {"text": text, "url": url}, "params": params, "template_code": content.template_id}


def _payload(payload: dict[str, JsonValue], reading: _Reading) -> Pieces:
    """A JSON document as pieces: its texts are read, its names are not."""
    pieces: list[str | Hole] = []
    leaves = 0

    def walk(value: JsonValue, pointer: str, depth: int) -> None:
        nonlocal leaves
        leaves += 1
        if depth > JSON_DEPTH_MAX or leaves > JSON_LEAVES_MAX:
            if leaves == JSON_LEAVES_MAX + 1 or depth == JSON_DEPTH_MAX + 1:
                detail = f"a document has at most {JSON_LEAVES_MAX} values, {JSON_DEPTH_MAX} deep in one another"
                reading.note(pointer, "", [Flaw(detail, 0)])
            return
        if isinstance(value, str):
            read = reading.text(pointer, value, Place.JSON, lines=True)
            pieces.append('"')
            pieces.extend(dumps(each, ensure_ascii=False)[1:-1] if isinstance(each, str) else each for each in read)
            pieces.append('"')
        elif isinstance(value, dict):
            pieces.append("{")
            for number, (name, each) in enumerate(value.items()):
                _require_name(name, pointer, reading)
                pieces.append(("," if number else "") + dumps(name, ensure_ascii=False) + ":")
                walk(each, f"{pointer}/{_escaped(name)}", depth + 1)
            pieces.append("}")
        elif isinstance(value, list):
            pieces.append("[")
            for number, each in enumerate(value):
                pieces.append("," if number else "")
                walk(each, f"{pointer}/{number}", depth + 1)
            pieces.append("]")
        else:
            if isinstance(value, float) or (isinstance(value, int) and abs(value) > WHOLE_MAX):
                reading.note(pointer, "", [Flaw("a number is whole and at most 2^53: write others as text", 0)])
                return
            pieces.append(dumps(value))

    walk(payload, "payload", 0)
    if sum(len(each) for each in pieces if isinstance(each, str)) > JSON_MAX:
        reading.note("payload", "", [Flaw(f"the document has more than {JSON_MAX} characters", 0)])
    return tuple(pieces)


def _require_name(name: str, pointer: str, reading: _Reading) -> None:
    at = f"{pointer}/{_escaped(name)}"
    if "{{" in name or "}}" in name:
        reading.note(at, "", [Flaw("a field cannot stand in a name", 0)])
    if unseen(name) or len(name) > 100:
        reading.note(at, "", [Flaw("a name has at most 100 characters, all of which are seen", 0)])


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


# ---------------------------------------------------------------- values


def values_of(member: MemberView, program: Program, language: Language, *, today: date) -> dict[str, str]:
    """What a member's fields hold; those that follow from a campaign or a purchase are not among them.

    Args:
        today: by the program's clock.
    """
    points, expiring = member.points, member.points.expiring_next
    found: dict[str, str | int | date | None] = {
        "name": member.name,
        "member_number": member.member_number,
        "program": program.name.in_(language),
        "tier": program.tier(member.tier.tier_id).name.in_(language),
        "points": points.available,
        "points_pending": points.pending,
        "points_expiring": expiring.points if expiring else None,
        "points_expire_on": expiring.on if expiring else None,
        "joined_on": today_of(program, member.joined_at),
        "birthday": birthday_shown(member.birthday[-5:], language) if member.birthday else None,
        "today": today,
    }
    return {name: shown(value, language) for name, value in found.items() if value is not None}


# ---------------------------------------------------------------- text messages


def sms_size(text: str) -> SmsSize:
    """How long a text message is, and how many parts are paid for (`kernel.texts`)."""
    characters, encoding, parts = texts.sms_size(text)
    return SmsSize(characters=characters, encoding=encoding, parts=parts)


def sizes(compiled_by: Mapping[Language, Compiled]) -> dict[Language, SmsSize]:
    """How long a text message is in each language, for somebody made up."""
    return {language: sms_size(each.filled(samples(language)).text) for language, each in compiled_by.items()}
