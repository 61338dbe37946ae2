"""Blind indexes for identifiers, a codec for contact data, and the key that signs cursors."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chalicelib.storage.vault import Chance, MemberKey, Vault, bound_to, seal, unseal

CLEAR, SEALED = b"\x00", b"\x01"
"""The first byte of stored contact data names its form. Clear is what was stored before there was a vault, and what is
empty; it is read, and sealed by the next write."""

_NUMBER_BYTES = 3
_REMEMBERED = 64


WordKeys = dict[str, bytes]
"""Keys for words by member, as one request has seen them: none is remembered longer."""


class ContactCodec(Protocol):
    """Turns contact data into the bytes that are stored, and back. Every read and write of them goes through here."""

    def begin(self, member_id: str) -> None:
        """See that a new member has a key, before they are written down."""

    def seal(self, member_id: str, contact: dict[str, Any]) -> bytes:
        """Contact data as it is stored."""

    def open(self, member_id: str, sealed: bytes) -> dict[str, Any]:
        """Contact data as it was given; nothing, when the member's key is gone.

        Raises:
            KeyMoved: the key was changed at this moment; read again.
        """

    def open_many(self, sealed: Mapping[str, bytes]) -> dict[str, dict[str, Any] | None]:
        """Contact data of many members, with keys as they were a moment ago.

        None: the member's key is gone. Left out: they are sealed with a key that was replaced since.
        """

    def seal_words(self, member_ids: Sequence[str], place: str, text: str, known: WordKeys) -> bytes | None:
        """Words about members, readable as long as all of them have keys; None when one has none any more.

        Args:
            place: the record that they stand in: they open nowhere else.
            known: keys that this request has seen; others are added.
        """

    def open_words(self, member_ids: Sequence[str], place: str, sealed: bytes, known: WordKeys) -> str | None:
        """Words as they were written; None when one of the members was erased."""

    def forget(self, member_id: str) -> None:
        """Make whatever is sealed for a member unreadable, everywhere and for good."""


class SealedContacts:
    """Contact data as JSON, sealed with the member's own key from the vault.

    The ciphertext is bound to its form, the member and the field: moved to another member it does not open.
    """

    def __init__(self, vault: Vault, chance: Chance) -> None:
        self.vault = vault
        self._chance = chance
        self._recent: dict[str, MemberKey] = {}

    def begin(self, member_id: str) -> None:
        """See `ContactCodec.begin`. A key whose member is then refused does no harm."""
        self._remember(member_id, self.vault.make(member_id))

    def seal(self, member_id: str, contact: dict[str, Any]) -> bytes:
        """See `ContactCodec.seal`. What was just opened is sealed with the same key, without asking for it again.

        That is safe, because it is written only where nobody else has written since, and whoever changes the key
        writes too.
        """
        plain = json.dumps(contact, separators=(",", ":"), ensure_ascii=False).encode()
        if not contact:
            return CLEAR + plain
        key = self._recent.pop(member_id, None) or self.vault.find(member_id) or self.vault.make(member_id)
        return self.sealed_with(key, member_id, plain)

    def sealed_with(self, key: MemberKey, member_id: str, plain: bytes) -> bytes:
        """JSON as it is stored, sealed with a key that is at hand."""
        number = key.number.to_bytes(_NUMBER_BYTES, "big")
        return SEALED + number + seal(key.secret, plain, _bound(member_id), self._chance)

    def open(self, member_id: str, sealed: bytes) -> dict[str, Any]:
        """See `ContactCodec.open`. The vault is asked every time, so that a key that is gone is gone at once."""
        form, rest = sealed[:1], sealed[1:]
        self._recent.pop(member_id, None)
        if form == CLEAR:
            found: dict[str, Any] = json.loads(rest)
            return found
        if form != SEALED:
            raise ValueError("contact data of an unknown form")
        number = int.from_bytes(rest[:_NUMBER_BYTES], "big")
        key = self.vault.find(member_id, number)
        if key is None:
            return {}
        opened: dict[str, Any] = json.loads(unseal(key.secret, rest[_NUMBER_BYTES:], _bound(member_id)))
        if key.newest:
            self._remember(member_id, key)
        return opened

    def open_many(self, sealed: Mapping[str, bytes]) -> dict[str, dict[str, Any] | None]:
        """See `ContactCodec.open_many`."""
        opened: dict[str, dict[str, Any] | None] = {}
        numbers: dict[str, int] = {}
        for member_id, each in sealed.items():
            if each[:1] == CLEAR:
                opened[member_id] = json.loads(each[1:])
            else:
                numbers[member_id] = key_number(each)
        for member_id, key in (self.vault.find_many(numbers) if numbers else {}).items():
            opened[member_id] = None
            if key is not None:
                plain = unseal(key.secret, sealed[member_id][1 + _NUMBER_BYTES :], _bound(member_id))
                opened[member_id] = json.loads(plain)
        return opened

    def seal_words(self, member_ids: Sequence[str], place: str, text: str, known: WordKeys) -> bytes | None:
        """See `ContactCodec.seal_words`. Sealed once for each of them, one within the other."""
        sealed = text.encode()
        for member_id in member_ids:
            key = self._words_key(member_id, known, make=True)
            if key is None:
                return None
            sealed = seal(key, sealed, _words_bound(member_id, place), self._chance)
        return sealed

    def open_words(self, member_ids: Sequence[str], place: str, sealed: bytes, known: WordKeys) -> str | None:
        """See `ContactCodec.open_words`."""
        for member_id in reversed(member_ids):
            key = self._words_key(member_id, known, make=False)
            if key is None:
                return None
            sealed = unseal(key, sealed, _words_bound(member_id, place))
        return sealed.decode()

    def _words_key(self, member_id: str, known: WordKeys, *, make: bool) -> bytes | None:
        key = known.get(member_id) or self.vault.words(member_id, make=make)
        if key is not None:
            known[member_id] = key
        return key

    def forget(self, member_id: str) -> None:
        """See `ContactCodec.forget`. The key goes, and with it what backups hold."""
        self._recent.pop(member_id, None)
        self.vault.forget(member_id)

    def _remember(self, member_id: str, key: MemberKey) -> None:
        if len(self._recent) >= _REMEMBERED:
            self._recent.clear()
        self._recent[member_id] = key


def key_number(sealed: bytes) -> int:
    """Which of the member's keys contact data are sealed with; 0 when they are in clear."""
    return int.from_bytes(sealed[1 : 1 + _NUMBER_BYTES], "big") if sealed[:1] == SEALED else 0


