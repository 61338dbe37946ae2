"""Who brings what, as settings say it: one JSON document, read strictly, and a second one of secrets.

    REGULARS_PROVIDERS         {"sms": {"by": "aliyun", "access_key_id": "…", "signature": "…", "limits": {…}}}
    REGULARS_PROVIDER_SECRETS  {"sms": {"access_key_secret": "…"}}

A secret in the first is refused outside a laptop: settings of a stack are read by many.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from chalicelib.providers.pace import Limits

Channel = Literal["sms", "email", "wechat", "wecom", "app", "webhook"]
CHANNELS: tuple[Channel, ...] = ("sms", "email", "wechat", "wecom", "app", "webhook")

_Text = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Secret = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$"), Field(repr=False)]
_Email = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]
_Price = Annotated[int, Field(ge=0, le=10**9)]
_Topic = Annotated[
    str, StringConstraints(pattern=r"^arn:aws(-cn)?:sns:[a-z0-9-]{3,30}:[0-9]{12}:[A-Za-z0-9_.-]{1,256}$")
]
_Prefix = Annotated[str, StringConstraints(pattern=r"^\+[1-9][0-9]{0,6}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class PaceSettings(_Strict):
    """See `pace.Limits`."""

    rate_per_second: Annotated[int, Field(ge=1, le=100_000)] = 50
    burst: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    cap_micro_a_day: Annotated[int, Field(ge=0, le=10**15)] | None = None
    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    window_seconds: Annotated[int, Field(ge=1, le=3600)] = 60
    cool_seconds: Annotated[int, Field(ge=1, le=3600)] = 30

    def limits(self) -> Limits:
        """As the pacer takes them."""
        return Limits(**self.model_dump())


class _By(_Strict):
    """What all have.

    Attributes:
        limits: how fast, and for how much money.
        price_micro: what a message costs, a part of it for text messages, in millionths of the money that the
            provider is paid in.
    """

    channels: ClassVar[tuple[Channel, ...]] = ()
    secrets: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    """Secrets that it cannot do without."""

    limits: PaceSettings = PaceSettings()
    price_micro: _Price = 0

    @property
    def at_home_in_china(self) -> bool:
        """Whether what it is handed stays in mainland China."""
        return False


class Aliyun(_By):
    """Text messages by Alibaba Cloud.

    Attributes:
        signature: who signs, as registered there, where a message does not say.
        region: where its service is asked.
    """

    channels = ("sms",)
    secrets = ("access_key_secret",)
    needs = secrets

    by: Literal["aliyun"]
    access_key_id: _Text
    access_key_secret: _Secret = ""
    signature: _Text
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}-[a-z0-9-]{1,30}$")] = "cn-hangzhou"

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`: regions outside the mainland begin with cn- only for Hong Kong."""
        return self.region.startswith("cn-") and self.region != "cn-hongkong"


class Tencent(_By):
    """Text messages by Tencent Cloud.

    Attributes:
        app_id: `SmsSdkAppId` of its console.
        signature: who signs, where a message does not say.
    """

    channels = ("sms",)
    secrets = ("secret_key",)
    needs = secrets

    by: Literal["tencent"]
    secret_id: _Text
    secret_key: _Secret = ""
    app_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
    signature: _Text
    region: Annotated[str, StringConstraints(pattern=r"^ap-[a-z]{1,20}$")] = "ap-guangzhou"

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return self.region in ("ap-guangzhou", "ap-beijing", "ap-nanjing")


class Sns(_By):
    """Text messages by SNS of AWS; it signs with the function's own role.

    Attributes:
        sender, entity, template: see `storage.carriers.SnsTexts`.
        promotional: of the kind that is cheaper and less certain to arrive.
        prefixes: beginnings of numbers that may be written to; none: any.
    """

    channels = ("sms",)

    by: Literal["sns"]
    sender: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{0,11}$")] = ""
    entity: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,30}$")] = ""
    template: Annotated[str, StringConstraints(pattern=r"^[0-9]{0,30}$")] = ""
    promotional: bool = True
    prefixes: Annotated[tuple[_Prefix, ...], Field(max_length=50, strict=False)] = ()


