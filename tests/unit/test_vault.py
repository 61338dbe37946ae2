"""Keys of members: made once, wrapped, replaced while they are in use, forgotten for good."""

import base64
import random
import secrets
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage import keys
from chalicelib.storage.keyring import CLEAR, SealedContacts, key_number
from chalicelib.storage.signed import ServiceFault, SignedClient
from chalicelib.storage.signing import KmsClient
from chalicelib.storage.vault import FRESH_FOR, KeyMoved, KmsKeeper, LocalKeeper, TableVault, TenantKeys
from tests.makers import Clock, a_member_id, contacts_in
from tests.memory import MemoryTable, SharedTable

NOW = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)
CONTACT = {"name": "张三", "mobile": "+8613800138000", "external_ids": [["wechat", "o1"]], "birth_year": 1990}


def a_vault(table: MemoryTable, clock: Clock | None = None) -> TableVault:
    chance = secrets.token_bytes
    tenant = TenantKeys(table, LocalKeeper(lambda: b"k" * 32, chance), chance, clock or Clock(NOW))
    return TableVault(table, tenant, chance)


def contacts_over(vault: TableVault) -> SealedContacts:
    return SealedContacts(vault, secrets.token_bytes)


def test_what_is_sealed_opens_again_in_another_process_and_shows_nothing() -> None:
    table, member = MemoryTable(), a_member_id()
    sealed = contacts_in(table).seal(member, CONTACT)
    assert contacts_in(table).open(member, sealed) == CONTACT
    assert "张三".encode() not in sealed
    assert b"138" not in sealed


def test_each_seal_is_another_and_names_its_form_and_key() -> None:
    contacts, member = contacts_in(MemoryTable()), a_member_id()
    contacts.begin(member)
    first, second = contacts.seal(member, CONTACT), contacts.seal(member, CONTACT)
    assert first != second
    assert (first[:1], key_number(first)) == (b"\x01", 1)


def test_clear_contact_data_of_before_are_read_and_sealed_by_the_next_write() -> None:
    contacts, member = contacts_in(MemoryTable()), a_member_id()
    clear = CLEAR + b'{"name":"old"}'
    assert contacts.open(member, clear) == {"name": "old"}
    assert key_number(clear) == 0
    assert contacts.open(member, contacts.seal(member, contacts.open(member, clear))) == {"name": "old"}


def test_every_one_of_a_thousand_changed_or_moved_ciphertexts_is_refused() -> None:
    chance, contacts = random.Random(7), contacts_in(MemoryTable())
    ours, theirs = a_member_id(), a_member_id()
    for _ in range(500):
        sealed = bytearray(contacts.seal(ours, CONTACT))
        at = chance.randrange(1, len(sealed))
        sealed[at] ^= 1 << chance.randrange(8)
        with pytest.raises((InvalidTag, KeyMoved)):
            contacts.open(ours, bytes(sealed))
    contacts.seal(theirs, CONTACT)
    for _ in range(500):
        with pytest.raises(InvalidTag):
            contacts.open(theirs, contacts.seal(ours, CONTACT))


def test_another_members_wrapped_key_does_not_serve_in_ones_place() -> None:
    table = MemoryTable()
    ours, theirs = a_member_id(), a_member_id()
    contacts = contacts_in(table)
    sealed = contacts.seal(ours, CONTACT)
    contacts.begin(theirs)
    table.restore(keys.member_key(theirs), table.items[keys.member_key(ours)])
    with pytest.raises(InvalidTag):
        contacts_in(table).open(theirs, sealed)


def test_no_key_stands_in_the_table_in_clear() -> None:
    table, member = MemoryTable(), a_member_id()
    vault = a_vault(table)
    secret = vault.make(member).secret
    tenant = vault.tenant.newest()[1]
    kept = [value for item in table.items.values() for value in item.values() if isinstance(value, bytes)]
    assert kept
    assert all(secret not in each and tenant not in each for each in kept)


def test_a_key_that_is_forgotten_leaves_nothing_to_read() -> None:
    table, member = MemoryTable(), a_member_id()
    contacts = contacts_in(table)
    sealed = contacts.seal(member, CONTACT)
    assert contacts.open(member, sealed) == CONTACT
    a_vault(table).forget(member)
    assert contacts.open(member, sealed) == {}
    assert contacts.seal(member, {}) == CLEAR + b"{}"


