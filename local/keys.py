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
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        keys = {name: secrets.token_hex(32) for name in NAMES}
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(json.dumps(keys, indent=2) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its keys are the keys
        finally:
            draft.unlink(missing_ok=True)
    found: dict[str, str] = json.loads(path.read_text())
    return found
