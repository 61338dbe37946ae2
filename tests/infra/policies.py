"""What must hold of the templates: each policy gives what it found against it, in words; nothing found is well.

Policies look at the app template as SAM expands it, because that is what is deployed.
"""

import ast
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from chalicelib.api.headers import security
from local.deploy.environments import OF_THE_TOOL
from local.deploy.functions import LAYERS, layer_id

Json = dict[str, Any]


@dataclass(frozen=True)
class Stacks:
    """All that is deployed.

    Attributes:
        data, app, web: the templates; `app` expanded.
        envs: the parameters of each environment.
    """

    data: Json
    app: Json
    web: Json
    envs: dict[str, dict[str, str]]

    def of(self, kind: str) -> Iterator[tuple[str, Json]]:
        """All resources of a kind, in all stacks."""
        for template in (self.data, self.app, self.web):
            yield from of(template, kind)


def of(template: Json, kind: str) -> Iterator[tuple[str, Json]]:
    """The resources of a kind in a template."""
    return ((name, each) for name, each in template["Resources"].items() if each["Type"] == f"AWS::{kind}")


def spelt(value: Any) -> str:
    """A reference as one word: what it names."""
    match value:
        case {"Ref": name}:
            return str(name)
        case {"Fn::GetAtt": [name, "Arn"]}:
            return str(name)
        case {"Fn::GetAtt": [name, attribute]}:
            return f"{name}.{attribute}"
        case {"Fn::ImportValue": {"Fn::Sub": name}}:
            return str(name).removeprefix("${Stack}-")
        case {"Fn::Sub": [text, {"Owner": owner}]}:
            return str(text).replace("${Owner}", spelt(owner))
        case {"Fn::Sub": text}:
            return str(text)
    return json.dumps(value)


# ---------------------------------------------------------------- what is kept

KEY = {"Fn::GetAtt": ["DataKey", "Arn"]}
KEPT = "RetainExceptOnCreate"


def tables_can_be_recovered(stacks: Stacks) -> list[str]:
    """Every table can be set back to any second of 35 days, is encrypted with our key and refuses deletion.

    The vault only to any of seven: so long after an erasure the member's key can still be had, and not longer.
    """
    found = []
    for name, table in stacks.of("DynamoDB::Table"):
        says = table["Properties"]
        days = {"RecoveryPeriodInDays": 7} if name == "VaultTable" else {}
        if says.get("PointInTimeRecoverySpecification") != {"PointInTimeRecoveryEnabled": True, **days}:
            found.append(f"{name} cannot be set back to a point in time, or for how long is another")
        if says.get("SSESpecification") != {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY}:
            found.append(f"{name} is not encrypted with our key")
        if says.get("DeletionProtectionEnabled") != {"Ref": "DeletionProtection"}:
            found.append(f"{name} does not refuse deletion where the environment says so")
    return found


def what_holds_data_outlives_its_stack(stacks: Stacks) -> list[str]:
    """Tables, buckets, keys, secrets and logs stay when their stack goes or would make new ones."""
    kinds = ("DynamoDB::Table", "S3::Bucket", "KMS::Key", "SecretsManager::Secret", "Logs::LogGroup")
    return [
        f"{name} would go with its stack"
        for kind in kinds
        for name, each in stacks.of(kind)
        if each.get("DeletionPolicy") != KEPT or each.get("UpdateReplacePolicy") != "Retain"
    ]


def the_key_rotates(stacks: Stacks) -> list[str]:
    """The customer key is renewed every year; KMS renews no key that signs, which is changed by hand (ADR 0026)."""
    return [
        f"{name} never rotates"
        for name, key in stacks.of("KMS::Key")
        if not key["Properties"].get("EnableKeyRotation") and key["Properties"].get("KeyUsage") != "SIGN_VERIFY"
    ]


