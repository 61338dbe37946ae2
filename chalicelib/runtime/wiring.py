"""What a process is made of: tables, queues, bus, files, keys, clock and chance, made once."""

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import unquote, urlsplit

from chalicelib.identity.gate import Gate, Gates, LocalGate
from chalicelib.identity.keys import KeyGate
from chalicelib.identity.members import Issuer, MemberGate
from chalicelib.identity.pace import Pace
from chalicelib.runtime.settings import LOCAL_STAGES, Settings, SettingsWrong, load
from chalicelib.storage.bus import EVENTBRIDGE, Bus, EventBus
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.functions import LAMBDA, PATIENCE, Functions, LambdaFunctions
from chalicelib.storage.keyring import Keyring, SealedContacts, opt_out_mac
from chalicelib.storage.line import Lane, SqsLine
from chalicelib.storage.objects import BucketObjects, Files, FolderObjects, Objects
from chalicelib.storage.places import Bucket, Place
from chalicelib.storage.queues import SQS, Queues, SqsQueues
from chalicelib.storage.signed import Credentials, Service, SignedClient
from chalicelib.storage.signing import KMS, FileSigner, KmsClient, KmsSigner, Signer
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.vault import Keeper, KmsKeeper, LocalKeeper, TableVault, TenantKeys

if TYPE_CHECKING:
    from chalicelib.providers.pace import Limits
    from chalicelib.providers.port import Provider
    from chalicelib.storage.carriers import Carrier

NO_PAGE = "https://no-page.invalid"
"""An origin that no page has. The word `null` would be one: that of pages in a sandbox, anybody's."""


def cors_origin() -> str:
    """The web origin whose pages may call; the routes need it when they are declared, before there is a house.

    On a laptop any; in a stack the one that is configured, or none.
    """
    return os.environ.get("REGULARS_CORS_ORIGIN") or ("*" if on_a_laptop() else NO_PAGE)


def on_a_laptop() -> bool:
    """Whether this is `make run` or a test; asked before there is a house, and where there cannot be one."""
    return os.environ.get("REGULARS_STAGE") in LOCAL_STAGES


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def draw() -> int:
    """Chance: a random whole number below 2**64."""
    return secrets.randbits(64)


class _Missing:
    """Stands where something was not given; using it says what is missing.

    So a function starts with the part of the environment that it needs.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise SettingsWrong(self._why)


def _missing(variable: str) -> Any:
    return _Missing(f"the environment variable {variable} is not set")


def _not_made(what: str) -> Any:
    return _Missing(f"this house was made without {what}")


@dataclass(frozen=True)
class House:
    """Everything a request or a job needs from outside.

    Attributes:
        table: `core`, where the product's records are.
        ops: what jobs and consumers keep for themselves, much of it for a while only.
        roots: files that are written once: signed roots, heads, reports.
        lane: the way of commands on hot accounts; None where all are carried out directly.
        gate: tells who is calling.
        issuer: issues members' access tokens.
        pace: counts how often each caller calls.
        carriers: who brings what somebody waits for, by channel: `sms`, `email`. Who is not there is not set up.
        providers: who brings what is sent to many, and notices, by channel. Who is not there is not set up.
        limits: how fast and for how much money they may, by channel, for a `providers.pace.Pacer`.
        functions: those that are called and answer.
        place: where the lake's files are, for the engine that reads them: those of `objects`.
    """

    settings: Settings
    table: Table
    keyring: Keyring
    clock: Callable[[], datetime] = utc_now
    draw: Callable[[], int] = draw
    ops: Table = _not_made("ops")  # noqa: RUF009 - one that says what is missing
    queues: Queues = _not_made("queues")  # noqa: RUF009
    bus: Bus = _not_made("bus")  # noqa: RUF009
    objects: Files = _not_made("objects")  # noqa: RUF009
    roots: Objects = _not_made("roots")  # noqa: RUF009
    signer: Signer = _not_made("a signer")  # noqa: RUF009
    lane: Lane | None = None
    gate: Gate = _not_made("a gate")  # noqa: RUF009
    issuer: Issuer = _not_made("an issuer")  # noqa: RUF009
    pace: Pace = field(default_factory=Pace)
    functions: Functions = _not_made("functions")  # noqa: RUF009
    place: Place = _not_made("a place of the lake")  # noqa: RUF009
    carriers: "Mapping[str, Carrier]" = field(default_factory=dict)
    providers: "Mapping[str, Provider]" = field(default_factory=dict)
    limits: "Mapping[str, Limits]" = field(default_factory=dict)

    def around(self, table: Table) -> Self:
        """The same house around another `table`; every command of staff asks for one, and `replace` takes its time."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, table=table)
        return other


