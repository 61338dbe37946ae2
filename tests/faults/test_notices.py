"""Notices of what another member did: told once, however often the stream says it."""

from tests.faults.works import Works


def test_who_receives_points_is_told_once() -> None:
    works = Works()
    works.open()
    desk = works.desk
    desk.publish(1, transfers={"enabled": True})
    works.clock.forward(minutes=1)
    desk = works.desk  # reads the program anew
    giver, receiver = (desk.enrol(mobile=f"+861380013800{n}").member_id for n in (1, 2))
    desk.adjust(giver, 100, key="a")
    offer = desk.offer(giver, receiver, 40, key="t").value
    desk.accept(offer.transfer_id)
    for _ in range(2):
        works.told = 0
        works.tell()
        works.drain("notices")
    (notice,) = works.outbox()
    assert (notice["member_id"], notice["event_type"], "to" in notice) == (receiver, "PointsReceived", False)
    assert notice["text"] == "【常客会员】您收到另一位会员转赠的 40 积分。"
