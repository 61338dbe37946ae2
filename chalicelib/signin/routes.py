"""HTTP of signing in, and of what members do for themselves.

What a member sees and does by the functions that staff use, too, is declared beside those (`me=` of a route).
"""

from chalicelib.api.routing import Call, Routes
from chalicelib.consents.errors import ConsentTextUnknown
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import SessionId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.pages import CursorInvalid, Paging
from chalicelib.members.errors import (
    BirthdayInFuture,
    CustomFieldMissing,
    EmailTaken,
    MemberMoved,
    MobileInvalid,
    MobileTaken,
)
from chalicelib.members.routes import HappeningPage
from chalicelib.notices.sender import Carried, Courier, Outbox
from chalicelib.points.errors import MemberClosed, MemberSuspended, MemberUnknown
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.runtime.observe import log_fact
from chalicelib.runtime.settings import LOCAL_STAGES
from chalicelib.signin import service
from chalicelib.signin.errors import (
    BirthdayFixed,
    CodeNotSent,
    CodeTooSoon,
    CodeWrong,
    CountryNotServed,
    NotMember,
    RefreshInvalid,
    SessionUnknown,
    SignInLocked,
    SignInUnavailable,
    TooManyCodes,
)
from chalicelib.signin.models import (
    AskCode,
    AskTokens,
    ChangeContact,
    CodeSent,
    EditMe,
    EndSession,
    Me,
    SessionList,
    SessionView,
    SignInKeys,
    Tokens,
)

signin = Routes("signin")


def _speaking(call: Call) -> tuple[ProgramBook, Language]:
    book = book_of(call.house.table)
    return book, book.language(call.language, call.now)


def _sender(call: Call, body: AskCode) -> Courier:
    """What brings codes: the stack's carriers, or a laptop's outbox, which in a stack would keep codes for years.

    Raises:
        SignInUnavailable: no carrier of this kind is set up.
    """
    house = call.house
    if ("sms" if body.mobile is not None else "email") in house.carriers:
        return Carried(house.carriers, log_fact)
    if house.settings.stage not in LOCAL_STAGES:
        raise SignInUnavailable
    return Outbox(house.objects)


@signin.post(
    "/auth/otp-requests",
    status=202,
    refuses=(MobileInvalid, CountryNotServed, CodeTooSoon, TooManyCodes, SignInLocked, SignInUnavailable, CodeNotSent),
)
def ask_code(body: AskCode, call: Call) -> CodeSent:
    """Have a code sent to a mobile number or an e-mail address.

    The answer is the same whether or not a member has the address. A new code voids the one before. The pauses between
    codes grow, and wrong codes lock the address: for 15 minutes, an hour, a day.
    """
    book, language = _speaking(call)
    house = call.house
    return service.ask_code(
        house.ops,
        house.keyring,
        book.current(call.now),
        _sender(call, body),
        body,
        address=call.address,
        draw=house.draw,
        now=call.now,
        language=language,
    )


@signin.post("/auth/tokens", refuses=(CodeWrong, SignInLocked, NotMember, RefreshInvalid))
def give_tokens(body: AskTokens, call: Call) -> Tokens:
    """Sign in with a code, or go on with a refresh token.

    The access token is good for 10 minutes, the refresh token once: its successor comes with the answer. Sent again
    within 10 seconds it gets the same successor, because answers get lost; after that the session ends, because two
    have it. A session lives for 90 days, and for 30 without use.
    """
    house = call.house
    return service.give_tokens(house.table, house.ops, house.keyring, house.issuer, body, draw=house.draw, now=call.now)


@signin.get("/auth/keys", refuses=(StorageBusy,))
def list_sign_in_keys(call: Call) -> SignInKeys:
    """The public keys that members' access tokens are signed with (a JSON Web Key Set)."""
    return service.list_sign_in_keys(call.house.issuer)


@signin.get("/me", refuses=(MemberUnknown,))
def get_me(call: Call) -> Me:
    """Who you are as a member, your points and tier, and what is missing to the next one."""
    book, language = _speaking(call)
    house = call.house
    return service.find_me(house.table, house.keyring, book, call.member_id, now=call.now, language=language)


@signin.patch(
    "/me",
    refuses=(
        MemberUnknown,
        MemberClosed,
        MemberSuspended,
        MemberMoved,
        BirthdayFixed,
        BirthdayInFuture,
        CustomFieldMissing,
        ConsentTextUnknown,
    ),
)
def edit_me(body: EditMe, call: Call) -> Me:
    """Change what you say of yourself."""
    call.require_version(body.version)
    book, language = _speaking(call)
    house = call.house
    return service.edit_me(house.table, house.keyring, book, call.member_id, body, now=call.now, language=language)


@signin.post(
    "/me/contact-changes",
    refuses=(
        MemberUnknown,
        MemberClosed,
        MemberSuspended,
        MemberMoved,
        MobileInvalid,
        MobileTaken,
        EmailTaken,
        CodeWrong,
        SignInLocked,
        CustomFieldMissing,
    ),
)
def change_contact(body: ChangeContact, call: Call) -> Me:
    """Take another mobile number or e-mail address, proven by a code that was sent to it for `contact_change`."""
    book, language = _speaking(call)
    house = call.house
    return service.change_contact(
        house.table, house.ops, house.keyring, book, call.member_id, body, now=call.now, language=language
    )


@signin.get("/me/timeline", refuses=(MemberUnknown, CursorInvalid))
def list_my_timeline(query: Paging, call: Call) -> HappeningPage:
    """Everything that happened to you as a member, newest first."""
    scope = ("my-timeline", call.member_id)
    former = call.caller.former_ids if call.caller else frozenset()
    part = service.list_my_timeline(
        call.house.table, call.member_id, former, after=call.position(query.cursor, *scope), limit=query.limit
    )
    return call.page(part, HappeningPage, *scope)


@signin.get("/me/sessions")
def list_my_sessions(call: Call) -> SessionList:
    """The devices on which you are signed in."""
    assert call.caller is not None
    return service.list_sessions(call.house.ops, call.caller, now=call.now)


@signin.post("/me/sessions/{session_id}/end", refuses=(SessionUnknown,))
def end_my_session(session_id: SessionId, body: EndSession, call: Call) -> SessionView:  # noqa: ARG001 - an empty body
    """Sign out on a device: its session gives no more tokens."""
    assert call.caller is not None
    return service.end_session(call.house.ops, call.caller, session_id, now=call.now)
