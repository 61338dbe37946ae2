"""What the ledger refuses."""

from typing import Any

from chalicelib.kernel.errors import Refusal


class MemberUnknown(Refusal):
    """There is no such member."""

    def __init__(self, *, member_id: str) -> None:
        super().__init__(f"There is no member {member_id}.", member_id=member_id)


class MemberErased(MemberUnknown):
    """The member was erased."""

    def __init__(self, *, member_id: str) -> None:
        Refusal.__init__(self, f"The member {member_id} was erased.", member_id=member_id)


class EntryUnknown(Refusal):
    """There is no such ledger entry."""

    def __init__(self, *, entry_id: str) -> None:
        super().__init__(f"There is no ledger entry {entry_id}.", entry_id=entry_id)


class HoldsTooMany(Refusal):
    """So many holds are open that no other can be made."""

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"There are {limit} open holds on the account, and no more can be made.", limit=limit)


class HoldsOpen(Refusal):
    """Points of the account are held for a checkout or a transfer."""

    def __init__(self, *, points: int, until: str) -> None:
        super().__init__(
            f"{points} points are held until {until} at the latest. Release the holds and cancel the transfers first.",
            points=points,
            until=until,
        )


class PointsInsufficient(Refusal):
    """The account holds fewer points than asked for."""

    def __init__(self, *, asked: int, available: int) -> None:
        super().__init__(
            f"{asked} points were asked for, but {available} are available.", asked=asked, available=available
        )


class VelocityExceeded(Refusal):
    """So many points were given by hand by the same person today that more need somebody else."""

    def __init__(self, *, asked: int, given: int, limit: int) -> None:
        super().__init__(
            f"{given} of {limit} points that one person may give by hand were given today; {asked} more are too many.",
            asked=asked,
            given=given,
            limit=limit,
        )


class EntryDiffers(Refusal):
    """This key was used before for something else."""

    def __init__(self, *, key: str) -> None:
        super().__init__(f"The key {key!r} was used before with other content. A new command needs a new key.", key=key)


class MemberSuspended(Refusal):
    """The member is suspended; points can be neither earned nor spent."""

    def __init__(self, *, member_id: str) -> None:
        super().__init__(f"Member {member_id} is suspended.", member_id=member_id)


class MemberClosed(Refusal):
    """The membership was closed."""

    def __init__(self, *, member_id: str) -> None:
        super().__init__(f"The membership of {member_id} was closed.", member_id=member_id)


class PoolClosed(Refusal):
    """The pool was closed."""

    def __init__(self, *, pool_id: str) -> None:
        super().__init__(f"The pool {pool_id} was closed.", pool_id=pool_id)


class InstantInFuture(Refusal):
    """The day or the instant that is asked about has not come yet."""

    def __init__(self, *, asked: str, now: str) -> None:
        super().__init__(f"{asked} has not come yet; it is {now}.", asked=asked, now=now)


class OccurredInFuture(Refusal):
    """The command says that it happened later than now."""

    def __init__(self, *, occurred_at: str, now: str) -> None:
        super().__init__(
            f"occurred_at is {occurred_at}, which is later than our clock, {now}.",
            occurred_at=occurred_at,
            now=now,
        )


class OccurredTooLongAgo(Refusal):
    """Points can be spent in arrears only for a while: by then they may have expired."""

    def __init__(self, *, occurred_at: str, days: int) -> None:
        super().__init__(
            f"occurred_at is {occurred_at}. Spending can be recorded up to {days} days late; an adjustment corrects "
            "what is older.",
            occurred_at=occurred_at,
            days=days,
        )


class AdjustmentEmpty(Refusal):
    """An adjustment must change the balance or the qualifying points."""

    def __init__(self) -> None:
        super().__init__("An adjustment must change the balance or the qualifying points by at least 1.")


class ExpiryPast(Refusal):
    """Points cannot be given with a last day that is over."""

    def __init__(self, *, expires_on: str, today: str) -> None:
        super().__init__(
            f"The points would have expired on {expires_on}; today is {today}.",
            expires_on=expires_on,
            today=today,
        )


class BalanceTooLarge(Refusal):
    """The account would hold more points than a balance may."""

    def __init__(self, *, balance: int, limit: int) -> None:
        super().__init__(f"The balance would be {balance} points; the limit is {limit}.", balance=balance, limit=limit)


class AccountMoved(Exception):
    """Another write changed the account first: read it again and decide again. Never leaves the service."""


class EntryKnown(Exception):
    """The key was written before. Never leaves the service.

    Args:
        item: what is stored under the key.
    """

    def __init__(self, item: dict[str, Any]) -> None:
        super().__init__("the key is taken")
        self.item = item


class ExpiryTooFar(Refusal):
    """Points cannot be given a last day that lies decades ahead."""

    def __init__(self, *, expires_on: str, latest: str) -> None:
        super().__init__(
            f"expires_on is {expires_on}; the latest day is {latest}. Points that never expire are a matter of the "
            "program.",
            expires_on=expires_on,
            latest=latest,
        )
