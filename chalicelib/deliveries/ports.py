"""What sending needs of its neighbours, as narrow as it is needed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from chalicelib.deliveries.models import Gift, Outcome


class Rendered(Protocol):
    """A message in words."""

    @property
    def subject(self) -> str:
        """Empty for channels without."""

    @property
    def text(self) -> str:
        """Plain text."""

    @property
    def html(self) -> str:
        """Empty for channels without."""

    @property
    def params(self) -> Mapping[str, str]:
        """For channels whose provider has the words and is told what to fill in."""


Renderer = Callable[[Mapping[str, str]], Rendered]
"""Renders one template in one language, compiled once."""


class Words(Protocol):
    """Where templates come from."""

    def renderer(self, template_id: str, version: int, language: str) -> Renderer:
        """Compile a version of a template in a language.

        Raises:
            LookupError: there is none.
        """

    def template_code(self, template_id: str, version: int, language: str, provider: str) -> str:
        """What the provider calls it; empty where it has no name there."""


class Standing(Protocol):
    """What is known of a member just now."""

    @property
    def why_not(self) -> Outcome | None:
        """Why they may not be written to; None when they may."""

    @property
    def contact(self) -> Mapping[str, Any]:
        """Contact data, opened."""


class Reach(Protocol):
    """Who may be written to, and who has changed."""

    def changed(self, since: datetime, now: datetime) -> frozenset[str]:
        """Members of whom something that matters to sending changed since then: consistent, so that whatever was
        acknowledged before this call is in it.
        """

    def standing(self, member_ids: Sequence[str], purpose: str, channel: str, now: datetime) -> Mapping[str, Standing]:
        """What is known of members just now, read consistently: status, consent, suppression, address."""


class Giver(Protocol):
    """Gives what comes with a message."""

    def give(self, key: str, member_id: str, gift: Gift, now: datetime) -> bool:
        """Give it, once for the key, whoever asks how often; False: this member cannot be given it.

        Raises:
            Trouble: try again.
        """