class Ses(_By):
    """E-mail by SES of AWS, fifty at a time; it signs with the function's own role.

    Attributes:
        sender: the address that it comes from; SES has verified it or its domain.
        sender_name: shown beside it.
        configuration_set: whose events tell what became of a mail.
        reply_to: where answers go.
    """

    channels = ("email",)

    by: Literal["ses"]
    sender: _Email
    sender_name: Annotated[str, StringConstraints(max_length=60, pattern=r'^[^\x00-\x1f\x7f<>"]*$')] = ""
    configuration_set: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    reply_to: _Email | None = None


class Smtp(_By):
    """E-mail by a mail server.

    Attributes:
        security: `tls` from the first byte, `starttls`, or `none`, which only a laptop may have.
        in_mainland: whether that server is in mainland China; asked where personal data must stay there.
    """

    channels = ("email",)
    secrets = ("password",)

    by: Literal["smtp"]
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["tls", "starttls", "none"] = "starttls"
    user: Annotated[str, StringConstraints(max_length=254)] = ""
    password: _Secret = ""
    sender: _Email
    sender_name: Annotated[str, StringConstraints(max_length=60, pattern=r'^[^\x00-\x1f\x7f<>"]*$')] = ""
    reply_to: _Email | None = None
    in_mainland: bool = False

    @model_validator(mode="after")
    def _signs_in_secretly(self) -> "Smtp":
        if self.user and self.security == "none":
            raise ValueError("a password is not sent in the clear: security is tls or starttls")
        return self

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return self.in_mainland


class Wechat(_By):
    """Template messages of a WeChat official account.

    Attributes:
        app_id: of the account.
    """

    channels = ("wechat",)
    secrets = ("app_secret",)
    needs = secrets

    by: Literal["wechat"]
    app_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    app_secret: _Secret = ""

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return True


class Wecom(_By):
    """Messages of a WeCom application: to people by their user id.

    Attributes:
        corp_id: of the company.
        agent_id: of the application.
    """

    channels = ("wecom",)
    secrets = ("corp_secret",)
    needs = secrets

    by: Literal["wecom"]
    corp_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    agent_id: Annotated[int, Field(ge=1, le=10**10)]
    corp_secret: _Secret = ""

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return True


class Webhook(_By):
    """A gateway of the merchant's own, which is sent each message as JSON, signed (`storage.carriers.Gateway`).

    Attributes:
        url: https, and in the public internet.
        key: of the signature, hexadecimal, 16 bytes or more.
        in_mainland: whether it is in mainland China; asked where personal data must stay there.
    """

    channels = CHANNELS
    secrets = ("key",)
    needs = secrets

    by: Literal["webhook"]
    url: _Text
    key: Annotated[str, StringConstraints(pattern=r"^(([0-9a-f]{2}){16,64})?$"), Field(repr=False)] = ""
    in_mainland: bool = False

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return self.in_mainland


class Outbox(_By):
    """A folder of the archive, where a person can read what would have been sent. Nothing goes out."""

    channels = CHANNELS

    by: Literal["outbox"]

    @property
    def at_home_in_china(self) -> bool:
        """See `_By.at_home_in_china`."""
        return True


By = Aliyun | Tencent | Sns | Ses | Smtp | Wechat | Wecom | Webhook | Outbox
Chosen = Mapping[str, By]
"""By channel."""

_READ: TypeAdapter[dict[Channel, Annotated[By, Field(discriminator="by")]]] = TypeAdapter(
    dict[Channel, Annotated[By, Field(discriminator="by")]]
)


