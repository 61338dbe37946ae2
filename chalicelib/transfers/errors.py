"""What is refused about transfers."""

from chalicelib.kernel.errors import Refusal
from chalicelib.members.errors import identifier_name


class TransferUnknown(Refusal):
    """There is no such transfer."""

    def __init__(self, *, transfer_id: str) -> None:
        super().__init__(f"There is no transfer {transfer_id}.", transfer_id=transfer_id)


class RecipientUnknown(Refusal):
    """Nobody who could get the points is a member by this identifier."""

    def __init__(self, *, field: str) -> None:
        super().__init__(f"Nobody is a member by this {identifier_name(field)}.", field=field)


class TransfersOff(Refusal):
    """The program lets nobody give points to others."""

    def __init__(self) -> None:
        super().__init__("The program lets nobody give points to others.")


class TransferToSelf(Refusal):
    """Giver and receiver are the same member."""

    def __init__(self) -> None:
        super().__init__("Points cannot be given to the member whom they are taken from.")


class TransferTooSmall(Refusal):
    """The program asks for more points in a transfer."""

    def __init__(self, *, asked: int, least: int) -> None:
        super().__init__(f"{asked} points are too few: {least} is the least.", asked=asked, least=least)


class TransferTooLarge(Refusal):
    """The program allows fewer points in a transfer."""

    def __init__(self, *, asked: int, most: int) -> None:
        super().__init__(f"{asked} points are too many: {most} is the most.", asked=asked, most=most)


class TransferLimitReached(Refusal):
    """The giver would send more points in a month than the program allows."""

    def __init__(self, *, asked: int, left: int, limit: int) -> None:
        super().__init__(
            f"{asked} points with the fee would pass the month's {limit}; {left} are left of it.",
            asked=asked,
            left=left,
            limit=limit,
        )


class TransferUncovered(Refusal):
    """So many of the giver's points have expired or were taken back that the transfer cannot be made any more."""

    def __init__(self, *, needed: int, available: int) -> None:
        super().__init__(
            f"The transfer takes {needed} points with its fee, but the giver has {available} by now: "
            "the rest expired or was taken back. A new offer of fewer points is needed.",
            needed=needed,
            available=available,
        )


class TransferOver(Refusal):
    """The transfer has ended before, otherwise than is asked for now."""

    def __init__(self, *, transfer_id: str, status: str, ended_at: str) -> None:
        how = "timed out" if status == "timed_out" else f"was {status}"
        super().__init__(
            f"The transfer {how} at {ended_at}; it ends once.",
            transfer_id=transfer_id,
            status=status,
            ended_at=ended_at,
        )
