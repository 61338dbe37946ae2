"""Earn, spend and duplicates against Regulars and against Medusa's loyalty plugin: rates, and wrong results of both.

Both are called over HTTP as an admin, by the same generator, with two API processes each and all data in memory. They
take turns. Each account has one plot (`workload`), and what must have come of it is counted apart from either ledger.

Unequal, and not mended: a purchase of ours applies a program's rules, dates and chains what it gives, while Medusa's
credit adds a number; we run over an emulator of DynamoDB, Medusa over Postgres.
"""

import itertools
import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from bench import load, volley
from bench.medusa import Medusa, medusa, post
from bench.report import Figure, percentile, table
from bench.server import Server, serving
from bench.stack import usage
from bench.volley import Answer, Salvo
from bench.workload import Command, Kind, Life, Told, Wrong, judge, lives_once, lives_with_copies

CLIENTS = 16
_WORKERS = 2
_numbers = itertools.count(1)


class Side(Protocol):
    """One of the two ledgers, as the bench calls it."""

    name: str
    url: str

    def cpu_seconds(self) -> float:
        """What its processes have used, its database's included."""

    def opening(self, number: int) -> bytes:
        """The request that opens an account."""

    def opened(self, answer: Answer) -> str:
        """The new account's id."""

    def request(self, account: str, command: Command) -> bytes:
        """A command as it is sent."""

    def accepted(self, answer: Answer) -> bool:
        """Yes, or no because the points do not suffice.

        Raises:
            load.Refused: it was something else.
        """

    def readings(self, account: str) -> tuple[bytes, bytes]:
        """The requests for its balance and for its statement."""

    def told(self, balance: Answer, statement: Answer) -> Told:
        """What they say."""


class Regulars:
    """Earns are purchases of so many yuan, which the default program gives as many points for; spends are spends."""

    name = "Regulars"

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self._server = server
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {server.token}"}
        self._now = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()

    def cpu_seconds(self) -> float:
        """See `Side`."""
        return self._server.api_usage().cpu_seconds + usage(self._server.database).cpu_seconds

    def opening(self, number: int) -> bytes:
        """See `Side`."""
        return self._post("/v1/members", {"name": "王小明", "mobile": f"+86135{number:08d}"})

    def opened(self, answer: Answer) -> str:
        """See `Side`."""
        return str(_body(answer)["member_id"])

    def request(self, account: str, command: Command) -> bytes:
        """See `Side`."""
        if command.kind is Kind.SPEND:
            return self._post(f"/v1/members/{account}/point-spends", {"points": command.points}, key=command.key)
        purchase = {
            "channel": "pos", "order_no": command.key, "member": {"member_id": account}, "occurred_at": self._now,
            "currency": "CNY", "paid_minor": command.points * 100,
        }  # fmt: skip
        return self._post("/v1/purchases", purchase)

    def accepted(self, answer: Answer) -> bool:
        """See `Side`."""
        return answer.status in (200, 201) or _refused(answer, 409, "points_insufficient")

    def readings(self, account: str) -> tuple[bytes, bytes]:
        """See `Side`."""
        one, other = (
            load.request(f"{self.url}/v1/members/{account}/{what}", b"", self._headers, method="GET")
            for what in ("points", "point-entries")
        )
        return one, other

    def told(self, balance: Answer, statement: Answer) -> Told:
        """See `Side`."""
        points, page = _body(balance), _body(statement)
        assert page["next_cursor"] is None
        entries = tuple((each["reference"].rpartition("/")[2], each["points"]) for each in page["items"])
        return Told(points["available"] - points["owed"], entries)

    def _post(self, path: str, body: Any, key: str = "") -> bytes:
        headers = self._headers | ({"idempotency-key": key} if key else {})
        return load.request(self.url + path, json.dumps(body, ensure_ascii=False).encode(), headers)


