"""The functions of the app stack: what starts each, what it may do, what it is told.

They are declared here and not by Chalice's decorators, which know neither partial batch failures nor dead letters,
filters, time zones or a role per function (ADR 0015).
"""

import json
from dataclasses import dataclass, field
from typing import Any

from chalicelib.jobs.models import Job
from local.deploy.intrinsics import Json, allow, allow_key, attribute, beside, imported, policy, ref, role, sub, when

JOBS = tuple(job.value for job in Job)
"""What is started every hour, each by a schedule of its own."""

LAYERS = {"lake": "requirements-lake.txt", "senders": "requirements-senders.txt"}
"""What some functions need beside the zip, and its lock file."""

ZIP = {"Bucket": imported("CodeBucketName"), "Key": ref("CodeKey")}
LONGEST_BATCH = 6
"""A queue hides a message for so many time-outs of its function, as AWS advises."""


@dataclass(frozen=True)
class Function:
    """A function of the stack.

    Attributes:
        id: logical name in the template; the name in AWS is the stack's and `name`.
        handler: `module.function` in the zip.
        seconds: time-out.
        may: statements of its role, beyond its own log.
        told: its environment, beyond what all are told.
        events: what invokes it, as SAM has it.
        more: other properties.
        layers: what it needs beside the zip, by the names of `LAYERS`.
        asked: the API calls it and waits for its answer (`storage/functions.py`).
    """

    id: str
    name: str
    handler: str
    seconds: int
    may: tuple[Json, ...]
    memory: int = 1024
    told: Json = field(default_factory=dict)
    events: Json = field(default_factory=dict)
    more: Json = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    asked: bool = False


def secret(name: str) -> Json:
    """A secret of the stack, filled in by CloudFormation when the function is made or changed."""
    return sub("{{resolve:secretsmanager:${Stack}/" + name + ":SecretString}}")


# ---------------------------------------------------------------- what a role may do

TIMELINE, DUE = beside("CoreTableArn", "/index/timeline"), beside("CoreTableArn", "/index/due")


def _core(*actions: str) -> Json:
    return allow([f"dynamodb:{action}" for action in actions], imported("CoreTableArn"))


def _query(*indexes: Json) -> Json:
    return allow(["dynamodb:Query"], *indexes)


def _open_program() -> Json:
    """The first to ask for the program of a new stack writes it down, and a schedule may come before any request."""
    only = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["PROGRAM"]}}
    return allow(["dynamodb:PutItem"], imported("CoreTableArn"), condition=only)


def _ops(*actions: str) -> Json:
    return allow([f"dynamodb:{action}" for action in actions], imported("OpsTableArn"))


def _receive(queue: str) -> Json:
    actions = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    return allow(actions, imported(queue + "Arn"))


def _send(queue: str) -> Json:
    return allow(["sqs:SendMessage"], imported(queue + "Arn"))


def _write(folder: str) -> Json:
    return allow(["s3:PutObject"], beside("ArchiveBucketArn", f"/{folder}/*"))


def _tell_lake() -> tuple[Json, ...]:
    """What it takes to tell the lake what is no record of table `core`, and to ask for a patch that has it."""
    return (_write("facts"), _send("LakePatchQueue"))


def read_lake() -> tuple[Json, ...]:
    """What a function needs to ask the lake: its head, and its files by name."""
    return (
        _ops("GetItem"),
        allow(["s3:GetObject"], beside("ArchiveBucketArn", "/lake/*")),
    )


def _make_lake() -> tuple[Json, ...]:
    """What it takes to make patches and bases: to read log and facts, to write and to remove what is old."""
    return (
        _core("GetItem"),
        _open_program(),
        _ops("GetItem", "PutItem"),
        allow(["s3:ListBucket"], imported("ArchiveBucketArn")),
        allow(["s3:GetObject"], beside("ArchiveBucketArn", "/lake/*"), beside("ArchiveBucketArn", "/facts/*")),
        allow(["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"], beside("ArchiveBucketArn", "/lake/*")),
        allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
    )


def _roots(action: str, *folders: str) -> Json:
    """What is written once: nobody may delete there, nor shorten how long it is kept."""
    return allow([action], *(beside("RootsBucketArn", f"/{folder}/*") for folder in folders))


def _list_roots() -> Json:
    return allow(["s3:ListBucket"], imported("RootsBucketArn"))


