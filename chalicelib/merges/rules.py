"""What a merge moves, and what an undoing moves back. Pure.

All sums of an account move, by one entry in each account, so the one that stays is as if both had always been one; and
because sums commute, what was moved can be moved back, whatever happened in between.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission, roles_with
from chalicelib.kernel.calendar import Month, month_of
from chalicelib.kernel.ids import AccountId
from chalicelib.members.models import Consent, Contact, OtherIdentifier, Profile
from chalicelib.members.rules import (
    Identifier,
    addresses,
    changed_by_others,
    external_identifier,
    identifiers,
    is_home_of,
    later_change,
    reached_lately,
)
from chalicelib.merges.errors import MemberMerged, MembersSame, SurvivorMerged, UndoLeavesDebt
from chalicelib.merges.models import Brought
from chalicelib.points import fold
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting, Reason, Sums, Why
from chalicelib.points.rules import balances, due_dates, guards, ledger, reversals
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.tiers.models import Anchor, Standing
from chalicelib.tiers.rules import standing

UNDONE_FOR = timedelta(days=fold.MERGE_UNDONE_DAYS)
"""For so long a merge can be undone."""

_A_MOMENT = timedelta(milliseconds=1)
_NEVER_REVIEWED = 10**9
_HOME = "unmerge_in"


def merge_key(key: str) -> EntryKey:
    """The business key of a merge: of the entry of the member who goes."""
    return EntryKey(kind="merge", parts=(key,))


def arrival_key(key: str) -> EntryKey:
    """The key of a merge's entry of the member who stays."""
    return EntryKey(kind="merge_in", parts=(key,))


def undo_key(key: str) -> EntryKey:
    """The business key of the undoing of a merge: there is one for each."""
    return EntryKey(kind="unmerge", parts=(key,))


@dataclass(frozen=True, slots=True)
class Moved:
    """Two accounts after a merge or its undoing, and their entries.

    Attributes:
        gone: of the member who is merged, or is a member again.
        kept: of the member who stays.
    """

    gone: Posting
    kept: Posting


# ---------------------------------------------------------------- merging


def require_mergeable(account: Account, into: Account, from_id: AccountId, into_id: AccountId, now: datetime) -> None:
    """Refuse what cannot become one.

    Args:
        account: the one that answers for `from_id`.
        into: the one that answers for `into_id`.

    Raises:
        MembersSame: both ids name one member.
        MemberMerged: the member who is to go was merged before.
        MemberSuspended, MemberClosed: one of them takes no commands.
        HoldsOpen: points of the member who is to go are reserved.
    """
    if account.member_id == into.member_id:
        raise MembersSame(from_member_id=from_id, into_member_id=into_id, answering=account.member_id)
    if account.member_id != from_id:
        raise MemberMerged(member_id=from_id, into_member_id=account.member_id)
    guards.require_open(account)
    guards.require_open(into)
    guards.require_nothing_held(account, now)


def merge(account: Account, into: Account, key: str, program: Program, *, content: bytes, now: datetime) -> Moved:
    """Move all that an account has into another, which is then as if both had always been one.

    Points that had lapsed in one by the other's spending come back: as one, the spending would have used them up.

    Raises:
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    settled, booked = ledger.settle(account, program, now=now)
    known = ledger.settle(into, program, now=now)[0]
    folded = [each.folded.through for each in (settled, known) if each.folded is not None]
    sums = fold.sums_of(fold.folded_through(settled, max(folded)) if folded else settled)
    out = Draft(
        merge_key(key), Reason.MERGE, now, sums=fold.negated(sums), content=content, may_owe=True, hides_tier=True
    )
    gone = ledger.post(settled, out, program, now=now)
    # The statement of the one that stays shows the other's entries below its own entry of the merge.
    later = max(now, gone.main.recorded_at + _A_MOMENT)
    anchor = _anchor_of_both(settled, known, program, today_of(program, later))
    taken = Draft(
        arrival_key(key),
        Reason.MERGE,
        now,
        sums=sums,
        anchor=anchor,
        content=content,
        cause=out.key,
        shows_tier=True,
    )
    kept = ledger.post(into, taken, program, now=later)
    untold = _first_untold(settled, into, today_of(program, later))
    after = kept.account.model_copy(
        update={
            "absorbed": (*into.absorbed, account.member_id, *account.absorbed),
            "noticed_through": settled.noticed_through if untold else into.noticed_through,
        }
    )
    merged = gone.account.model_copy(update={"status": AccountStatus.MERGED, "merged_into": into.member_id})
    due = due_dates.due_on(after, program, today_of(program, later))
    return Moved(
        replace(gone, account=merged, entries=(*booked, *gone.entries), due_on=None),
        replace(kept, account=after, due_on=due),
    )


def _first_untold(account: Account, into: Account, on: date) -> bool:
    """Whether points come along that expire soon, of which only the other account's member was told."""
    told, other = account.noticed_through or date.min, into.noticed_through or date.min
    return any(told < bucket <= other for bucket, _ in balances.derive(account, on).left)


