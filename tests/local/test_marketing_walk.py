"""What docs/marketing.md tells a reader to type works as it stands on a run that is new, and its figures are right.

The page is typed in as it is. What came of it is looked up by the API and in the folder of mails, and the results of
the campaign are worked out again from the purchases that the page says were made.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
from base64 import b32encode, b64decode
from datetime import datetime, timedelta
from math import ceil, sqrt
from pathlib import Path
from statistics import fmean, variance
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.keys import ensure_keys
from local.settings import ROOT
from local.tokens import make_token
from tests.local.stand import PLAIN, Stack

NEEDED = ("bash", "curl", "jq", "make")
PATIENCE = 420
"""Seconds. On a quiet machine the page takes one and a half minutes, most of them waiting for a minute to begin."""
_Z = 1.959964
_JSON = json.JSONDecoder()


def blocks() -> list[tuple[str, str]]:
    """Every block of commands, after the title of its section."""
    found = []
    for section in (ROOT / "docs" / "marketing.md").read_text().split("\n## "):
        assert len(re.findall(r"^```", section, re.MULTILINE)) % 2 == 0, "a block that does not end"
        for block in re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE):
            found.append((section.partition("\n")[0], block))
    return found


def typed(stack: Stack, log: Path) -> dict[str, str]:
    """Type the page in; what it said, by section."""
    script = "".join(f"printf '\\n=== {number}\\n'\n{block}\n" for number, (_, block) in enumerate(blocks()))
    script = script.replace("127.0.0.1:8000", f"127.0.0.1:{stack.port}")
    script = re.sub(r"(?<![\w.])\.data\b", str(stack.data_dir), script)
    env = PLAIN | {"PORT": str(stack.port), "DATA_DIR": str(stack.data_dir)}
    with log.open("w") as out:
        process = subprocess.Popen(["bash", "-c", script], cwd=ROOT, env=env, stdout=out, stderr=out, process_group=0)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)
            pytest.fail(f"something that the page waits for does not come:\n{log.read_text()[-3000:]}")
    parts = re.split(r"^=== \d+\n", log.read_text(), flags=re.MULTILINE)[1:]
    said: dict[str, str] = {}
    for (title, _), part in zip(blocks(), parts, strict=True):
        said[title] = said.get(title, "") + part
    return said


def values(text: str) -> list[Any]:
    """Every JSON object in what was said."""
    found, at = [], text.find("{")
    while at >= 0:
        value, end = _JSON.raw_decode(text, at)
        found.append(value)
        at = text.find("{", end)
    return found


def ask(stack: Stack, path: str, body: Any = None) -> Any:
    """Ask the API as an admin."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    try:
        token = make_token(ensure_keys(stack.data_dir / "keys.json"), "admin")
        head = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request("POST" if body else "GET", f"/v1/{path}", json.dumps(body) if body else None, head)
        answer = connection.getresponse()
        text = answer.read().decode()
        assert answer.status < 300, (path, text)
        return json.loads(text)
    finally:
        connection.close()


def wilson(some: int, of: int) -> tuple[float, float]:
    """Where a share lies, with 95 % confidence."""
    p, z2 = some / of, _Z * _Z
    half = _Z * sqrt(p * (1 - p) / of + z2 / (4 * of * of))
    return (p + z2 / (2 * of) - half) / (1 + z2 / of), (p + z2 / (2 * of) + half) / (1 + z2 / of)


def of_shares(some: int, of: int, others: int, of_others: int) -> list[float]:
    """The difference of two shares and where it lies: Newcombe's tenth method."""
    p, q, (low, high), (lower, higher) = some / of, others / of_others, wilson(some, of), wilson(others, of_others)
    return [p - q, p - q - sqrt((p - low) ** 2 + (higher - q) ** 2), p - q + sqrt((high - p) ** 2 + (q - lower) ** 2)]


