"""Use cases of privacy: replace keys while members are enrolled, looked up and edited.

Three keys can be replaced, each by a walk over all members that may be stopped and begun again at any time:

- the index key, under which identifiers are found. While it is replaced every process holds both, the one that decides
  first and the other beside it, and writes every claim under both. `copy_identifiers` brings the other up to date; then
  the two change places; then the one that was first is dropped (`drop_identifiers`). What is not written to goes along
  with the member who has the address; of an address that nobody has, it is forgotten.
- the tenant's key, which wraps members' keys (`replace_tenant_key`).
- the keys of members themselves (`renew_member_key`), which also seals what is still stored in clear.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import MemberId, is_member
from chalicelib.members import rules as members_rules
from chalicelib.members import store as members_store
from chalicelib.members.errors import MemberMoved
from chalicelib.points.models import AccountStatus
from chalicelib.programs.models import Program
from chalicelib.reach import service as reach
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring, SealedContacts, key_number
from chalicelib.storage.table import Table
from chalicelib.storage.vault import KeyMoved, TableVault
from chalicelib.storage.writes import Item

ATTEMPTS_MAX = 8
_PAGE = 100


class _Gone(Exception):
    """The member does not have the identifier any more. Never leaves this module."""


def every_member(table: Table) -> Iterator[MemberId]:
    """All members, those who left among them, in no order; who is enrolled meanwhile may be among them."""
    for partition in keys.directories():
        after: str | None = None
        while True:
            rows = table.query_timeline(partition, after=after, limit=_PAGE, newest_first=False)
            for row in rows.items:
                account_id = keys.account_of(row["pk"])
                if is_member(account_id) and row["sk"] == "PROFILE":
                    yield MemberId(account_id)
            if rows.last is None:
                break
            after = rows.last


def copy_identifiers(table: Table, keyring: Keyring, member_id: MemberId) -> int:
    """Store a member's identifiers under the other index key too; how many.

    Each is written only if it is the member's own at that moment: what was given up or handed over meanwhile was
    written under both keys by whoever did that.
    """
    copied = 0
    for kind, value in _identifiers(table, keyring, member_id):
        with suppress(_Gone):
            table.commit(members_store.hand_over(member_id, member_id, kind, value, keyring, lambda _: _Gone()))
            copied += 1
        reach.copy_suppression(table, keyring, kind, value)
    return copied


def drop_identifiers(table: Table, keyring: Keyring, member_id: MemberId) -> int:
    """Remove a member's identifiers from under the other index key; how many.

    Only when no process decides by that key any more.
    """
    dropped = 0
    for kind, value in _identifiers(table, keyring, member_id):
        table.commit(members_store.forget_beside(kind, value, keyring))
        dropped += 1
    return dropped


def identifiers_beside(table: Table, keyring: Keyring, member_id: MemberId) -> tuple[int, int]:
    """How many identifiers a member is found by, and how many of them stand under the other index key too.

    The copy is finished when the two are the same for everybody, the drop when the second is nought.
    """
    found = beside = 0
    for kind, value in _identifiers(table, keyring, member_id):
        found += members_store.find_holder_of(table, kind, keyring.blind(kind, value)) == member_id
        beside += any(
            members_store.find_holder_of(table, kind, blind) == member_id
            for blind in keyring.blinds_beside(kind, value)
        )
    return found, beside


def replace_tenant_key(table: Table, vault: TableVault, settle: Callable[[], None]) -> int:
    """Make a new key of the tenant, wrap every member's key with it, and remove those before; how many were wrapped.

    Args:
        settle: waits until every process has seen the new key (`vault.FRESH_FOR`), so that none wraps with an older one
            behind the walk's back.
    """
    newest = vault.tenant.add()
    settle()
    wrapped = sum(_rewrapped(vault, member_id) for member_id in every_member(table))
    for number in vault.tenant.numbers():
        if number < newest:
            vault.tenant.remove(number)
    return wrapped


def renew_member_key(table: Table, contacts: SealedContacts, vault: TableVault, member_id: MemberId) -> bool:
    """Give a member another key and seal their data with it; whether they have one.

    Raises:
        WriteContended: others kept writing at the same time; safe to do again.
    """
    for _ in range(ATTEMPTS_MAX):
        with suppress(KeyMoved):
            key = vault.renew(member_id)
            if key is None:
                return False
            if not reseal(table, contacts, member_id, None, beneath=key.number):
                continue
            vault.settle(member_id, key.number)
            return True
    raise WriteContended


def reseal(
    table: Table, contacts: SealedContacts, member_id: MemberId, program: Program | None, *, beneath: int = 1
) -> bool:
    """Seal a member's data anew where they are in clear or under an older key; False when somebody was first.

    Args:
        program: with it, custom values that it calls personal are sealed too, though they were stored open.
        beneath: what is sealed with a key of a lower number is sealed again.
    """
    item, account = members_store.find_items(table, member_id, consistent=True)
    if item is None:
        return True
    contact, custom = contacts.open(member_id, item["contact"]), dict(item.get("custom", {}))
    fields = program.custom_fields if program else {}
    personal = {name for name in custom if name in fields and fields[name].is_sealed}
    if personal:
        contact = {**contact, "custom": {**contact.get("custom", {}), **{name: custom.pop(name) for name in personal}}}
    sealed = key_number(item["contact"]) >= beneath or (not contact and beneath == 1)
    clear = members_store.told_in_clear(item, contact) if _tells_nothing_in_clear(item, account) else None
    if sealed and not personal and clear is None:
        return True  # with a new key, also what is empty is written: it fences off who still writes under the old one
    try:
        table.commit([members_store.resealed(item, contacts.seal(member_id, contact), custom, clear)])
    except MemberMoved:
        return False
    return True


def _tells_nothing_in_clear(item: Item, account: Item | None) -> bool:
    """Whether a profile was written before profiles said by what their members can be written to."""
    open_ = account is not None and account["status"] in (AccountStatus.ACTIVE, AccountStatus.SUSPENDED)
    return open_ and "ways" not in item and not members_store.is_erased(item)


def seal_what_is_clear(table: Table, contacts: SealedContacts, program: Program, member_id: MemberId) -> None:
    """Seal what was stored before there was a vault, or before the program called it personal.

    A profile that does not say yet by what its member can be written to says so then.

    Raises:
        WriteContended: others kept writing at the same time; safe to do again.
    """
    for _ in range(ATTEMPTS_MAX):
        with suppress(KeyMoved):
            if reseal(table, contacts, member_id, program):
                return
    raise WriteContended


def _identifiers(table: Table, keyring: Keyring, member_id: MemberId) -> list[members_rules.Identifier]:
    for _ in range(ATTEMPTS_MAX):
        item, _account = members_store.find_items(table, member_id, consistent=True)
        with suppress(KeyMoved):
            return members_rules.identifiers(members_store.profile_from(item, keyring).contact) if item else []
    raise WriteContended


def _rewrapped(vault: TableVault, member_id: MemberId) -> bool:
    for _ in range(ATTEMPTS_MAX):
        with suppress(KeyMoved):
            return vault.rewrap(member_id)
    raise WriteContended
