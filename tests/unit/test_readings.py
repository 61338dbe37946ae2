"""Numbers and addresses in what somebody typed are found however they are written, by all who look for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.cards import holds_bank_card
from chalicelib.kernel.readings import readings
from chalicelib.trail.rules import masked

MOBILE = "13800138000"
CHINESE = str.maketrans("0123456789", "〇一二三四五六七八九")


@pytest.mark.parametrize(
    "written",
    [
        MOBILE, "138 0013 8000", "138-0013-8000", "138) 0013.8000", "138 - 0013 - 8000", "138–0013–8000",
        "138\u00a00013\u00a08000", "138&nbsp;0013&nbsp;8000",
        "&#49;3800138000", "\u200b".join(MOBILE), "1\u00ad3800138000", "1\u31643800138000",
        MOBILE.translate(CHINESE), "壹叁捌零零壹叁捌零零零", "１３８００１３８０００", "①③⑧⓪⓪①③⑧⓪⓪⓪", "١٣٨٠٠١٣٨٠٠٠",
        "".join(chr(0x1D7CE + int(digit)) for digit in MOBILE),
    ],
)  # fmt: skip
def test_a_number_that_somebody_typed_is_masked_however_it_is_written(written: str) -> None:
    assert masked(f"王：{written}，再打") == "王：…，再打"


@pytest.mark.parametrize("at", ["@", "＠", "﹫", "&#64;", "\u200b@\u200b"])
def test_an_address_is_masked_however_it_is_written(at: str) -> None:
    assert masked(f"write to wang{at}corp.com now") == "write to …@… now"
    assert masked(f"写给 王{at}公司.中国 吧") == "写给 …@… 吧"


@pytest.mark.parametrize(
    "text",
    [
        "", "gave 1,000 points", "三人，一千二百分", "2 & 3; 四五", "AT&T &c; shop 12", "第３号　店", "x² + y²",
        "call at 12:30, till 4", "a &unknown; b",
    ],
)  # fmt: skip
def test_all_else_stays_as_it_was_typed(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize("gap", ["&nbsp;", "\u00a0", "&#160;", "&#x2009;", "\u3164", "\u2800", "&ensp;"])
def test_a_card_number_copied_from_a_page_is_found(gap: str) -> None:
    assert holds_bank_card(gap.join(("4111", "1111", "1111", "1111")))


@given(st.text(max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    masked(text)
    places = [(start, end) for _, start, end in readings(text)]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in places)
