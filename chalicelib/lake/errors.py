"""What can be wrong with the lake."""

from chalicelib.kernel.errors import Trouble


class LakeMissing(Trouble):
    """What members are counted by is gone. An operator makes it anew from the table or a backup."""

    def __init__(self) -> None:
        super().__init__(
            "What members are counted by (the lake) is gone, or being made anew. Asking again does not bring it back: "
            "an operator makes it anew, by `make lake-rebuild`.",
            retry_after=300,
        )
