"""What cfn-lint and checkov find in the templates is either mended or explained."""

import copy
import json

import pytest

from local.deploy.intrinsics import Json
from local.deploy.validate import EXCEPTIONS, Finding, cfn_lint, checkov, unexplained

EXPLAINED: list[dict[str, str]] = json.loads(EXCEPTIONS.read_text())


@pytest.fixture(scope="module")
def broken(made: dict[str, Json]) -> dict[str, Json]:
    """The same templates with one fault for each tool, so that one run shows that it finds and what it finds."""
    broken = copy.deepcopy(made)
    statements = broken["app"]["Resources"]["ApiRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    statements[1]["Action"] = ["dynamodb:GetEverything"]
    del broken["data"]["Resources"]["VaultTable"]["Properties"]["PointInTimeRecoverySpecification"]
    return broken


def test_cfn_lint_finds_the_planted_fault_and_nothing_unexplained(broken: dict[str, Json]) -> None:
    found = unexplained(cfn_lint(broken), EXPLAINED)
    assert [each.split()[1:3] for each in found] == [["W3037", "app/ApiRole:"]]


def test_checkov_finds_the_planted_fault_and_nothing_unexplained(broken: dict[str, Json]) -> None:
    found = unexplained(checkov(broken), EXPLAINED)
    assert [each.split()[1:3] for each in found] == [["CKV_AWS_28", "data/VaultTable:"]]


def test_an_exception_that_excuses_nothing_is_told() -> None:
    finding = Finding("checkov", "CKV_1", "app/One", "says")
    used = {"tool": "checkov", "rule": "CKV_1", "where": "app/*", "why": "because"}
    idle = {"tool": "checkov", "rule": "CKV_2", "where": "app/*", "why": "because"}
    assert unexplained([finding], [used]) == []
    assert unexplained([finding], [used, idle]) == [f"exception without a finding: {idle}"]
    assert unexplained([finding], [{**used, "why": ""}])[0].startswith("checkov CKV_1 app/One")


def test_every_exception_has_a_reason() -> None:
    assert all(len(each["why"]) > 20 for each in EXPLAINED)
