"""What is refused about the rights of members."""

from collections.abc import Mapping, Sequence

from chalicelib.kernel.errors import Refusal


class ErasureBlocked(Refusal):
    """Something stands in the way of the erasure."""

    def __init__(self, *, blockers: Sequence[Mapping[str, str]]) -> None:
        super().__init__(
            "Something stands in the way: " + " ".join(each["detail"] for each in blockers), blockers=list(blockers)
        )


class SignInStale(Refusal):
    """This needs a sign-in of just now."""

    def __init__(self, *, minutes: int) -> None:
        super().__init__(
            f"Sign in by a code once more: this needs a sign-in of the last {minutes} minutes.", minutes=minutes
        )


class ExportTooLarge(Refusal):
    """There is more about the member than one answer holds."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(
            f"There is more about this member than {limit} records, which is what one answer holds.", limit=limit
        )


class ConsentNotOffered(Refusal):
    """What was to be allowed is not offered on this page."""

    def __init__(self) -> None:
        super().__init__(
            "This cannot be allowed here: it is not asked for, or the link is too old. Sign in, or ask in a shop."
        )


class OptOutUnknown(Refusal):
    """This is no opt-out link of ours."""

    def __init__(self) -> None:
        super().__init__("This is no opt-out link of ours; copy all of it from the message.")