class Plugin:
    """Store credit accounts through the plugin's admin routes; the key is `Idempotency-Key` and the note."""

    name = "Medusa loyalty plugin"

    def __init__(self, server: Medusa) -> None:
        self.url = server.url
        self.cpu_seconds = server.cpu_seconds
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {server.token}"}

    def opening(self, number: int) -> bytes:
        """See `Side`."""
        return self._post("", {"currency_code": "cny"}, f"open-{number}")

    def opened(self, answer: Answer) -> str:
        """See `Side`."""
        return str(_body(answer)["store_credit_account"]["id"])

    def request(self, account: str, command: Command) -> bytes:
        """See `Side`."""
        verb = "credit" if command.kind is Kind.EARN else "debit"
        return self._post(f"/{account}/{verb}", {"amount": command.points, "note": command.key}, command.key)

    def accepted(self, answer: Answer) -> bool:
        """See `Side`."""
        return answer.status == 200 or _refused(answer, 400, "Insufficient balance")

    def readings(self, account: str) -> tuple[bytes, bytes]:
        """See `Side`."""
        one, other = (
            load.request(f"{self.url}{_ACCOUNTS}/{account}{what}", b"", self._headers, method="GET")
            for what in ("", "/transactions")
        )
        return one, other

    def told(self, balance: Answer, statement: Answer) -> Told:
        """See `Side`."""
        page = _body(statement)
        assert page["count"] == len(page["transactions"])
        entries = tuple(
            (each["note"], each["amount"] if each["type"] == "credit" else -each["amount"])
            for each in page["transactions"]
        )
        return Told(_body(balance)["store_credit_account"]["balance"], entries)

    def _post(self, path: str, body: Any, key: str) -> bytes:
        headers = self._headers | {"idempotency-key": key}
        return load.request(self.url + _ACCOUNTS + path, json.dumps(body).encode(), headers)


_ACCOUNTS = "/admin/store-credit-accounts"


def _body(answer: Answer) -> Any:
    if answer.status not in (200, 201):
        raise load.Refused(f"{answer.status}: {answer.body[:600].decode(errors='replace')}")
    return json.loads(answer.body)


def _refused(answer: Answer, status: int, said: str) -> bool:
    """False when that is what the answer says; else nobody expected it."""
    if answer.status != status or said.encode() not in answer.body:
        raise load.Refused(f"{answer.status}: {answer.body[:600].decode(errors='replace')}")
    return False


# ---------------------------------------------------------------- rounds


@dataclass
class Turns:
    """What a side has shown so far.

    Attributes:
        once, copied, whole: commands answered per second, one figure for each round.
        cpu_seconds: what its processes used for them.
        troubles: answers with 5xx, after which the command was sent again.
        wrong: results by plot and kind.
        accounts_wrong: accounts with a wrong balance.
    """

    once: list[float] = field(default_factory=list)
    copied: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    commands: int = 0
    accounts: int = 0
    accounts_wrong: int = 0
    points_off: int = 0
    troubles: int = 0
    wrong: Counter[tuple[str, Wrong]] = field(default_factory=Counter)

    def total(self, kind: Wrong) -> int:
        """How many results of that kind were wrong."""
        return sum(count for (_, each), count in self.wrong.items() if each is kind)

    def figures(self) -> dict[str, Any]:
        """For the line of JSON."""
        return {
            "per_s": round(statistics.median(self.whole), 1),
            "per_s_once": round(statistics.median(self.once), 1),
            "per_s_copied": round(statistics.median(self.copied), 1),
            "p50_ms": round(statistics.median(self.latencies) * 1000, 1),
            "p99_ms": round(percentile(self.latencies, 99) * 1000, 1),
            "cpu_ms": round(self.cpu_seconds / self.commands * 1000, 2),
            "commands": self.commands, "accounts": self.accounts, "accounts_wrong": self.accounts_wrong,
            "points_off": self.points_off, "troubles": self.troubles,
            "wrong": {f"{plot}: {kind}": count for (plot, kind), count in sorted(self.wrong.items())},
        }  # fmt: skip


def run(*, quick: bool = False) -> Figure:
    """Take turns; the value is our median rate ÷ the peer's, and 0 when a result of ours is wrong.

    Raises:
        CannotRun: the peer is not to be had.
    """
    rounds, lives = (1, 1) if quick else (5, 7)
    with medusa(workers=_WORKERS) as peer, serving(workers=_WORKERS) as server:
        sides: list[Side] = [Regulars(server), Plugin(peer)]
        for side in sides:
            turn(side, Turns(), "warm", CLIENTS * min(lives, 4))
        turns = {side.name: Turns() for side in sides}
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                turn(side, turns[side.name], f"r{number}", CLIENTS * lives)
        ways = _ways_to_carry_a_key(peer)
    return _figure(turns["Regulars"], turns["Medusa loyalty plugin"], peer, ways)


def turn(side: Side, turns: Turns, prefix: str, lives: int) -> None:
    """So many lives with every command once, and as many with copies."""
    once = _played(side, turns, lives_once(f"{prefix}-a", lives))
    copied = _played(side, turns, lives_with_copies(f"{prefix}-b", lives))
    turns.once.append(once.rate)
    turns.copied.append(copied.rate)
    count, seconds = len(once.latencies) + len(copied.latencies), once.seconds + copied.seconds
    turns.whole.append(count / seconds)


