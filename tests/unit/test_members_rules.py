"""Members: identifiers in one spelling, custom fields, birthdays, and what an edit makes of a profile."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chalicelib.kernel.ids import MemberNumber
from chalicelib.members.errors import (
    BirthdayInFuture,
    CardTaken,
    ConsentNeeded,
    CustomFieldInvalid,
    CustomFieldMissing,
    CustomFieldUnknown,
    EmailTaken,
    ExternalIdTaken,
    IdentifierNeeded,
    MobileInvalid,
    MobileTaken,
)
from chalicelib.members.models import (
    Consent,
    ConsentSource,
    Contact,
    EditMember,
    EnrolMember,
    ExternalId,
    LookUp,
    MemberRef,
    Profile,
)
from chalicelib.members.rules import (
    custom_values,
    edited,
    email_address,
    enrolled,
    identifiers,
    is_id_number,
    mobile_number,
    taken,
)
from chalicelib.programs.models import Program
from tests.makers import NOON, a_member_ref, a_program, an_enrolment

NUMBER = MemberNumber.from_chance(572)
LABEL = {"zh": "项", "en": "Field"}
FIELDS = {
    "pet": {"type": "text", "label": LABEL},
    "children": {"type": "integer", "label": LABEL},
    "vegan": {"type": "boolean", "label": LABEL},
    "wedding": {"type": "date", "label": LABEL},
    "size": {"type": "choice", "label": LABEL, "choices": ["S", "M"]},
}
PROGRAM = a_program(custom_fields=FIELDS)


def a_profile(program: Program = PROGRAM, **fields: Any) -> Profile:
    return enrolled(an_enrolment(**fields), NUMBER, program, now=NOON)


def edit(profile: Profile, program: Program = PROGRAM, **fields: Any) -> Profile:
    command = EditMember.model_validate_json(json.dumps({"version": profile.version, **fields}))
    return edited(profile, command, program, now=NOON + timedelta(hours=1))


# ---------------------------------------------------------------- identity numbers

ID_NUMBER = "11010519491231002X"
ID_FIELD = {"id": {"type": "id_number", "label": LABEL}, "diet": {"type": "text", "label": LABEL, "personal": True}}
STAFF = ConsentSource.STAFF
CONSENT = {"purpose": "id_number", "granted": True, "text_version": "1"}


@pytest.mark.parametrize(
    "text", ["110105194912310021", "11010519491331002X", "1101051949123100", "01010519491231002X", "x" * 18, ""]
)
def test_what_is_no_identity_number_is_told_by_its_day_and_its_check_character(text: str) -> None:
    assert is_id_number(ID_NUMBER)
    assert not is_id_number(text)


def test_an_identity_number_needs_consent_and_goes_when_it_is_withdrawn() -> None:
    program = a_program(custom_fields=ID_FIELD)
    with pytest.raises(ConsentNeeded):
        a_profile(program, custom={"id": ID_NUMBER})
    profile = a_profile(program, custom={"id": ID_NUMBER, "diet": "kosher"}, consents=[CONSENT])
    assert profile.sealed_custom == {"id", "diet"}
    assert edit(profile, program, tags=["a"]).custom == profile.custom
    withdrawn = edit(profile, program, consents=[{**CONSENT, "granted": False}])
    assert withdrawn.custom == {"diet": "kosher"}
    with pytest.raises(ConsentNeeded):
        edit(withdrawn, program, custom={"id": ID_NUMBER})


def test_a_field_that_becomes_personal_is_sealed_with_the_next_edit_and_one_that_is_gone_stays_sealed() -> None:
    profile = a_profile(custom={"pet": "cat"})
    assert profile.sealed_custom == frozenset()
    personal = a_program(custom_fields={"pet": {"type": "text", "label": LABEL, "personal": True}})
    after = edit(profile, personal, tags=["a"])
    assert after.sealed_custom == {"pet"}
    assert edit(after, a_program(), tags=["b"]).sealed_custom == {"pet"}


# ---------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    "text",
    ["13800138000", "138 0013 8000", "138-0013-8000", "+8613800138000", "+86 138 0013 8000", "+86-138-0013-8000",
     "8613800138000", "008613800138000"],
)  # fmt: skip
def test_a_chinese_mobile_number_has_one_spelling(text: str) -> None:
    assert mobile_number(text, "CN") == "+8613800138000"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("+852 5123 4567", "CN", "+85251234567"),
        ("5123 4567", "HK", "+85251234567"),
        ("(201) 555-0123", "US", "+12015550123"),
        ("07400 123456", "GB", "+447400123456"),
        ("+81 90-1234-5678", "CN", "+819012345678"),
        ("090-1234-5678", "JP", "+819012345678"),
    ],
)
def test_a_mobile_number_is_read_as_its_country_writes_it(text: str, country: str, number: str) -> None:
    assert mobile_number(text, country) == number


@pytest.mark.parametrize(
    "text", ["010-62345678", "02161234567", "400-810-8888", "10086", "1380013800", "138001380000", "12345678901",
             "+9991234567", "+1", ""]
)  # fmt: skip
def test_what_no_mobile_phone_can_have_is_refused(text: str) -> None:
    with pytest.raises(MobileInvalid) as refused:
        mobile_number(text, "CN")
    assert refused.value.facts == {"country": "CN"}


@pytest.mark.parametrize(
    ("text", "address"),
    [("Li@Example.COM", "li@example.com"), ("J\u030c@x.de", "ǰ@x.de"), ("ＬＩ１@Example.com", "li1@example.com")],
)
def test_an_email_address_has_one_spelling(text: str, address: str) -> None:
    assert email_address(text) == address


@given(st.text(max_size=20))
def test_an_email_address_in_its_one_spelling_stays_as_it_is(text: str) -> None:
    assert email_address(email_address(text)) == email_address(text)


@pytest.mark.parametrize(
    "email",
    [
        "a\u200bb@x.cn",
        "a@x\u00ad.cn",
        "a\u3000b@x.cn",
        "a＠b@x.cn",
        "\ufeffa@x.cn",
        "a@x.c\u202en",
        "a\ufffd@x.cn",
        "¨@x.cn",
        "<a@x.com>",
        "a,b@x.com",
        "x@y.com>",
        "a;b@x.com",
        "a(b)@x.com",
        '"a"@x.com',
        "a:b@x.com",
        "a@x.com,y",
        "a@[127.0.0.1]",
        "a@x_y.com",
        "a\\b@x.com",
    ],
)
def test_an_email_address_with_something_invisible_or_a_second_at_is_none(email: str) -> None:
    for model in (EnrolMember, MemberRef, LookUp):
        with pytest.raises(ValidationError):
            model.model_validate_json(json.dumps({"email": email}))


@pytest.mark.parametrize(
    "email", ["o'brien+tag@x.co.uk", "a_b-c.d@x-y.cn", "李明@例子.公司", "a@xn--fsqu00a.cn", "a/b=c@x.de"]
)
def test_an_email_address_that_mail_can_have_is_one(email: str) -> None:
    assert EnrolMember.model_validate_json(json.dumps({"email": email})).email == email


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"card_no": "Ａ１２"}, ("card", "A12")),
        ({"card_no": "e\u0301"}, ("card", "é")),
        ({"email": "Ａ@Ｂ.cn"}, ("email", "a@b.cn")),
        ({"external_ids": [{"source": "x", "id": "e\u0301"}]}, ("ext", "x:é")),
    ],
)
def test_an_identifier_is_kept_in_one_spelling(written: dict[str, Any], kept: tuple[str, str]) -> None:
    assert identifiers(a_profile(**{"card_no": None, **written}).contact) == [kept]
    if "external_ids" not in written:
        assert identifiers(edit(a_profile(), **{"card_no": None, **written}).contact) == [kept]


def test_an_external_id_is_looked_up_in_the_spelling_in_which_it_is_kept() -> None:
    assert LookUp.model_validate_json(json.dumps({"external_id": "x:e\u0301"})).external_id == "x:é"
    for text in ("x:a\u200bb", "x:\u3000", "x:\u0958" + "\u0958" * 63):
        with pytest.raises(ValidationError):
            LookUp.model_validate_json(json.dumps({"external_id": text}))


def test_what_nobody_else_may_have() -> None:
    contact = Contact(
        name="李",
        mobile="+8613800138000",
        email="li@example.com",
        card_no="C1",
        external_ids=(ExternalId(source="wechat", id="o:1"), ExternalId(source="pos", id="2")),
        birth_year=1990,
    )
    assert identifiers(contact) == [
        ("mobile", "+8613800138000"),
        ("email", "li@example.com"),
        ("card", "C1"),
        ("ext", "wechat:o:1"),
        ("ext", "pos:2"),
    ]
    kinds = {kind: taken(kind) for kind, _ in identifiers(contact)}
    assert [each.detail.removeprefix("Another member has this ") for each in kinds.values()] == [
        "mobile number.", "e-mail address.", "card number.", "external id.",
    ]  # fmt: skip
    assert [(type(each), each.facts) for each in kinds.values()] == [
        (MobileTaken, {"field": "mobile"}),
        (EmailTaken, {"field": "email"}),
        (CardTaken, {"field": "card_no"}),
        (ExternalIdTaken, {"field": "external_ids"}),
    ]


def test_a_member_needs_something_that_tells_them_from_others() -> None:
    with pytest.raises(IdentifierNeeded):
        a_profile(card_no=None)
    with pytest.raises(IdentifierNeeded):
        edit(a_profile(card_no="C1"), card_no=None)
    assert edit(a_profile(card_no="C1"), card_no=None, email="A@b.de").contact.email == "a@b.de"


@pytest.mark.parametrize("fields", [{}, {"mobile": "13800138000", "card_no": "1"}])
def test_a_member_is_named_by_exactly_one_identifier(fields: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="name exactly one of"):
        a_member_ref(**fields)
    assert isinstance(a_member_ref(card_no="1"), MemberRef)


# ---------------------------------------------------------------- custom fields


@pytest.mark.parametrize(
    ("field", "fits", "wrong", "expected"),
    [
        ("pet", ["cat", "猫"], ["", 1, True], "text"),
        ("children", [0, -3, 10**15], [True, "1", 10**15 + 1], "a whole number from -10^15 to 10^15"),
        ("vegan", [True, False], [1, 0, "true"], "true or false"),
        ("wedding", ["2024-02-29"], ["2026-02-29", "20240229", "2024-2-9", "2024-W09-4", "", 20240229],
         "a day, YYYY-MM-DD"),
        ("size", ["S", "M"], ["s", "", "L", 1], "one of S, M"),
    ],
)  # fmt: skip
def test_a_custom_field_takes_what_its_type_says(field: str, fits: list[Any], wrong: list[Any], expected: str) -> None:
    for value in fits:
        assert custom_values({}, {field: value}, PROGRAM.custom_fields) == {field: value}
    for value in wrong:
        with pytest.raises(CustomFieldInvalid) as refused:
            custom_values({}, {field: value}, PROGRAM.custom_fields)
        assert refused.value.facts == {"field": field, "expected": expected}


def test_a_custom_field_that_the_program_does_not_have_is_refused() -> None:
    with pytest.raises(CustomFieldUnknown) as refused:
        custom_values({}, {"gone": None}, PROGRAM.custom_fields)
    assert refused.value.facts == {"field": "gone"}


def test_a_required_custom_field_can_be_changed_but_not_be_missing() -> None:
    program = a_program(custom_fields={"pet": {"type": "text", "label": LABEL, "required": True}})

    for known, changes in [({}, {}), ({"pet": "cat"}, {"pet": None})]:
        with pytest.raises(CustomFieldMissing) as refused:
            custom_values(known, changes, program.custom_fields)
        assert refused.value.facts == {"field": "pet"}
    assert custom_values({"pet": "cat"}, {"pet": "dog"}, program.custom_fields) == {"pet": "dog"}


# ---------------------------------------------------------------- birthdays


@pytest.mark.parametrize("birthday", ["1990-05-20", "2000-02-29", "--02-29", "--12-31", "2026-03-15", "1900-01-01"])
def test_a_birthday_comes_back_as_it_was_given_with_or_without_its_year(birthday: str) -> None:
    profile = a_profile(birthday=birthday)

    assert profile.birthday == birthday
    assert profile.month_day == birthday[-5:]


def test_a_birthday_is_not_in_the_future_by_the_programs_calendar() -> None:
    with pytest.raises(BirthdayInFuture) as refused:
        a_profile(birthday="2026-03-16")
    assert refused.value.facts == {"today": "2026-03-15"}


@pytest.mark.parametrize(
    "birthday", ["1990-02-30", "2001-02-29", "--02-30", "--13-01", "1899-12-31", "90-05-20", "---05-20", "05-20",
                 "1990-5-2"]
)  # fmt: skip
def test_what_is_no_day_is_no_birthday(birthday: str) -> None:
    with pytest.raises(ValidationError):
        EnrolMember.model_validate_json(json.dumps({"card_no": "1", "birthday": birthday}))


# ---------------------------------------------------------------- enrolling and editing


def test_an_enrolment_makes_a_profile_of_everything_in_it() -> None:
    profile = a_profile(
        name="李雷",
        mobile="138 0013 8000",
        email="Li@Example.com",
        card_no="C1",
        external_ids=[{"source": "wechat", "id": "o1"}] * 2,
        gender="male",
        language="en",
        birthday="1990-05-20",
        shop_id="shp_main",
        source="till",
        referral_code="R1",
        tags=["a", "b", "a"],
        custom={"pet": "cat"},
        consents=[{"purpose": "sms", "granted": True, "text_version": "1"}],
        bank_cards=[{"bank": "工商银行", "last_four": "0001"}],
    )

    assert profile.model_dump(mode="json") == {
        "member_id": "mem_ob6l37hmin3qzvmv",
        "member_number": "000000005724",
        "contact": {
            "name": "李雷",
            "mobile": "+8613800138000",
            "email": "li@example.com",
            "card_no": "C1",
            "external_ids": [{"source": "wechat", "id": "o1"}],
            "birth_year": 1990,
            "others": [],
            "former": [],
            "bank_cards": [{"bank": "工商银行", "last_four": "0001", "token": None}],
        },
        "gender": "male",
        "language": "en",
        "month_day": "05-20",
        "region": "CN",
        "shop_id": "shp_main",
        "source": "till",
        "referral_code": "R1",
        "tags": ["a", "b"],
        "custom": {"pet": "cat"},
        "sealed_custom": [],
        "consents": [
            {
                "purpose": "sms",
                "channel": None,
                "granted": True,
                "text_version": "1",
                "at": "2026-03-15T04:00:00Z",
                "source": "staff",
            }
        ],
        "suppressed": [],
        "contact_changed": None,
        "joined_at": "2026-03-15T04:00:00Z",
        "version": 1,
    }


def test_an_edit_changes_what_it_names_and_nothing_else() -> None:
    profile = a_profile(name="李雷", mobile="13800138000", birthday="1990-05-20", tags=["a"], custom={"pet": "cat"})

    after = edit(profile, name="李磊")

    contact = profile.contact.model_copy(update={"name": "李磊"})
    assert after == profile.model_copy(update={"contact": contact, "version": 2})


def test_null_clears_and_custom_fields_and_consents_change_by_name() -> None:
    consents = [{"purpose": purpose, "granted": True, "text_version": "1"} for purpose in ("sms", "email")]
    profile = a_profile(
        card_no="C1", mobile="13800138000", email="a@b.de", gender="female", language="zh", birthday="1990-05-20",
        shop_id="shp_main", tags=["a"], custom={"pet": "cat", "children": 2}, consents=consents,
    )  # fmt: skip

    after = edit(
        profile, name=None, mobile=None, email=None, gender=None, language=None, birthday=None, shop_id=None,
        tags=None, custom={"pet": None, "vegan": True},
        consents=[{"purpose": "sms", "granted": False, "text_version": "2"}],
    )  # fmt: skip

    assert after == profile.model_copy(
        update={
            "contact": Contact(card_no="C1"),
            "gender": None,
            "language": None,
            "month_day": None,
            "region": None,
            "shop_id": None,
            "tags": (),
            "custom": {"children": 2, "vegan": True},
            "consents": (
                Consent(purpose="sms", granted=False, text_version="2", at=NOON + timedelta(hours=1), source=STAFF),
                Consent(purpose="email", granted=True, text_version="1", at=NOON, source=STAFF),
            ),
            "version": 2,
        }
    )


def test_an_edit_that_names_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="name at least one field to change"):
        EditMember.model_validate_json('{"version": 1, "dry_run": true}')
