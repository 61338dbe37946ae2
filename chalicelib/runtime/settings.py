"""The environment, read once and typed."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.identity.pace import Rates, rates_from

if TYPE_CHECKING:
    from chalicelib.identity.issuers import Issuer
    from chalicelib.providers.settings import Callbacks, Chosen

LOCAL_STAGES = ("local", "test")
_GATEWAY_KEY_MIN = 16


class SettingsWrong(Exception):
    """The environment does not make sense; the process must not start."""


@dataclass(frozen=True, slots=True)
class CarrierSettings:
    """Who brings codes to members.

    Attributes:
        sms: `sns`, `gateway`, or empty: nobody brings text messages.
        mail: `ses`, `gateway`, or empty: nobody brings e-mail.
        sms_sender, sms_entity, sms_template: see `storage.carriers.SnsTexts`.
        sms_prefixes: beginnings of numbers that may be written to; none: whatever the program allows.
        mail_from: the address that e-mail comes from.
        gateway_url, gateway_key: the merchant's own gateway, and what messages to it are signed with.
    """

    sms: str = ""
    mail: str = ""
    sms_sender: str = ""
    sms_entity: str = ""
    sms_template: str = ""
    sms_prefixes: tuple[str, ...] = ()
    mail_from: str = ""
    gateway_url: str = ""
    gateway_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says.

    Attributes:
        stage: `local`, `test`, `dev`, `stg` or `prod`.
        stack: prefix of the stack's resources: its table is `<stack>-core`.
        index_key: for blind indexes of identifiers; empty in a function that is not given it.
        cursor_key: signs cursors; empty in a function that is not given it.
        token_key: verifies bearer tokens of the local stack; empty elsewhere.
        issuer: our own, of members' tokens and of the local stack's.
        issuers: those that staff sign in with.
        endpoint: where everything but DynamoDB answers, and DynamoDB too when it has no endpoint of its own.
        job_queue: URL of the queue of job work.
        retention_queue: URL of the queue of the job `retention`, which has a function of its own.
        lane_queue: URL of the FIFO queue of commands on hot accounts; without it all are carried out directly.
        lake_queue: URL of the queue that asks for a patch of the lake.
        segments_queue: URL of the queue that asks to look at live segments; without it nobody does after a patch.
        functions_endpoint: where functions are asked; the region's own, or that of everything else, when None.
        lake_scratch: a folder for what of the lake does not fit into memory.
        lake_memory_mb: what the lake's engine may use; in Lambda what the function has, less what the rest takes.
        send_queue: URL of the queue of parts of runs that are to be sent.
        journey_queue: URL of the queue of those in journeys for whom there is something to do.
        bus: name of the event bus.
        archive: name of the archive bucket, or `file:///…` of a folder on a laptop.
        roots: name of the bucket of roots and reports, which is written once, or `file:///…` likewise.
        signing_key: ARN of the key that signs receipts and roots, or `file:///…` likewise.
        session_key: ARN of the key that signs members' access tokens, or `file:///…` likewise.
        other_index_key: while the index key is being replaced, the other of the two; else empty.
        content_key: what enrolments' content is told apart with; empty for the index key.
        rates: how often a minute callers may call this process; None, on a laptop: as often as they like.
        vault_key: ARN of the key that wraps the keys of the vault, or `file:///…` likewise.
        carriers: who brings codes to members.
        opt_out_key: what opt-out links are signed with in a stack; empty where one is made of the index key.
        providers: who brings messages of campaigns and notices, by channel; empty in a function that sends none.
        callbacks: who may tell what became of messages, by provider; empty in a function that nobody tells.
        public_url: under which people reach the API, `https://…` without a slash at the end; empty: links are paths.
    """

    stage: str
    stack: str
    region: str
    dynamodb_endpoint: str | None
    index_key: bytes
    cursor_key: bytes
    token_key: bytes
    issuer: str
    audience: str
    endpoint: str | None = None
    job_queue: str | None = None
    retention_queue: str | None = None
    lane_queue: str | None = None
    lake_queue: str | None = None
    segments_queue: str | None = None
    functions_endpoint: str | None = None
    lake_scratch: str = ""
    lake_memory_mb: int = 1024
    bus: str | None = None
    archive: str | None = None
    roots: str | None = None
    signing_key: str | None = None
    issuers: "tuple[Issuer, ...]" = ()
    session_key: str | None = None

    @property
    def member_issuer(self) -> str:
        """Who issues members' access tokens: this stack, and what another one issues is not taken here."""
        return f"urn:regulars:{self.stack}:members"

    vault_key: str | None = None
    other_index_key: bytes = b""
    content_key: bytes = b""
    rates: Rates | None = None
    carriers: CarrierSettings = CarrierSettings()
    opt_out_key: bytes = b""
    public_url: str = ""
    providers: "Chosen" = field(default_factory=dict)
    callbacks: "Callbacks" = field(default_factory=dict)
    send_queue: str | None = None
    journey_queue: str | None = None

    @property
    def signs_opt_outs(self) -> bool:
        """Whether there is a key for opt-out links."""
        return bool(self.opt_out_key or self.index_key)

    @property
    def core_table(self) -> str:
        """Name of table `core`."""
        return f"{self.stack}-core"

    @property
    def ops_table(self) -> str:
        """Name of table `ops`."""
        return f"{self.stack}-ops"

    @property
    def vault_table(self) -> str:
        """Name of table `vault`."""
        return f"{self.stack}-vault"


