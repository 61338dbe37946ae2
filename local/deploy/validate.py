"""The templates as they are deployed, and what the tools say of them."""

import fnmatch
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.deploy.intrinsics import Json
from local.deploy.refusals import NotPackaged
from local.deploy.template import app_template
from local.deploy.tools import VENV, install_tools, run_tool
from local.settings import ROOT

EXCEPTIONS = ROOT / "infra" / "exceptions.json"
REGIONS = ("us-east-1", "ap-southeast-1", "cn-northwest-1")


@dataclass(frozen=True)
class Finding:
    """What a tool has against a template: which rule, of which template, where."""

    tool: str
    rule: str
    where: str
    says: str


def templates() -> dict[str, Json]:
    """The templates of all stacks; the app's as SAM expands it.

    Raises:
        NotPackaged: the app's cannot be made or expanded.
    """
    install_tools()
    expanded = run_tool("local/deploy/expand.py", text=json.dumps(app_template()))
    if expanded.returncode:
        raise NotPackaged(f"SAM does not take the template:\n{expanded.stderr[-2000:]}")
    found: dict[str, Json] = {"app": json.loads(expanded.stdout)}
    for name in ("data", "web"):
        found[name] = json.loads((ROOT / "infra" / f"{name}.template.json").read_text())
    return found


def cfn_lint(found: Mapping[str, Json]) -> list[Finding]:
    """What cfn-lint finds in templates, in any of the regions we think of."""
    with tempfile.TemporaryDirectory() as folder:
        files = _written(Path(folder), found)
        said = run_tool(str(VENV / "bin" / "cfn-lint"), "--format", "json", *files, "--regions", *REGIONS)
        if not said.stdout.strip():
            raise NotPackaged(f"cfn-lint did not run:\n{said.stderr[-2000:]}")
        return [
            Finding("cfn-lint", each["Rule"]["Id"], _place(each), each["Message"]) for each in json.loads(said.stdout)
        ]


def checkov(found: Mapping[str, Json]) -> list[Finding]:
    """What checkov finds in templates; it asks nobody outside."""
    with tempfile.TemporaryDirectory() as folder:
        _written(Path(folder), found)
        arguments = [
            "-d",
            folder,
            "--framework",
            "cloudformation",
            "--compact",
            "--quiet",
            "--skip-download",
            "-o",
            "json",
        ]
        said = run_tool(str(VENV / "bin" / "checkov"), *arguments)
        try:
            runs = json.loads(said.stdout)
        except json.JSONDecodeError:
            raise NotPackaged(f"checkov did not run:\n{said.stderr[-2000:]}") from None
    runs = runs if isinstance(runs, list) else [runs]
    broken = [each for run in runs for each in run["results"].get("parsing_errors", ())]
    if broken or sum(run["summary"]["resource_count"] for run in runs) < 50:
        raise NotPackaged(f"checkov did not read the templates: {broken}")
    return [
        Finding("checkov", each["check_id"], _spot(each), each["check_name"])
        for run in runs
        for each in run["results"]["failed_checks"]
    ]  # fmt: skip


def validate() -> int:
    """Print what the tools have against the templates and nobody explained; the exit code."""
    found = templates()
    left = unexplained([*cfn_lint(found), *checkov(found)], json.loads(EXCEPTIONS.read_text()))
    for each in left:
        print(each)
    return int(bool(left))


def unexplained(findings: list[Finding], exceptions: list[dict[str, str]]) -> list[str]:
    """Findings that no exception covers, and exceptions that cover nothing."""
    used, found = set(), []
    for finding in findings:
        covers = [n for n, each in enumerate(exceptions) if _covers(each, finding)]
        used |= set(covers)
        if not covers:
            found.append(f"{finding.tool} {finding.rule} {finding.where}: {finding.says}")
    tools = {finding.tool for finding in findings}
    idle = [
        f"exception without a finding: {each}"
        for n, each in enumerate(exceptions)
        if n not in used and each["tool"] in tools
    ]
    return found + idle


def _covers(exception: Mapping[str, str], finding: Finding) -> bool:
    same = (exception["tool"], exception["rule"]) == (finding.tool, finding.rule)
    return same and fnmatch.fnmatchcase(finding.where, exception["where"]) and bool(exception["why"])


def _place(said: Json) -> str:
    path = said["Location"]["Path"] or []
    return f"{Path(said['Filename']).stem}/" + "/".join(str(part) for part in path[1:2])


def _spot(said: Json) -> str:
    return f"{Path(said['file_path']).stem}/{said['resource'].split('.')[-1]}"


def _written(folder: Path, found: Mapping[str, Json]) -> list[str]:
    files = []
    for name, template in found.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(template))
        files.append(str(path))
    return files
