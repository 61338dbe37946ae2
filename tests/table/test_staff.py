"""Staff and roles at the table: who may give what, twins of every write, and two who work at once."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from chalicelib.identity.errors import StaffSuspended
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, Permission, Scope
from chalicelib.identity.roles import roles_of
from chalicelib.identity.staff import Appointment, appointment
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import RoleName, ShopId, StaffId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.staff import service, store
from chalicelib.staff.errors import (
    LastAdmin,
    OwnRights,
    RightsExceeded,
    RoleBuiltIn,
    RoleInUse,
    RoleMoved,
    RolesUnknown,
    RoleUnknown,
    StaffDiffers,
    StaffMoved,
)
from chalicelib.staff.models import (
    EditStaff,
    InviteStaff,
    PutRole,
    Reach,
    ReinstateStaff,
    RemoveRole,
    RoleView,
    StaffView,
    SuspendStaff,
)
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable, Table
from tests.makers import Clock
from tests.table.stand import Crashed, CrashingTable, at_once, scan

IDP = "https://idp.example"
MAIN = ShopId("shp_main")
BARISTA = RoleName("barista")
MEMBER = "mem_aaaaaaaaaaaaaaaa"


def a_caller(
    role: str = "admin", *shop_ids: ShopId, subject: str = "boss", own: Mapping[Permission, Scope] | None = None
) -> Caller:
    """Somebody who works here, with a built-in role, or with rights of their own."""
    staff_id = StaffId.of(IDP, subject)
    return Caller(Kind.STAFF, staff_id, (role,), own or ROLES[role], frozenset(shop_ids), staff_id=staff_id)


BOSS = a_caller()


class Office:
    """Lets people in and changes what they may do, over a table port."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self.table = table
        self.clock = clock

    def invite(self, subject: str, *roles: str, by: Caller = BOSS, **fields: Any) -> Outcome[StaffView]:
        """Let somebody in."""
        body = {"issuer": IDP, "subject": subject, "name": subject.title(), "roles": roles, **fields}
        command = InviteStaff.model_validate(body, strict=False)
        return service.invite_staff(self.table, by, command, now=self.clock())

    def edit(self, who: StaffView, *, by: Caller = BOSS, **fields: Any) -> StaffView:
        """Change somebody."""
        command = EditStaff.model_validate({"version": who.version, "reason": "moved", **fields}, strict=False)
        return service.edit_staff(self.table, by, who.staff_id, command)

    def suspend(self, who: StaffView, *, by: Caller = BOSS) -> Outcome[StaffView]:
        """Suspend somebody."""
        return service.change_status(self.table, by, who.staff_id, SuspendStaff(reason="left"))

    def reinstate(self, who: StaffView, *, by: Caller = BOSS) -> Outcome[StaffView]:
        """End a suspension."""
        return service.change_status(self.table, by, who.staff_id, ReinstateStaff(reason="back"))

    def role(self, version: int = 0, *, by: Caller = BOSS, name: RoleName = BARISTA, **reach: str) -> RoleView:
        """Make or change a role: `points_spend="shop"`."""
        permissions = {Permission[each.upper()].value: value for each, value in reach.items()}
        body = {"version": version, "name": "Barista", "permissions": permissions, "reason": "new"}
        return service.put_role(self.table, by, name, PutRole.model_validate(body, strict=False))

    def remove(self, *, by: Caller = BOSS) -> Outcome[RoleView]:
        """Do away with the role."""
        return service.remove_role(self.table, by, BARISTA, RemoveRole(reason="unused"))

    def appointment(self, subject: str, *claimed: str) -> Appointment:
        """What somebody may do now."""
        return appointment(self.table, IDP, subject, claimed, now=self.clock())

    def admins(self) -> int:
        """How many active admins are counted."""
        return len(store.find_admins(self.table).staff_ids)


@pytest.fixture
def office(table: DynamoTable, clock: Clock) -> Office:
    """An office over the test's table."""
    return Office(table, clock)


