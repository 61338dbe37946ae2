"""What proofs refuse."""

from chalicelib.kernel.errors import Trouble


class ReceiptsUnavailable(Trouble):
    """Receipts cannot be signed here: this server has no signing key or no store of roots."""

    def __init__(self) -> None:
        super().__init__("This server has no signing key or no store of roots, and cannot give receipts.")


class RootBroken(Exception):
    """A root that was signed does not fit the files that it stands on. For operators; never an answer."""
