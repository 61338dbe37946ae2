"""How large a run of the faults is: small in the gate, `make faults` says otherwise."""

import os

KILLS = int(os.environ.get("KILLS") or 50)  # noqa: TID251 - the one reader of what `make faults` was given
SIZE = int(os.environ.get("SIZE") or 300)  # noqa: TID251
SEED = int(os.environ.get("SEED") or 1)  # noqa: TID251
LONG = SIZE > 1_000 or KILLS > 50
PATIENCE = 120 + SIZE // 5 + 20 * KILLS
"""Seconds for which a test may take."""
