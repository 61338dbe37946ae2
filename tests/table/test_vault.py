"""The vault over a real table: conditions, names of attributes, two at once."""

import pytest
from cryptography.exceptions import InvalidTag

from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import key_number
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.vault import TableVault
from tests.makers import a_member_id, contacts_in
from tests.table.stand import at_once, scan

CONTACT = {"name": "张三", "mobile": "+8613800138000"}


def test_a_key_is_made_renewed_wrapped_anew_and_forgotten(dynamo: Dynamo, vault_table: DynamoTable) -> None:
    contacts, member = contacts_in(vault_table), a_member_id()
    vault = contacts.vault
    assert isinstance(vault, TableVault)
    contacts.begin(member)
    first = contacts.seal(member, CONTACT)
    assert contacts.open(member, first) == CONTACT

    assert vault.tenant.add() == 2
    assert vault.rewrap(member)
    vault.tenant.remove(1)
    assert vault.tenant.numbers() == [2]
    assert vault.tenant.newest()[0] == 2
    assert contacts_in(vault_table).open(member, first) == CONTACT

    renewed = vault.renew(member)
    assert renewed is not None
    assert not vault.rewrap(member)
    second = contacts.seal(member, contacts.open(member, first))
    assert key_number(second) == renewed.number == 2
    vault.settle(member, 2)
    assert contacts_in(vault_table).open(member, second) == CONTACT

    vault.forget(member)
    assert contacts.open(member, second) == {}
    assert {key.pk for key in scan(dynamo, vault_table.name)} == {keys.TENANT}


def test_eight_who_make_a_key_at_once_have_one(dynamo: Dynamo, vault_table: DynamoTable) -> None:
    member = a_member_id()
    made = at_once(dynamo, *(lambda: contacts_in(vault_table).vault.make(member) for _ in range(8)))
    assert len({repr(each) for each in made}) == 1, made
    assert {key.sk for key in scan(dynamo, vault_table.name)} == {"KEY", "K#000001"}


def test_words_outlive_every_key_but_their_own(dynamo: Dynamo, vault_table: DynamoTable) -> None:
    contacts, one, two = contacts_in(vault_table), a_member_id(), a_member_id()
    vault = contacts.vault
    assert isinstance(vault, TableVault)
    assert contacts.seal_words([one], "here", "said", {}) is None, "who has no key has none made for words"
    for each in (one, two):
        contacts.begin(each)
    sealed = contacts.seal_words([one, two], "here", "said of both", {})
    assert sealed is not None
    assert b"said" not in sealed
    assert contacts.open_words([one, two], "here", sealed, {}) == "said of both"
    for of, place in (([two, one], "here"), ([one, two], "there")):
        with pytest.raises(InvalidTag):
            contacts.open_words(of, place, sealed, {})

    vault.renew(one)
    vault.settle(one, 2)
    assert vault.tenant.add() == 2
    assert vault.rewrap(one)
    assert not vault.rewrap(one)
    assert vault.rewrap(two)
    vault.tenant.remove(1)
    assert contacts_in(vault_table).open_words([one, two], "here", sealed, {}) == "said of both"

    vault.forget(two)
    assert contacts.open_words([one, two], "here", sealed, {}) is None
    assert contacts.seal_words([one, two], "here", "again", {}) is None
    alone = contacts.seal_words([one], "here", "said of one", {})
    assert alone is not None
    assert contacts.open_words([one], "here", alone, {}) == "said of one"
    assert {key.pk for key in scan(dynamo, vault_table.name)} == {keys.TENANT, keys.member_key(one).pk}


def test_eight_who_write_the_first_words_at_once_can_all_be_read(dynamo: Dynamo, vault_table: DynamoTable) -> None:
    contacts, member = contacts_in(vault_table), a_member_id()
    contacts.begin(member)
    made = at_once(dynamo, *(lambda: contacts_in(vault_table).seal_words([member], "x", "said", {}) for _ in range(8)))
    opened = [contacts.open_words([member], "x", each, {}) for each in made if isinstance(each, bytes)]
    assert opened == ["said"] * 8
    assert contacts.open(member, contacts.seal(member, CONTACT)) == CONTACT
