"""What is refused about holds."""

from chalicelib.kernel.errors import Refusal

_ENDS = {
    "captured": "was captured",
    "released": "was released",
    "timed_out": "timed out, and its points are free again,",
}


class HoldUnknown(Refusal):
    """There is no such hold."""

    def __init__(self, *, hold_id: str) -> None:
        super().__init__(f"There is no hold {hold_id}.", hold_id=hold_id)


class HoldOver(Refusal):
    """The hold has ended before, otherwise than is asked for now."""

    def __init__(
        self, *, hold_id: str, status: str, ended_at: str, captured_points: int, purchase_id: str | None
    ) -> None:
        super().__init__(
            f"The hold {_ENDS[status]} at {ended_at}; a hold ends once.",
            hold_id=hold_id,
            status=status,
            ended_at=ended_at,
            captured_points=captured_points,
            purchase_id=purchase_id,
        )


class CaptureTooLarge(Refusal):
    """More points would be captured than are held."""

    def __init__(self, *, asked: int, held: int) -> None:
        super().__init__(f"{asked} points were to be captured, but {held} are held.", asked=asked, held=held)
