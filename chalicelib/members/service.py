"""Use cases of members: enrol, find, edit, suspend, reinstate, close, timeline."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Any, TypeVar

from chalicelib.approvals.service import FREE, Clearance, Cleared
from chalicelib.consents import service as consent_texts
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.canonical import digest, plain
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, MemberNumber, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members import rules, store
from chalicelib.members.errors import BalanceRemaining, EnrolmentDiffers, LookUpsTooMany, MemberMoved, MemberNumberWrong
from chalicelib.members.models import (
    CONSENTS_MAX,
    OURSELVES,
    CloseMember,
    Consent,
    ConsentChange,
    ConsentGiven,
    ConsentShown,
    ConsentsView,
    EditMember,
    EnrolMember,
    Happening,
    LookUp,
    MemberRef,
    MemberView,
    Profile,
    ReachWhy,
    ReinstateMember,
    SayConsents,
    SuspendMember,
    Witness,
)
from chalicelib.points import service as points_service
from chalicelib.points import store as points_store
from chalicelib.points import views as points_views
from chalicelib.points.errors import (
    AccountMoved,
    BalanceTooLarge,
    EntryKnown,
    MemberClosed,
    MemberErased,
    MemberSuspended,
    MemberUnknown,
)
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey
from chalicelib.points.rules import balances, commands, due_dates, guards
from chalicelib.points.service import CLOSINGS_MAX, book_due, cleared_by
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.vault import KeyMoved
from chalicelib.storage.writes import Item, Write

T = TypeVar("T")

ATTEMPTS_MAX = 8

_EDITS_FROM = 0x4000000
"""Notes of a profile's versions number themselves from here, so that none shares a place with an account version's."""


def enrol_member(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    command: EnrolMember,
    *,
    key: str | None,
    draw: Callable[[], int],
    now: datetime,
    language: Language,
    witness: Witness = OURSELVES,
) -> Outcome[MemberView]:
    """Make a person a member, once for ever where there is a key.

    What is refused is looked up by its key first: a command that was carried out before gets its member, also where a
    new one would be refused by now, because its identifiers are taken (by that member) or the program asks for more.

    Args:
        key: the caller's `Idempotency-Key`; with it, the same command again answers the member it made.
        draw: gives random whole numbers, for member numbers.
        witness: through whom consents come.

    Raises:
        MobileTaken, EmailTaken, CardTaken, ExternalIdTaken: another member has this identifier.
        IdentifierNeeded, MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid,
        CustomFieldMissing, ConsentNeeded, ConsentTextUnknown: as they say.
        EnrolmentDiffers: this key was used before for another enrolment.
    """
    if not key:
        return _enrol(table, keyring, book, command, None, witness, draw=draw, now=now, language=language)

    # Blind: a plain digest of nothing but a mobile number could be turned back by trying them all.
    asked = digest(plain(command.model_dump(exclude={"dry_run"}, exclude_defaults=True)))
    content = keyring.content_mark(asked.hex())
    known = store.find_enrolment(table, key) if command.dry_run else None
    if known is None:
        try:
            return _enrol(table, keyring, book, command, (key, content), witness, draw=draw, now=now, language=language)
        except (Refusal, store.EnrolmentKnown):
            known = store.find_enrolment(table, key)
            if known is None:
                raise
    member_id, content_before = known
    if content_before != content:
        raise EnrolmentDiffers(key=key)
    return Outcome(find_member(table, keyring, book, member_id, now=now, language=language), replayed=True)


def _enrol(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    command: EnrolMember,
    keyed: tuple[str, str] | None,
    witness: Witness,
    *,
    draw: Callable[[], int],
    now: datetime,
    language: Language,
) -> Outcome[MemberView]:
    """A new member.

    Args:
        keyed: the command's key and what is kept of its content, where it has a key.
    """
    program = book.current(now)
    stamp = from_milliseconds(milliseconds(now))
    for attempt in range(ATTEMPTS_MAX):
        number = MemberNumber.from_chance(draw())
        profile = rules.enrolled(command, number, program, now=stamp, witness=witness)
        if attempt == 0:
            _require_texts(table, (), profile)
        account = Account(
            member_id=profile.member_id,
            opened_on=today_of(program, now),
            tier_id=program.ladder.tiers[0].tier_id,
        )
        try:
            if command.dry_run:
                _require_free(table, keyring, profile)
                return Outcome(member_view(profile, account, program, now, language), stored=False)
            keyring.contacts.begin(profile.member_id)
            (profile,) = with_suppressed(table, keyring, (None, profile))
            kept = [store.keep_enrolment(keyed[0], profile.member_id, keyed[1])] if keyed else []
            said = store.keep_consent_changes((), profile, witness.by)
            table.commit([*kept, *_enrolment(profile, account, keyring), *said])
        except store.NumberTaken:
            continue
        return Outcome(member_view(profile, account, program, now, language))
    raise WriteContended


def find_member(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    *,
    now: datetime,
    language: Language,
) -> MemberView:
    """A member, in one read.

    Raises:
        MemberUnknown: there is no such member.
    """
    profile, account = _load(table, keyring, member_id)
    return member_view(profile, account, book.current(now), now, language)


def find_profile(table: Table, keyring: Keyring, member_id: MemberId) -> tuple[Profile, AccountStatus]:
    """What is known of whoever answers for an id, and how their membership is, as of now.

    Raises:
        MemberUnknown: there is no such member.
    """
    profile, account = _load(table, keyring, member_id, consistent=True)
    return profile, account.status


def look_up(
    table: Table, keyring: Keyring, book: ProgramBook, asked: LookUp, *, now: datetime, language: Language
) -> tuple[MemberView, ...]:
    """The member who has an identifier, or nobody.

    Raises:
        MobileInvalid, MemberNumberWrong: nobody can have this identifier.
    """
    values = asked.model_dump(exclude_none=True)
    external = values.pop("external_id", None)
    if external is not None:
        source, _, external_id = external.partition(":")
        values["external_id"] = {"source": source, "id": external_id}
    reference, program = MemberRef.model_validate(values), book.current(now)
    member_id = find_member_id(table, keyring, reference, program)
    if member_id is None:
        member_id = find_member_id(table, keyring, reference, program, consistent=True)
    if member_id is None:
        return ()
    try:
        return (find_member(table, keyring, book, member_id, now=now, language=language),)
    except MemberUnknown:
        return ()


def look_up_for(
    table: Table,
    ops: Table,
    keyring: Keyring,
    book: ProgramBook,
    misses: rules.Misses,
    asked: LookUp,
    *,
    by: Caller,
    now: datetime,
    language: Language,
) -> tuple[MemberView, ...]:
    """Look up for somebody, as long as not too many of their look-ups find nobody.

    Raises:
        LookUpsTooMany: there were (`counted`).
        MobileInvalid, MemberNumberWrong: nobody can have this identifier.
    """

    def look() -> tuple[MemberView, ...]:
        return look_up(table, keyring, book, asked, now=now, language=language)

    return counted(ops, book, misses, look, by=by, now=now)


def counted(
    ops: Table, book: ProgramBook, misses: rules.Misses, look: Callable[[], tuple[T, ...]], *, by: Caller, now: datetime
) -> tuple[T, ...]:
    """What a look-up finds, as long as not too many of its caller's find nothing.

    Only look-ups that find nothing are counted, of all processes and of all kinds together. Once there are too many,
    look-ups that would find something are refused alike, so that the refusal tells nothing.

    Args:
        misses: what this process remembers.

    Raises:
        LookUpsTooMany: there were.
    """
    velocity, slot, who = book.current(now).velocity, rules.misses_slot(now), by.subject
    most = velocity.missed_look_ups_of_keys if by.kind is Kind.INTEGRATION else velocity.missed_look_ups
    if most is None:
        return look()
    refusal = LookUpsTooMany(retry_after=rules.misses_over_in(now))
    known = misses.of(who, now)
    if known is False:
        known = store.find_misses(ops, who, slot, now.date()) >= most
        misses.note(who, now, full=known)
    if known:
        raise refusal
    found = look()
    if not found:
        misses.note(who, now, full=False)
        try:
            ops.commit([store.count_miss(who, slot, most, now, refusal)])
        except LookUpsTooMany:
            misses.note(who, now, full=True)
            raise
    return found


def find_member_id(
    table: Table, keyring: Keyring, reference: MemberRef, program: Program, *, consistent: bool = False
) -> MemberId | None:
    """The id of the member whom a reference names, or None. A member id or number needs no read.

    Raises:
        MobileInvalid, MemberNumberWrong: nobody can have this identifier.
    """
    if reference.member_id is not None:
        return reference.member_id
    if reference.member_number is not None:
        if not reference.member_number.checks:
            raise MemberNumberWrong
        return MemberId.of(reference.member_number)
    kind, value = _identifier(reference, program)
    return store.find_holder(table, keyring, kind, value, consistent=consistent)


def edit_member(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: EditMember,
    *,
    now: datetime,
    language: Language,
    witness: Witness = OURSELVES,
    editor: Caller | None = None,
) -> MemberView:
    """Change what is known of a member; a changed mobile number, e-mail or card moves with it.

    Args:
        editor: who edits; None: nobody whose rights would have to be looked at.

    Raises:
        PermissionMissing, ShopNotYours, HomeShopNotYours, ReasonNeeded: the editor may not do that.
        MemberUnknown, MemberClosed: there is no such member any more.
        MemberMoved: the member was changed since the version that the command names.
        MobileTaken, EmailTaken, CardTaken: another member has this identifier.
        IdentifierNeeded, MobileInvalid, BirthdayInFuture, CustomFieldUnknown, CustomFieldInvalid,
        CustomFieldMissing, ConsentNeeded, ConsentTextUnknown: as they say.
    """
    program = book.current(now)
    before, account = _load(table, keyring, member_id, consistent=True)
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=member_id)
    if command.version != before.version:
        raise MemberMoved(read=command.version, current=before.version)

    at = from_milliseconds(milliseconds(now))
    after = rules.edited(before, command, program, now=at, witness=witness)
    _require_texts(table, before.consents, after)
    rules.require_may_edit(before, after, editor, command.reason)
    after = rules.marked(before, after, editor, now=at)

    if command.dry_run:
        _require_free(table, keyring, after)
    else:
        (after,) = with_suppressed(table, keyring, (before, after))
        said = store.keep_consent_changes(before.consents, after, witness.by)
        table.commit([*_edit(before, after, command, keyring, now, editor), *said])
    return member_view(after, account, program, now, language)


def say_consents(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: SayConsents,
    *,
    now: datetime,
    witness: Witness = OURSELVES,
) -> Outcome[ConsentsView]:
    """Give or withdraw consents, and keep in the history who said what when. What was said before changes nothing.

    Whoever is about to write to the member reads the profile anew: a withdrawal holds from the moment it is answered.

    Raises:
        MemberUnknown, MemberClosed: there is no such member any more.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    program, at = book.current(now), from_milliseconds(milliseconds(now))
    for _ in range(ATTEMPTS_MAX):
        before, account = _load(table, keyring, member_id, consistent=True)
        if account.status is AccountStatus.CLOSED:
            raise MemberClosed(member_id=member_id)
        edit = EditMember(version=before.version, consents=command.consents)

        after = rules.edited(before, edit, program, now=at, witness=witness)

        if after.consents == before.consents:
            return Outcome(_consents_view(table, before), replayed=True)
        _require_texts(table, before.consents, after)
        said = store.keep_consent_changes(before.consents, after, witness.by)
        try:
            table.commit([*_edit(before, after, edit, keyring, now), *said])
        except MemberMoved:
            continue
        return Outcome(_consents_view(table, after))
    raise WriteContended


