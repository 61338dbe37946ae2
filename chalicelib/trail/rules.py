"""How audit records are hashed and chained, and how that is checked. Pure."""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chalicelib.kernel.readings import is_as_read, readings

RECORD_FORM = b"regulars audit record 1\n"
LINK_FORM = b"regulars audit link 1\n"
CHAIN_FORM = b"regulars audit chain 1\n"
NOTE_FORM = b"regulars audit note 1\n"
SEALED_FORM = b"regulars audit sealed note 1\n"
SEALED_MARK = b"\x01"
"""The first byte of the digest of what is sealed. It is one byte longer than other digests, so none is taken for it."""

_SEALED_BYTES = 33

REASON_MAX = 300
"""Characters of a typed reason that are kept."""

_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]+")
_DIGITS = re.compile(r"\d(?:[\s()./_*·•‐‑‒–—―−-]{0,3}\d){4,}")

_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What reading an item raises that nobody of ours has written."""


def masked(text: str) -> str:
    """Words that somebody typed, without addresses and without numbers of five digits and more."""
    plain = _without(_DIGITS, "…", _without(_ADDRESS, "…@…", text))
    return plain if len(plain) <= REASON_MAX else plain[: REASON_MAX - 1] + "…"


def _without(what: re.Pattern[str], instead: str, text: str) -> str:
    """Text without what people read as something, however it is written; all else stays as it was typed."""
    if is_as_read(text):
        return what.sub(instead, text)
    read = readings(text)
    parts, done = [], 0
    for found in what.finditer("".join(character for character, _, _ in read)):
        parts += [text[done : read[found.start()][1]], instead]
        done = read[found.end() - 1][2]
    return "".join(parts) + text[done:]


def note_digest(salt: bytes, text: str) -> bytes:
    """What the chain covers of a typed reason, which can be erased: nobody can guess it without its salt."""
    return hashlib.sha256(NOTE_FORM + salt + text.encode()).digest()


def sealed_digest(of: Sequence[str], text: bytes) -> bytes:
    """What the chain covers of a typed reason about members: the ciphertext, which stays and becomes unreadable."""
    return SEALED_MARK + hashlib.sha256(SEALED_FORM + "\n".join(of).encode() + b"\n" + text).digest()


def record_hash(item: Mapping[str, Any]) -> bytes:
    """The hash of a record as it is stored: where it stands, where it is listed, and what it says.

    No part holds a line feed (JSON escapes it), so each can be told from the next.
    """
    digest = item.get("wd", b"").hex()
    parts = (item["pk"], item["sk"], item.get("tl", ""), item.get("at", ""), item.get("kind", ""), digest, item["c"])
    return hashlib.sha256(RECORD_FORM + "\n".join(parts).encode()).digest()


def note_holds(item: Mapping[str, Any]) -> bool:
    """Whether the words beside a record are those that were typed. What is not sealed may be gone: it was erased."""
    if len(item.get("wd", b"")) == _SEALED_BYTES:
        why = item.get("why")
        return isinstance(why, Mapping) and hmac.compare_digest(sealed_digest(why["of"], why["text"]), item["wd"])
    if "why" not in item and "salt" not in item:
        return True
    if "why" not in item or "salt" not in item or "wd" not in item:
        return False
    return hmac.compare_digest(note_digest(item["salt"], item["why"]), item["wd"])


def beginning(pk: str) -> bytes:
    """What the chain of a partition begins with, so that none can be passed off as another's."""
    return hashlib.sha256(CHAIN_FORM + pk.encode()).digest()


def rows_digest(rows: Sequence[Sequence[Any]]) -> bytes:
    """The digest of a link's rows, in their order."""
    return hashlib.sha256(b"".join(mark.encode() + b"\n" + digest for mark, digest in rows)).digest()


def link_hash(before: bytes, number: int, digest: bytes) -> bytes:
    """The hash of a link.

    Args:
        before: that of the link before it, or the chain's beginning.
        digest: of its rows.
    """
    return hashlib.sha256(LINK_FORM + before + number.to_bytes(8, "big") + digest).digest()


class Chain:
    """A partition's chain, on its way through the check. What does not hold is kept in words, with the row's id.

    Links are taken in their order, then records in any.
    """

    def __init__(self, pk: str) -> None:
        self.head = beginning(pk)
        self.links = 0
        self.records = 0
        self.faults: list[str] = []
        self._pk = pk
        self._expected: dict[str, bytes] = {}

    def take_link(self, item: Mapping[str, Any]) -> None:
        """Take a link."""
        try:
            self._follow(item)
        except _UNREADABLE:
            self.links += 1
            self.faults.append(f"{self._pk}: link {self.links} cannot be read")

    def _follow(self, item: Mapping[str, Any]) -> None:
        number, wanted = self.links + 1, f"L#{self.links + 1:06d}"
        if item["sk"] != wanted:
            self.faults.append(f"{self._pk}: link {number} is missing")
            number = int(item["sk"][2:])
        rows = item["rows"]
        self.head = link_hash(self.head, number, rows_digest(rows))
        if self.head != item["h"]:
            self.faults.append(f"{self._pk}: link {number} does not follow from its records and the link before it")
            self.head = item["h"]
        self.links = number
        for mark, digest in rows:
            if mark in self._expected:
                self.faults.append(f"aud_{mark}: it is chained twice")
            self._expected[mark] = digest

    def take_record(self, item: Mapping[str, Any]) -> bool:
        """Take a record; whether it is chained."""
        self.records += 1
        mark = item["sk"][2:]
        digest = self._expected.pop(mark, None)
        if digest is None:
            return False
        try:
            same, reason = digest == record_hash(item), note_holds(item)
        except _UNREADABLE:
            same, reason = False, True
        if not same:
            self.faults.append(f"aud_{mark}: the record is not the one that was chained")
        elif not reason:
            self.faults.append(f"aud_{mark}: the reason is not the one that was given")
        return True

    def end(self) -> list[str]:
        """What does not hold, once all was taken."""
        return [*self.faults, *(f"aud_{mark}: the record is gone" for mark in self._expected)]


def climbed(start: bytes, number: int, digests: Iterable[bytes]) -> bytes:
    """The head that the digests of links lead to, the first of which has that number."""
    for step, digest in enumerate(digests):
        start = link_hash(start, number + step, digest)
    return start
