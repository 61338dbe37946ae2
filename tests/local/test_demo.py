"""The demo data: the same for the same day, however it came about, and every account verifies."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.members.store import profile_from
from local import reconcile
from local.demo import seeding
from local.demo.history import Deed, Life, history
from local.dynamo import Dynoxide
from local.keys import ensure_keys, ensure_vault_key
from local.settings import STACK, Settings
from local.tables import create_tables

DAY = date(2026, 11, 15)
SIZE = 12


@contextmanager
def _folder(path: Path) -> Iterator[Settings]:
    """A data folder with an empty table."""
    path.mkdir()
    with Dynoxide(path / "dynamo.db") as dynamo:
        create_tables(dynamo.endpoint, stack=STACK)
        chosen = Settings(
            port=1, data_dir=path, workers=1, seed=True, dynamodb_endpoint=dynamo.endpoint, dynamodb_engine="dynoxide"
        )
        ensure_keys(chosen.keys_file)
        ensure_vault_key(chosen.vault_key_file)
        yield chosen


def _state(chosen: Settings) -> dict[str, Any]:
    """Every member's head, which covers all of their entries, with status and contact."""
    state = {}
    with reconcile.open_house(chosen) as house:
        for life in history(SIZE, DAY):
            partition = f"M#{life.person.member_id[4:]}"
            account, profile = house.table.query_partition(partition, first="ACCOUNT", last="PROFILE")
            contact = profile_from(profile, house.keyring).contact  # sealed, it is never the same twice
            state[partition] = (account["head"], account["seq"], account["status"], contact)
    return state


def test_a_demo_is_the_same_in_one_go_and_taken_up_half_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with _folder(tmp_path / "a") as chosen:
        seeding.seed(SIZE, DAY, chosen=chosen)
        told = capsys.readouterr().out
        assert "Three members to look up" in told and "+86199" in told
        ids = json.loads((chosen.data_dir / reconcile.DEMO_MEMORY).read_text())["member_ids"]
        assert reconcile.members(chosen, ids)
        whole = _state(chosen)
        seeding.seed(chosen=chosen)
        assert "there already" in capsys.readouterr().out

    with _folder(tmp_path / "b") as chosen:
        lives = history(SIZE, DAY)
        seeding._remember(
            chosen.data_dir / reconcile.DEMO_MEMORY, {"day": DAY.isoformat(), "size": SIZE, "done": False}
        )
        with reconcile.open_house(chosen) as house:
            seeding._open_program(house, datetime(2025, 10, 11, tzinfo=UTC))
            seeding.live(house, [*lives[3:5], Life(lives[1].person, lives[1].events[:17])])
        monkeypatch.setattr(seeding, "PROCESSES", 1)
        seeding.seed(chosen=chosen)
        assert _state(chosen) == whole


@pytest.mark.parametrize("day", [date(2026, 11, 21), date(2028, 2, 29), date(2027, 1, 1)])
def test_the_history_has_something_of_everything(day: date) -> None:
    lives = history(300, day)
    events = [event for life in lives for event in life.events]
    assert {event.deed for event in events} == set(Deed)
    orders = [(event.body["channel"], event.body["order_no"]) for event in events if event.deed is Deed.BUY]
    assert len(set(orders)) == len(orders)
    assert {len(event.body["lines"]) for event in events if event.deed is Deed.BUY} >= {1, 2, 3, 4, 5}
    assert any("points_tender" in event.body for event in events)
    birthdays = [life.person.enrolment.get("birthday", "") for life in lives]
    assert any(each.startswith("--") for each in birthdays) and any(each[:1] == "1" for each in birthdays)
