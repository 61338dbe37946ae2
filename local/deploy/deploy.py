"""`make deploy` and `make destroy`: three stacks, in order, each shown before it is changed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from local.deploy.cloud import Change, Cloud
from local.deploy.environments import for_template, load
from local.deploy.functions import LAYERS, layer_id
from local.deploy.refusals import NotDeployed, NotPackaged
from local.settings import ROOT

KEPT = ("DynamoDB::Table", "S3::Bucket", "KMS::Key", "SecretsManager::Secret")
"""What holds what cannot be made again: no deployment replaces or removes it."""


def deploy(folder: Path, env: str, *, yes: bool, execute: bool) -> None:
    """Bring the stacks of an environment to what was packaged into a folder.

    Args:
        yes: do not ask.
        execute: False only shows what would change.

    Raises:
        EnvironmentWrong: the account or the region is another.
        NotPackaged: the folder does not hold what was packaged.
        NotDeployed: a stack refuses, or a person.
    """
    given = _packaged(folder, env)
    cloud = Cloud(given)
    print(f"{env}: stacks {given['Stack']}-… in account {given['Account']}, {given['Region']}")

    data, app, web = (f"{given['Stack']}-{part}" for part in ("data", "app", "web"))
    _bring(cloud, data, cloud.fitted(_text(folder, "data"), given), None, given, yes=yes, execute=execute)
    bucket = cloud.outputs(data).get("CodeBucketName")
    if bucket is None:
        print(f"{app}, {web}: cannot be shown before {data} is there")
        return
    if execute:
        for key, name in zips().items():
            cloud.upload(bucket, given[key], (folder / name).read_bytes())
    _bring(cloud, app, cloud.fitted(_text(folder, "app"), given), bucket, given, yes=yes, execute=execute)

    if given["Region"].startswith("cn-"):
        print(f"{web}: left out, CloudFormation has no origin access control in China (ADR 0017)")
    else:
        _bring(cloud, web, cloud.fitted(_text(folder, "web"), given), None, given, yes=yes, execute=execute)
    for name in ("app", "web"):
        for key, value in cloud.outputs(f"{given['Stack']}-{name}").items():
            if key.endswith(("Url", "URL")):
                print(f"{key}: {value}")


def destroy(folder: Path, env: str) -> None:
    """Delete the stacks of an environment, after its name was typed.

    Raises:
        EnvironmentWrong: the account or the region is another.
        NotDeployed: it is prod, it is protected, or the name typed was another.
    """
    if env != "prod":
        given = _packaged(folder, env)
    if env == "prod" or given["Stage"] == "prod":
        raise NotDeployed("prod is never destroyed by a command; take its stacks down by hand, with a witness.")
    cloud = Cloud(given)
    names = [f"{given['Stack']}-{part}" for part in ("web", "app", "data")]
    for name in names:
        found = cloud.stack(name)
        if found and found.get("EnableTerminationProtection"):
            raise NotDeployed(f"The stack {name} is protected from deletion.")
    outputs = cloud.outputs(names[-1])
    for table in (value for key, value in outputs.items() if key.endswith("TableName")):
        if cloud.dynamo.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
            raise NotDeployed(f"The table {table} is protected from deletion.")
    if (
        _asked(f"This deletes {', '.join(names)} in account {given['Account']}. Type {given['Stack']} to go on: ")
        != given["Stack"]
    ):
        raise NotDeployed("That was not its name; nothing was deleted.")
    for name in names:
        left = cloud.delete(name)
        print(f"{name}: deleted" + "".join(f"\n  left behind: {each}" for each in left))


def _packaged(folder: Path, env: str) -> dict[str, str]:
    """The parameters of a folder, whose zip has to be the one that was packaged with them."""
    try:
        given = load(folder)
        digests = {key: hashlib.sha256((folder / name).read_bytes()).hexdigest() for key, name in zips().items()}
    except FileNotFoundError:
        raise NotPackaged(f"There is nothing in {folder.name}; run `make package ENV={env}` first.") from None
    if given["Stage"] != env:
        raise NotPackaged(f"What is packaged there is for stage {given['Stage']}, not {env}.")
    if any(given[key] != f"code/{digest}.zip" for key, digest in digests.items()):
        raise NotPackaged("The zip is not the one that the parameters speak of; package again.")
    return given


def zips() -> dict[str, str]:
    """The zips of a deployment, by the parameters that say where they are."""
    return {"CodeKey": "app.zip", **{f"{layer_id(name)}Key": f"{name}-layer.zip" for name in LAYERS}}


def _text(folder: Path, name: str) -> str:
    """A template without spaces: a request takes 51,200 bytes, a bucket a million."""
    return json.dumps(json.loads((folder / f"{name}.template.json").read_text()), separators=(",", ":"))


def _bring(
    cloud: Cloud, name: str, text: str, bucket: str | None, given: Mapping[str, str], *, yes: bool, execute: bool
) -> None:
    """Show what would change in a stack, ask, change it.

    Args:
        bucket: where the template goes, by its hash, when it is too large for a request.
    """
    tags = {"app": "regulars", "stack": given["Stack"], "stage": given["Stage"]}
    where = {"TemplateURL": cloud.template(bucket, text)} if bucket else {"TemplateBody": text}
    change_set, changes = cloud.propose(name, where, for_template(json.loads(text), given), tags)
    if not changes:
        print(f"{name}: nothing to change")
        return
    print(f"{name}:")
    for change in changes:
        print(f"  {change.in_words()}")
    if not execute:
        cloud.forget(name, change_set)
        return
    try:
        must_keep(name, changes)
        if not yes and _asked(f"Change {name}? [y/N] ").lower() not in ("y", "yes"):
            raise NotDeployed(f"{name} was left as it is.")
    except NotDeployed:
        cloud.forget(name, change_set)
        raise
    cloud.execute(name, change_set)
    if given["DeletionProtection"] == "true":
        cloud.protect(name)
    print(f"{name}: done")


def must_keep(name: str, changes: list[Change]) -> None:
    """See that a change set keeps what cannot be made again.

    Raises:
        NotDeployed: it does not.
    """
    for change in changes:
        if change.kind.endswith(KEPT) and (change.action == "Remove" or change.replaces):
            raise NotDeployed(f"{name}: {change.in_words()[2:]}. It holds what cannot be made again; do that by hand.")


def _asked(question: str) -> str:
    """What a person answers; nobody there answers nothing."""
    try:
        return input(question).strip()
    except EOFError:
        return ""


def folder_of(env: str, out: Path | None) -> Path:
    """Where an environment is packaged to."""
    return out or ROOT / "build" / env
