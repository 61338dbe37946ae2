"""The daily exports of the tables into buckets that are locked: EventBridge Scheduler asks DynamoDB for them itself.

An export reads what point-in-time recovery keeps, not the table: it costs no capacity and shows one instant.
"""

import json

from local.deploy.intrinsics import Json, allow, allow_key, attribute, beside, imported, ref, role, sub

EXPORTS = {
    "core": ("CoreTableArn", "BackupBucket", "cron(37 1 * * ? *)"),
    "ops": ("OpsTableArn", "BackupBucket", "cron(37 1 * * ? *)"),
    "vault": ("VaultTableArn", "VaultBackupBucket", "cron(52 1 * * ? *)"),
}
"""The vault comes later, so that it holds every key that `core` names; and into a bucket of its own."""


def exports() -> Json:
    """A schedule for each table, and a role that may export it and write into its bucket."""
    ours = {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}}
    made: Json = {
        "ExportRole": role(
            "scheduler.amazonaws.com",
            "exports",
            *(
                statement
                for table, (arn, bucket, _) in EXPORTS.items()
                for statement in (
                    allow(["dynamodb:ExportTableToPointInTime"], imported(arn)),
                    allow(["s3:PutObject", "s3:AbortMultipartUpload"], beside(f"{bucket}Arn", f"/{table}/*")),
                )
            ),
            allow(["sqs:SendMessage"], imported("SchedulesDeadLettersArn")),
            allow_key(["kms:Decrypt", "kms:GenerateDataKey"], "dynamodb", "s3", "sqs"),
            condition=ours,
        )
    }
    for table, (arn, bucket, when) in EXPORTS.items():
        made[f"{table.capitalize()}Export"] = _schedule(table, arn, bucket, when)
    return made


def _schedule(table: str, arn: str, bucket: str, when: str) -> Json:
    asked = {
        "TableArn": "${Table}", "S3Bucket": "${Bucket}", "S3Prefix": table, "ExportFormat": "DYNAMODB_JSON",
        "S3SseAlgorithm": "KMS", "S3SseKmsKeyId": "${Key}",
    }  # fmt: skip
    known = {"Table": imported(arn), "Bucket": imported(f"{bucket}Name"), "Key": imported("DataKeyArn")}
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {
            "Name": sub("${Stack}-export-" + table),
            "GroupName": ref("ScheduleGroup"),
            "ScheduleExpression": when,
            "ScheduleExpressionTimezone": ref("TimeZone"),
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "State": "ENABLED",
            "Target": {
                "Arn": sub("arn:${AWS::Partition}:scheduler:::aws-sdk:dynamodb:exportTableToPointInTime"),
                "RoleArn": attribute("ExportRole"),
                "Input": {"Fn::Sub": [json.dumps(asked), known]},
                "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
                "DeadLetterConfig": {"Arn": imported("SchedulesDeadLettersArn")},
            },
        },
    }
