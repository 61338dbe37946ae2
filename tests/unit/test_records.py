"""The base of records: a copy is what pydantic's own copy would be."""

from datetime import UTC, date, datetime

import pytest
from pydantic import BaseModel, ValidationError

from chalicelib.kernel.ids import AccountId
from chalicelib.points.models import Account, AccountStatus

ACCOUNT = Account(
    member_id=AccountId("mem_aaaaaaaaaaaaaaaa"),
    status=AccountStatus.ACTIVE,
    tier_id="base",
    opened_on=date(2026, 1, 5),
    earned={date(2026, 12, 31): 40},
    last_recorded_at=datetime(2026, 1, 5, tzinfo=UTC),
)


@pytest.mark.parametrize("update", [None, {}, {"seq": 7}, {"earned": {}, "tier_id": "gold", "booked_through": None}])
def test_a_copy_is_the_one_that_pydantic_makes(update: dict[str, object] | None) -> None:
    ours, theirs = ACCOUNT.model_copy(update=update), BaseModel.model_copy(ACCOUNT, update=update)
    assert ours == theirs
    assert ours.model_fields_set == theirs.model_fields_set
    assert ours.model_dump_json(exclude_unset=True) == theirs.model_dump_json(exclude_unset=True)
    assert ours is not ACCOUNT


def test_a_copy_shares_nothing_that_changes_the_first() -> None:
    copied = ACCOUNT.model_copy(update={"seq": 7})
    assert (ACCOUNT.seq, copied.seq) == (0, 7)
    assert "seq" not in ACCOUNT.model_fields_set
    deep = ACCOUNT.model_copy(deep=True)
    assert deep == ACCOUNT
    assert deep.earned is not ACCOUNT.earned


def test_a_copy_stays_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ACCOUNT.model_copy(update={"seq": 7}).seq = 8  # type: ignore[misc]
