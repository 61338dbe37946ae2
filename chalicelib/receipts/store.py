"""What was told before: `CB#<provider>#<which>` in table `ops`, as long as it may be told again."""

from collections.abc import Iterable
from datetime import datetime

from chalicelib.receipts.rules import AGE_MAX
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Item, Put, Write


class NonceUsed(Exception):
    """A signature was used before. Never leaves this package."""

    def __init__(self, body: str) -> None:
        super().__init__(body)
        self.body = body


def find_taken(ops: Table, provider: str, which: Iterable[str]) -> set[str]:
    """Which of some replies were taken before."""
    wanted = {keys.callback(provider, each): each for each in which}
    return {wanted[key] for key in ops.get_many(list(wanted), consistent=True)}


def note_taken(provider: str, which: str, now: datetime) -> Write:
    """The write that says that a reply was taken."""
    item: Item = {"expires": int((now + 2 * AGE_MAX).timestamp())}
    return Put(keys.callback(provider, which), item, Anyway(), lambda _: NonceUsed(""))


def use_nonce(provider: str, nonce: str, body: str, now: datetime) -> Write:
    """The write that uses a signature up, for one body."""
    item: Item = {"body": body, "expires": int((now + 2 * AGE_MAX).timestamp())}
    return Put(keys.callback(provider, f"nonce {nonce}"), item, Absent(), lambda found: NonceUsed(found["body"]))
