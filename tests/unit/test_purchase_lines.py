"""Lines of a purchase in few bytes: everything that a line can hold comes back."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chalicelib.kernel.records import Line, Reference
from chalicelib.purchases.models import PurchaseLine
from chalicelib.purchases.store import packed_lines, unpacked_lines
from tests.makers import a_line

_SPACE = re.compile("[\u0000-\u0020\u007f-\u00a0\u2028\u2029]")


def may_be(kind: Any) -> Callable[[str], bool]:
    """Whether a text may be of a kind, by the kind's own rules: visible, composed, not too long."""
    adapter = TypeAdapter[str](kind)

    def fits(text: str) -> bool:
        try:
            adapter.validate_python(text)
        except ValidationError:
            return False
        return True

    return fits


anything = st.characters(exclude_categories=["Cs"])
texts = st.one_of(
    st.text(st.sampled_from("拿铁咖啡☕😀🥐𠮷ａé한ñ\ue5e5\uffff\U0010ffff,;:|%#\"'\\"), min_size=1, max_size=200),
    st.text(anything, min_size=1, max_size=40),
)
words = texts.filter(may_be(Line))
skus = texts.map(lambda text: text[:64]).filter(may_be(Reference))
lines = st.builds(
    PurchaseLine,
    sku=skus,
    name=st.none() | words,
    category=st.none() | words,
    quantity=st.integers(1, 1_000_000),
    unit_price_minor=st.integers(0, 10**12),
)


@settings(max_examples=80)
@given(st.lists(lines, min_size=1, max_size=12).map(tuple))
def test_lines_come_back_as_they_were(basket: tuple[PurchaseLine, ...]) -> None:
    assert unpacked_lines(packed_lines(basket)) == basket


def test_the_longest_basket_comes_back() -> None:
    line = a_line(sku="𠮷" * 64, name="咖" * 200, category="😀" * 200, quantity=1_000_000, unit_price_minor=10**12)
    assert unpacked_lines(packed_lines((line,) * 200)) == (line,) * 200


def test_every_character_that_a_line_may_hold_comes_back() -> None:
    points = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    allowed = _SPACE.sub("", "".join(map(chr, points)))
    basket = tuple(
        a_line(sku="x", name=allowed[start : start + 200], category=allowed[start + 200 : start + 400] or None)
        for start in range(0, len(allowed), 400)
    )

    assert unpacked_lines(packed_lines(basket)) == basket


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "", "a\u2028b", "a\u0085b"])
def test_what_would_break_a_column_is_no_text_of_a_line(text: str) -> None:
    for field in ("sku", "name", "category"):
        with pytest.raises(ValidationError):
            a_line(**{field: text})


def test_a_basket_of_forty_lines_takes_few_bytes() -> None:
    basket = tuple(
        a_line(sku=f"SKU-{100 + index}", name=f"手冲咖啡{index}号", quantity=1 + index % 3) for index in range(40)
    )
    assert len(packed_lines(basket)) < 500


def test_lines_of_an_unknown_form_are_not_guessed_at() -> None:
    with pytest.raises(ValueError, match="unknown form, 9"):
        unpacked_lines(b"\x09" + packed_lines((a_line(),))[1:])
