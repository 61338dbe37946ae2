"""Whether what purchases and returns keep beside their entries fits: money, lines, and what came back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.members.models import MemberRef
from chalicelib.points.models import Entry, Reason
from chalicelib.points.service import content_digest
from chalicelib.programs.models import Program
from chalicelib.programs.rules import worth_minor
from chalicelib.proof.models import Fault
from chalicelib.purchases.models import RecordPurchase, Returned, Sale
from chalicelib.purchases.store import returned_from, sale_from


@dataclass(slots=True)
class _Bought:
    seq: int
    entry: Entry
    sale: Sale
    returned: Returned
    found: Returned = field(default_factory=Returned)
    quantity: int = 0
    currencies: set[str] = field(default_factory=set)

    @property
    def adds_up(self) -> bool:
        """Whether what the purchase counts is what its returns say. A return by amount names no quantities."""
        counted = self.returned.model_copy(update={"quantities": ()})
        same_lines = self.quantity == sum(self.returned.quantities)
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
        self._last: datetime | None = None

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
        self._last = entry.recorded_at

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
        """Whether the digest in the chain is that of a command with this sale.

        A till whose clock is ahead of ours has its time cut to ours; what it said is not kept, so nothing can be said.
        """
        program = self._programs.get(entry.program_version)
        if program is not None and sale.tender_minor != worth_minor(entry.consumed or 0, program.point_value):
            return False
        if entry.content is None:
            return True
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
        if any(content_digest(each, command) == entry.content for each in filter(None, (entry.member_id, entry.actor))):
            return True
        after_last = self._last is not None and entry.recorded_at - self._last <= timedelta(milliseconds=1)
        return entry.occurred_at == entry.recorded_at or after_last

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
        bought.quantity += sum(quantity for _, quantity in item.get("rl") or ())
        bought.currencies.add(item["cu"])