_HOUSE: list[House] = []


def house() -> House:
    """This process's house, built on first use."""
    if not _HOUSE:
        _HOUSE.append(build(load()))
    return _HOUSE[0]


def use(house: House | None) -> None:
    """Use a house made elsewhere (tests), or forget the one in use."""
    _HOUSE[:] = [house] if house else []


def build(settings: Settings) -> House:
    """A house from settings. Nothing is connected to until it is used."""
    dynamo = Dynamo(settings.region, settings.dynamodb_endpoint, credentials, utc_now)
    ops, sqs = DynamoTable(dynamo, settings.ops_table), client(settings, SQS)
    core = DynamoTable(dynamo, settings.core_table)
    members = issuer(settings, signer(settings, settings.session_key, "REGULARS_SESSION_KEY"))
    return House(
        settings,
        core,
        keyring(settings, vault(settings, DynamoTable(dynamo, settings.vault_table))),
        ops=ops,
        queues=SqsQueues(sqs),
        bus=EventBus(client(settings, EVENTBRIDGE), settings.bus) if settings.bus else _missing("REGULARS_BUS"),
        objects=archive(settings),
        lane=Lane(SqsLine(sqs, settings.lane_queue), ops) if settings.lane_queue else None,
        roots=_files(settings, settings.roots, "REGULARS_ROOTS"),
        signer=signer(settings, settings.signing_key, "REGULARS_SIGNING_KEY"),
        gate=gate(settings, core, members, ops),
        issuer=members,
        pace=Pace(settings.rates),
        functions=functions(settings),
        place=place(settings),
        carriers=carriers(settings),
        providers=providers(settings, ops),
        limits={channel: by.limits.limits() for channel, by in settings.providers.items()},
    )


def providers(settings: Settings, ops: Table) -> "dict[str, Provider]":
    """Who brings messages to many. Nothing of it is loaded in a process that was told of none."""
    if not settings.providers:
        return {}
    from chalicelib.providers.making import Means, made  # noqa: PLC0415 - see above

    means = Means(
        ops=ops,
        objects=archive(settings),
        clock=utc_now,
        region=settings.region,
        endpoint=settings.endpoint,
        local=settings.stage in LOCAL_STAGES,
    )
    return {channel: made(channel, by, means) for channel, by in settings.providers.items()}


def carriers(settings: Settings) -> "dict[str, Carrier]":
    """Who brings messages. Nothing of it is loaded in a process that was told of none."""
    chosen = settings.carriers
    if not chosen.sms and not chosen.mail:
        return {}
    from chalicelib.storage.carriers import Gateway, SesMails, SnsTexts, aws_client  # noqa: PLC0415 - see above

    def aws(service: str) -> Callable[[], Any]:
        return aws_client(service, settings.region, settings.endpoint)

    found: dict[str, Carrier] = {}
    local, prefixes = settings.stage in LOCAL_STAGES, chosen.sms_prefixes
    gateway = Gateway(chosen.gateway_url, chosen.gateway_key, utc_now, prefixes, local=local)
    if chosen.sms:
        texts = SnsTexts(aws("sns"), chosen.sms_sender, chosen.sms_entity, chosen.sms_template, prefixes)
        found["sms"] = texts if chosen.sms == "sns" else gateway
    if chosen.mail:
        found["email"] = SesMails(aws("sesv2"), chosen.mail_from) if chosen.mail == "ses" else gateway
    return found


def gate(
    settings: Settings, core: Table | None = None, members: Issuer | None = None, ops: Table | None = None
) -> Gate:
    """Who is let in.

    Args:
        core: where staff, integration keys and members' accounts are; without it the groups of their issuer count for
            staff, and neither keys nor members are let in.
        members: who issues members' access tokens.
        ops: where requests of integration keys are counted; without it each process counts alone.
    """
    local = None
    if settings.stage in LOCAL_STAGES:
        local = LocalGate(settings.token_key, settings.issuer, settings.audience, core)
    issuers = _issuers(settings, core)
    if core is not None and members is not None:
        issuers[members.name] = MemberGate(members, core)
    return Gates(local=local, issuers=issuers, keys=KeyGate(core, ops) if core is not None else None)


def _issuers(settings: Settings, table: Table | None) -> dict[str, Gate]:
    """The gates of the issuers that staff sign in with."""
    if not settings.issuers:
        return {}
    from chalicelib.identity.fetching import fetched  # noqa: PLC0415 - a stack without issuers needs none of it
    from chalicelib.identity.jwks import IssuerKeys  # noqa: PLC0415
    from chalicelib.identity.oidc import Claimed, OidcGate, by_claims  # noqa: PLC0415
    from chalicelib.identity.staff import Appointment, appointment  # noqa: PLC0415

    def recorded(who: Claimed, now: datetime) -> Appointment:
        assert table is not None
        return appointment(table, who.issuer, who.subject, who.roles, who.shop_ids, now=now)

    local, found = settings.stage in LOCAL_STAGES, by_claims if table is None else recorded
    return {each.issuer: OidcGate(each, IssuerKeys(each, fetched, local=local), found) for each in settings.issuers}


