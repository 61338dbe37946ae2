"""Use cases of merges: make one member of two, show what that did, make two of them again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import AccountId, MemberId, MergeId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import rules as members_rules
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.models import Profile, ReachWhy
from chalicelib.merges import rules, store
from chalicelib.merges.errors import IdentifiersTooMany, MergeDiffers, MergeUnknown, UndoDiffers, UndoTooLate
from chalicelib.merges.models import Brought, Merge, MergeMembers, MergeView, Tiers, UndoMerge, Undone, UndoView
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import AccountMoved, MemberUnknown
from chalicelib.points.models import Account, Due, Entry, EntryKey
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases.models import TierName
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import WRITES_MAX, Table
from chalicelib.storage.writes import Delete, Item, Put, Write

IDENTIFIERS_MAX = 50
"""How many identifiers one merge moves; each is a write of its transaction."""


def merge_members(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    key: str,
    command: MergeMembers,
    *,
    now: datetime,
    language: Language,
    by: Caller | None = None,
) -> Outcome[MergeView]:
    """Make one member of two, in one transaction: accounts, profiles, identifiers.

    Where one of them can be signed in as, whoever could is the other from then on: that counts as a change of all their
    addresses by somebody else.

    Args:
        by: who sends it; None where no person does.

    Raises:
        MemberUnknown: there is no such member, or their home shop is not one of the caller's, whose shops are some.
        PermissionMissing: the two would be signed in as by other addresses, and the caller may not change those.
        MembersSame, MemberMerged: they are one already, or the one who is to go is no member of its own any more.
        MemberSuspended, MemberClosed: one of them takes no commands.
        HoldsOpen, IdentifiersTooMany, BalanceTooLarge: as they say.
        MergeDiffers: this key was used before for another merge.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    program = book.current(now)
    at = from_milliseconds(milliseconds(now))
    content = points.content_digest(command.from_member_id, command)

    def decide(accounts: Sequence[Account]) -> tuple[MergeView, Sequence[Write]]:
        account, into = accounts
        kept = _profile_item(table, into.member_id, MemberUnknown(member_id=command.into_member_id), by)
        gone = _profile_item(table, account.member_id, MemberUnknown(member_id=command.from_member_id), by)
        rules.require_mergeable(account, into, command.from_member_id, command.into_member_id, now)
        moved = rules.merge(account, into, key, program, content=content, now=now)
        profile, other = (members_store.profile_from(each, keyring) for each in (kept, gone))
        known = members_rules.identifiers(other.contact)
        # While the index key is being replaced, each is two writes.
        limit = IDENTIFIERS_MAX // 2 if keyring.other_index_key else IDENTIFIERS_MAX
        if len(known) > limit:
            raise IdentifiersTooMany(count=len(known), limit=limit)
        united, brought = rules.united(profile, other)
        united = rules.joined(profile, other, united, moved.kept.main.recorded_at, by, at)
        if not command.dry_run:
            (united,) = members.with_suppressed(table, keyring, (profile, united))
        merge = _merge(key, command, (account, into), moved, brought, [kind for kind, _ in known], at, program)
        writes = [
            *_entries(merge, account, into, moved, rules.kinds_reached(profile, other), by),
            members_store.replace_profile(united, keyring),
            members_store.replace_profile(_newer(other), keyring, closed=True),
            *_handed_over(known, other, united, keyring),
            store.add_merge(merge),
            *_reach(accounts, at),
        ]
        if len(writes) >= WRITES_MAX and not command.dry_run:  # one place is the audit record's
            _book_what_is_due(table, book, accounts, now)
        return merge_view(merge, book, language), _again_when_moved(writes)

    def recall(item: Item) -> MergeView:
        merge = store.find_merge(table, key)
        if item.get("d") != content or merge is None:
            raise MergeDiffers(key=key)
        return merge_view(merge.model_copy(update={"undone": None}), book, language)

    return points.once_among(
        table,
        book,
        (command.from_member_id, command.into_member_id),
        rules.merge_key(key),
        decide=decide,
        recall=recall,
        now=now,
        dry_run=command.dry_run,
    )


