"""The words everyone shares: calendar, ids, money, cursors, errors."""

import base64
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chalicelib.kernel.calendar import (
    NEVER,
    day_after,
    first_day,
    from_milliseconds,
    last_day,
    local_day,
    milliseconds,
    month_of,
    months_later,
)
from chalicelib.kernel.errors import Refusal, StorageBusy, Trouble, WriteContended
from chalicelib.kernel.ids import MemberId, MemberNumber, check_digit, packed, unpacked
from chalicelib.kernel.money import shown
from chalicelib.kernel.pages import CursorInvalid, position_of, sign

KEY = b"k" * 32

# ---------------------------------------------------------------- calendar


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2024, 2, 29), 48, date(2028, 2, 29)),
        (date(2026, 12, 31), 2, date(2027, 2, 28)),
        (date(2026, 3, 15), 0, date(2026, 3, 15)),
        (date(2026, 11, 30), 13, date(2027, 12, 30)),
        (date(2100, 1, 29), 1, date(2100, 2, 28)),
    ],
)
def test_months_later_keeps_the_day_or_takes_the_months_last(day: date, months: int, later: date) -> None:
    assert months_later(day, months) == later


@given(st.dates(max_value=date(9999, 11, 30)))
def test_a_month_runs_from_its_first_to_its_last_day(day: date) -> None:
    month = month_of(day)

    assert first_day(month) <= day <= last_day(month)
    assert (first_day(month).day, month_of(last_day(month))) == (1, month)
    assert month_of(last_day(month) + timedelta(days=1)) == month + 1


def test_the_day_after_the_last_there_is_is_itself() -> None:
    assert day_after(NEVER) == NEVER
    assert day_after(date(2028, 2, 28)) == date(2028, 2, 29)
    assert last_day(month_of(NEVER)) == NEVER


@pytest.mark.parametrize(
    ("instant", "zone", "day"),
    [
        ("2026-03-31T15:59:59.999+00:00", "Asia/Shanghai", date(2026, 3, 31)),
        ("2026-03-31T16:00:00+00:00", "Asia/Shanghai", date(2026, 4, 1)),
        # New York: 5 hours behind until the clocks go forward on 8 March 2026, then 4.
        ("2026-03-08T04:59:59+00:00", "America/New_York", date(2026, 3, 7)),
        ("2026-03-08T05:00:00+00:00", "America/New_York", date(2026, 3, 8)),
        ("2026-03-09T03:59:59+00:00", "America/New_York", date(2026, 3, 8)),
        ("2026-03-09T04:00:00+00:00", "America/New_York", date(2026, 3, 9)),
        # The hour that comes twice on 1 November 2026 is on one day both times.
        ("2026-11-01T05:30:00+00:00", "America/New_York", date(2026, 11, 1)),
        ("2026-11-01T06:30:00+00:00", "America/New_York", date(2026, 11, 1)),
        ("2026-01-01T00:00:00+14:00", "Pacific/Pago_Pago", date(2025, 12, 30)),
    ],
)
def test_an_instant_falls_on_the_calendar_day_of_the_programs_zone(instant: str, zone: str, day: date) -> None:
    assert local_day(datetime.fromisoformat(instant), zone) == day


@given(st.integers(-(10**12), 2**44))
def test_milliseconds_round_trip_whatever_the_offset(value: int) -> None:
    instant = from_milliseconds(value)

    assert milliseconds(instant) == value
    assert milliseconds(instant.astimezone(timezone(timedelta(hours=-7, minutes=30)))) == value
    assert milliseconds(instant + timedelta(microseconds=999)) == value


# ---------------------------------------------------------------- ids


@given(st.integers(0, 10**11 - 1))
def test_the_check_digit_finds_every_wrong_digit_and_every_swap_of_neighbours(chance: int) -> None:
    number = MemberNumber.from_chance(chance)
    assert number.checks
    assert len(number) == 12

    for place in range(12):
        for digit in "0123456789":
            wrong = MemberNumber(number[:place] + digit + number[place + 1 :])
            assert wrong.checks == (wrong == number)
    for place in range(11):
        swapped = MemberNumber(number[:place] + number[place + 1] + number[place] + number[place + 2 :])
        assert swapped.checks == (swapped == number)


def test_the_check_digit_is_damms() -> None:
    assert check_digit("572") == "4"
    assert MemberNumber.from_chance(10**11 + 572) == "000000005724"


def test_a_member_id_follows_from_the_member_number() -> None:
    # SHA-256 of "regulars member number 000000005724", its first 10 bytes in base 32.
    assert MemberId.of("000000005724") == "mem_ob6l37hmin3qzvmv"
    assert TypeAdapter(MemberId).validate_python("mem_" + "a" * 16) == MemberId("mem_" + "a" * 16)


