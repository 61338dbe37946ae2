"""What reports of liability refuse."""

from chalicelib.kernel.errors import Refusal


class LiabilityUnknown(Refusal):
    """There is no report of liability yet."""

    def __init__(self) -> None:
        super().__init__("There is no report of liability yet. The job `verify` makes one each day.")


class MonthNotReached(Refusal):
    """The month has not begun yet, or no report reaches it yet."""

    def __init__(self, *, month: str, newest: str) -> None:
        super().__init__(
            f"No report reaches {month} yet; the newest month to ask for is {newest}.", month=month, newest=newest
        )


class LiabilityUntied(Refusal):
    """A report does not tie to the ledger, and is not given."""

    def __init__(self, *, kind: str, what: str) -> None:
        super().__init__(f"The report of {kind} accounts does not tie: {what}. It is not given.", kind=kind, what=what)