def test_who_was_invited_may_do_what_their_roles_say_and_nothing_of_what_their_token_claims(office: Office) -> None:
    assert office.appointment("ann", "admin", "member", "nonsense").roles == ("admin",), (
        "no record yet: the claims count"
    )
    made = office.invite("ann", "clerk", "clerk", shop_ids=["shp_main"]).value
    assert (made.roles, made.shop_ids, made.version) == (("clerk",), ("shp_main",), 1)
    found = office.appointment("ann", "admin")
    assert (found.staff_id, found.roles, found.grants, found.shop_ids) == (
        made.staff_id, ("clerk",), ROLES["clerk"], frozenset({MAIN}),
    )  # fmt: skip
    assert service.find_staff(office.table, made.staff_id) == made
    assert appointment(office.table, "https://other.example", "ann", now=office.clock()).roles == (), "another issuer's"


def test_whose_membership_is_whose_is_kept_until_it_is_taken_out(office: Office) -> None:
    ann = office.invite("ann", "clerk", member_id=MEMBER).value
    assert (ann.member_id, office.appointment("ann").membership) == (MEMBER, MEMBER)
    renamed = office.edit(ann, name="Anne")
    assert renamed.member_id == MEMBER
    assert office.edit(renamed, member_id=None).member_id is None
    assert office.appointment("ann").membership is None


def test_a_change_bites_with_the_next_request(office: Office) -> None:
    ann = office.invite("ann", "shop_manager", shop_ids=["shp_main"]).value
    edited = office.edit(ann, roles=["clerk"], shop_ids=["shp_other"])
    assert office.appointment("ann").grants == ROLES["clerk"]
    assert office.appointment("ann").shop_ids == {"shp_other"}
    suspended = office.suspend(edited)
    with pytest.raises(StaffSuspended):
        office.appointment("ann", "admin")
    assert office.suspend(edited).replayed
    office.reinstate(suspended.value)
    assert office.appointment("ann").roles == ("clerk",)


def test_a_role_of_the_merchants_own_bites_within_half_a_minute(office: Office, clock: Clock) -> None:
    office.role(points_read="shop")
    office.invite("ann", "barista", shop_ids=["shp_main"])
    assert office.appointment("ann").grants == {Permission.POINTS_READ: Scope.SHOP}
    office.role(1, points_read="shop", points_spend="all")
    clock.forward(seconds=30)
    assert office.appointment("ann").grants == {Permission.POINTS_READ: Scope.SHOP, Permission.POINTS_SPEND: Scope.ALL}
    assert roles_of(office.table).grants("nobodys", clock()) == {}


# ---------------------------------------------------------------- who may give what


def refused(office: Office, dynamo: Dynamo, kind: type[Refusal], call: Callable[[], Any]) -> None:
    """See that something is refused and changes nothing."""
    assert isinstance(office.table, DynamoTable)
    before = scan(dynamo, office.table.name)
    with pytest.raises(kind):
        call()
    assert scan(dynamo, office.table.name) == before


def test_nobody_changes_their_own_rights(office: Office, dynamo: Dynamo) -> None:
    boss = office.invite("boss", "admin", by=a_caller(subject="first")).value
    office.invite("second", "admin")
    for call in (
        lambda: office.edit(boss, roles=["admin", "auditor"]),
        lambda: office.edit(boss, shop_ids=["shp_main"]),
        lambda: office.edit(boss, member_id=MEMBER),
        lambda: office.suspend(boss),
        lambda: office.invite("me", "admin", by=a_caller(subject="me")),
    ):
        refused(office, dynamo, OwnRights, call)
    assert office.edit(boss, name="The Boss").name == "The Boss"


