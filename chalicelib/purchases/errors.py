"""What is refused about purchases."""

from typing import Any

from chalicelib.kernel.errors import Refusal
from chalicelib.members.errors import identifier_name
from chalicelib.points.errors import BalanceTooLarge, OccurredInFuture


class CurrencyWrong(Refusal):
    """The purchase is in another currency than the program."""

    def __init__(self, *, asked: str, expected: str) -> None:
        super().__init__(f"The program is kept in {expected}, not in {asked}.", asked=asked, expected=expected)


class PurchaseDiffers(Refusal):
    """This order was recorded before with other content."""

    def __init__(self, *, channel: str, order_no: str) -> None:
        super().__init__(
            f"Order {order_no} of channel {channel} was recorded before with other content.",
            channel=channel,
            order_no=order_no,
        )


class PurchaseUnknown(Refusal):
    """There is no such purchase."""

    def __init__(self, *, purchase_id: str) -> None:
        super().__init__(f"There is no purchase {purchase_id}.", purchase_id=purchase_id)


class PurchaserUnknown(Refusal):
    """Nobody is a member by this identifier."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"Nobody is a member by this {identifier_name(field)}.", field=field)


class TenderTooSmall(Refusal):
    """So few points pay nothing."""

    def __init__(self, *, points: int, worth: str) -> None:
        super().__init__(f"{points} points pay nothing; {worth}.", points=points)


class TenderUneven(Refusal):
    """So many points pay no whole amount; some would be spent for nothing."""

    def __init__(self, *, points: int, even: int) -> None:
        super().__init__(f"{points} points pay no whole amount; {even} points pay the same.", points=points, even=even)


class TenderTooLarge(Refusal):
    """The points would pay more than the lines cost."""

    def __init__(self, *, tender_minor: int, total_minor: int) -> None:
        super().__init__(
            f"The points would pay {tender_minor}, but the lines cost {total_minor} (minor units).",
            tender_minor=tender_minor,
            total_minor=total_minor,
        )


class PurchaseTooLarge(Refusal):
    """More was paid than the caller may record for one purchase."""

    def __init__(self, *, paid_minor: int, limit_minor: int, permission: str, roles: str) -> None:
        super().__init__(
            f"{paid_minor} was paid; at most {limit_minor} (minor units) is recorded without the permission "
            f"{permission} ({roles}, or a role of your own that has it).",
            paid_minor=paid_minor,
            limit_minor=limit_minor,
            permission=permission,
        )


class ReturnTooLarge(Refusal):
    """More would be returned than was bought and is not returned yet."""

    def __init__(self, *, asked: int, left: int, sku: str | None = None) -> None:
        what = f"{asked} of {sku}" if sku else f"{asked} (minor units)"
        super().__init__(f"{what} cannot be returned: {left} is left.", asked=asked, left=left, sku=sku)


class ReturnLineUnknown(Refusal):
    """The purchase has no such line."""

    def __init__(self, *, sku: str) -> None:
        super().__init__(f"The purchase has no line with {sku}.", sku=sku)


class NothingLeft(Refusal):
    """Everything of this purchase was returned before."""

    def __init__(self, *, purchase_id: str) -> None:
        super().__init__(f"Nothing of {purchase_id} is left to return.", purchase_id=purchase_id)


class ReturnDiffers(Refusal):
    """This key was used before for another return of the purchase."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"The key {key!r} was used before for another return. A new one needs a new key.", key=key)


class ReturnedBeforeBought(Refusal):
    """The return says that it happened before the purchase."""

    def __init__(self, *, occurred_at: str, bought_at: str) -> None:
        super().__init__(
            f"occurred_at is {occurred_at}, but it was bought at {bought_at}.",
            occurred_at=occurred_at,
            bought_at=bought_at,
        )


class DeliveredBeforeBought(Refusal):
    """The delivery says that it happened before the purchase."""

    def __init__(self, *, delivered_at: str, bought_at: str) -> None:
        super().__init__(
            f"delivered_at is {delivered_at}, but it was bought at {bought_at}.",
            delivered_at=delivered_at,
            bought_at=bought_at,
        )


class DeliveryDiffers(Refusal):
    """The delivery of this purchase was told before, with another time."""

    def __init__(self, *, purchase_id: str) -> None:
        super().__init__(
            f"The delivery of {purchase_id} was told before, with another delivered_at.", purchase_id=purchase_id
        )


class DeliveryNotAwaited(Refusal):
    """The purchase was not recorded as one whose points wait for its delivery."""

    def __init__(self, *, purchase_id: str) -> None:
        super().__init__(f"The points of {purchase_id} do not wait for a delivery.", purchase_id=purchase_id)


class ReturnWaitedTooLong(Refusal):
    """The return waited 72 hours for its purchase, which did not come."""

    def __init__(self, *, waited_until: str) -> None:
        super().__init__(f"The return waited until {waited_until} for its purchase.", waited_until=waited_until)


class ReturnElsewhere(Refusal):
    """The return waited for a purchase which turned out to be of a shop that its sender does not reach."""

    def __init__(self) -> None:
        super().__init__("Whoever sent the return does not reach the shop of the purchase.")


class TooManyWaiting(Refusal):
    """So many returns wait for this purchase already that no more can."""

    def __init__(self, *, purchase_id: str, limit: int) -> None:
        super().__init__(f"{limit} returns wait for {purchase_id} already.", purchase_id=purchase_id, limit=limit)


class PurchaseMoved(Refusal):
    """The purchase was returned or restated since the version that was named."""

    def __init__(self, *, asked: int, version: int) -> None:
        super().__init__(f"Version {asked} was named, but the purchase is at {version}.", asked=asked, version=version)


class PurchaseFixed(Refusal):
    """What names a purchase and says whose it is cannot be restated."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"{field} of a purchase cannot change: it is another one then.", field=field)


class OrderMoved(Exception):
    """What is kept under the order's key changed since it was read. Never leaves the service."""


class PurchaseAwaited(Exception):
    """Returns wait for the purchase that was to be recorded. Never leaves the service.

    Args:
        item: what is stored under the order's key.
    """

    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__("returns wait under the key")
        self.item = item


RECORDED: dict[str, type[Refusal]] = {
    kind.code: kind
    for kind in (
        NothingLeft,
        ReturnTooLarge,
        ReturnLineUnknown,
        ReturnedBeforeBought,
        ReturnElsewhere,
        ReturnWaitedTooLong,
        OccurredInFuture,
        BalanceTooLarge,
    )
}
"""What a return that waited may be refused for. It is recorded with its facts, of which it is made again."""
