"""What is refused about signing in, and about what members change of themselves."""

from chalicelib.kernel.errors import Refusal, Trouble


class CountryNotServed(Refusal):
    """No codes are sent to numbers of this country."""

    def __init__(self, *, country: str | None) -> None:
        super().__init__("No codes are sent to numbers of this country.", country=country)


class CodeTooSoon(Refusal):
    """A code was sent to this address a moment ago."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(f"A code was sent already. Ask for another in {retry_after} seconds.", retry_after=retry_after)


class TooManyCodes(Refusal):
    """Too many codes were asked for from here, or for numbers like this one."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__("Too many codes were asked for. Try again later.", retry_after=retry_after)


class SignInLocked(Refusal):
    """Too many wrong codes: this address must wait."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__(
            f"After wrong codes this address must wait. Try again in {retry_after} seconds.", retry_after=retry_after
        )


class CodeWrong(Refusal):
    """The code is wrong, or no longer good."""

    def __init__(self) -> None:
        super().__init__("The code is wrong, or no longer good. Ask for another when it is used up.")


class NotMember(Refusal):
    """The code is right, and nobody is a member by this address."""

    def __init__(self) -> None:
        super().__init__("The code is right, and nobody is a member by this address.")


class RefreshInvalid(Refusal):
    """The refresh token is not good, or no longer."""

    def __init__(self) -> None:
        super().__init__("The refresh token is not good any more. Sign in again.")


class SessionUnknown(Refusal):
    """There is no such session of yours."""

    def __init__(self, *, session_id: str) -> None:
        super().__init__("You have no such session.", session_id=session_id)


class BirthdayFixed(Refusal):
    """Members give their birthday once."""

    def __init__(self) -> None:
        super().__init__("Your birthday is known already. Ask a shop to correct it.")


class SignInUnavailable(Trouble):
    """Codes cannot be sent here: no channel is set up."""

    def __init__(self) -> None:
        super().__init__("Codes cannot be sent here yet: no channel is set up.", retry_after=3600)


class CodeNotSent(Trouble):
    """The code could not be handed over to whoever brings it."""

    def __init__(self, *, retry_after: int) -> None:
        super().__init__("The code could not be sent just now. Ask for another.", retry_after=retry_after)