def test_making_a_key_twice_or_at_once_gives_one() -> None:
    table, member = SharedTable(), a_member_id()
    made: list[bytes] = []
    threads = [threading.Thread(target=lambda: made.append(a_vault(table).make(member).secret)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1
    assert [key.sk for key in table.items if key.pk == keys.TENANT] == ["K#000001"]


def test_a_renewed_key_seals_from_then_on_and_the_old_one_opens_until_it_is_settled() -> None:
    table, member = MemoryTable(), a_member_id()
    vault = a_vault(table)
    old = contacts_over(vault).seal(member, CONTACT)
    renewed = vault.renew(member)
    assert renewed is not None
    assert vault.renew(member) == renewed, "one that was not finished goes on"
    assert contacts_over(vault).open(member, old) == CONTACT
    new = contacts_over(vault).seal(member, CONTACT)
    assert key_number(new) == renewed.number == 2
    vault.settle(member, 2)
    assert contacts_over(vault).open(member, new) == CONTACT
    with pytest.raises(KeyMoved):
        contacts_over(vault).open(member, old)
    assert vault.renew(a_member_id()) is None


def test_a_tenant_key_is_replaced_and_the_old_one_removed() -> None:
    table, member, clock = MemoryTable(), a_member_id(), Clock(NOW)
    vault = a_vault(table, clock)
    sealed = contacts_over(vault).seal(member, CONTACT)
    assert vault.tenant.add() == 2
    assert vault.rewrap(member)
    assert not vault.rewrap(member)
    vault.tenant.remove(1)
    assert vault.tenant.numbers() == [2]
    assert contacts_in(table).open(member, sealed) == CONTACT


def test_another_process_learns_of_a_new_tenant_key_within_a_minute_and_reads_under_it_at_once() -> None:
    table, clock = MemoryTable(), Clock(NOW)
    here, there = a_vault(table, clock), a_vault(table, clock)
    assert (here.tenant.newest()[0], there.tenant.newest()[0]) == (1, 1)
    here.tenant.add()
    member = a_member_id()
    sealed = contacts_over(here).seal(member, CONTACT)
    assert contacts_over(there).open(member, sealed) == CONTACT
    other = a_vault(table, clock)
    other.tenant.newest()
    here.tenant.add()
    assert other.tenant.newest()[0] == 2
    clock.now += FRESH_FOR + timedelta(seconds=1)
    assert other.tenant.newest()[0] == 3


class Kms(SignedClient):
    """A KMS that seals by naming the context."""

    def __init__(self) -> None:
        self.busy = False
        self.calls: list[str] = []

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        self.calls.append(operation)
        if self.busy:
            raise ServiceFault("ThrottlingException", 400, {})
        context = repr(sorted(payload["EncryptionContext"].items())).encode()
        if operation == "Encrypt":
            return {
                "CiphertextBlob": base64.b64encode(context + b"|" + base64.b64decode(payload["Plaintext"])).decode()
            }
        bound, _, plain = base64.b64decode(payload["CiphertextBlob"]).partition(b"|")
        if bound != context:
            raise ServiceFault("InvalidCiphertextException", 400, {})
        return {"Plaintext": base64.b64encode(plain).decode()}


def test_kms_unwraps_the_tenants_key_once_per_process_and_for_its_own_stack_only() -> None:
    table, kms, chance = MemoryTable(), Kms(), secrets.token_bytes

    def contacts(stack: str) -> SealedContacts:
        keeper = KmsKeeper(KmsClient(kms, "arn:aws:kms:x"), stack)
        return SealedContacts(TableVault(table, TenantKeys(table, keeper, chance, Clock(NOW)), chance), chance)

    members = [a_member_id() for _ in range(5)]
    ours = contacts("a")
    sealed = [ours.seal(member, CONTACT) for member in members]
    assert kms.calls == ["Encrypt", "Decrypt"]
    other = contacts("a")
    assert [other.open(*each) for each in zip(members, sealed, strict=True)] == [CONTACT] * 5
    assert kms.calls == ["Encrypt", "Decrypt", "Decrypt"]
    with pytest.raises(ServiceFault):
        contacts("b").open(members[0], sealed[0])
    kms.busy = True
    with pytest.raises(StorageBusy):
        contacts("a").open(members[0], sealed[0])
