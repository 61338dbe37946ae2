"""The deployed stack that the end-to-end tests call, and all that is done to it by hand.

`make package` and `make deploy` bring it into ministack, which runs the zip in processes of its own, with the roles'
policies enforced (`AUTH=true`). `local/deploy/emulator.py` says what `make deploy` fills in for any emulator. Besides:

- The gateway's own answers and the answers to preflight requests are told to ministack through API Gateway's calls, in
  the words of the template: it reads neither from the API's definition.
- Time: an hour goes by for the schedules when a test says so. Their expressions stay as deployed.
- Received messages of job work are hidden for two seconds, not for six minutes, so that five receives take ten.
- There is no sign-in yet, and no key to make tokens with. Members and purchases are made by the product's services in
  the test's process, with the keys from the API function's environment, and signed in as the API's role, so that its
  policy is enforced on all that they do.
"""

import base64
import hashlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3

from chalicelib.jobs import service as jobs
from chalicelib.jobs.models import Job, Run
from chalicelib.jobs.service import Yard
from chalicelib.kernel.ids import MemberId
from chalicelib.points import store as points_store
from chalicelib.programs.service import ProgramBook
from chalicelib.runtime.wiring import utc_now
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring, SealedContacts
from chalicelib.storage.queues import SQS, SqsQueues
from chalicelib.storage.signed import Credentials, SignedClient
from chalicelib.storage.signing import KMS, KmsClient
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.vault import KmsKeeper, TableVault, TenantKeys
from local.deploy.intrinsics import Json
from local.dynamo import MINISTACK_VENV, ministack_environment
from local.processes import NotStarted, held_port, start, stop, wait_for_answer
from local.settings import ROOT, environment
from tests.makers import Clock, Reply
from tests.table.stand import Desk

T = TypeVar("T")

FUNCTIONS = ("api", "relay", "archive", "start-job", "work-job", "notices")
ROOT_KEY = "test"
"""Whom ministack takes for the account itself, which may do everything."""

_EMULATOR = Path(__file__).with_name("emulator.py")
_SERVICES = (
    "apigateway,cloudformation,cloudfront,dynamodb,dynamodbstreams,events,iam,kms,lambda,logs,monitoring,s3,scheduler,"
    "secretsmanager,sns,sqs,sts,wafv2"
)
_HIDDEN_SECONDS = 2


