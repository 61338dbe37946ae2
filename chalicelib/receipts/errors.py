"""What is refused of what providers tell."""

from chalicelib.kernel.errors import Refusal


class CallbackUnknown(Refusal):
    """Nobody tells anything at this address."""

    def __init__(self) -> None:
        super().__init__("Nobody tells anything at this address.")


class CallbackUnsigned(Refusal):
    """Whoever tells this does not prove to be the provider."""

    def __init__(self, *, provider: str) -> None:
        super().__init__("The signature is missing, wrong or old.", provider=provider)


class CallbackMalformed(Refusal):
    """What the provider tells cannot be understood."""

    def __init__(self, *, provider: str) -> None:
        super().__init__("The body is not what this provider is known to tell.", provider=provider)
