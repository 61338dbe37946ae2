"""Templates: what they hold, by channel, and the commands that make and change them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Line, Reason, Record, Slug


class TemplateChannel(StrEnum):
    """How what a template says goes out."""

    SMS = "sms"
    EMAIL = "email"
    APP = "app"
    """The inbox of the merchant's own app."""
    WECHAT = "wechat"
    """A template message of a WeChat official account; WeCom, with the text."""
    WEBHOOK = "webhook"
    """JSON to a system of the merchant's."""


VERSION_MAX = 999_999

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
HtmlText = Annotated[str, StringConstraints(min_length=1, max_length=60_000)]
SubjectText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LinkText = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
ValueText = Annotated[str, StringConstraints(min_length=1, max_length=200)]

# ---------------------------------------------------------------- contents


class AliyunTemplate(Record):
    """Which template of Aliyun's to ask for, and what to fill into it."""

    template_code: Annotated[str, StringConstraints(pattern=r"^SMS_[0-9]{1,20}$")]
    params: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,19}$")], ValueText],
        Field(max_length=20),
    ] = {}
    """By the names that the template has there; each text may have fields."""


class TencentTemplate(Record):
    """Which template of Tencent Cloud's to ask for, and what to fill into it, in order."""

    template_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
    params: Annotated[tuple[ValueText, ...], Field(max_length=20)] = ()


class SmsContent(Record):
    """A text message. What Aliyun or Tencent Cloud send is the text that they approved; ours is its wording here."""

    text: ShortText
    """Without the signature. A commercial one gets the words for opting out by reply, where it has none."""
    signature: Annotated[str, StringConstraints(pattern=r"^[^\s【】\[\]{}<>\x00-\x1f]{2,20}$")] | None = None
    """What stands in 【】 before the text."""
    aliyun: AliyunTemplate | None = None
    tencent: TencentTemplate | None = None


class EmailContent(Record):
    """An e-mail."""

    subject: SubjectText
    html: HtmlText
    text: LongText | None = None
    """For readers without HTML; left out: made of the HTML."""


class AppContent(Record):
    """A message in the app."""

    title: SubjectText
    text: ShortText
    url: LinkText | None = None
    """Where it leads."""


class WechatContent(Record):
    """A template message of a WeChat official account."""

    template_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{20,64}$")]
    data: Annotated[
        dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,29}[0-9]{0,2}$")], ValueText],
        Field(min_length=1, max_length=20),
    ]
    """By the names that the template has there: `thing1`, `time2`, `amount3` …"""
    url: LinkText | None = None
    text: ShortText | None = None
    """What WeCom sends, which knows no such templates."""


class WebhookContent(Record):
    """A JSON document; texts in it may have fields, names may not."""

    payload: dict[str, JsonValue]


class SmsContents(Record):
    """A text message in each language."""

    channel: Literal["sms"]
    zh: SmsContent | None = None
    en: SmsContent | None = None


class EmailContents(Record):
    """An e-mail in each language."""

    channel: Literal["email"]
    zh: EmailContent | None = None
    en: EmailContent | None = None


class AppContents(Record):
    """A message in the app in each language."""

    channel: Literal["app"]
    zh: AppContent | None = None
    en: AppContent | None = None


class WechatContents(Record):
    """A WeChat template message in each language."""

    channel: Literal["wechat"]
    zh: WechatContent | None = None
    en: WechatContent | None = None


class WebhookContents(Record):
    """A JSON document in each language."""

    channel: Literal["webhook"]
    zh: WebhookContent | None = None
    en: WebhookContent | None = None


Content = SmsContent | EmailContent | AppContent | WechatContent | WebhookContent
Contents = Annotated[
    SmsContents | EmailContents | AppContents | WechatContents | WebhookContents, Field(discriminator="channel")
]


