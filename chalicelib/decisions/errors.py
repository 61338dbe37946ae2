"""What is refused about deciding."""

from chalicelib.kernel.errors import Refusal


class ApprovalUnknown(Refusal):
    """Nothing of that id waits, or did."""

    def __init__(self, *, approval_id: str) -> None:
        super().__init__(f"Nothing of the id {approval_id} waits, or did.", approval_id=approval_id)


class ApprovalOwn(Refusal):
    """Nobody decides on what they asked for themselves."""

    def __init__(self) -> None:
        super().__init__("Somebody else decides on what you asked for.")


class ApprovalOver(Refusal):
    """It was decided on before, or nobody did in time."""

    def __init__(self, *, status: str, by: str | None) -> None:
        super().__init__(f"It waits no more: it is {status}.", status=status, by=by)
