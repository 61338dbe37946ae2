"""What is refused about purchases."""

from chalicelib.kernel.errors import Refusal
from chalicelib.members.errors import identifier_name


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


class PurchaseMoved(Exception):
    """The purchase was returned in part since it was read. Never leaves the service."""