def _played(side: Side, turns: Turns, lives: Sequence[Life]) -> Salvo:
    """Open the accounts, send what happens to them (only this is timed), read them and judge."""
    openings = [(side.opening(next(_numbers)),) for _ in lives]
    ids = [side.opened(answer) for (answer,) in _in_lanes(side, openings)]
    plans = [
        [tuple(side.request(account, each) for each in step) for step in life.steps]
        for account, life in zip(ids, lives, strict=True)
    ]
    cpu = side.cpu_seconds()
    salvo = volley.send(side.url, [[each for plan in plans[lane::CLIENTS] for each in plan] for lane in range(CLIENTS)])
    turns.cpu_seconds += side.cpu_seconds() - cpu
    readings = _in_lanes(side, [side.readings(account) for account in ids])
    for lane, answers in enumerate(salvo.answers):
        rest = iter(answers)
        for life, reading in zip(lives[lane::CLIENTS], readings[lane::CLIENTS], strict=True):
            accepted = [[side.accepted(answer) for answer in next(rest)] for _ in life.steps]
            verdict = judge(life, accepted, side.told(*reading))
            turns.wrong.update({(life.plot, kind): count for kind, count in verdict.wrong.items()})
            turns.accounts_wrong += Wrong.BALANCE in verdict.wrong
            turns.points_off += verdict.points_off
    turns.accounts += len(lives)
    turns.commands += len(salvo.latencies)
    turns.troubles += salvo.troubles
    turns.latencies += salvo.latencies
    return salvo


def _in_lanes(side: Side, volleys: Sequence[volley.Volley]) -> list[list[Answer]]:
    """Send them in no particular order; the answers in theirs."""
    answers = volley.send(side.url, [volleys[lane::CLIENTS] for lane in range(CLIENTS)]).answers
    return [answers[number % CLIENTS][number // CLIENTS] for number in range(len(volleys))]


def _ways_to_carry_a_key(peer: Medusa) -> dict[str, int]:
    """What 7 points come to on the peer when the same command is sent three times, by the way its key is given."""

    def opened() -> str:
        return str(post(peer.url + _ACCOUNTS, {"currency_code": "cny"}, peer.token)["store_credit_account"]["id"])

    def balance(account: str) -> int:
        (answer,) = volley.send(peer.url, [[(Plugin(peer).readings(account)[0],)]]).answers[0][0]
        return int(_body(answer)["store_credit_account"]["balance"])

    by_header, by_transaction = opened(), opened()
    credit = Plugin(peer).request(by_header, Command("thrice", Kind.EARN, 7))
    volley.send(peer.url, [[(credit,)] * 3])
    entry = {"account_id": by_transaction, "amount": 7, "reference": "order", "reference_id": "thrice"}
    for _ in range(3):
        body = {"transaction_id": "thrice", "input": [entry]}
        post(f"{peer.url}/admin/workflows-executions/credit-accounts/run", body, peer.token)
    return {
        "Idempotency-Key header": balance(by_header),
        "reference_id, and transaction_id of the workflow": balance(by_transaction),
    }


def _figure(ours: Turns, theirs: Turns, peer: Medusa, ways: dict[str, int]) -> Figure:
    both = (("Regulars", ours), ("Medusa", theirs))
    head = ["per second, median of rounds", "all", "each once", "with copies", "p50 ms", "p99 ms", "CPU ms", "5xx"]
    names = ("per_s", "per_s_once", "per_s_copied", "p50_ms", "p99_ms", "cpu_ms", "troubles")
    table(head, [[name, *(turns.figures()[each] for each in names)] for name, turns in both])
    print(f"  wrong results in {ours.commands:,} commands to {ours.accounts:,} accounts on each side")
    rows = [[str(kind), *(turns.total(kind) for _, turns in both)] for kind in Wrong]
    table(["", *(name for name, _ in both)], [*rows, ["points off, added up", ours.points_off, theirs.points_off]])
    print("  7 points credited three times with one key, on the peer:", ways)
    print("  peer:", ", ".join(f"{name} {version}" for name, version in peer.versions.items()))
    ratios = [a / b for a, b in zip(ours.whole, theirs.whole, strict=True)]
    ratio = statistics.median(ours.whole) / statistics.median(theirs.whole)
    details = {
        "rate_ratio": round(ratio, 3),
        "rate_ratio_once": round(statistics.median(ours.once) / statistics.median(theirs.once), 3),
        "cpu_ratio": round(theirs.cpu_seconds / ours.cpu_seconds, 3),
        "ratio_of_each_round": [round(each, 3) for each in ratios],
        "regulars": ours.figures(), "peer": theirs.figures(),
        "three_times_7_on_the_peer": ways, "peer_versions": dict(peer.versions),
    }  # fmt: skip
    return Figure(
        "peers", "commands per second ÷ Medusa loyalty plugin's, 0 if a result of ours is wrong",
        0.0 if ours.wrong else ratio, 1.0, "×", lower_is_better=False, details=details,
    )  # fmt: skip
