"""The data catalogue: of everything that is stored, what it is, how it is masked, how long it stays, who gets it.

A test lives a whole life and fails for an attribute that has no entry here; `docs/data-catalogue.md` is made of this.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.kernel.personal import Kind


class Data(StrEnum):
    """What sort of data something is."""

    CONTACT = "contact"
    """Tells who somebody is, or reaches them. Sealed with the member's key."""
    PERSON = "person"
    """About somebody, without telling who: birthday without its year, gender, language, home shop, tags, consents."""
    CONDUCT = "conduct"
    """What somebody bought, earned, spent and was told: of a person for as long as the id leads to one."""
    WORDS = "words"
    """Words that a person wrote. Looked at for bank card numbers; may hold anything else."""
    STAFF = "staff"
    """Who of the staff did something."""
    KEY = "key"
    """Keys, wrapped, and what is computed with one: tells nothing by itself."""
    MERCHANT = "merchant"
    """The merchant's own: programs, names of pools' and cards' designs, figures of jobs."""
    MACHINE = "machine"
    """Places in indexes, versions, digests."""


class Kept(StrEnum):
    """How long something stays."""

    MEMBER = "member"
    """Until the member is erased."""
    CLAIM = "claim"
    """While a member has the identifier: gone with a change, a closure or an erasure."""
    LEDGER = "ledger"
    """With the books, under an id that leads to nobody once the member is erased."""
    WORDS = "words"
    """With the books; taken out with an erasure, because the chain covers only a digest of them."""
    SEALED = "sealed"
    """With the record, sealed with keys of the members that they are about: unreadable once one of them is erased."""
    RECORD = "record"
    """As long as who did what must be told, half a year at the least."""
    STACK = "stack"
    """As long as the merchant uses the product."""
    WHILE = "while"
    """Days to months: the item says when it expires."""


