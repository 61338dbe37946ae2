"""How an audit record is made from what a request read and writes, and how it is stored."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.canonical import canonical
from chalicelib.kernel.errors import WriteContended
from chalicelib.storage import keys
from chalicelib.storage.audited import Read
from chalicelib.storage.keys import Key
from chalicelib.storage.words import Stored, Words
from chalicelib.storage.writes import Absent, Add, Count, Delete, Item, Put, Strip, Write
from chalicelib.trail import rules
from chalicelib.trail.shown import EXPANDED, FIELDS, SHOWN, SILENT, VALUE_MAX

_ACCOUNT = re.compile(r"(mem|pol|crd)_[a-z2-7]{16}")
_ACCOUNTS = frozenset({"member_id", "owner", "owner_id", "about", "by", "into", "to", "from", "mf", "mi"})
"""Attributes of items and facts of notes that hold an id of ours. What is in others somebody may have typed."""
_BEHIND = {
    "PROFILE": "profile",
    "ACCOUNT": "account",
    "POOL": "pool",
    "W": "part in a pool",
    "OWNER": "owner of a card",
    "WALLET": "number of cards",
}
_MARKS = {
    "U": "identifier", "H": "note", "PROGRAM": "program", "MERGE": "merge", "X": "transfer", "AJ": "adjusted by hand",
    "AL": "alert", "ADMINS": "list of admins", "ALW": "done alone of late", "CT": "text of a consent",
    "RCH": "line of the log of reach", "SUP": "suppression",
}  # fmt: skip
_NAMED = {
    "STF": "staff", "APR": "approval", "IK": "integration key", "TPL": "template", "CMP": "campaign",
    "CRUN": "run of a campaign", "JRN": "journey", "SEG": "segment", "SGU": "use of a segment",
}  # fmt: skip
"""Items that the second part of their partition names."""
_LISTED = {"ROLES": "role", "UM": "showing of personal data"}
"""Items that their sort key names."""
_WITH_FACTS = ("note", "showing of personal data")


class Sealing(Protocol):
    """Seals words with keys of the members that they are about."""

    def seal(self, about: Iterable[str], place: str, text: str) -> Stored | None:
        """See `Words.seal`."""


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A request, as its records tell of it.

    Attributes:
        action: the route's name.
        ids: parts of its path.
        reason_code: given with the command; a code of the merchant's own.
        reason: words typed with it.
        origin: where it came from: address, agent, id of the request.
        words: seals the reason with keys of the members that it is about.
    """

    kind: str
    subject: str
    roles: tuple[str, ...]
    action: str
    permission: str | None
    ids: Mapping[str, str]
    reason_code: str | None
    reason: str | None
    origin: Mapping[str, str]
    at: datetime
    draw: Callable[[], int]
    words: Sealing

    def record(self, read: Read, writes: Sequence[Write]) -> Write:
        """The write of a record. A transaction that is tried again gets another; only one of them can be written."""
        chance = self.draw()
        mark = keys.audit_mark(self.at, chance)
        about = _about(self.ids, writes)
        content = {
            "who": {"kind": self.kind, "subject": self.subject, "roles": list(self.roles)},
            "action": self.action,
            "permission": self.permission,
            "ids": dict(self.ids),
            "about": about,
            "changes": [_change(read, write) for write in writes],
            "from": dict(self.origin),
            "at": milliseconds(self.at),
            "outcome": "done",
            **({"reason_code": self.reason_code} if self.reason_code else {}),
        }
        item: Item = {"c": canonical(content).decode(), "kind": self.action}
        if about:
            item |= {"tl": keys.audited(about[0]), "at": mark}
        if self.reason:
            item |= self._reason(rules.masked(self.reason), mark, [*about, *_entries(self.ids, writes)])
        return Put(keys.audit_record(mark), item, Absent(), lambda _: WriteContended())

    def _reason(self, text: str, mark: str, about: Sequence[str]) -> Item:
        """The attributes of a typed reason; none when it is about somebody who was erased."""
        stored = self.words.seal(about, place(mark), text)
        if isinstance(stored, str):
            salt = self.draw().to_bytes(8, "big") + self.draw().to_bytes(8, "big")
            return {"why": stored, "salt": salt, "wd": rules.note_digest(salt, stored)}
        return {"why": stored, "wd": rules.sealed_digest(stored["of"], stored["text"])} if stored else {}


def place(mark: str) -> str:
    """Where the words of a record stand."""
    return f"audit {mark}"


def reason_of(item: Item, words: Words) -> str | None:
    """What was typed as the reason of a record; None where nothing was, or it was about somebody who was erased."""
    return words.open(place(item["sk"][2:]), item.get("why"))


