"""What is refused about addresses that are not written to."""

from chalicelib.kernel.errors import Refusal


class SuppressionUnknown(Refusal):
    """There is no such suppression."""

    def __init__(self, *, suppression_id: str) -> None:
        super().__init__(f"{suppression_id} is no suppression of ours.", suppression_id=suppression_id)


class AddressInvalid(Refusal):
    """Nobody is reached at this address by this channel."""

    def __init__(self, *, channel: str) -> None:
        super().__init__(f"This is no address for {channel}.", channel=channel)