def providers_from(text: str, secrets: str = "", *, local: bool = False, mainland: bool = False) -> dict[str, By]:
    """Who brings what, from the two documents.

    Args:
        local: on a laptop; a secret may stand in the first document, and a mail server needs no encryption.
        mainland: personal data stay in mainland China: who is not at home there is refused.

    Raises:
        ValueError: they do not make sense. Its words name places and never a value.
    """
    asked, hidden = _json(text or "{}", "the providers"), _json(secrets or "{}", "the secrets")
    for channel, own in hidden.items():
        if channel not in asked:
            raise ValueError(f"there are secrets for {channel}, which nobody brings")
        if not isinstance(own, dict) or not isinstance(asked[channel], dict):
            raise ValueError(f"{channel} is no object")
        asked[channel] = {**asked[channel], **own}
    try:
        found = _READ.validate_json(json.dumps(asked))
    except ValidationError as wrong:
        raise ValueError("; ".join(_place(each) for each in wrong.errors(include_input=False))) from None
    for channel, by in found.items():
        _require_sense(channel, by, _given(text).get(channel, ()), hidden.get(channel, {}), local=local)
        if mainland and not by.at_home_in_china:
            raise ValueError(f"{channel}: {by.by} takes personal data out of mainland China, where they have to stay")
    return {str(channel): by for channel, by in found.items()}


class Callback(_Strict):
    """How a provider proves that it is who tells us something.

    Attributes:
        secret: the last part of the address that it was given; 24 characters or more, of chance.
        token: of WeChat, what it signs with besides.
        topics: of SES, the SNS topics that it may come from: their signature is checked besides.
    """

    secret: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{24,100}$"), Field(repr=False)]
    token: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{0,32}$"), Field(repr=False)] = ""
    topics: Annotated[tuple[_Topic, ...], Field(max_length=10, strict=False)] = ()


CALLED_BACK = ("aliyun", "tencent", "wechat", "ses")
"""Providers that tell by HTTP what became of messages."""
Callbacks = Mapping[str, Callback]


def callbacks_from(text: str) -> dict[str, Callback]:
    """Who may tell us what became of messages, by provider.

    Raises:
        ValueError: it does not make sense. Its words name places and never a value.
    """
    asked = _json(text or "{}", "the callbacks")
    try:
        found = TypeAdapter(dict[str, Callback]).validate_json(json.dumps(asked))
    except ValidationError as wrong:
        raise ValueError("; ".join(_place(each) for each in wrong.errors(include_input=False))) from None
    for name, each in found.items():
        if name not in CALLED_BACK:
            raise ValueError(f"{name} tells nothing")
        if bool(each.token) != (name == "wechat"):
            raise ValueError(f"{name}: wechat has a token, no other has")
        if bool(each.topics) != (name == "ses"):
            raise ValueError(f"{name}: ses has topics, no other has")
    return found


def _require_sense(channel: str, by: By, plain: Any, hidden: Mapping[str, Any], *, local: bool) -> None:
    if channel not in by.channels:
        raise ValueError(f"{channel}: {by.by} does not bring that")
    strange = sorted(set(hidden) - set(by.secrets))
    if strange:
        raise ValueError(f"{channel}: {strange[0]} is no secret of {by.by}")
    open_secrets = sorted(set(plain) & set(by.secrets))
    if open_secrets and not local:
        raise ValueError(f"{channel}: {open_secrets[0]} belongs with the secrets")
    if isinstance(by, Smtp) and by.security == "none" and not local:
        raise ValueError(f"{channel}: mail without encryption belongs on a laptop")
    if isinstance(by, Webhook):
        from chalicelib.storage.egress import target_of  # noqa: PLC0415 - few have one

        try:
            target_of(by.url, local=local)
        except ValueError as wrong:
            raise ValueError(f"{channel}: {wrong}") from None


def require_secrets(chosen: Chosen) -> None:
    """See that whoever sends has what it signs in with.

    Raises:
        ValueError: a secret is missing.
    """
    for channel, by in chosen.items():
        for name in by.needs:
            if not getattr(by, name):
                raise ValueError(f"{channel}: {by.by} needs the secret {name}")


def _given(text: str) -> dict[str, Any]:
    given: dict[str, Any] = json.loads(text or "{}")
    return given


def _json(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise ValueError(f"{what} are no JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"{what} are no JSON object")
    return found


def _place(error: Any) -> str:
    return f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