@dataclass(frozen=True, slots=True)
class Datum:
    """An attribute, or several of one sort.

    Attributes:
        data: what it is.
        kept: how long it stays.
        exported: whether an export of everything about a member has it.
        masked: how answers mask it; None where they show it, or never do.
        parts: of an attribute with fields, those that an export has, inner ones after a dot; None for all. What staff
            typed stands in some, beside what is told: a field that is not named here stays out.
    """

    data: Data
    kept: Kept
    exported: bool = False
    masked: Kind | None = None
    parts: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A kind of item.

    Attributes:
        name: what people call it.
        place: matches partition and sort key, with a space between.
        attributes: every attribute that such an item may have, beside `pk` and `sk`.
    """

    table: str
    name: str
    place: str
    attributes: Mapping[str, Datum]


def _all(names: str, datum: Datum) -> dict[str, Datum]:
    return dict.fromkeys(names.split(), datum)


_PLACE = Datum(Data.MACHINE, Kept.LEDGER)
_BOOKS = Datum(Data.CONDUCT, Kept.LEDGER, exported=True)
_WORDS = Datum(Data.WORDS, Kept.WORDS, exported=True)
_OWN = Datum(Data.PERSON, Kept.MEMBER, exported=True)
_MERCHANT = Datum(Data.MERCHANT, Kept.STACK)
_PASSING = Datum(Data.MERCHANT, Kept.WHILE)
_KEYS = Datum(Data.KEY, Kept.MEMBER)
_STAFF = Datum(Data.STAFF, Kept.STACK)
_AUDIT = Datum(Data.MACHINE, Kept.RECORD)
_WAY = Datum(Data.CONDUCT, Kept.LEDGER, exported=True)
_NOTED = Datum(Data.CONDUCT, Kept.WHILE, exported=True)
_JOURNEY_COUNTS = (
    "e",
    *(
        f"l:{why}"
        for why in ["completed", "goal", "ended", "erased", "closed", "suspended", "merged", "no_birthday", "failed"]
    ),
    *(f"{what}{step}" for what in "ia" for step in range(30)),
)
"""Counters of those in a journey, but for those of outcomes, `o<step>:<outcome>`."""


_HAPPENED = frozenset({"fields", "given", "replaced", "points", "expires_on"})
"""Of what happened: neither why staff did it, nor who did."""

_MERGED = frozenset(
    {
        "key", "from_member_id", "into_member_id", "at", "until", "points_moved", "points_regained", "identifiers",
        "balance_after", "from_tier", "into_tier", "tier_after", "program_version", "brought", "from_anchor",
        "into_anchor", "undone.at", "undone.points_moved", "undone.points_expired", "undone.identifiers",
        "undone.from_balance", "undone.into_balance", "undone.from_tier", "undone.into_tier", "undone.program_version",
    }
)  # fmt: skip
"""Of a merge: not why it was made, nor undone."""


def _contact(masked: Kind | None) -> Datum:
    return Datum(Data.CONTACT, Kept.MEMBER, exported=True, masked=masked)


SEALED: Mapping[str, Datum] = {
    "name": _contact(Kind.NAME),
    "mobile": _contact(Kind.MOBILE),
    "email": _contact(Kind.EMAIL),
    "card_no": _contact(Kind.CARD_NO),
    "external_ids": _contact(Kind.EXTERNAL_ID),
    "others": _contact(Kind.CARD_NO),  # each by its own kind
    "former": _contact(None),  # numbers and addresses changed or removed in the last 72 hours; no answer has them
    "birth_year": _contact(Kind.BIRTHDAY),
    "bank_cards": _contact(Kind.SECRET),  # bank and last four are shown, the provider's token is not
    "custom": _contact(Kind.SECRET),
}
"""What is inside the sealed attribute `contact` of a profile."""

_ENTRY = {
    **_all("tl at h v", _PLACE),
    **_all("d ad", Datum(Data.MACHINE, Kept.LEDGER)),
    **_all("r p b o on e x c pd q l mt hd hu sm by an tb ta w rc cz rf pu n gv lg", _BOOKS),
    "what": Datum(Data.CONDUCT, Kept.LEDGER, exported=True, parts=frozenset({"means"})),
    **_all("nm msg", _WORDS),
    "note_internal": Datum(Data.WORDS, Kept.WORDS),
    **_all("to from mf mi", _BOOKS),
    **_all("sb sf who", Datum(Data.STAFF, Kept.LEDGER)),
}
_SALE = _all("sh cu m tn tp ln am mb rl rn bk rs ret aw dl ma af", _BOOKS)
_EARLY = {**_all("no facts ra is wm", _BOOKS), **_all("wr member_id", _BOOKS)}

CATALOGUE: tuple[Stored, ...] = (
    Stored(
        "core", "profile of a member", r"M#\S+ PROFILE",
        {
            **_all("tl at due version", Datum(Data.MACHINE, Kept.MEMBER)),
            "erased": Datum(Data.MACHINE, Kept.LEDGER),
            **_all("member_id number", _OWN),
            "contact": _contact(None),
            **_all(
                "gender language shop tags custom consents joined source referral contact_changed ways cohort region",
                _OWN,
            ),
            "suppressed": _OWN,
            "month_day": Datum(Data.PERSON, Kept.MEMBER, exported=True, masked=Kind.BIRTHDAY),
        },
    ),
    Stored(
        "core", "account of a member, a pool or a card", r"[MGC]#\S+ ACCOUNT",
        {
            **_all("version head due seq last", _PLACE),
            **_all(
                "status into absorbed whole opened tier earned spent folded pending holds sent life booked qualifying"
                " anchor held told heat off",
                _BOOKS,
            ),
        },
    ),
    Stored("core", "identifier, as a blind index", r"U#\S+ U", {"member_id": Datum(Data.KEY, Kept.CLAIM)}),
    Stored(
        "core", "enrolment, by its key", r"K#enrol#\S+ O",
        {"member_id": Datum(Data.MACHINE, Kept.LEDGER), "content": Datum(Data.KEY, Kept.LEDGER)},
    ),
    Stored("core", "ledger entry", r"(K#(?!enrol)|C#)\S+ (O|TU#\S+)", {**_ENTRY, **_SALE}),
    Stored(
        "core", "purchase, return, restatement, delivery", r"O#\S+ (O|RF#\S+|RS#\S+|DL)", {**_ENTRY, **_SALE, **_EARLY}
    ),
    Stored(
        "core", "what happened to a member and moved no points", r"H#\S+ \S+",
        {
            **_all("tl at", _PLACE),
            "kind": _BOOKS,
            "what": Datum(Data.WORDS, Kept.WORDS, exported=True, parts=_HAPPENED),
        },
    ),
    Stored("core", "transfer, in the list of one side", r"X#\S+ (giver|receiver)", _all("tl at", _PLACE)),
    Stored(
        "core", "merge of two members", r"MERGE#\S+ MERGE",
        {"version": _PLACE, "merge": Datum(Data.WORDS, Kept.WORDS, exported=True, parts=_MERGED)},
    ),
    Stored(
        "core", "pool", r"G#\S+ POOL",
        {
            **_all("tl at version content", _PLACE),
            "name": Datum(Data.WORDS, Kept.WORDS, exported=True),
            **_all("kind owner count opened closed", _BOOKS),
        },
    ),
    Stored(
        "core", "a member's part in a pool", r"G#\S+ W#\S+",
        {"version": _PLACE, **_all("role limit joined month spent", _BOOKS)},
    ),
    Stored(
        "core", "that a member may be written to otherwise than before", r"RCH#\S+ \S+",
        {"why": Datum(Data.PERSON, Kept.WHILE)},
    ),
    Stored(
        "core", "address that is not written to, as a blind index", r"SUP#\S+ SUP",
        {
            **_all("tl at version", Datum(Data.MACHINE, Kept.RECORD)),
            **_all("channel source added lifted code", Datum(Data.PERSON, Kept.RECORD, exported=True)),
            "by": Datum(Data.STAFF, Kept.RECORD),
        },
    ),
    Stored(
        "core", "run of what is sent to many", r"CRUN#\S+ RUN",
        _all(
            "run_id source source_id step status purpose wordings since until zone parts planned quiet gift version",
            _MERCHANT,
        ),
    ),
    Stored(
        "core", "template, and its versions", r"TPL#\S+ (HEAD|V#\d+)",
        {
            **_all("tl at template name purpose channel languages content archived created changed", _MERCHANT),
            **_all("current version", _MERCHANT),
            "by": _STAFF,
        },
    ),
    Stored("core", "how many cards a member was given", r"M#\S+ WALLET", {"version": _PLACE, "cards": _BOOKS}),
    Stored("core", "that a member left a pool", r"M#\S+ WAS#\S+", {}),
    Stored("core", "that a member belongs to a pool", r"M#\S+ SHARES#\S+", {"version": _PLACE}),
    Stored(
        "core", "card", r"C#\S+ PROFILE",
        {
            **_all("tl at", _PLACE),
            "name": Datum(Data.WORDS, Kept.WORDS, exported=True),
            **_all("card_kind currency number uses price product means opened", _BOOKS),
        },
    ),
    Stored("core", "number of a member's cards", r"M#\S+ WALLET", _all("cards version", _PLACE)),
    Stored("core", "owner of a card", r"C#\S+ OWNER", {**_all("tl at", _PLACE), "member_id": _BOOKS}),
    Stored(
        "core", "text of a consent", r"CT#\S+ \S+",
        {**_all("tl at purpose channel text_version zh en title_zh title_en published", _MERCHANT), "by": _STAFF},
    ),
    Stored(
        "core", "program", r"PROGRAM (HEAD|V#\d+)", _all("program version in_use", _MERCHANT)
    ),
    Stored(
        "core", "what was said of a consent", r"CONSENT#\S+ \d+#\d+",
        {
            **_all("tl at", Datum(Data.MACHINE, Kept.RECORD)),
            "said": Datum(Data.PERSON, Kept.RECORD, exported=True),
            "by": Datum(Data.STAFF, Kept.RECORD),
        },
    ),
    Stored(
        "core", "showing of personal data", r"UM#\S+ unm_\S+",
        {
            **_all("tl at", Datum(Data.MACHINE, Kept.RECORD)),
            **_all("member_id kind made", Datum(Data.CONDUCT, Kept.RECORD, exported=True)),
            **_all("what", Datum(Data.STAFF, Kept.RECORD)),
            "reason": Datum(Data.WORDS, Kept.SEALED),
        },
    ),
    Stored(
        "core", "somebody who works here", r"STF#\S+ STF",
        {
            **_all("tl at version content", _MERCHANT),
            **_all("issuer subject name roles shops status joined member_id changed_by", _STAFF),
            "reason": Datum(Data.WORDS, Kept.STACK),
        },
    ),
    Stored(
        "core", "role of the merchant's own", r"ROLES \S+",
        {
            **_all("name grants holders ed version", _MERCHANT),
            "by": _STAFF,
            "reason": Datum(Data.WORDS, Kept.STACK),
        },
    ),
    Stored("core", "who the admins are", r"ADMINS ADMINS", {"ids": _STAFF, "version": _MERCHANT}),
    Stored(
        "core", "what waits for a second person, or did", r"APR#\S+ APR",
        {
            **_all("tl at version content key shops", Datum(Data.MACHINE, Kept.RECORD)),
            **_all("ask amount asked status decided", Datum(Data.CONDUCT, Kept.RECORD, exported=True)),
            **_all("about entry", Datum(Data.CONDUCT, Kept.RECORD)),
            **_all("asked_by decided_by own", Datum(Data.STAFF, Kept.RECORD)),
            "command": Datum(Data.MACHINE, Kept.RECORD),
            # An export has the note to the member, and neither staff's notes for each other nor why it was decided so.
            **_all("words reason", Datum(Data.WORDS, Kept.SEALED)),
        },
    ),
    Stored(
        "core", "segment", r"SEG#\S+ SEG",
        {
            **_all("tl at version content kind definition listed tag_rule state created edited edition", _MERCHANT),
            "by": _STAFF,
            **_all("name note", Datum(Data.WORDS, Kept.STACK)),
        },
    ),
    Stored("core", "which segments there are", r"SEGS GRAPH", _all("knots version", _MERCHANT)),
    Stored(
        "core", "export of a segment", r"SGX#\S+ SGX",
        {**_all("segment columns rows parts as_of created content version", _MERCHANT), "by": _STAFF},
    ),
    Stored(
        "ops", "who was in a live segment when it was looked at last", r"SGS#\S+ STATE",
        _all("base moves count day edition lake at turn pending version", _MERCHANT),
    ),
    Stored(
        "ops", "when segments of which nobody is told were counted last", r"SEGS SIZES",
        _all("generation base day at asked version", _MERCHANT),
    ),
    Stored("ops", "how large a segment was on a day", r"SGS#\S+ D#\S+", _all("count expires", _PASSING)),
    Stored(
        "core", "what somebody did alone of late to an account", r"ALW#\S+ ALW",
        {"hours": Datum(Data.STAFF, Kept.RECORD), "version": _PLACE},
    ),
    Stored(
        "core", "how many points somebody gave by hand on a day", r"AJ#\S+ AJ",
        {**_all("day points", Datum(Data.STAFF, Kept.RECORD)), "version": _PLACE},
    ),
    Stored(
        "core", "integration key", r"IK#\S+ KEY",
        {
            **_all("tl at key_id name may scope shops rate status created d expires_on until rotation", _MERCHANT),
            "version": _MERCHANT,
            "secrets": Datum(Data.KEY, Kept.STACK),
            "by": _STAFF,
        },
    ),
    Stored(
        "core", "campaign", r"CMP#\S+ CMP",
        {
            **_all("tl at due definition state salt made content pinned segments launched_version launched", _MERCHANT),
            **_all("ended ended_for beginning open runs through cost version", _MERCHANT),
            **_all("by launched_by launched_own", _STAFF),
        },
    ),
    Stored(
        "core", "journey", r"JRN#\S+ HEAD",
        {
            **_all("tl at name state edition made edited activated moved content segment uses", _MERCHANT),
            **_all("cleared version", _MERCHANT),
            **_all("by answers", _STAFF),
        },
    ),
    Stored("core", "use of a segment", r"SGU#\S+ USE#\S+", {"version": _MERCHANT}),
    Stored("core", "what staff asked of a campaign", r"CMP#\S+ ASK#\S+", {"content": _MERCHANT}),
    Stored(
        "core", "what staff asked of a journey", r"JRN#\S+ ASK#\S+",
        {**_all("content segments", _MERCHANT), "answers": _STAFF},
    ),
    Stored("core", "version of a journey", r"JRN#\S+ V#\d+", {"edition": _MERCHANT}),
    Stored("core", "which journeys do something", r"JRNS BOARD", _all("places began version", _MERCHANT)),
    Stored("core", "counter of those in a journey", r"JIC#\S+ V\d+#\d+", dict.fromkeys(_JOURNEY_COUNTS, _MERCHANT)),
    Stored(
        "core", "way through a journey", r"JIN#\S+ I#\S+",
        {
            **_all("tl at due", _PLACE),
            **_all("edition origin entered step since until facts path left left_at", _WAY),
            **_all("event told bucket tries version", _PLACE),
            "answers": _STAFF,
        },
    ),
    Stored("core", "when a member came into a journey last", r"JIN#\S+ G#\S+", {"last": _WAY, "version": _PLACE}),
    Stored(
        "ops", "what happened that journeys ask for", r"JEV#\S+ \S+",
        {**_all("kind at facts", _NOTED), "expires": _PASSING},
    ),
    Stored(
        "ops", "how far a segment was let into a journey", r"JLS#\S+ K#\S+",
        _all("segment asked entered passed after done version expires", _PASSING),
    ),
    Stored("ops", "how far journeys were handed on", r"JTICK HEAD", _all("through swept version", _MERCHANT)),
    Stored("core", "when an integration key was used last", r"IK#\S+ USED", {"n": _MERCHANT}),
    Stored(
        "core", "audit record", r"A#\S+ R#\S+",
        {
            **_all("tl at kind wd", Datum(Data.MACHINE, Kept.RECORD)),
            "c": Datum(Data.STAFF, Kept.RECORD),
            "why": Datum(Data.WORDS, Kept.SEALED),
            "salt": Datum(Data.KEY, Kept.RECORD),
        },
    ),
    Stored("core", "audit record, listed for a further account", r"A#\S+ M#\S+", _all("tl at", _AUDIT)),
    Stored("core", "link of audit records", r"A#\S+ L#\d+", _all("rows h made", _AUDIT)),
    Stored("core", "audit record, listed for who did it", r"AS#\S+ \S+", {"l": _AUDIT}),
    Stored(
        "core", "alert", r"AL#\S+ AL",
        {**_all("tl at count limit raised state seen version ids", _AUDIT), "by": Datum(Data.STAFF, Kept.RECORD)},
    ),
    Stored(
        "vault", "key of a member", r"M#\S+ KEY",
        _all("n key tenant v before before_n before_tenant words words_tenant", _KEYS),
    ),
    Stored("vault", "key of the tenant", r"TENANT K#\d+", _all("wrapped n", Datum(Data.KEY, Kept.STACK))),
    Stored("ops", "which campaign is being planned", r"CPLAN TURN", _all("owner until recent version", _MERCHANT)),
    Stored(
        "ops", "how many parts of a campaign were handed on", r"CREL#\S+ CREL",
        _all("parts released done moved resumed version expires", _PASSING),
    ),
    Stored(
        "ops", "tests that somebody had sent to a member on a day", r"CTEST#\S+ mem_\S+",
        _all("marks version expires", _PASSING),
    ),
    Stored("ops", "through which day a job ran", r"J#\w+ HEAD", _all("through version", _MERCHANT)),
    Stored(
        "ops", "run of a job", r"J#\w+ R#\S+",
        {
            **_all("attempt since first resumed started finished totals version expires", _PASSING),
            "by": Datum(Data.STAFF, Kept.WHILE),
        },
    ),
    Stored(
        "ops", "counter of a job", r"J#\S+ C#\d+",
        _all("at expires opened closed due done changed points set_aside", _PASSING),
    ),
    Stored("ops", "part of a job that is done", r"J#\S+ P#\S+", _all("parts expires", _PASSING)),
    Stored("ops", "what a part of a job found", r"J#\S+ V#\S+", _all("found expires", _PASSING)),
    Stored(
        "ops", "refusal of a command that stood in line", r"L#\S+ L",
        _all("code detail facts expires", Datum(Data.CONDUCT, Kept.WHILE)),
    ),
    Stored(
        "ops", "points or refusals of a day, of a member, a shop, staff or a network", r"V#\S.* V",
        _all("points ids version expires", Datum(Data.CONDUCT, Kept.WHILE)),
    ),
    Stored(
        "ops", "tries to sign in by an address, as a blind index", r"N#\S+ N",
        {
            **_all("asked request digits until tries failed locks locked", Datum(Data.CONDUCT, Kept.WHILE)),
            **_all("mac blind", Datum(Data.KEY, Kept.WHILE)),
            **_all("version expires", _PASSING),
        },
    ),
    Stored(
        "ops", "request for a code", r"R#\S+ R",
        {"blind": Datum(Data.KEY, Kept.WHILE), **_all("kind purpose expires", _PASSING)},
    ),
    Stored("ops", "requests of an integration key in a minute", r"Q#\S+ Q", _all("n expires", _PASSING)),
    Stored("ops", "counter of codes", r"C#\S+ C", _all("n expires", _PASSING)),
    Stored("ops", "how signing in goes", r"P#\S+ P#\d+", _all("asked right wrong expires", _PASSING)),
    Stored(
        "ops", "session of a member", r"S#\S+ ses_\S+",
        {
            **_all("member_id opened turned ended", Datum(Data.CONDUCT, Kept.WHILE, exported=True)),
            **_all("digest before salt", Datum(Data.KEY, Kept.WHILE)),
            **_all("version expires", _PASSING),
        },
    ),
    Stored(
        "ops", "notice that a member was sent", r"NT#\S+ \S+",
        {
            **_all("event_type channel subject text notified", Datum(Data.CONDUCT, Kept.WHILE, exported=True)),
            "expires": _PASSING,
        },
    ),
    Stored(
        "ops", "how fast a channel may send", r"PACE#\S+ PACE",
        _all("full_at paused_until failures open_until opens probe_until version expires", _PASSING),
    ),
    Stored("ops", "what a channel spent on a day", r"SPENT#\S+ SPENT", _all("micro expires", _PASSING)),
    Stored("ops", "who hands a notice to its provider", r"NC#\S+ NC", _all("expires", _PASSING)),
    Stored("ops", "what a provider told before", r"CB#\S.* CB", _all("body expires", _PASSING)),
    Stored(
        "ops", "which delivery a provider's name for a message stands for", r"REF#\S+ REF",
        {"of": Datum(Data.CONDUCT, Kept.WHILE), "expires": _PASSING},
    ),
    Stored(
        "ops", "how far a part of a run is", r"SEND#\S+ PART",
        {
            # A letter for each of a plan's recipients, whom only the plan names.
            "out": Datum(Data.CONDUCT, Kept.WHILE),
            **_all("run_id part claim lease worker cost done version expires", _PASSING),
        },
    ),
    Stored(
        "ops", "counter of a run", r"SENT#\S+ C#\d+",
        _all(
            "parts cost o_sent o_unknown o_refused o_expired o_cancelled o_no_consent o_suppressed o_not_a_member "
            "o_no_key o_no_address o_no_words o_field_missing o_no_gift r_delivered r_opened r_clicked r_bounced "
            "r_complained r_opted_out r_failed expires",
            _PASSING,
        ),
    ),
    Stored("ops", "why a part of a run fails", r"SENT#\S+ F#\d+", _all("part fault at times expires", _PASSING)),
    Stored(
        "ops", "message to a member, and what became of it", r"DLV#\S+ dlv_\S+",
        {
            **_all("source source_id step channel variant out decided", _NOTED),
            "member_id": Datum(Data.CONDUCT, Kept.WHILE),
            **_all("provider cost code lease worker version expires", _PASSING),
        },
    ),
    Stored("ops", "that a receipt was counted", r"RCP#\S+ \w+", {"expires": _PASSING}),
    Stored("ops", "which event of a member was told last", r"T#\S+ T", {"version": _PLACE}),
)  # fmt: skip
"""Every kind of item, most particular first."""

NAMES: Mapping[str, str] = {
    "r": "kind_letter", "p": "points", "b": "balance_after", "o": "occurred_ms", "on": "occurred_on", "e": "earned",
    "x": "expires_on", "c": "consumed", "pd": "period", "q": "qualifying", "l": "lapsed", "mt": "matures_on",
    "hd": "held", "hu": "held_until_ms", "sm": "sums", "by": "acted_by", "an": "anchor", "tb": "tier_before",
    "ta": "tier_after", "w": "why", "rc": "reason_code", "cz": "cause", "rf": "reference", "nm": "note_to_member",
    "msg": "message", "what": "facts", "pu": "purchase_id", "n": "number", "to": "to_member_id",
    "from": "from_member_id", "mf": "merged_from", "mi": "merged_into", "sh": "shop_id", "cu": "currency",
    "m": "paid_minor", "tn": "tender_minor", "tp": "tender_points", "ln": "lines", "am": "amount_minor",
    "mb": "refund_minor", "rl": "returned_lines", "rn": "version", "bk": "given_back", "rs": "as_restated",
    "aw": "awaits_delivery", "dl": "delivered", "no": "refused_for", "ra": "refused_ms", "is": "state",
    "wm": "waits_for", "wr": "waiting_returns", "made": "made_ms", "joined": "joined_ms", "opened": "opened_ms",
    "turned": "used_ms", "notified": "notified_ms", "said": "consent", "into": "merged_into", "life": "lifetime_sums",
    "told": "told_through", "off": "written_off", "gv": "given_minor", "lg": "launched", "ma": "sent_for_member_id",
    "af": "after_returns", "out": "outcome", "decided": "decided_ms", "entered": "entered_ms", "left": "left_for",
    "left_at": "left_ms", "since": "since_ms", "last": "last_ms", "asked": "asked_ms", "ask": "asked_for",
    "added": "added_ms", "lifted": "lifted_ms",
}  # fmt: skip
"""What an export calls attributes whose stored names are short. Names that end in `_ms` are milliseconds since 1970."""

ELSEWHERE: Mapping[str, str] = {
    "logs": "Routes, ids of the right form, status, code, the caller's subject. No bodies, no contact data; 180 days.",
    "event bus, queues, archive": "Events of the relay: ids, figures, names of fields. Never contact data nor words.",
    "outbox": "Notices to members by id, without an address; codes with the address masked; 180 days.",
    "roots": "Roots, heads and liability: ids, figures, hashes.",
    "backups": "As the tables. What a member's key sealed cannot be read once that key is gone.",
}
"""What leaves the tables."""


def stored_as(table: str, pk: str, sk: str) -> Stored | None:
    """The kind of an item, or None when the catalogue has none for it."""
    place = f"{pk} {sk}"
    return next((each for each in CATALOGUE if each.table == table and re.fullmatch(each.place, place)), None)
