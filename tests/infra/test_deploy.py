"""What `make deploy` and `make destroy` say and refuse, before anything is changed."""

import hashlib
import json
from pathlib import Path

import pytest

from local.deploy import deploy as verbs
from local.deploy.cloud import Change, Cloud
from local.deploy.emulator import for_emulator
from local.deploy.environments import for_template, parameters
from local.deploy.refusals import EnvironmentWrong, NotDeployed, NotPackaged


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A packaged folder as far as it is looked at before AWS is."""
    for name in verbs.zips().values():
        (tmp_path / name).write_bytes(b"zip")
    given = parameters("dev", ["Account=000000000000"])
    (tmp_path / "parameters.json").write_text(json.dumps({**given, "CodeKey": "code/of-another.zip"}))
    return tmp_path


def _repackaged(folder: Path, **changes: str) -> None:
    given = json.loads((folder / "parameters.json").read_text())
    digest = hashlib.sha256((folder / "app.zip").read_bytes()).hexdigest()
    (folder / "parameters.json").write_text(
        json.dumps({**given, **dict.fromkeys(verbs.zips(), f"code/{digest}.zip"), **changes})
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (Change("Add", "CoreTable", "AWS::DynamoDB::Table", False, ()), "+ adds CoreTable (DynamoDB Table)"),
        (Change("Remove", "OldQueue", "AWS::SQS::Queue", False, ()), "- removes OldQueue (SQS Queue)"),
        (
            Change("Modify", "ApiFunction", "AWS::Lambda::Function", False, ("Code", "Timeout")),
            "~ changes ApiFunction (Lambda Function): Code, Timeout",
        ),
        (
            Change("Modify", "CoreTable", "AWS::DynamoDB::Table", True, ("KeySchema",)),
            "! REPLACES CoreTable (DynamoDB Table): KeySchema",
        ),
    ],
)
def test_a_change_is_told_in_words(change: Change, words: str) -> None:
    assert change.in_words() == words


@pytest.mark.parametrize(
    "change",
    [
        Change("Remove", "CoreTable", "AWS::DynamoDB::Table", False, ()),
        Change("Modify", "IndexKey", "AWS::SecretsManager::Secret", True, ("Name",)),
        Change("Modify", "ArchiveBucket", "AWS::S3::Bucket", True, ("BucketName",)),
    ],
)
def test_what_cannot_be_made_again_is_never_replaced_or_removed(change: Change) -> None:
    with pytest.raises(NotDeployed, match="cannot be made again"):
        verbs.must_keep("regulars-dev-data", [change])


def test_other_things_may_be_replaced() -> None:
    rule = Change("Modify", "Rule", "AWS::Events::Rule", True, ())
    bucket = Change("Add", "Bucket", "AWS::S3::Bucket", False, ())
    verbs.must_keep("x", [rule, bucket])


def test_nothing_is_deployed_that_was_not_packaged(folder: Path) -> None:
    with pytest.raises(NotPackaged, match="package again"):
        verbs.deploy(folder, "dev", yes=True, execute=True)
    _repackaged(folder)
    with pytest.raises(NotPackaged, match="not prod"):
        verbs.deploy(folder, "prod", yes=True, execute=True)
    (folder / "app.zip").unlink()
    with pytest.raises(NotPackaged, match="make package ENV=dev"):
        verbs.deploy(folder, "dev", yes=True, execute=True)


def test_prod_is_never_destroyed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotDeployed, match="prod is never destroyed"):
        verbs.destroy(tmp_path / "nothing", "prod")
    _repackaged(folder, Stage="prod")
    with pytest.raises(NotDeployed, match="prod is never destroyed"):
        verbs.destroy(folder, "prod")


def test_another_region_or_no_account_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    with pytest.raises(EnvironmentWrong, match="eu-west-1"):
        Cloud(parameters("dev"))
    monkeypatch.setenv("AWS_REGION", parameters("dev")["Region"])
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    with pytest.raises(EnvironmentWrong, match="names no Account"):
        Cloud(parameters("dev"))


def test_a_template_is_given_its_own_parameters_and_all_it_needs() -> None:
    template = {"Parameters": {"Stack": {"Type": "String"}, "Extra": {"Type": "String", "Default": "x"}}}
    assert for_template(template, {"Stack": "s", "Other": "o"}) == [{"ParameterKey": "Stack", "ParameterValue": "s"}]
    with pytest.raises(EnvironmentWrong, match="Stack"):
        for_template(template, {})


def test_an_emulator_is_given_what_it_cannot_look_up() -> None:
    deny = {"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    template = {
        "Parameters": {"Size": {"Type": "Number"}, "On": {"Type": "String", "AllowedValues": ["true", "false"]}},
        "Resources": {
            "F": {"Properties": {"n": {"Ref": "Size"}, "b": {"Ref": "On"}, "s": {"Ref": "Stack"}, "k": {
                "Fn::Sub": "{{resolve:secretsmanager:${Stack}/index-key:SecretString}}"}}},
            "Sum": {"Properties": {"Metrics": []}},
            "Tls": {"Properties": {"PolicyDocument": {"Statement": [deny]}}},
            "Both": {"Properties": {"PolicyDocument": {"Statement": [{"Effect": "Allow"}, deny]}}},
        },
    }  # fmt: skip
    asked: list[str] = []

    def secret(name: str) -> str:
        asked.append(name)
        return "anything"

    given = {"Size": "7", "On": "false", "Stack": "s"}
    made = json.loads(for_emulator(json.dumps(template), given, secret))["Resources"]
    assert asked == ["s/index-key"]
    assert set(made) == {"F", "Both"}
    assert made["Both"]["Properties"]["PolicyDocument"]["Statement"] == [{"Effect": "Allow"}]
    properties = made["F"]["Properties"]
    assert (properties["n"], properties["b"], properties["s"]) == (7, False, {"Ref": "Stack"})
    assert len(bytes.fromhex(properties["k"])) == 32


def test_an_emulator_is_given_the_secrets_that_parameters_name_and_none_for_those_that_they_do_not() -> None:
    def of(name: str) -> dict[str, str]:
        return {"Fn::Sub": "{{resolve:secretsmanager:${Stack}/" + name + ":SecretString}}"}

    template = {"Resources": {"A": {"Type": "X", "Properties": {name: of("${" + name + "}") for name in ("N", "O")}}}}
    asked: list[str] = []

    def secret(name: str) -> str:
        asked.append(name)
        return "s"

    given = {"Stack": "regulars-dev", "N": "index-key-2", "O": ""}
    made = json.loads(for_emulator(json.dumps(template), given, secret))["Resources"]["A"]["Properties"]
    assert asked == ["regulars-dev/index-key-2"]
    assert made == {"N": hashlib.sha256(b"s").hexdigest(), "O": ""}


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ('{"url": "https://sms.example"}', '{"url": "https://sms.example"}'),
        ("{}", "{}"),
        ("{7;fM(", hashlib.sha256(b"{7;fM(").hexdigest()),
        ("12345678", hashlib.sha256(b"12345678").hexdigest()),
        ("[]", hashlib.sha256(b"[]").hexdigest()),
    ],
)
def test_what_an_emulator_has_generated_is_a_key_whatever_it_begins_with(kept: str, told: str) -> None:
    template = {"Resources": {"A": {"Properties": {"N": {"Fn::Sub": "{{resolve:secretsmanager:n:SecretString}}"}}}}}
    made = json.loads(for_emulator(json.dumps(template), {}, lambda _: kept))["Resources"]["A"]["Properties"]
    assert made["N"] == told
