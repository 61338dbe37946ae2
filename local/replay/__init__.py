"""`make replay`: send recorded purchases to the running server over HTTP, then prove that the ledger is the file."""

from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Replay a file, and give the exit code."""
    from local.replay.verb import main as replay  # noqa: PLC0415  # `reconcile` needs the rows without the verb

    return replay(arguments)
