"""Signing in over a table: the same twice, many at once, a crash at every call. Nothing lets anybody in twice."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.identity.members import Issuer
from chalicelib.identity.models import Caller, Kind
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId, SessionId
from chalicelib.kernel.languages import Language
from chalicelib.notices.models import Notice
from chalicelib.runtime.wiring import draw
from chalicelib.signin import service
from chalicelib.signin.errors import CodeTooSoon, CodeWrong, NotMember, RefreshInvalid, SignInLocked, TooManyCodes
from chalicelib.signin.models import (
    AskCode,
    AskTokens,
    ChangeContact,
    CodeSent,
    Grant,
    Me,
    Purpose,
    SessionView,
    Tokens,
)
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.signing import FileSigner
from chalicelib.storage.table import DynamoTable, Table
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan

MOBILE = "+8613800138000"


class Pocket:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def send(self, notice: Notice) -> None:
        """See `Sender.send`."""
        self.notices.append(notice)


@dataclass
class Door:
    """Signs members in over table ports, as the routes do."""

    desk: Desk
    ops: Table
    issuer: Issuer
    pocket: Pocket = field(default_factory=Pocket)

    def over(self, table: Table | None = None, ops: Table | None = None) -> "Door":
        """The same door over other ports."""
        return replace(self, desk=self.desk.over(table) if table else self.desk, ops=ops or self.ops)

    def ask(self, mobile: str = MOBILE, *, address: str = "10.0.0.1", purpose: Purpose = Purpose.SIGN_IN) -> CodeSent:
        """Ask for a code."""
        return service.ask_code(
            self.ops, self.desk.keyring, self.desk.book.current(self.desk.clock()), self.pocket,
            AskCode(mobile=mobile, purpose=purpose), address=address, draw=draw, now=self.desk.clock(),
            language=Language.EN,
        )  # fmt: skip

    def code(self, sent: CodeSent) -> str:
        """The code that was sent."""
        wanted = sent.request_id.replace("otp_", "dlv_")
        (notice,) = [each for each in self.pocket.notices if each.delivery_id == wanted]
        return notice.text.partition("code is ")[2].partition(",")[0]

    def give(self, command: AskTokens) -> Tokens:
        """Ask for tokens."""
        return service.give_tokens(
            self.desk.table, self.ops, self.desk.keyring, self.issuer, command, draw=draw, now=self.desk.clock()
        )

    def enter(self, sent: CodeSent, code: str | None = None) -> Tokens:
        """Ask for tokens with a code; the right one when none is named."""
        return self.give(AskTokens(grant=Grant.OTP, request_id=sent.request_id, code=code or self.code(sent)))

    def refresh(self, token: str) -> Tokens:
        """Ask for tokens with a refresh token."""
        return self.give(AskTokens(grant=Grant.REFRESH, refresh_token=token))

    def end(self, member_id: str, session_id: str) -> SessionView:
        """Sign out."""
        caller = Caller(Kind.MEMBER, member_id, ("member",), {}, member_id=MemberId(member_id))
        return service.end_session(self.ops, caller, SessionId(session_id), now=self.desk.clock())


@pytest.fixture
def door(desk: Desk, ops: DynamoTable, signer: FileSigner) -> Door:
    """A door in front of the test's tables."""
    return Door(desk, ops, Issuer(signer, "urn:test", "regulars"))


