"""The environment, read once and typed."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.identity.pace import Rates, rates_from

if TYPE_CHECKING:
    from chalicelib.identity.issuers import Issuer

LOCAL_STAGES = ("local", "test")


class SettingsWrong(Exception):
    """The environment does not make sense; the process must not start."""


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
        bus: name of the event bus.
        archive: name of the archive bucket, or `file:///…` of a folder on a laptop.
        roots: name of the bucket of roots and reports, which is written once, or `file:///…` likewise.
        signing_key: ARN of the key that signs receipts and roots, or `file:///…` likewise.
        session_key: ARN of the key that signs members' access tokens, or `file:///…` likewise.
        other_index_key: while the index key is being replaced, the other of the two; else empty.
        content_key: what enrolments' content is told apart with; empty for the index key.
        rates: how often a minute callers may call this process; None, on a laptop: as often as they like.
        vault_key: ARN of the key that wraps the keys of the vault, or `file:///…` likewise.
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
