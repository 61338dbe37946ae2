"""Whether what purchases and returns keep beside their entries fits: money, lines, and what came back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

from chalicelib.kernel.calendar import milliseconds
from chalicelib.members.models import MemberRef
from chalicelib.points.models import Entry, Reason
from chalicelib.points.rules import CLOCK_SKEW
from chalicelib.points.service import content_text
from chalicelib.programs.models import Program
from chalicelib.programs.rules import worth_minor
from chalicelib.proof.models import Fault
from chalicelib.purchases.models import RecordPurchase, Returned, Sale
from chalicelib.purchases.store import returned_from, sale_from

CUT_WITHIN = timedelta(seconds=1)
"""A till's time that was cut to ours is that of the recording, but for entries that were booked with it."""

SEARCHES_MAX = 5
"""For so many purchases of an account the time is looked for that a till with a fast clock gave, 0.3 s each at the
most; those beyond are not proven."""


@dataclass(slots=True)
class _Bought:
    seq: int
    entry: Entry
    sale: Sale
    returned: Returned
    found: Returned = field(default_factory=Returned)
    quantity: int = 0
    strange: bool = False
    currencies: set[str] = field(default_factory=set)

    @property
    def adds_up(self) -> bool:
        """Whether what the purchase counts is what its returns say. A return by amount names no quantities."""
        counted = self.returned.model_copy(update={"quantities": ()})
        same_lines = self.quantity == sum(self.returned.quantities) and not self.strange
        return self.found == counted and same_lines and self.currencies == {self.sale.currency}


class Sales:
    """Sees an account's entries in order, and says what does not fit at the end.

    Args:
        programs: every program version that an entry names.
    """

    def __init__(self, programs: Mapping[int, Program]) -> None:
        self._programs = programs
        self._bought: dict[tuple[str, ...], _Bought] = {}
        self._fault: Fault | None = None
        self._merged = False
        self._searched = 0

    def take(self, entry: Entry, item: Mapping[str, Any]) -> None:
        """See an entry and its item."""
        self._merged |= entry.reason is Reason.MERGE
        if entry.key.kind == "purchase":
            sale = sale_from(dict(item))
            if self._fault is None and not self._fits(entry, sale):
                self._fault = Fault(entry.seq, "the sale is not the one that the entry answers", entry.key)
            if "ret" in item or "rn" in item:
                self._take_bought(entry, item, sale)
        elif entry.key.kind == "return":
            self._take_return(entry, item)

    def fault(self) -> Fault | None:
        """The first thing that does not fit, or None.

        Of accounts that were merged nothing is said: a return may be in the one and its purchase in the other, and a
        purchase may have been sent under the id of the one that went into the other.
        """
        if self._merged:
            return None
        if self._fault is not None:
            return self._fault
        what = "what came back of the purchase is not what its returns add up to"
        return next((Fault(each.seq, what, each.entry.key) for each in self._bought.values() if not each.adds_up), None)

    def _fits(self, entry: Entry, sale: Sale) -> bool:
        """Whether the digest in the chain is that of a command with this sale."""
        program = self._programs.get(entry.program_version)
        if program is not None and sale.tender_minor != worth_minor(entry.consumed or 0, program.point_value):
            return False
        if entry.content is None:
            return True
        texts = [_command_text(each, entry, sale) for each in (entry.member_id, entry.actor) if each is not None]
        if any(hashlib.sha256(text).digest() == entry.content for text in texts):
            return True
        if entry.recorded_at - entry.occurred_at > CUT_WITHIN:
            return False
        self._searched += 1
        if self._searched > SEARCHES_MAX:
            return True
        return any(_fits_later(text, milliseconds(entry.occurred_at), entry.content) for text in texts)

    def _take_bought(self, entry: Entry, item: Mapping[str, Any], sale: Sale) -> None:
        returned = returned_from(dict(item))
        bought = [line.quantity for line in sale.lines]
        too_much = (
            returned.refund_minor > sale.paid_minor
            or item.get("rn") != returned.count
            or any(back > of for back, of in zip(returned.quantities, bought, strict=False))
        )
        if too_much and self._fault is None:
            self._fault = Fault(entry.seq, "more came back of the purchase than was bought", entry.key)
        self._bought[entry.key.parts] = _Bought(entry.seq, entry, sale, returned)

    def _take_return(self, entry: Entry, item: Mapping[str, Any]) -> None:
        bought = self._bought.get(entry.key.parts[:2])
        if bought is None:
            if self._fault is None:
                self._fault = Fault(entry.seq, "the purchase does not count the return", entry.key)
            return
        found = bought.found
        bought.found = Returned(
            count=found.count + 1,
            amount_minor=found.amount_minor + item["am"],
            refund_minor=found.refund_minor + item["mb"],
            points_taken_back=found.points_taken_back - (entry.earned or 0),
            points_given_back=found.points_given_back - (entry.consumed or 0),
            qualifying_taken_back=found.qualifying_taken_back - (entry.qualifying or 0),
        )
        lines = item.get("rl") or ()
        bought.quantity += sum(quantity for _, quantity in lines)
        bought.strange |= not {sku for sku, _ in lines} <= {line.sku for line in bought.sale.lines}
        bought.currencies.add(item["cu"])


def _command_text(account_id: str, entry: Entry, sale: Sale) -> bytes:
    """The command that the sale came with, in canonical form."""
    channel, order_no = entry.key.parts
    command = RecordPurchase.model_construct(
        channel=channel,
        order_no=order_no,
        member=MemberRef.model_construct(),
        shop_id=sale.shop_id,
        occurred_at=entry.occurred_at,
        currency=sale.currency,
        lines=sale.lines,
        paid_minor=sale.paid_minor,
        points_tender=entry.consumed,
    )
    return content_text(account_id, command)


def _fits_later(text: bytes, at: int, wanted: bytes) -> bool:
    """Whether the command fits with a later time: that of a till whose clock was ahead of ours, and was cut to ours.

    All milliseconds are tried that would have been taken, whole seconds first.
    """
    before, mark, after = text.partition(b'"occurred_at":%d' % at)
    begun = hashlib.sha256(before)
    last = at + CLOCK_SKEW // timedelta(milliseconds=1) + 1
    for each in chain(range(at - at % 1000 + 1000, last, 1000), range(at + 1, last + 1)):
        tried = begun.copy()
        tried.update(b'"occurred_at":%d' % each + after)
        if tried.digest() == wanted:
            return bool(mark)
    return False
