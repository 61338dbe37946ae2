"""What pools refuse."""

from chalicelib.kernel.errors import Refusal


class PoolUnknown(Refusal):
    """There is no such pool."""

    def __init__(self, *, pool_id: str) -> None:
        super().__init__(f"There is no pool {pool_id}.", pool_id=pool_id)


class PoolDiffers(Refusal):
    """This key was used before to open another pool."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"The key {key!r} was used before to open another pool.", key=key)


class PoolMoved(Refusal):
    """The pool was changed since it was read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"Version {read} of the pool was read, but it is at {current} by now. Read it again.",
            read=read,
            current=current,
        )


class PoolFull(Refusal):
    """The pool has as many members as it can have."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"The pool has {limit} members, and no more can be let in.", limit=limit)


class NotInPool(Refusal):
    """The member does not belong to the pool."""

    def __init__(self, *, pool_id: str, member_id: str) -> None:
        super().__init__(
            f"Member {member_id} does not belong to the pool {pool_id}.", pool_id=pool_id, member_id=member_id
        )


class RoleForbids(Refusal):
    """The member's role in the pool does not allow this."""

    def __init__(self, *, role: str, what: str) -> None:
        super().__init__(f"A {role} of the pool may not {what}.", role=role, what=what)


class PoolLimitReached(Refusal):
    """The member has spent what they may spend from the pool in this month."""

    def __init__(self, *, asked: int, left: int, limit: int) -> None:
        super().__init__(
            f"{asked} points were asked for, but {left} of this month's {limit} are left to the member.",
            asked=asked,
            left=left,
            limit=limit,
        )


class OwnerNeeded(Refusal):
    """A pool has an owner until it is closed."""

    def __init__(self, *, member_id: str) -> None:
        super().__init__(
            f"Member {member_id} owns the pool. Hand it over to another member first, or close it.",
            member_id=member_id,
        )


class ActionUnexplained(Refusal):
    """Somebody acts for a member, and does not say why."""

    def __init__(self) -> None:
        super().__init__("Who acts for a member says why, as reason.")


class ContributionTooLarge(Refusal):
    """So many points do not leave a member's account at once."""

    def __init__(self, *, asked: int, most: int) -> None:
        super().__init__(
            f"{asked} points would go into the pool; the program lets at most {most} go to others at once.",
            asked=asked,
            most=most,
        )


class ContributionLimitReached(Refusal):
    """The member has given away what they may give away in this month."""

    def __init__(self, *, asked: int, left: int, limit: int) -> None:
        super().__init__(
            f"{asked} points would go into the pool, but {left} of this month's {limit} are left to the member.",
            asked=asked,
            left=left,
            limit=limit,
        )
