"""Every policy holds, and every policy would notice."""

import copy
import re
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from chalicelib.relay.service import FROM_ENTRY, FROM_NOTE, TELL
from chalicelib.storage import keys
from local.deploy import functions
from tests.infra import policies
from tests.infra.policies import POLICIES, Json, Stacks


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_the_policy_holds(policy: Callable[[Stacks], list[str]], stacks: Stacks) -> None:
    assert policy(stacks) == []


Policy = Callable[[Stacks], list[str]]
Fault = Callable[[Stacks], Any]


def _without(*path: str | int) -> Fault:
    """A fault: something is missing from a template."""

    def fault(stacks: Stacks) -> None:
        *way, last = path
        place: Any = stacks.__dict__
        for step in way:
            place = place[step]
        del place[last]

    return fault


def _with(value: Any, *path: str | int) -> Fault:
    """A fault: something in a template is another."""

    def fault(stacks: Stacks) -> None:
        *way, last = path
        place: Any = stacks.__dict__
        for step in way:
            place = place[step]
        place[last] = value

    return fault


def _props(template: str, resource: str) -> tuple[str, ...]:
    return template, "Resources", resource, "Properties"


def _mapped(stacks: Stacks) -> Any:
    """The headers of one of the gateway's own answers."""
    body = stacks.app["Resources"]["RestAPI"]["Properties"]["Body"]
    return body["x-amazon-apigateway-gateway-responses"]["THROTTLED"]["responseParameters"]


