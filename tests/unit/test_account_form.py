"""How an account's sums are spelt in the table."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as some

from chalicelib.kernel.calendar import NEVER, Month, last_day
from chalicelib.points.store import account_from, replace_account
from chalicelib.storage.writes import Put
from tests.makers import an_account

MONTHS = some.integers(1970 * 12, 9999 * 12 + 11).map(Month)
POINTS = some.integers(-(10**12), 10**12)
DAYS = some.dates(date(1970, 1, 1), NEVER) | MONTHS.map(last_day)


def stored(**sums: object) -> dict[str, object]:
    account = an_account(**sums)
    write = replace_account(account, account, None)
    assert isinstance(write, Put)
    item: dict[str, object] = {"pk": write.key.pk, **write.item}
    return {name: value for name, value in item.items() if value is not None}


def test_sums_are_spelt_in_runs() -> None:
    march = Month(2026 * 12 + 2)
    item = stored(
        qualifying={march: 120, Month(march + 1): 35, Month(march + 3): 8, Month(march + 20): 40},
        earned={date(2026, 3, 31): 5, date(2026, 4, 30): 6, date(2026, 4, 15): 7, NEVER: 8},
    )
    assert item["qualifying"] == "202603:120,35,,8 202711:40"
    assert item["earned"] == "202603:5,6 999912:8 20260415:7"
    assert item["spent"] == ""


@given(
    qualifying=some.dictionaries(MONTHS, POINTS, max_size=40),
    earned=some.dictionaries(DAYS, POINTS, max_size=40),
    spent=some.dictionaries(DAYS, POINTS, max_size=40),
    pending=some.dictionaries(DAYS, POINTS, max_size=40),
    held=some.none() | MONTHS,
    days=some.tuples(some.none() | DAYS, some.none() | DAYS),
    sent=some.dictionaries(MONTHS, POINTS, max_size=2),
)
def test_what_is_stored_is_what_is_read(
    qualifying: dict[Month, int],
    earned: dict[date, int],
    spent: dict[date, int],
    pending: dict[date, int],
    held: Month | None,
    days: tuple[date | None, date | None],
    sent: dict[Month, int],
) -> None:
    told, due = days
    account = an_account(
        qualifying=qualifying, earned=earned, spent=spent, pending=pending, held_through=held, noticed_through=told,
        due_on=due, version=1, sent=sent,
    )  # fmt: skip
    write = replace_account(account, account, due)
    assert isinstance(write, Put)
    item = {"pk": write.key.pk, **{name: value for name, value in write.item.items() if value is not None}}
    assert account_from(item) == account.model_copy(update={"version": 2})
