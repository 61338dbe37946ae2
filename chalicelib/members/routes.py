"""HTTP of members."""

from chalicelib.api.routing import Call, Routes
from chalicelib.consents.errors import ConsentTextUnknown
from chalicelib.identity.errors import PermissionMissing, ShopNotYours
from chalicelib.identity.models import Caller, Kind, Owner
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.members import service
from chalicelib.members.errors import (
    BirthdayInFuture,
    CardTaken,
    ConsentNeeded,
    CustomFieldInvalid,
    CustomFieldMissing,
    CustomFieldUnknown,
    EmailTaken,
    EnrolmentDiffers,
    ExternalIdTaken,
    HomeShopNotYours,
    IdentifierNeeded,
    LookUpsTooMany,
    MemberMoved,
    MemberNumberWrong,
    MobileInvalid,
    MobileTaken,
    ReasonNeeded,
)
from chalicelib.members.models import (
    ConsentChange,
    ConsentSource,
    ConsentsView,
    EditMember,
    EnrolMember,
    Happening,
    LookUp,
    MemberList,
    MemberView,
    ReinstateMember,
    SayConsents,
    SuspendMember,
    Witness,
)
from chalicelib.members.rules import Misses
from chalicelib.points.errors import MemberClosed, MemberUnknown
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.runtime.wiring import House

members = Routes("members")


def _owner(_: House, member_id: MemberId, __: Caller) -> Owner:
    """Members belong to themselves, and to the whole chain."""
    return Owner(frozenset({member_id}))


members.owned("member", "member_id", _owner, lambda member_id: MemberUnknown(member_id=member_id))


MISSES = Misses()
"""What this process remembers of look-ups that found nobody."""


class HappeningPage(Page[Happening]):
    """A page of a timeline."""


_IDENTIFIERS = (MobileTaken, EmailTaken, CardTaken, ExternalIdTaken, IdentifierNeeded, MobileInvalid)
_DETAILS = (
    BirthdayInFuture,
    CustomFieldUnknown,
    CustomFieldInvalid,
    CustomFieldMissing,
    ConsentNeeded,
    ConsentTextUnknown,
)


class ConsentChangePage(Page[ConsentChange]):
    """A page of the history of a member's consents."""


def witness_of(call: Call) -> Witness:
    """Through whom a request's consents come: its caller. A member speaks for themselves."""
    caller = call.signed_in
    source = {Kind.MEMBER: ConsentSource.MEMBER, Kind.INTEGRATION: ConsentSource.INTEGRATION}.get(
        caller.kind, ConsentSource.STAFF
    )
    return Witness(source, caller.subject, told=caller.kind is not Kind.MEMBER)


def _speaking(call: Call) -> tuple[ProgramBook, Language]:
    book = book_of(call.house.table)
    return book, book.language(call.language, call.now)


@members.post(
    "/members",
    keyed=False,
    status=201,
    refuses=(*_IDENTIFIERS, *_DETAILS, EnrolmentDiffers),
)
def enrol_member(body: EnrolMember, call: Call) -> Outcome[MemberView]:
    """Make a person a member.

    With an Idempotency-Key, the same request again answers the member it made, for ever: also when the member has
    other identifiers by now, or was closed.
    """
    book, language = _speaking(call)
    house = call.house
    return service.enrol_member(
        house.table,
        house.keyring,
        book,
        body,
        key=call.key,
        draw=house.draw,
        now=call.now,
        language=language,
        witness=witness_of(call),
    )


@members.get("/members", refuses=(MobileInvalid, MemberNumberWrong, LookUpsTooMany))
def look_up_member(query: LookUp, call: Call) -> MemberList:
    """Find a member by exactly one identifier: a list of one, or of none.

    After 20 look-ups in ten minutes that find nobody, 500 of an integration key (`velocity.missed_look_ups`,
    `missed_look_ups_of_keys` of the program), all are refused.
    """
    book, language = _speaking(call)
    house = call.house
    found = service.look_up_for(
        house.table, house.ops, house.keyring, book, MISSES, query,
        by=call.signed_in, now=call.now, language=language,
    )  # fmt: skip
    return MemberList(items=found)


