"""Planted bugs: each is a mistake that somebody could make, put into the running code; the simulator must find it.

`python -m tests.sim BUG=…` and `test_planted.py` switch them on. A bug that is not found says that the simulator is
too weak, not that the bug is harmless.
"""

import inspect
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.cards import store as card_store
from chalicelib.cards.rules import count_cards, holding, stored_value
from chalicelib.corrections import rules as correction_rules
from chalicelib.holds import rules as hold_rules
from chalicelib.holds.models import Hold
from chalicelib.kernel.calendar import month_of
from chalicelib.kernel.errors import Refusal, StorageBusy
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import service as members_service
from chalicelib.merges import rules as merge_rules
from chalicelib.points import content, fold, service, store
from chalicelib.points.errors import AccountMoved, EntryKnown, MemberClosed, MemberUnknown, PointsInsufficient
from chalicelib.points.models import Account, AccountStatus, EntryKey, Position, Reason
from chalicelib.points.rules import balances, commands, due_dates, guards, ledger, reversals
from chalicelib.pools import rules as pool_rules
from chalicelib.pools import service as pool_service
from chalicelib.pools.models import Role
from chalicelib.programs.rules import earned_points, expires_on, today_of
from chalicelib.purchases import store as purchase_store
from chalicelib.purchases.errors import OrderMoved
from chalicelib.purchases.rules import buying, orders, returns
from chalicelib.purchases.service import delivering, recording, restating, returning
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Absent, Condition, Delete, Item, Put, Still, Unchanged, Write
from chalicelib.transfers import rules as transfer_rules
from chalicelib.transfers import service as transfer_service
from tests import memory
from tests.sim.port import Port

_purchases: Any = buying
Plant = Callable[[pytest.MonkeyPatch], None]

SEEDS, SIZE = range(1, 21), 200
"""Each must be found in one of these worlds."""

BUGS: dict[str, Plant] = {}
"""Every planted bug, by name."""


TOPICS_OF: dict[str, tuple[str, ...]] = {}
"""What the worlds are about, besides what all are, in which a bug is looked for."""


def bug(plant: Plant) -> Plant:
    """Register a bug under its function's name."""
    BUGS[plant.__name__] = plant
    TOPICS_OF.setdefault(plant.__name__, ())
    return plant


def about(*topics: str) -> Callable[[Plant], Plant]:
    """Say in which worlds a bug is looked for."""

    def note(plant: Plant) -> Plant:
        TOPICS_OF[plant.__name__] = topics
        return bug(plant)

    return note


def _condition(patch: pytest.MonkeyPatch, forgotten: Callable[[Condition, Item], bool]) -> None:
    """Take some conditions for ones that hold."""
    real = memory.holds
    patch.setattr(memory, "holds", lambda c, item: real(c, item) or (item is not None and forgotten(c, item)))


# ---------------------------------------------------------------- once, and only once


@bug
def no_look_up(patch: pytest.MonkeyPatch) -> None:
    """A command that is refused now is not looked up by its key: a retry of a spend that emptied the account fails."""
    real = store.find_entry
    patch.setattr(store, "find_entry", lambda table, key: real(table, key) if "merge" in key.kind else None)


@bug
def keys_expire(patch: pytest.MonkeyPatch) -> None:
    """A key is good for a day, as those of many idempotency tables are."""
    real = service.spend_points

    def spend(table: Any, book: Any, member_id: Any, key: str, command: Any, *, now: Any, language: Any) -> Any:
        known = store.find_entry(table, EntryKey(kind="spend", parts=(key,)))
        if known is not None and store.entry_from(known).recorded_at < now - timedelta(days=1):
            key += "-next-day"
        return real(table, book, member_id, key, command, now=now, language=language)

    patch.setattr(service, "spend_points", spend)


