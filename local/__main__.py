"""`python -m local VERB`: what the verbs of the Makefile call."""

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType

from local.keys import ensure_keys
from local.runs import end_run
from local.settings import settings
from local.tether import tether

_BACKUPS = {"backup": "making", "restore": "restoring"}


_VERBS = ("reconcile", "fire", "events", "redrive", "verify", "rotate", "erase_again", "retain", "lake_rebuild")
"""Verbs with a module and arguments of their own."""


def main(arguments: Sequence[str]) -> int:
    """Do what one verb says, and give the exit code."""
    if arguments[:1] == ["replay"]:
        return _replay(arguments[1:])  # it reads its own arguments
    if arguments[:1] == ["returns"]:
        from local.replay.returns import main as returns  # noqa: PLC0415  # as the verbs below

        return returns(list(arguments[1:]))
    if arguments[:1] in (["backup"], ["restore"]):
        making: ModuleType = importlib.import_module(f"local.backup.{_BACKUPS[arguments[0]]}")
        made: int = making.main(list(arguments[1:]))
        return made
    if arguments and arguments[0] in _VERBS:
        verb: ModuleType = importlib.import_module(f"local.{arguments[0]}")  # only this verb needs all of it
        code: int = verb.main(list(arguments[1:]))
        return code
    asked = _parser().parse_args(arguments)
    chosen = settings()
    match asked.verb:
        case "run":
            from local.serve import run  # noqa: PLC0415  # boto3 takes a while to load; `token` and `stop` need none

            if asked.end_with_parent:
                tether(os.getppid(), by=signal.SIGTERM)
            return run(chosen)
        case "stop":
            return end_run(chosen.data_dir)
        case "token":
            from local.tokens import make_token  # noqa: PLC0415  # as above: cryptography

            try:
                keys = ensure_keys(chosen.keys_file)
                print(make_token(keys, asked.role, sub=asked.sub, shop=asked.shop, directory=asked.directory))
            except ValueError as problem:
                print(problem, file=sys.stderr)
                return 2
            return 0
        case "ministack":
            from local.dynamo import install_ministack  # noqa: PLC0415  # as above: boto3

            install_ministack()
            return 0
        case _:
            return _seed()


def _seed() -> int:
    """Make the demo data, if this tree has any."""
    demo = _optional("local.demo")
    if demo is None:
        print("There is no demo data yet (local/demo is not in this tree); starting empty.")
        return 0
    demo.seed()
    return 0


def _replay(rest: Sequence[str]) -> int:
    """Hand over to `local.replay.main`, if this tree has it."""
    replay = _optional("local.replay")
    if replay is None:
        print("make replay is not here yet (local/replay.py is not in this tree).", file=sys.stderr)
        return 2
    code: int = replay.main(list(rest))
    return code


def _optional(name: str) -> ModuleType | None:
    """A module that comes later, or None; a mistake inside it is still a mistake."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="serve until told to stop")
    run.add_argument("--end-with-parent", action="store_true", help="also stop when the starter is killed")
    verbs.add_parser("stop", help="end the run of this DATA_DIR")
    token = verbs.add_parser("token", help="print a token")
    token.add_argument("--role", default="admin")
    token.add_argument("--sub", help="stf_…")
    token.add_argument("--shop", help="shp_…")
    token.add_argument("--directory", action="store_true", help="their record of /v1/staff counts")
    verbs.add_parser("seed", help="make the demo data (the run does this)")
    verbs.add_parser("ministack", help="make ministack's venv (the run does this)")
    verbs.add_parser("replay", help="send recorded events")
    verbs.add_parser("returns", help="return parts of replayed purchases at random")
    verbs.add_parser("reconcile", help="prove demo data and replays, account by account")
    verbs.add_parser("verify", help="prove every account, and what the points come to")
    verbs.add_parser("rotate", help="replace a key")
    verbs.add_parser("backup", help="copy every item that has to survive into files")
    verbs.add_parser("restore", help="put a backup into an empty data folder")
    verbs.add_parser("retain", help="take away what is kept longer than it may be")
    verbs.add_parser("erase_again", help="erase again whoever the register of erasures has, after a restore")
    verbs.add_parser("lake_rebuild", help="make the lake anew from the table, or from a backup")
    verbs.add_parser("fire", help="run a job now")
    verbs.add_parser("events", help="show or send again what happened")
    verbs.add_parser("redrive", help="send dead letters again")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
