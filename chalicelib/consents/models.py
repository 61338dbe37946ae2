"""Texts of consents, and the command that publishes one."""

from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, model_validator

from chalicelib.kernel.languages import Language
from chalicelib.kernel.records import Line, Passage, Record, Reference, Slug


class ContactChannel(StrEnum):
    """How a member can be reached."""

    SMS = "sms"
    EMAIL = "email"
    WECHAT = "wechat"
    PHONE = "phone"
    APP = "app"
    POST = "post"


class TextName(Record):
    """Names a text of a consent."""

    purpose: Slug
    channel: ContactChannel | None = None
    """None: it asks for all channels."""
    text_version: Reference

    @property
    def known_as(self) -> tuple["TextName", ...]:
        """The texts that a consent of this name can have been given to: its channel's own, or the one for all."""
        return (self,) if self.channel is None else (self, self.model_copy(update={"channel": None}))


class ConsentWords(TextName):
    """What a text says."""

    zh: Passage
    en: Passage
    title_zh: Line | None = None
    """What members call the purpose, on the page of their preferences."""
    title_en: Line | None = None


class PublishConsentText(ConsentWords):
    """Publish a text that members are asked to consent to. It can never be changed; a newer one takes its place."""

    @model_validator(mode="after")
    def _named_in_both(self) -> Self:
        if (self.title_zh is None) != (self.title_en is None):
            raise ValueError("title_zh and title_en go together: the page of preferences is in both languages")
        return self


class ConsentText(ConsentWords):
    """A text as it was published."""

    published_at: AwareDatetime

    def title(self, language: Language) -> str | None:
        """What members call the purpose in a language, where that was said."""
        return self.title_zh if language is Language.ZH else self.title_en

    def words(self, language: Language) -> str:
        """What members are asked, in a language."""
        return self.zh if language is Language.ZH else self.en


class ConsentTextView(ConsentText):
    """A text as it was published, and whether it is the one to ask by."""

    in_force: bool
    """Whether it is the newest for its purpose and channel. Consents to earlier ones still count."""
