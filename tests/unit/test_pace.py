"""Buckets of requests: they empty, fill evenly, and are no more than a process can hold."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.identity.errors import RateExceeded
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.pace import BUCKETS_MAX, PARTS, Bucket, Pace, Rates, Share, rates_from

NOW = datetime(2026, 3, 15, tzinfo=UTC)


def a_caller(kind: Kind = Kind.STAFF, subject: str = "stf_a") -> Caller:
    """Somebody of a kind."""
    return Caller(kind=kind, subject=subject, roles=(), grants={})


def taken(pace: Pace, caller: Caller | None, address: str = "192.0.2.1", *, tries: int, now: datetime = NOW) -> int:
    """How many of some requests get through."""
    through = 0
    for _ in range(tries):
        try:
            pace.count(caller, address, now=now)
            through += 1
        except RateExceeded as full:
            assert full.facts["retry_after"] >= 1
    return through


@given(rate=st.integers(1, 600), processes=st.integers(1, 30), seed=st.randoms(use_true_random=False))
def test_shares_of_all_processes_come_to_the_rate_and_little_more(rate: int, processes: int, seed: Random) -> None:
    taken: dict[int, int] = {}

    def lease(minute: int, some: int, most: int) -> bool:
        if taken.get(minute, 0) + some > most:
            return False
        taken[minute] = taken.get(minute, 0) + some
        return True

    shares, through = [Share() for _ in range(processes)], 0
    for _ in range(3 * rate):
        with suppress(RateExceeded):
            seed.choice(shares).take(rate, lease, now=NOW)
            through += 1
    step = max(1, rate // PARTS)
    assert through <= rate + step - 1 + processes * (rate // PARTS)
    if processes == 1:
        assert through >= rate
    assert taken[int(NOW.timestamp() // 60)] // step <= PARTS + 20, "so few writes a minute"


@given(rate=st.integers(1, 600), processes=st.integers(1, 30))
def test_a_rate_that_is_spread_evenly_is_served(rate: int, processes: int) -> None:
    taken = 0

    def lease(_: int, some: int, most: int) -> bool:
        nonlocal taken
        taken += some
        return taken <= most

    shares = [Share() for _ in range(processes)]
    for number in range(rate):
        shares[number % processes].take(rate, lease, now=NOW)


def test_a_minutes_share_ends_with_the_minute() -> None:
    share = Share()
    share.take(1, lambda *_: True, now=NOW + timedelta(seconds=30))
    with pytest.raises(RateExceeded) as full:
        share.take(1, lambda *_: False, now=NOW + timedelta(seconds=30.5))
    assert full.value.facts["retry_after"] == 30
    share.take(1, lambda *_: True, now=NOW + timedelta(seconds=60))


@given(rate=st.integers(1, 600), waits=st.lists(st.integers(0, 90_000), max_size=200))
def test_no_more_get_through_than_a_minutes_and_what_time_gave(rate: int, waits: list[int]) -> None:
    bucket, now, through = Bucket(rate, NOW), NOW, 0
    for wait in waits:
        now += timedelta(milliseconds=wait)
        try:
            bucket.take(rate, now=now)
            through += 1
        except RateExceeded as full:
            bucket_then = Bucket(bucket.left, bucket.at)
            bucket_then.take(rate, now=now + timedelta(seconds=int(str(full.facts["retry_after"]))))
    assert through <= rate + Fraction(sum(waits), 60_000) * rate + Fraction(1, 1000)


def test_each_caller_has_a_bucket_and_addresses_count_where_nobody_is_known() -> None:
    pace = Pace(Rates(staff=5, member=3, address=2))
    assert taken(pace, a_caller(), tries=9) == 5
    assert taken(pace, a_caller(subject="stf_b"), tries=9) == 5
    assert taken(pace, a_caller(Kind.MEMBER, "mem_a"), tries=9) == 3
    assert taken(pace, None, tries=9) == 2
    assert taken(pace, None, "192.0.2.2", tries=9) == 2
    assert taken(pace, a_caller(Kind.INTEGRATION, "key_a"), tries=9) == 9, "its own gate counts"
    assert taken(pace, None, tries=9, now=NOW + timedelta(seconds=30)) == 1


def test_time_that_goes_backwards_gives_nothing_and_takes_nothing() -> None:
    bucket = Bucket(1, NOW)
    bucket.take(1, now=NOW - timedelta(hours=1))
    with pytest.raises(RateExceeded):
        bucket.take(1, now=NOW - timedelta(hours=1))


def test_addresses_without_end_do_not_fill_the_memory() -> None:
    pace = Pace(Rates(address=1))
    for number in range(BUCKETS_MAX + 50):
        pace.count(None, f"2001:db8::{number:x}", now=NOW)
    assert len(pace.buckets) == BUCKETS_MAX


def test_without_rates_nobody_waits() -> None:
    assert taken(Pace(), None, tries=5000) == 5000


def test_rates_are_read_from_a_setting_and_nonsense_is_refused() -> None:
    assert rates_from("") == Rates()
    assert rates_from("staff=10,address=5") == Rates(staff=10, address=5)
    for wrong in ("staff", "staff=0", "staff=-1", "staff=1e3", "tills=5", "staff=1;member=2", "staff=99999999"):
        with pytest.raises(ValueError, match="requests a minute"):
            rates_from(wrong)
