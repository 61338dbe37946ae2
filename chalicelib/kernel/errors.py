"""Refusals (expected, the caller's to mend) and trouble (passing, safe to try again)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar


class Refusal(Exception):
    """What was asked for cannot be had, and the reason is known.

    A subclass is named for what happened, takes facts, and writes its own sentence. `code` follows from the name.
    """

    code: ClassVar[str] = "refusal"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


def refusal_of(code: str, detail: str, facts: Mapping[str, Any]) -> Refusal:
    """A refusal that another process made, from its code, its words and its facts.

    Raises:
        LookupError: no refusal has this code.
    """
    for kind in _kinds(Refusal):
        if kind.code == code:
            refusal = kind.__new__(kind)
            Refusal.__init__(refusal, detail, **facts)
            return refusal
    raise LookupError(f"no refusal has the code {code}")


def _kinds(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


class Trouble(Exception):
    """Something beyond us is slow or busy; trying again later is safe.

    Args:
        retry_after: seconds to wait before the next try.
    """

    code: ClassVar[str] = "trouble"

    def __init_subclass__(cls) -> None:
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class WriteContended(Trouble):
    """Other writes kept getting there first; the same request may simply be sent again."""

    def __init__(self) -> None:
        super().__init__("Other writes to the same account kept getting there first. Send the request again.")


class StorageBusy(Trouble):
    """The database is throttling or out of reach; the same request may simply be sent again."""

    def __init__(self, detail: str = "The database is busy. Send the request again.") -> None:
        super().__init__(detail)


class LaneSlow(Trouble):
    """Many commands wait for the same account, and this one got no answer in time; it may simply be sent again."""

    def __init__(self) -> None:
        super().__init__(
            "Many commands wait for the same account, and this one got no answer in time. Send the request again.",
            retry_after=2,
        )
