"""Use cases of signing in: have a code sent, get tokens for it, go on, sign out; and members' own views and edits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from chalicelib.identity.members import LIVES_SECONDS, Issuer, answering
from chalicelib.identity.models import Caller
from chalicelib.kernel.errors import StorageBusy, WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, SessionId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.pages import Slice
from chalicelib.members import rules as members_rules
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.models import ConsentSource, EditMember, Happening, MemberView, Witness
from chalicelib.notices.models import Channel, Notice
from chalicelib.notices.sender import Courier
from chalicelib.points.errors import MemberSuspended
from chalicelib.points.models import AccountStatus
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.signin import rules, store
from chalicelib.signin.errors import (
    CodeNotSent,
    CodeWrong,
    CountryNotServed,
    NotMember,
    RefreshInvalid,
    SessionUnknown,
)
from chalicelib.signin.models import (
    AskCode,
    AskTokens,
    ChangeContact,
    CodeSent,
    EditMe,
    Grant,
    Me,
    Purpose,
    Session,
    SessionList,
    SessionView,
    SignInKey,
    SignInKeys,
    Tokens,
)
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.signing import url_safe
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Write

ATTEMPTS_MAX = 12
"""How often a try is decided again because another at the same address got there first."""

_CHANNELS = {"mobile": Channel.SMS, "email": Channel.EMAIL}

Draw = Callable[[], int]
T = TypeVar("T")


# ---------------------------------------------------------------- codes


def ask_code(
    ops: Table,
    keyring: Keyring,
    program: Program,
    sender: Courier,
    command: AskCode,
    *,
    address: str,
    draw: Draw,
    now: datetime,
    language: Language,
) -> CodeSent:
    """Have a code sent. Whether the address is a member's is not looked at, so neither answer nor time can tell.

    It is written down and counted first, then sent: a code that got lost on the way is asked for again. Where messages
    may not go at all is found before, and follows from the number alone.

    Args:
        address: the network address that asks.

    Raises:
        MobileInvalid, CountryNotServed: no code can go there.
        CodeTooSoon, SignInLocked: this address must wait.
        TooManyCodes: too many were asked for from here, or for numbers like this one, or today.
        CodeNotSent: it could not be handed over; this address may ask for another when it has waited.
        WriteContended: others ask for the same address at the same time.
    """
    kind, value = _address(command.mobile, command.email, program)
    blind = keyring.blind(kind, value)
    tallies = rules.tallies(value if kind == "mobile" else None, program, address, now=now)
    if not sender.reaches(_CHANNELS[kind], value):
        raise CountryNotServed(country=None)
    request_id = "otp_" + rules.name_of(_chance(draw, 2))
    for _ in range(ATTEMPTS_MAX):
        known, pressure = store.find_attempts(ops, kind, blind, now=now)
        code = rules.code_of(draw(), rules.digits(pressure))
        mac = _mac(keyring, request_id, blind, command.purpose, code)

        after = rules.asked(known, pressure, request_id, mac, now=now)

        try:
            ops.commit(
                [
                    store.keep_attempts(after, kind, blind, now=now),
                    store.keep_request(request_id, kind, blind, command.purpose, now=now),
                    *store.count_code(tallies, keyring, now=now),
                    *store.note_pressure("asked", blind, now=now),
                ]
            )
        except store.AttemptsMoved:
            continue
        pause = int(rules.pause_after(len(after.asked)).total_seconds())
        try:
            sender.send(_notice(kind, value, request_id, code, program, language, now))
        except StorageBusy:
            raise CodeNotSent(retry_after=pause) from None
        assert after.expires_at is not None
        return CodeSent(request_id=request_id, expires_at=after.expires_at, resend_after=pause, digits=after.digits)
    raise WriteContended


def give_tokens(
    table: Table,
    ops: Table,
    keyring: Keyring,
    issuer: Issuer,
    command: AskTokens,
    *,
    draw: Draw,
    now: datetime,
) -> Tokens:
    """Tokens for a right code, or for a good refresh token.

    A right code gives tokens once, as OAuth has it for every one-time grant: who lost the answer asks for another
    code. A refresh token gives the next one, and for ten seconds the same next one again.

    Raises:
        CodeWrong, SignInLocked: the code does not sign in.
        NotMember: the code was right, and nobody is a member by its address.
        RefreshInvalid: the refresh token does not go on.
        WriteContended: others try the same at the same time.
    """
    if command.grant is Grant.REFRESH:
        assert command.refresh_token is not None
        return _refresh(table, ops, issuer, rules.refresh_from(command.refresh_token), draw=draw, now=now)
    assert command.request_id is not None
    assert command.code is not None
    return _sign_in(table, ops, keyring, issuer, command.request_id, command.code, draw=draw, now=now)


def _sign_in(
    table: Table,
    ops: Table,
    keyring: Keyring,
    issuer: Issuer,
    request_id: str,
    code: str,
    *,
    draw: Draw,
    now: datetime,
) -> Tokens:
    def then(kind: str, blind: str) -> tuple[list[Write], Tokens]:
        # Who is a member is asked for when the code is right, and as it is now: a number may have changed hands.
        holder = members_store.find_holder_of(table, kind, blind)
        found = answering(table, holder, consistent=True) if holder is not None else None
        if found is None:
            raise NotMember
        token = rules.first_refresh(found[0], _chance(draw, 6))
        session = Session(token.session_id, found[0], token.digest, opened_at=now, turned_at=now)
        return [store.open_session(session)], _tokens(issuer, found[0], session, token, now)

    return _with_code(ops, keyring, request_id, code, Purpose.SIGN_IN, then, now=now)


def _with_code(
    ops: Table,
    keyring: Keyring,
    request_id: str,
    code: str,
    purpose: Purpose,
    then: Callable[[str, str], tuple[list[Write], T]],
    *,
    now: datetime,
) -> T:
    """Try a code and, when it is right, do what it is for: it is used up in the same transaction.

    Args:
        then: given the kind and blind index of the address, the writes besides, and what to answer. What it raises is
            raised after the code is used up.
    """
    wanted = store.find_request(ops, request_id)
    if wanted is None or wanted[2] is not purpose:
        raise CodeWrong
    kind, blind, _ = wanted
    mac = _mac(keyring, request_id, blind, purpose, code)
    for _ in range(ATTEMPTS_MAX):
        known, pressure = store.find_attempts(ops, kind, blind, now=now)

        after, right = rules.tried(known, pressure, request_id, mac, now=now)

        writes = [store.keep_attempts(after, kind, blind, now=now)]
        refusal: Exception | None = None if right else CodeWrong()
        answer: T | None = None
        if right:
            writes += store.note_pressure("right", blind, now=now)
            try:
                more, answer = then(kind, blind)
                writes += more
            except NotMember as refused:
                refusal = refused
        else:
            writes += store.note_pressure("wrong", blind, now=now, today=known.digits == rules.SHORT)
        try:
            ops.commit(writes)
        except store.AttemptsMoved:
            continue
        if refusal is not None:
            raise refusal
        assert answer is not None
        return answer
    raise WriteContended


# ---------------------------------------------------------------- sessions


def _refresh(
    table: Table, ops: Table, issuer: Issuer, token: rules.RefreshToken, *, draw: Draw, now: datetime
) -> Tokens:
    salt = _chance(draw, 4)
    for _ in range(ATTEMPTS_MAX):
        session = store.find_session(ops, token.member_id, token.session_id)
        if session is None:
            raise RefreshInvalid

        verdict = rules.turn(session, token, now=now)
        found = answering(table, session.member_id, consistent=True)
        ends = "reused" if verdict is rules.Turn.REUSED else "closed" if found is None else ""
        if verdict is rules.Turn.SAME and found is not None:
            return _tokens(issuer, found[0], session, token.next(session.salt), now)
        after = rules.turned(session, token, salt, now=now)
        if ends:
            after = replace(session, ended=ends, version=session.version + 1)
        # Signed before it is written: where the key is out of reach, the token that was sent is still good.
        tokens = _tokens(issuer, found[0], after, token.next(salt), now) if found and not ends else None

        try:
            ops.commit([store.replace_session(after)])
        except store.SessionMoved:
            continue
        if tokens is None:
            raise RefreshInvalid
        return tokens
    raise WriteContended


def list_sessions(ops: Table, caller: Caller, *, now: datetime) -> SessionList:
    """The sessions that are open, the one used last first; also those of members who were merged into this one."""
    found = [each for member in sorted(caller.account_ids) for each in store.list_sessions(ops, member)]
    live = [each for each in found if not each.ended and now < rules.ends_at(each)]
    live.sort(key=lambda each: (each.turned_at, each.session_id), reverse=True)
    return SessionList(items=tuple(_session_view(each, caller) for each in live))


def end_session(ops: Table, caller: Caller, session_id: SessionId, *, now: datetime) -> SessionView:
    """Sign out: the session gives no more tokens. One that has ended stays as it is.

    Raises:
        SessionUnknown: the caller has no such session.
        WriteContended: it was used at the same time, again and again.
    """
    for _ in range(ATTEMPTS_MAX):
        found = (store.find_session(ops, MemberId(each), session_id) for each in sorted(caller.account_ids))
        session = next((each for each in found if each is not None), None)
        if session is None:
            raise SessionUnknown(session_id=session_id)
        if session.ended or now >= rules.ends_at(session):
            return _session_view(session, caller)
        ended = replace(session, ended="signed_out", version=session.version + 1)
        try:
            ops.commit([store.replace_session(ended)])
        except store.SessionMoved:
            continue
        return _session_view(ended, caller)
    raise WriteContended


def list_sign_in_keys(issuer: Issuer) -> SignInKeys:
    """The public key that access tokens are signed with.

    Raises:
        StorageBusy: the key is busy or out of reach.
    """
    public = issuer.signer.public()
    return SignInKeys(keys=(SignInKey(x=url_safe(public.x), y=url_safe(public.y), kid=public.key_id),))


# ---------------------------------------------------------------- a member about themselves


def find_me(
    table: Table, keyring: Keyring, book: ProgramBook, member_id: MemberId, *, now: datetime, language: Language
) -> Me:
    """A member, as they see themselves.

    Raises:
        MemberUnknown: there is no such member.
    """
    return _me(members.find_member(table, keyring, book, member_id, now=now, language=language))


def edit_me(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: EditMe,
    *,
    now: datetime,
    language: Language,
) -> Me:
    """Change what a member says of themselves.

    Raises:
        MemberUnknown, MemberClosed: there is no such member any more.
        MemberSuspended: the membership is suspended: it is shown, and nothing changes.
        BirthdayFixed: the birthday is known already.
        MemberMoved: the member was changed since the version that the command names.
        BirthdayInFuture, CustomFieldMissing: as they say.
    """
    before = find_me(table, keyring, book, member_id, now=now, language=language)
    _require_active(before)
    if before.version == command.version:
        rules.require_own_edit(before, command)
    given = command.model_dump(exclude_unset=True)
    edit = EditMember.model_validate({**given, "consents": command.consents} if "consents" in given else given)
    witness = Witness(ConsentSource.MEMBER, member_id, told=False)
    return _me(members.edit_member(table, keyring, book, member_id, edit, now=now, language=language, witness=witness))


def change_contact(
    table: Table,
    ops: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: ChangeContact,
    *,
    now: datetime,
    language: Language,
) -> Me:
    """Give a member another mobile number or e-mail address, which the code proves to be theirs.

    Whether another member has it is told only after that, so nobody finds out about numbers that are not theirs.

    Raises:
        MemberUnknown, MemberClosed: there is no such member any more.
        MemberSuspended: the membership is suspended: it is shown, and nothing changes.
        MobileInvalid, CodeWrong, SignInLocked: the code does not prove it.
        MobileTaken, EmailTaken: another member has it.
        MemberMoved: the member was changed since the version that the command names; the code is used up.
        CustomFieldMissing: as it says.
        WriteContended: others try the same at the same time.
    """
    _require_active(find_me(table, keyring, book, member_id, now=now, language=language))
    kind, value = _address(command.mobile, command.email, book.current(now))

    def then(found_kind: str, blind: str) -> tuple[list[Write], bool]:
        return [], (found_kind, blind) == (kind, keyring.blind(kind, value))

    proven = _with_code(ops, keyring, command.request_id, command.code, Purpose.CONTACT_CHANGE, then, now=now)
    if not proven:
        raise CodeWrong
    edit = EditMember.model_validate({kind: value, "version": command.version})
    return _me(members.edit_member(table, keyring, book, member_id, edit, now=now, language=language))


def list_my_timeline(
    table: Table, member_id: MemberId, former_ids: frozenset[AccountId], *, after: str | None, limit: int
) -> Slice[Happening]:
    """Everything that happened to a member, as the member sees it.

    Raises:
        MemberUnknown: there is no such member.
    """
    part = members.list_timeline(table, member_id, after=after, limit=limit)
    return Slice(tuple(rules.shown_to_member(each, former_ids) for each in part.items), part.next_position)


# ---------------------------------------------------------------- parts


def _address(mobile: str | None, email: str | None, program: Program) -> members_rules.Identifier:
    if mobile is not None:
        return "mobile", members_rules.mobile_number(mobile, program.country)
    assert email is not None
    return "email", members_rules.email_address(email)


def _mac(keyring: Keyring, request_id: str, blind: str, purpose: Purpose, code: str) -> str:
    """What is stored of a code: nobody without the key can find it by trying all codes."""
    return keyring.blind("otp", f"{request_id}\n{blind}\n{purpose}\n{code}")


def _chance(draw: Draw, words: int) -> bytes:
    """Random bytes, eight for each word."""
    return b"".join(draw().to_bytes(8, "big") for _ in range(words))


def _tokens(issuer: Issuer, member_id: MemberId, session: Session, token: rules.RefreshToken, now: datetime) -> Tokens:
    return Tokens(
        access_token=issuer.issue(member_id, session.session_id, now=now),
        expires_in=LIVES_SECONDS,
        refresh_token=str(token),
        session_id=session.session_id,
        member_id=member_id,
    )


def _notice(
    kind: str, value: str, request_id: str, code: str, program: Program, language: Language, now: datetime
) -> Notice:
    subject, text = rules.text_of(code, program, language)
    channel = _CHANNELS[kind]
    return Notice(
        delivery_id=request_id.replace("otp_", "dlv_"),
        member_id=None,
        event_id=None,
        event_type="SignInCode",
        channel=channel,
        to=value,
        language=language,
        subject=subject if channel is Channel.EMAIL else "",
        text=text,
        at=now,
    )


def _session_view(session: Session, caller: Caller) -> SessionView:
    return SessionView(
        session_id=session.session_id,
        opened_at=session.opened_at,
        used_at=session.turned_at,
        ends_at=rules.ends_at(session),
        current=session.session_id == caller.session_id,
    )


def _require_active(me: Me) -> None:
    if me.status is AccountStatus.SUSPENDED:
        raise MemberSuspended(member_id=me.member_id)


def _me(view: MemberView) -> Me:
    return Me(**{name: getattr(view, name) for name in Me.model_fields})
