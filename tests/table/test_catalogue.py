"""Everything that is stored stands in the data catalogue, and what answers show of a member follows it."""

from collections.abc import Mapping
from datetime import date

import pytest

from chalicelib.jobs import service as jobs
from chalicelib.jobs.models import Counts, Job
from chalicelib.jobs.service import Yard
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.personal import MASKED
from chalicelib.members.models import Contact, EditMember, EnrolMember, MemberView, Profile
from chalicelib.privacy.catalogue import CATALOGUE, SEALED, Data, stored_as
from chalicelib.privacy.models import MaskedField, Unmask
from chalicelib.privacy.service import unmasking as privacy
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item
from tests.makers import Tray, a_draw, publish_texts
from tests.memory import SharedTable
from tests.table.stand import Desk, scan
from tests.table.test_relay import a_whole_life, lives_of_cards

LABEL = {"zh": "项", "en": "Field"}


def without_entry(table: str, items: Mapping[Key, Item]) -> set[str]:
    """Kinds of items, and attributes of them, that the catalogue does not have."""
    found: set[str] = set()
    for key, item in items.items():
        kind = stored_as(table, key.pk, key.sk)
        if kind is None:
            found.add(f"{table}: {key.pk} {key.sk}")
            continue
        found |= {f"{kind.name}: {name}" for name in item.keys() - kind.attributes.keys() - {"pk", "sk"}}
    return found


@pytest.fixture
def lived(desk: Desk) -> Desk:
    """A desk at which everything happened that can happen."""
    publish_texts(desk.table, "sms")
    other = desk.enrol(
        name="B", external_ids=[{"source": "erp", "id": "1"}], gender="male", language="en",
        birthday="1990-01-02", bank_cards=[{"bank": "ICBC", "last_four": "8888", "token": "t"}],
        consents=[{"purpose": "sms", "granted": True, "text_version": "1"}],
    )  # fmt: skip
    lives_of_cards(desk, other.member_id)
    desk.clock.at("2026-03-15")
    member = a_whole_life(desk)
    desk.enrol(key="enrolled-with-a-key")
    command = Unmask(fields=(MaskedField.NAME,), reason="calls back")
    privacy.unmask(
        desk.table, desk.keyring, desk.book, MemberId(member), command, by="stf_a", draw=a_draw, now=desk.clock()
    )
    return desk


def test_every_attribute_of_every_item_stands_in_the_catalogue(
    lived: Desk, dynamo: Dynamo, table: DynamoTable, ops: DynamoTable, vault: SharedTable
) -> None:
    assert without_entry("core", scan(dynamo, table.name)) == set()
    assert without_entry("vault", vault.items) == set()


def test_a_new_kind_of_item_and_a_new_attribute_are_found(lived: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    items = scan(dynamo, table.name)
    profile = next(key for key in items if key.pk.startswith("M#") and key.sk == "PROFILE")
    planted = {**items, Key("Z#1", "Z"): {}, profile: {**items[profile], "shoe_size": 42}}
    assert without_entry("core", planted) == {"core: Z#1 Z", "profile of a member: shoe_size"}


def test_what_members_are_made_of_stands_in_the_catalogue() -> None:
    """Of models, because a life may leave a field empty."""
    profile = next(each for each in CATALOGUE if each.name == "profile of a member").attributes
    spelt = {"member_number": "number", "shop_id": "shop", "referral_code": "referral", "joined_at": "joined"}
    besides = {"contact", "sealed_custom"}
    assert {spelt.get(name, name) for name in Profile.model_fields.keys() - besides} <= profile.keys()
    assert Contact.model_fields.keys() | {"custom"} == SEALED.keys()
    taken = (EnrolMember.model_fields.keys() | EditMember.model_fields.keys()) - {"dry_run", "birthday", "reason"}
    assert {spelt.get(name, name) for name in taken} <= profile.keys() | SEALED.keys()


def test_answers_mask_what_the_catalogue_says_is_masked(desk: Desk) -> None:
    fields = {"diet": {"type": "text", "label": LABEL, "personal": True}}
    desk.publish(1, custom_fields=fields)
    publish_texts(desk.table, "sms")
    desk.clock.forward(minutes=1)
    whole = desk.enrol(
        name="Bb", mobile="+8613912345678", email="canary@example.com", card_no="canary-card", birthday="1990-01-02",
        external_ids=[{"source": "erp", "id": "123456789"}], custom={"diet": "halal"}, tags=["vip"],
        bank_cards=[{"bank": "ICBC", "last_four": "8888", "token": "t"}], gender="male", source="till",
        language="zh", shop_id="shp_a", referral_code="R",
        consents=[{"purpose": "sms", "granted": True, "text_version": "1"}],
    )  # fmt: skip
    clear, masked = whole.model_dump(mode="json"), whole.model_dump(mode="json", context=MASKED)
    differ = {name for name in clear if clear[name] != masked[name]}
    named = {"birth_year": "birthday", "others": "other_identifiers"}
    expected = {named.get(name, name) for name, datum in SEALED.items() if datum.masked is not None}
    assert differ == expected - {"other_identifiers"}
    assert {field.value for field in MaskedField} == expected
    assert MemberView.model_fields.keys() >= expected


def test_jobs_leave_nothing_without_an_entry(desk: Desk, dynamo: Dynamo, ops: DynamoTable) -> None:
    desk.enrol(birthday="1990-03-15")
    tray = Tray()
    yard = Yard(desk.table, ops, desk.book, tray, "jobs")
    jobs.start_run(yard, Job.BIRTHDAY, date(2026, 3, 15), dry_run=True, by="stf_test", now=desk.clock(), anew=False)
    assert tray.bodies
    assert without_entry("ops", scan(dynamo, ops.name)) == set()
    counters = next(each for each in CATALOGUE if each.name == "counter of a job").attributes
    assert Counts.model_fields.keys() <= counters.keys()


def test_no_contact_data_are_stored_outside_what_is_sealed() -> None:
    assert [
        f"{kind.name}: {name}"
        for kind in CATALOGUE
        for name, datum in kind.attributes.items()
        if datum.data is Data.CONTACT
    ] == ["profile of a member: contact"]
