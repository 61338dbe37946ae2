"""Money in whole minor units, and points."""

from typing import Annotated

from pydantic import Field, StringConstraints

POINTS_MAX = 10**12
"""More points than any member can hold; far below 2**53, where a browser's numbers lose their last digits."""

MINOR_MAX = 10**12
"""The largest amount a single purchase may name, in minor units."""

Points = Annotated[int, Field(ge=-POINTS_MAX, le=POINTS_MAX)]
"""A whole number of points, either way."""

SomePoints = Annotated[int, Field(ge=1, le=POINTS_MAX)]
"""At least one point."""

Minor = Annotated[int, Field(ge=0, le=MINOR_MAX)]
"""An amount of money in minor units (fen, cents), never negative."""

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""ISO 4217 alphabetic code."""

# ISO 4217 exponents that are not 2.
_EXPONENTS = {
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
}
_SIGNS = {
    "CNY": "¥",
    "JPY": "JP¥",
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "HKD": "HK$",
    "TWD": "NT$",
    "SGD": "S$",
}


def exponent(currency: str) -> int:
    """How many decimal places a currency's minor unit stands for (ISO 4217)."""
    return _EXPONENTS.get(currency, 2)


def shown(minor: int, currency: str) -> str:
    """An amount as people write it: 1234 CNY → `¥12.34`."""
    places = exponent(currency)
    whole, rest = divmod(abs(minor), 10**places)
    sign = _SIGNS.get(currency, currency + " ")
    digits = f"{whole:,}" + (f".{rest:0{places}d}" if places else "")
    return ("-" if minor < 0 else "") + sign + digits
