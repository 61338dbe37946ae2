"""Publishing the program: once, again, at once."""

import pytest

from chalicelib.programs import store
from chalicelib.programs.errors import CurrencyFixed, ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Desk, at_once, scan


def test_the_next_version_follows_and_the_former_stays(desk: Desk, table: DynamoTable) -> None:
    first = desk.book.current(desk.clock())
    desk.clock.forward(hours=1)
    second = desk.publish(1, earn_rate={"points": 2, "per_minor": 100})
    assert (second.version, second.earn_rate.points, second.published_at) == (2, 2, desk.clock())
    assert desk.book.current(desk.clock()) == second
    assert [store.find_version(table, n) for n in (1, 2, 3)] == [first, second, None]


def test_the_same_publication_again_is_refused_because_the_program_moved(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    desk.publish(1)
    before = scan(dynamo, table.name)
    with pytest.raises(ProgramMoved) as refusal:
        desk.publish(1)
    assert refusal.value.facts == {"read": 1, "current": 2}
    assert scan(dynamo, table.name) == before


def test_of_eight_publications_at_once_one_wins(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    answers = at_once(
        dynamo, *(lambda n=n: desk.publish(1, earn_rate={"points": n, "per_minor": 100}) for n in range(2, 10))
    )
    won = [answer for answer in answers if isinstance(answer, Program)]
    assert (len(won), len([a for a in answers if isinstance(a, ProgramMoved)])) == (1, 7), answers
    assert store.find_version(table, 2) == won[0]
    assert len(scan(dynamo, table.name)) == 3


def test_the_currency_stays_once_a_purchase_was_recorded(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    assert desk.publish(1, currency="HKD").currency == "HKD"
    member = desk.enrol().member_id
    desk.buy(a_purchase(member, currency="HKD"))
    before = scan(dynamo, table.name)
    with pytest.raises(CurrencyFixed):
        desk.publish(2, currency="CNY")
    assert scan(dynamo, table.name) == before


def test_the_first_purchase_and_another_currency_at_once_end_in_one_currency(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    at_once(dynamo, lambda: desk.buy(a_purchase(member)), lambda: desk.publish(1, currency="HKD"))
    head = store.find_head(table, consistent=True)
    assert head is not None
    entries = desk.entries(member)
    assert (head.program.currency, len(entries), head.in_use) in {("CNY", 1, True), ("HKD", 0, False)}


def test_purchases_while_a_version_is_published_name_the_version_they_were_decided_by(
    desk: Desk, dynamo: Dynamo
) -> None:
    member = desk.enrol().member_id
    desk.buy(a_purchase(member))
    commands = [a_purchase(member, paid_minor=1_000) for _ in range(6)]
    at_once(
        dynamo,
        *(lambda c=c: desk.buy(c) for c in commands),
        lambda: desk.publish(1, earn_rate={"points": 3, "per_minor": 100}),
    )
    entries = desk.entries(member)
    assert len(entries) == 7
    assert all(e.earned == {1: 10, 2: 30}[e.program_version] for e in entries[1:])
