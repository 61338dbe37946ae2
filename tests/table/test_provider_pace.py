"""Pacing of channels: the bucket, the breaker and the day's money, with two workers at once."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.providers.models import Result
from chalicelib.providers.pace import Go, Limits, Pacer, Wait
from chalicelib.providers.port import ProviderBusy
from chalicelib.storage.table import Table
from tests.memory import MemoryTable, SharedTable

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SHANGHAI = "Asia/Shanghai"


def a_pacer(ops: Table, limits: Limits, *, lease: bool = False) -> Pacer:
    return Pacer(ops, {"sms": limits}, SHANGHAI, lease=lease)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def sent(n: int = 1, cost: int = 0) -> tuple[Result, ...]:
    return tuple(Result(f"dlv_{i}", "sent", cost_micro=cost) for i in range(n))


def unknown(n: int = 1) -> tuple[Result, ...]:
    return tuple(Result(f"dlv_{i}", "unknown", "Timeout") for i in range(n))


# ---------------------------------------------------------------- the bucket


def test_a_burst_goes_at_once_and_what_comes_after_it_by_the_rate() -> None:
    pacer = a_pacer(MemoryTable(), Limits(rate_per_second=10, burst=20))
    assert pacer.take("sms", 20, 0, NOW) == Go()
    assert pacer.take("sms", 1, 0, NOW) == Wait(after(0.1), "rate")
    assert pacer.take("sms", 1, 0, after(0.1)) == Go()
    assert pacer.take("sms", 5, 0, after(0.1)) == Wait(after(0.6), "rate")
    assert pacer.take("sms", 20, 0, after(60)) == Go()


def test_more_than_the_bucket_holds_goes_when_it_is_full_and_is_paid_for_afterwards() -> None:
    pacer = a_pacer(MemoryTable(), Limits(rate_per_second=10))
    assert pacer.take("sms", 50, 0, NOW) == Go()
    assert pacer.take("sms", 50, 0, NOW) == Wait(after(5), "rate")
    assert pacer.take("sms", 50, 0, after(4.9)) == Wait(after(5), "rate")
    assert pacer.take("sms", 50, 0, after(5)) == Go()


@pytest.mark.parametrize("lease", [False, True])
def test_two_workers_at_once_send_no_more_than_one_bucket_holds(lease: bool) -> None:
    ops = SharedTable()
    went: list[int] = []

    def work() -> None:
        pacer = a_pacer(ops, Limits(rate_per_second=100, burst=100), lease=lease)
        for step in range(200):
            if isinstance(pacer.take("sms", 1, 0, after(step * 0.01)), Go):
                went.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert 200 <= len(went) <= 300  # a full bucket, and two seconds of the rate


def test_a_lease_saves_writes() -> None:
    ops = MemoryTable()
    pacer = a_pacer(ops, Limits(rate_per_second=400, burst=400), lease=True)
    for _ in range(100):
        assert pacer.take("sms", 1, 0, NOW) == Go()
        pacer.went("sms", sent(), NOW)
    assert len(ops.stream) == 7  # 1, 2, 4 … messages at a time, up to a fourth of a second's


def test_what_is_left_of_a_lease_is_used_with_the_next() -> None:
    ops = MemoryTable()
    pacer = a_pacer(ops, Limits(rate_per_second=400, burst=400, cap_micro_a_day=10**9), lease=True)
    went = 0
    for step in range(1000):  # 50 a call, at the rate, for 125 seconds
        at = after(step * 0.125)
        while isinstance(pacer.take("sms", 50, 500, at), Go):
            went += 50
            pacer.went("sms", sent(50, 10), at)
    pacer.give_back(after(125))
    assert 49_900 <= went <= 50_400  # the rate is used up, and a bucket at the start
    assert pacer.spent_micro("sms", after(125)) == went * 10
    assert len(ops.stream) <= 2 * went / 95  # two items for a lease of a hundred


def test_a_worker_that_leaves_some_of_its_leases_takes_less() -> None:
    ops = MemoryTable()
    limits = Limits(rate_per_second=400, burst=400)
    slow, quick = (a_pacer(ops, limits, lease=True) for _ in range(2))
    went = 0
    for step in range(2000):  # the slow one sends four a second, the quick one whatever there is
        at = after(step * 0.05)
        if step % 5 == 0:
            slow.take("sms", 1, 0, at)
        while isinstance(quick.take("sms", 10, 0, at), Go):
            went += 10
    assert went >= 0.95 * 400 * 100


# ---------------------------------------------------------------- money


def test_the_cap_holds_until_midnight_where_the_program_is() -> None:
    pacer = a_pacer(MemoryTable(), Limits(cap_micro_a_day=100))
    assert pacer.take("sms", 1, 60, NOW) == Go()
    midnight = datetime(2026, 3, 2, 16, 0, tzinfo=UTC)
    assert pacer.take("sms", 1, 60, NOW) == Wait(midnight, "money")
    assert pacer.take("sms", 1, 40, NOW) == Go()
    assert pacer.take("sms", 1, 1, midnight - timedelta(seconds=1)) == Wait(midnight, "money")
    assert pacer.take("sms", 1, 60, midnight) == Go()
    assert pacer.spent_micro("sms", NOW) == 100


@pytest.mark.parametrize("lease", [False, True])
def test_two_workers_at_once_never_spend_more_than_the_cap(lease: bool) -> None:
    ops = SharedTable()
    went: list[int] = []

    def work() -> None:
        pacer = a_pacer(ops, Limits(rate_per_second=1000, burst=1000, cap_micro_a_day=100), lease=lease)
        for _ in range(100):
            if isinstance(pacer.take("sms", 1, 3, NOW), Go):
                went.append(3)
                pacer.went("sms", sent(cost=3), NOW)
        pacer.give_back(NOW)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(went) <= 100
    assert sum(went) == a_pacer(ops, Limits()).spent_micro("sms", NOW)


def test_money_of_what_did_not_go_out_is_there_again() -> None:
    ops = MemoryTable()
    pacer = a_pacer(ops, Limits(cap_micro_a_day=100))
    assert pacer.take("sms", 1, 100, NOW) == Go()
    pacer.went("sms", ProviderBusy("Throttled", throttled=True), NOW)
    pacer.give_back(NOW)
    assert pacer.spent_micro("sms", NOW) == 0
    assert pacer.take("sms", 1, 100, after(2)) == Go()
    pacer.went("sms", (Result("dlv_0", "refused", "isv.MOBILE_NUMBER_ILLEGAL"),), after(2))
    assert pacer.take("sms", 1, 100, after(3)) == Go()
    pacer.went("sms", sent(cost=100), after(3))
    assert pacer.take("sms", 1, 100, after(4)) == Wait(datetime(2026, 3, 2, 16, 0, tzinfo=UTC), "money")


def test_what_a_worker_that_crashed_had_reserved_counts_as_spent() -> None:
    ops = MemoryTable()
    limits = Limits(rate_per_second=40, burst=40, cap_micro_a_day=1000)
    gone = a_pacer(ops, limits, lease=True)
    for _ in range(2):
        gone.take("sms", 1, 10, NOW)  # the second time it reserves two messages, and sends one
    assert a_pacer(ops, limits).spent_micro("sms", NOW) == 30


# ---------------------------------------------------------------- the breaker


def fail(pacer: Pacer, at: datetime) -> Go | Wait:
    answer = pacer.take("sms", 1, 0, at)
    if isinstance(answer, Go):
        pacer.went("sms", ProviderBusy("Http503"), at)
    return answer


def test_failures_within_the_window_open_the_breaker_and_a_probe_closes_it() -> None:
    ops = MemoryTable()
    limits = Limits(failures=3, window_seconds=60, cool_seconds=30)
    one, two = a_pacer(ops, limits), a_pacer(ops, limits)
    for second in range(3):
        assert fail((one, two)[second % 2], after(second)) == Go()
    assert two.take("sms", 1, 0, after(3)) == Wait(after(32), "breaker")

    assert one.take("sms", 1, 0, after(32)) == Go(probe=True)
    assert two.take("sms", 1, 0, after(32)) == Wait(after(152), "breaker")  # one probes, the other waits
    one.went("sms", sent(), after(33))
    assert two.take("sms", 1, 0, after(33)) == Go()


def test_failures_outside_the_window_open_nothing() -> None:
    pacer = a_pacer(MemoryTable(), Limits(failures=3, window_seconds=60))
    for second in range(0, 400, 40):
        assert fail(pacer, after(second)) == Go()


def test_a_probe_that_fails_doubles_the_wait_up_to_an_hour() -> None:
    pacer = a_pacer(MemoryTable(), Limits(failures=1, cool_seconds=30))
    at, waits = NOW, []
    for _ in range(10):
        assert isinstance(fail(pacer, at), Go)
        answer = pacer.take("sms", 1, 0, at)
        assert isinstance(answer, Wait)
        waits.append((answer.until - at).total_seconds())
        at = answer.until
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_probe_whose_worker_is_gone_is_followed_by_another() -> None:
    ops = MemoryTable()
    limits = Limits(failures=1, cool_seconds=30)
    fail(a_pacer(ops, limits), NOW)
    assert a_pacer(ops, limits).take("sms", 1, 0, after(30)) == Go(probe=True)
    other = a_pacer(ops, limits)
    assert other.take("sms", 1, 0, after(149)) == Wait(after(150), "breaker")
    assert other.take("sms", 1, 0, after(150)) == Go(probe=True)


def test_two_probes_at_once_are_one() -> None:
    ops = SharedTable()
    limits = Limits(failures=1, cool_seconds=30)
    fail(a_pacer(ops, limits), NOW)
    answers: list[Go | Wait] = []
    threads = [
        threading.Thread(target=lambda: answers.append(a_pacer(ops, limits).take("sms", 1, 0, after(31))))
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sum(isinstance(each, Go) for each in answers) == 1


def test_calls_of_which_nothing_is_known_count_as_failures_and_partly_known_ones_do_not() -> None:
    pacer = a_pacer(MemoryTable(), Limits(failures=2, cool_seconds=30))
    for _ in range(5):
        assert pacer.take("sms", 2, 0, NOW) == Go()
        pacer.went("sms", (*sent(), *unknown()), NOW)
    for _ in range(2):
        assert pacer.take("sms", 1, 0, NOW) == Go()
        pacer.went("sms", unknown(), NOW)
    assert pacer.take("sms", 1, 0, NOW) == Wait(after(30), "breaker")


def test_a_probe_that_was_not_sent_closes_nothing() -> None:
    pacer = a_pacer(MemoryTable(), Limits(failures=1, cool_seconds=30, cap_micro_a_day=10))
    fail(pacer, NOW)
    assert pacer.take("sms", 1, 10, after(30)) == Go(probe=True)
    pacer.went("sms", (), after(30))
    assert pacer.take("sms", 1, 10, after(31)) == Wait(after(150), "breaker")
    assert pacer.take("sms", 1, 10, after(150)) == Go(probe=True)


def test_retry_after_is_honoured_by_all_and_opens_nothing() -> None:
    ops = MemoryTable()
    limits = Limits(failures=1)
    one, two = a_pacer(ops, limits, lease=True), a_pacer(ops, limits)
    assert one.take("sms", 1, 0, NOW) == Go()
    one.went("sms", ProviderBusy("Http429", retry_after=17, throttled=True), NOW)
    for pacer in (one, two):
        assert pacer.take("sms", 1, 0, after(16)) == Wait(after(17), "paused")
        assert pacer.take("sms", 1, 0, after(17)) == Go()


def test_a_channel_does_not_wait_for_another() -> None:
    ops = MemoryTable()
    pacer = Pacer(ops, {"sms": Limits(failures=1), "email": Limits()}, SHANGHAI)
    fail(pacer, NOW)
    assert isinstance(pacer.take("sms", 1, 0, NOW), Wait)
    assert pacer.take("email", 50, 0, NOW) == Go()


def test_late_failures_of_before_it_opened_do_not_keep_it_open() -> None:
    pacer = a_pacer(MemoryTable(), Limits(failures=1, cool_seconds=30))
    fail(pacer, NOW)
    before = pacer.state("sms")
    pacer.went("sms", ProviderBusy("Http503"), after(1))
    assert pacer.state("sms") == replace(before)


# ---------------------------------------------------------------- clocks that are wrong


@pytest.mark.parametrize("ahead", [timedelta(hours=3), timedelta(days=400)])
def test_what_a_clock_that_was_ahead_has_written_holds_nobody_up(ahead: timedelta) -> None:
    ops, limits = MemoryTable(), Limits(rate_per_second=10, failures=1)
    wrong, right = a_pacer(ops, limits), a_pacer(ops, limits)
    assert wrong.take("sms", 10, 0, NOW + ahead) == Go()
    assert right.take("sms", 10, 0, NOW) == Go()
    assert right.take("sms", 10, 0, NOW) == Wait(after(1), "rate")
    wrong.went("sms", ProviderBusy("Http429", retry_after=600, throttled=True), NOW + ahead)
    assert right.take("sms", 10, 0, after(1)) == Go()
    wrong.went("sms", ProviderBusy("Http503"), NOW + ahead)
    assert right.take("sms", 10, 0, after(2)) == Go(probe=True), "who opened the breaker is believed, not until when"
    right.went("sms", sent(10), after(2))
    assert right.take("sms", 10, 0, after(3)) == Go()


def test_a_pause_as_long_as_providers_ask_for_is_kept_by_clocks_that_differ_a_little() -> None:
    ops = MemoryTable()
    one, other = a_pacer(ops, Limits()), a_pacer(ops, Limits())
    one.take("sms", 1, 0, after(20))
    one.went("sms", ProviderBusy("Http429", retry_after=3600, throttled=True), after(20))
    assert other.take("sms", 1, 0, NOW) == Wait(after(3620), "paused")
