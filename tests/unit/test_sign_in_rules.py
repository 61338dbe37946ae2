"""Rules of signing in: what a sprayer comes to, and the parts of it that sums do not tell."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.otp import GOAL, NUMBERS, WAYS, Doors, Spray, Way
from chalicelib.kernel.ids import MemberId
from chalicelib.members.models import Happening
from chalicelib.signin import rules
from chalicelib.signin.models import Attempts, Pressure
from chalicelib.signin.rules import TERMS, Terms
from tests.makers import NOON, a_program


def part(scale: int) -> Terms:
    """The terms for a part of everything: tries a day for all addresses together."""
    return replace(TERMS, wrong_today_max=TERMS.wrong_today_max // scale, open_max=TERMS.open_max // scale)


TENTH = part(10)


def sprayed(way: Way, doors: Doors, scale: int = 10) -> float:
    """Takeovers a day for a part of the numbers, as many times more."""
    return Spray(way, 1, NUMBERS // scale, honest=20 // scale, doors=doors).run().worth * scale


@pytest.mark.parametrize("way", [WAYS[1], WAYS[2]], ids=lambda way: way.name)
def test_who_sprays_ten_thousand_numbers_takes_over_one_account_in_a_hundred_days_at_most(way: Way) -> None:
    assert 0.001 < sprayed(way, Doors(TENTH)) <= GOAL
    assert 0.001 < sprayed(replace(way, tries=30), Doors(part(100)), 100) <= GOAL


def test_the_bound_follows_from_the_numbers() -> None:
    """Wrong tries at short codes until the codes are long, those at codes that were out then, and at long ones."""
    short = TERMS.wrong_today_max + TERMS.open_max * TERMS.tries_max
    rounds = 1 + sum(sum(TERMS.locks[:n], timedelta()) < timedelta(days=1) for n in range(1, len(TERMS.locks) + 1))
    long = NUMBERS * TERMS.tries_max * rounds
    assert short / 10**rules.SHORT + long / 10**rules.LONG <= GOAL


def never_locked(known: Attempts, *args: Any, **more: Any) -> tuple[Attempts, bool]:
    """Planted: wrong codes are not counted."""
    after, right = rules.tried(known, *args, **more)
    return replace(after, tries=0, failed_at=None), right


@pytest.mark.parametrize(
    ("planted", "way"),
    [
        ({"terms": replace(TENTH, wrong_today_max=10**9, open_max=10**9)}, WAYS[0]),
        ({"terms": replace(TENTH, open_max=10**9)}, WAYS[1]),
        ({"terms": part(100), "tried": never_locked, "scale": 100}, replace(WAYS[0], tries=30)),
    ],
    ids=["codes never get longer", "codes in hand are not counted", "no lock"],
)
def test_a_weaker_rule_is_found(planted: dict[str, Any], way: Way) -> None:
    doors = Doors(planted["terms"])
    doors.tried = planted.get("tried", doors.tried)
    assert sprayed(way, doors, planted.get("scale", 10)) > GOAL


@pytest.mark.parametrize(
    ("pressure", "digits", "tripped"),
    [
        (Pressure(), 6, False),
        (Pressure(wrong_today=4_999), 6, False),
        (Pressure(wrong_today=5_000), 8, False),
        (Pressure(asked=1_499, right=1_000), 6, False),
        (Pressure(asked=1_500, right=1_000), 8, False),
        (Pressure(right=114, wrong=49), 6, False),
        (Pressure(right=116, wrong=50), 6, True),
        (Pressure(right=117, wrong=50), 6, False),
    ],
)
def test_what_trips_and_what_makes_codes_longer(pressure: Pressure, digits: int, tripped: bool) -> None:
    assert (rules.digits(pressure), rules.tripped(pressure)) == (digits, tripped)


def test_a_code_keeps_its_zeros() -> None:
    assert [rules.code_of(42, 6), rules.code_of(10**6 + 7, 6), rules.code_of(2**64 - 1, 8)] == [
        "000042", "000007", "09551615",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_in_ipv6_a_network_counts_as_one(address: str, network: str) -> None:
    assert rules.network_of(address) == network


def test_limits_of_a_day_end_at_midnight_where_the_program_is() -> None:
    program = a_program(sign_in={"sms": [{"country": "CN", "per_thousand_minor": 4500}], "sms_day_max_minor": 100})
    late = datetime(2026, 3, 15, 15, 59, 30, tzinfo=UTC)
    found = {each.what: each for each in rules.tallies("+8613800138000", program, "10.0.0.1", now=late)}
    assert {what: (each.window, each.retry_after) for what, each in found.items()} == {
        "address": ("2026-03-15T15+00:00", 30), "range": ("2026-03-15", 30), "money": ("2026-03-15", 30),
    }  # fmt: skip
    assert found["range"].which == "+861380013"
    assert (found["money"].amount, found["money"].most) == (4500, 100_000)
    foreign = rules.tallies("+66812345678", a_program(sign_in={"sms": [{"country": "TH", "per_thousand_minor": 9}]}),
                            "10.0.0.1", now=NOON)  # fmt: skip
    assert [each.what for each in foreign] == ["address", "range", "country", "money"]
    assert [each.what for each in rules.tallies(None, program, "10.0.0.1", now=NOON)] == ["address", "email"]


def test_refresh_tokens_follow_from_the_one_before_and_the_salt_only() -> None:
    first = rules.first_refresh(MemberId("mem_" + "a" * 16), bytes(range(48)))
    assert rules.refresh_from(str(first)) == first
    assert len(str(first)) == 98
    second = first.next(b"salt")
    assert second == first.next(b"salt") != first.next(b"other")
    assert (second.session_id, second.family) == (first.session_id, first.family)
    assert first.family not in first.session_id
    assert len({first.secret, second.secret, second.next(b"salt").secret}) == 3


def test_members_see_what_happened_and_not_what_staff_say_of_it() -> None:
    other = MemberId("mem_" + "b" * 16)
    happening = Happening(
        type="suspended", at=NOON, member_id=other, facts={"reason": "fraud?", "reason_code": "x", "points": 5}
    )  # fmt: skip
    shown = rules.shown_to_member(happening, frozenset())
    assert (shown.facts, shown.member_id) == ({"points": 5}, None)
    assert rules.shown_to_member(happening, frozenset({other})).member_id == other
