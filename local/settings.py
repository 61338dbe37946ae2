"""What the person who starts the local stack may choose: the only reader of the environment in `local`."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
STACK = "regulars"
REGION = "us-east-1"
ISSUER = "https://local.regulars.invalid"
AUDIENCE = "regulars"


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

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def keys_file(self) -> Path:
        """The keys of this data folder."""
        return self.data_dir / "keys.json"


def environment() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)  # noqa: TID251  # local tools take what `make` hands them; this is the one place


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
        dynamodb_engine=env.get("REGULARS_LOCAL_DYNAMO") or "dynoxide",
    )


def _number(env: dict[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """A whole number in range from the environment."""
    text = env.get(name) or str(default)
    if not text.isdecimal() or not least <= int(text) <= most:
        raise SystemExit(f"{name}={text} will not do; it has to be a number from {least} to {most}.")
    return int(text)


def app_environment(chosen: Settings, dynamodb: str) -> dict[str, str]:
    """The environment of the app and of every tool that works beside it."""
    env = environment() | {
        "REGULARS_STAGE": "local",
        "REGULARS_STACK": STACK,
        "REGULARS_KEYS_FILE": str(chosen.keys_file),
        "REGULARS_ISSUER": ISSUER,
        "REGULARS_AUDIENCE": AUDIENCE,
        "REGULARS_URL": chosen.url,
        "DYNAMODB_ENDPOINT": dynamodb,
    }
    region = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}  # Lambda sets both; boto3 reads the second
    made_up = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    if chosen.dynamodb_endpoint and not _is_local(chosen.dynamodb_endpoint):
        return region | env  # with the caller's own credentials
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        env.pop(name, None)
    return env | region | made_up


def _is_local(endpoint: str) -> bool:
    """Whether an endpoint is on this machine, so that it wants no real credentials and shall see none."""
    return urlsplit(endpoint).hostname in {"127.0.0.1", "localhost", "::1"}
