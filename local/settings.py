"""What the person who starts the local stack may choose: the only reader of the environment in `local`."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
STACK = "regulars"
REGION = "us-east-1"
ACCOUNT = "000000000000"
ISSUER = "https://local.regulars.invalid"
AUDIENCE = "regulars"
NOWHERE = "http://127.0.0.1:9"
"""An endpoint at which nothing ever answers."""


@dataclass(frozen=True)
class PumpSettings:
    """How the pump runs; tests make it impatient and give it handlers of their own."""

    on: bool = True
    handlers: Mapping[str, str] = field(default_factory=dict)
    """Dotted names by function name, in place of the product's."""
    visibility: int | None = None
    """Seconds that a received message stays hidden, in place of the template's."""
    pause: float = 0.5
    """Seconds before what failed in a stream is tried again; doubled each time."""
    window: float | None = None
    """Seconds that a batch is waited for, in place of the function's."""
    jobs: bool = True
    """Whether schedules fire."""


@dataclass(frozen=True)
class Settings:
    """Where this run lives and what it serves."""

    port: int
    data_dir: Path
    workers: int
    seed: bool
    dynamodb_endpoint: str | None
    """A DynamoDB that the caller brings; then none is started."""
    dynamodb_engine: str
    """`dynoxide`, or `ministack` to force the fallback."""
    issuers: str = ""
    """Issuers that the caller brings, as REGULARS_ISSUERS names them; then none is started."""
    pump: PumpSettings = field(default_factory=PumpSettings)

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def archive(self) -> Path:
        """The folder that stands for the archive bucket."""
        return self.data_dir / "archive"

    @property
    def roots(self) -> Path:
        """The folder that stands for the bucket that is written once."""
        return self.data_dir / "roots"

    @property
    def signing_key_file(self) -> Path:
        """The key that signs receipts and roots."""
        return self.data_dir / "signing_key.pem"

    @property
    def issuer_file(self) -> Path:
        """The issuer that staff of this data folder sign in with: its port, its keys, their passwords."""
        return self.data_dir / "issuer.json"

    @property
    def session_key_file(self) -> Path:
        """The key that signs members' access tokens."""
        return self.data_dir / "session_key.pem"

    @property
    def vault_key_file(self) -> Path:
        """The key that wraps the keys of the vault."""
        return self.data_dir / "vault_key"

    @property
    def keys_file(self) -> Path:
        """The keys of this data folder."""
        return self.data_dir / "keys.json"


def environment() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)  # noqa: TID251  # local tools take what `make` hands them; this is the one place


def adopt(env: Mapping[str, str]) -> None:
    """Take on the environment of a function of a stack, for a tool that does its work with an operator's rights."""
    os.environ.update(env)  # noqa: TID251  # as above


def settings() -> Settings:
    """What the environment says.

    Raises:
        SystemExit: PORT or WORKERS is not a number in range.
    """
    env = environment()
    return Settings(
        port=_number(env, "PORT", default=8000, least=1, most=65535),
        data_dir=Path(env.get("DATA_DIR") or ".data").resolve(),
        workers=_number(env, "WORKERS", default=2, least=1, most=64),
        seed=env.get("SEED", "").lower() != "none",
        dynamodb_endpoint=env.get("DYNAMODB_ENDPOINT") or None,
        issuers=env.get("REGULARS_ISSUERS") or "",
        dynamodb_engine=env.get("REGULARS_LOCAL_DYNAMO") or "dynoxide",
        pump=PumpSettings(
            on=env.get("PUMP", "").lower() != "none", **json.loads(env.get("REGULARS_LOCAL_PUMP") or "{}")
        ),
    )


def _number(env: dict[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """A whole number in range from the environment."""
    text = env.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SystemExit(f"{name}={text} will not do; it has to be a number from {least} to {most}.")
    return int(text)


def app_environment(chosen: Settings, dynamodb: str, messaging: str = NOWHERE) -> dict[str, str]:
    """The environment of the app and of every tool that works beside it.

    Args:
        messaging: where SQS and EventBridge answer; nowhere, and the app knows that there are no jobs.
    """
    env = environment() | {
        "REGULARS_STAGE": "local",
        "REGULARS_STACK": STACK,
        "REGULARS_KEYS_FILE": str(chosen.keys_file),
        "REGULARS_ISSUER": ISSUER,
        "REGULARS_AUDIENCE": AUDIENCE,
        "REGULARS_URL": chosen.url,
        "REGULARS_PUBLIC_URL": chosen.url,
        "REGULARS_JOB_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "job-work"),
        "REGULARS_RETENTION_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "retention"),
        "REGULARS_LANE_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "lane.fifo"),
        "REGULARS_SEND_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "campaign-sends"),
        "REGULARS_JOURNEY_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "journey-steps"),
        "REGULARS_LAKE_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "lake-patch"),
        "REGULARS_SEGMENTS_QUEUE": "" if messaging == NOWHERE else queue_url(messaging, "segments-refresh"),
        "REGULARS_LAKE_SCRATCH": str(chosen.data_dir / "lake"),
        "REGULARS_BUS": f"{STACK}-events",
        "REGULARS_ARCHIVE": chosen.archive.as_uri(),
        "REGULARS_ROOTS": chosen.roots.as_uri(),
        "REGULARS_SIGNING_KEY": chosen.signing_key_file.as_uri(),
        "REGULARS_SESSION_KEY": chosen.session_key_file.as_uri(),
        "REGULARS_VAULT_KEY": chosen.vault_key_file.as_uri(),
        "DYNAMODB_ENDPOINT": dynamodb,
        "AWS_ENDPOINT_URL": messaging,
    }
    region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}  # Lambda sets both; boto3 reads the second
    made_up = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    if chosen.dynamodb_endpoint and not is_local(chosen.dynamodb_endpoint):
        return region | env  # with the caller's own credentials
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        env.pop(name, None)
    return env | region | made_up


def queue_url(messaging: str, name: str) -> str:
    """The URL of one of the stack's queues: `job-work`, `job-work-dlq`, …"""
    return f"{messaging}/{ACCOUNT}/{STACK}-{name}"


def is_local(endpoint: str) -> bool:
    """Whether an endpoint is on this machine, so that it wants no real credentials and shall see none."""
    return urlsplit(endpoint).hostname in {"127.0.0.1", "localhost", "::1"}
