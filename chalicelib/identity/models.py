"""Who sent a request, as far as the rest of the house cares."""

from dataclasses import dataclass, field
from enum import StrEnum

from chalicelib.identity.permissions import Grants, Permission, Scope
from chalicelib.kernel.ids import AccountId, MemberId, SessionId, ShopId, StaffId


class Kind(StrEnum):
    """What sort of caller somebody is."""

    STAFF = "staff"
    MEMBER = "member"
    INTEGRATION = "integration"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request.

    Attributes:
        subject: how logs and records name them; no personal data.
        roles: names of roles.
        grants: what they may do and how far, roles and own rights together.
        shop_ids: their shops, for what reaches to those.
        member_id: who they are, where a member signed in.
        staff_id: who they are, where somebody signed in who works here.
        name: what people call them, for their own screen; it goes into no log and no record.
        membership: the account of their own, of somebody who works here, by their record. It opens nothing: it is only
            there to see who gives points to themselves.
        former_ids: of members who were merged into that one, and for whom that one answers.
        session_id: the session that a member signed in with.
    """

    kind: Kind
    subject: str
    roles: tuple[str, ...]
    grants: Grants
    shop_ids: frozenset[ShopId] = field(default_factory=frozenset)
    member_id: MemberId | None = None
    staff_id: StaffId | None = None
    name: str = field(default="", repr=False)
    membership: MemberId | None = None
    former_ids: frozenset[AccountId] = field(default_factory=frozenset)
    session_id: SessionId | None = None

    @property
    def account_ids(self) -> frozenset[AccountId]:
        """Whose things are a member's own: theirs, and those of members who were merged into them."""
        return self.former_ids | {self.member_id} if self.member_id is not None else frozenset()

    def scope(self, permission: Permission) -> Scope | None:
        """How far a permission reaches for them; None when they do not have it.

        What reaches to shops reaches nowhere for who has none: members and all that is the whole chain's are only for
        those who work in some part of it.
        """
        scope = self.grants.get(permission)
        return None if scope is Scope.SHOP and not self.shop_ids else scope

    def within(self, permission: Permission) -> frozenset[ShopId] | None:
        """The shops that a permission ends at; None where it reaches further, or to what is their own."""
        return self.shop_ids if self.grants.get(permission) is Scope.SHOP else None


@dataclass(frozen=True, slots=True)
class Owner:
    """To whom something belongs.

    Attributes:
        account_ids: members whose own it is; of what is shared, all of them.
        shop_id: its shop; None for what belongs to the whole chain.
    """

    account_ids: frozenset[AccountId] = field(default_factory=frozenset)
    shop_id: ShopId | None = None


def reaches(caller: Caller, scope: Scope, owner: Owner) -> bool:
    """Whether a permission of that scope reaches something."""
    if scope is Scope.ALL:
        return True
    if scope is Scope.SHOP:
        return bool(caller.shop_ids) and (owner.shop_id is None or owner.shop_id in caller.shop_ids)
    return not caller.account_ids.isdisjoint(owner.account_ids)
