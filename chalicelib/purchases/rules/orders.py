"""A purchase as it was last stated, and what the customer keeps of it. Pure."""

from dataclasses import dataclass

from chalicelib.points.models import Entry
from chalicelib.programs.models import Program
from chalicelib.purchases.models import Delivery, Kept, Returned, Sale


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase as it was last stated, and what came back since.

    Attributes:
        entry: the purchase's own, with the figures that it would have, had it been bought as it was last stated.
        program: the version that it was decided by.
        returned: what came back since.
        version: how often it was returned, restated or delivered.
        delivery: what was told of its delivery, where its points waited for that.
    """

    entry: Entry
    sale: Sale
    program: Program
    returned: Returned
    version: int = 0
    delivery: Delivery | None = None

    @property
    def changed(self) -> bool:
        """Whether it was returned or restated."""
        return self.version > (self.delivery is not None)


def kept_of(bought: Bought) -> Kept:
    """What the customer keeps of a purchase."""
    back = bought.returned.quantities or (0,) * len(bought.sale.lines)
    lines = tuple(
        line.model_copy(update={"quantity": line.quantity - some})
        for line, some in zip(bought.sale.lines, back, strict=True)
        if line.quantity > some
    )
    return Kept(
        lines=lines,
        paid_minor=bought.sale.paid_minor - bought.returned.refund_minor,
        points_tender=(bought.entry.consumed or 0) - bought.returned.points_given_back,
        points_earned=(bought.entry.earned or 0) - bought.returned.points_taken_back,
    )


def goods_minor(sale: Sale) -> int:
    """What a purchase's goods cost: its lines, or what was paid in money and points."""
    if not sale.lines:
        return sale.paid_minor + sale.tender_minor
    return sum(line.quantity * line.unit_price_minor for line in sale.lines)


def purchase_id_of(entry: Entry) -> str:
    """The id of the purchase of an entry, for people."""
    return "/".join(entry.key.parts)


def multiplier_of(entry: Entry) -> int:
    """The multiplier that a purchase earned by."""
    return next((why.args[0] for why in entry.why if why.rule_id.startswith("tier.")), 100)
