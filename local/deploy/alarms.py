"""What is watched: alarms to one topic, and the dashboard that says the same in curves."""

import json
from typing import Any

from local.deploy.functions import FUNCTIONS, Function
from local.deploy.intrinsics import Json, given, imported, policy, ref, sub

QUEUES = (
    "job-work", "retention", "notices", "watch", "lake-patch", "segments-refresh", "archive", "lane.fifo",
    "campaign-sends", "journey-events", "journey-steps", "mail-events",
)  # fmt: skip
DEAD_LETTERS = (
    "job-work-dlq",
    "retention-dlq",
    "notices-dlq",
    "watch-dlq",
    "archive-dlq",
    "lane-dlq.fifo",
    "campaign-sends-dlq",
    "mail-events-dlq",
    "journey-events-dlq",
    "journey-steps-dlq",
    "relay-dlq",
    "lake-patch-dlq",
    "segments-refresh-dlq",
    "lake-fold-dlq",
    "schedules-dlq",
    "events-dlq",
)
_OLDEST_SECONDS = {"lane.fifo": 60}
"""How old the oldest message of a queue may be; 15 minutes where nothing is said. In the line somebody waits for it."""
TABLES = ("core", "ops", "vault")
_THROTTLED = ("ReadThrottleEvents", "WriteThrottleEvents")
_TABLE_CALLS = ("GetItem", "BatchGetItem", "Query", "TransactWriteItems")


def resources() -> Json:
    """The topic, the alarms, the dashboard."""
    made: Json = {**_topic(), "Dashboard": _dashboard()}
    for function in FUNCTIONS:
        made |= _of_function(function)
    for queue in QUEUES:
        made |= _oldest_message(queue)
    for queue in DEAD_LETTERS:
        made |= _dead_letters(queue)
    made |= _of_api() | _of_rules() | _of_proof() | _of_audit()
    for table in TABLES:
        made |= _of_table(table)
    return made


CONDITIONS: Json = {"AlarmsByMail": given("AlarmEmail")}


def _topic() -> Json:
    publish = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": ref("AlarmTopic"),
        "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
    }
    only_tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sns:Publish",
        "Resource": ref("AlarmTopic"),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {
        "AlarmTopic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"TopicName": sub("${Stack}-alarms"), "KmsMasterKeyId": imported("DataKeyArn")},
        },
        "AlarmTopicPolicy": {
            "Type": "AWS::SNS::TopicPolicy",
            "Properties": {"Topics": [ref("AlarmTopic")], "PolicyDocument": policy(publish, only_tls)},
        },
        "AlarmMail": {
            "Type": "AWS::SNS::Subscription",
            "Condition": "AlarmsByMail",
            "Properties": {
                "TopicArn": ref("AlarmTopic"),
                "Protocol": "email",
                "Endpoint": ref("AlarmEmail"),
            },
        },
    }


def _alarm(name: str, says: str, over: float, *, minutes: int = 5, times: int = 1, **metric: Any) -> Json:
    """An alarm that rings when a figure is over a bound `times` times running, and tells when it is well again."""
    period = {"Period": minutes * 60} if "MetricName" in metric else {}
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": sub("${Stack}-" + name),
            "AlarmDescription": says,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": over,
            "EvaluationPeriods": times,
            "TreatMissingData": "notBreaching",
            "AlarmActions": [ref("AlarmTopic")],
            "OKActions": [ref("AlarmTopic")],
            **period,
            **metric,
        },
    }


def _metric(namespace: str, name: str, statistic: str, **dimensions: Any) -> Json:
    figure = "ExtendedStatistic" if statistic.startswith("p") else "Statistic"
    of = [{"Name": key, "Value": value} for key, value in dimensions.items()]
    return {"Namespace": namespace, "MetricName": name, figure: statistic, "Dimensions": of}


def _of_function(function: Function) -> Json:
    """Errors and throttles of a function; how far behind the relay is."""
    stem = function.id.replace("Function", "")
    of = {"FunctionName": ref(function.id)}
    made = {
        f"{stem}ErrorsAlarm": _alarm(
            f"{function.name}-errors",
            f"{function.id} failed: see its log",
            0,
            **_metric("AWS/Lambda", "Errors", "Sum", **of),
        ),
        f"{stem}ThrottlesAlarm": _alarm(
            f"{function.name}-throttles",
            f"{function.id} was refused a place: see its concurrency and the account's",
            0,
            times=2,
            **_metric("AWS/Lambda", "Throttles", "Sum", **of),
        ),
    }
    if function.id == "RelayFunction":
        made["RelayBehindAlarm"] = _alarm(
            "relay-behind",
            "The relay is ten minutes behind; the stream forgets after 24 hours",
            600_000,
            **_metric("AWS/Lambda", "IteratorAge", "Maximum", **of),
        )
    if function.id == "LakeFoldFunction":
        made["LakeBehindAlarm"] = _alarm(
            "lake-behind",
            "The lake is ten minutes behind: segments and campaigns see what was",
            600_000,
            **_metric("AWS/Lambda", "IteratorAge", "Maximum", **of),
        )
    return made


