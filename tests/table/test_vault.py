"""The vault over a real table: conditions, names of attributes, two at once."""

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