@pytest.mark.parametrize(
    "text", ["mem_" + "A" * 16, "mem_" + "a" * 15, "pur_" + "a" * 16, "mem_" + "a" * 16 + "\n", "m" * 500]
)
def test_nothing_else_is_a_member_id(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(MemberId).validate_python(text)


@given(st.text())
def test_packed_text_unpacks(text: str) -> None:
    assert unpacked(packed(text)) == text
    assert packed(text).isascii()


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF)))
def test_what_was_never_packed_does_not_unpack(text: str) -> None:
    plain = unpacked(text)
    assert plain is None or packed(plain) == text


# ---------------------------------------------------------------- money


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1_234, "CNY", "¥12.34"),
        (5, "CNY", "¥0.05"),
        (-123_456_789, "CNY", "-¥1,234,567.89"),
        (1_234, "JPY", "JP¥1,234"),
        (0, "JPY", "JP¥0"),
        (1_234_567, "KWD", "KWD 1,234.567"),
        (7, "KWD", "KWD 0.007"),
        (100, "HKD", "HK$1.00"),
        (100, "CHF", "CHF 1.00"),
    ],
)
def test_an_amount_is_shown_as_people_write_it(minor: int, currency: str, text: str) -> None:
    assert shown(minor, currency) == text


# ---------------------------------------------------------------- cursors


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_gives_its_position_back_to_its_own_list_alone(position: str) -> None:
    cursor = sign(position, scope="statement mem_a", key=KEY)

    assert position_of(cursor, scope="statement mem_a", key=KEY) == position
    for scope, key in (("statement mem_b", KEY), ("statement mem_a", b"x" * 32)):
        with pytest.raises(CursorInvalid):
            position_of(cursor, scope=scope, key=key)


def test_no_cursor_is_the_first_page() -> None:
    assert position_of(None, scope="s", key=KEY) is None


@given(st.integers(0, 40), st.integers(1, 255))
def test_a_cursor_of_which_any_byte_was_changed_is_refused(place: int, bits: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(sign("0123456789" * 3 + "01", scope="s", key=KEY) + "=="))
    raw[place] ^= bits
    forged = base64.urlsafe_b64encode(raw).decode().rstrip("=")

    with pytest.raises(CursorInvalid):
        position_of(forged, scope="s", key=KEY)


@given(st.integers(0, 54))
def test_a_cursor_cut_short_is_refused(length: int) -> None:
    cursor = sign("0123456789" * 3 + "01", scope="s", key=KEY)
    assert length < len(cursor)
    with pytest.raises(CursorInvalid):
        position_of(cursor[:length], scope="s", key=KEY)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
def test_anything_else_is_refused_as_a_cursor_and_nothing_worse(text: str) -> None:
    with pytest.raises(CursorInvalid) as refused:
        position_of(text, scope="s", key=KEY)
    assert (refused.value.code, refused.value.facts) == ("cursor_invalid", {})


@pytest.mark.parametrize("more", ["=", "==", "\n", " ", "A"])
def test_a_cursor_has_one_spelling(more: str) -> None:
    with pytest.raises(CursorInvalid):
        position_of(sign("x", scope="s", key=KEY) + more, scope="s", key=KEY)


# ---------------------------------------------------------------- errors


class PointsGone(Refusal):
    """A refusal named for what happened."""


class HTTPLate(Trouble):
    """Trouble with a name in capitals."""


def test_a_code_follows_from_the_name() -> None:
    codes = [PointsGone.code, WriteContended.code, StorageBusy.code, CursorInvalid.code, Refusal.code, Trouble.code]
    assert codes == ["points_gone", "write_contended", "storage_busy", "cursor_invalid", "refusal", "trouble"]


def test_a_refusal_carries_its_facts_and_trouble_says_when_to_try_again() -> None:
    refusal = PointsGone("They are gone.", points=3)
    assert (refusal.detail, refusal.facts, str(refusal)) == ("They are gone.", {"points": 3}, "They are gone.")
    assert (StorageBusy().retry_after, HTTPLate("late", retry_after=30).retry_after) == (1, 30)


def test_an_instant_of_another_offset_is_the_same_instant() -> None:
    shanghai = datetime(2026, 3, 15, 12, tzinfo=timezone(timedelta(hours=8)))
    assert milliseconds(shanghai) == milliseconds(datetime(2026, 3, 15, 4, tzinfo=UTC)) == 1_773_547_200_000