def _oldest_message(queue: str) -> Json:
    metric = _metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", QueueName=sub("${Stack}-" + queue))
    over = _OLDEST_SECONDS.get(queue, 900)
    return {f"{_camel(queue)}AgeAlarm": _alarm(f"{queue}-age", f"{queue} is not keeping up", over, times=2, **metric)}


def _dead_letters(queue: str) -> Json:
    name = sub("${Stack}-" + queue)
    metric = _metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", QueueName=name)
    says = f"{queue} holds what failed for good: read it, mend the cause, send it again"
    return {f"{_camel(queue)}Alarm": _alarm(queue, says, 0, **metric)}


def _of_api() -> Json:
    of = {"ApiName": sub("${Stack}"), "Stage": "api"}
    return {
        "ApiFailsAlarm": _alarm(
            "api-5xx", "The API answered 5xx", 0, times=2, **_metric("AWS/ApiGateway", "5XXError", "Sum", **of)
        ),
        "ApiSlowAlarm": _alarm(
            "api-slow",
            "One answer in a hundred took longer than 3 s",
            3000,
            times=3,
            **_metric("AWS/ApiGateway", "Latency", "p99", **of),
        ),
    }


def _of_rules() -> Json:
    """Events that a rule could not deliver: all of them, whichever rule it was.

    SES tells the account's own bus, whose rules have no bus among their dimensions.
    """
    ours = [{"Name": "EventBusName", "Value": sub("${Stack}-events")}]
    rules: list[tuple[str, list[Json]]] = [(each, ours) for each in ("archive", "notices", "watch", "journeys")]
    rules.append(("mail-events", []))
    figures = [
        {
            "Id": f"m{number}",
            "ReturnData": False,
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/Events",
                    "MetricName": "FailedInvocations",
                    "Dimensions": [*bus, {"Name": "RuleName", "Value": sub("${Stack}-" + rule)}],
                },
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for number, (rule, bus) in enumerate(rules)
    ]
    return {"RulesFailAlarm": _alarm("rules-fail", "A rule could not deliver", 0, Metrics=_total(figures))}


def _of_proof() -> Json:
    """Accounts that do not hold, and days without a signed root: from lines of the log (`chalicelib/jobs/proving`)."""
    filters: Json = {
        f"{name}Filter": {
            "Type": "AWS::Logs::MetricFilter",
            "Properties": {
                "LogGroupName": ref("WorkJobLog"),
                "FilterPattern": f"{{ $.{field} > 0 }}",
                "MetricTransformations": [
                    {"MetricNamespace": sub("Regulars/${Stack}"), "MetricName": name, "MetricValue": f"$.{field}"}
                ],
            },
        }
        for name, field in (("LedgerFaults", "faulty"), ("RootsSigned", "sealed"))
    }
    space: Json = {"Namespace": sub("Regulars/${Stack}"), "Statistic": "Sum"}
    return filters | {
        "LedgerFaultyAlarm": _alarm(
            "ledger-faulty",
            "An account, an audit chain or a report does not hold: see the log of work-job, then docs/proof.md",
            0,
            MetricName="LedgerFaults",
            **space,
        ),
        "RootMissingAlarm": _alarm(
            "root-missing",
            "No root was signed for a day: see the runs of the job verify",
            1,
            minutes=24 * 60,
            MetricName="RootsSigned",
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="breaching",
            **space,
        ),
    }


def _of_audit() -> Json:
    """Alerts, audit records that do not fit their chain, and days without a signed anchor: from lines of logs."""
    lines = (
        ("AlertsRaised", "raised", ("ApiLog", "WatchLog")),
        ("AuditFaults", "faulty", ("WatchLog",)),
        ("AnchorsSigned", "anchored", ("WorkJobLog",)),
    )
    filters: Json = {
        f"{name}{log.removesuffix('Log')}Filter": _filter(name, field, log)
        for name, field, logs in lines
        for log in logs
    }
    space: Json = {"Namespace": sub("Regulars/${Stack}"), "Statistic": "Sum"}
    return filters | {
        "AlertsRaisedAlarm": _alarm(
            "alerts-raised",
            "Somebody may be helping themselves, or is at the door: see GET /v1/alerts, then docs/operations.md",
            0,
            MetricName="AlertsRaised",
            **space,
        ),
        "AuditFaultyAlarm": _alarm(
            "audit-faulty",
            "An audit record was told after its day was over: see the log of watch, then docs/security.md",
            0,
            MetricName="AuditFaults",
            **space,
        ),
        "AnchorMissingAlarm": _alarm(
            "anchor-missing",
            "No day of the audit trail was signed: see the runs of the job audit",
            1,
            minutes=24 * 60,
            MetricName="AnchorsSigned",
            ComparisonOperator="LessThanThreshold",
            TreatMissingData="breaching",
            **space,
        ),
    }