def until(what: str, ready: Callable[[], T | None], seconds: float = 180) -> T:
    """What `ready` gives, once it is something.

    Raises:
        AssertionError: it did not come in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        if found := ready():
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)


class Emulator:
    """ministack on 127.0.0.1, with all that it and the functions write in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]
        plain = ministack_environment(folder, self.port, _SERVICES)
        env = {name: value for name, value in plain.items() if not name.startswith(("AWS_", "PYTHON"))} | {
            "AUTH": "true",
            "PERSIST_STATE": "0",
            "LOG_LEVEL": "INFO",  # the functions are given it too
            "S3_DATA_DIR": str(folder / "s3"),
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [str(MINISTACK_VENV / "bin" / "python"), "-P", str(_EMULATOR)]
        self.process = start(command, env=env, log=folder / "ministack.log", cwd=folder)
        try:
            wait_for_answer(self.process, self.port, seconds=60)
        except NotStarted:
            stop(self.process)
            raise

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def workers(self, function: str = "") -> list[int]:
        """The processes that functions run in, or those of one function."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.process.pid and function in (entry / "cmdline").read_text():
                    found.append(int(entry.name))
            except (OSError, ValueError, IndexError):  # no process, or not any more
                continue
        return found

    def hour(self) -> None:
        """Let an hour go by for the schedules."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/_regulars/hour")
        assert connection.getresponse().status == 204
        connection.close()

    def stop(self) -> None:
        """End it, without asking, because nothing is to be kept; the functions' processes end with it."""
        started = self.workers()
        self.process.kill()
        stop(self.process)
        self._held.close()
        until("the functions' processes ended", lambda: not any(_alive(pid) for pid in started), 20)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class Deployed:
    """The three stacks of an environment in the emulator.

    Attributes:
        given: the parameters of the environment.
        folder: what was packaged.
        first: what the first call of a job's function answered, when nothing else had been in the new stack.
    """

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder
        self.given: dict[str, str] = json.loads((folder / "parameters.json").read_text())
        self.name, self.region = self.given["Stack"], self.given["Region"]
        self._clients: dict[str, Any] = {}
        self.said = self.run("local.deploy", "deploy", "--env", self.given["Stage"], "--out", str(folder), "--yes")
        self._let_keys_go_by_role_alone()
        self._tell_the_gateway()
        self.set_hidden_seconds("job-work", _HIDDEN_SECONDS)
        self.first = self.invoke("start-job", {"job": "release"})

    def close(self) -> None:
        """Close what is open."""
        for each in self._clients.values():
            each.close()

    # ------------------------------------------------------------ as an operator

    def run(self, module: str, *arguments: str) -> str:
        """Run one of the repository's tools against the stack, as make does; what it prints.

        Raises:
            AssertionError: it failed.
        """
        kept = {name: value for name, value in environment().items() if not name.startswith(("AWS_", "REGULARS_"))}
        env = kept | {
            "AWS_ENDPOINT_URL": self.emulator.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "REGULARS_STACK": self.name,
        }
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def aws(self, service: str) -> Any:
        """The account's client of a service."""
        if service not in self._clients:
            session = boto3.Session(ROOT_KEY, ROOT_KEY, region_name=self.region)
            self._clients[service] = session.client(service, endpoint_url=self.emulator.endpoint)
        return self._clients[service]

    def resource(self, logical: str, stack: str = "app") -> str:
        """What a resource of a stack is called in the account."""
        found = self.aws("cloudformation").describe_stack_resource(
            StackName=f"{self.name}-{stack}", LogicalResourceId=logical
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def queue_url(self, name: str) -> str:
        """The URL of a queue."""
        return str(self.aws("sqs").get_queue_url(QueueName=f"{self.name}-{name}")["QueueUrl"])

    def set_hidden_seconds(self, queue: str, seconds: int) -> None:
        """Hide messages that were received for another time."""
        attributes = {"VisibilityTimeout": str(seconds)}
        self.aws("sqs").set_queue_attributes(QueueUrl=self.queue_url(queue), Attributes=attributes)

    def waiting(self, queue: str) -> int:
        """How many messages there are in a queue, hidden ones and those to come included."""
        names = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
        said = self.aws("sqs").get_queue_attributes(QueueUrl=self.queue_url(queue), AttributeNames=names)
        return sum(int(said["Attributes"][name]) for name in names)

    def switch(self, function: str, *, on: bool) -> None:
        """Let a function's queue be worked off, or not."""
        of = {"FunctionName": f"{self.name}-{function}"}
        mapping = self.aws("lambda").list_event_source_mappings(**of)["EventSourceMappings"][0]
        self.aws("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=on)

    # ------------------------------------------------------------ what functions do

    def call(self, method: str, path: str, **headers: str) -> Reply:
        """Call the API over HTTP, by the host name that it has."""
        api = self.resource("RestAPI")
        connection = http.client.HTTPConnection("127.0.0.1", self.emulator.port, timeout=60)
        connection.request(method, f"/api{path}", headers={"Host": f"{api}.execute-api.127.0.0.1", **headers})
        answer = connection.getresponse()
        reply = Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        connection.close()
        return reply

    def invoke(self, function: str, event: Any) -> Any:
        """Call a function and give its answer.

        Raises:
            AssertionError: it failed.
        """
        said = self.aws("lambda").invoke(FunctionName=f"{self.name}-{function}", Payload=json.dumps(event).encode())
        answer = json.loads(said["Payload"].read())
        assert "FunctionError" not in said, answer
        return answer

    def log(self, function: str) -> list[str]:
        """All that a function has logged, in the log group that the template gives it."""
        group = self.resource("".join(word.capitalize() for word in function.split("-")) + "Log")
        pages = self.aws("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def told(self, function: str) -> list[Json]:
        """The lines of ours in a function's log."""
        return [json.loads(line) for line in self.log(function) if line.startswith('{"level"')]

    def code(self, function: str) -> str:
        """The SHA-256 of what a function runs."""
        digest = self.aws("lambda").get_function(FunctionName=f"{self.name}-{function}")["Configuration"]["CodeSha256"]
        return base64.b64decode(digest).hex()

    # ------------------------------------------------------------ what is kept

    def archived(self) -> dict[str, Json]:
        """The events in the archive, by their ids."""
        lines = [line for text in self.objects("events/").values() for line in text.splitlines()]
        return {event["event_id"]: event for event in map(json.loads, lines)}

    def notices(self, member_id: str) -> list[Json]:
        """What a member was told."""
        sent = [json.loads(text) for text in self.objects("outbox/").values()]
        return [notice for notice in sent if notice["member_id"] == member_id]

    def objects(self, prefix: str) -> dict[str, str]:
        """Objects of the archive bucket, with their contents."""
        bucket, s3 = self.resource("ArchiveBucket", "data"), self.aws("s3")
        listed = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        found = [each["Key"] for page in listed for each in page.get("Contents", ())]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode() for key in found}

    # ------------------------------------------------------------ the product, signed in as the API

    @cached_property
    def as_root(self) -> Dynamo:
        """DynamoDB for whoever may do everything."""
        return Dynamo(self.region, self.emulator.endpoint, lambda: Credentials(ROOT_KEY, ROOT_KEY), utc_now)

    @cached_property
    def core(self) -> DynamoTable:
        """Table `core` for whoever may do everything."""
        return DynamoTable(self.as_root, f"{self.name}-core")

    @cached_property
    def as_api(self) -> Credentials:
        """A session of the API function's role."""
        role = self.aws("iam").get_role(RoleName=self.resource("ApiRole"))["Role"]["Arn"]
        session = self.aws("sts").assume_role(RoleArn=role, RoleSessionName="e2e")["Credentials"]
        return Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    @cached_property
    def dynamo_as_api(self) -> Dynamo:
        """DynamoDB for the API function's role."""
        return Dynamo(self.region, self.emulator.endpoint, lambda: self.as_api, utc_now)

    @cached_property
    def told_to_api(self) -> dict[str, str]:
        """The environment of the API function."""
        said = self.aws("lambda").get_function_configuration(FunctionName=f"{self.name}-api")
        variables: dict[str, str] = said["Environment"]["Variables"]
        return variables

    @cached_property
    def desk(self) -> Desk:
        """Serves members."""
        index_key, cursor_key = (
            bytes.fromhex(self.told_to_api[f"REGULARS_{name}_KEY"]) for name in ("INDEX", "CURSOR")
        )
        table = DynamoTable(self.dynamo_as_api, f"{self.name}-core")
        return Desk(table, Keyring(index_key, cursor_key, self._contacts), ProgramBook(table), Clock(utc_now()))

    @property
    def _contacts(self) -> SealedContacts:
        vault, chance = DynamoTable(self.dynamo_as_api, f"{self.name}-vault"), secrets.token_bytes
        kms = SignedClient(KMS, self.region, self.emulator.endpoint, lambda: self.as_api, utc_now)
        keeper = KmsKeeper(KmsClient(kms, self.told_to_api["REGULARS_VAULT_KEY"]), self.name)
        return SealedContacts(TableVault(vault, TenantKeys(vault, keeper, chance, utc_now), chance), chance)

    @cached_property
    def yard(self) -> Yard:
        """Starts jobs and looks at them."""
        sqs = SignedClient(SQS, self.region, self.emulator.endpoint, lambda: self.as_api, utc_now)
        ops = DynamoTable(self.dynamo_as_api, f"{self.name}-ops")
        return Yard(self.desk.table, ops, self.desk.book, SqsQueues(sqs), self.told_to_api["REGULARS_JOB_QUEUE"])

    def start_birthdays(self, day: date, *, anew: bool = False) -> None:
        """Start the run of a day's birthdays, as the route does."""
        jobs.start_run(self.yard, Job.BIRTHDAY, day, dry_run=False, by="stf_e2e", now=utc_now(), anew=anew)

    def birthdays(self, day: date) -> Run:
        """The run of a day's birthdays."""
        return jobs.find_run(self.yard, Job.BIRTHDAY, day, dry_run=False, now=utc_now())

    def long_known(self, **fields: Any) -> MemberId:
        """Somebody who joined ten days ago: a birthday before joining brings no gift."""
        clock = self.desk.clock
        now, clock.now = clock.now, clock.now - timedelta(days=10)
        try:
            return self.desk.enrol(**fields).member_id
        finally:
            clock.now = now

    def entries(self, member_id: str) -> list[tuple[str, int]]:
        """What was booked for a member, oldest first: which kind, and how many points."""
        found = points_store.list_entries(self.core, MemberId(member_id))
        return [(entry.key.kind, entry.points) for entry in found]

    # ------------------------------------------------------------ by hand

    def _let_keys_go_by_role_alone(self) -> None:
        """Take conditions on what a key is used for out of the roles: ministack evaluates none and refuses them all."""
        iam = self.aws("iam")
        for role in iam.list_roles()["Roles"]:
            named = {"RoleName": role["RoleName"]}
            for name in iam.list_role_policies(**named)["PolicyNames"]:
                document = iam.get_role_policy(**named, PolicyName=name)["PolicyDocument"]
                document = json.loads(document) if isinstance(document, str) else document
                for each in document["Statement"]:
                    if "kms:EncryptionContext:stack" in str(each.get("Condition", "")):
                        del each["Condition"]
                iam.put_role_policy(**named, PolicyName=name, PolicyDocument=json.dumps(document))

    def _tell_the_gateway(self) -> None:
        """Tell ministack what it does not read from the API's definition, and let the stage have it."""
        gateway, api = self.aws("apigateway"), self.resource("RestAPI")
        template = json.loads((self.folder / "app.template.json").read_text())
        body = _spoken(template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"], self.given)
        for kind, answer in body["x-amazon-apigateway-gateway-responses"].items():
            status = {"statusCode": str(answer["statusCode"])} if "statusCode" in answer else {}
            texts = {name: answer[name] for name in ("responseParameters", "responseTemplates")}
            gateway.put_gateway_response(restApiId=api, responseType=kind, **status, **texts)
        places = {each["path"]: each["id"] for each in gateway.get_resources(restApiId=api, limit=500)["items"]}
        for path, operations in body["paths"].items():
            if "options" in operations:
                said = operations["options"]["x-amazon-apigateway-integration"]["responses"]["default"]
                gateway.put_integration_response(
                    restApiId=api, resourceId=places[path], httpMethod="OPTIONS", statusCode=said["statusCode"],
                    responseParameters=said["responseParameters"],
                )  # fmt: skip
        gateway.create_deployment(restApiId=api, stageName="api")


def _spoken(value: Any, given: Mapping[str, str]) -> Any:
    """A part of a template with the parameters in it filled in."""
    match value:
        case {"Fn::Sub": str(text)}:
            for name, known in given.items():
                text = text.replace("${" + name + "}", known)
            return text
        case dict():
            return {name: _spoken(part, given) for name, part in value.items()}
        case list():
            return [_spoken(part, given) for part in value]
    return value


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def deployed(folder: Path, packaged: Path) -> Iterator[Deployed]:
    """A stack for as long as it is wanted."""
    emulator = Emulator(folder)
    try:
        stack = Deployed(emulator, packaged)
        try:
            yield stack
        finally:
            stack.close()
    finally:
        emulator.stop()
