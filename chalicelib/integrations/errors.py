"""What is refused about integration keys."""

from chalicelib.kernel.errors import Refusal


class IntegrationKeyUnknown(Refusal):
    """There is no such integration key."""

    def __init__(self, *, key_id: str) -> None:
        super().__init__("There is no such integration key.", key_id=key_id)


class IntegrationKeyDiffers(Refusal):
    """This key was used before to make an integration key with other content."""

    def __init__(self, *, key: str) -> None:
        super().__init__(
            f"The key {key!r} was used before to make another integration key. A new command needs a new key.", key=key
        )


class RotationDiffers(Refusal):
    """Another rotation of this integration key came in between, or this one had another overlap."""

    def __init__(self, *, key_id: str) -> None:
        super().__init__(
            "The integration key was given another secret with other content under this key.", key_id=key_id
        )


class IntegrationKeyOver(Refusal):
    """The integration key was revoked or has expired."""

    def __init__(self, *, key_id: str) -> None:
        super().__init__("The integration key was revoked or has expired. Make a new one.", key_id=key_id)


class RightsNotYours(Refusal):
    """Nobody gives a key more than they may do themselves, nor what no integration may do."""

    def __init__(self, *, permissions: list[str], shop_ids: list[str]) -> None:
        super().__init__(
            "A key cannot be given these permissions or shops by you.", permissions=permissions, shop_ids=shop_ids
        )


class ExpiryOver(Refusal):
    """The integration key would have expired already."""

    def __init__(self, *, today: str) -> None:
        super().__init__(f"The last day of a key must not be before today, {today}.", today=today)
