"""`python -m bench [name]`: measure one figure, or all in turn. The last line of each is JSON."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from bench.report import CannotRun

NAMES = (
    "earn_cost", "read_paths", "history_flat", "due_flat", "due_linear", "cold_import", "package", "memory",
    "earn_rate", "hot_account", "replay", "verify", "audit", "otp", "op_cost", "vault", "restore",
    "stream_fold", "lake_lag", "segment", "campaign_cost",
)  # fmt: skip
LONG = ("lake_lag",)
"""Even at their smallest these take half a minute, because what they wait for does."""
ON_REQUEST = ("peers", "campaign", "lake_size")
"""Two fetch programs of others, one writes gigabytes: they run when they are asked for by name."""


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for; a missed goal is a figure, not a failure, but no figure is one: exit code 3."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument(
        "name", nargs="?", choices=(*NAMES, *ON_REQUEST), help="when left out: all but {}".format(", ".join(ON_REQUEST))
    )
    parser.add_argument(
        "--quick", action="store_true", help="so small that the figures mean nothing: sees that it runs"
    )
    asked = parser.parse_args(arguments)
    for name in [asked.name] if asked.name else NAMES:
        print(f"# {name}")
        try:
            importlib.import_module(f"bench.{name}").run(quick=asked.quick).tell()
        except CannotRun as reason:
            print(f"{name} could not run: {reason}", file=sys.stderr)
            return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
