"""The vault: a key for every member, wrapped by a key of the tenant, which a keeper wraps: KMS, or a file on a laptop.

What is sealed with a member's key is gone when that key is gone, in every backup too. So the keys stand in a table of
their own, `<stack>-vault`, which functions that never open contact data cannot read.

Everything is AES-256-GCM. What a key was made for is bound to it (AAD): no wrapped key serves in another's place.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Protocol

from chalicelib.kernel.errors import Trouble
from chalicelib.storage import keys
from chalicelib.storage.signing import KmsClient
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Delete, Item, Put, Still

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
Chance = Callable[[int], bytes]
"""Gives so many random bytes."""

FRESH_FOR = timedelta(seconds=60)
"""A process makes keys under the newest key of the tenant that it saw less than so long ago."""


class KeyMoved(Trouble):
    """The member's key was changed at this moment; the same request may simply be sent again."""

    def __init__(self) -> None:
        super().__init__("The member's key was changed at this moment. Send the request again.")


class _There(Exception):
    """There is a key of that name already. Never leaves the vault."""


@dataclass(frozen=True, slots=True)
class MemberKey:
    """A key of a member.

    Attributes:
        number: which of the member's keys it is; what is sealed names it.
        newest: whether it is the one to seal with.
    """

    number: int
    secret: bytes
    newest: bool = True


class Keeper(Protocol):
    """Wraps keys of the tenant, and never gives its own key away."""

    def wrap(self, secret: bytes, what: str) -> bytes:
        """A key as it is stored.

        Args:
            what: names the key; it can be unwrapped under this name only.
        """

    def unwrap(self, wrapped: bytes, what: str) -> bytes:
        """A key as it was given.

        Raises:
            StorageBusy: the keeper is throttling, failing or out of reach.
        """


class Vault(Protocol):
    """Keys of members."""

    def find(self, member_id: str, number: int | None = None) -> MemberKey | None:
        """A member's key, or None when it was never made or is forgotten.

        Args:
            number: which; the one that is to seal with, when left out.

        Raises:
            KeyMoved: the member has a key, but not this one any more.
        """

    def find_many(self, numbers: Mapping[str, int]) -> dict[str, MemberKey | None]:
        """Keys of many members, by member and number; as they were a moment ago.

        None: the member has no key any more. Left out: the key of that number was replaced.
        """

    def words(self, member_id: str, *, make: bool) -> bytes | None:
        """The key that words about a member are sealed with, or None: there is none, or they were erased.

        It is not replaced when the member's key is: what it seals stands in records that are never written again.

        Args:
            make: make it for a member who has a key, and none for words yet.
        """

    def make(self, member_id: str) -> MemberKey:
        """The key of a member who has none yet; the one that is there, when another was first."""

    def renew(self, member_id: str) -> MemberKey | None:
        """Another key to seal with, beside the one until now; None when there is no key. Half-done renewals go on."""

    def settle(self, member_id: str, number: int) -> None:
        """Forget the key before that number: nothing is sealed with it any more."""

    def forget(self, member_id: str) -> None:
        """Remove all keys of a member: what they sealed is gone for good."""


