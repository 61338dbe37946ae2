"""Masks: enough to tell one person from another at the counter, not enough to call them."""

import pytest

from chalicelib.kernel.personal import MASKED, Kind, masked
from chalicelib.members.models import BankCard, ExternalId, OtherIdentifier


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Kind.NAME, "张三", "张*"), (Kind.NAME, "王小明", "王**"), (Kind.NAME, "A", "*"),
        (Kind.NAME, "Alice Smith", "A***"),
        (Kind.MOBILE, "+8613800138000", "+86138****8000"), (Kind.MOBILE, "+85251234567", "+852****4567"),
        (Kind.MOBILE, "+2901234", "****34"),
        (Kind.EMAIL, "zhang.san@example.com", "z***@example.com"), (Kind.EMAIL, "z@example.com", "***@example.com"),
        (Kind.CARD_NO, "VIP-0012345678", "****5678"), (Kind.CARD_NO, "1234", "****"),
        (Kind.EXTERNAL_ID, "oAbCdEf123456", "****3456"),
        (Kind.BIRTHDAY, "1990-03-15", "--03-15"), (Kind.BIRTHDAY, "--03-15", "--03-15"),
        (Kind.SECRET, "anything", "***"),
    ],
)  # fmt: skip
def test_a_mask_shows_so_much(kind: Kind, value: str, shown: str) -> None:
    assert masked(kind, value) == shown


def test_every_kind_has_a_mask() -> None:
    assert all(masked(kind, "somebody@1990-03-15") for kind in Kind)


def test_a_mark_hides_only_where_the_answer_is_rendered_masked() -> None:
    other = OtherIdentifier(kind="mobile", value="+8613800138000")
    found = ExternalId(source="wechat", id="oAbCdEf123456")
    card = BankCard(bank="ICBC", last_four="8888", token="t")
    assert other.model_dump_json() == '{"kind":"mobile","value":"+8613800138000"}'
    assert other.model_dump_json(context=MASKED) == '{"kind":"mobile","value":"+86138****8000"}'
    assert found.model_dump() == {"source": "wechat", "id": "oAbCdEf123456"}
    assert found.model_dump(context=MASKED)["id"] == "****3456"
    assert (card.model_dump()["token"], card.model_dump(context=MASKED)["token"]) == ("t", "***")
    assert BankCard(bank="ICBC", last_four="8888").model_dump(context=MASKED)["token"] is None
