"""The workload of `peers` finds what is wrong with a ledger, and only that."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bench import load, medusa, volley
from bench.__main__ import NAMES, main
from bench.report import CannotRun
from bench.workload import COPIED, ONCE, Kind, Life, Step, Told, Wrong, judge, lives_once, lives_with_copies


@dataclass
class Ledger:
    """One account, right or with one fault."""

    fault: str = ""
    entries: list[tuple[str, int]] = field(default_factory=list)
    known: dict[str, bool] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return sum(change for _, change in self.entries)

    def take(self, step: Step) -> list[bool]:
        """The answers to commands that come at once."""
        before = self.balance
        seen = {"no keys": {}, "keys seen too late": dict(self.known)}.get(self.fault, self.known)
        answers = []
        for command in step:
            if command.key in seen:
                answers.append(self.fault != "copies refused" and seen[command.key])
                continue
            there = before if self.fault == "no lock" else self.balance
            yes = command.change + there >= 0 and not (self.fault == "shy" and command.points == there)
            if yes or self.fault == "kept though refused":
                self.entries.append((command.key, command.change))
            if self.fault == "last write wins" and command.kind is Kind.EARN and len(step) > 1:
                self.entries = self.entries[-1:]
            self.known[command.key] = yes
            answers.append(yes)
        return answers

    def told(self) -> Told:
        return Told(self.balance + (self.fault == "stale balance"), tuple(self.entries))


def found(fault: str, lives: list[Life]) -> Counter[Wrong]:
    """What the count says of a ledger."""
    wrong: Counter[Wrong] = Counter()
    for life in lives:
        ledger = Ledger(fault)
        accepted = [ledger.take(step) for step in life.steps]
        wrong += judge(life, accepted, ledger.told()).wrong
    return wrong


LIVES = lives_once("once", 10) + lives_with_copies("copied", 10 * len(COPIED))


def test_a_ledger_that_is_right_is_found_right() -> None:
    assert found("", LIVES) == {}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("no keys", {Wrong.TWICE, Wrong.BALANCE, Wrong.COPY_REFUSED}),
        ("keys seen too late", {Wrong.TWICE, Wrong.BALANCE}),
        ("copies refused", {Wrong.COPY_REFUSED}),
        ("no lock", {Wrong.OVERSPENT, Wrong.BELOW_ZERO}),
        ("last write wins", {Wrong.LOST, Wrong.BALANCE, Wrong.REFUSED}),
        ("shy", {Wrong.REFUSED}),
        ("kept though refused", {Wrong.REFUSED_WITH_EFFECT, Wrong.BELOW_ZERO, Wrong.BALANCE}),
        ("stale balance", {Wrong.STATEMENT, Wrong.BALANCE}),
    ],
)
def test_a_planted_fault_is_found_for_what_it_is(fault: str, expected: set[Wrong]) -> None:
    assert set(found(fault, LIVES)) == expected


def test_a_fault_of_copies_is_not_found_where_nothing_is_sent_twice() -> None:
    assert found("no keys", lives_once("once", 20)) == {}


def test_the_effects_too_many_and_the_points_off_are_counted() -> None:
    (life,) = [each for each in lives_with_copies("copied", len(COPIED)) if each.plot == "the same earn at once"]
    earn = life.steps[0][0]
    verdict = judge(life, [[True] * 4], Told(earn.points * 3, ((earn.key, earn.points),) * 3))
    assert verdict.wrong == {Wrong.TWICE: 2, Wrong.BALANCE: 1}
    assert verdict.points_off == earn.points * 2


def test_the_same_seed_gives_the_same_lives_and_no_two_share_a_key() -> None:
    again = lives_once("once", 10) + lives_with_copies("copied", 10 * len(COPIED))
    assert again == LIVES
    keys = [{command.key for step in life.steps for command in step} for life in LIVES]
    assert sum(map(len, keys)) == len(set().union(*keys))
    assert {life.plot for life in LIVES} == {ONCE, *COPIED}


# ---------------------------------------------------------------- sending


class _Handler(BaseHTTPRequestHandler):
    """Answers only when three requests are there at once, and with 503 the first time that it sees a body."""

    protocol_version = "HTTP/1.1"
    together = threading.Barrier(3, timeout=10)
    seen: Counter[bytes] = Counter()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen[body] += 1
        if self.seen[body] == 1:
            self.together.wait()
        self.send_response(503 if self.seen[body] == 1 else 201)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_volley_leaves_at_once_and_trouble_is_sent_again() -> None:
    with served() as url:
        bodies = [[b"a", b"b", b"c"], [b"d", b"e", b"f"]]
        volleys = [tuple(load.request(url, body, {}) for body in each) for each in bodies]
        salvo = volley.send(url, [volleys])
    assert salvo.answers == [[[volley.Answer(201, body) for body in each] for each in bodies]]
    assert salvo.troubles == 6
    assert len(salvo.latencies) == 6


# ---------------------------------------------------------------- without a peer


def test_no_figure_is_told_when_the_peer_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nowhere() -> None:
        raise CannotRun("no network")

    monkeypatch.setattr(medusa, "_installed", nowhere)
    assert main(["peers"]) == 3
    told = capsys.readouterr()
    assert told.err == "peers could not run: no network\n"
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(told.out.splitlines()[-1])


def test_a_bench_that_fetches_programs_is_not_among_those_that_run_unasked() -> None:
    assert "peers" not in NAMES