class Template(Record):
    """A version of a template. Versions are never changed, only followed by the next."""

    template_id: TemplateId
    version: Annotated[int, Field(ge=1, le=VERSION_MAX)]
    name: Line
    purpose: Slug
    """The consent that it needs: `notices` for what is about the member's own account, else it is commercial."""
    contents: Contents
    archived: bool = False
    created_at: AwareDatetime
    changed_at: AwareDatetime

    @property
    def channel(self) -> TemplateChannel:
        """How it goes out."""
        return TemplateChannel(self.contents.channel)

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages in which it says something."""
        return tuple(each for each in Language if getattr(self.contents, each.value) is not None)

    def in_(self, language: Language) -> tuple[Language, Content]:
        """What it says in a language; in the other one, where it does not say it in this."""
        other = Language.EN if language is Language.ZH else Language.ZH
        for each in (language, other):
            content: Content | None = getattr(self.contents, each.value)
            if content is not None:
                return each, content
        raise LookupError("a template has contents in one language at the least")


# ---------------------------------------------------------------- commands and answers


class _Written(Record):
    name: Line
    purpose: Slug
    contents: Contents

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.contents.zh is None and self.contents.en is None:
            raise ValueError("a template needs contents in zh, en or both")
        return self


class CreateTemplate(_Written):
    """Make a template."""

    dry_run: bool = False


class EditTemplate(_Written):
    """Write the next version of a template. What was planned with the one before is sent as that one has it."""

    version: Annotated[int, Field(ge=1, le=VERSION_MAX)]
    """The version that you have read; refused when it was changed since."""
    dry_run: bool = False


class ArchiveTemplate(Record):
    """Take a template out of use for good."""

    dry_run: bool = False


class PreviewTemplate(Record):
    """See what a member would get. It is sent to nobody."""

    language: Language | None = None
    """Left out: the member's, else the program's."""
    version: Annotated[int, Field(ge=1, le=VERSION_MAX)] | None = None
    """Left out: the newest."""
    member_id: MemberId | None = None
    """Left out: somebody made up."""
    provider: Literal["aliyun", "tencent"] | None = None
    """Whose template's parameters to show."""
    unmask_reason: Reason | None = None
    """Why the member's name is to be shown as it is, which is kept; left out: it is masked."""


class SmsSize(Record):
    """How long a text message is."""

    characters: int
    encoding: Literal["gsm7", "ucs2"]
    parts: int
    """So many are paid for."""


class PreviewView(Record):
    """What a member would get."""

    template_id: TemplateId
    version: int
    language: Language
    member_id: MemberId | None
    subject: str
    text: str
    html: str
    url: str
    template_code: str
    params: dict[str, str]
    sms: SmsSize | None
    masked: bool
    """Whether personal data are masked; nobody made up has any."""
    missing: tuple[str, ...]
    """Fields that there is nothing to put in for: the message would not go out."""


class TemplateView(Template):
    """A template, and what it comes to."""

    commercial: bool
    """Whether it needs a consent beforehand and a way to opt out, which it gets where it has none."""
    fields: tuple[str, ...]
    """The fields that it has, and those that are put in with the way to opt out."""
    sms: dict[Language, SmsSize] | None = None
    """How long a text message is with the values of somebody made up."""


class TemplateRow(Record):
    """A template in a list."""

    template_id: TemplateId
    name: str
    purpose: str
    channel: TemplateChannel
    languages: tuple[Language, ...]
    version: int
    archived_at: AwareDatetime | None = None
    created_at: AwareDatetime
    changed_at: AwareDatetime


class Head(TemplateRow):
    """What is kept of a template beside its versions."""

    content: bytes
    """What tells the command that made it from another."""
    turn: int
    """Counts the writes of it; archiving is one, and makes no version."""


class TemplatesAsked(Paging):
    """Which templates."""

    channel: Literal["sms", "email", "app", "wechat", "webhook"] | None = None


class TemplateAsked(Record):
    """Which version of a template."""

    version: int | None = Field(default=None, ge=1, le=VERSION_MAX)
    """Left out: the one in force."""


class FieldView(Record):
    """A field that a template may have."""

    field: str
    sort: str
    personal: bool
    """Whether it tells who somebody is: previews mask it, and no address has it."""
    sample: dict[Language, str]


class TemplateFields(Record):
    """The fields that a template may have."""

    items: tuple[FieldView, ...]
    next_cursor: None = None


# ---------------------------------------------------------------- what goes out


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a member is written.

    Attributes:
        language: in which; the other one, where the template has nothing in the one asked for.
        text: as it is sent; of a webhook the JSON document.
        url: where a message in the app or in WeChat leads.
        template_code: the provider's template, where it is one of theirs; `params` then fills it, in order.
        signature: of a text message; it stands at the beginning of `text`, too.
        missing: fields that there was nothing to put in for: it must not be sent.
    """

    language: Language
    subject: str = ""
    text: str = ""
    html: str = ""
    url: str = ""
    template_code: str = ""
    params: dict[str, str] = field(default_factory=dict)
    signature: str = ""
    missing: tuple[str, ...] = ()
