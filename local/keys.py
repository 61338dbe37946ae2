"""The keys of a data folder: made once, readable by their owner only, never for another stage."""

import json
import os
import secrets
from pathlib import Path

NAMES = ("index_key", "cursor_key", "token_key")


def ensure_keys(path: Path) -> dict[str, str]:
    """The keys in a file, made if there is none yet: each 32 random bytes in hex.

    The file appears whole or not at all, and the first of two makers wins: data and tokens depend on it.
    """
    if not path.exists():
        make_file(path, json.dumps({name: secrets.token_hex(32) for name in NAMES}, indent=2) + "\n")
    found: dict[str, str] = json.loads(path.read_text())
    return found


def changed_keys(path: Path, **changes: str | None) -> None:
    """Write keys into a file that is there, whole or not at all; None removes one."""
    known = {**ensure_keys(path), **changes}
    text = json.dumps({name: key for name, key in known.items() if key is not None}, indent=2) + "\n"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def ensure_signing_key(path: Path) -> None:
    """A key that signs, receipts and roots or members' access tokens, made if there is none yet: P-256, PKCS #8."""
    if path.exists():
        return
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415  # slow to import, and seldom needed
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = ec.generate_private_key(ec.SECP256R1())
    make_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def ensure_vault_key(path: Path) -> None:
    """The key that wraps the keys of the vault, made if there is none yet: 32 random bytes in hex.

    Without it no contact data can ever be opened again.
    """
    if not path.exists():
        make_file(path, secrets.token_hex(32) + "\n")


def make_file(path: Path, text: str) -> None:
    """Write a file that its owner alone may read; it appears whole or not at all, and the first of two makers wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its keys are the keys
    finally:
        draft.unlink(missing_ok=True)