def of_means(ones: list[int], others: list[int]) -> list[float]:
    """The difference of two means and where it lies: Welch's, with Student's t by the series of Cornish and Fisher."""
    a, b = variance(ones) / len(ones), variance(others) / len(others)
    v = (a + b) ** 2 / (a * a / (len(ones) - 1) + b * b / (len(others) - 1))
    t = _Z + (_Z**3 + _Z) / (4 * v) + (5 * _Z**5 + 16 * _Z**3 + 3 * _Z) / (96 * v * v)
    gap = fmean(ones) - fmean(others)
    return [gap, gap - t * sqrt(a + b), gap + t * sqrt(a + b)]


def is_about(shown: dict[str, int], wanted: list[float], scale: int) -> bool:
    """Whether an interval is the one worked out by hand, but for its last digits."""
    return list(shown.values()) == [pytest.approx(each * scale, rel=2e-4, abs=1) for each in wanted]


@pytest.mark.timeout(PATIENCE + 120)
@pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason="a program that the page uses is not on this machine")
def test_the_page_on_marketing_can_be_typed_in(stack: Stack, tmp_path: Path) -> None:
    clock = datetime.now(ZoneInfo("Asia/Shanghai"))
    if (clock + timedelta(seconds=PATIENCE)).date() > clock.date():
        pytest.skip("over midnight the birthdays are another day's")
    said = typed(stack, tmp_path / "page.log")
    every = "".join(said.values())
    assert re.findall(r".*(?:command not found|No such file|syntax error|parse error|Traceback|rror:).*", every) == []

    counted = values(said["Segments"])[0]
    assert (counted["count"], len(counted["branches"])) == (0, 3)
    assert counted["zh"] == "处于活跃期，并且累计消费金额不少于 ¥500.00，并且留有短信或电子邮件联系方式的会员。"
    assert "seg_ready_champions" in said["Segments"]

    _check_the_campaign(stack, said["A birthday campaign with a gift and a holdout"])
    _check_the_journey(stack, said["A win-back journey"])


