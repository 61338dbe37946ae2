"""What is refused about corrections."""

from chalicelib.kernel.errors import Refusal


class EntryNotReversible(Refusal):
    """An entry of this kind is not taken back as such; something else is to be done."""

    def __init__(self, *, entry_id: str, kind: str, instead: str) -> None:
        super().__init__(
            f"An entry of kind {kind} is not taken back as such: {instead}.",
            entry_id=entry_id,
            kind=kind,
            instead=instead,
        )


class ReversalDiffers(Refusal):
    """The entry was taken back before, for another reason or with other words."""

    def __init__(self, *, entry_id: str) -> None:
        super().__init__(
            f"{entry_id} was taken back before, for another reason or with other words.", entry_id=entry_id
        )