def _entries(ids: Mapping[str, str], writes: Sequence[Write]) -> list[str]:
    """Ledger entries that a request names, whose members its words may be about."""
    asked = (write.item.get("about") for write in writes if isinstance(write, Put))
    return [str(each) for each in (*ids.values(), *asked) if str(each).startswith("ent_")]


def _about(ids: Mapping[str, str], writes: Sequence[Write]) -> list[str]:
    """Members, pools and cards that a request concerns: those of its path first."""
    found = dict.fromkeys(each for each in ids.values() if _ACCOUNT.fullmatch(each))
    for write in writes:
        if write.key.pk[:2] in ("M#", "G#", "C#"):
            found[keys.account_of(write.key.pk)] = None
        if isinstance(write, Put):
            facts = write.item.get("what")
            named = {**(facts if isinstance(facts, dict) else {}), **write.item}
            accounts = (each for name, each in named.items() if name in _ACCOUNTS and isinstance(each, str))
            found |= dict.fromkeys(each for each in accounts if _ACCOUNT.fullmatch(each))
            if "r" in write.item and "tl" in write.item:
                found[keys.account_of(write.item["tl"])] = None
    return list(found)


def _change(read: Read, write: Write) -> dict[str, Any]:
    told = _named(write.key, write)
    if isinstance(write, Add):
        return told | {"added": dict(write.amounts)}
    if isinstance(write, Count):
        return told | {"added": {write.name: write.amount}}
    before = read.get(write.key)
    if isinstance(write, Delete):
        return told | {"is": "gone"}
    if isinstance(write, Strip):
        return told | {"changed": sorted(write.names)}
    if isinstance(write.condition, Absent):
        return told | {"is": "new", "after": _shown(told["item"], write.item)}
    if before is None:
        return told | {"after": _shown(told["item"], write.item)}
    item = {name: value for name, value in write.item.items() if value is not None}
    names = sorted(n for n in before.keys() | item.keys() if n not in SILENT and before.get(n) != item.get(n))
    expanded = EXPANDED.get(told["item"])
    was = {name: before[name] for name in names if name in before}
    now = {name: item[name] for name in names if name in item}
    if expanded in names:
        was, now = _expanded(was, now, expanded)
        names = [name for name in names if name != expanded]
        return told | {"before": was, "after": now}
    shown = SHOWN.get(told["item"], frozenset())
    told |= {"before": _shown(told["item"], was), "after": _shown(told["item"], now)}
    changed = [name for name in names if name not in shown]
    return {name: value for name, value in told.items() if value != {}} | ({"changed": changed} if changed else {})


def _named(key: Key, write: Write) -> dict[str, Any]:
    """What kind of item it is, and whose. A blind index is not told: it outlives what it stands for."""
    mark, *_ = keys.parted(key.pk)
    item = write.item if isinstance(write, Put) else {}
    if mark in ("M", "G", "C") and "r" not in item:
        behind = _BEHIND.get(keys.parted(key.sk)[0], "share")
        kind = "card" if (mark, behind) == ("C", "profile") else behind
        return {"item": kind, "of": str(keys.account_of(key.pk))}
    if "r" in item:
        return {"item": "entry", "of": str(keys.entry_id(key))}
    if mark == "H":
        return {"item": "note", "of": str(keys.happened_to(key.pk))}
    if mark == "U":
        return {"item": f"identifier: {keys.parted(key.pk)[1]}"}
    if mark in _NAMED:
        return {"item": _NAMED[mark], "of": keys.parted(key.pk)[1]}
    if mark in _LISTED:
        return {"item": _LISTED[mark], "of": key.sk}
    return {"item": _MARKS.get(mark, mark.lower())}


def _shown(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: _plain(value) for name, value in item.items() if name in SHOWN.get(kind, ()) and value is not None}
    facts = item.get("what") if kind in _WITH_FACTS else None
    if isinstance(facts, dict):
        shown |= {name: _plain(value) for name, value in facts.items() if name in FIELDS}
    return shown


def _expanded(was: dict[str, Any], now: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of an attribute of JSON that differ."""
    before, after = json.loads(was.get(name, "{}")), json.loads(now.get(name, "{}"))
    differing = [field for field in before | after if before.get(field) != after.get(field)]
    return _texts(before, differing), _texts(after, differing)


def _texts(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: _plain(json.dumps(fields[name], ensure_ascii=False)) for name in names if name in fields}


def _plain(value: Any) -> Any:
    """A value as the canonical form takes it."""
    if isinstance(value, str | bool | int):
        return value[:VALUE_MAX] if isinstance(value, str) else value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return str(value)[:VALUE_MAX]