def say_all_consents(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    given: Sequence[ConsentGiven],
    *,
    now: datetime,
    witness: Witness,
) -> None:
    """Give or withdraw consents, however many, one command after another.

    Raises:
        MemberUnknown, MemberClosed: there is no such member any more.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for start in range(0, len(given), CONSENTS_MAX):
        command = SayConsents(consents=tuple(given[start : start + CONSENTS_MAX]))
        say_consents(table, keyring, book, member_id, command, now=now, witness=witness)


def require_settled(table: Table, member_id: MemberId, *, now: datetime) -> None:
    """See that the number by which a member signs in was not changed lately.

    Raises:
        ContactChangedLately: it was.
    """
    rules.require_settled(store.find_contact_change(table, member_id), now)


def require_reached(table: Table, account: Account, named: MemberId, by: Caller | None, permission: Permission) -> None:
    """See that a permission reaches, for whoever acts, to a member's home shop; who reaches all pays no read.

    Args:
        account: who answers for the one who is named.
        by: None: nobody whose rights would have to be looked at.

    Raises:
        MemberUnknown: it is not, or there is no such member.
    """
    if rules.is_home_of(None, by, permission):
        return
    item = table.get(keys.profile(account.member_id), consistent=True)
    if item is None or not rules.is_home_of(store.home_of(item), by, permission):
        raise MemberUnknown(member_id=named)


def find_consents(table: Table, keyring: Keyring, member_id: MemberId) -> ConsentsView:
    """What a member consents to now.

    Raises:
        MemberUnknown: there is no such member.
    """
    profile, _ = _load(table, keyring, member_id)
    return _consents_view(table, profile)


def list_consent_changes(table: Table, member_id: MemberId, *, after: str | None, limit: int) -> Slice[ConsentChange]:
    """What was said of a member's consents, newest first. It stays when a consent is withdrawn.

    What was said by a member who was merged into this one stands under the id of that member.

    Raises:
        MemberUnknown: there is no such member.
    """
    changes, last = store.list_consent_changes(table, member_id, after=after, limit=limit)
    if not changes and after is None and store.find_items(table, member_id, consistent=True)[0] is None:
        raise MemberUnknown(member_id=member_id)
    return Slice(changes, last)


def _consents_view(table: Table, profile: Profile) -> ConsentsView:
    texts = consent_texts.find_texts(table, {each.text_name for each in profile.consents})
    shown = (ConsentShown.model_construct(**dict(each), text=texts.get(each.text_name)) for each in profile.consents)
    return ConsentsView(member_id=profile.member_id, consents=tuple(shown))


def _require_texts(table: Table, before: Sequence[Consent], after: Profile) -> None:
    """See that what a profile's consents were newly given to was published.

    Raises:
        ConsentTextUnknown: it was not.
    """
    consent_texts.require_known(table, {each.text_name for each in rules.newly_granted(before, after.consents)})


def change_status(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: SuspendMember | ReinstateMember,
    *,
    now: datetime,
    language: Language,
) -> Outcome[MemberView]:
    """Suspend a membership or reinstate it; what it is already changes nothing.

    Raises:
        MemberUnknown, MemberClosed: there is no such member any more.
    """
    suspends = isinstance(command, SuspendMember)
    status = AccountStatus.SUSPENDED if suspends else AccountStatus.ACTIVE
    program = book.current(now)
    for _ in range(ATTEMPTS_MAX):
        profile, account = _load(table, keyring, member_id, consistent=True)
        if account.status is AccountStatus.CLOSED:
            raise MemberClosed(member_id=member_id)
        if account.status is status:
            return Outcome(member_view(profile, account, program, now, language), replayed=True)

        changed = account.model_copy(update={"status": status})
        answer = member_view(profile, changed, program, now, language)
        if command.dry_run:
            return Outcome(answer, stored=False)

        due = due_dates.due_on(changed, program, today_of(program, now))
        kind, facts = "suspended" if suspends else "reinstated", {"reason": command.reason}
        note = points_store.note(profile.member_id, kind, facts, at=now, version=account.version)
        try:
            reach = store.note_reach(profile.member_id, ReachWhy.STATUS, at=now)
            table.commit([points_store.replace_account(account, changed, due), note, reach])
        except AccountMoved:
            continue
        return Outcome(answer)
    raise WriteContended


def close_member(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: CloseMember,
    *,
    along: Callable[[Account], Sequence[Write]],
    now: datetime,
    language: Language,
    clearance: Clearance = FREE,
) -> Outcome[MemberView]:
    """Close a membership for good, free its identifiers, and take the points that are left.

    Args:
        along: gives the writes that close what belongs to the member besides (`cards.service.close_owner`), or refuses.
        clearance: whether so large a debt may be forgiven by who sends it: it is like points given by hand.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it may not.
        MemberUnknown: there is no such member.
        HoldsOpen: points are held: somebody was promised them.
        BalanceRemaining: points are left or owed, and the command does not forfeit them.
    """
    program = book.current(now)
    for _ in range(ATTEMPTS_MAX):
        profile, account = _load(table, keyring, member_id, consistent=True)
        if account.status is AccountStatus.CLOSED:
            return Outcome(member_view(profile, account, program, now, language), replayed=True)
        guards.require_nothing_held(account, now)
        closing = EntryKey(kind="close", parts=(profile.member_id,))
        posting = commands.forfeit(account, closing, program, now=now)
        if posting is not None and not command.forfeit_points:
            balance = balances.derive(account, today_of(program, now)).balance
            raise BalanceRemaining(balance=balance)
        if posting is not None and len(posting.entries) > CLOSINGS_MAX:
            with suppress(AccountMoved):
                book_due(table, book, account, now=now)
            continue
        closed = (posting.account if posting else account).model_copy(
            update={"status": AccountStatus.CLOSED, "pending": {}}
        )
        forgives = posting is not None and bool(posting.main.earned)
        cleared = cleared_by(clearance, account, posting.main) if posting and forgives else Cleared()
        bumped = profile.model_copy(update={"version": profile.version + 1})
        answer = member_view(bumped, closed, program, now, language)
        try:
            besides = along(account)
        except AccountMoved:
            continue
        if command.dry_run:
            return Outcome(answer, stored=False)
        ledger = (
            points_store.post(account, replace(posting, account=closed, due_on=None), more=cleared.facts)
            if posting
            else [points_store.replace_account(account, closed, None)]
        )
        try:
            table.commit([*ledger, *_closure(bumped, command, keyring, now), *besides, *cleared.writes])
        except (AccountMoved, EntryKnown, MemberMoved):
            continue
        return Outcome(answer)
    raise WriteContended


def give_birthday_gift(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    *,
    on: date,
    now: datetime,
    known: Account | None = None,
    dry_run: bool = False,
) -> Outcome[Entry] | None:
    """Give a member the birthday gift of their tier, or None when there is none to give: also not for who joined later.

    The key is the member and the year, so there is one gift a year, however often and however late it is given and
    however often the birthday is corrected. Who had it as a member that was merged into this one has had it.

    Args:
        on: the day that is celebrated.
        known: the account, where it was read already.

    Raises:
        WriteContended: other writes kept getting there first.
    """
    program = book.current(now)
    account = known or points_store.find_account(table, member_id, consistent=True)
    if account is None or account.status is not AccountStatus.ACTIVE or account.opened_on > on:
        return None
    key = EntryKey(kind="birthday", parts=(member_id, f"{on.year:04d}"))
    content = digest({"member_id": member_id, "year": on.year})

    def decide(account: Account) -> tuple[Entry, list[Write]]:
        # The member may have been merged since: then this is the account of the one who stays, with a gift of its own.
        others = {account.member_id, *account.absorbed} - {member_id}
        if any(_had_gift(table, each, on) for each in others):
            raise _NoGift
        posting = commands.gift(account, key, program, on=on, content=content, now=now)
        if posting is None:
            raise _NoGift
        return posting.main, points_store.post(account, posting)

    try:
        return points_service.once(
            table,
            book,
            member_id,
            key,
            decide=decide,
            recall=points_store.entry_from,
            now=now,
            dry_run=dry_run,
            loaded=account,
        )
    except _NoGift:
        # The account that was handed in may be a little old, and nothing else would tell.
        return give_birthday_gift(table, book, member_id, on=on, now=now, dry_run=dry_run) if known else None
    except (MemberUnknown, MemberSuspended, MemberClosed, BalanceTooLarge):
        return None  # what changed in between decides


def _had_gift(table: Table, member_id: AccountId, on: date) -> bool:
    return points_store.find_entry(table, EntryKey(kind="birthday", parts=(member_id, f"{on.year:04d}"))) is not None


class _NoGift(Exception):
    """The member's tier gives nothing."""


