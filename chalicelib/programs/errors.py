"""What a program refuses."""

from chalicelib.kernel.errors import Refusal


class ProgramMoved(Refusal):
    """Another version of the program was published since the one you read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"You read version {read} of the program, but version {current} is in force. Read it and try again.",
            read=read,
            current=current,
        )


class ProgramVersionUnknown(Refusal):
    """The program has no such version."""

    def __init__(self, *, version: int) -> None:
        super().__init__(f"The program has no version {version}.", version=version)


class CurrencyFixed(Refusal):
    """The program's currency cannot change any more, because purchases were recorded in it."""

    def __init__(self, *, current: str, asked: str) -> None:
        super().__init__(
            f"The program is kept in {current}; purchases were recorded in it, so it cannot become {asked}.",
            current=current,
            asked=asked,
        )


class ProgramFieldFixed(Refusal):
    """A field of the program that nobody decides was sent with another value than it has."""

    def __init__(self, *, field: str) -> None:
        super().__init__(
            f"{field} of the program cannot be changed: leave it out, or send it as you read it.", field=field
        )