@bug
def retried_under_a_new_key(patch: pytest.MonkeyPatch) -> None:
    """What failed with a time-out is tried again as if it were another command."""
    real = service.spend_points

    def spend(table: Any, book: Any, member_id: Any, key: str, command: Any, **more: Any) -> Any:
        try:
            return real(table, book, member_id, key, command, **more)
        except StorageBusy:
            return real(table, book, member_id, key + "-2", command, **more)

    patch.setattr(service, "spend_points", spend)


@bug
def no_condition_on_the_key(patch: pytest.MonkeyPatch) -> None:
    """An entry is written over whatever is under its key."""
    _condition(patch, lambda condition, item: isinstance(condition, Absent) and "r" in item)


@bug
def lost_reply_is_a_failure(patch: pytest.MonkeyPatch) -> None:
    """A write whose answer was lost is taken for one that failed, and done again by another key."""
    real = service.once

    def once(table: Any, book: Any, member_id: Any, key: EntryKey, **more: Any) -> Any:
        outcome = real(table, book, member_id, key, **more)
        if isinstance(outcome, Outcome) and outcome.replayed and key.kind == "adjust":
            other = EntryKey(kind=key.kind, parts=(key.parts[0] + "-again",))
            command = next(
                c.cell_contents for c in more["decide"].__closure__ if hasattr(c.cell_contents, "reason_code")
            )
            account = store.find_account(table, member_id, consistent=True)
            assert account is not None
            posting = commands.adjust(account, command, other, book.current(more["now"]), content=b"", now=more["now"])
            with suppress(EntryKnown, AccountMoved):
                table.commit(store.post(account, posting), keyed=True)
        return outcome

    patch.setattr(service, "once", once)


