"""Templates of tests, which say the member's name."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Written:
    """See `ports.Rendered`."""

    text: str
    subject: str = ""
    html: str = ""
    template_code: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    signature: str = ""
    missing: tuple[str, ...] = ()


class Words:
    """Templates that say the member's name.

    Attributes:
        missing: fields that nobody has a value for.
    """

    needed = frozenset({"name"})

    def __init__(self, missing: tuple[str, ...] = ()) -> None:
        self.missing = missing

    def renderer(self, template_id: str, version: int, language: str, provider: str) -> "Words":
        """See `ports.Words`."""
        return self

    def language(self, template_id: str, version: int, own: str, program: str) -> str:
        """See `ports.Words`."""
        return own or program

    def filled(self, values: Mapping[str, str]) -> Written:
        """See `ports.Renderer`."""
        return Written(values["name"], missing=self.missing)