def undo_merge(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    merge_id: MergeId,
    command: UndoMerge,
    *,
    now: datetime,
    language: Language,
    by: Caller | None = None,
) -> Outcome[UndoView]:
    """Make two members again of those who were merged: what was moved moves back.

    Args:
        by: who sends it; None where no person does.

    Raises:
        MergeUnknown: there is no such merge, or the home shop of one of the two is not one of the caller's.
        UndoTooLate: it was made too long ago.
        UndoLeavesDebt: whoever stayed would owe more than before, and who sends it may not do that.
        SurvivorMerged: the member who stayed was itself merged since.
        MemberSuspended, MemberClosed: the member who stayed takes no commands.
        UndoDiffers: it was undone before for another reason.
        BalanceTooLarge: as it says.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    merge = _find(table, merge_id)
    program = book.current(now)
    at = from_milliseconds(milliseconds(now))
    key = rules.undo_key(merge.key)
    content = digest({"merge_id": merge_id, "reason": command.reason})

    def decide(accounts: Sequence[Account]) -> tuple[UndoView, Sequence[Write]]:
        into, account = accounts
        unknown = MergeUnknown(merge_id=merge_id)
        kept, gone = (_profile_item(table, each.member_id, unknown, by) for each in accounts)
        if now >= merge.until:
            raise UndoTooLate(merge_id=merge_id, until=merge.until.isoformat())
        rules.require_undoable(into)
        if account.merged_into != into.member_id:
            raise unknown  # read before the merge, or undone: then its answer is found
        merged, home = _since(table, merge, account, into)
        anchors = (merge.from_anchor, merge.into_anchor)
        moved = rules.undo(account, into, merged, home, anchors, program, content=content, now=now)
        rules.require_no_new_debt(into, merged, moved, by, today_of(program, now))
        profile, other = (members_store.profile_from(each, keyring) for each in (kept, gone))
        stays, again, back = rules.told_apart(profile, other, merge.brought)
        reached = rules.kinds_reached(profile, other)
        stays = rules.parted(stays, again, moved.kept.main.recorded_at, at)
        again = rules.parted(again, stays, moved.gone.main.recorded_at, at)
        if not command.dry_run:
            stays, again = members.with_suppressed(table, keyring, (profile, stays), (None, again))
        undone = merge.model_copy(update={"undone": _undone(command, moved, [kind for kind, _ in back], at, program)})
        writes = [
            *_entries(undone, account, into, moved, reached, by),
            members_store.replace_profile(stays, keyring),
            members_store.replace_profile(again, keyring),
            *_handed_over(back, profile, again, keyring),
            store.undo_merge(undone),
            *_reach(accounts, at),
        ]
        return undo_view(undone, book, language), _again_when_moved(writes)

    def recall(item: Item) -> UndoView:
        undone = store.find_merge(table, merge.key)
        if item.get("d") != content or undone is None or undone.undone is None:
            raise UndoDiffers(merge_id=merge_id)
        return undo_view(undone, book, language)

    return points.once_among(
        table,
        book,
        (merge.into_member_id, merge.from_member_id),
        key,
        decide=decide,
        recall=recall,
        now=now,
        dry_run=command.dry_run,
        follow=False,
    )


def find_merge(
    table: Table, book: ProgramBook, merge_id: MergeId, *, language: Language, by: Caller | None = None
) -> MergeView:
    """A merge, and its undoing where it was undone.

    Args:
        by: who asks; None where no person does.

    Raises:
        MergeUnknown: there is no such merge, or the home shop of neither of the two is one of the caller's.
    """
    merge = _find(table, merge_id)
    if not members_rules.is_home_of(None, by, Permission.MEMBERS_READ):
        two = [keys.profile(each) for each in (merge.from_member_id, merge.into_member_id)]
        homes = (members_store.home_of(item) for item in table.get_many(two, consistent=True).values())
        if not any(members_rules.is_home_of(home, by, Permission.MEMBERS_READ) for home in homes):
            raise MergeUnknown(merge_id=merge_id)
    return merge_view(merge, book, language)


def merge_view(merge: Merge, book: ProgramBook, language: Language) -> MergeView:
    """A merge as callers see it."""
    program = book.version(merge.program_version)
    return MergeView(
        merge_id=keys.merge_id(merge.key),
        from_member_id=merge.from_member_id,
        into_member_id=merge.into_member_id,
        reason=merge.reason,
        merged_at=merge.at,
        can_be_undone_until=merge.until,
        points_moved=merge.points_moved,
        points_regained=merge.points_regained,
        balance_after=merge.balance_after,
        identifiers_moved=merge.identifiers,
        fields_filled=merge.brought.fields,
        tiers_before=_tiers(merge.from_tier, merge.into_tier, program, language),
        tier_after=_tier_name(merge.tier_after, program, language),
        undone=undo_view(merge, book, language) if merge.undone else None,
    )


def undo_view(merge: Merge, book: ProgramBook, language: Language) -> UndoView:
    """The undoing of a merge as callers see it."""
    undone = merge.undone
    assert undone is not None
    return UndoView(
        merge_id=keys.merge_id(merge.key),
        from_member_id=merge.from_member_id,
        into_member_id=merge.into_member_id,
        undone_at=undone.at,
        reason=undone.reason,
        points_moved=undone.points_moved,
        points_expired=undone.points_expired,
        from_balance=undone.from_balance,
        into_balance=undone.into_balance,
        identifiers_moved=undone.identifiers,
        tiers=_tiers(undone.from_tier, undone.into_tier, book.version(undone.program_version), language),
    )


def _find(table: Table, merge_id: MergeId) -> Merge:
    key = keys.merge_key(merge_id)
    merge = store.find_merge(table, key) if key else None
    if merge is None:
        raise MergeUnknown(merge_id=merge_id)
    return merge


def _profile_item(table: Table, member_id: AccountId, unknown: Refusal, by: Caller | None) -> Item:
    """A member's profile as it is stored.

    Args:
        unknown: what is answered about who does not exist, and to whom their home shop is not one of theirs.
    """
    item, _ = members_store.find_items(table, member_id, consistent=True)
    if item is None or not members_rules.is_home_of(members_store.home_of(item), by, Permission.MEMBERS_MERGE):
        raise unknown
    return item


def _newer(profile: Profile) -> Profile:
    return profile.model_copy(update={"version": profile.version + 1})


def _merge(
    key: str,
    command: MergeMembers,
    before: tuple[Account, Account],
    moved: rules.Moved,
    brought: Brought,
    kinds: Sequence[str],
    at: datetime,
    program: Program,
) -> Merge:
    account, into = before
    main = moved.kept.main
    return Merge(
        key=key,
        from_member_id=command.from_member_id,
        into_member_id=MemberId(into.member_id),
        reason=command.reason,
        at=at,
        until=at + rules.UNDONE_FOR,
        points_moved=main.points,
        points_regained=-(main.lapsed or 0),
        from_anchor=account.anchor,
        into_anchor=into.anchor,
        brought=brought,
        identifiers=tuple(kinds),
        balance_after=main.balance_after - (main.lapsed or 0),
        from_tier=moved.gone.tier_before,
        into_tier=moved.kept.tier_before,
        tier_after=moved.kept.tier_after,
        program_version=program.version,
    )


def _undone(command: UndoMerge, moved: rules.Moved, kinds: Sequence[str], at: datetime, program: Program) -> Undone:
    out, taken = moved.kept.main, moved.gone.main
    return Undone(
        at=at,
        reason=command.reason,
        points_moved=taken.points,
        points_expired=(out.lapsed or 0) + (taken.lapsed or 0),
        identifiers=tuple(kinds),
        from_balance=taken.balance_after - (taken.lapsed or 0),
        into_balance=out.balance_after - (out.lapsed or 0),
        from_tier=moved.gone.tier_after,
        into_tier=moved.kept.tier_after,
        program_version=program.version,
    )


def _entries(
    merge: Merge, account: Account, into: Account, moved: rules.Moved, reached: Sequence[str], by: Caller | None
) -> list[Write]:
    """The writes of both accounts, the one whose key tells a repeat first."""
    more = store.entry_item(
        keys.merge_id(merge.key), merge.from_member_id, merge.into_member_id,
        reached=reached, by=by.subject if by is not None else None,
    )  # fmt: skip
    gone = points_store.post(account, moved.gone, more=more)
    kept = points_store.post(into, moved.kept, more=more)
    return [*gone, *kept] if merge.undone is None else [*kept, *gone]


def _handed_over(
    identifiers: Sequence[members_rules.Identifier], before: Profile, after: Profile, keyring: Keyring
) -> list[Write]:
    return [
        write
        for kind, value in identifiers
        for write in members_store.hand_over(
            before.member_id, after.member_id, kind, value, keyring, lambda _: AccountMoved()
        )
    ]


def _reach(accounts: Sequence[Account], at: datetime) -> list[Write]:
    """That both may be written to otherwise than before."""
    return [members_store.note_reach(each.member_id, ReachWhy.MERGE, at=at) for each in accounts]


def _again_when_moved(writes: Sequence[Write]) -> list[Write]:
    """The writes, with those of profiles decided anew when somebody edits one at the same time."""
    return [
        replace(write, otherwise=lambda _: AccountMoved())
        if isinstance(write, Put | Delete) and write.key.sk == "PROFILE"
        else write
        for write in writes
    ]


def _book_what_is_due(table: Table, book: ProgramBook, accounts: Sequence[Account], now: datetime) -> None:
    """Book what is too much for one transaction with a merge.

    Raises:
        AccountMoved: always; the accounts are others now.
    """
    for account in accounts:
        for due in (Due.EXPIRY, Due.RELEASE):
            points.bring_up_to_date(table, book, account.member_id, due, now=now)
    raise AccountMoved


def _since(table: Table, merge: Merge, account: Account, into: Account) -> tuple[Entry, list[Entry]]:
    """The entry of the member who went, and what since then belongs to them.

    Raises:
        AccountMoved: some of it does not stand in the timeline yet.
    """
    gone = points_store.find_entry(table, rules.merge_key(merge.key))
    assert gone is not None, "a merge has an entry in both accounts"
    since = _lived(table, merge.key, into.seq)
    causes = {entry.cause for entry in since if entry.cause is not None}
    owners = _owners(table, causes - {entry.key for entry in since})
    return points_store.entry_from(gone), rules.goes_home(since, owners, (account.member_id, *account.absorbed))


def _lived(table: Table, key: str, through: int) -> list[Entry]:
    """What whoever answered after a merge lived through, oldest first: also as part of others that it went into since.

    What was corrected there came home to it by the undoing alone, in one sum with all else. So where an undoing stands,
    the entries are put in that it was made of.

    Args:
        key: the merge's.
        through: the number of the last entry that counts, of the one who stayed.

    Raises:
        AccountMoved: the timeline, which lags, does not have all of it yet.
    """
    item = points_store.find_entry(table, rules.arrival_key(key))
    assert item is not None, "a merge has an entry in both accounts"
    taken = points_store.entry_from(item)
    after = points_store.list_entries(table, taken.member_id, after=item["at"])
    own = [entry for entry in after if entry.seq <= through]
    if [entry.seq for entry in own] != list(range(taken.seq + 1, through + 1)):
        raise AccountMoved
    found: list[Entry] = []
    for entry in own:
        if rules.is_homecoming(entry):
            assert entry.cause is not None, "an undoing names the entry of the one who stayed"
            undone = points_store.find_entry(table, entry.cause)
            assert undone is not None, "an undoing has an entry in both accounts"
            found += _lived(table, entry.key.parts[0], points_store.entry_from(undone).seq - 1)
        found.append(entry)
    return found


def _owners(table: Table, entries: set[EntryKey]) -> dict[EntryKey, AccountId]:
    """Whom entries concern."""
    wanted = {points_store.key_of(key): key for key in entries}
    found = table.get_many(list(wanted))
    for each in wanted.keys() - found.keys():
        item = table.get(each, consistent=True)
        if item is not None:
            found[each] = item
    causes = {wanted[each]: points_store.entry_from(item) for each, item in found.items() if "tl" in item}
    return {key: points.concerned(table, entry) for key, entry in causes.items()}


def _tiers(from_tier: str, into_tier: str, program: Program, language: Language) -> Tiers:
    return Tiers(
        from_member=_tier_name(from_tier, program, language), into_member=_tier_name(into_tier, program, language)
    )


def _tier_name(tier_id: str, program: Program, language: Language) -> TierName:
    return TierName(tier_id=tier_id, name=program.tier(tier_id).name.in_(language))
