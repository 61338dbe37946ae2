"""Texts of consents, and the command that publishes one."""

from enum import StrEnum

from pydantic import AwareDatetime

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


class PublishConsentText(TextName):
    """Publish a text that members are asked to consent to. It can never be changed; a newer one takes its place."""

    zh: Passage
    en: Passage
    title_zh: Line | None = None
    """What members call the purpose, on the page of their preferences."""
    title_en: Line | None = None


class ConsentText(PublishConsentText):
    """A text as it was published."""

    published_at: AwareDatetime

    def title(self, language: Language) -> str | None:
        """What members call the purpose in a language; in the other one where there is no name in this."""
        names = (self.title_zh, self.title_en)
        return (names[0] or names[1]) if language is Language.ZH else (names[1] or names[0])

    def words(self, language: Language) -> str:
        """What members are asked, in a language."""
        return self.zh if language is Language.ZH else self.en


class ConsentTextView(ConsentText):
    """A text as it was published, and whether it is the one to ask by."""

    in_force: bool
    """Whether it is the newest for its purpose and channel. Consents to earlier ones still count."""
