"""`python -m local.deploy VERB`: what `make package`, `deploy` and `destroy` call, and `validate`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from local.deploy.refusals import Refused


def main(arguments: Sequence[str]) -> int:
    """Do what one verb says, and give the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        return _do(asked)
    except Refused as problem:
        print(f"{asked.verb}: {problem}", file=sys.stderr)
        return 2


def _do(asked: argparse.Namespace) -> int:
    match asked.verb:
        case "package":
            from local.deploy.package import package  # noqa: PLC0415  # each verb loads only what it needs

            package(asked.env, asked.set or (), asked.out)
            return 0
        case "validate":
            from local.deploy.validate import validate  # noqa: PLC0415  # as below

            return validate()
        case "deploy":
            from local.deploy.deploy import deploy, folder_of  # noqa: PLC0415  # boto3 takes a while to load

            deploy(folder_of(asked.env, asked.out), asked.env, yes=asked.yes, execute=not asked.no_execute)
            return 0
        case _:
            from local.deploy.deploy import destroy, folder_of  # noqa: PLC0415  # as above

            destroy(folder_of(asked.env, asked.out), asked.env)
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.deploy")
    verbs = parser.add_subparsers(dest="verb", required=True)
    package = verbs.add_parser("package", help="build what is deployed")
    package.add_argument("--set", action="append", metavar="NAME=VALUE", help="another value for a parameter")
    deploy = verbs.add_parser("deploy", help="bring the stacks to what was packaged")
    deploy.add_argument("--yes", action="store_true", help="do not ask")
    deploy.add_argument("--no-execute", action="store_true", help="only show what would change")
    destroy = verbs.add_parser("destroy", help="delete the stacks, never prod's")
    verbs.add_parser("validate", help="let cfn-lint and checkov read the templates; make test does")
    for verb in (package, deploy, destroy):
        verb.add_argument("--env", default="", help="dev, stg or prod")
        verb.add_argument("--out", type=Path, help="a folder instead of build/<env>")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