def find_birthdays(table: Table, member_ids: Sequence[MemberId]) -> dict[MemberId, str]:
    """The birthdays of several members, `MM-DD`; those who have none are left out."""
    return store.find_month_days(table, member_ids)


def list_timeline(
    table: Table, member_id: MemberId, *, after: str | None, limit: int, shop_ids: Collection[ShopId] | None = None
) -> Slice[Happening]:
    """Everything that happened to a member, newest first: ledger entries and what moved no points, in one order.

    What happened to members who were merged into this one is among it.

    Args:
        shop_ids: of purchases of other shops no more is shown than the points; None: all is.

    Raises:
        MemberUnknown: there is no such member.
    """
    part = points_store.list_rows(
        table, member_id, after=after, limit=limit, partitions=(keys.statement, keys.happenings),
        besides=lambda owners: store.list_enrolments(table, owners),
    )  # fmt: skip
    others = points_store.find_of_others(table, part.rows, shop_ids) if shop_ids is not None else set[keys.Key]()
    happenings = tuple(_happening(row, part.owner, others) for row in part.rows)
    if part.owner is not None:
        return Slice(happenings, part.last)
    if len(part.rows) == limit:
        return Slice(happenings, part.rows[-1]["place"])
    profile, _ = store.find_items(table, member_id)
    if profile is None:
        profile, _ = store.find_items(table, member_id, consistent=True)
    if profile is None:
        raise MemberUnknown(member_id=member_id)
    facts = {"source": profile["source"]} if "source" in profile else {}
    return Slice((*happenings, Happening(type="enrolled", at=store.joined_at(profile), facts=facts)), None)


