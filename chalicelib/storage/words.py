"""Words that people type about members, sealed with keys of those members in records that are never written again.

So nobody has to find them when a member is erased: without the key they are noise, in every backup too. Where several
members are meant, the erasure of one is enough. Words about nobody, such as why a program was published, stay readable.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from chalicelib.storage import keys
from chalicelib.storage.keyring import ContactCodec, WordKeys
from chalicelib.storage.table import Table

Stored: TypeAlias = str | dict[str, Any]
"""Words as they are stored: text, or whose keys they are sealed with (`of`) and the ciphertext (`text`)."""


@dataclass(frozen=True, slots=True)
class Words:
    """Seals words and opens them, for one request.

    Args:
        table: `core`; it tells whose a card, a pool or an entry is.
    """

    table: Table
    contacts: ContactCodec
    known: WordKeys = field(default_factory=dict)

    def seal(self, about: Iterable[str], place: str, text: str) -> Stored | None:
        """Words about members, cards, pools and entries of theirs, by id; None when one of the members was erased.

        Args:
            place: the record that they stand in: they open nowhere else.
        """
        owners = self.members_behind(about)
        if not owners:
            return text
        sealed = self.contacts.seal_words(owners, place, text, self.known)
        return {"of": list(owners), "text": sealed} if sealed is not None else None

    def open(self, place: str, stored: Stored | None) -> str | None:
        """Words as they were typed; None when there are none, or one of the members was erased."""
        if stored is None or isinstance(stored, str):
            return stored
        return self.contacts.open_words(stored["of"], place, stored["text"], self.known)

    def members_behind(self, about: Iterable[str]) -> tuple[str, ...]:
        """The members whom ids lead to, each once, in order."""
        return tuple(sorted({member for each in about for member in self._behind(each)}))

    def _behind(self, about: str) -> Iterable[str]:
        if about.startswith("mem_"):
            return (about,)
        if about.startswith("crd_"):
            found = self.table.get(keys.card_owner(about), consistent=True)
            return (str(found["member_id"]),) if found else ()
        if about.startswith("pol_"):
            found = self.table.get(keys.pool(about), consistent=True)
            return (str(found["owner"]),) if found else ()
        key = keys.entry_of(about) if about.startswith("ent_") else None
        item = self.table.get(key, consistent=True) if key is not None else None
        return self._behind_entry(item) if item is not None and "tl" in item else ()

    def _behind_entry(self, item: dict[str, Any]) -> Iterable[str]:
        """Whose an entry is: of a pool's, also who made it."""
        account = str(keys.account_of(item["tl"]))
        actor = (str(item["by"]),) if str(item.get("by", "")).startswith("mem_") else ()
        return (*self._behind(account), *actor)
