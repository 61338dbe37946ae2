"""The replay over HTTP against a server of its own: exact, repeatable, and hard to kill."""

import json
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from random import Random

from chalicelib.points import store as points_store
from local import reconcile
from local.replay import rows
from local.replay.rule import Rule
from local.settings import ROOT, Settings
from local.tables import dynamodb_client
from tests.local.stand import Stack


def a_file(path: Path, count: int) -> Path:
    """Purchases as in the CDNOW file: CRLF, whole customers, several on a day, a few of nothing."""
    rng = Random(7)
    written, customer, lines = 0, 0, [rows.HEADER]
    while written < count:
        customer += 1
        day = date(1997, 1, 1).toordinal() + rng.randrange(80)
        for _ in range(min(1 + rng.randrange(6), count - written)):
            cents = 0 if rng.random() < 0.05 else rng.randrange(400, 9000)
            bought_on = date.fromordinal(day)
            lines.append(f"{customer:05d},{bought_on},{1 + rng.randrange(5)},{cents // 100}.{cents % 100:02d}")
            day += rng.choice((0, 0, 3, 40, 150))
            written += 1
    path.write_bytes("\r\n".join([*lines, ""]).encode())
    return path


def _table(said: str) -> str:
    """The reconciliation, without what differs from run to run."""
    return said[said.index("expected") : said.index("Everything holds.")]


def test_a_replay_is_exact_and_the_second_one_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    file = a_file(tmp_path / "sales.csv", 60)

    code, first = stack.told(file, "--shift", "today")
    assert code == 0, first
    assert "60 new, 0 replayed, 0 refused" in first
    assert "✗" not in first

    code, second = stack.told(file, "--shift", "today")
    assert code == 0, second
    assert "0 new, 60 replayed, 0 refused" in second
    assert _table(second) == _table(first)

    code, other_dates = stack.told(file)
    assert code == 2
    assert "was replayed" in other_dates and "SHIFT=today" in other_dates

    spoilt = _spoil_an_account(stack)
    command = [sys.executable, "-m", "local", "reconcile"]
    found = subprocess.run(command, env=stack.env, cwd=ROOT, text=True, capture_output=True, check=False)
    assert found.returncode == 1
    assert spoilt in found.stdout and "✗ There are differences." in found.stdout


def _spoil_an_account(stack: Stack) -> str:
    """Give somebody points behind the ledger's back; their id."""
    endpoint = json.loads((stack.data_dir / "run.lock").read_text())["dynamodb"]
    items = dynamodb_client(endpoint).scan(TableName="regulars-core")["Items"]
    member_ids = [item["member_id"]["S"] for item in items if item["sk"]["S"] == "PROFILE"]
    chosen = Settings(
        port=stack.port, data_dir=stack.data_dir, workers=1, seed=False, dynamodb_endpoint=endpoint,
        dynamodb_engine="dynoxide",
    )  # fmt: skip
    with reconcile.open_house(chosen) as house:
        accounts = [points_store.find_account(house.table, member_id) for member_id in member_ids]
        account = next(each for each in accounts if each is not None and each.earned)
        more = {last: points + 1 for last, points in account.earned.items()}
        spoilt = account.model_copy(update={"earned": more})
        house.table.commit([points_store.replace_account(account, spoilt, None)])
        return account.member_id


def _begun(client: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    """A client once it says that it has reached the server and is about to send."""
    assert client.stdout is not None
    while "purchases of" not in (line := client.stdout.readline()):
        assert line, client.communicate()
    return client


def test_kills_of_server_and_client_lose_and_double_nothing(stack: Stack, tmp_path: Path) -> None:
    file = a_file(tmp_path / "sales.csv", 300)

    client = _begun(stack.replay(file, "--clients", "3"))
    time.sleep(0.2)
    client.kill()
    client.communicate()

    client = _begun(stack.replay(file, "--clients", "3"))
    stack.kill()
    time.sleep(0.3)
    stack.start()
    said, _ = client.communicate(timeout=240)
    assert client.returncode == 0, said
    assert " 0 refused" in said and "✗" not in said


def test_bad_rows_are_named_by_line_and_nothing_is_sent(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(
        f"{rows.HEADER}\n00001,1997-01-02,1,11.77\n00001,1997-01-01,1,5.00\n00002,1997-02-30,1,5.00\n"
        "00003,1997-02-03,1,5.5\n00004,1997-02-03,0,5.50\n00005,1997-02-03,1,5.50\n00001,1997-02-03,1,5.50\n"
    )
    code, said = stack.told(file)
    assert code == 2
    assert "5 bad rows, nothing was sent" in said
    assert "line 3: customer 00001's purchases are not in order" in said
    assert "line 4: there is no day 1997-02-30" in said
    assert "line 5: '00003,1997-02-03,1,5.5' is not" in said
    assert "line 6: the quantity is 0" in said
    assert "line 8: customer 00001 stood further up" in said


def test_without_a_server_a_sentence_says_how_to_start_one(tmp_path: Path) -> None:
    file = a_file(tmp_path / "sales.csv", 3)
    code, said = Stack(tmp_path / "data").told(file)
    assert code == 2
    assert "make run SEED=none" in said and "Traceback" not in said


def test_the_second_rule_holds_reviews_and_expiry() -> None:
    rule = Rule(1, 100, (("basic", 0, 100), ("silver", 100, 110), ("gold", 500, 150)), 12, 12)
    day = date.fromisoformat
    bought = [(day("2024-01-10"), 10_000), (day("2024-01-11"), 10_000), (day("2024-06-01"), 40_000)]
    assert rule.due(bought, day("2024-06-02")).tier_id == "gold"
    assert rule.due(bought, day("2025-01-31")).balance == 100 + 110 + 440
    assert rule.due(bought, day("2025-02-01")).balance == 440
    assert rule.due(bought, day("2025-06-30")).tier_id == "gold"
    assert rule.due(bought, day("2025-07-01")).tier_id == "silver"
    assert rule.due(bought, day("2026-07-01")).tier_id == "basic"


def test_a_basket_costs_what_was_paid(tmp_path: Path) -> None:
    for row in rows.read(a_file(tmp_path / "sales.csv", 200)):
        lines = rows.lines(row)
        assert sum(int(line["quantity"]) * int(line["unit_price_minor"]) for line in lines) == row.cents
        assert sum(int(line["quantity"]) for line in lines) == row.quantity