def _filter(metric: str, field: str, log: str) -> Json:
    """A metric of the lines of a log that have a field."""
    of = {"MetricNamespace": sub("Regulars/${Stack}"), "MetricName": metric, "MetricValue": f"$.{field}"}
    return {
        "Type": "AWS::Logs::MetricFilter",
        "Properties": {
            "LogGroupName": ref(log), "FilterPattern": f"{{ $.{field} > 0 }}", "MetricTransformations": [of],
        },
    }  # fmt: skip


def _of_table(table: str) -> Json:
    """Throttled calls (more than a burst) and DynamoDB's own errors."""
    return {
        f"{table.capitalize()}ThrottledAlarm": _alarm(
            f"{table}-throttled",
            f"Table {table} throttles: a hot key, or more traffic than it is warm for",
            10,
            times=2,
            Metrics=_total([_table_metric(n, table, name) for n, name in enumerate(_THROTTLED)]),
        ),
        f"{table.capitalize()}FailsAlarm": _alarm(
            f"{table}-fails",
            f"DynamoDB fails on table {table}",
            5,
            Metrics=_total([_table_metric(n, table, "SystemErrors", call) for n, call in enumerate(_TABLE_CALLS)]),
        ),
    }  # fmt: skip


def _table_metric(number: int, table: str, name: str, call: str | None = None) -> Json:
    of = [{"Name": "TableName", "Value": sub("${Stack}-" + table)}]
    if call:
        of.append({"Name": "Operation", "Value": call})
    metric = {"Namespace": "AWS/DynamoDB", "MetricName": name, "Dimensions": of}
    return {"Id": f"m{number}", "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"}}


def _total(figures: list[Json]) -> list[Json]:
    """The sum of figures, of which some may be missing."""
    terms = " + ".join(f"FILL({figure['Id']}, 0)" for figure in figures)
    return [{"Id": "total", "Expression": terms, "Label": "total", "ReturnData": True}, *figures]


def _dashboard() -> Json:
    """The figures that the alarms watch, on one page."""
    functions = ["${Stack}-" + function.name for function in FUNCTIONS]
    of_api = ["ApiName", "${Stack}", "Stage", "api"]
    faults = ("Count", "4XXError", "5XXError")
    units = ("ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits")
    curves = {
        "API: requests and faults": [_curve("Sum", "AWS/ApiGateway", name, *of_api) for name in faults],
        "API: latency": [_curve(figure, "AWS/ApiGateway", "Latency", *of_api) for figure in ("p50", "p99")],
        "Functions: errors": [_curve("Sum", "AWS/Lambda", "Errors", "FunctionName", name) for name in functions],
        "Functions: longest": [_curve("Maximum", "AWS/Lambda", "Duration", "FunctionName", name) for name in functions],
        "Relay: milliseconds behind": [
            _curve("Maximum", "AWS/Lambda", "IteratorAge", "FunctionName", "${Stack}-relay")
        ],
        "Queues: oldest message, seconds": [_of_queue("ApproximateAgeOfOldestMessage", queue) for queue in QUEUES],
        "Dead letters": [_of_queue("ApproximateNumberOfMessagesVisible", queue) for queue in DEAD_LETTERS],
        "Table core: units": [_curve("Sum", "AWS/DynamoDB", name, "TableName", "${Stack}-core") for name in units],
    }
    looks = {"region": "${AWS::Region}", "period": 300, "view": "timeSeries"}
    widgets = [
        {
            "type": "metric",
            "x": 12 * (number % 2),
            "y": 6 * (number // 2),
            "width": 12,
            "height": 6,
            "properties": {"title": title, **looks, "metrics": lines},
        }
        for number, (title, lines) in enumerate(curves.items())
    ]
    body = json.dumps({"widgets": widgets}, separators=(",", ":"))
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {"DashboardName": sub("${Stack}"), "DashboardBody": sub(body)},
    }


def _curve(figure: str, *metric: str) -> list[Any]:
    return [*metric, {"stat": figure}]


def _of_queue(metric: str, queue: str) -> list[Any]:
    return _curve("Maximum", "AWS/SQS", metric, "QueueName", "${Stack}-" + queue)


def _camel(name: str) -> str:
    return "".join(word.capitalize() for word in name.replace(".", "-").split("-"))