def _sign(key: str = "SigningKeyArn") -> Json:
    return allow(["kms:GetPublicKey", "kms:Sign"], imported(key))


def _vault(*actions: str) -> Json:
    return allow([f"dynamodb:{action}" for action in actions], imported("VaultTableArn"))


def _ask(*asked: str) -> Json:
    """What it takes to ask functions that answer."""
    names = (
        "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${Stack}-" + each for each in asked
    )
    return allow(["lambda:InvokeFunction"], *map(sub, names))


def _keep(*actions: str) -> Json:
    """Keys of the tenant are wrapped under the stack's name: a role reads those of its own stack only."""
    ours = {"StringEquals": {"kms:EncryptionContext:stack": ref("Stack")}}
    return allow([f"kms:{action}" for action in actions], imported("VaultKeyArn"), condition=ours)


_ENCRYPT = ["kms:Decrypt", "kms:GenerateDataKey"]

# ---------------------------------------------------------------- what invokes a function


def _queue(queue: str, batch: int, concurrency: str, window: int = 0) -> Json:
    """Messages of a queue; those that failed are named, the others are done."""
    properties: Json = {
        "Queue": imported(queue + "Arn"),
        "BatchSize": batch,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": ref(concurrency)},
    }
    if window:
        properties["MaximumBatchingWindowInSeconds"] = window
    return {"Queue": {"Type": "SQS", "Properties": properties}}


TOLD: tuple[Json, ...] = (
    {"eventName": ["INSERT"], "dynamodb": {"Keys": {"sk": {"S": ["PROFILE", "POOL"]}}}},
    {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": each} for each in ("O#", "K#", "H#", "AL#")]}}},
    },
    {
        "eventName": ["INSERT"],
        "dynamodb": {
            "Keys": {
                "pk": {"S": [{"prefix": "A#"}, {"prefix": "C#"}]},
                "sk": {"S": [{"prefix": "R#"}, {"prefix": "TU#"}]},
            }
        },
    },
    {"eventName": ["MODIFY"], "dynamodb": {"OldImage": {"is": {"S": ["waiting"]}}}},
    {
        "eventName": ["INSERT"],
        "dynamodb": {"Keys": {"pk": {"S": ["PROGRAM"]}, "sk": {"S": [{"prefix": "V#"}]}}},
    },
)
"""The records that the relay tells of: profiles and pools made, entries, happenings, alerts, audit records, top-ups of
cards, versions of the program. There may be five patterns and no more, so audit records and top-ups share one: the
partitions of days (`A#`) hold no `TU#`, those of cards (`C#`) no `R#`.

A purchase for which returns waited takes the place of what waited: for the stream that is a change.

An account's sums change with every entry and tell nothing that the entry does not: half the stream stays behind.
"""

_STREAM = {
    "Stream": {
        "Type": "DynamoDB",
        "Properties": {
            "Stream": imported("CoreTableStreamArn"),
            "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 100,
            "MaximumBatchingWindowInSeconds": 1,
            "ParallelizationFactor": 4,
            "BisectBatchOnFunctionError": True,
            "MaximumRetryAttempts": 200,
            "MaximumRecordAgeInSeconds": 72000,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": imported("RelayDeadLettersArn")}},
            "FilterCriteria": {
                "Filters": [{"Pattern": json.dumps(pattern, separators=(",", ":"))} for pattern in TOLD]
            },
        },
    }
}

FOLDED: tuple[Json, ...] = (
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "M#"}]}, "sk": {"S": ["PROFILE", "ACCOUNT"]}}},
    },
    {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {
            "Keys": {"pk": {"S": [{"prefix": each} for each in ("O#", "K#")]}},
            "NewImage": {"tl": {"S": [{"prefix": "M#"}]}},
        },
    },
)
"""The records that the lake folds: profiles and accounts of members, and their entries, purchases among them."""

_FOLDS = {
    "Stream": {
        "Type": "DynamoDB",
        "Properties": {
            **_STREAM["Stream"]["Properties"],  # type: ignore[dict-item]
            "BatchSize": 1000,
            "MaximumBatchingWindowInSeconds": 10,
            "ParallelizationFactor": 1,
            "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": imported("LakeFoldDeadLettersArn")}},
            "FilterCriteria": {
                "Filters": [{"Pattern": json.dumps(pattern, separators=(",", ":"))} for pattern in FOLDED]
            },
        },
    }
}
"""Many records make one file: ten seconds of waiting are in the minute that the lake may be behind."""

