"""The words everyone shares: calendar, ids, money, cursors, errors."""

import base64
import json
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
from chalicelib.kernel.records import CompatibleReference, Day, Instant, Line, Note, Record, Reference

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


# ---------------------------------------------------------------- words of commands


class Slip(Record):
    """A command with one field of each kind."""

    at: Instant | None = None
    on: Day | None = None
    line: Line | None = None
    note: Note | None = None
    reference: Reference | None = None
    card: CompatibleReference | None = None


def read(field: str, value: object) -> object:
    """A field as it is read from JSON."""
    return getattr(Slip.model_validate_json(json.dumps({field: value})), field)


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("2026-03-15T12:00:00+08:00", 1_773_547_200_000),
        ("2026-03-15T04:00:00Z", 1_773_547_200_000),
        ("2026-03-15t04:00:00.5z", 1_773_547_200_500),
        ("2026-03-15T04:00:00.123456789-00:00", 1_773_547_200_123),
        ("8999-12-31T23:59:59Z", 221_845_391_999_000),
        ("1970-01-01T23:59:00+23:59", 0),
    ],
)
def test_an_instant_is_an_rfc_3339_date_time_with_an_offset(text: str, milli: int) -> None:
    found = read("at", text)
    assert isinstance(found, datetime)
    assert milliseconds(found) == milli


@pytest.mark.parametrize(
    "value",
    ["20261122", "1732240000", "1732240000.5", "-1", 1_732_240_000, 0, True, "2026-03-15", "2026-03-15T12:00:00",
     "2026-03-15 12:00:00Z", "2026-03-15_12:00:00Z", "2026-03-15T12:00Z", "20260315T120000Z",
     "2026-03-15T12:00:00+0800",
     "2026-03-15T12:00:00+24:00", "2026-03-15T24:00:00Z", "2026-03-15T23:59:60Z", "2026-02-30T12:00:00Z",
     "2026-W11-7T12:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
     "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+14:00", "9000-01-01T00:00:00Z", "２０２６-03-15T12:00:00Z",
     "2026-03-15T12:00:00Z ", " 2026-03-15T12:00:00Z", "2026-03-15T12:00:00Z\n", "+2026-03-15T12:00:00Z", "", "now"],
)  # fmt: skip
def test_what_is_no_rfc_3339_date_time_of_our_days_is_no_instant(value: object) -> None:
    with pytest.raises(ValidationError):
        read("at", value)


@pytest.mark.parametrize("text", ["2026-03-15", "2024-02-29", "0001-01-01", "9999-12-31"])
def test_a_day_is_written_with_its_year_month_and_day(text: str) -> None:
    assert read("on", text) == date.fromisoformat(text)


@pytest.mark.parametrize(
    "value",
    ["20261122", "1732240000", "0", 20_261_122, 0, "2026-03-15T00:00:00", "2026-03-15T00:00:00Z", "2026-3-15",
     "2026-02-30", "2026-W11-7", "2026-074", "0000-01-01", "10000-01-01", "2026-03-15 ", "2026-03-15\n",
     "２０２６-03-15",
     "--03-15", ""],
)  # fmt: skip
def test_what_is_not_written_as_a_day_is_none(value: object) -> None:
    with pytest.raises(ValidationError):
        read("on", value)


@pytest.mark.parametrize("field", ["line", "note"])
@pytest.mark.parametrize(
    "text",
    [" ", "   ", "\u3000", "\u2002\u2003", "\u200b", "\u200b \u2060", "\ufeff", "\u3164", "\u2800", "\ufe0f", "\u00ad"],
)
def test_words_need_a_visible_character(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="at least one visible character"):
        read(field, text)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("  张 三　", "张 三"),
        ("a\u200db", "a\u200db"),
        ("\U00030000", "\U00030000"),
        ("\ue000", "\ue000"),
        ("👩\u200d🍳", "👩\u200d🍳"),
    ],
)
def test_words_keep_all_but_the_white_space_around_them(text: str, kept: str) -> None:
    assert (read("line", text), read("note", text)) == (kept, kept)


@pytest.mark.parametrize("field", ["reference", "card"])
def test_a_reference_that_looks_the_same_is_the_same(field: str) -> None:
    assert read(field, "caf\u0065\u0301-1") == read(field, "caf\u00e9-1") == "caf\u00e9-1"
    assert read(field, "한") == read(field, "\u1112\u1161\u11ab")


def test_only_a_reference_that_people_type_takes_full_width_letters_for_plain_ones() -> None:
    assert read("card", "ＶＩＰ１２３") == read("card", "VIP123") == "VIP123"
    assert read("card", "\uff76\uff9e") == read("card", "ガ")
    assert read("reference", "ＶＩＰ１２３") == "ＶＩＰ１２３"


@pytest.mark.parametrize("field", ["reference", "card"])
@pytest.mark.parametrize(
    "odd",
    ["\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u180e", "\U000e0041",
     "\ufe0f", "\u034f", "\u3164", "\u115f", " ", "\u00a0", "\u1680", "\u2003", "\u202f", "\u3000", "\u2028", "\u2029",
     "\t", "\u0085", "\ufffd"],
)  # fmt: skip
def test_a_reference_holds_nothing_that_cannot_be_seen(field: str, odd: str) -> None:
    for text in (odd, f"A{odd}1", f"{odd}A1", f"A1{odd}"):
        with pytest.raises(ValidationError):
            read(field, text)


def test_a_reference_is_no_longer_than_it_may_be_however_it_is_spelt() -> None:
    assert read("reference", "é" * 64) == "é" * 64
    for field, text in (("reference", "\u0958" * 64), ("card", "㍿" * 17), ("card", "¨"), ("card", "ﷺ")):
        with pytest.raises(ValidationError):
            read(field, text)


@given(st.text(min_size=1, max_size=20))
def test_a_reference_in_its_one_spelling_stays_as_it_is(text: str) -> None:
    for field in ("reference", "card"):
        try:
            spelt = read(field, text)
        except ValidationError:
            continue
        assert read(field, spelt) == spelt