def issuer(settings: Settings, key: Signer) -> Issuer:
    """Who issues members' access tokens."""
    return Issuer(key, settings.member_issuer, settings.audience)


def client(settings: Settings, service: Service) -> SignedClient:
    """A client of one of the stack's services."""
    return SignedClient(service, settings.region, settings.endpoint, credentials, utc_now)


def functions(settings: Settings) -> Functions:
    """Those that are called and answer."""
    endpoint = settings.functions_endpoint or settings.endpoint
    asking = SignedClient(LAMBDA, settings.region, endpoint, credentials, utc_now, patience=PATIENCE)
    return LambdaFunctions(asking, settings.stack)


def place(settings: Settings) -> Place:
    """Where the lake's files are, as its engine names them."""
    if settings.archive is None:
        missing: Place = _missing("REGULARS_ARCHIVE")
        return missing
    common: dict[str, Any] = {"memory_mb": settings.lake_memory_mb}
    if settings.lake_scratch:
        common["scratch"] = settings.lake_scratch
    if settings.archive.startswith("file:"):
        return Place(str(_path(settings.archive)), **common)
    target = urlsplit(settings.endpoint or "")
    reached = Bucket(settings.region, credentials, target.netloc or None, tls=target.scheme != "http")
    return Place(f"s3://{settings.archive}", reached, **common)


def archive(settings: Settings) -> Files:
    """Where files are kept for years."""
    return _files(settings, settings.archive, "REGULARS_ARCHIVE")


def _files(settings: Settings, place: str | None, variable: str) -> Files:
    if place is None:
        missing: Files = _missing(variable)
        return missing
    if place.startswith("file:"):
        return FolderObjects(_path(place))
    return BucketObjects(place, settings.region, settings.endpoint)


def signer(settings: Settings, key: str | None, variable: str) -> Signer:
    """A key that signs.

    Args:
        key: where it is; None where this process was not told by the variable.
    """
    if key is None:
        missing: Signer = _missing(variable)
        return missing
    if key.startswith("file:"):
        return FileSigner(_path(key))
    return KmsSigner(client(settings, KMS), key)


def vault(settings: Settings, table: Table) -> TableVault:
    """Keys of members, in a table."""
    return TableVault(table, TenantKeys(table, keeper(settings), secrets.token_bytes, utc_now), secrets.token_bytes)


def keeper(settings: Settings) -> Keeper:
    """What wraps the keys of the vault."""
    if settings.vault_key is None:
        missing: Keeper = _missing("REGULARS_VAULT_KEY")
        return missing
    if settings.vault_key.startswith("file:"):
        file = _path(settings.vault_key)
        return LocalKeeper(lambda: bytes.fromhex(file.read_text().strip()), secrets.token_bytes)
    return KmsKeeper(KmsClient(client(settings, KMS), settings.vault_key), settings.stack)


def _path(place: str) -> Path:
    return Path(unquote(urlsplit(place).path))


def keyring(settings: Settings, keys: TableVault) -> Keyring:
    """The stack's keys. A function that was not given them all can open contact data, sign opt-out links if it was
    given the key for that, and nothing else.
    """
    contacts = SealedContacts(keys, secrets.token_bytes)
    for name, key in (("INDEX", settings.index_key), ("CURSOR", settings.cursor_key)):
        if not key:
            keyless = _missing(f"REGULARS_{name}_KEY")
            keyless.contacts = contacts
            if settings.opt_out_key:
                keyless.opt_out_mac = partial(opt_out_mac, settings.opt_out_key)
            part: Keyring = keyless
            return part
    return Keyring(
        settings.index_key,
        settings.cursor_key,
        contacts,
        settings.other_index_key,
        settings.content_key,
        settings.opt_out_key,
    )


def credentials() -> Credentials:
    """What to sign with: Lambda puts it in the environment; elsewhere botocore knows where to look.

    Raises:
        RuntimeError: there are no credentials.
    """
    access, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access and secret:
        return Credentials(access, secret, os.environ.get("AWS_SESSION_TOKEN"))
    return _from_botocore()


def _from_botocore() -> Credentials:
    import botocore.session  # noqa: PLC0415 - slow to import, and Lambda never comes here

    found = botocore.session.get_session().get_credentials()
    if found is None:
        raise RuntimeError("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)