def member_view(profile: Profile, account: Account, program: Program, now: datetime, language: Language) -> MemberView:
    """A member as callers see them, with points and tier as of now."""
    today = today_of(program, now)
    contact = profile.contact
    return MemberView(
        member_id=profile.member_id,
        member_number=profile.member_number,
        status=account.status,
        name=contact.name,
        mobile=contact.mobile,
        email=contact.email,
        card_no=contact.card_no,
        external_ids=contact.external_ids,
        other_identifiers=contact.others,
        merged_member_ids=account.absorbed,
        gender=profile.gender,
        language=profile.language,
        birthday=profile.birthday,
        shop_id=profile.shop_id,
        source=profile.source,
        referral_code=profile.referral_code,
        tags=profile.tags,
        bank_cards=contact.bank_cards,
        custom=dict(sorted(profile.custom.items())),
        personal_custom=tuple(sorted(profile.sealed_custom & profile.custom.keys())),
        consents=profile.consents,
        contact_hold=rules.hold_of(profile.contact_changed, now),
        tier=points_views.tier_view(account, program, today, language),
        points=points_views.summary(account, today, now),
        joined_at=profile.joined_at,
        version=profile.version,
    )


def _load(table: Table, keyring: Keyring, member_id: MemberId, *, consistent: bool = False) -> tuple[Profile, Account]:
    """The member who answers for an id: the one of that id, or who that one was merged into."""
    profile, account = store.find_items(table, member_id, consistent=consistent)
    if profile is None or account is None:
        if not consistent:
            return _load(table, keyring, member_id, consistent=True)
        raise MemberUnknown(member_id=member_id)
    read = points_store.account_from(account)
    if read.merged_into is not None:
        return _load(table, keyring, MemberId(read.merged_into), consistent=True)
    if store.is_erased(profile):
        raise MemberErased(member_id=read.member_id)
    try:
        return store.profile_from(profile, keyring), read
    except KeyMoved:
        if consistent:
            raise
        return _load(table, keyring, member_id, consistent=True)


