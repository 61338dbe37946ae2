"""What is refused because a second person is needed, or not enough."""

from chalicelib.kernel.errors import Refusal


class ApprovalNeeded(Refusal):
    """So much needs a second person: sent for real, the command waits for one."""

    def __init__(self, *, amount: int, used: int, limit: int | None) -> None:
        super().__init__(
            f"{amount} needs a second person: {used} of {limit} is used up by what you did within a day."
            if limit is not None
            else "This waits for a second person already.",
            amount=amount,
            used=used,
            limit=limit,
        )


class ApprovalDiffers(Refusal):
    """The key was used before to ask for something else."""

    def __init__(self, *, approval_id: str) -> None:
        super().__init__("This key was used before to ask for something else.", approval_id=approval_id)


class ApprovalOutgrown(Refusal):
    """Carrying it out would by now come to more than was asked for."""

    def __init__(self, *, asked: int, now: int) -> None:
        super().__init__(f"It was asked for {asked}, and would come to {now} by now. Have it asked again.",
                         asked=asked, now=now)  # fmt: skip