LAKE_TOLD = {"REGULARS_ARCHIVE": imported("ArchiveBucketName")}
"""Told to functions that ask the lake."""

_PATCHES = {"REGULARS_LAKE_QUEUE": imported("LakePatchQueueUrl")}
"""Told to functions that tell the lake something, and ask for a patch that has it."""
_REFRESHES = {"REGULARS_SEGMENTS_QUEUE": imported("SegmentsRefreshQueueUrl")}
"""Told to functions after which live segments are looked at."""

_SIGNS = {"REGULARS_ROOTS": imported("RootsBucketName"), "REGULARS_SIGNING_KEY": imported("SigningKeyArn")}
_OPENS = {"REGULARS_VAULT_KEY": imported("VaultKeyArn")}
"""Told to functions that open contact data."""
_KEYS = {
    "REGULARS_INDEX_KEY": secret("${IndexKeyName}"),
    "REGULARS_OTHER_INDEX_KEY": when("IndexKeyIsReplaced", secret("${OtherIndexKeyName}")),
    "REGULARS_CONTENT_KEY": when("IndexKeyWasReplaced", secret("${ContentKeyName}")),
    "REGULARS_CURSOR_KEY": secret("cursor-key"),
}
_LINKS = {"REGULARS_OPT_OUT_KEY": secret("opt-out-key")}
"""Told to who makes opt-out links and who takes them; it finds nobody."""
_CARRIERS = {
    "REGULARS_SMS_BY": ref("SmsBy"),
    "REGULARS_SMS_SENDER": ref("SmsSender"),
    "REGULARS_SMS_ENTITY": ref("SmsEntity"),
    "REGULARS_SMS_TEMPLATE": ref("SmsTemplate"),
    "REGULARS_SMS_PREFIXES": ref("SmsPrefixes"),
    "REGULARS_MAIL_BY": ref("MailBy"),
    "REGULARS_MAIL_FROM": ref("MailFrom"),
    "REGULARS_GATEWAY_URL": ref("GatewayUrl"),
    "REGULARS_GATEWAY_KEY": when("ByGateway", secret("gateway-key")),
}
"""Told to who sends codes."""
_SENDS = {
    "REGULARS_PROVIDERS": ref("Providers"),
    "REGULARS_PROVIDER_SECRETS": secret("provider-secrets"),
    "REGULARS_RESIDENCY": ref("Residency"),
}
"""Told to who sends what goes to many."""
PUBLIC_URL = {
    "Fn::If": [
        "HasPublicUrl",
        ref("PublicUrl"),
        sub("https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/api"),
    ]
}
"""Where people reach the API: a domain of the merchant's, or API Gateway's own name."""


def _called(*, age: int, retries: int) -> Json:
    """What becomes of a schedule's call that was taken and failed: it is made again, and then kept.

    Args:
        age: seconds after which it is not made again.
    """
    return {
        "MaximumEventAgeInSeconds": age,
        "MaximumRetryAttempts": retries,
        "DestinationConfig": {"OnFailure": {"Type": "SQS", "Destination": imported("SchedulesDeadLettersArn")}},
    }