def roots_are_written_once(stacks: Stacks) -> list[str]:
    """Roots are locked from the moment they are written, no policy lets anybody around that, and no role deletes."""
    found = []
    bucket = stacks.data["Resources"]["RootsBucket"]["Properties"]
    lock = {"Mode": {"Ref": "RootsMode"}, "Days": {"Ref": "RootsRetentionDays"}}
    rule = bucket.get("ObjectLockConfiguration", {}).get("Rule", {})
    if not bucket.get("ObjectLockEnabled") or rule != {"DefaultRetention": lock}:
        found.append("roots are not locked")
    statements = stacks.data["Resources"]["RootsBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    denied = {a for each in statements if each["Effect"] == "Deny" and "Condition" not in each for a in each["Action"]}
    if not {"s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:DeleteObjectVersion"} <= denied:
        found.append("somebody may get around the lock")
    if stacks.envs["prod"]["RootsMode"] != "COMPLIANCE":
        found.append("in prod somebody can end the lock")
    for name, statement in _statements(stacks):
        touches = any("RootsBucket" in spelt(each) for each in _listed(statement["Resource"]))
        more = set(_listed(statement["Action"])) - {"s3:GetObject", "s3:PutObject", "s3:ListBucket"}
        if statement["Effect"] == "Allow" and touches and more:
            found.append(f"{name} may do {sorted(more)} to roots")
    return found


ASKS_DYNAMODB = ":scheduler:::aws-sdk:dynamodb:exportTableToPointInTime"


def every_table_is_exported_daily_and_locked(stacks: Stacks) -> list[str]:
    """Each table is exported once a day by a role that can do nothing else, into a bucket that nobody unlocks.

    The vault's has a bucket of its own and is gone after eight days, or erasing a member's key would erase nothing.
    """
    found = []
    data = stacks.data["Resources"]
    for name, days, ends in (("BackupBucket", 35, 90), ("VaultBackupBucket", 7, 8)):
        says = data[name]["Properties"]
        lock = {"DefaultRetention": {"Mode": {"Ref": "RootsMode"}, "Days": days}}
        if not says.get("ObjectLockEnabled") or says.get("ObjectLockConfiguration", {}).get("Rule") != lock:
            found.append(f"{name} is not locked for {days} days")
        if ends not in [rule.get("ExpirationInDays") for rule in says["LifecycleConfiguration"]["Rules"]]:
            found.append(f"{name} does not end after {ends} days")
        denied = data[f"{name}Policy"]["Properties"]["PolicyDocument"]["Statement"]
        if "s3:BypassGovernanceRetention" not in {a for each in denied for a in _listed(each["Action"])}:
            found.append(f"somebody may get around the lock of {name}")
    exported = {}
    for _, each in stacks.of("Scheduler::Schedule"):
        target = each["Properties"]["Target"]
        if spelt(target["Arn"]).endswith(ASKS_DYNAMODB):
            known = target["Input"]["Fn::Sub"][1]
            exported[spelt(known["Table"])] = (spelt(known["Bucket"]), each["Properties"]["ScheduleExpression"])
    for name, _ in stacks.of("DynamoDB::Table"):
        bucket, when = exported.get(f"{name}Arn", ("", ""))
        wanted = "VaultBackupBucketName" if name == "VaultTable" else "BackupBucketName"
        if bucket != wanted:
            found.append(f"{name} is not exported to {wanted}")
        if not re.fullmatch(r"cron\(\d+ \d+ \* \* \? \*\)", when):
            found.append(f"{name} is not exported daily")
    role = stacks.app["Resources"]["ExportRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    may = {action for statement in role for action in _listed(statement["Action"])}
    more = may - {"dynamodb:ExportTableToPointInTime", "s3:PutObject", "s3:AbortMultipartUpload", "sqs:SendMessage"}
    if more != {"kms:Decrypt", "kms:GenerateDataKey"}:
        found.append(f"the role of the exports may do {sorted(more)}")
    return found


def buckets_are_closed(stacks: Stacks) -> list[str]:
    """Every bucket is versioned, encrypted, private, spoken to over TLS alone, and tidied."""
    found = []
    shut = {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    policies = {spelt(each["Properties"]["Bucket"]): each["Properties"] for _, each in stacks.of("S3::BucketPolicy")}
    for name, bucket in stacks.of("S3::Bucket"):
        says = bucket["Properties"]
        if says.get("VersioningConfiguration") != {"Status": "Enabled"}:
            found.append(f"{name} keeps no versions")
        if not says.get("BucketEncryption"):
            found.append(f"{name} is not encrypted")
        if {key for key, on in says.get("PublicAccessBlockConfiguration", {}).items() if on} != shut:
            found.append(f"{name} can be made public")
        if not says.get("LifecycleConfiguration"):
            found.append(f"{name} grows for ever")
        if not _only_tls(policies.get(name)):
            found.append(f"{name} answers without TLS")
    return found


def _only_tls(policy: Json | None) -> bool:
    statements = policy["PolicyDocument"]["Statement"] if policy else []
    return any(
        each["Effect"] == "Deny" and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for each in statements
    )


# ---------------------------------------------------------------- what may fail

DEAD = "DeadLetters"
FOURTEEN_DAYS = 1_209_600


def queues_have_dead_letters(stacks: Stacks) -> list[str]:
    """Every queue is encrypted, TLS only, and hands on what fails five times to one that keeps it for 14 days."""
    found = []
    queues = dict(stacks.of("SQS::Queue"))
    policies = {
        spelt(q): each["Properties"] for _, each in stacks.of("SQS::QueuePolicy") for q in each["Properties"]["Queues"]
    }
    for name, queue in queues.items():
        says = queue["Properties"]
        if says.get("KmsMasterKeyId") != KEY:
            found.append(f"{name} is not encrypted with our key")
        if not _only_tls(policies.get(name)):
            found.append(f"{name} answers without TLS")
        if name.endswith(DEAD):
            if says.get("MessageRetentionPeriod") != FOURTEEN_DAYS:
                found.append(f"{name} forgets before 14 days")
            if says.get("RedriveAllowPolicy", {}).get("redrivePermission") not in ("byQueue", "denyAll"):
                found.append(f"{name} takes dead letters from anywhere")
            continue
        redrive = says.get("RedrivePolicy", {})
        if spelt(redrive.get("deadLetterTargetArn")) not in queues or redrive.get("maxReceiveCount", 99) > 5:
            found.append(f"{name} has no dead letters")
    return found  # fmt: skip


def event_sources_fail_in_part(stacks: Stacks) -> list[str]:
    """Every event source names what failed; a queue waits for its function; a stream gives up in time, in writing."""
    found = []
    functions = dict(stacks.of("Lambda::Function"))
    queues = {f"{name}Arn": each["Properties"] for name, each in stacks.of("SQS::Queue")}
    for name, source in stacks.of("Lambda::EventSourceMapping"):
        says = source["Properties"]
        if says.get("FunctionResponseTypes") != ["ReportBatchItemFailures"]:
            found.append(f"{name} repeats whole batches")
        queue = queues.get(spelt(says["EventSourceArn"]))
        if queue is not None:
            seconds = functions[spelt(says["FunctionName"])]["Properties"]["Timeout"]
            if queue["VisibilityTimeout"] < 6 * seconds + says.get("MaximumBatchingWindowInSeconds", 0):
                found.append(f"{name}: its queue shows messages again before their function gave up")
            continue
        if not says.get("DestinationConfig", {}).get("OnFailure"):
            found.append(f"{name} drops what fails")
        if not says.get("BisectBatchOnFunctionError"):
            found.append(f"{name} does not part a bad record from good ones")
        if (
            not 0 < says.get("MaximumRetryAttempts", -1) <= 1000
            or not 60 <= says.get("MaximumRecordAgeInSeconds", -1) < 86400
        ):
            found.append(f"{name} tries for ever, or longer than the stream remembers")
        if not says.get("FilterCriteria"):
            found.append(f"{name} takes every record")
    return found  # fmt: skip


def rules_and_schedules_lose_nothing(stacks: Stacks) -> list[str]:
    """What a rule, a schedule or an asynchronous call cannot deliver is tried again and then kept."""
    found = []
    for name, rule in stacks.of("Events::Rule"):
        for target in rule["Properties"]["Targets"]:
            if not target.get("DeadLetterConfig") or not target.get("RetryPolicy"):
                found.append(f"{name} drops what it cannot deliver")
            if target.get("InputPath") != "$.detail":
                found.append(f"{name} wraps its events")
    for name, rule in stacks.of("Events::Rule"):
        for target in rule["Properties"]["Targets"]:
            letters = target.get("DeadLetterConfig", {"Arn": ""})["Arn"]
            found += [
                f"{name} may not put anything into {spelt(each)}"
                for each in (target["Arn"], letters)
                if name not in _taken_from(stacks, spelt(each))
            ]
    invoked = set()
    for name, schedule in stacks.of("Scheduler::Schedule"):
        target = schedule["Properties"]["Target"]
        if not spelt(target["Arn"]).endswith(ASKS_DYNAMODB):
            invoked.add(spelt(target["Arn"]))
        if not target.get("DeadLetterConfig") or not target.get("RetryPolicy"):
            found.append(f"{name} drops what it cannot start")
    caught = {
        spelt(each["Properties"]["FunctionName"])
        for _, each in stacks.of("Lambda::EventInvokeConfig")
        if each["Properties"].get("DestinationConfig", {}).get("OnFailure")
    }
    return found + [f"{name} is invoked and forgotten" for name in sorted(invoked - caught)]


def _taken_from(stacks: Stacks, queue: str) -> set[str]:
    """The rules from which a queue takes messages."""
    return {
        spelt(rule)
        for _, policy in stacks.of("SQS::QueuePolicy")
        for each in policy["Properties"]["PolicyDocument"]["Statement"]
        if each["Effect"] == "Allow" and spelt(each["Resource"]) == queue
        for rule in _listed(each["Condition"].get("ArnEquals", {}).get("aws:SourceArn", []))
    }


def schedules_keep_the_programs_time(stacks: Stacks) -> list[str]:
    """Every schedule goes by the program's clock, every environment names a zone that exists, every job has one."""
    found = [
        f"{name} goes by another clock"
        for name, each in stacks.of("Scheduler::Schedule")
        if each["Properties"].get("ScheduleExpressionTimezone") != {"Ref": "TimeZone"}
    ]
    zones = available_timezones()
    return found + [
        f"{env}: no zone {each['TimeZone']}" for env, each in stacks.envs.items() if each["TimeZone"] not in zones
    ]


# ---------------------------------------------------------------- what is watched


DAILY = ("RootsSigned", "AnchorsSigned")
"""What has to come every day."""


def everything_is_watched(stacks: Stacks) -> list[str]:
    """Alarms on every function, queue, table and the API, all of which tell somebody."""
    alarms = [each["Properties"] for _, each in stacks.of("CloudWatch::Alarm")]
    watched = {_watched(each) for each in alarms}
    wanted = {("Errors", name) for name, _ in stacks.of("Lambda::Function")}
    wanted |= {("Throttles", name) for name, _ in stacks.of("Lambda::Function")}
    wanted |= {(each, spelt("")) for each in ("LedgerFaults", "AuditFaults", "AlertsRaised", *DAILY)}
    wanted |= {("IteratorAge", "RelayFunction"), ("5XXError", "${Stack}"), ("Latency", "${Stack}")}
    for name, queue in stacks.of("SQS::Queue"):
        metric = "ApproximateNumberOfMessagesVisible" if name.endswith(DEAD) else "ApproximateAgeOfOldestMessage"
        wanted.add((metric, spelt(queue["Properties"]["QueueName"])))
    summed = json.dumps([each["Metrics"] for each in alarms if "Metrics" in each])
    ruled = {
        spelt(dimension["Value"])
        for each in alarms
        for metric in each.get("Metrics", ())
        for dimension in metric.get("MetricStat", {}).get("Metric", {}).get("Dimensions", ())
        if dimension["Name"] == "RuleName"
    }
    unheard = {spelt(each["Properties"]["Name"]) for _, each in stacks.of("Events::Rule")} - ruled
    found = [f"nobody watches what {name} could not deliver" for name in sorted(unheard)]
    found += [f"nobody watches {metric} of {name}" for metric, name in sorted(wanted - watched)]
    found += [
        f"nobody watches {metric}"
        for metric in ("ReadThrottleEvents", "WriteThrottleEvents", "SystemErrors", "FailedInvocations")
        if f'"{metric}"' not in summed
    ]
    return found + [
        f"{spelt(each['AlarmName'])} rings where nobody hears it"
        for each in alarms
        if each.get("AlarmActions") != [{"Ref": "AlarmTopic"}]
        or each.get("TreatMissingData") != ("breaching" if each.get("MetricName") in DAILY else "notBreaching")
    ]


def _watched(alarm: Json) -> tuple[str, str]:
    of_what = alarm.get("Dimensions") or [{"Value": ""}]
    return alarm.get("MetricName", ""), spelt(of_what[0]["Value"])


def logs_are_kept(stacks: Stacks) -> list[str]:
    """Every function writes to a log of ours, encrypted, kept as long as the environment says: 180 days at least."""
    logs = dict(stacks.of("Logs::LogGroup"))
    found = [
        f"{name} has no log of its own"
        for name, each in stacks.of("Lambda::Function")
        if spelt(each["Properties"].get("LoggingConfig", {}).get("LogGroup")) not in logs
    ]
    for name, log in logs.items():
        if log["Properties"].get("RetentionInDays") != {"Ref": "LogRetentionDays"}:
            found.append(f"{name} is kept for another time")
        if spelt(log["Properties"].get("KmsKeyId")) != "DataKeyArn":
            found.append(f"{name} is not encrypted with our key")
    for template in (stacks.data, stacks.app, stacks.web):
        days = template["Parameters"]["LogRetentionDays"]
        if min(days["AllowedValues"]) < 180 or days["Default"] < 180:
            found.append(f"{template['Description']}: logs may go before 180 days")
    return found


# ---------------------------------------------------------------- who may do what

STARS = {
    "/stream/*": "ListStreams knows no single stream",
    **{f"/{each}/*": "objects of a folder have no other name" for each in ("roots", "heads", "keys", "liability")},
    "/events/*": "objects of a folder have no other name",
    "/outbox/*": "objects of a folder have no other name",
    ":*": "the streams of one log group",
    "/*": "objects of one bucket, in the bucket's own policy",
}
"""Ends of resources that may be a star, and why."""


def nothing_is_granted_wholesale(stacks: Stacks) -> list[str]:
    """No statement allows a star of actions or resources. Key policies speak of their own key alone."""
    found = []
    for name, statement in _statements(stacks):
        if statement["Effect"] != "Allow":
            continue
        for action in _listed(statement["Action"]):
            if "*" in action:
                found.append(f"{name} may do {action}")
        for resource in map(spelt, _listed(statement["Resource"])):
            if (
                resource == '"*"'
                and statement["Action"] == ["sns:Publish"]
                and name in ("ApiTextsPolicy", "SendTextsPolicy")
            ):
                continue  # a phone number has no ARN; topics, which have one, are denied: `carriers_fit_what_is_chosen`
            bare = next((resource.removesuffix(end) for end in STARS if resource.endswith(end)), resource)
            if "*" in bare or not bare:
                found.append(f"{name} may touch {resource}")
        if statement.get("Principal") == "*" or spelt(statement.get("Principal", {}).get("AWS", "")) == "*":
            found.append(f"{name} is for everybody")
    for name, key in stacks.of("KMS::Key"):
        for statement in key["Properties"]["KeyPolicy"]["Statement"]:
            ours = "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
            stars = any("*" in action for action in _listed(statement["Action"]))
            if stars and spelt(statement["Principal"].get("AWS")) != ours:
                found.append(f"{name}: {statement['Sid']} may do anything with it")
    return found


def _statements(stacks: Stacks) -> Iterator[tuple[str, Json]]:
    for name, role in stacks.of("IAM::Role"):
        for policy in role["Properties"].get("Policies", ()):
            yield from ((name, each) for each in policy["PolicyDocument"]["Statement"])
    for kind in ("SQS::QueuePolicy", "S3::BucketPolicy", "SNS::TopicPolicy", "IAM::Policy"):
        for name, policy in stacks.of(kind):
            yield from ((name, each) for each in policy["Properties"]["PolicyDocument"]["Statement"])


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


SEND = {"sqs:SendMessage"}
RECEIVE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
SIGN = {"kms:GetPublicKey", "kms:Sign"}
READ_STREAM = {"dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"}
FUNCTION = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Stack}"
MAKE_LAKE = {
    "CoreTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
    "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
    "ArchiveBucketArn": {"s3:ListBucket"},
    "ArchiveBucketArn/facts/*": {"s3:GetObject"},
    "ArchiveBucketArn/lake/*": {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"},
}
# What each handler calls, by the ports it uses: table.get is GetItem, get_many BatchGetItem, query_* Query on what they
# read, commit the actions of its writes (Put, Delete, Add); a queue's own poller acts in the function's name.
CALLS: dict[str, dict[str, set[str]]] = {
    "ApiFunction": {
        "CoreTableArn": {
            f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
        },
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {
            f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
        },
        "SessionKeyArn": SIGN,
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:DeleteItem"},
        "VaultKeyArn": {"kms:Decrypt", "kms:Encrypt"},
        "JobWorkQueueArn": SEND,
        "RetentionQueueArn": SEND,
        "RootsBucketArn": {"s3:ListBucket"},
        "RootsBucketArn/audit/*": {"s3:GetObject"},
        "RootsBucketArn/roots/*": {"s3:GetObject"},
        "RootsBucketArn/heads/*": {"s3:GetObject"},
        "RootsBucketArn/liability/*": {"s3:GetObject"},
        "RootsBucketArn/keys/*": {"s3:GetObject", "s3:PutObject"},
        "RootsBucketArn/erasures/*": {"s3:GetObject", "s3:PutObject"},
        "SigningKeyArn": SIGN,
        "JourneyStepsQueueArn": SEND,
        "SegmentsRefreshQueueArn": SEND,
        "LaneQueueArn": SEND,
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        **{
            f"{FUNCTION}-{each}": {"lambda:InvokeFunction"}
            for each in ("lake-status", "deliveries-answer", "segments-answer", "campaigns-test", "campaigns-answer")
        },
        "ArchiveBucketArn/segments/*": {"s3:GetObject", "s3:PutObject"},
        "ArchiveBucketArn/plans/*": {"s3:GetObject"},
    },
    "RelayFunction": {
        "CoreTableStreamArn": READ_STREAM,
        "CoreTableArn/stream/*": {"dynamodb:ListStreams"},
        "EventBusArn": {"events:PutEvents"},
        "RelayDeadLettersArn": SEND,
    },
    "ArchiveFunction": {"ArchiveQueueArn": RECEIVE, "ArchiveBucketArn/events/*": {"s3:PutObject"}},
    "StartJobFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"},
        "JobWorkQueueArn": SEND,
        "RetentionQueueArn": SEND,
        "SchedulesDeadLettersArn": SEND,
    },
    "WorkJobFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem")},
        "CoreTableArn/index/due": {"dynamodb:Query"},
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "JobWorkQueueArn": RECEIVE | SEND,
        "RootsBucketArn": {"s3:ListBucket"},
        "RootsBucketArn/roots/*": {"s3:GetObject", "s3:PutObject"},
        "RootsBucketArn/heads/*": {"s3:GetObject", "s3:PutObject"},
        "RootsBucketArn/liability/*": {"s3:PutObject"},
        "RootsBucketArn/audit/*": {"s3:GetObject", "s3:PutObject"},
        "RootsBucketArn/keys/*": {"s3:GetObject", "s3:PutObject"},
        "SigningKeyArn": SIGN,
    },
    "RetainFunction": {
        "CoreTableArn": {
            f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
        },
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {f"dynamodb:{each}" for each in ("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query")},
        "VaultTableArn": {f"dynamodb:{each}" for each in ("GetItem", "DeleteItem", "Query")},
        "VaultKeyArn": {"kms:Decrypt"},
        "RetentionQueueArn": RECEIVE | SEND,
        "RootsBucketArn": {"s3:ListBucket"},
        "RootsBucketArn/erasures/*": {"s3:GetObject", "s3:PutObject"},
    },
    "NoticesFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:Query"},
        "OpsTableArn": {f"dynamodb:{each}" for each in ("GetItem", "PutItem", "UpdateItem", "DeleteItem")},
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:Query"},
        "VaultKeyArn": {"kms:Decrypt"},
        "NoticesQueueArn": RECEIVE,
        "ArchiveBucketArn/outbox/*": {"s3:PutObject"},
    },
    "SendPartsFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "Query")},
        "OpsTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem")},
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"},
        "VaultKeyArn": {"kms:Decrypt"},
        "CampaignSendsQueueArn": RECEIVE | SEND,
        "ArchiveBucketArn/plans/*": {"s3:GetObject"},
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        "ArchiveBucketArn/outbox/*": {"s3:PutObject"},
    },
    "MailEventsFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem")},
        "OpsTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem")},
        "MailEventsQueueArn": RECEIVE,
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
    },
    "JourneysTakeFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query")},
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"},
        "JourneyEventsQueueArn": RECEIVE,
        "JourneyStepsQueueArn": SEND,
    },
    "JourneysStepFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query")},
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query")},
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query"},
        "VaultKeyArn": {"kms:Decrypt"},
        "JourneyStepsQueueArn": RECEIVE | SEND,
        "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Stack}-segments-answer": {
            "lambda:InvokeFunction"
        },
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        "ArchiveBucketArn/outbox/*": {"s3:PutObject"},
    },
    "JourneysTickFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query"},
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "CoreTableArn/index/due": {"dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "JourneyStepsQueueArn": SEND,
        "SchedulesDeadLettersArn": SEND,
    },
    "WatchFunction": {
        "CoreTableArn": {f"dynamodb:{each}" for each in ("GetItem", "BatchGetItem", "Query", "PutItem")},
        "OpsTableArn": {"dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "WatchQueueArn": RECEIVE,
    },
    "LakeFoldFunction": {
        "CoreTableStreamArn": READ_STREAM,
        "CoreTableArn/stream/*": {"dynamodb:ListStreams"},
        "ArchiveBucketArn/lake/log/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        "LakeFoldDeadLettersArn": SEND,
    },
    "LakePatchFunction": {**MAKE_LAKE, "LakePatchQueueArn": RECEIVE, "SegmentsRefreshQueueArn": SEND},
    "LakeRebaseFunction": {**MAKE_LAKE, "SchedulesDeadLettersArn": SEND, "SegmentsRefreshQueueArn": SEND},
    "SegmentsAnswerFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
        "ArchiveBucketArn/segments/*": {"s3:GetObject", "s3:PutObject"},
    },
    "SegmentsRefreshFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:PutItem"},
        "VaultKeyArn": {"kms:Decrypt"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
        "ArchiveBucketArn/segments/*": {"s3:GetObject", "s3:PutObject"},
        "EventBusArn": {"events:PutEvents"},
        "SegmentsRefreshQueueArn": RECEIVE | SEND,
    },
    "LakeStatusFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
    },
    "DeliveriesAnswerFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
    },
    "CampaignsPlanFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "CoreTableArn/index/due": {"dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
        "ArchiveBucketArn/segments/*": {"s3:GetObject"},
        "ArchiveBucketArn/plans/*": {"s3:GetObject", "s3:PutObject"},
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        "CampaignSendsQueueArn": SEND,
        "SchedulesDeadLettersArn": SEND,
    },
    "CampaignsTestFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"},
        "VaultTableArn": {"dynamodb:GetItem", "dynamodb:Query"},
        "VaultKeyArn": {"kms:Decrypt"},
        "ArchiveBucketArn/facts/*": {"s3:PutObject"},
        "LakePatchQueueArn": SEND,
        "ArchiveBucketArn/outbox/*": {"s3:PutObject"},
    },
    "CampaignsAnswerFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "CoreTableArn/index/timeline": {"dynamodb:Query"},
        "OpsTableArn": {"dynamodb:GetItem"},
        "ArchiveBucketArn/lake/*": {"s3:GetObject"},
        "ArchiveBucketArn/segments/*": {"s3:GetObject"},
        "ArchiveBucketArn/plans/*": {"s3:GetObject"},
    },
    "LaneFunction": {
        "CoreTableArn": {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:PutItem"},
        "OpsTableArn": {"dynamodb:GetItem", "dynamodb:PutItem"},
        "LaneQueueArn": RECEIVE,
    },
}  # fmt: skip
VAULT_KEY = [{"Fn::ImportValue": {"Fn::Sub": "${Stack}-VaultKeyArn"}}]
OF_THIS_STACK = {"StringEquals": {"kms:EncryptionContext:stack": {"Ref": "Stack"}}}
KEYED = {"dynamodb": "dynamodb", "sqs": "sqs", "s3": "s3"}
"""Services whose data our key encrypts: who uses one has to be allowed the key through it."""


