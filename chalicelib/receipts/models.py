"""What was told, taken apart."""

from dataclasses import dataclass

from pydantic import ConfigDict

from chalicelib.kernel.ids import Id
from chalicelib.kernel.records import Record
from chalicelib.providers.models import Receipt, Reply


class ProviderName(Id):
    """Names a provider."""

    pattern = r"^[a-z]{2,20}$"


class CallbackSecret(Id):
    """The last part of the address that a provider was given."""

    pattern = r"^.{1,400}$"
    secret = True


class Signed(Record):
    """What WeChat puts into the query, other parts of which are not looked at."""

    model_config = ConfigDict(extra="ignore")

    signature: str = ""
    timestamp: str = ""
    nonce: str = ""
    echostr: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider told at once.

    Attributes:
        odd: how many parts of it were none that can be understood.
    """

    receipts: tuple[Receipt, ...] = ()
    replies: tuple[Reply, ...] = ()
    odd: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it.

    Attributes:
        counted: receipts that were new.
        known: receipts that were told before.
        strange: receipts of no delivery of ours.
        suppressed: addresses that are not written to any more.
        replies: replies that were taken.
        old: what was told too late, or told of the future.
        odd: see `Told`.
    """

    counted: int = 0
    known: int = 0
    strange: int = 0
    suppressed: int = 0
    replies: int = 0
    old: int = 0
    odd: int = 0