def _bound(member_id: str) -> bytes:
    return bound_to("form 1", member_id, "contact")


def _words_bound(member_id: str, place: str) -> bytes:
    return bound_to("words 1", member_id, place)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The stack's keys, as far as a request needs them."""

    index_key: bytes
    cursor_key: bytes
    contacts: ContactCodec
    other_index_key: bytes = b""
    """While the index key is being replaced: the other of the two. What is claimed is claimed under both."""
    content_key: bytes = b""
    """What enrolments' content is told apart with; the index key, unless that was replaced: a retry of long ago is
    still known."""
    opt_out_key: bytes = b""
    """What opt-out links are signed with; without it, a key that is made of the one above."""

    def blind(self, kind: str, value: str) -> str:
        """What an identifier is stored and looked up as: nobody without the key can turn it back.

        24 characters of HMAC-SHA-256, 120 bits.
        """
        return _blind(self.index_key, kind, value)

    def blinds_beside(self, kind: str, value: str) -> list[str]:
        """What an identifier is also stored as, while the index key is being replaced."""
        return [_blind(self.other_index_key, kind, value)] if self.other_index_key else []

    def content_mark(self, content: str) -> str:
        """What tells the content of an enrolment from that of another."""
        return _blind(self.content_key or self.index_key, "enrol", content)

    def opt_out_mac(self, text: str) -> bytes:
        """What an opt-out link is signed with, by a key that never changes: a link of years ago is still good."""
        derived = hmac.digest(self.content_key or self.index_key, b"regulars opt-out links 1", hashlib.sha256)
        return opt_out_mac(self.opt_out_key or derived, text)


def opt_out_mac(key: bytes, text: str) -> bytes:
    """16 bytes of HMAC-SHA-256, for those who sign opt-out links and have no key besides."""
    return hmac.digest(key, text.encode(), hashlib.sha256)[:16]


def _blind(key: bytes, kind: str, value: str) -> str:
    mac = hmac.digest(key, f"{kind}\n{value}".encode(), hashlib.sha256)
    return base64.b32encode(mac[:15]).decode().lower()
