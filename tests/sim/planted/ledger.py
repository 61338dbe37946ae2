"""Planted in the ledger: keys, transactions, the chain, time."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import Refusal, StorageBusy
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import content, fold, service, store
from chalicelib.points.errors import AccountMoved, EntryKnown, MemberUnknown, PointsInsufficient
from chalicelib.points.models import Account, EntryKey, Position, Reason
from chalicelib.points.rules import balances, commands, due_dates, ledger
from chalicelib.programs.rules import expires_on, today_of
from chalicelib.purchases.rules import buying
from chalicelib.purchases.service import delivering, recording, restating, returning
from chalicelib.storage.writes import Absent, Unchanged, Write
from tests.sim.planted.registry import bug, forget
from tests.sim.port import Port

_purchases: Any = buying


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
    forget(patch, lambda condition, item: isinstance(condition, Absent) and "r" in item)


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
    forget(patch, lambda condition, item: isinstance(condition, Unchanged) and "life" in item)


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