def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsWrong: something that every function needs is missing, or local means are used outside a laptop.
    """
    stage = _needed("REGULARS_STAGE")
    index_key, cursor_key, token_key, other_index_key, content_key = _keys(stage)
    archive = _place("ARCHIVE", "an archive in a local folder", stage)
    roots = _place("ROOTS", "a store of roots in a local folder", stage)
    signing_key = _place("SIGNING_KEY", "a signing key in a local file", stage)
    session_key = _place("SESSION_KEY", "a session key in a local file", stage)
    vault_key = _place("VAULT_KEY", "a key of the vault in a local file", stage)
    return Settings(
        stage=stage,
        stack=_needed("REGULARS_STACK"),
        region=_needed("AWS_REGION"),
        dynamodb_endpoint=os.environ.get("DYNAMODB_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL") or None,
        index_key=index_key,
        cursor_key=cursor_key,
        token_key=token_key,
        issuer=_needed("REGULARS_ISSUER"),
        audience=_needed("REGULARS_AUDIENCE"),
        endpoint=os.environ.get("AWS_ENDPOINT_URL") or None,
        job_queue=os.environ.get("REGULARS_JOB_QUEUE") or None,
        retention_queue=os.environ.get("REGULARS_RETENTION_QUEUE") or None,
        lane_queue=os.environ.get("REGULARS_LANE_QUEUE") or None,
        send_queue=os.environ.get("REGULARS_SEND_QUEUE") or None,
        journey_queue=os.environ.get("REGULARS_JOURNEY_QUEUE") or None,
        lake_queue=os.environ.get("REGULARS_LAKE_QUEUE") or None,
        segments_queue=os.environ.get("REGULARS_SEGMENTS_QUEUE") or None,
        functions_endpoint=os.environ.get("REGULARS_FUNCTIONS_ENDPOINT") or None,
        lake_scratch=os.environ.get("REGULARS_LAKE_SCRATCH") or "",
        lake_memory_mb=_lake_memory(),
        bus=os.environ.get("REGULARS_BUS") or None,
        archive=archive,
        roots=roots,
        signing_key=signing_key,
        issuers=_issuers(stage),
        session_key=session_key,
        vault_key=vault_key,
        other_index_key=other_index_key,
        content_key=content_key,
        rates=_rates(stage),
        carriers=_carriers(stage),
        opt_out_key=bytes.fromhex(os.environ.get("REGULARS_OPT_OUT_KEY", "")),
        public_url=_public_url(stage),
        providers=_providers(stage),
        callbacks=_callbacks(),
    )


def _callbacks() -> "Callbacks":
    """Who may tell what became of messages."""
    text = os.environ.get("REGULARS_CALLBACKS")
    if not text or text == "{}":
        return {}
    from chalicelib.providers.settings import callbacks_from  # noqa: PLC0415 - models that only the API needs

    try:
        return callbacks_from(text)
    except ValueError as wrong:
        raise SettingsWrong(f"REGULARS_CALLBACKS: {wrong}") from None


def _providers(stage: str) -> "Chosen":
    """Who brings messages; nothing of it is loaded in a process that is told of nobody."""
    text = os.environ.get("REGULARS_PROVIDERS")
    if not text or text == "{}":
        return {}
    from chalicelib.providers.settings import providers_from, require_secrets  # noqa: PLC0415 - see above

    secrets, residency = os.environ.get("REGULARS_PROVIDER_SECRETS", ""), os.environ.get("REGULARS_RESIDENCY", "")
    if residency not in ("", "mainland_china"):
        raise SettingsWrong("REGULARS_RESIDENCY is mainland_china or empty")
    try:
        mainland = bool(residency) or os.environ.get("AWS_REGION", "").startswith("cn-")
        chosen = providers_from(text, secrets, local=stage in LOCAL_STAGES, mainland=mainland)
        require_secrets(chosen)
    except ValueError as wrong:
        raise SettingsWrong(f"REGULARS_PROVIDERS: {wrong}") from None
    return chosen


_BESIDE_THE_ENGINE_MB = 400
_LAKE_MEMORY_MB = 1024


def _lake_memory() -> int:
    """What the lake's engine may use, in MB. Lambda says what a function has."""
    has = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "")
    if has.isdecimal():
        return max(int(has) * 3 // 4 - _BESIDE_THE_ENGINE_MB, 256)
    said = os.environ.get("REGULARS_LAKE_MEMORY", "")
    return int(said) if said.isdecimal() else _LAKE_MEMORY_MB


def _public_url(stage: str) -> str:
    """Where people reach the API. What would lead a reader elsewhere than they think is refused."""
    url = os.environ.get("REGULARS_PUBLIC_URL", "").rstrip("/")
    if url and not url.startswith("https://") and stage not in LOCAL_STAGES:
        raise SettingsWrong(f"REGULARS_PUBLIC_URL: {url} is not https")
    return url


def _carriers(stage: str) -> CarrierSettings:
    """Who brings codes; what a chosen carrier cannot do without must be there before the first member asks."""

    def said(name: str) -> str:
        return os.environ.get(f"REGULARS_{name}", "")

    sms, mail, url, key = said("SMS_BY"), said("MAIL_BY"), said("GATEWAY_URL"), bytes.fromhex(said("GATEWAY_KEY"))
    if sms not in ("", "sns", "gateway") or mail not in ("", "ses", "gateway"):
        raise SettingsWrong("REGULARS_SMS_BY is sns, gateway or empty, REGULARS_MAIL_BY is ses, gateway or empty")
    if mail == "ses" and not said("MAIL_FROM"):
        raise SettingsWrong("REGULARS_MAIL_BY=ses needs REGULARS_MAIL_FROM")
    if "gateway" in (sms, mail):
        from chalicelib.storage.egress import target_of  # noqa: PLC0415 - few have one

        try:
            target_of(url, local=stage in LOCAL_STAGES)
        except ValueError as wrong:
            raise SettingsWrong(f"REGULARS_GATEWAY_URL: {wrong}") from None
        if len(key) < _GATEWAY_KEY_MIN:
            raise SettingsWrong(f"REGULARS_GATEWAY_KEY has less than {_GATEWAY_KEY_MIN} bytes")
    return CarrierSettings(
        sms=sms,
        mail=mail,
        sms_sender=said("SMS_SENDER"),
        sms_entity=said("SMS_ENTITY"),
        sms_template=said("SMS_TEMPLATE"),
        sms_prefixes=tuple(filter(None, said("SMS_PREFIXES").split(","))),
        mail_from=said("MAIL_FROM"),
        gateway_url=url,
        gateway_key=key,
    )


def _rates(stage: str) -> Rates | None:
    """How often callers may call; on a laptop, where one token replays a year, only where it is asked for."""
    text = os.environ.get("REGULARS_RATES")
    if text is None and stage in LOCAL_STAGES:
        return None
    try:
        return rates_from(text or "")
    except ValueError as wrong:
        raise SettingsWrong(f"REGULARS_RATES: {wrong}") from None


def _issuers(stage: str) -> "tuple[Issuer, ...]":
    """The issuers that staff sign in with; functions that nobody calls with a token are given none."""
    text = os.environ.get("REGULARS_ISSUERS")
    if not text or text == "[]":
        return ()
    from chalicelib.identity.issuers import issuers_from  # noqa: PLC0415 - models that only the API needs

    try:
        return issuers_from(text, own=_needed("REGULARS_ISSUER"), local=stage in LOCAL_STAGES)
    except ValueError as wrong:
        raise SettingsWrong(f"REGULARS_ISSUERS: {wrong}") from None


def _place(name: str, what: str, stage: str) -> str | None:
    """Where something is kept: a name in AWS, or a place on a laptop."""
    place = os.environ.get(f"REGULARS_{name}") or None
    if place and place.startswith("file:") and stage not in LOCAL_STAGES:
        raise SettingsWrong(f"{what} is refused in stage {stage}: it belongs on a laptop")
    return place


def _needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsWrong(f"the environment variable {name} is not set")
    return value


def _keys(stage: str) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Index, cursor, token, other index and content key: from a file on a laptop, from the environment in a stack.

    A function that looks nobody up by an identifier and gives out no cursor is not given these keys: they are empty,
    and `wiring` sees to it that nothing is made with an empty key.
    """
    path = os.environ.get("REGULARS_KEYS_FILE")
    if path is None:
        index_key, cursor_key, other, content = (
            bytes.fromhex(os.environ.get(f"REGULARS_{name}_KEY", ""))
            for name in ("INDEX", "CURSOR", "OTHER_INDEX", "CONTENT")
        )
        return index_key, cursor_key, b"", other, content
    if stage not in LOCAL_STAGES:
        raise SettingsWrong(f"keys from a local file are refused in stage {stage}: they belong on a laptop")
    keys = json.loads(Path(path).read_text())
    index_key, cursor_key, token_key = (bytes.fromhex(keys[name]) for name in ("index_key", "cursor_key", "token_key"))
    other, content = (bytes.fromhex(keys.get(name, "")) for name in ("other_index_key", "content_key"))
    return index_key, cursor_key, token_key, other, content