def _check_the_campaign(stack: Stack, said: str) -> None:
    shown = values(said)
    of_segment, estimate, launched, run, results = shown
    assert of_segment == {
        "count": 100, "zh": "属于人群“可发邮件”的会员。", "en": "Members who are in the segment “可发邮件”."
    }  # fmt: skip
    assert launched["state"] == "scheduled"
    planned, progress = run["planned"], run["progress"]
    targeted, held = planned["targeted"], planned["held_out"]
    assert (planned["in_segment"], targeted + held, planned["left_out"]) == (100, 100, {})
    assert estimate["planned"] == planned, "the plan is what the estimate said"
    assert (estimate["gift_points"], estimate["points_cost_minor"]) == (50 * targeted, 50 * targeted)
    assert min(targeted, held) > 20, "a draw that goes so far from a half comes up once in millions"
    assert progress == {
        "parts": 1, "parts_done": 1, "sent": targeted, "outcomes": {"sent": targeted},
        "cost_minor": ceil(targeted / 10),
    }  # fmt: skip

    (campaign,) = ask(stack, "campaigns")["items"]
    detail = ask(stack, f"campaigns/{campaign['campaign_id']}")
    run_id = detail["latest_runs"][0]["run_id"]
    items = ask(stack, f"deliveries?run_id={run_id}&limit=100")["items"]
    written = sorted(each["member_id"] for each in items)
    assert {each["outcome"] for each in items} == {"sent"}
    segment = campaign["definition"]["segment_id"]
    members = [each["member_id"] for each in ask(stack, f"segments/{segment}/members?limit=100")["items"]]
    kept_back = sorted(set(members) - set(written))
    assert (len(set(written)), len(kept_back)) == (targeted, held)

    pages = [path.read_text("utf-8-sig") for path in (stack.data_dir / "mails").glob("*/*生日快乐*.html")]
    assert sorted(map(_reader, pages)) == written, "a mail for each, and none for who is held out"
    assert all(
        re.match(r"<p>寿星\d+，生日快乐！送您 50 积分。</p>", page) and "/v1/opt-outs/" in page for page in pages
    )

    # By hand: 51.00, 52.00, … to the first twenty who were written to, and on to the first five who were not.
    paid = {member: 5100 + 100 * place for place, member in enumerate(written[:20] + kept_back[:5])}
    earned = {member: amount // 100 for member, amount in paid.items()}
    for member_id in members:
        gift, points = 50 if member_id in written else 0, ask(stack, f"members/{member_id}")["points"]["available"]
        assert points == gift + earned.get(member_id, 0), member_id

    ones, others = ([paid.get(each, 0) for each in some] for some in (written, kept_back))
    told = ask(stack, f"campaigns/{campaign['campaign_id']}/results")
    group, held_out = told["all_variants"], told["held_out"]
    assert told["variants"] == {"a": group}
    costs = (group["messages_cost_minor"], group["points_cost_minor"])
    assert costs == (ceil(targeted / 10), 50 * targeted), "a hundred points are worth one yuan"
    for found, amounts, some in ((group, ones, written), (held_out, others, kept_back)):
        bought = [amount for amount in amounts if amount]
        assert (found["planned"], found["buyers"], found["purchases"]) == (len(some), len(bought), len(bought))
        assert found["sales_minor"] == sum(bought)
        assert found["points_earned"] == sum(amount // 100 for amount in bought)
    assert (group["sent"], held_out["sent"], group["unknown"], group["skipped"]) == (targeted, 0, 0, {})
    assert told["gift_points"] == 50 * targeted
    assert told["cost_minor"] == group["cost_minor"] == sum(costs)
    assert (told["currency"], told["window_open"], held_out["compared"]) == ("CNY", True, None)

    compared = group["compared"]
    assert {name: results[name] for name in ("compared", "gift_points")} == {
        "compared": compared, "gift_points": told["gift_points"]
    }  # fmt: skip
    if min(targeted, held) < 30:
        assert compared["why_not"] == "too_few_members"
        return
    shares = of_shares(20, targeted, 5, held)
    assert compared["why_not"] is None
    assert is_about(compared["buyers_per_million"], shares, 10**6)
    assert results["by_hand"] == compared["buyers_per_million"]["value"] == round(shares[0] * 10**6)
    means = of_means(ones, others)
    assert is_about(compared["sales_per_thousand_minor"], means, 1000)
    assert is_about(compared["incremental_sales_minor"], means, targeted)
    gain = compared["incremental_sales_minor"]["value"]
    assert told["return_percent"] == round((gain - told["cost_minor"]) * 100 / told["cost_minor"])

    messages = _exported(stack, written[0], "message to a member, and what became of it")
    assert [(each["outcome"], each["source_id"]) for each in messages] == [("sent", campaign["campaign_id"])]
    assert _exported(stack, kept_back[0], "message to a member, and what became of it") == []


def _check_the_journey(stack: Stack, said: str) -> None:
    given = "2. Give 20 points, good for at least 60 days, to the end of the month in which they end."
    assert f"{given}\n3. Add the tag “winback”, then the end." in said
    assert "1 members in journeys go on" in said
    shown = values(said)
    assert [each["text"] for each in shown[:3]] == [
        "1. 等待7天。", "2. 赠送20积分（至少60天有效，到期满当月的月底为止）。", "3. 添加标签“winback”，然后结束。"
    ]  # fmt: skip
    assert shown[3] == {"entered": 1, "known": 0, "refused": 0, "under_way": False}
    assert shown[-2]["left"] == {"completed": 1}
    assert shown[-1] == {"tags": ["winback"], "points": 20}
    (back,) = ask(stack, f"journeys/{shown[-2]['journey_id']}/members?left=true")["items"]
    (way,) = _exported(stack, back["member_id"], "way through a journey")
    assert (way["left_for"], [step for step, *_ in way["path"]]) == ("completed", ["week", "points", "tag"])


def _reader(page: str) -> str:
    """Whom a mail was written to: its link to all preferences names them."""
    token = re.findall(r"/v1/preferences/([\w-]+)", page)[0]
    return "mem_" + b32encode(b64decode(token + "=" * (-len(token) % 4), "-_")[3:13]).decode().lower()


def _exported(stack: Stack, member_id: str, kind: str) -> list[Any]:
    made = ask(stack, f"members/{member_id}/exports", {"reason": "asked for it"})
    return [each["data"] for each in made["records"] if each["kind"] == kind]