@members.get("/members/{member_id}", refuses=(MemberUnknown,))
def get_member(member_id: MemberId, call: Call) -> MemberView:
    """A member, with points, tier, and what is missing to the next tier."""
    book, language = _speaking(call)
    return service.find_member(call.house.table, call.house.keyring, book, member_id, now=call.now, language=language)


@members.patch(
    "/members/{member_id}",
    refuses=(
        MemberUnknown,
        MemberClosed,
        MemberMoved,
        *_IDENTIFIERS,
        *_DETAILS,
        PermissionMissing,
        ShopNotYours,
        HomeShopNotYours,
        ReasonNeeded,
    ),
)
def edit_member(member_id: MemberId, body: EditMember, call: Call) -> MemberView:
    """Change what is known of a member.

    A mobile number or e-mail address that is missing is filled in by whoever may edit. To change or remove one takes
    `members:change_contact`, for the member's home shop, and a reason. It ends the member's sessions, is told to the
    address that was changed, and for 72 hours members signed in have their own data masked, and neither export nor
    erase them. Whose shops are some, gives a member another home shop only where the one before is theirs, and the new
    one too.
    """
    call.require_version(body.version)
    book, language = _speaking(call)
    house, witness = call.house, witness_of(call)
    return service.edit_member(
        house.table,
        house.keyring,
        book,
        member_id,
        body,
        now=call.now,
        language=language,
        witness=witness,
        editor=call.signed_in,
    )


@members.get("/members/{member_id}/consents", refuses=(MemberUnknown,), me="/me/consents")
def get_consents(member_id: MemberId, call: Call) -> ConsentsView:
    """What a member consents to now, by purpose and channel."""
    return service.find_consents(call.house.table, call.house.keyring, member_id)


@members.post(
    "/members/{member_id}/consents", refuses=(MemberUnknown, MemberClosed, ConsentTextUnknown), me="/me/consents"
)
def say_consents(member_id: MemberId, body: SayConsents, call: Call) -> Outcome[ConsentsView]:
    """Give or withdraw consents.

    What is said of all channels takes the place of what was said of single ones. A withdrawal holds at once: what is
    sent is decided when it is sent. The same again changes nothing. What is granted names a text that was published
    (`/v1/consent-texts`); a withdrawal is never refused for its text.
    """
    house, book = call.house, book_of(call.house.table)
    return service.say_consents(
        house.table, house.keyring, book, member_id, body, now=call.now, witness=witness_of(call)
    )


@members.get("/members/{member_id}/consent-changes", refuses=(MemberUnknown, CursorInvalid), me="/me/consent-changes")
def list_consent_changes(member_id: MemberId, query: Paging, call: Call) -> ConsentChangePage:
    """Who said what of a member's consents when, newest first; it stays when a consent is withdrawn."""
    scope = ("consent-changes", member_id)
    part = service.list_consent_changes(
        call.house.table, member_id, after=call.position(query.cursor, *scope), limit=query.limit
    )
    return call.page(part, ConsentChangePage, *scope)


@members.post(
    "/members/{member_id}/suspensions",
    status=201,
    refuses=(MemberUnknown, MemberClosed),
)
def suspend_member(member_id: MemberId, body: SuspendMember, call: Call) -> Outcome[MemberView]:
    """Suspend a membership: nothing is earned or spent until it is reinstated."""
    book, language = _speaking(call)
    return service.change_status(
        call.house.table, call.house.keyring, book, member_id, body, now=call.now, language=language
    )


@members.post(
    "/members/{member_id}/reinstatements",
    status=201,
    refuses=(MemberUnknown, MemberClosed),
)
def reinstate_member(member_id: MemberId, body: ReinstateMember, call: Call) -> Outcome[MemberView]:
    """End a suspension."""
    book, language = _speaking(call)
    return service.change_status(
        call.house.table, call.house.keyring, book, member_id, body, now=call.now, language=language
    )


@members.get("/members/{member_id}/timeline", refuses=(MemberUnknown, CursorInvalid))
def list_timeline(member_id: MemberId, query: Paging, call: Call) -> HappeningPage:
    """Everything that happened to a member, newest first.

    Who works in some shops only sees of the purchases of others what they did to the points, and no more.
    """
    scope = ("timeline", member_id)
    part = service.list_timeline(
        call.house.table,
        member_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        shop_ids=call.signed_in.within(Permission.MEMBERS_READ),
    )
    return call.page(part, HappeningPage, *scope)