@bug
def content_is_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Other content under a key is answered as if it were the first."""
    patch.setattr(service, "content_digest", lambda member_id, command, **more: b"same")
    for module in (recording, returning, restating, delivering):
        patch.setattr(module, "content_digest", lambda member_id, command, **more: b"same")


@bug
def replay_tells_todays_balance(patch: pytest.MonkeyPatch) -> None:
    """A command that is sent again is answered with what is true now, not with its first answer."""
    real = service._recall

    def recalling(*a: Any) -> Any:
        recall = real(*a)
        return lambda item: recall(item).model_copy(update={"balance_after": 0})

    patch.setattr(service, "_recall", recalling)


@bug
def gift_by_half_year(patch: pytest.MonkeyPatch) -> None:
    """The key of a birthday gift follows from more than member and year: a corrected birthday brings another."""

    def give(table: Any, book: Any, member_id: Any, *, on: date, now: Any) -> Any:
        key = EntryKey(kind="birthday", parts=(member_id, f"{on.year}" if on.month < 7 else f"{on.year}-2"))
        program = book.current(now)

        def decide(account: Account) -> Any:
            posting = commands.gift(account, key, program, on=on, content=b"gift", now=now)
            if posting is None:
                raise MemberUnknown(member_id=member_id)
            return posting.main, store.post(account, posting)

        with suppress(Refusal):
            return service.once(table, book, member_id, key, decide=decide, recall=store.entry_from, now=now)

    from tests.sim.operations import birthday

    patch.setattr(birthday, "give_birthday_gift", give)


# ---------------------------------------------------------------- one transaction


@bug
def no_version_check(patch: pytest.MonkeyPatch) -> None:
    """The account is written whatever happened to it since it was read."""
    _condition(patch, lambda condition, item: isinstance(condition, Unchanged) and "life" in item)


@bug
def two_writes(patch: pytest.MonkeyPatch) -> None:
    """Entry and account are written one after the other."""
    real = Port.commit

    def commit(self: Port, writes: Sequence[Write], *, keyed: bool = False) -> None:
        for write in writes:
            real(self, [write], keyed=keyed)

    patch.setattr(Port, "commit", commit)


@bug
def entry_without_account(patch: pytest.MonkeyPatch) -> None:
    """A small spend is noted, and its account is not touched."""
    real = store.post

    def post(before: Account, posting: Any, **more: Any) -> list[Write]:
        writes = real(before, posting, **more)
        return writes[:-1] if posting.main.points == -1 else writes

    patch.setattr(store, "post", post)


@bug
def refusal_that_writes(patch: pytest.MonkeyPatch) -> None:
    """Who asks for more than there is leaves a line on the timeline."""
    real = service.spend_points

    def spend(table: Any, book: Any, member_id: Any, key: str, command: Any, *, now: Any, language: Any) -> Any:
        try:
            return real(table, book, member_id, key, command, now=now, language=language)
        except PointsInsufficient:
            account = store.find_account(table, member_id, consistent=True)
            assert account is not None
            table.commit([store.note(member_id, "refused", {}, at=now, version=account.seq + 9_999)])
            raise

    patch.setattr(service, "spend_points", spend)


@bug
def stale_read_decides(patch: pytest.MonkeyPatch) -> None:
    """What is refused on a read that may be old is not decided again on one that is not."""
    real = store.find_account

    def find(table: Any, member_id: str, *, consistent: bool = False) -> Account | None:
        return real(table, member_id)

    patch.setattr(store, "find_account", find)


# ---------------------------------------------------------------- order and chain


@bug
def seq_skips(patch: pytest.MonkeyPatch) -> None:
    """Now and then a number is left out."""
    real = ledger._entry

    def entry(account: Account, *a: Any, **more: Any) -> Any:
        made = real(account, *a, **more)
        return made.model_copy(update={"seq": made.seq + (made.seq % 7 == 3)})

    patch.setattr(ledger, "_entry", entry)


@bug
def clock_goes_backwards(patch: pytest.MonkeyPatch) -> None:
    """An entry is dated by the machine's clock alone, which may be behind the one before."""
    patch.setattr(ledger, "recorded_at", lambda account, now: now.replace(microsecond=now.microsecond // 1000 * 1000))


@bug
def hash_over_too_little(patch: pytest.MonkeyPatch) -> None:
    """The reasons of an entry are no part of its hash."""
    real = content.content_of
    patch.setattr(ledger, "content_of", lambda entry: {n: v for n, v in real(entry).items() if n != "why"})


@bug
def balance_after_wrong(patch: pytest.MonkeyPatch) -> None:
    """An expiry tells the balance before it."""
    real = ledger._expiry

    def expiry(account: Account, *a: Any, **more: Any) -> Any:
        return real(account, *a, **more).model_copy(update={"balance_after": account.lifetime.balance})

    patch.setattr(ledger, "_expiry", expiry)


# ---------------------------------------------------------------- time


@bug
def expiry_by_job_only(patch: pytest.MonkeyPatch) -> None:
    """Points live until the job has come by."""
    derive, compacted = balances.derive, fold.compacted

    def derived(account: Account, on: date, at: Any = None) -> Position:
        position, booked = derive(account, on, at), account.booked_through or date.min
        waiting = sum(points for day, points in position.lapses.items() if day > booked)
        return replace(position, balance=position.balance + waiting, lapsed=position.lapsed - waiting)

    def compact(account: Account, program: Any, on: date) -> Account:
        return compacted(account, program, on).model_copy(update={"booked_through": account.booked_through})

    def settled(account: Account, program: Any, held: Any, *, now: Any) -> Any:
        return account, (), fold.standing_of(account, program, today_of(program, now))

    patch.setattr(balances, "derive", derived)
    patch.setattr(ledger, "compacted", compact)
    patch.setattr(ledger, "_settled", settled)


@bug
def dead_on_the_last_day(patch: pytest.MonkeyPatch) -> None:
    """Points cannot be spent on their last day any more."""
    real = balances.derive
    patch.setattr(balances, "derive", lambda account, on, at=None: real(account, on + timedelta(days=1), at))


@bug
def late_purchase_in_todays_bucket(patch: pytest.MonkeyPatch) -> None:
    """A purchase that is told late lives as long as one of today."""
    real = buying.assess

    def assess(account: Any, command: Any, program: Any, *, now: Any, **more: Any) -> Any:
        _purchases.expires_on = lambda day, expiry: expires_on(today_of(program, now), expiry)
        try:
            return real(account, command, program, now=now, **more)
        finally:
            _purchases.expires_on = expires_on

    patch.setattr(buying, "assess", assess)


@bug
def late_spend_counts_today(patch: pytest.MonkeyPatch) -> None:
    """A spend that is told late is taken from what lives today, not from what lived then."""
    real = ledger._entry

    def entry(account: Any, draft: Any, program: Any, *, now: Any) -> Any:
        if draft.reason is Reason.SPEND:
            draft = replace(draft, period=ledger._period_spent(account, today_of(program, now), program))
        return real(account, draft, program, now=now)

    patch.setattr(ledger, "_entry", entry)


@bug
def pending_points_are_spendable(patch: pytest.MonkeyPatch) -> None:
    """Points that are pending can be spent."""
    patch.setattr(Position, "available", property(lambda self: max(self.balance, 0)))


@bug
def release_forgets_days(patch: pytest.MonkeyPatch) -> None:
    """The job that tells of released points takes those that are still pending along."""
    real = due_dates.release

    def release(account: Account, on: date) -> Any:
        released = real(account, on)
        return released and (released[0].model_copy(update={"pending": {}}), released[1])

    patch.setattr(due_dates, "release", release)


@bug
def folding_drops_a_sum(patch: pytest.MonkeyPatch) -> None:
    """When old periods are folded, what was spent and not covered is forgotten."""
    real = fold.compacted

    def compact(account: Account, program: Any, on: date) -> Account:
        made = real(account, program, on)
        if made.folded is None or made.folded == account.folded:
            return made
        return made.model_copy(update={"folded": made.folded.model_copy(update={"carried": 0, "lapsed": 0})})

    patch.setattr(ledger, "compacted", compact)


# ---------------------------------------------------------------- returns


def _returned(patch: pytest.MonkeyPatch, change: Callable[[Any, Any], dict[str, int]]) -> None:
    """Change what a return comes to, from what was bought and what would be right."""
    real = returns.returned_after

    def after(bought: Any, *a: Any) -> Any:
        right = real(bought, *a)
        return right.model_copy(update=change(bought, right))

    patch.setattr(returns, "returned_after", after)


@bug
def uncapped_return(patch: pytest.MonkeyPatch) -> None:
    """What came back is not counted, so it may come back again."""
    real = purchase_store.count_return

    def count(item: Item, after: Any) -> Write:
        write = real(item, after)
        return Put(write.key, dict(item), Still("rn", None), lambda _: OrderMoved())

    patch.setattr(purchase_store, "count_return", count)


@bug
def returns_race(patch: pytest.MonkeyPatch) -> None:
    """A return is written also when another one came first."""
    _condition(patch, lambda condition, item: isinstance(condition, Still))


@bug
def return_in_todays_bucket(patch: pytest.MonkeyPatch) -> None:
    """A return takes points that expire as if they were given today."""
    real = returns.assess_return

    def assess(
        account: Any, bought: Any, after: Any, command: Any, key: Any, program: Any, *, now: Any, content: Any
    ) -> Any:
        last = expires_on(today_of(program, now), program.expiry)
        entry = bought.entry.model_copy(update={"expires_on": bought.entry.expires_on and last})
        return real(account, replace(bought, entry=entry), after, command, key, program, now=now, content=content)

    patch.setattr(returns, "assess_return", assess)


@bug
def tender_not_given_back(patch: pytest.MonkeyPatch) -> None:
    """Points that paid for what comes back are gone."""
    _returned(patch, lambda bought, right: {"points_given_back": bought.returned.points_given_back})


@bug
def each_return_rounds(patch: pytest.MonkeyPatch) -> None:
    """Each part is rounded by itself, so that the parts do not add up."""

    def change(bought: Any, right: Any) -> dict[str, int]:
        part = right.refund_minor - bought.returned.refund_minor
        points = earned_points(part, bought.program.earn_rate, percent=orders.multiplier_of(bought.entry))
        return {"points_taken_back": bought.returned.points_taken_back + points}

    _returned(patch, change)


@bug
def multiplier_forgotten_on_return(patch: pytest.MonkeyPatch) -> None:
    """A return reckons as if the purchase had earned without its tier's multiplier."""
    patch.setattr(orders, "multiplier_of", lambda entry: 100)


@bug
def qualifying_points_stay(patch: pytest.MonkeyPatch) -> None:
    """What a purchase counted towards a tier counts on after it came back."""
    _returned(patch, lambda bought, right: {"qualifying_taken_back": bought.returned.qualifying_taken_back})


@bug
def cap_without_write_off(patch: pytest.MonkeyPatch) -> None:
    """Under `cap` a debt stays, and nothing says that it was written off."""

    def reverse(account: Account, draft: Any, program: Any, *, now: Any, caps: Any = None) -> Any:
        if account.status is AccountStatus.CLOSED:
            raise MemberClosed(member_id=account.member_id)
        return ledger.post(account, draft, program, now=now)

    patch.setattr(reversals, "reverse", reverse)


@bug
def debt_forgiven(patch: pytest.MonkeyPatch) -> None:
    """A debt is gone at once, without an entry."""
    real = ledger.post

    def post(account: Account, draft: Any, program: Any, *, now: Any) -> Any:
        posting = real(account, draft, program, now=now)
        after, today = posting.account, today_of(program, now)
        owed = balances.derive(after, today).owed
        if not owed:
            return posting
        last = expires_on(today, program.expiry)
        earned = {**after.earned, last: after.earned.get(last, 0) + owed}
        return replace(posting, account=after.model_copy(update={"earned": earned}))

    patch.setattr(ledger, "post", post)


# ---------------------------------------------------------------- tiers, members


@bug
def tier_feeds_itself(patch: pytest.MonkeyPatch) -> None:
    """The multiplier counts towards the next tier."""
    real = _purchases.Draft

    def draft(*a: Any, **more: Any) -> Any:
        return real(*a, **(more | {"qualifying": more["earned"]} if a[1] is Reason.EARN else more))

    patch.setattr(buying, "Draft", draft)


@bug
def multiplier_of_today(patch: pytest.MonkeyPatch) -> None:
    """A late purchase earns by the tier that is held when it is told."""
    real = buying.assess

    def assess(account: Any, command: Any, program: Any, *, now: Any, **more: Any) -> Any:
        standing = _purchases.standing

        def held(qualifying: Any, terms: Any, *, on: Any, anchor: Any) -> Any:
            return fold.standing_of(account, program, today_of(program, now))

        _purchases.standing = held
        try:
            return real(account, command, program, now=now, **more)
        finally:
            _purchases.standing = standing

    patch.setattr(buying, "assess", assess)


@bug
def suspended_may_spend(patch: pytest.MonkeyPatch) -> None:
    """Who is suspended goes on."""
    patch.setattr(guards, "require_open", lambda account: None)


@bug
def identifiers_taken_twice(patch: pytest.MonkeyPatch) -> None:
    """Two members may have one mobile number."""
    _condition(patch, lambda condition, item: isinstance(condition, Absent) and item.get("sk") == "U")


@bug
def old_number_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Who changes their mobile number goes on holding the old one."""
    real = members_service._edit
    patch.setattr(members_service, "_edit", lambda *a: [w for w in real(*a) if not isinstance(w, Delete)])


# ---------------------------------------------------------------- holds


@about("hold")
def hold_ends_twice(patch: pytest.MonkeyPatch) -> None:
    """The account does not forget a hold that was captured, and its end is written over."""
    _ends_again(patch, lambda entry: entry.reason in (Reason.SPEND, Reason.EARN))


def _ends_again(patch: pytest.MonkeyPatch, forgotten: Callable[[Any], bool]) -> None:
    """Let holds go on after some of their ends."""
    real = fold._holds_after
    patch.setattr(fold, "_holds_after", lambda holds, entry: dict(holds) if forgotten(entry) else real(holds, entry))
    ends = ("K#hold_end#", "K#transfer_in#")
    _condition(patch, lambda condition, item: isinstance(condition, Absent) and str(item.get("pk")).startswith(ends))


def _numbered(key: EntryKey, number: int) -> EntryKey:
    return EntryKey(kind=key.kind, parts=(*key.parts[:-1], f"{key.parts[-1]}-{number}"))


@about("hold")
def captured_after_its_time(patch: pytest.MonkeyPatch) -> None:
    """A hold can be captured as long as nobody has booked that it is over."""

    def live(account: Account, hold_key: EntryKey, program: Any, *, now: Any) -> Hold | None:
        reserved = account.holds.get(fold.hold_name(hold_key))
        return Hold(hold_key, reserved) if reserved is not None else None

    for module in (hold_rules, transfer_service):
        patch.setattr(module, "live", live)
    patch.setattr(ledger, "time_out", lambda account, program, *, now: (account, ()))


@about("hold")
def time_out_by_job_only(patch: pytest.MonkeyPatch) -> None:
    """What is held stays so after its time, until a job comes by."""
    real, settled = balances.derive, ledger._settled

    def unsettled(account: Account, program: Any, held: Any, *, now: Any) -> Any:
        after, *rest = settled(account.model_copy(update={"holds": {}}), program, held, now=now)
        return after.model_copy(update={"holds": account.holds}), *rest

    patch.setattr(balances, "derive", lambda account, on, at=None: real(account, on))
    patch.setattr(ledger, "_settled", unsettled)


@about("hold")
def held_points_can_be_spent(patch: pytest.MonkeyPatch) -> None:
    """What is reserved is forgotten when something else is paid."""
    patch.setattr(Position, "available", property(lambda self: max(self.balance - self.pending, 0)))


@about("hold")
def capture_asks_for_the_balance(patch: pytest.MonkeyPatch) -> None:
    """A hold whose points a return has taken meanwhile is refused to the till that was promised them."""
    real = hold_rules.captured

    def captured(draft: Any, held: Hold) -> Any:
        return replace(real(draft, held), may_owe=False)

    patch.setattr(hold_rules, "captured", captured)


# ---------------------------------------------------------------- between accounts


@about("transfer")
def accepted_twice(patch: pytest.MonkeyPatch) -> None:
    """An offer stays open when it is accepted."""
    _ends_again(patch, lambda entry: entry.reason is Reason.TRANSFER)


@about("transfer")
def accepted_after_cancelling(patch: pytest.MonkeyPatch) -> None:
    """An offer that was cancelled or declined stays open."""
    _ends_again(patch, lambda entry: entry.reason_code in ("cancelled", "declined"))


@about("transfer", "pool")
def lots_get_younger(patch: pytest.MonkeyPatch) -> None:
    """Points that are passed on begin a new life."""
    real = balances.lots_taken

    def taken(account: Account, points: int, on: date) -> dict[date, int]:
        lots = real(account, points, on)
        return {max(lots): points} if lots else lots

    patch.setattr(balances, "lots_taken", taken)


@about("transfer")
def fee_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The fee is offered and held, and never taken."""
    real = transfer_rules.offered
    patch.setattr(transfer_rules, "offered", lambda offer: (real(offer)[0], 0))


@about("transfer")
def open_offers_do_not_count(patch: pytest.MonkeyPatch) -> None:
    """The month's limit looks at what was accepted alone."""
    patch.setattr(
        transfer_rules, "_sent", lambda giver, program, at: giver.sent.get(month_of(today_of(program, at)), 0)
    )


@about("pool")
def contribution_is_not_taken(patch: pytest.MonkeyPatch) -> None:
    """The pool gets the points, and the member keeps them."""
    real = pool_service._writes_of
    patch.setattr(pool_service, "_writes_of", lambda giver, receiver, moved: real(giver, receiver, moved)[1:-1] or [])

    def writes(giver: Account, receiver: Account, moved: Any) -> list[Write]:
        return [each for each in real(giver, receiver, moved) if not _is_of(each, giver.member_id)]

    patch.setattr(pool_service, "_writes_of", writes)


def _is_of(write: Write, account_id: str) -> bool:
    return write.key == keys.account(account_id)


@about("pool")
def limit_is_for_one_spend(patch: pytest.MonkeyPatch) -> None:
    """The month's limit looks at each spend alone."""
    patch.setattr(pool_rules, "spent_this_month", lambda membership, on: 0)


@about("pool")
def roles_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Who may only contribute spends."""
    real = pool_rules.having_spent

    def spent(membership: Any, points: int, on: date) -> Any:
        return real(membership.model_copy(update={"role": Role.SPENDER}), points, on)

    patch.setattr(pool_rules, "having_spent", spent)


@about("merge")
def merge_leaves_points_behind(patch: pytest.MonkeyPatch) -> None:
    """The soonest lot stays where it was."""
    real = fold.sums_of

    def sums(account: Account) -> Any:
        whole = real(account)
        soonest = min(whole.earned, default=None)
        return whole.model_copy(update={"earned": {d: p for d, p in whole.earned.items() if d != soonest}})

    patch.setattr(fold, "sums_of", sums)


@about("merge")
def undo_takes_what_came_since(patch: pytest.MonkeyPatch) -> None:
    """An undoing moves all that there is by then, also what the one who stayed got and spent since."""
    patch.setattr(merge_rules, "_moved_back", lambda account, into, merged, home, today: fold.sums_of(into))


@about("merge")
def undo_forgets_returns(patch: pytest.MonkeyPatch) -> None:
    """What came back since of an old purchase is not taken along when a merge is undone."""
    patch.setattr(merge_rules, "goes_home", lambda since, owners, family: [])


@about("merge")
def merged_account_answers(patch: pytest.MonkeyPatch) -> None:
    """A command on an old id is carried out on the account that was merged."""
    patch.setattr(store, "find_answering", store.find_account)


# ---------------------------------------------------------------- taken back, restated, waited for


@about("reverse")
def reversed_twice(patch: pytest.MonkeyPatch) -> None:
    """Whoever takes an entry back does so under a key of their own."""
    real, numbers = reversals.reversal_key, itertools.count()
    patch.setattr(correction_rules, "reversal_key", lambda key: _numbered(real(key), next(numbers)))


@about("reverse")
def reversal_gives_new_points(patch: pytest.MonkeyPatch) -> None:
    """What a spend took is given back as if it were earned today, not into the lots from which it came."""
    real = fold.effect_of

    def effect(entry: Any) -> Any:
        sums = real(entry)
        if not sums.spent:
            return sums
        points, last = sum(sums.spent.values()), entry.occurred_on + timedelta(days=365)
        return sums.model_copy(update={"spent": {}, "earned": {last: -points}})

    patch.setattr(fold, "effect_of", effect)


@about("order")
def restatement_adds(patch: pytest.MonkeyPatch) -> None:
    """What an order is said to be comes on top of what it was."""
    real = orders.kept_of
    nothing = {"points_earned": 0, "points_tender": 0}
    patch.setattr(orders, "kept_of", lambda bought: real(bought).model_copy(update=nothing))


@about("order")
def restated_order_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    """Returns after a restatement reckon with the order as it was bought."""
    patch.setattr(purchase_store, "as_stated", lambda item: item)


@about()
def waiting_return_is_lost(patch: pytest.MonkeyPatch) -> None:
    """A purchase takes the place of the returns that waited for it."""
    real = purchase_store.waiting_from

    def waiting(item: Item | None) -> Any:
        return () if inspect.stack()[1].function == "_purchase_writes" else real(item)

    patch.setattr(purchase_store, "waiting_from", waiting)


@about()
def waiting_return_counts_twice(patch: pytest.MonkeyPatch) -> None:
    """A return that waited is not counted, so that as much may come back again."""
    real = recording._purchase_writes

    def writes(*a: Any, **more: Any) -> list[Write]:
        made = real(*a, **more)
        first = made[0]
        assert isinstance(first, Put)
        return [replace(first, item={n: v for n, v in first.item.items() if n not in ("rn", "ret")}), *made[1:]]

    patch.setattr(recording, "_purchase_writes", writes)


@about()
def waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A return is carried out however late its purchase comes."""
    patch.setattr(returns, "waits_until", lambda waiting: waiting.received_at + timedelta(days=3_650))


# ---------------------------------------------------------------- cards


@about("money")
def bonus_is_paid_out(patch: pytest.MonkeyPatch) -> None:
    """A refund pays back what can be spent, not what was paid."""
    real = holding.value_of

    def value(account: Account, on: date) -> Any:
        known = real(account, on)
        if inspect.stack()[1].function != "refund" or not known.principal:
            return known
        return replace(known, principal=known.principal + known.bonus_total, bonus={})

    patch.setattr(holding, "value_of", value)


@about("money")
def top_up_paid_back_twice(patch: pytest.MonkeyPatch) -> None:
    """What was paid back of a top-up is not counted."""
    patch.setattr(card_store, "count_back", lambda item, back: _as_it_is(item))


def _as_it_is(item: Item) -> Write:
    return Put(Key(item["pk"], item["sk"]), dict(item), Still("rn", None), lambda _: AccountMoved())


@about("money")
def spend_below_nought(patch: pytest.MonkeyPatch) -> None:
    """A card pays for a little more than there is on it."""
    real = holding.value_of

    def value(account: Account, on: date) -> Any:
        known = real(account, on)
        more = inspect.stack()[1].function == "spend" and known.total > 0
        return replace(known, principal=known.principal + 500) if more else known

    patch.setattr(holding, "value_of", value)


@about("money")
def bonus_first(patch: pytest.MonkeyPatch) -> None:
    """A spend takes the bonus before what was paid."""

    def shares(value: Any, amount: int) -> dict[date, int]:
        taken = {}
        for day, there in sorted((*value.bonus.items(), (holding.PRINCIPAL, value.principal))):
            taken[day] = min(there, amount)
            amount -= taken[day]
        return {day: minor for day, minor in taken.items() if minor}

    patch.setattr(stored_value, "shares", shares)


@about("visits")
def use_taken_back_twice(patch: pytest.MonkeyPatch) -> None:
    """What was taken back of a use is not counted."""
    patch.setattr(card_store, "count_back", lambda item, back: _as_it_is(item))


@about("visits")
def extension_forgets_uses(patch: pytest.MonkeyPatch) -> None:
    """A card that lasts longer has only the visits that were left."""
    real = count_cards.extend

    def extend(account: Account, card: Any, command: Any, *a: Any, now: Any, **more: Any) -> Any:
        last = holding.last_day_of(account)
        if last is None:
            return real(account, card, command, *a, now=now, **more)
        left = balances.derive(account, min(last, now.date())).balance
        return real(account.model_copy(update={"earned": {last: max(left, 1)}}), card, command, *a, now=now, **more)

    patch.setattr(count_cards, "extend", extend)
