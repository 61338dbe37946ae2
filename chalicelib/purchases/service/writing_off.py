"""What a purchase took, looked for where it matters."""

from chalicelib.points import store as points_store
from chalicelib.points.models import Account
from chalicelib.purchases import store
from chalicelib.purchases.rules.write_offs import Turns, turns_of
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item


def find_turns(table: Table, item: Item, account: Account, change: int) -> Turns:
    """What a purchase took and gave back; its returns and restatements are read only where that matters.

    Args:
        change: how many more points the purchase is to bring; below nought, how many less.
    """
    bought = points_store.entry_from(item)
    if change <= 0 or not account.written_off or not store.version_of(item):
        return turns_of(bought)
    found = store.find_changes(table, Key(item["pk"], item["sk"]))
    return turns_of(bought, [points_store.entry_from(each) for each in found])