def _grant(role: str, action: str, resource: Any) -> Fault:
    def fault(stacks: Stacks) -> None:
        document = stacks.app["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]
        document["Statement"].append({"Effect": "Allow", "Action": [action], "Resource": [resource]})

    return fault


def _revoke(role: str, action: str) -> Fault:
    def fault(stacks: Stacks) -> None:
        for statement in stacks.app["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]:
            statement["Action"] = [each for each in statement["Action"] if each != action]

    return fault


def _stage(stacks: Stacks) -> Json:
    stage: Json = next(each for _, each in stacks.of("ApiGateway::Stage"))["Properties"]
    return stage


CORE_ARN = {"Fn::ImportValue": {"Fn::Sub": "${Stack}-CoreTableArn"}}
VAULT_ARN = {"Fn::ImportValue": {"Fn::Sub": "${Stack}-VaultTableArn"}}
BUCKET = _props("data", "ArchiveBucket")
RELAY = _props("app", "RelayFunctionStream")

PLANTED: dict[Policy, dict[str, Fault]] = {
    policies.tables_can_be_recovered: {
        "PITR is gone": _without(*_props("data", "CoreTable"), "PointInTimeRecoverySpecification"),
        "AWS' key": _without(*_props("data", "VaultTable"), "SSESpecification", "KMSMasterKeyId"),
        "keys of the erased for a month": _without(
            *_props("data", "VaultTable"), "PointInTimeRecoverySpecification", "RecoveryPeriodInDays"
        ),
        "points for a week": _with(
            7, *_props("data", "CoreTable"), "PointInTimeRecoverySpecification", "RecoveryPeriodInDays"
        ),
        "unprotected": _with(False, *_props("data", "OpsTable"), "DeletionProtectionEnabled"),
    },
    policies.what_holds_data_outlives_its_stack: {
        "no retention": _without("data", "Resources", "CoreTable", "DeletionPolicy"),
        "a log goes": _with("Delete", "app", "Resources", "ApiLog", "DeletionPolicy"),
    },
    policies.the_key_rotates: {
        "no rotation": _with(False, *_props("data", "DataKey"), "EnableKeyRotation"),
    },
    policies.roots_are_written_once: {
        "no lock": _without(*_props("data", "RootsBucket"), "ObjectLockConfiguration"),
        "a way around": _without(*_props("data", "RootsBucketPolicy"), "PolicyDocument", "Statement", 1),
        "ended by hand": _with("GOVERNANCE", "envs", "prod", "RootsMode"),
        "deleted": _grant("WorkJobRole", "s3:DeleteObject", {"Fn::Sub": "${RootsBucket}/*"}),
    },
    policies.every_table_is_exported_daily_and_locked: {
        "no lock": _without(*_props("data", "BackupBucket"), "ObjectLockConfiguration"),
        "keys for years": _with(
            900, *_props("data", "VaultBackupBucket"), "LifecycleConfiguration", "Rules", 0, "ExpirationInDays"
        ),
        "a way around": _without(*_props("data", "BackupBucketPolicy"), "PolicyDocument", "Statement", 1),
        "a table less": _without("app", "Resources", "OpsExport"),
        "all in one place": _with(
            {"Fn::ImportValue": {"Fn::Sub": "${Stack}-BackupBucketName"}},
            *_props("app", "VaultExport"),
            "Target",
            "Input",
            "Fn::Sub",
            1,
            "Bucket",
        ),
        "monthly": _with("cron(37 1 1 * ? *)", *_props("app", "CoreExport"), "ScheduleExpression"),
        "reads": _grant("ExportRole", "dynamodb:GetItem", VAULT_ARN),
    },
    policies.buckets_are_closed: {
        "no versions": _without(*BUCKET, "VersioningConfiguration"),
        "public": _with(False, *BUCKET, "PublicAccessBlockConfiguration", "BlockPublicPolicy"),
        "in clear": _without(*_props("web", "WebBucket"), "BucketEncryption"),
        "no TLS": _without("data", "Resources", "ArchiveBucketPolicy"),
    },
    policies.queues_have_dead_letters: {
        "no dead letters": _without(*_props("data", "NoticesQueue"), "RedrivePolicy"),
        "in clear": _without(*_props("data", "JobWorkQueue"), "KmsMasterKeyId"),
        "forgets": _with(345600, *_props("data", "ArchiveDeadLetters"), "MessageRetentionPeriod"),
        "no TLS": _without("data", "Resources", "NoticesQueuePolicy"),
    },
    policies.event_sources_fail_in_part: {
        "whole batches": _without(*_props("app", "NoticesFunctionQueue"), "FunctionResponseTypes"),
        "dropped": _without(*RELAY, "DestinationConfig"),
        "never parted": _without(*RELAY, "BisectBatchOnFunctionError"),
        "for ever": _with(-1, *RELAY, "MaximumRetryAttempts"),
        "too old": _with(86400, *RELAY, "MaximumRecordAgeInSeconds"),
        "unfiltered": _without(*RELAY, "FilterCriteria"),
        "impatient": _with(60, *_props("data", "JobWorkQueue"), "VisibilityTimeout"),
    },
    policies.rules_and_schedules_lose_nothing: {
        "rule": _without(*_props("data", "ArchiveRule"), "Targets", 0, "DeadLetterConfig"),
        "queue": _without("data", "Resources", "WatchQueuePolicy"),
        "letters": _without("data", "Resources", "EventsDeadLettersPolicy"),
        "schedule": _without(*_props("app", "BirthdaySchedule"), "Target", "DeadLetterConfig"),
        "call": _without("app", "Resources", "StartJobFunctionEventInvokeConfig"),
    },
    policies.schedules_keep_the_programs_time: {
        "UTC": _without(*_props("app", "ExpireSchedule"), "ScheduleExpressionTimezone"),
        "no such zone": _with("Asia/Atlantis", "envs", "dev", "TimeZone"),
    },
    policies.everything_is_watched: {
        "function": _without("app", "Resources", "NoticesErrorsAlarm"),
        "ledger": _without("app", "Resources", "LedgerFaultyAlarm"),
        "alerts": _without("app", "Resources", "AlertsRaisedAlarm"),
        "no anchor": _with("notBreaching", *_props("app", "AnchorMissingAlarm"), "TreatMissingData"),
        "no root": _with("notBreaching", *_props("app", "RootMissingAlarm"), "TreatMissingData"),
        "dead letters": _without("app", "Resources", "RelayDlqAlarm"),
        "age of messages": _without("app", "Resources", "JobWorkAgeAlarm"),
        "age of records": _without("app", "Resources", "RelayBehindAlarm"),
        "unheard": _with([], *_props("app", "ApiFailsAlarm"), "AlarmActions"),
    },
    policies.logs_are_kept: {
        "a month": _with(30, *_props("app", "RelayLog"), "RetentionInDays"),
        "Lambda's own log": _without(*_props("app", "ApiFunction"), "LoggingConfig"),
        "90 days allowed": _with([90, 180], "app", "Parameters", "LogRetentionDays", "AllowedValues"),
    },
    policies.nothing_is_granted_wholesale: {
        "all actions": _grant("ApiRole", "dynamodb:*", CORE_ARN),
        "all resources": _grant("WorkJobRole", "dynamodb:GetItem", "*"),
        "everybody's key": _with({"AWS": "*"}, *_props("data", "DataKey"), "KeyPolicy", "Statement", 0, "Principal"),
    },
    policies.roles_fit_what_is_called: {
        "one too many": _grant("NoticesRole", "dynamodb:PutItem", CORE_ARN),
        "another table": _grant("RelayRole", "dynamodb:GetItem", VAULT_ARN),
        "one too few": _revoke("ApiRole", "dynamodb:DeleteItem"),
        "no key": _revoke("ArchiveRole", "kms:GenerateDataKey"),
    },
    policies.carriers_fit_what_is_chosen: {
        "always": _without("app", "Resources", "ApiTextsPolicy", "Condition"),
        "by another's choice": _with("ByGateway", "app", "Resources", "ApiMailsPolicy", "Condition"),
        "to topics": lambda stacks: stacks.app["Resources"]["ApiTextsPolicy"]["Properties"]["PolicyDocument"][
            "Statement"
        ].pop(),
        "from anybody": lambda stacks: stacks.app["Resources"]["ApiMailsPolicy"]["Properties"]["PolicyDocument"][
            "Statement"
        ][0].pop("Condition"),
        "by another function": _grant("NoticesRole", "ses:SendEmail", "*"),
    },
    policies.functions_are_told_what_they_need: {
        "the index key for a link": _with(
            {"Fn::Sub": "{{resolve:secretsmanager:${Stack}/index-key:SecretString}}"},
            *_props("app", "NoticesFunction"),
            "Environment",
            "Variables",
            "REGULARS_OPT_OUT_KEY",
        ),
        "no link": _without(*_props("app", "NoticesFunction"), "Environment", "Variables", "REGULARS_PUBLIC_URL"),
        "no other key": _without(*_props("app", "ApiFunction"), "Environment", "Variables", "REGULARS_OTHER_INDEX_KEY"),
        "a gateway's key for nobody": _with(
            {"Fn::Sub": "{{resolve:secretsmanager:${Stack}/gateway-key:SecretString}}"},
            *_props("app", "ApiFunction"),
            "Environment",
            "Variables",
            "REGULARS_GATEWAY_KEY",
        ),
        "a key in the template": _with(
            "00" * 32, *_props("app", "ApiFunction"), "Environment", "Variables", "REGULARS_INDEX_KEY"
        ),
        "no bus": _without(*_props("app", "RelayFunction"), "Environment", "Variables", "REGULARS_BUS"),
        "old": _with("python3.11", *_props("app", "RelayFunction"), "Runtime"),
    },
    policies.handlers_exist: {
        "no such function": _with("chalicelib.relay.jobs.nobody", *_props("app", "RelayFunction"), "Handler"),
        "no such module": _with("chalicelib.nobody.jobs.work", *_props("app", "WorkJobFunction"), "Handler"),
    },
    policies.the_gateway_is_bounded_and_readable: {
        "unthrottled": lambda stacks: _stage(stacks).pop("MethodSettings"),
        "any number of codes": lambda stacks: _stage(stacks)["MethodSettings"].pop(),
        "unlogged": lambda stacks: _stage(stacks).pop("AccessLogSetting"),
        "unreadable": _without(*_props("app", "RestAPI"), "Body", "x-amazon-apigateway-gateway-responses", "THROTTLED"),
        "framed": lambda stacks: _mapped(stacks).pop("gatewayresponse.header.Content-Security-Policy"),
        "for any page": lambda stacks: _mapped(stacks).update(
            {"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}
        ),
        "misquoted": lambda stacks: _mapped(stacks).update(
            {"gatewayresponse.header.Content-Security-Policy": "'default-src 'none''"}
        ),
    },
    policies.environments_say_the_same_things: {
        "missing": _without("envs", "stg", "AlarmEmail"),
        "refused": _with("no", "envs", "prod", "DeletionProtection"),
        "unbounded": _with("0", "envs", "prod", "AddressRateLimit"),
        "undeclared": _without("app", "Parameters", "WebAclArn"),
    },
    policies.what_is_imported_is_exported: {
        "not exported": _without("data", "Outputs", "EventBusArn"),
        "a secret": _with({"Type": "String"}, "app", "Parameters", "CursorKey"),
        "a secret for a name": _with({"Type": "String"}, "app", "Parameters", "IndexKeyName"),
    },
}
FAULTS = [(policy, name, plant) for policy, some in PLANTED.items() for name, plant in some.items()]


@pytest.mark.parametrize(("policy", "fault", "plant"), FAULTS, ids=[f"{p.__name__}: {f}" for p, f, _ in FAULTS])
def test_the_policy_notices(policy: Callable[[Stacks], list[str]], fault: str, plant: Fault, stacks: Stacks) -> None:
    broken = copy.deepcopy(stacks)
    plant(broken)
    assert policy(broken), f"{policy.__name__} did not notice: {fault}"


def test_every_policy_has_a_planted_fault() -> None:
    assert set(PLANTED) == set(POLICIES)


# ---------------------------------------------------------------- the relay's filter


def _key(key: keys.Key) -> tuple[str, str]:
    return key.pk, key.sk


RECORDS: dict[str, tuple[str, str]] = {
    "entry": ("O#pos-1#2026-0001", "O"),
    "O refused": ("O#pos-1#2026-0001", "RF#r1"),
    "M PROFILE": ("M#abc", "PROFILE"),
    "G POOL": ("G#abc", "POOL"),
    "PROGRAM V": ("PROGRAM", "V#000001"),
    **{f"H {kind}": (keys.happenings("mem_abc"), "0198f00000000000001") for kind in FROM_NOTE},
    "A R": _key(keys.audit_record("019cefa5e0000000000000000a1")),
    "AL": _key(keys.alert("self_earning", "stf_clerk", date(2026, 3, 15))),
}


def _passes(pattern: Any, value: Any) -> bool:
    """Lambda's filters, as far as ours use them."""
    if isinstance(pattern, dict):
        return all(name in value and _passes(each, value[name]) for name, each in pattern.items())
    return any(value.startswith(each["prefix"]) if isinstance(each, dict) else value == each for each in pattern)


def _delivered(event: str, pk: str, sk: str, **images: Any) -> bool:
    record = {"eventName": event, "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}, **images}}
    return any(_passes(pattern, record) for pattern in functions.TOLD)


def test_the_filter_lets_through_every_kind_of_record_that_the_relay_tells_of() -> None:
    assert set(RECORDS) == set(TELL)
    assert [kind for kind, (pk, sk) in RECORDS.items() if not _delivered("INSERT", pk, sk)] == []


@pytest.mark.parametrize("kind", sorted(FROM_ENTRY))
def test_the_filter_lets_through_entries_of_every_kind(kind: str) -> None:
    """Real ones, of real commands: `tests/table/test_relay.py`."""
    parts = ("crd_abc", "1") if kind == "top_up" else ("web", "1", "2")[: 2 if kind in ("purchase", "delivery") else 3]
    assert _delivered("INSERT", *_key(keys.entry(kind, *parts)))


def test_lambda_takes_five_patterns_of_a_source_and_no_more() -> None:
    assert max(len(functions.TOLD), len(functions.FOLDED)) <= 5


def test_the_filter_lets_through_a_purchase_that_takes_the_place_of_what_waited_for_it() -> None:
    place = ("O#pos-1#2026-0001", "O")
    assert _delivered("MODIFY", *place, OldImage={"is": {"S": "waiting"}})
    assert not _delivered("MODIFY", *place, OldImage={"r": {"S": "e"}})


@pytest.mark.parametrize(
    ("event", "pk", "sk"),
    [
        ("MODIFY", "M#abc", "ACCOUNT"),
        ("INSERT", "M#abc", "ACCOUNT"),
        ("INSERT", "C#abc", "ACCOUNT"),
        ("INSERT", "C#abc", "OWNER"),
        ("MODIFY", "M#abc", "PROFILE"),
        ("INSERT", *("U#mobile#x", "U")),
        ("INSERT", *("AS#stf_clerk", "019cefa5e0000000000000000a1")),
        ("INSERT", *("A#2026-03-15#01", "L#000001")),
        ("MODIFY", "PROGRAM", "HEAD"),
        ("REMOVE", "O#pos-1#2026-0001", "O"),
    ],
)
def test_the_filter_keeps_back_what_tells_nothing(event: str, pk: str, sk: str) -> None:
    assert not _delivered(event, pk, sk)


# ---------------------------------------------------------------- links in messages


def test_links_lead_to_the_merchants_name_or_to_the_gateways_own(stacks: Stacks) -> None:
    variables = stacks.app["Resources"]["NoticesFunction"]["Properties"]["Environment"]["Variables"]
    own = {"Fn::Sub": "https://${RestAPI}.execute-api.${AWS::Region}.${AWS::URLSuffix}/api"}
    assert variables["REGULARS_PUBLIC_URL"] == {"Fn::If": ["HasPublicUrl", {"Ref": "PublicUrl"}, own]}
    assert stacks.app["Outputs"]["EndpointURL"]["Value"] == {"Fn::Sub": own["Fn::Sub"] + "/"}
    pattern = stacks.app["Parameters"]["PublicUrl"]["AllowedPattern"]
    for url, fits in (
        ("https://api.coffee.example", True), ("https://coffee.example/api", True), ("", True),
        ("http://api.coffee.example", False), ("https://api.coffee.example/", False), ("https://a@b", False),
    ):  # fmt: skip
        assert bool(re.fullmatch(pattern, url)) == fits, url


def test_an_environment_that_a_function_would_refuse_is_not_deployed(stacks: Stacks) -> None:
    rules = stacks.app["Rules"]
    asserted = {each["AssertDescription"] for rule in rules.values() for each in rule["Assertions"]}
    assert asserted == {
        "MailBy=ses needs MailFrom", "MailBy=ses needs MailIdentity", "SmsBy=gateway needs GatewayUrl",
        "MailBy=gateway needs GatewayUrl", "OtherIndexKeyName needs ContentKeyName, the name of the very first key",
    }  # fmt: skip
