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


class UndoLeavesDebt(Refusal):
    """What goes back was spent: whoever stayed would owe more points than before."""

    def __init__(self, *, member_id: str, owed_before: int, owed_after: int, permission: str, roles: str) -> None:
        super().__init__(
            f"{member_id} owes {owed_before} points and would owe {owed_after}, because what goes back was spent. That "
            f"needs the permission {permission} ({roles}, or a role of your own that has it).",
            member_id=member_id,
            owed_before=owed_before,
            owed_after=owed_after,
            permission=permission,
        )