class KmsKeeper:
    """Wraps with a key that KMS keeps.

    Args:
        client: of KMS.
        stack: bound to every wrapped key, so that one of another stack is refused.
    """

    def __init__(self, client: KmsClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    def wrap(self, secret: bytes, what: str) -> bytes:
        """See `Keeper.wrap`."""
        return self._client.encrypt(secret, self._context(what))

    def unwrap(self, wrapped: bytes, what: str) -> bytes:
        """See `Keeper.unwrap`."""
        return self._client.decrypt(wrapped, self._context(what))

    def _context(self, what: str) -> dict[str, str]:
        return {"stack": self._stack, "what": what}


class LocalKeeper:
    """Wraps with a key of a laptop, which settings refuse in other stages.

    Args:
        secret: reads the key, 32 bytes, when it is first needed.
    """

    def __init__(self, secret: Callable[[], bytes], chance: Chance) -> None:
        self._secret = secret
        self._chance = chance

    def wrap(self, secret: bytes, what: str) -> bytes:
        """See `Keeper.wrap`."""
        return seal(self._secret(), secret, what.encode(), self._chance)

    def unwrap(self, wrapped: bytes, what: str) -> bytes:
        """See `Keeper.unwrap`."""
        return unseal(self._secret(), wrapped, what.encode())


class TenantKeys:
    """The keys of the tenant, unwrapped once per process.

    Args:
        now: the clock.
    """

    def __init__(self, table: Table, keeper: Keeper, chance: Chance, now: Callable[[], datetime]) -> None:
        self._table = table
        self._keeper = keeper
        self._chance = chance
        self._now = now
        self._secrets: dict[int, bytes] = {}
        self._newest = 0
        self._seen: datetime | None = None

    def newest(self) -> tuple[int, bytes]:
        """The key that keys of members are wrapped with now; the first one is made when it is asked for.

        It is looked up anew every minute: a process that knows only a key that was replaced would go on using it.
        """
        # Without any, also when another thread has just looked: it may be about to make the first.
        if self._newest == 0 or self._seen is None or self._now() - self._seen > FRESH_FOR:
            self._read()
            if self._newest == 0:
                self._make(1)
        newest = self._newest
        return newest, self._secrets[newest]

    def numbered(self, number: int) -> bytes:
        """The key of that number.

        Raises:
            LookupError: it was removed, though a member's key needs it.
        """
        if number not in self._secrets:
            self._read()
        return self._secrets[number]

    def add(self) -> int:
        """Make the next key, with which members' keys are wrapped from now on; its number.

        Two who make it at once make one.
        """
        self._read()
        number = self._newest + 1
        self._make(number)
        return number

    def _make(self, number: int) -> None:
        wrapped = self._keeper.wrap(self._chance(KEY_BYTES), _tenant(number))
        item: Item = {"wrapped": wrapped, "n": number}
        with suppress(_There):
            self._table.commit([Put(keys.tenant_key(number), item, Absent(), lambda _: _There())])
        self._read()

    def remove(self, number: int) -> None:
        """Remove a key that wraps nothing any more."""
        condition = Still("n", number)
        self._table.commit([Delete(keys.tenant_key(number), condition, lambda _: _There())])
        self._secrets.pop(number, None)

    def numbers(self) -> list[int]:
        """The numbers of all keys that there are."""
        self._read()
        return sorted(self._secrets)

    def _read(self) -> None:
        seen = self._now()
        items = self._table.query_partition(keys.TENANT, first="K", last="L", consistent=True)
        found = {int(item["n"]): item["wrapped"] for item in items}
        known = {number: self._secrets[number] for number in found.keys() & self._secrets.keys()}
        for number in found.keys() - known.keys():
            known[number] = self._keeper.unwrap(found[number], _tenant(number))
        self._secrets, self._newest, self._seen = known, max(known, default=0), seen


class TableVault:
    """Keys of members in the vault's table.

    An item holds the number and the key to seal with, while a key is being replaced also the one before it, and the key
    for words once there were some.
    """

    def __init__(self, table: Table, tenant: TenantKeys, chance: Chance) -> None:
        self._table = table
        self.tenant = tenant
        self._chance = chance

    def find(self, member_id: str, number: int | None = None) -> MemberKey | None:
        """See `Vault.find`. What is not there yet, or was just replaced, is looked for once more."""
        for consistent in (False, True):
            item = self._table.get(keys.member_key(member_id), consistent=consistent)
            if item is not None and number in (None, item["n"], item.get("before_n")):
                return self._opened(member_id, item, number)
        if item is not None:
            raise KeyMoved
        return None

    def find_many(self, numbers: Mapping[str, int]) -> dict[str, MemberKey | None]:
        """See `Vault.find_many`. Half a read unit each: who has to know that nobody was erased since asks elsewhere."""
        places = {member_id: keys.member_key(member_id) for member_id in numbers}
        items = self._table.get_many(list(places.values()))
        found: dict[str, MemberKey | None] = {}
        for member_id, place in places.items():
            item, number = items.get(place), numbers[member_id]
            if item is None:
                found[member_id] = None
            elif number in (item["n"], item.get("before_n")):
                found[member_id] = self._opened(member_id, item, number)
        return found

    def words(self, member_id: str, *, make: bool) -> bytes | None:
        """See `Vault.words`. It goes with the member's item; nobody who was erased gets another."""
        while (item := self._table.get(keys.member_key(member_id), consistent=True)) is not None:
            if "words" in item:
                number = item["words_tenant"]
                return unseal(self.tenant.numbered(number), item["words"], _words(member_id, number))
            if not make:
                return None
            secret = self._chance(KEY_BYTES)
            with suppress(KeyMoved):
                self._replace(member_id, {**item, **self._wrapped_words(member_id, secret)}, item["v"])
                return secret
        return None

    def make(self, member_id: str) -> MemberKey:
        """See `Vault.make`."""
        made = MemberKey(1, self._chance(KEY_BYTES))
        item = self._wrapped(member_id, made)
        try:
            self._table.commit([Put(keys.member_key(member_id), item, Absent(), lambda _: _There())])
        except _There:
            there = self.find(member_id)
            if there is None:
                raise KeyMoved from None
            return there
        return made

    def renew(self, member_id: str) -> MemberKey | None:
        """See `Vault.renew`."""
        item = self._table.get(keys.member_key(member_id), consistent=True)
        if item is None:
            return None
        if "before" in item:
            return self._opened(member_id, item, None)
        made = MemberKey(item["n"] + 1, self._chance(KEY_BYTES))
        before = {"before": item["key"], "before_n": item["n"], "before_tenant": item["tenant"]}
        self._replace(member_id, {**self._wrapped(member_id, made), **before, **_words_of(item)}, item["v"])
        return made

    def settle(self, member_id: str, number: int) -> None:
        """See `Vault.settle`."""
        item = self._table.get(keys.member_key(member_id), consistent=True)
        if item is not None and item["n"] == number and "before" in item:
            kept = {name: item[name] for name in ("n", "key", "tenant")}
            self._replace(member_id, {**kept, **_words_of(item)}, item["v"])

    def forget(self, member_id: str) -> None:
        """See `Vault.forget`."""
        while (item := self._table.get(keys.member_key(member_id), consistent=True)) is not None:
            try:
                condition = Still("v", item["v"])
                self._table.commit([Delete(keys.member_key(member_id), condition, lambda _: KeyMoved())])
            except KeyMoved:
                continue

    def rewrap(self, member_id: str) -> bool:
        """Wrap a member's keys with the tenant's newest; whether one was wrapped with another before.

        Raises:
            KeyMoved: somebody changed them at the same time; do it again.
        """
        newest, _ = self.tenant.newest()
        item = self._table.get(keys.member_key(member_id), consistent=True)
        tenants = (
            {item[name] for name in ("tenant", "before_tenant", "words_tenant") if name in item} if item else set()
        )
        if item is None or tenants == {newest}:
            return False
        after = self._wrapped(member_id, self._opened(member_id, item, item["n"]))
        if "before" in item:
            before = self._wrapped(member_id, self._opened(member_id, item, item["before_n"]))
            after |= {"before": before["key"], "before_n": before["n"], "before_tenant": before["tenant"]}
        if "words" in item:
            number = item["words_tenant"]
            secret = unseal(self.tenant.numbered(number), item["words"], _words(member_id, number))
            after |= self._wrapped_words(member_id, secret)
        self._replace(member_id, after, item["v"])
        return True

    def _replace(self, member_id: str, item: Item, version: int) -> None:
        write = Put(keys.member_key(member_id), {**item, "v": version + 1}, Still("v", version), lambda _: KeyMoved())
        self._table.commit([write])

    def _wrapped(self, member_id: str, key: MemberKey) -> Item:
        number, secret = self.tenant.newest()
        wrapped = seal(secret, key.secret, _member(member_id, key.number, number), self._chance)
        return {"n": key.number, "key": wrapped, "tenant": number, "v": 1}

    def _wrapped_words(self, member_id: str, secret: bytes) -> Item:
        number, tenant = self.tenant.newest()
        return {"words": seal(tenant, secret, _words(member_id, number), self._chance), "words_tenant": number}

    def _opened(self, member_id: str, item: Item, number: int | None) -> MemberKey:
        former = number is not None and number != item["n"]
        which, wrapped, tenant = ("before_n", "before", "before_tenant") if former else ("n", "key", "tenant")
        bound = _member(member_id, item[which], item[tenant])
        return MemberKey(
            item[which], newest=not former, secret=unseal(self.tenant.numbered(item[tenant]), item[wrapped], bound)
        )


def _tenant(number: int) -> str:
    return f"regulars tenant key {number}"


def _member(member_id: str, number: int, tenant: int) -> bytes:
    return bound_to("member key", member_id, number, tenant)


def _words(member_id: str, tenant: int) -> bytes:
    return bound_to("key for words", member_id, tenant)


def _words_of(item: Item) -> Item:
    return {name: item[name] for name in ("words", "words_tenant") if name in item}


def bound_to(*parts: str | int) -> bytes:
    """What a ciphertext is bound to, in one spelling: no part has a line break."""
    return "\n".join(("regulars", *map(str, parts))).encode()


def seal(secret: bytes, plain: bytes, bound: bytes, chance: Chance) -> bytes:
    """Encrypt with AES-256-GCM: 12 random bytes, the ciphertext, 16 bytes that tell whether it was changed."""
    nonce = chance(NONCE_BYTES)
    return nonce + _cipher()(secret).encrypt(nonce, plain, bound)


def unseal(secret: bytes, sealed: bytes, bound: bytes) -> bytes:
    """Decrypt what `seal` made.

    Raises:
        cryptography.exceptions.InvalidTag: it was changed, or belongs elsewhere, or to another key.
    """
    return _cipher()(secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound)


@cache
def _cipher() -> "type[AESGCM]":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 50 ms that a till never pays

    return AESGCM
