"""The AWS account that is deployed to, or an emulator: one endpoint for all when AWS_ENDPOINT_URL says so."""

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.deploy.emulator import for_emulator
from local.deploy.refusals import EnvironmentWrong, NotDeployed
from local.settings import environment

_PAUSE = 2.0
_PATIENCE = 3600.0
_ENDED = ("COMPLETE", "FAILED")


@dataclass(frozen=True)
class Change:
    """What a change set would do to one resource."""

    action: str
    id: str
    kind: str
    replaces: bool
    of: tuple[str, ...]

    def in_words(self) -> str:
        """One line for a person."""
        kind = self.kind.removeprefix("AWS::").replace("::", " ")
        match self.action:
            case "Add":
                return f"+ adds {self.id} ({kind})"
            case "Remove":
                return f"- removes {self.id} ({kind})"
            case _ if self.replaces:
                return f"! REPLACES {self.id} ({kind}): {', '.join(self.of) or 'a new one, the old one goes'}"
            case _:
                return f"~ changes {self.id} ({kind}): {', '.join(self.of) or 'in place'}"


class Cloud:
    """Clients of one account and region.

    Raises:
        EnvironmentWrong: it is not the account or the region that the environment names.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        env = environment()
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            if env.get(name, given["Region"]) != given["Region"]:
                raise EnvironmentWrong(f"{name} is {env[name]}, and the environment is for {given['Region']}.")
        self.endpoint = env.get("AWS_ENDPOINT_URL")
        self.region = given["Region"]
        session = boto3.Session(region_name=given["Region"])
        self.stacks, self.s3, self.secrets, self.dynamo = (
            session.client(name, endpoint_url=self.endpoint)
            for name in ("cloudformation", "s3", "secretsmanager", "dynamodb")
        )
        _must_be_the_account(session.client("sts", endpoint_url=self.endpoint), given)

    @property
    def emulated(self) -> bool:
        """Whether this is an emulator on this machine."""
        return urlsplit(self.endpoint or "").hostname in ("127.0.0.1", "localhost", "::1")

    # ------------------------------------------------------------ stacks

    def stack(self, name: str) -> dict[str, Any] | None:
        """A stack, or None when there is none."""
        try:
            found: dict[str, Any] = self.stacks.describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def outputs(self, name: str) -> dict[str, str]:
        """What a stack gives out."""
        found = self.stack(name) or {}
        return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())}

    def propose(
        self, name: str, template: Mapping[str, str], parameters: list[dict[str, str]], tags: Mapping[str, str]
    ) -> tuple[str, list[Change]]:
        """Make a change set; its name, and what it would change.

        Args:
            template: `TemplateBody` or `TemplateURL`.

        Raises:
            NotDeployed: CloudFormation refuses it.
        """
        found = self.stack(name)
        status = found["StackStatus"] if found else "gone"
        if status == "ROLLBACK_COMPLETE":  # its first making failed, so that it is empty and takes no changes
            self.delete(name)
            status = "gone"
        fresh = status in ("gone", "REVIEW_IN_PROGRESS")
        if not fresh and status.endswith("IN_PROGRESS"):
            raise NotDeployed(f"{name} is being changed by somebody else ({status}).")
        change_set = f"regulars-{int(time.time())}"
        self.stacks.create_change_set(
            StackName=name,
            ChangeSetName=change_set,
            ChangeSetType="CREATE" if fresh else "UPDATE",
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            **template,
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            said = self.stacks.describe_change_set(StackName=name, ChangeSetName=change_set)
            if time.monotonic() > deadline:
                raise NotDeployed(f"CloudFormation has not made up its mind about {name} within an hour.")
            if said["Status"] == "FAILED":
                why = said.get("StatusReason", "")
                self.stacks.delete_change_set(StackName=name, ChangeSetName=change_set)
                if "didn't contain changes" in why or "No updates" in why:
                    return change_set, []
                raise NotDeployed(f"CloudFormation refuses the change of {name}: {why}")
            if said["Status"] == "CREATE_COMPLETE":
                break
            self._wait()
        changes = [_change(each["ResourceChange"]) for each in said.get("Changes", ()) if "ResourceChange" in each]
        while token := said.get("NextToken"):
            said = self.stacks.describe_change_set(StackName=name, ChangeSetName=change_set, NextToken=token)
            changes += [_change(each["ResourceChange"]) for each in said.get("Changes", ())]
        return change_set, changes

    def forget(self, name: str, change_set: str) -> None:
        """Drop a change set, and the empty stack that a first one leaves."""
        self.stacks.delete_change_set(StackName=name, ChangeSetName=change_set)
        found = self.stack(name)
        if found and found["StackStatus"] == "REVIEW_IN_PROGRESS":
            self.stacks.delete_stack(StackName=name)

    def execute(self, name: str, change_set: str) -> None:
        """Carry a change set out and wait for its end.

        Raises:
            NotDeployed: it failed and was rolled back.
        """
        self.stacks.execute_change_set(StackName=name, ChangeSetName=change_set)
        status = self._settled(name)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise NotDeployed(f"{name} ended as {status}:\n" + "\n".join(self._failures(name)))

    def protect(self, name: str) -> None:
        """Let a stack refuse to be deleted."""
        self.stacks.update_termination_protection(StackName=name, EnableTerminationProtection=True)

    def delete(self, name: str) -> list[str]:
        """Delete a stack; the ids of what it left behind, as its template says.

        Raises:
            NotDeployed: it is still there.
        """
        found = self.stack(name)
        if found is None:
            return []
        held = self.stacks.get_paginator("list_stack_resources").paginate(StackName=found["StackId"])
        resources = [each for page in held for each in page["StackResourceSummaries"]]
        self.stacks.delete_stack(StackName=name)
        deadline = time.monotonic() + _PATIENCE
        while (left := self.stack(name)) is not None:
            if left["StackStatus"] == "DELETE_FAILED" or time.monotonic() > deadline:
                raise NotDeployed(f"{name} could not be deleted:\n" + "\n".join(self._failures(name)))
            self._wait()
        skipped = {
            event["LogicalResourceId"]
            for page in self.stacks.get_paginator("describe_stack_events").paginate(StackName=found["StackId"])
            for event in page["StackEvents"]
            if event["ResourceStatus"] == "DELETE_SKIPPED"
        }
        return [
            f"{e['ResourceType']} {e['PhysicalResourceId']}" for e in resources if e["LogicalResourceId"] in skipped
        ]

    def _settled(self, name: str) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = self.stack(name)
            status: str = found["StackStatus"] if found else "gone"
            if status == "gone" or status.endswith(_ENDED):
                return status
            self._wait()
        raise NotDeployed(f"{name} did not settle within an hour; look at its events.")

    def _failures(self, name: str) -> list[str]:
        events = self.stacks.describe_stack_events(StackName=name)["StackEvents"]
        return [
            f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED")
        ][:20]

    def _wait(self) -> None:
        time.sleep(0.1 if self.emulated else _PAUSE)

    # ------------------------------------------------------------ objects

    def upload(self, bucket: str, key: str, content: bytes) -> None:
        """Put an object that is named by its contents, unless it is there."""
        try:
            self.s3.head_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (403, 404):
                raise
            digest = hashlib.sha256(content).digest()
            self.s3.put_object(Bucket=bucket, Key=key, Body=content, ChecksumSHA256=base64.b64encode(digest).decode())

    def template(self, bucket: str, text: str) -> str:
        """Where CloudFormation finds a template, once it is in a bucket."""
        content = text.encode()
        key = f"templates/{hashlib.sha256(content).hexdigest()}.json"
        self.upload(bucket, key, content)
        if self.endpoint:
            return f"{self.endpoint}/{bucket}/{key}"
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{bucket}.s3.{self.region}.{suffix}/{key}"

    def fitted(self, text: str, given: Mapping[str, str]) -> str:
        """A template as the other end can take it: as it is, unless that is an emulator."""
        if not self.emulated:
            return text
        return for_emulator(text, given, lambda name: str(self.secrets.get_secret_value(SecretId=name)["SecretString"]))


def _must_be_the_account(sts: Any, given: Mapping[str, str]) -> None:
    if not given["Account"]:
        raise EnvironmentWrong(
            f"infra/envs/{given['Stage']}.json names no Account yet: write the account's number there."
        )
    try:
        account = sts.get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as problem:
        raise EnvironmentWrong(f"AWS does not know who is asking: {problem}") from problem
    if account != given["Account"]:
        raise EnvironmentWrong(
            f"These credentials are of account {account}; {given['Stage']} lives in {given['Account']}."
        )


def _change(said: Mapping[str, Any]) -> Change:
    details = [detail.get("Target", {}) for detail in said.get("Details", ())]
    of = dict.fromkeys(str(target.get("Name") or target.get("Attribute")) for target in details)
    replaces = said.get("Replacement") in ("True", "Conditional")
    return Change(said["Action"], said["LogicalResourceId"], said["ResourceType"], replaces, tuple(of))
