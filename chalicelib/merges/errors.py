"""What is refused about merges."""

from chalicelib.kernel.errors import Refusal


class MembersSame(Refusal):
    """Both ids name the same member."""

    def __init__(self, *, from_member_id: str, into_member_id: str, answering: str) -> None:
        super().__init__(
            f"{from_member_id} and {into_member_id} name the same member, {answering}.",
            from_member_id=from_member_id,
            into_member_id=into_member_id,
            answering=answering,
        )


class MemberMerged(Refusal):
    """The member was merged into another before."""

    def __init__(self, *, member_id: str, into_member_id: str) -> None:
        super().__init__(
            f"{member_id} was merged before, and {into_member_id} answers for it.",
            member_id=member_id,
            into_member_id=into_member_id,
        )


class IdentifiersTooMany(Refusal):
    """So many identifiers cannot be moved at once."""

    def __init__(self, *, count: int, limit: int) -> None:
        super().__init__(f"{count} identifiers would be moved; the limit is {limit}.", count=count, limit=limit)


class MergeUnknown(Refusal):
    """There is no such merge."""

    def __init__(self, *, merge_id: str) -> None:
        super().__init__(f"There is no merge {merge_id}.", merge_id=merge_id)


class MergeDiffers(Refusal):
    """This key was used before for another merge."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"The key {key!r} was used before for another merge. A new one needs a new key.", key=key)


class UndoTooLate(Refusal):
    """The time in which the merge could be undone is over."""

    def __init__(self, *, merge_id: str, until: str) -> None:
        super().__init__(
            f"{merge_id} could be undone until {until}. An adjustment corrects what is wrong by now.",
            merge_id=merge_id,
            until=until,
        )


class SurvivorMerged(Refusal):
    """The member that was merged into was itself merged since."""

    def __init__(self, *, member_id: str, into_member_id: str) -> None:
        super().__init__(
            f"{member_id} was itself merged into {into_member_id} since. Undo that merge first.",
            member_id=member_id,
            into_member_id=into_member_id,
        )


class UndoDiffers(Refusal):
    """The merge was undone before for another reason."""

    def __init__(self, *, merge_id: str) -> None:
        super().__init__(f"{merge_id} was undone before, for another reason.", merge_id=merge_id)