def _identifier(reference: MemberRef, program: Program) -> rules.Identifier:
    if reference.mobile is not None:
        return ("mobile", rules.mobile_number(reference.mobile, program.country))
    if reference.email is not None:
        return ("email", rules.email_address(reference.email))
    if reference.card_no is not None:
        return ("card", reference.card_no)
    assert reference.external_id is not None
    return rules.external_identifier(reference.external_id)


def _enrolment(profile: Profile, account: Account, keyring: Keyring) -> list[Write]:
    claims = [
        each for kind, value in rules.identifiers(profile.contact) for each in _claim(profile, kind, value, keyring)
    ]
    opening = points_store.open_account(account, store.NumberTaken())
    return [*claims, store.add_profile(profile, keyring), opening]


def _claim(profile: Profile, kind: str, value: str, keyring: Keyring) -> list[Write]:
    refusal: Refusal = rules.taken(kind)
    return store.claim(profile.member_id, kind, value, keyring, lambda _: refusal)


def _edit(
    before: Profile,
    after: Profile,
    command: EditMember,
    keyring: Keyring,
    now: datetime,
    editor: Caller | None = None,
) -> list[Write]:
    old, new = set(rules.identifiers(before.contact)), set(rules.identifiers(after.contact))
    claims = [each for kind, value in sorted(new - old) for each in _claim(after, kind, value, keyring)]
    releases = _releases(before, sorted(old - new), keyring, before.version)
    facts: dict[str, Any] = {"fields": sorted(command.model_fields_set - {"version", "dry_run", "reason"})}
    done = rules.reachable(before.contact, after.contact)
    if done.changed:
        by = {"by": editor.subject} if editor is not None and editor.kind is not Kind.MEMBER else {}
        facts |= {"given": list(done.given), "replaced": list(done.replaced), **by}
    number = _EDITS_FROM + after.version
    note = points_store.note(after.member_id, "edited", facts, at=now, version=number)
    why = rules.reach_change(before, after)
    reach = [store.note_reach(after.member_id, why, at=now)] if why is not None else []
    return [store.replace_profile(after, keyring), *claims, *releases, note, *reach]