def _anchor_of_both(account: Account, into: Account, program: Program, today: date) -> Anchor | None:
    """The anchor from which the tier of both is derived.

    As one they may have reached a tier earlier, and so lose it earlier, than one of them alone. Nobody is to fall by a
    merge: where that would be, the better standing of the two is settled.
    """
    month = month_of(today)
    sums = fold.total((fold.sums_of(into), fold.sums_of(account))).qualifying

    def worth(held: Standing) -> tuple[int, int]:
        ranks = {tier.tier_id: rank for rank, tier in enumerate(program.ladder.tiers)}
        return ranks.get(held.tier_id, 0), held.review_after if held.review_after is not None else _NEVER_REVIEWED

    def both(anchor: Anchor | None) -> tuple[int, int]:
        return worth(standing(sums, program, on=month, anchor=anchor))

    alone = max((fold.standing_of(each, program, today) for each in (into, account)), key=worth)
    # Of the month before, so that what is bought in this one still lifts; of this one where the ladder is new.
    settled = [
        Anchor(month=each, tier_id=alone.tier_id, review_after=alone.review_after) for each in (Month(month - 1), month)
    ]
    known = [each.anchor for each in (into, account) if each.anchor is not None]
    best = max(known, key=both, default=None)
    if both(best) >= worth(alone):
        return best
    return next((each for each in settled if both(each) >= worth(alone)), settled[-1])


# ---------------------------------------------------------------- undoing


def require_undoable(into: Account) -> None:
    """Refuse to undo a merge into a member who cannot give anything back.

    Raises:
        SurvivorMerged: it was merged itself since.
        MemberSuspended, MemberClosed: it takes no commands.
    """
    if into.merged_into is not None:
        raise SurvivorMerged(member_id=into.member_id, into_member_id=into.merged_into)
    guards.require_open(into)


def is_homecoming(entry: Entry) -> bool:
    """Whether an entry is the undoing of a merge, in the account of the member who is one of its own again."""
    return entry.key.kind == _HOME


def goes_home(since: Sequence[Entry], owners: Mapping[EntryKey, AccountId], family: Iterable[AccountId]) -> list[Entry]:
    """Of the entries since a merge, those that belong to the member who goes again.

    They are corrections of what that member had before: the return of a purchase, an entry taken back; and what names
    such a correction as its cause.

    Args:
        owners: whom the causes of entries concern, where that is known.
        family: the member, and those merged into it.
    """
    ours = set(family)
    home: dict[EntryKey, Entry] = {}
    for entry in since:
        follows = entry.cause is not None and (entry.cause in home or owners.get(entry.cause) in ours)
        if follows and entry.reason not in (Reason.EXPIRE, Reason.MERGE):
            home[entry.key] = entry
    return list(home.values())


