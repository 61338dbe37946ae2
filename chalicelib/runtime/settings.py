"""The environment, read once and typed."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

LOCAL_STAGES = ("local", "test")


class SettingsWrong(Exception):
    """The environment does not make sense; the process must not start."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says.

    Attributes:
        stage: `local`, `test`, `dev`, `stg` or `prod`.
        stack: prefix of the stack's resources: its table is `<stack>-core`.
        index_key: for blind indexes of identifiers.
        cursor_key: signs cursors.
        token_key: verifies bearer tokens of the local stack; empty elsewhere.
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

    @property
    def core_table(self) -> str:
        """Name of table `core`."""
        return f"{self.stack}-core"


def load() -> Settings:
    """Read the environment.

    Raises:
        SettingsWrong: something is missing, or local keys are used outside a laptop.
    """
    stage = _needed("REGULARS_STAGE")
    index_key, cursor_key, token_key = _keys(stage)
    return Settings(
        stage=stage,
        stack=_needed("REGULARS_STACK"),
        region=_needed("AWS_REGION"),
        dynamodb_endpoint=os.environ.get("DYNAMODB_ENDPOINT"),
        index_key=index_key,
        cursor_key=cursor_key,
        token_key=token_key,
        issuer=_needed("REGULARS_ISSUER"),
        audience=_needed("REGULARS_AUDIENCE"),
    )


def _needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsWrong(f"the environment variable {name} is not set")
    return value


def _keys(stage: str) -> tuple[bytes, bytes, bytes]:
    """Index, cursor and token key: from a file on a laptop, from the environment in a stack."""
    path = os.environ.get("REGULARS_KEYS_FILE")
    if path is None:
        return (
            bytes.fromhex(_needed("REGULARS_INDEX_KEY")),
            bytes.fromhex(_needed("REGULARS_CURSOR_KEY")),
            b"",
        )
    if stage not in LOCAL_STAGES:
        raise SettingsWrong(f"keys from a local file are refused in stage {stage}: they belong on a laptop")
    keys = json.loads(Path(path).read_text())
    return tuple(bytes.fromhex(keys[name]) for name in ("index_key", "cursor_key", "token_key"))  # type: ignore[return-value]
