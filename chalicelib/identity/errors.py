"""What is refused because of who is calling."""

from chalicelib.kernel.errors import Refusal, Trouble


class TokenMissing(Refusal):
    """The request carries no bearer token."""

    def __init__(self) -> None:
        super().__init__("Send a token: Authorization: Bearer …")


class TokenInvalid(Refusal):
    """The bearer token is not one of ours, or no longer good."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The token is not accepted: {why}.")


class RateExceeded(Refusal):
    """The caller sends more requests a minute than they may."""

    def __init__(self, *, rate_per_minute: int, retry_after: int) -> None:
        super().__init__(
            f"You may send {rate_per_minute} requests a minute. Wait {retry_after} seconds.",
            rate_per_minute=rate_per_minute,
            retry_after=retry_after,
        )


class PermissionMissing(Refusal):
    """None of the caller's roles may do this."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}.", permission=permission)


class ShopNotYours(Refusal):
    """The command names a shop that is not one of the caller's."""

    def __init__(self, *, shop_id: str | None) -> None:
        super().__init__("Name one of your own shops as shop_id.", shop_id=shop_id)


class StaffSuspended(Refusal):
    """The caller works here no more, or not for now."""

    def __init__(self) -> None:
        super().__init__("Your access is suspended. Ask an admin.")


class IssuerUnreachable(Trouble):
    """The issuer's keys cannot be had at the moment, so its tokens cannot be checked."""

    def __init__(self) -> None:
        super().__init__("The issuer's keys cannot be had at the moment. Try again soon.", retry_after=5)