def with_suppressed(table: Table, keyring: Keyring, *changes: tuple[Profile | None, Profile]) -> tuple[Profile, ...]:
    """Profiles that are about to be written, which say what of their addresses is not written to, as of now.

    Only addresses that come are asked about, all of them in one read; without any there is none. Whoever plans for
    many goes by what profiles say, and `reach.service.suppress` sees to it that they say what came later.

    Args:
        changes: profiles as they were and as they are to be; where there was none before, all addresses come.
    """
    coming = [
        {each: store.suppressions_of(keyring, each, after.address(each)) for each in rules.that_come(before, after)}
        for before, after in changes
    ]
    wanted = {key for each in coming for places in each.values() for key in places}
    found = store.find_suppressed(table, wanted) if wanted else set()
    return tuple(
        rules.with_suppressed(before, after, [by for by, places in each.items() if not found.isdisjoint(places)])
        for (before, after), each in zip(changes, coming, strict=True)
    )


def _releases(profile: Profile, identifiers: Sequence[rules.Identifier], keyring: Keyring, version: int) -> list[Write]:
    found = (store.release(profile.member_id, kind, value, keyring, version) for kind, value in identifiers)
    return [write for each in found for write in each]


def _closure(profile: Profile, command: CloseMember, keyring: Keyring, now: datetime) -> list[Write]:
    """Writes of a closed profile: no birthday comes due any more, and its identifiers are free."""
    facts, number = {"reason": command.reason}, _EDITS_FROM + profile.version
    return [
        store.replace_profile(profile, keyring, closed=True),
        *_releases(profile, rules.identifiers(profile.contact), keyring, profile.version),
        points_store.note(profile.member_id, "closed", facts, at=now, version=number),
        store.note_reach(profile.member_id, ReachWhy.STATUS, at=now),
    ]