def test_nobody_gives_takes_or_changes_rights_that_reach_further_than_their_own(office: Office, dynamo: Dynamo) -> None:
    manages = dict.fromkeys((Permission.STAFF_MANAGE, Permission.ROLES_MANAGE, Permission.JOBS_READ), Scope.ALL)
    head = a_caller("hr", MAIN, own={**ROLES["clerk"], **manages})
    ann = office.invite("ann", "clerk", shop_ids=["shp_main"], by=head).value
    bob = office.invite("bob", "shop_manager", shop_ids=["shp_main"]).value
    jobs = office.role(by=head, jobs_read="shop")
    for call in (
        lambda: office.invite("cy", "admin", by=head),
        lambda: office.invite("cy", "clerk", shop_ids=["shp_main", "shp_other"], by=head),
        lambda: office.edit(ann, roles=["shop_manager"], by=head),
        lambda: office.edit(ann, shop_ids=["shp_other"], by=head),
        lambda: office.edit(bob, name="Robert", by=head),
        lambda: office.edit(bob, roles=["clerk"], by=head),
        lambda: office.suspend(bob, by=head),
        lambda: office.role(jobs.version, by=head, jobs_read="all", jobs_run="all"),
        lambda: office.role(jobs.version, by=head, points_spend="shop"),
    ):
        refused(office, dynamo, RightsExceeded, call)
    wide = office.role(jobs.version, jobs_read="all", jobs_run="all")
    refused(office, dynamo, RightsExceeded, lambda: office.role(wide.version, by=head, jobs_read="all"))
    refused(office, dynamo, RightsExceeded, lambda: office.invite("cy", "barista", by=head))
    refused(office, dynamo, RightsExceeded, lambda: office.remove(by=head))


def test_staff_have_roles_for_staff(office: Office, dynamo: Dynamo) -> None:
    for roles in (["member"], ["integration"], ["barista"], ["clerk", "nobodys"]):
        refused(office, dynamo, RolesUnknown, lambda roles=roles: office.invite("ann", *roles))  # type: ignore[misc]
    refused(office, dynamo, RoleBuiltIn, lambda: office.role(name=RoleName("member"), points_read="all"))
    refused(office, dynamo, RoleUnknown, office.remove)


def test_the_last_active_admin_stays_one(office: Office, dynamo: Dynamo) -> None:
    ann = office.invite("ann", "admin").value
    refused(office, dynamo, LastAdmin, lambda: office.suspend(ann))
    refused(office, dynamo, LastAdmin, lambda: office.edit(ann, roles=["auditor"]))
    bob = office.invite("bob", "admin").value
    gone = office.suspend(ann).value
    assert office.admins() == 1
    refused(office, dynamo, LastAdmin, lambda: office.edit(bob, roles=[]))
    office.reinstate(gone)
    assert office.edit(bob, roles=[]).roles == ()
    assert office.admins() == 1


def test_a_role_that_somebody_has_stays(office: Office, dynamo: Dynamo) -> None:
    office.role(points_read="shop")
    ann = office.invite("ann", "barista").value
    refused(office, dynamo, RoleInUse, office.remove)
    office.edit(ann, roles=["clerk"])
    assert office.remove().value.role == "barista"
    refused(office, dynamo, RolesUnknown, lambda: office.invite("bob", "barista"))


# ---------------------------------------------------------------- twins


def test_the_same_invitation_twice_is_one_and_another_is_refused(office: Office, dynamo: Dynamo) -> None:
    first = office.invite("ann", "admin")
    again = office.invite("ann", "admin")
    assert (first.replayed, again.replayed, again.value) == (False, True, first.value)
    assert office.admins() == 1
    refused(office, dynamo, StaffDiffers, lambda: office.invite("ann", "clerk"))
    assert office.invite("ann", "admin", dry_run=True).replayed
    assert not office.invite("bob", "clerk", dry_run=True).stored
    assert office.appointment("bob").roles == ()


def test_an_edit_of_a_version_that_was_changed_since_is_refused(office: Office, dynamo: Dynamo) -> None:
    ann = office.invite("ann", "clerk").value
    office.edit(ann, name="Anna")
    refused(office, dynamo, StaffMoved, lambda: office.edit(ann, name="Anne"))
    role = office.role(points_read="shop")
    office.role(role.version, points_read="all")
    refused(office, dynamo, RoleMoved, lambda: office.role(role.version, points_read="shop"))