def wrong(code: str) -> str:
    """A code that is not this one."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"


def kinds(answers: list[Any]) -> Counter[str]:
    """How often each kind of answer was given."""
    return Counter(type(each).__name__ for each in answers)


def sessions(dynamo: Dynamo, ops: DynamoTable) -> int:
    """How many sessions are kept."""
    return sum(key.sk.startswith("ses_") for key in scan(dynamo, ops.name))


# ---------------------------------------------------------------- twice


def test_asking_twice_sends_one_code_and_says_when_to_ask_again(door: Door, dynamo: Dynamo, ops: DynamoTable) -> None:
    door.ask()
    before = scan(dynamo, ops.name)
    with pytest.raises(CodeTooSoon) as refused:
        door.ask()
    assert refused.value.facts == {"retry_after": 60}
    assert (len(door.pocket.notices), scan(dynamo, ops.name)) == (1, before)


def test_a_right_code_twice_is_one_session(door: Door, dynamo: Dynamo, ops: DynamoTable) -> None:
    door.desk.enrol(mobile=MOBILE)
    sent = door.ask()
    door.enter(sent)
    with pytest.raises(CodeWrong):
        door.enter(sent)
    assert sessions(dynamo, ops) == 1


def test_a_refresh_token_twice_is_one_successor_and_later_the_end(door: Door) -> None:
    door.desk.enrol(mobile=MOBILE)
    first = door.enter(door.ask()).refresh_token
    second = door.refresh(first).refresh_token
    assert door.refresh(first).refresh_token == second
    assert door.refresh(second).refresh_token != second
    with pytest.raises(RefreshInvalid):
        door.refresh(first)
    with pytest.raises(RefreshInvalid):
        door.refresh(second)


def test_a_thief_who_is_many_tokens_ahead_is_found_out_by_the_next_one_that_comes(door: Door) -> None:
    door.desk.enrol(mobile=MOBILE)
    stolen = theirs = door.enter(door.ask()).refresh_token
    for _ in range(3):
        theirs = door.refresh(theirs).refresh_token
        door.desk.clock.forward(minutes=10)
    with pytest.raises(RefreshInvalid):
        door.refresh(stolen)
    with pytest.raises(RefreshInvalid):
        door.refresh(theirs)


def test_whoever_knows_the_session_but_no_token_of_it_cannot_end_it(door: Door) -> None:
    door.desk.enrol(mobile=MOBILE)
    given = door.enter(door.ask())
    guess = f"rgr_{given.member_id[4:]}{given.session_id[4:]}{'a' * 52}"
    with pytest.raises(RefreshInvalid):
        door.refresh(guess)
    door.refresh(given.refresh_token)


def test_ending_a_session_twice_ends_it_once(door: Door, dynamo: Dynamo, ops: DynamoTable) -> None:
    member = door.desk.enrol(mobile=MOBILE).member_id
    given = door.enter(door.ask())
    door.end(member, given.session_id)
    before = scan(dynamo, ops.name)
    door.end(member, given.session_id)
    assert scan(dynamo, ops.name) == before


# ---------------------------------------------------------------- at once


def test_sixteen_wrong_codes_at_once_are_five_tries(door: Door, dynamo: Dynamo) -> None:
    door.desk.enrol(mobile=MOBILE)
    sent = door.ask()
    code = door.code(sent)
    tries = [wrong(code)] * 15 + [f"{(int(code) + 2) % 10**6:06d}"]
    answers = at_once(dynamo, *[lambda each=each: door.enter(sent, each) for each in tries])
    assert kinds(answers) == {"CodeWrong": 5, "SignInLocked": 11}
    with pytest.raises(SignInLocked):
        door.enter(sent)


def test_sixteen_times_the_right_code_at_once_is_one_session(door: Door, dynamo: Dynamo, ops: DynamoTable) -> None:
    door.desk.enrol(mobile=MOBILE)
    sent = door.ask()
    answers = at_once(dynamo, *[lambda: door.enter(sent)] * 16)
    assert kinds(answers) == {"Tokens": 1, "CodeWrong": 15}
    assert sessions(dynamo, ops) == 1


def test_sixteen_times_one_refresh_token_at_once_is_one_successor(door: Door, dynamo: Dynamo) -> None:
    door.desk.enrol(mobile=MOBILE)
    first = door.enter(door.ask()).refresh_token
    answers = at_once(dynamo, *[lambda: door.refresh(first)] * 16)
    given = {each.refresh_token for each in answers if isinstance(each, Tokens)}
    assert kinds(answers) == {"Tokens": 16}
    assert len(given) == 1
    door.refresh(given.pop())


def test_signing_out_while_tokens_are_asked_for_ends_the_session_all_the_same(door: Door, dynamo: Dynamo) -> None:
    member = door.desk.enrol(mobile=MOBILE).member_id
    given = door.enter(door.ask())
    answers = at_once(
        dynamo,
        lambda: door.end(member, given.session_id),
        *[lambda: door.refresh(given.refresh_token)] * 3,
    )  # fmt: skip
    for token in [given.refresh_token, *(each.refresh_token for each in answers if isinstance(each, Tokens))]:
        with pytest.raises(RefreshInvalid):
            door.refresh(token)


def test_sixteen_ask_for_one_number_at_once_and_one_code_is_sent(door: Door, dynamo: Dynamo) -> None:
    answers = at_once(dynamo, *[door.ask] * 16)
    assert kinds(answers) == {"CodeSent": 1, "CodeTooSoon": 15}
    assert len(door.pocket.notices) == 1


def test_the_last_codes_of_a_limit_are_given_out_once(door: Door, dynamo: Dynamo) -> None:
    """A range of numbers has thirty a day; here 36 numbers of it ask, the last 12 at once."""
    for number in range(24):
        door.ask(f"+861380013{number:04d}", address=f"10.0.0.{number}")
    late = [f"+861380013{number:04d}" for number in range(24, 36)]
    asking: list[Callable[[], CodeSent]] = [lambda each=each: door.ask(each) for each in late]  # type: ignore[misc]
    answers = at_once(dynamo, *asking)
    assert kinds(answers) == {"CodeSent": 6, "TooManyCodes": 6}
    with pytest.raises(TooManyCodes):
        door.ask("+8613800139999")


# ---------------------------------------------------------------- crashes and trouble


def test_a_crash_anywhere_in_signing_in_leaves_a_code_that_works_or_one_that_was_used(
    door: Door, dynamo: Dynamo, ops: DynamoTable
) -> None:
    door.desk.enrol(mobile=MOBILE)
    places = itertools.product(("ops", "core"), range(1, 5), (False, True))
    for opened, (which, at, after) in enumerate(places):
        door.desk.clock.forward(hours=25)
        sent = door.ask()
        port = CrashingTable(door.ops if which == "ops" else door.desk.table, at, after=after)
        try:
            (door.over(ops=port) if which == "ops" else door.over(table=port)).enter(sent)
            done = True
        except Crashed:
            done = sessions(dynamo, ops) > opened
        if done:
            with pytest.raises(CodeWrong):
                door.enter(sent)
        else:
            door.enter(sent)
        assert sessions(dynamo, ops) == opened + 1


@pytest.mark.parametrize(("at", "after"), [(at, after) for at in (1, 2) for after in (False, True)])
def test_a_crash_anywhere_in_refreshing_leaves_a_token_that_goes_on(door: Door, at: int, after: bool) -> None:
    door.desk.enrol(mobile=MOBILE)
    first = door.enter(door.ask()).refresh_token
    with pytest.raises(Crashed):
        door.over(ops=CrashingTable(door.ops, at, after=after)).refresh(first)
    door.desk.clock.forward(seconds=9)
    second = door.refresh(first).refresh_token
    door.desk.clock.forward(minutes=9)
    door.refresh(second)


def test_a_crash_anywhere_in_asking_sends_at_most_one_code(door: Door) -> None:
    for at, after in itertools.product((1, 2), (False, True)):
        door.desk.clock.forward(hours=25)
        sent = len(door.pocket.notices)
        with pytest.raises(Crashed):
            door.over(ops=CrashingTable(door.ops, at, after=after)).ask()
        assert len(door.pocket.notices) == sent
        door.desk.clock.forward(seconds=60)
        door.ask()


def test_a_key_that_is_out_of_reach_uses_nothing_up(door: Door) -> None:
    class Broken(FileSigner):
        def sign(self, message: bytes) -> bytes:
            raise StorageBusy

    door.desk.enrol(mobile=MOBILE)
    real = door.issuer
    broken = Issuer(Broken(real.signer._path), real.name, real.audience)  # type: ignore[attr-defined]
    sent = door.ask()
    with pytest.raises(StorageBusy):
        replace(door, issuer=broken).enter(sent)
    token = door.enter(sent).refresh_token
    door.desk.clock.forward(minutes=10)
    with pytest.raises(StorageBusy):
        replace(door, issuer=broken).refresh(token)
    door.desk.clock.forward(minutes=10)
    door.refresh(token)


def test_a_number_that_changed_hands_signs_in_who_has_it_when_the_code_is_tried(door: Door) -> None:
    first = door.desk.enrol(mobile=MOBILE, card_no="a")
    second = door.desk.enrol(card_no="b")
    sent = door.ask()
    door.desk.edit(first.member_id, 1, mobile=None)
    door.desk.edit(second.member_id, 1, mobile=MOBILE)
    assert door.enter(sent).member_id == second.member_id
    door.desk.clock.forward(minutes=2)
    sent = door.ask()
    door.desk.close(second.member_id)
    with pytest.raises(NotMember):
        door.enter(sent)


def test_a_new_number_is_taken_by_one_of_two_who_prove_it_at_once(door: Door, dynamo: Dynamo) -> None:
    members = [door.desk.enrol(card_no=name) for name in "ab"]
    sent = door.ask(purpose=Purpose.CONTACT_CHANGE)
    command = ChangeContact(request_id=sent.request_id, code=door.code(sent), mobile=MOBILE, version=1)

    def change(member_id: str) -> Any:
        desk = door.desk
        caller = Caller(Kind.MEMBER, member_id, ("member",), {}, member_id=MemberId(member_id))
        return service.change_contact(
            desk.table, door.ops, desk.keyring, desk.book, caller, command, now=desk.clock(),
            language=Language.EN,
        )  # fmt: skip

    answers = at_once(dynamo, *[lambda each=each: change(each.member_id) for each in members])
    assert kinds(answers) == {"Me": 1, "CodeWrong": 1}
    assert {each.mobile for each in answers if isinstance(each, Me)} == {MOBILE}
