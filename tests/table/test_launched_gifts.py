"""Points of campaigns and journeys: who launched them stands on the entry, and what comes to their own is seen."""

from chalicelib.alerts.models import Gain
from chalicelib.deliveries.models import Gift
from chalicelib.deliveries.service.neighbours import PointsGiver
from chalicelib.kernel.ids import MemberId
from chalicelib.relay.models import Change
from chalicelib.relay.service import telling_of
from chalicelib.storage.dynamo import Dynamo
from chalicelib.watch.service import gain_of
from tests.table.stand import Desk, scan


def gains(desk: Desk, dynamo: Dynamo) -> list[Gain]:
    """What the watch counts of all that happened."""
    program = desk.book.current(desk.clock())
    found: list[Gain] = []
    for key, item in scan(dynamo, desk.table.name).items():  # type: ignore[attr-defined]
        if key.sk != "ACCOUNT":
            told = telling_of(Change(True, key.pk, key.sk, dict(item), "1")).events
            found += [gain for each in told if (gain := gain_of(each, program)) is not None]
    return found


def test_a_gift_to_ones_own_membership_counts_as_by_hand(desk: Desk, dynamo: Dynamo) -> None:
    own, other = (MemberId(desk.enrol(mobile=f"+861380013800{each}").member_id) for each in range(2))
    giver = PointsGiver(desk.table, desk.book)
    for member in (own, other):
        for _ in range(2):
            assert giver.give(f"cmp_a once {member}", member, Gift(500, None, "stf_a", own), desk.clock())
    found = {each.member_id: (each.points, each.by, each.own) for each in gains(desk, dynamo)}
    assert found == {own: (500, "stf_a", ("stf_a",)), other: (500, None, ())}


def test_who_launched_it_stands_on_the_entry_and_costs_no_write_more(desk: Desk, dynamo: Dynamo) -> None:
    members = [MemberId(desk.enrol(mobile=f"+861380013800{each}").member_id) for each in range(2)]
    giver = PointsGiver(desk.table, desk.book)
    grown: list[int] = []
    for member, gift in zip(members, (Gift(500), Gift(500, None, "stf_a", members[0])), strict=True):
        before = len(scan(dynamo, desk.table.name))  # type: ignore[attr-defined]
        assert giver.give(f"cmp_a once {member}", member, gift, desk.clock())
        grown.append(len(scan(dynamo, desk.table.name)) - before)  # type: ignore[attr-defined]
    assert grown[0] == grown[1]
    entries = [item for item in scan(dynamo, desk.table.name).values() if item.get("lg")]  # type: ignore[attr-defined]
    assert sorted(each.get("sb", "") for each in entries) == ["", "stf_a"]
    assert not any("sf" in each for each in entries)
