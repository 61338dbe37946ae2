"""Blind indexes for identifiers, a codec for contact data, and the key that signs cursors."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import Any, Protocol


class ContactCodec(Protocol):
    """Turns contact data into the bytes that are stored, and back.

    Every read and write of contact data goes through here, so that encryption with a key per member can be put in
    without moving data.
    """

    def seal(self, member_id: str, contact: dict[str, Any]) -> bytes:
        """Contact data as it is stored."""

    def open(self, member_id: str, sealed: bytes) -> dict[str, Any]:
        """Contact data as it was given."""


class ClearContacts:
    """Contact data as JSON, not encrypted: the table's own encryption at rest is all that protects it.

    The first byte names the form, so that records of a later codec are told from these.
    """

    _FORM = b"\x00"

    def seal(self, member_id: str, contact: dict[str, Any]) -> bytes:  # noqa: ARG002 - the port's shape
        """See `ContactCodec.seal`."""
        return self._FORM + json.dumps(contact, separators=(",", ":"), ensure_ascii=False).encode()

    def open(self, member_id: str, sealed: bytes) -> dict[str, Any]:  # noqa: ARG002 - the port's shape
        """See `ContactCodec.open`."""
        if sealed[:1] != self._FORM:
            raise ValueError("contact data of an unknown form")
        contact: dict[str, Any] = json.loads(sealed[1:])
        return contact


@dataclass(frozen=True, slots=True)
class Keyring:
    """The stack's keys, as far as a request needs them."""

    index_key: bytes
    cursor_key: bytes
    contacts: ContactCodec

    def blind(self, kind: str, value: str) -> str:
        """What an identifier is stored and looked up as: nobody without the key can turn it back.

        24 characters of HMAC-SHA-256, 120 bits.
        """
        mac = hmac.digest(self.index_key, f"{kind}\n{value}".encode(), hashlib.sha256)
        return base64.b32encode(mac[:15]).decode().lower()
