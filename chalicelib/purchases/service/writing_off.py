"""What was written off of a purchase, looked for where it matters."""

from chalicelib.points import store as points_store
from chalicelib.points.models import EntryKey
from chalicelib.points.rules import reversals
from chalicelib.points.service import still_counts
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.purchases import store
from chalicelib.purchases.rules.write_offs import NO_WRITE_OFFS, WriteOffs, brings_again, written_off
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item


def find_write_offs(table: Table, item: Item, change: int, program: Program) -> WriteOffs:
    """What was written off of a purchase and still counts; it is looked for only where it matters.

    Args:
        change: how many more points the purchase is to bring; below nought, how many less.
    """
    if not store.version_of(item) or (change <= 0 and program.negative_balance is not NegativeBalance.CAP):
        return NO_WRITE_OFFS
    changes = [points_store.entry_from(each) for each in store.find_changes(table, Key(item["pk"], item["sk"]))]
    found = {entry.key: points_store.find_entry(table, reversals.write_off_key(entry.key)) for entry in changes}
    write_offs = {key: points_store.entry_from(each) for key, each in found.items() if each is not None}
    counting = {key: each for key, each in write_offs.items() if still_counts(table, each.key)}
    return written_off(changes, counting)


def brought_again_since(table: Table, cause: EntryKey) -> bool:
    """Whether points of a purchase were brought again after one of its returns or restatements."""
    found = store.find_changes(table, keys.purchase(*cause.parts[:2]))
    changes = [points_store.entry_from(each) for each in found]
    place = next((at for at, each in enumerate(changes) if each.key == cause), len(changes))
    return any(map(brings_again, changes[place + 1 :]))