FUNCTIONS: tuple[Function, ...] = (
    Function(
        "ApiFunction", "api", "app.app", 15,
        told={
            **_KEYS,
            **_LINKS,
            **_CARRIERS,
            **_SIGNS,
            "REGULARS_SESSION_KEY": imported("SessionKeyArn"),
            **_OPENS,
            "REGULARS_CORS_ORIGIN": ref("CorsOrigin"),
            "REGULARS_CALLBACKS": secret("callbacks"),
            "REGULARS_ARCHIVE": imported("ArchiveBucketName"),
            "REGULARS_ISSUERS": ref("Issuers"),
            "REGULARS_JOB_QUEUE": imported("JobWorkQueueUrl"),
            "REGULARS_RETENTION_QUEUE": imported("RetentionQueueUrl"),
            "REGULARS_LANE_QUEUE": imported("LaneQueueUrl"),
            "REGULARS_JOURNEY_QUEUE": imported("JourneyStepsQueueUrl"),
            **_PATCHES,
            **_REFRESHES,
        },
        may=(
            allow(["s3:GetObject", "s3:PutObject"], beside("ArchiveBucketArn", "/segments/*")),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/plans/*")),
            _core("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
            _query(imported("CoreTableArn"), TIMELINE),
            _ops("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
            _vault("GetItem", "PutItem", "DeleteItem", "Query"),
            _keep("Decrypt", "Encrypt"),
            _send("JobWorkQueue"),
            _send("RetentionQueue"),
            _list_roots(),
            _roots("s3:GetObject", "roots", "heads", "keys", "liability", "audit", "erasures"),
            _roots("s3:PutObject", "keys", "erasures"),
            _sign(),
            _sign("SessionKeyArn"),
            *_tell_lake(),
            _send("LaneQueue"),
            _send("JourneyStepsQueue"),
            _send("SegmentsRefreshQueue"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        more={"ReservedConcurrentExecutions": when("ReserveApi", ref("ApiConcurrency"))},
    ),
    Function(
        "RelayFunction", "relay", "chalicelib.relay.jobs.relay_records", 60,
        told={"REGULARS_BUS": imported("EventBusName")},
        events=_STREAM,
        may=(
            allow(
                ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                imported("CoreTableStreamArn"),
            ),
            allow(["dynamodb:ListStreams"], beside("CoreTableArn", "/stream/*")),
            allow(["events:PutEvents"], imported("EventBusArn")),
            _send("RelayDeadLetters"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
    ),
    Function(
        "ArchiveFunction", "archive", "chalicelib.relay.jobs.archive_events", 60,
        told={"REGULARS_ARCHIVE": imported("ArchiveBucketName")},
        events=_queue("ArchiveQueue", 100, "ArchiveConcurrency", window=20),
        may=(_receive("ArchiveQueue"), _write("events"), allow_key(_ENCRYPT, "s3", "sqs")),
    ),
    Function(
        "StartJobFunction", "start-job", "chalicelib.jobs.jobs.start_job", 60,
        told={
            "REGULARS_JOB_QUEUE": imported("JobWorkQueueUrl"),
            "REGULARS_RETENTION_QUEUE": imported("RetentionQueueUrl"),
        },
        may=(
            _core("GetItem"),
            _open_program(),
            _ops("GetItem", "PutItem", "Query"),
            _send("JobWorkQueue"),
            _send("RetentionQueue"),
            _send("SchedulesDeadLetters"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
        more={
            "EventInvokeConfig": _called(age=3600, retries=2),
        },
    ),
    Function(
        "WorkJobFunction", "work-job", "chalicelib.jobs.jobs.work_job", 60,
        told={"REGULARS_JOB_QUEUE": imported("JobWorkQueueUrl"), **_SIGNS},
        events=_queue("JobWorkQueue", 10, "WorkConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _query(imported("CoreTableArn"), TIMELINE, DUE),
            _ops("GetItem", "PutItem", "Query", "UpdateItem"),
            _receive("JobWorkQueue"),
            _send("JobWorkQueue"),
            _list_roots(),
            _roots("s3:GetObject", "roots", "heads", "keys", "audit"),
            _roots("s3:PutObject", "roots", "heads", "keys", "liability", "audit"),
            _sign(),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
    ),
    Function(
        "RetainFunction", "retain", "chalicelib.privacy.jobs.work_retention", 60,
        told={
            **_KEYS,
            **_OPENS,
            "REGULARS_ROOTS": imported("RootsBucketName"),
            "REGULARS_JOB_QUEUE": imported("JobWorkQueueUrl"),
            "REGULARS_RETENTION_QUEUE": imported("RetentionQueueUrl"),
        },
        events=_queue("RetentionQueue", 1, "WorkConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"),
            _query(imported("CoreTableArn"), TIMELINE),
            _ops("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"),
            _vault("GetItem", "DeleteItem", "Query"),
            _keep("Decrypt"),
            _receive("RetentionQueue"),
            _send("RetentionQueue"),
            _roots("s3:GetObject", "erasures"),
            _roots("s3:PutObject", "erasures"),
            _list_roots(),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
    ),
    Function(
        "NoticesFunction", "notices", "chalicelib.notices.jobs.send_notices", 30,
        told={
            "REGULARS_ARCHIVE": imported("ArchiveBucketName"),
            "REGULARS_PUBLIC_URL": PUBLIC_URL,
            **_LINKS,
            **_OPENS,
            **_SENDS,
        },
        events=_queue("NoticesQueue", 10, "NoticesConcurrency"),
        may=(
            _core("GetItem", "Query"),
            _ops("GetItem", "PutItem", "UpdateItem", "DeleteItem"),
            _vault("GetItem", "Query"),
            _keep("Decrypt"),
            _receive("NoticesQueue"),
            _write("outbox"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
    ),
    Function(
        "SendPartsFunction", "send-parts", "chalicelib.deliveries.jobs.send_parts", 120, memory=512,
        told={
            **_KEYS,
            **_LINKS,
            **_OPENS,
            "REGULARS_ARCHIVE": imported("ArchiveBucketName"),
            **_PATCHES,
            "REGULARS_PUBLIC_URL": PUBLIC_URL,
            "REGULARS_SEND_QUEUE": imported("CampaignSendsQueueUrl"),
            **_SENDS,
        },
        events=_queue("CampaignSendsQueue", 1, "SendsConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _query(imported("CoreTableArn")),
            _ops("GetItem", "BatchGetItem", "PutItem", "UpdateItem"),
            _vault("GetItem", "BatchGetItem", "Query"),
            _keep("Decrypt"),
            _receive("CampaignSendsQueue"),
            _send("CampaignSendsQueue"),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/plans/*")),
            *_tell_lake(),
            _write("outbox"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        layers=("senders",),
    ),
    Function(
        "MailEventsFunction", "mail-events", "chalicelib.receipts.jobs.take_mail_events", 30,
        told={**_KEYS, **_OPENS, "REGULARS_ARCHIVE": imported("ArchiveBucketName"), **_PATCHES},
        events=_queue("MailEventsQueue", 10, "NoticesConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _ops("GetItem", "BatchGetItem", "PutItem", "UpdateItem"),
            _receive("MailEventsQueue"),
            *_tell_lake(),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
    ),
    Function(
        "DeliveriesAnswerFunction", "deliveries-answer", "chalicelib.deliveries.jobs.answer", 25,
        memory=2048,
        told=LAKE_TOLD,
        may=(_core("GetItem"), _open_program(), *read_lake(), allow_key(_ENCRYPT, "dynamodb", "s3")),
        layers=("lake",),
        asked=True,
    ),
    Function(
        "WatchFunction", "watch", "chalicelib.watch.jobs.watch_events", 30,
        events=_queue("WatchQueue", 10, "WatchConcurrency", window=2),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem", "Query"),
            _ops("BatchGetItem", "PutItem", "UpdateItem"),
            _receive("WatchQueue"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
    ),
    Function(
        "LakeFoldFunction", "lake-fold", "chalicelib.lake.jobs.fold_records", 60,
        told={**LAKE_TOLD, **_PATCHES},
        events=_FOLDS,
        may=(
            allow(
                ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                imported("CoreTableStreamArn"),
            ),
            allow(["dynamodb:ListStreams"], beside("CoreTableArn", "/stream/*")),
            _write("lake/log"),
            _send("LakePatchQueue"),
            _send("LakeFoldDeadLetters"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
    ),
    Function(
        "LakePatchFunction", "lake-patch", "chalicelib.lake.jobs.patch_lake", 120,
        memory=4096,
        told={**LAKE_TOLD, **_REFRESHES},
        events=_queue("LakePatchQueue", 10, "LakeConcurrency"),
        may=(*_make_lake(), _receive("LakePatchQueue"), _send("SegmentsRefreshQueue")),
        layers=("lake",),
        more={"EphemeralStorage": {"Size": 4096}},
    ),
    Function(
        "LakeRebaseFunction", "lake-rebase", "chalicelib.lake.jobs.rebase_lake", 900,
        memory=8192,
        told={**LAKE_TOLD, **_REFRESHES},
        may=(*_make_lake(), _send("SchedulesDeadLetters"), _send("SegmentsRefreshQueue")),
        layers=("lake",),
        more={
            "EphemeralStorage": {"Size": 10240},
            "EventInvokeConfig": _called(age=3600, retries=1),
        },
    ),
    Function(
        "LakeStatusFunction", "lake-status", "chalicelib.lake.jobs.lake_status", 25,
        memory=2048,
        told=LAKE_TOLD,
        may=(_core("GetItem"), _open_program(), *read_lake(), allow_key(_ENCRYPT, "dynamodb", "s3")),
        layers=("lake",),
        asked=True,
    ),
    Function(
        "SegmentsAnswerFunction", "segments-answer", "chalicelib.segments.jobs.answer_segments", 25,
        memory=2048,
        told=LAKE_TOLD,
        may=(
            _core("GetItem", "BatchGetItem"),
            _open_program(),
            *read_lake(),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/segments/*")),
            _write("segments"),
            allow_key(_ENCRYPT, "dynamodb", "s3"),
        ),
        layers=("lake",),
        asked=True,
    ),
    Function(
        "SegmentsRefreshFunction", "segments-refresh", "chalicelib.segments.jobs.refresh_segments", 300,
        memory=4096,
        told={**LAKE_TOLD, **_OPENS, **_REFRESHES, "REGULARS_BUS": imported("EventBusName")},
        events=_queue("SegmentsRefreshQueue", 10, "LakeConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem", "Query"),
            *read_lake(),
            _ops("PutItem"),
            _vault("GetItem", "PutItem", "Query"),
            _keep("Decrypt"),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/segments/*")),
            _write("segments"),
            allow(["events:PutEvents"], imported("EventBusArn")),
            _receive("SegmentsRefreshQueue"),
            _send("SegmentsRefreshQueue"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        layers=("lake",),
        more={"EphemeralStorage": {"Size": 4096}},
    ),
    Function(
        "CampaignsPlanFunction", "campaigns-plan", "chalicelib.campaigns.jobs.plan_campaigns", 900,
        memory=4096,
        told={**LAKE_TOLD, **_PATCHES, "REGULARS_SEND_QUEUE": imported("CampaignSendsQueueUrl")},
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _query(DUE),
            *read_lake(),
            _ops("BatchGetItem", "PutItem"),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/segments/*"), beside("ArchiveBucketArn", "/plans/*")),
            _write("plans"),
            *_tell_lake(),
            _send("CampaignSendsQueue"),
            _send("SchedulesDeadLetters"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        layers=("lake",),
        more={
            "EphemeralStorage": {"Size": 4096},
            "EventInvokeConfig": _called(age=60, retries=0),
        },
    ),
    Function(
        "CampaignsTestFunction", "campaigns-test", "chalicelib.campaigns.jobs.send_campaign_tests", 25, memory=512,
        told={
            **_KEYS,
            **_LINKS,
            **_OPENS,
            "REGULARS_ARCHIVE": imported("ArchiveBucketName"),
            **_PATCHES,
            "REGULARS_PUBLIC_URL": PUBLIC_URL,
            **_SENDS,
        },
        may=(
            _core("GetItem", "BatchGetItem"),
            _open_program(),
            _ops("GetItem", "PutItem", "UpdateItem"),
            _vault("GetItem", "Query"),
            _keep("Decrypt"),
            *_tell_lake(),
            _write("outbox"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        layers=("senders",),
        asked=True,
    ),
    Function(
        "CampaignsAnswerFunction", "campaigns-answer", "chalicelib.campaigns.jobs.answer_campaigns", 25,
        memory=2048,
        told=LAKE_TOLD,
        may=(
            _core("GetItem", "BatchGetItem"),
            _open_program(),
            _query(TIMELINE),
            *read_lake(),
            allow(["s3:GetObject"], beside("ArchiveBucketArn", "/segments/*"), beside("ArchiveBucketArn", "/plans/*")),
            allow_key(_ENCRYPT, "dynamodb", "s3"),
        ),
        layers=("lake",),
        asked=True,
    ),
    Function(
        "JourneysTakeFunction", "journeys-take", "chalicelib.journeys.jobs.take_events", 60,
        told={**_KEYS, **_OPENS, "REGULARS_JOURNEY_QUEUE": imported("JourneyStepsQueueUrl")},
        events=_queue("JourneyEventsQueue", 10, "JourneysConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem", "UpdateItem"),
            _query(imported("CoreTableArn"), TIMELINE),
            _ops("GetItem", "PutItem", "Query"),
            _receive("JourneyEventsQueue"),
            _send("JourneyStepsQueue"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
    ),
    Function(
        "JourneysStepFunction", "journeys-step", "chalicelib.journeys.jobs.do_steps", 120,
        told={
            **_KEYS,
            **_LINKS,
            **_OPENS,
            "REGULARS_ARCHIVE": imported("ArchiveBucketName"),
            **_PATCHES,
            "REGULARS_PUBLIC_URL": PUBLIC_URL,
            "REGULARS_JOURNEY_QUEUE": imported("JourneyStepsQueueUrl"),
            **_SENDS,
        },
        events=_queue("JourneyStepsQueue", 10, "JourneysConcurrency", window=1),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem", "UpdateItem"),
            _query(imported("CoreTableArn"), TIMELINE),
            _ops("GetItem", "BatchGetItem", "PutItem", "UpdateItem", "Query"),
            _vault("GetItem", "BatchGetItem", "Query"),
            _keep("Decrypt"),
            _receive("JourneyStepsQueue"),
            _send("JourneyStepsQueue"),
            *_tell_lake(),
            _write("outbox"),
            _ask("segments-answer"),
            allow_key(_ENCRYPT, "dynamodb", "s3", "sqs"),
        ),
        layers=("senders",),
    ),
    Function(
        "JourneysTickFunction", "journeys-tick", "chalicelib.journeys.jobs.tick_journeys", 55, memory=512,
        told={**_KEYS, **_OPENS, "REGULARS_JOURNEY_QUEUE": imported("JourneyStepsQueueUrl")},
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _query(imported("CoreTableArn"), TIMELINE, DUE),
            _ops("GetItem", "PutItem"),
            _send("JourneyStepsQueue"),
            _send("SchedulesDeadLetters"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
        more={
            "EventInvokeConfig": _called(age=60, retries=0),
        },
    ),
    Function(
        "LaneFunction", "lane", "chalicelib.lane.jobs.work_line", 20,
        events=_queue("LaneQueue", 10, "LaneConcurrency"),
        may=(
            _core("GetItem", "BatchGetItem", "PutItem"),
            _ops("GetItem", "PutItem"),
            _receive("LaneQueue"),
            allow_key(_ENCRYPT, "dynamodb", "sqs"),
        ),
    ),
)  # fmt: skip


ASKED = tuple(each.name for each in FUNCTIONS if each.asked)
"""The functions that the API asks."""


def carrying() -> Json:
    """What the API's role may besides, by the carrier that is chosen: one of them, both or neither.

    A phone number has no ARN, so SNS wants a star; what has one, topics, is denied.
    """
    topics = sub("arn:${AWS::Partition}:sns:*:*:*")
    texts = policy(allow(["sns:Publish"], "*"), {"Effect": "Deny", "Action": ["sns:Publish"], "Resource": [topics]})
    identity = sub("arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${MailIdentity}")
    from_us = {"StringEquals": {"ses:FromAddress": ref("MailFrom")}}
    mails = policy(allow(["ses:SendEmail"], identity, condition=from_us))
    return {
        f"Api{name}Policy": {
            "Type": "AWS::IAM::Policy",
            "Condition": condition,
            "Properties": {"PolicyName": name.lower(), "PolicyDocument": document, "Roles": [ref("ApiRole")]},
        }
        for name, condition, document in (("Texts", "TextsBySns", texts), ("Mails", "MailsBySes", mails))
    }


def sending() -> Json:
    """What the roles of those who send may besides, where one of AWS' own services is among the providers."""
    topics = sub("arn:${AWS::Partition}:sns:*:*:*")
    texts = policy(allow(["sns:Publish"], "*"), {"Effect": "Deny", "Action": ["sns:Publish"], "Resource": [topics]})
    ours = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:"
    places = (sub(ours + "identity/${ProviderMailIdentity}"), sub(ours + "configuration-set/*"))
    mails = policy(allow(["ses:SendBulkEmail", "ses:SendEmail"], *places))
    return {
        f"Send{name}Policy": {
            "Type": "AWS::IAM::Policy",
            "Condition": condition,
            "Properties": {
                "PolicyName": f"send-{name.lower()}",
                "PolicyDocument": document,
                "Roles": [ref(f"{each}Role") for each in ("SendParts", "Notices", "CampaignsTest", "JourneysStep")],
            },
        }
        for name, condition, document in (("Texts", "ManyTextsBySns", texts), ("Mails", "ManyMailsBySes", mails))
    }


def resources(function: Function) -> Json:
    """A function with its role and its log."""
    log, owner = function.id.replace("Function", "Log"), function.id.replace("Function", "Role")
    name = "${Stack}-" + function.name
    streams = f"arn:${{AWS::Partition}}:logs:${{AWS::Region}}:${{AWS::AccountId}}:log-group:/aws/lambda/{name}:*"
    own_log = allow(["logs:CreateLogStream", "logs:PutLogEvents"], sub(streams))
    asks = (_ask(*ASKED),) if function.id == "ApiFunction" else ()
    properties: Json = {
        "FunctionName": sub(name),
        "Handler": function.handler,
        "Runtime": "python3.13",
        "Architectures": [ref("Architecture")],
        "CodeUri": ZIP,
        "Role": attribute(owner),
        "Timeout": function.seconds,
        "MemorySize": function.memory,
        "KmsKeyArn": imported("DataKeyArn"),
        "LoggingConfig": {"LogGroup": ref(log), "LogFormat": "JSON"},
        "Environment": {"Variables": _told_to_all(function) | function.told},
        **({"Events": function.events} if function.events else {}),
        **({"Layers": [ref(layer_id(each)) for each in function.layers]} if function.layers else {}),
        **function.more,
    }
    return {
        log: log_group("/aws/lambda/" + name),
        owner: role("lambda.amazonaws.com", function.name, own_log, *function.may, *asks),
        function.id: {"Type": "AWS::Serverless::Function", "Properties": properties},
    }


def layer_id(name: str) -> str:
    """Logical name of a layer, and the beginning of the parameter that says where its zip is."""
    return f"{name.capitalize()}Layer"


def layers(architecture: Json) -> Json:
    """What some functions need beside the zip, each a layer of its own."""
    return {
        layer_id(name): {
            "Type": "AWS::Lambda::LayerVersion",
            "Properties": {
                "LayerName": sub("${Stack}-" + name),
                "CompatibleArchitectures": [architecture],
                "CompatibleRuntimes": ["python3.13"],
                "Content": {"S3Bucket": imported("CodeBucketName"), "S3Key": ref(f"{layer_id(name)}Key")},
            },
        }
        for name in LAYERS
    }


def _told_to_all(function: Function) -> Json:
    return {
        "REGULARS_STAGE": ref("Stage"),
        "REGULARS_STACK": ref("Stack"),
        "REGULARS_ISSUER": ref("Issuer"),
        "REGULARS_AUDIENCE": ref("Audience"),
        "POWERTOOLS_SERVICE_NAME": function.name,
    }


def log_group(name: str) -> Json:
    """A log that is kept as long as the environment says, and outlives the stack."""
    return {
        "Type": "AWS::Logs::LogGroup",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "LogGroupName": sub(name),
            "RetentionInDays": ref("LogRetentionDays"),
            "KmsKeyId": imported("DataKeyArn"),
        },
    }


def schedules() -> Json:
    """Every job's hourly schedule, by the clock of the program."""
    started = ("StartJobFunction", "LakeRebaseFunction", "CampaignsPlanFunction", "JourneysTickFunction")
    invoke = allow(["lambda:InvokeFunction"], *map(attribute, started))
    ours = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    made: Json = {
        "ScheduleGroup": {"Type": "AWS::Scheduler::ScheduleGroup", "Properties": {"Name": sub("${Stack}-jobs")}},
        "ScheduleRole": role(
            "scheduler.amazonaws.com",
            "schedules",
            invoke,
            _send("SchedulesDeadLetters"),
            allow_key(_ENCRYPT, "sqs"),
            condition=ours,
        ),
    }
    for job in JOBS:
        made["".join(word.capitalize() for word in job.split("_")) + "Schedule"] = _schedule(job)
    made["CampaignsPlanSchedule"] = _schedule("campaigns_plan", "CampaignsPlanFunction", every="rate(1 minute)")
    made["JourneysTickSchedule"] = _schedule("journeys_tick", "JourneysTickFunction", every="rate(1 minute)")
    made["LakeRebaseSchedule"] = _schedule("lake_rebase", "LakeRebaseFunction")
    return made


def _schedule(job: str, function: str = "StartJobFunction", *, every: str = "cron(7 * * * ? *)") -> Json:
    target: dict[str, Any] = {
        "Arn": attribute(function),
        "RoleArn": attribute("ScheduleRole"),
        "Input": json.dumps({"job": job}),
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
        "DeadLetterConfig": {"Arn": imported("SchedulesDeadLettersArn")},
    }
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": sub("${Stack}-" + job.replace("_", "-")),
            "GroupName": ref("ScheduleGroup"),
            "ScheduleExpression": every,
            "ScheduleExpressionTimezone": ref("TimeZone"),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "Target": target,
        },
    }
