"""What a process is made of: table, keys, clock and chance, made once."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.runtime.settings import LOCAL_STAGES, Settings, load
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.keyring import ClearContacts, Keyring
from chalicelib.storage.table import DynamoTable, Table


def cors_origin() -> str:
    """The web origin whose pages may call; the routes need it when they are declared, before there is a house.

    On a laptop any; in a stack the one that is configured, or none.
    """
    anyone = os.environ.get("REGULARS_STAGE", "local") in LOCAL_STAGES
    return os.environ.get("REGULARS_CORS_ORIGIN") or ("*" if anyone else "null")


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


def draw() -> int:
    """Chance: a random whole number below 2**64."""
    return secrets.randbits(64)


@dataclass(frozen=True, slots=True)
class House:
    """Everything a request needs from outside."""

    settings: Settings
    table: Table
    keyring: Keyring
    clock: Callable[[], datetime] = utc_now
    draw: Callable[[], int] = draw


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
    """A house from settings."""
    dynamo = Dynamo(settings.region, settings.dynamodb_endpoint, credentials, utc_now)
    keyring = Keyring(settings.index_key, settings.cursor_key, ClearContacts())
    return House(settings, DynamoTable(dynamo, settings.core_table), keyring)


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