def undo(
    account: Account,
    into: Account,
    merged: Entry,
    home: Sequence[Entry],
    anchors: tuple[Anchor | None, Anchor | None],
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> Moved:
    """Move back what a merge moved. What happened since stays with the member who stayed, but for what goes home.

    Where points that go back were spent, the member who stayed owes them, whatever the program's policy: to write the
    debt off would make the same points twice. What was written off while they were one is paid for by what either has
    again: alone they would have had no such debt.

    Args:
        merged: the entry of the member who goes again.
        home: see `goes_home`.
        anchors: of the member who goes and of the one who stays, as before the merge.
    """
    key = merged.key.parts[0]
    back = _moved_back(account, into, merged, home, today_of(program, now))
    out = Draft(
        undo_key(key),
        Reason.MERGE,
        now,
        sums=fold.negated(back),
        anchor=anchors[1],
        content=content,
        cause=merged.key,
        may_owe=True,
        shows_tier=True,
    )
    kept = _paying(into, out, merged.recorded_at, program, now=now)
    later = max(now, kept.main.recorded_at + _A_MOMENT)
    taken = Draft(
        EntryKey(kind=_HOME, parts=(key,)),
        Reason.MERGE,
        now,
        sums=back,
        anchor=anchors[0],
        content=content,
        cause=out.key,
        may_owe=True,
        hides_tier=True,
    )
    gone = _paying(account, taken, merged.recorded_at, program, now=later)
    lost = {account.member_id, *account.absorbed}
    stays = kept.account.model_copy(update={"absorbed": tuple(each for each in into.absorbed if each not in lost)})
    again = gone.account.model_copy(update={"status": AccountStatus.ACTIVE, "merged_into": None})
    today = today_of(program, later)
    return Moved(
        replace(gone, account=again, due_on=due_dates.due_on(again, program, today)),
        replace(kept, account=stays, due_on=due_dates.due_on(stays, program, today)),
    )


def _paying(account: Account, draft: Draft, since: datetime, program: Program, *, now: datetime) -> Posting:
    """Post one side of an undoing; what it gives pays for what was written off since the merge.

    What paid meanwhile for a write-off that is the other's comes back.
    """
    posting = ledger.post(account, draft, program, now=now)
    today = today_of(program, posting.main.recorded_at)
    gained = balances.derive(posting.account, today).balance - max(balances.derive(account, today).balance, 0)
    made_since = {each: points for each, points in sorted(posting.account.written_off.items()) if each.at > since}
    paid = reversals.at_most({each: points for each, points in made_since.items() if points > 0}, gained)
    paid |= {each: points for each, points in made_since.items() if points < 0}
    if not paid:
        return posting
    sums = fold.total((draft.sums or Sums(), reversals.taken_by_paying(paid)))
    why = Why(rule_id="write_off", points=-sum(paid.values()), args=())
    return ledger.post(account, replace(draft, sums=sums, why=(*draft.why, why)), program, now=now)


def require_no_new_debt(into: Account, merged: Entry, moved: Moved, by: Caller | None, today: date) -> None:
    """See that an undoing leaves nobody with a debt whom it had not, unless whoever sends it may.

    The points would be there twice: with one of the two again, and as what the other bought and never pays. Points that
    are on hold count as spent: their capture cannot be refused.

    Args:
        into: the member who stayed, before it.
        merged: the entry of the member who goes again.
        by: who sends it; None where no person does.

    Raises:
        UndoLeavesDebt: they may not.
    """
    allowed = Permission.MEMBERS_UNDO_OWING
    for account, before in ((moved.kept.account, _short(into, today)), (moved.gone.account, max(merged.points, 0))):
        after = _short(account, today)
        if by is not None and after > before and by.scope(allowed) is None:
            raise UndoLeavesDebt(
                member_id=account.member_id,
                owed_before=before,
                owed_after=after,
                permission=allowed.value,
                roles=roles_with(allowed),
            )


def _short(account: Account, today: date) -> int:
    """Points that an account owes, or would if what is on hold were captured."""
    position = balances.derive(account, today)
    return max(position.held - position.balance, 0)


def _moved_back(account: Account, into: Account, merged: Entry, home: Sequence[Entry], today: date) -> Sums:
    assert merged.sums is not None
    brought = fold.negated(merged.sums)
    if into.folded is not None:
        # Another merge may have folded more since.
        bare = Account(member_id=account.member_id, opened_on=account.opened_on, tier_id=account.tier_id)
        as_it_was = fold.with_sums(bare, brought)
        brought = fold.sums_of(fold.folded_through(as_it_was, into.folded.through))
    back = fold.total((brought, *(fold.effect_of(entry) for entry in home)))
    # Points whose day has come may be gone from the sums: their member was told.
    return back.model_copy(update={"pending": {day: points for day, points in back.pending.items() if day > today}})


# ---------------------------------------------------------------- profiles


def kinds_reached(*profiles: Profile) -> tuple[str, ...]:
    """By what members sign in, `mobile` and `email`: each kind that one of them has."""
    return tuple(sorted({kind for profile in profiles for kind, _ in addresses(profile.contact)}))


def joined(
    into: Profile, other: Profile, united: Profile, told_at: datetime, by: Caller | None, now: datetime
) -> Profile:
    """The profile of two who are one now, where either is reached: whoever signs in as one of them is the other, too.

    That is as if all their addresses were changed by somebody else, whichever of the two stays. Where who goes has none
    and had none of late, who stays is reached as before, and nothing was changed.

    Args:
        told_at: when the entry was recorded that tells it.
        by: who sends it; None where no person does.

    Raises:
        PermissionMissing: they may not change what members sign in by, not of both.
    """
    if not kinds_reached(into, other):
        return united
    if not all(is_home_of(each.shop_id, by, Permission.MEMBERS_CHANGE_CONTACT) for each in (into, other)):
        raise PermissionMissing(permission=Permission.MEMBERS_CHANGE_CONTACT.value)
    theirs = reached_lately(other.contact, now)
    if not theirs:
        return united
    told = dict.fromkeys((*reached_lately(into.contact, now), *theirs))
    return changed_by_others(united, tuple(told), told_at=told_at, now=now)


def parted(profile: Profile, gone: Profile, told_at: datetime, now: datetime) -> Profile:
    """The profile of one of two who are two again. Who signed in by what is the other's is signed in no more.

    Args:
        gone: the other's.
        told_at: when the entry was recorded that tells it.
    """
    if not kinds_reached(gone):
        return profile  # nobody signed in by what is the other's
    theirs = set(identifiers(gone.contact))
    former = tuple(each for each in profile.contact.former if (each.kind, each.value) not in theirs)
    own = profile.model_copy(update={"contact": profile.contact.model_copy(update={"former": former})})
    return changed_by_others(own, addresses(own.contact), told_at=told_at, now=now)


_CONTACT = ("name", "mobile", "email", "card_no")
_DETAILS = ("gender", "language", "shop_id", "source", "referral_code")
_PRIMARY = {"mobile": "mobile", "email": "email", "card_no": "card"}


def united(into: Profile, other: Profile) -> tuple[Profile, Brought]:
    """The profile of the member who stays, with what was empty filled from the other's; and what came from there.

    Tags are united. Of two consents for a purpose the later one counts: it is the same person who changed their mind;
    of two at the same time the one withheld.
    """
    contact = {name: getattr(other.contact, name) for name in _CONTACT if getattr(into.contact, name) is None}
    details = {name: getattr(other, name) for name in _DETAILS if getattr(into, name) is None}
    filled = [name for name, value in {**contact, **details}.items() if value is not None]
    if into.month_day is None and other.month_day is not None:
        contact["birth_year"], details["month_day"] = other.contact.birth_year, other.month_day
        filled.append("birthday")
    besides = [
        OtherIdentifier(kind=kind, value=getattr(other.contact, name))
        for name, kind in _PRIMARY.items()
        if name not in contact and getattr(other.contact, name) is not None
    ]
    contact["others"] = (*into.contact.others, *besides, *other.contact.others)
    contact["external_ids"] = (*into.contact.external_ids, *other.contact.external_ids)
    contact["bank_cards"] = tuple(dict.fromkeys((*into.contact.bank_cards, *other.contact.bank_cards)))
    tags = tuple(tag for tag in other.tags if tag not in into.tags)
    custom = {name: value for name, value in other.custom.items() if name not in into.custom}
    consents, replaced = _consents(into.consents, other.consents)
    merged = into.model_copy(
        update={
            **details,
            "contact": into.contact.model_copy(update=contact),
            "region": into.region if into.contact.mobile is not None else other.region,
            "tags": into.tags + tags,
            "custom": {**into.custom, **custom},
            "sealed_custom": into.sealed_custom | (other.sealed_custom & custom.keys()),
            "consents": tuple(consents.values()),
            "contact_changed": later_change(into.contact_changed, other.contact_changed),
            "version": into.version + 1,
        }
    )
    before = tuple(each for each in into.consents if each.about in replaced)
    return merged, Brought(
        fields=tuple(filled), tags=tags, custom=tuple(custom), consents=replaced, consents_before=before
    )


def _consents(own: Sequence[Consent], other: Sequence[Consent]) -> tuple[dict[str, Consent], tuple[str, ...]]:
    """Consents by what they are about, and those of which the other's counts."""
    found = {each.about: each for each in own}
    replaced = []
    for each in other:
        known = found.get(each.about)
        if known is None or (each.at, not each.granted) > (known.at, not known.granted):
            found[each.about] = each
            replaced.append(each.about)
    return found, tuple(replaced)


def told_apart(into: Profile, other: Profile, brought: Brought) -> tuple[Profile, Profile, list[Identifier]]:
    """Both profiles after an undoing, and the identifiers that go back.

    Only what came from the other and was not changed since is taken out again. Identifiers that the member who stayed
    has given up meanwhile do not come back.
    """
    theirs = set(identifiers(other.contact))
    back = [each for each in identifiers(into.contact) if each in theirs]
    contact: dict[str, Any] = {
        name: None
        for name in ("name", "birth_year")
        if _came(name, brought) and getattr(into.contact, name) == getattr(other.contact, name)
    }
    contact["bank_cards"] = tuple(each for each in into.contact.bank_cards if each not in other.contact.bank_cards)
    details = {
        name: None
        for name in (*_DETAILS, "month_day")
        if _came(name, brought) and getattr(into, name) == getattr(other, name)
    }
    given = {each.about: each for each in other.consents}
    taken = {
        each.about: each
        for each in into.consents
        if each.about not in brought.consents or each != given.get(each.about)
    }
    for consent in brought.consents_before:
        taken.setdefault(consent.about, consent)
    custom = {
        name: value
        for name, value in into.custom.items()
        if name not in brought.custom or value != other.custom.get(name)
    }
    left, home = _without(into.contact, theirs), _without(other.contact, theirs - set(back))
    stays = into.model_copy(
        update={
            **details,
            "contact": left.model_copy(update=contact),
            "region": into.region if left.mobile is not None else None,
            "tags": tuple(tag for tag in into.tags if tag not in brought.tags),
            "custom": custom,
            "consents": tuple(taken.values()),
            "version": into.version + 1,
        }
    )
    region = other.region if home.mobile is not None else None
    again = other.model_copy(update={"contact": home, "region": region, "version": other.version + 1})
    return stays, again, back


def _came(name: str, brought: Brought) -> bool:
    return ("birthday" if name in ("birth_year", "month_day") else name) in brought.fields


def _without(contact: Contact, gone: set[Identifier]) -> Contact:
    """A contact without some of its identifiers."""
    primary = {name: None for name, kind in _PRIMARY.items() if (kind, getattr(contact, name)) in gone}
    return contact.model_copy(
        update={
            **primary,
            "external_ids": tuple(each for each in contact.external_ids if external_identifier(each) not in gone),
            "others": tuple(each for each in contact.others if (each.kind, each.value) not in gone),
        }
    )