def roles_fit_what_is_called(stacks: Stacks) -> list[str]:
    """Every call of a handler is granted, and nothing that no handler calls."""
    found = []
    roles = dict(stacks.of("IAM::Role"))
    for name, function in stacks.of("Lambda::Function"):
        granted: dict[str, set[str]] = {}
        via: set[str] = set()
        for policy in roles[spelt(function["Properties"]["Role"])]["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                for resource in map(spelt, _listed(statement["Resource"])):
                    granted.setdefault(resource, set()).update(_listed(statement["Action"]))
                if statement["Resource"] == VAULT_KEY:
                    if statement["Condition"] != OF_THIS_STACK:
                        found.append(f"{name} unwraps keys of any stack")
                elif "Condition" in statement and "kms:Decrypt" in statement["Action"]:
                    via |= {
                        spelt(each).split(".")[0] for each in statement["Condition"]["StringEquals"]["kms:ViaService"]
                    }
        log = spelt(function["Properties"]["FunctionName"])
        own_log = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws/lambda/{log}:*"
        wanted = {resource: set(actions) for resource, actions in CALLS.get(name, {}).items()}
        wanted[own_log] = {"logs:CreateLogStream", "logs:PutLogEvents"}
        services = {action.split(":")[0] for actions in wanted.values() for action in actions} & KEYED.keys()
        wanted["DataKeyArn"] = {"kms:Decrypt", "kms:GenerateDataKey"}
        for resource in wanted.keys() | granted.keys():
            for action in sorted(wanted.get(resource, set()) - granted.get(resource, set())):
                found.append(f"{name} needs {action} on {resource}")
            for action in sorted(granted.get(resource, set()) - wanted.get(resource, set())):
                found.append(f"{name} has no use for {action} on {resource}")
        if via != services:
            found.append(f"{name} uses the key through {sorted(via)}, and calls {sorted(services)}")
    return found  # fmt: skip


_API = [{"Ref": "ApiRole"}]
_MANY = [{"Ref": f"{each}Role"} for each in ("SendParts", "Notices", "CampaignsTest", "JourneysStep")]
_SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
CARRIERS: dict[str, tuple[list[Json], Json, list[Json]]] = {
    "SendTextsPolicy": (
        _MANY,
        {"Fn::Equals": [{"Ref": "ProviderTexts"}, "sns"]},
        [
            {"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["*"]},
            {"Effect": "Deny", "Action": ["sns:Publish"],
             "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}]},
        ],
    ),
    "SendMailsPolicy": (
        _MANY,
        {"Fn::Not": [{"Fn::Equals": [{"Ref": "ProviderMailIdentity"}, ""]}]},
        [
            {"Effect": "Allow", "Action": ["ses:SendBulkEmail", "ses:SendEmail"],
             "Resource": [
                 {"Fn::Sub": _SES + "identity/${ProviderMailIdentity}"}, {"Fn::Sub": _SES + "configuration-set/*"}]},
        ],
    ),
    "ApiTextsPolicy": (
        _API,
        {"Fn::Equals": [{"Ref": "SmsBy"}, "sns"]},
        [
            {"Effect": "Allow", "Action": ["sns:Publish"], "Resource": ["*"]},
            {"Effect": "Deny", "Action": ["sns:Publish"],
             "Resource": [{"Fn::Sub": "arn:${AWS::Partition}:sns:*:*:*"}]},
        ],
    ),
    "ApiMailsPolicy": (
        _API,
        {"Fn::Equals": [{"Ref": "MailBy"}, "ses"]},
        [
            {"Effect": "Allow", "Action": ["ses:SendEmail"],
             "Resource": [
                 {"Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${MailIdentity}"}],
             "Condition": {"StringEquals": {"ses:FromAddress": {"Ref": "MailFrom"}}}},
        ],
    ),
}  # fmt: skip


def carriers_fit_what_is_chosen(stacks: Stacks) -> list[str]:
    """Sending is granted to who sends, by what the environment chooses and as ourselves only."""
    found = []
    policies = dict(stacks.of("IAM::Policy"))
    for name in policies.keys() | CARRIERS.keys():
        if name not in policies or name not in CARRIERS:
            found.append(f"{name} is missing, or unknown")
            continue
        roles, condition, statements = CARRIERS[name]
        says = policies[name]["Properties"]
        if stacks.app["Conditions"].get(policies[name].get("Condition", "")) != condition:
            found.append(f"{name} is granted to who did not choose it")
        if says["Roles"] != roles or says["PolicyDocument"]["Statement"] != statements:
            found.append(f"{name} grants another thing, or to another role")
    for name, role in stacks.of("IAM::Role"):
        for each in role["Properties"].get("Policies", ()):
            for statement in each["PolicyDocument"]["Statement"]:
                if any(action.startswith(("sns:", "ses:")) for action in _listed(statement["Action"])):
                    found.append(f"{name} may send whatever is chosen")
    return found


# ---------------------------------------------------------------- functions and the API

ALL = {"REGULARS_STAGE", "REGULARS_STACK", "REGULARS_ISSUER", "REGULARS_AUDIENCE"}
SIGNS = {"REGULARS_ROOTS", "REGULARS_SIGNING_KEY"}
OPENS = {"REGULARS_VAULT_KEY"}
KEYS = {"REGULARS_INDEX_KEY", "REGULARS_CURSOR_KEY", "REGULARS_OTHER_INDEX_KEY", "REGULARS_CONTENT_KEY"}
LINKS = {"REGULARS_OPT_OUT_KEY"}
CARRY = {f"REGULARS_{each}" for each in (
    "SMS_BY", "SMS_SENDER", "SMS_ENTITY", "SMS_TEMPLATE", "SMS_PREFIXES", "MAIL_BY", "MAIL_FROM", "GATEWAY_URL",
    "GATEWAY_KEY",
)}  # fmt: skip
SENDS = {"REGULARS_PROVIDERS", "REGULARS_PROVIDER_SECRETS", "REGULARS_RESIDENCY"}
SECRETS = {
    "REGULARS_INDEX_KEY": ("${IndexKeyName}", None),
    "REGULARS_CURSOR_KEY": ("cursor-key", None),
    "REGULARS_OTHER_INDEX_KEY": ("${OtherIndexKeyName}", "IndexKeyIsReplaced"),
    "REGULARS_CONTENT_KEY": ("${ContentKeyName}", "IndexKeyWasReplaced"),
    "REGULARS_OPT_OUT_KEY": ("opt-out-key", None),
    "REGULARS_GATEWAY_KEY": ("gateway-key", "ByGateway"),
    "REGULARS_PROVIDER_SECRETS": ("provider-secrets", None),
    "REGULARS_CALLBACKS": ("callbacks", None),
}
"""Where each key is, and the condition under which alone it is handed out."""
TOLD = {
    "ApiFunction": KEYS
    | LINKS
    | CARRY
    | SIGNS
    | OPENS
    | {"REGULARS_SESSION_KEY", "REGULARS_ISSUERS", "REGULARS_CALLBACKS", "REGULARS_ARCHIVE"}
    | {"REGULARS_CORS_ORIGIN", "REGULARS_JOB_QUEUE", "REGULARS_RETENTION_QUEUE", "REGULARS_LANE_QUEUE"}
    | {"REGULARS_JOURNEY_QUEUE", "REGULARS_SEGMENTS_QUEUE", "REGULARS_LAKE_QUEUE"},
    "RelayFunction": {"REGULARS_BUS"},
    "ArchiveFunction": {"REGULARS_ARCHIVE"},
    "StartJobFunction": {"REGULARS_JOB_QUEUE", "REGULARS_RETENTION_QUEUE"},
    "WorkJobFunction": SIGNS | {"REGULARS_JOB_QUEUE"},
    "RetainFunction": KEYS | OPENS | {"REGULARS_ROOTS", "REGULARS_JOB_QUEUE", "REGULARS_RETENTION_QUEUE"},
    "NoticesFunction": {"REGULARS_ARCHIVE", "REGULARS_PUBLIC_URL"} | LINKS | OPENS | SENDS,
    "MailEventsFunction": KEYS | OPENS | {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE"},
    "JourneysTakeFunction": KEYS | OPENS | {"REGULARS_JOURNEY_QUEUE"},
    "JourneysStepFunction": KEYS
    | LINKS
    | OPENS
    | SENDS
    | {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE", "REGULARS_PUBLIC_URL", "REGULARS_JOURNEY_QUEUE"},
    "JourneysTickFunction": KEYS | OPENS | {"REGULARS_JOURNEY_QUEUE"},
    "SendPartsFunction": KEYS
    | LINKS
    | OPENS
    | SENDS
    | {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE", "REGULARS_PUBLIC_URL", "REGULARS_SEND_QUEUE"},
    "LakeFoldFunction": {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE"},
    "LakePatchFunction": {"REGULARS_ARCHIVE", "REGULARS_SEGMENTS_QUEUE"},
    "LakeRebaseFunction": {"REGULARS_ARCHIVE", "REGULARS_SEGMENTS_QUEUE"},
    "SegmentsAnswerFunction": {"REGULARS_ARCHIVE"},
    "SegmentsRefreshFunction": {"REGULARS_ARCHIVE", "REGULARS_BUS", "REGULARS_SEGMENTS_QUEUE"} | OPENS,
    "LakeStatusFunction": {"REGULARS_ARCHIVE"},
    "DeliveriesAnswerFunction": {"REGULARS_ARCHIVE"},
    "CampaignsPlanFunction": {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE", "REGULARS_SEND_QUEUE"},
    "CampaignsTestFunction": KEYS
    | LINKS
    | OPENS
    | SENDS
    | {"REGULARS_ARCHIVE", "REGULARS_LAKE_QUEUE", "REGULARS_PUBLIC_URL"},
    "CampaignsAnswerFunction": {"REGULARS_ARCHIVE"},
}


def functions_are_told_what_they_need(stacks: Stacks) -> list[str]:
    """Every function has the runtime, the machine and the variables that it wants, and keys only where they serve."""
    found = []
    for name, function in stacks.of("Lambda::Function"):
        says = function["Properties"]
        variables = says["Environment"]["Variables"]
        ours = {each for each in variables if each.startswith("REGULARS_")}
        if ours != ALL | TOLD.get(name, set()):
            found.append(f"{name} is told {sorted(ours ^ (ALL | TOLD.get(name, set())))} too much or too little")
        if says["Runtime"] != "python3.13" or says["Architectures"] != [{"Ref": "Architecture"}]:
            found.append(f"{name} runs on something else")
        if spelt(says.get("KmsKeyArn")) != "DataKeyArn":
            found.append(f"{name} has its environment in clear")
        for each in SECRETS.keys() & ours:
            secret, condition = SECRETS[each]
            wanted: Json = {"Fn::Sub": "{{resolve:secretsmanager:${Stack}/" + secret + ":SecretString}}"}
            if condition:
                wanted = {"Fn::If": [condition, wanted, {"Ref": "AWS::NoValue"}]}
            if variables[each] != wanted:
                found.append(f"{name} has {each} in the template, or another's, or when it has no use for it")
        if name == "ApiFunction" and says["Timeout"] > 28:
            found.append(f"{name} works on after the gateway gave up")
    return found


def handlers_exist(stacks: Stacks) -> list[str]:
    """Every handler is a function of the tree that takes an event and a context."""
    found = []
    for name, function in stacks.of("Lambda::Function"):
        module, _, wanted = function["Properties"]["Handler"].rpartition(".")
        if module == "app":
            continue
        try:
            spec = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            spec = None
        if spec is None or spec.origin is None:
            found.append(f"{name}: there is no module {module}")
            continue
        tree = ast.parse(Path(spec.origin).read_text())
        taken = [
            [a.arg for a in each.args.args]
            for each in tree.body
            if isinstance(each, ast.FunctionDef) and each.name == wanted
        ]
        if taken != [["event", "context"]]:
            found.append(f"{name}: {module} has no {wanted}(event, context)")
    return found  # fmt: skip


def _unlike_the_app(body: Json, answers: Json) -> Iterator[str]:
    """What the gateway answers by itself and OPTIONS, where the headers are not those of the app's answers."""
    mapped = {f"its own {kind}": answer["responseParameters"] for kind, answer in answers.items()}
    for path, methods in body["paths"].items():
        if "options" in methods:
            replies = methods["options"]["x-amazon-apigateway-integration"]["responses"]
            mapped[f"OPTIONS {path}"] = replies["default"]["responseParameters"]
    for answer, headers in mapped.items():
        sent = {each.rpartition(".header.")[2]: value for each, value in headers.items()}
        if not security(laptop=False).keys() <= sent.keys():
            yield f"{answer} lacks security headers"
        if any("'" in value[1:-1] for value in sent.values() if isinstance(value, str)):
            yield f"{answer} has a quote inside of a constant"
        if sent.get("Access-Control-Allow-Origin") != {"Fn::Sub": "'${CorsOrigin}'"}:
            yield f"{answer} is for other pages than the environment's"


def the_gateway_is_bounded_and_readable(stacks: Stacks) -> list[str]:
    """The stage is throttled, measured and logged; what the gateway answers by itself can be read by a web page."""
    found = []
    for name, stage in stacks.of("ApiGateway::Stage"):
        settings = stage["Properties"].get("MethodSettings", [{}])[0]
        if settings.get("ThrottlingRateLimit") != {"Ref": "ApiRateLimit"} or "ThrottlingBurstLimit" not in settings:
            found.append(f"{name} takes any number of requests")
        every = stage["Properties"].get("MethodSettings", [])
        if any(each.get("DataTraceEnabled") is not False for each in every):
            found.append(f"{name} logs bodies")
        for path in ("/~1v1~1auth~1otp-requests", "/~1v1~1auth~1tokens"):
            of_it = [each for each in every if (each["ResourcePath"], each["HttpMethod"]) == (path, "POST")]
            if [each.get("ThrottlingRateLimit") for each in of_it] != [{"Ref": "SignInRateLimit"}]:
                found.append(f"{name} takes any number of {path}")
        said = stage["Properties"].get("AccessLogSetting", {}).get("Format", "")
        if not said:
            found.append(f"{name} logs no requests")
        if re.search(r"\$context\.(path\b|identity|authorizer)|querystring", said):
            found.append(f"{name} logs what may be personal")
    for name, api in stacks.of("ApiGateway::RestApi"):
        answers = api["Properties"]["Body"].get("x-amazon-apigateway-gateway-responses", {})
        found += [f"{name}: {fault}" for fault in _unlike_the_app(api["Properties"]["Body"], answers)]
        for kind in ("DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "REQUEST_TOO_LARGE"):
            headers = answers.get(kind, {}).get("responseParameters", {})
            if "gatewayresponse.header.Access-Control-Allow-Origin" not in headers:
                found.append(f"{name}: a page cannot read {kind}")
    return found


# ---------------------------------------------------------------- parameters


def environments_say_the_same_things(stacks: Stacks) -> list[str]:
    """Every environment has the same names, those that the templates take, with values that they take."""
    declared = {**stacks.data["Parameters"], **stacks.app["Parameters"], **stacks.web["Parameters"]}
    wanted = {*declared, *OF_THE_TOOL} - {"CodeKey", *(f"{layer_id(name)}Key" for name in LAYERS)}
    found = []
    for env, given in stacks.envs.items():
        if given.keys() != wanted:
            found.append(f"{env}: {sorted(given.keys() ^ wanted)} are too much or missing")
        if given.get("Stage") != env or given.get("Stack") != f"regulars-{env}":
            found.append(f"{env} is another environment")
        for name in given.keys() & declared.keys():
            said, value = declared[name], given[name]
            allowed = [str(each) for each in said.get("AllowedValues", [value])]
            if value not in allowed or not re.fullmatch(said.get("AllowedPattern", ".*"), value):
                found.append(f"{env}: {name}={value} is refused")
            if said["Type"] == "Number" and not value.isdecimal():
                found.append(f"{env}: {name}={value} is no number")
        if env != "dev" and given.get("DeletionProtection") != "true":
            found.append(f"{env} can be deleted")
        if env == "prod" and given.get("AddressRateLimit") == "0" and not given.get("WebAclArn"):
            found.append(f"{env} bounds no network address")
    return found


def what_is_imported_is_exported(stacks: Stacks) -> list[str]:
    """The app asks the data stack for nothing that it does not give, and no template is given a secret.

    It may be told the name of one, which is too short to be a key.
    """
    exported = {spelt(each["Export"]["Name"]) for each in stacks.data["Outputs"].values() if "Export" in each}
    asked = set(re.findall(r'"Fn::ImportValue": \{"Fn::Sub": "([^"]+)"\}', json.dumps(stacks.app)))
    found = [f"nobody exports {name}" for name in sorted(asked - exported)]
    for template in (stacks.data, stacks.app, stacks.web):
        found += [
            f"{name} would be a secret in clear"
            for name in template["Parameters"]
            if re.search("Secret|Password|IndexKey|CursorKey|ContentKey|OptOutKey|GatewayKey|Token", name)
            and not (name.endswith("Name") and "{0,40}" in template["Parameters"][name].get("AllowedPattern", ""))
        ]
    return found


POLICIES: tuple[Callable[[Stacks], list[str]], ...] = (
    tables_can_be_recovered,
    what_holds_data_outlives_its_stack,
    the_key_rotates,
    buckets_are_closed,
    roots_are_written_once,
    every_table_is_exported_daily_and_locked,
    queues_have_dead_letters,
    event_sources_fail_in_part,
    rules_and_schedules_lose_nothing,
    schedules_keep_the_programs_time,
    everything_is_watched,
    logs_are_kept,
    nothing_is_granted_wholesale,
    roles_fit_what_is_called,
    carriers_fit_what_is_chosen,
    functions_are_told_what_they_need,
    handlers_exist,
    the_gateway_is_bounded_and_readable,
    environments_say_the_same_things,
    what_is_imported_is_exported,
)
