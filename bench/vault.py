"""What encryption costs a member's write and read, in CPU per call, and whether what was changed or moved is refused.

Measured is what sealing adds: a write of contact data seals them with a key that is at hand; a read unwraps the key of
the member, as it comes out of the vault, and opens them. Reading the vault is a matter of capacity (`docs/costs.md`).
The quickest of some rounds counts, because what else the machine does is not what encryption costs.
"""

import json
import random
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography.exceptions import InvalidTag

from bench.report import Figure, table
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.storage.keyring import SealedContacts
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.vault import KeyMoved, LocalKeeper, TableVault, TenantKeys
from tests.memory import MemoryTable

CONTACT = {
    "name": "王小明", "mobile": "+8613800138000", "email": "wang.xiaoming@example.com", "card_no": "VIP-0012345678",
    "external_ids": [["wechat", "oAbCdEf123456789"]], "birth_year": 1990,
}  # fmt: skip
WRITE_GOAL, READ_GOAL = 15.0, 10.0
_CHANGED = 1_000


def run(*, quick: bool = False) -> Figure:
    """CPU of both, the quickest of some rounds; the value is the larger of their shares of their goals."""
    calls, rounds = (200, 1) if quick else (5_000, 9)
    vault_table = MemoryTable()
    contacts, vault = _contacts(vault_table)
    members = [MemberId.of(MemberNumber.from_chance(number)) for number in range(50)]
    sealed = {each: contacts.seal(each, CONTACT) for each in members}
    keys = {each: vault.find(each) for each in members}
    plain = json.dumps(CONTACT, separators=(",", ":"), ensure_ascii=False).encode()

    def write(number: int) -> None:
        member = members[number % 50]
        key = keys[member]
        assert key is not None
        contacts.sealed_with(key, member, plain)

    def read(number: int) -> None:
        member = members[number % 50]
        contacts.open(member, sealed[member])

    def look(number: int) -> None:
        vault_table.get(_places[members[number % 50]])

    def as_json(_: int) -> None:
        json.loads(plain)

    _places = {each: _place(each) for each in members}
    writes = [_each(write, calls) for _ in range(rounds)]
    reads = [_each(read, calls) for _ in range(rounds)]
    looks, texts = [_each(look, calls) for _ in range(rounds)], [_each(as_json, calls) for _ in range(rounds)]
    write_us = min(writes)
    read_us = min(reads) - min(looks) - min(texts)
    refused = _refused(contacts, members, sealed)
    figures = {
        "write_us": round(write_us, 2), "read_us": round(read_us, 2), "read_with_json_and_table_us":
        round(min(reads), 2), "write_goal_us": WRITE_GOAL, "read_goal_us": READ_GOAL,
        "changed_or_moved": _CHANGED, "refused": refused,
    }  # fmt: skip
    table(["", "µs CPU", "goal"], [["write", write_us, WRITE_GOAL], ["read", read_us, READ_GOAL]])
    print(f"  {refused:,} of {_CHANGED:,} ciphertexts that were changed or moved were refused")
    share = max(write_us / WRITE_GOAL, read_us / READ_GOAL) if refused == _CHANGED else float("inf")
    return Figure(
        "vault", "CPU of encryption ÷ its goal, the larger of write and read", share, 1.0, "×", details=figures
    )


def _contacts(vault_table: Table) -> tuple[SealedContacts, TableVault]:
    chance = secrets.token_bytes
    tenant = TenantKeys(vault_table, LocalKeeper(lambda: b"k" * 32, chance), chance, lambda: datetime.now(UTC))
    vault = TableVault(vault_table, tenant, chance)
    return SealedContacts(vault, chance), vault


def _place(member_id: str) -> Key:
    from chalicelib.storage import keys  # noqa: PLC0415 - the name is taken above

    return keys.member_key(member_id)


def _each(call: Callable[[int], None], calls: int) -> float:
    """CPU of one call, in microseconds."""
    started = time.process_time()
    for number in range(calls):
        call(number)
    return (time.process_time() - started) / calls * 1e6


def _refused(contacts: SealedContacts, members: list[MemberId], sealed: dict[MemberId, bytes]) -> int:
    """How many of a thousand are refused: half with a bit changed, half another member's."""
    chance, refused = random.Random(1), 0
    for number in range(_CHANGED):
        member = chance.choice(members)
        text = bytearray(sealed[member])
        if number % 2:
            text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
        else:
            text = bytearray(sealed[chance.choice([each for each in members if each != member])])
        try:
            contacts.open(member, bytes(text))
        except (InvalidTag, KeyMoved, ValueError):
            refused += 1
    return refused