def erasure_note(profile: Profile, former: Sequence[AccountId], *, at: datetime) -> Write:
    """The write that tells of an erasure: whoever keeps something of the member has to forget it, too."""
    number = _EDITS_FROM + profile.version + 1
    return points_store.note(profile.member_id, "erased", {"former": list(former)}, at=at, version=number)


def _require_free(table: Table, keyring: Keyring, profile: Profile) -> None:
    for kind, value in rules.identifiers(profile.contact):
        if store.find_holder(table, keyring, kind, value, consistent=True) not in (None, profile.member_id):
            raise rules.taken(kind)


def _happening(row: Item, owner: AccountId | None, others: Collection[keys.Key]) -> Happening:
    """A row of the timeline as callers see it.

    Args:
        owner: whose timeline it is, where others' rows may be in it.
        others: rows of purchases that the caller may not see.
    """
    recorded, _ = keys.moment_parts(row["at"])
    whose = keys.account_of(row["tl"]) if "r" in row else keys.happened_to(row["tl"])
    other = whose if owner not in (None, whose) else None
    if "r" not in row:
        return Happening(type=row["kind"], member_id=other, at=from_milliseconds(recorded), facts=row.get("what", {}))
    own = keys.Key(row["pk"], row["sk"])
    kind, parts = keys.entry_parts(own)
    told = own not in others
    return Happening(
        type=points_store.reason_of(row).value,
        member_id=other,
        at=from_milliseconds(recorded),
        occurred_at=from_milliseconds(row["o"]),
        points=row["p"],
        balance_after=row["b"],
        reference=(row.get("rf") or points_store.reference_of(kind, parts)) if told else None,
        facts={"reason_code": row["rc"]} if told and "rc" in row else {},
    )