def test_who_has_a_role_does_not_change_it(office: Office, dynamo: Dynamo) -> None:
    role = office.role(points_read="shop")
    office.invite("ann", "barista")
    assert office.role(role.version, points_read="all").version == role.version + 1
    office.edit(service.find_staff(office.table, StaffId.of(IDP, "ann")), roles=[])
    now = service.find_role_view(office.table, BARISTA)
    assert (now.version, now.holders, now.permissions) == (2, 0, {Permission.POINTS_READ: Reach.ALL})
    office.remove()
    version = 0
    for round_ in range(5):
        made = office.role(version, points_read="shop")
        given, put = at_once(
            dynamo, lambda n=round_: office.invite(f"bob{n}", "barista"),  # type: ignore[misc]
            lambda made=made: office.role(made.version, points_read="all"),  # type: ignore[misc]
        )  # fmt: skip
        assert isinstance(given, Outcome), given
        assert isinstance(put, RoleView), put
        version = put.version
        now = service.find_role_view(office.table, BARISTA)
        assert (now.holders, now.version, now.permissions[Permission.POINTS_READ]) == (round_ + 1, put.version, "all")
    first, second = at_once(dynamo, *[lambda: office.role(version, points_read="shop")] * 2)
    assert sorted(isinstance(each, RoleMoved) for each in (first, second)) == [False, True], (first, second)


def test_two_admins_who_demote_each_other_at_once_leave_one(office: Office, dynamo: Dynamo) -> None:
    for round_ in range(5):
        ann = office.invite(f"ann{round_}", "admin").value
        bob = office.invite(f"bob{round_}", "admin").value
        for each in service.list_staff(office.table, after=None, limit=100).items:
            if each.staff_id not in (ann.staff_id, bob.staff_id) and "admin" in each.roles:
                office.edit(each, roles=[])
        answers = at_once(
            dynamo,
            lambda ann=ann: office.edit(ann, roles=[], by=a_caller(subject="bob")),  # type: ignore[misc]
            lambda bob=bob: office.suspend(bob, by=a_caller(subject="ann")),  # type: ignore[misc]
        )
        assert sorted(isinstance(answer, LastAdmin) for answer in answers) == [False, True], answers
        assert office.admins() == 1


def test_a_role_given_and_done_away_with_at_once_is_one_or_the_other(office: Office, dynamo: Dynamo) -> None:
    for round_ in range(5):
        if service.find_role_view(office.table, office.role(points_read="shop").role).holders == 0:
            given, removed = at_once(
                dynamo, lambda n=round_: office.invite(f"ann{n}", "barista"), office.remove  # type: ignore[misc]
            )  # fmt: skip
        assert isinstance(given, RolesUnknown) != isinstance(removed, RoleInUse), (given, removed)
        if isinstance(removed, RoleInUse):
            office.edit(service.find_staff(office.table, StaffId.of(IDP, f"ann{round_}")), roles=[])
            office.remove()


def test_an_invitation_sent_twice_at_once_counts_one_admin(office: Office, dynamo: Dynamo) -> None:
    answers = at_once(dynamo, *[lambda: office.invite("ann", "admin")] * 3)
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    assert sorted(answer.replayed for answer in answers if isinstance(answer, Outcome)) == [False, True, True]
    assert office.admins() == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_leaves_all_or_nothing_and_the_same_again_completes_it(
    office: Office, clock: Clock, *, after: bool
) -> None:
    office.role(points_read="shop")
    for step in range(1, 20):
        before = office.admins()
        port = CrashingTable(office.table, step, after=after)
        try:
            Office(port, clock).invite(f"ann{step}", "admin", "barista")
        except Crashed:
            crashed = True
        else:
            crashed = False
        assert office.admins() - before in ({0, 1} if crashed else {1})
        office.invite(f"ann{step}", "admin", "barista")
        assert office.admins() == before + 1 == service.find_role_view(office.table, BARISTA).holders
        if not crashed:
            break
    else:
        raise AssertionError("it never got through")
