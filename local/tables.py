"""The tables of the CloudFormation template, made in whatever DynamoDB is at hand.

One description of the tables serves the deployed stack and this one, so they cannot drift apart.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.settings import REGION, ROOT, STACK

_MADE_UP = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
TEMPLATE = ROOT / "infra" / "data.template.json"

# What CreateTable shares with AWS::DynamoDB::Table and an emulator can honour. Protection, backup, encryption
# and throughput limits guard real data and real bills; there is nothing for them to do here.
_KNOWN = ("TableName", "AttributeDefinitions", "KeySchema", "BillingMode", "ProvisionedThroughput")
_KNOWN_INDEX = ("IndexName", "KeySchema", "Projection", "ProvisionedThroughput")


class TableDiffers(Exception):
    """A table of this name is there already, made from an older template."""


def create_tables(
    endpoint: str, stack: str = STACK, *, template: Path = TEMPLATE, env: Mapping[str, str] | None = None
) -> list[str]:
    """Make the tables that are missing, and give the names of all.

    Args:
        stack: what `${Stack}` stands for in table names; tests use it to have tables of their own.
        env: where region and credentials come from; by default they are made up.

    Raises:
        TableDiffers: a table exists with other keys or indexes.
    """
    client = dynamodb_client(endpoint, env)
    names = []
    for call in table_calls(json.loads(template.read_text()), stack):
        ttl = call.pop("TimeToLiveSpecification", None)
        try:
            client.create_table(**call)
        except client.exceptions.ResourceInUseException:
            _must_fit(client.describe_table(TableName=call["TableName"])["Table"], call)
        else:
            client.get_waiter("table_exists").wait(
                TableName=call["TableName"], WaiterConfig={"Delay": 1, "MaxAttempts": 120}
            )
            _expire(client, call["TableName"], ttl)
        names.append(call["TableName"])
    return names


def dynamodb_client(endpoint: str, env: Mapping[str, str] | None = None) -> Any:
    """A boto3 client for an endpoint; what `env` does not say, boto3 looks for in its own places."""
    known = _MADE_UP if env is None else env
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        config=Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=30),
        region_name=known["AWS_DEFAULT_REGION"],
        aws_access_key_id=known.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=known.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=known.get("AWS_SESSION_TOKEN"),
    )


def table_calls(template: dict[str, Any], stack: str) -> list[dict[str, Any]]:
    """The arguments of CreateTable (and `TimeToLiveSpecification`, if any) for each table of a template.

    Raises:
        ValueError: a property uses an intrinsic other than `${Stack}`.
    """
    tables = [r["Properties"] for r in template["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"]
    return [_table_call(_literal(properties, stack)) for properties in tables]


def _table_call(properties: dict[str, Any]) -> dict[str, Any]:
    """CreateTable's arguments for one table's properties."""
    call = {name: properties[name] for name in _KNOWN if name in properties}
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if properties.get(kind):
            call[kind] = [{n: index[n] for n in _KNOWN_INDEX if n in index} for index in properties[kind]]
    if view := properties.get("StreamSpecification", {}).get("StreamViewType"):
        call["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    if properties.get("TimeToLiveSpecification", {}).get("Enabled"):
        call["TimeToLiveSpecification"] = properties["TimeToLiveSpecification"]
    return call


_INDEXES = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
_READ = {*_KNOWN, *_INDEXES, "StreamSpecification", "TimeToLiveSpecification"}


def _literal(properties: dict[str, Any], stack: str) -> dict[str, Any]:
    """The properties that are read here, with `${Stack}` filled in."""
    return {name: _filled(value, stack) for name, value in properties.items() if name in _READ}


def _filled(value: Any, stack: str) -> Any:
    """A value of the template as a literal."""
    if isinstance(value, list):
        return [_filled(part, stack) for part in value]
    if not isinstance(value, dict):
        return value
    if value == {"Ref": "Stack"}:
        return stack
    if list(value) == ["Fn::Sub"] and isinstance(value["Fn::Sub"], str):
        text = value["Fn::Sub"].replace("${Stack}", stack)
        if "${" not in text:
            return text
    if any(name == "Ref" or name.startswith("Fn::") for name in value):
        raise ValueError(f"{json.dumps(value)}: the local stack only knows how to fill in ${{Stack}}")
    return {name: _filled(part, stack) for name, part in value.items()}


def _must_fit(found: dict[str, Any], call: dict[str, Any]) -> None:
    """See that an existing table has the keys and indexes of the template."""
    if _shape(found) != _shape(call):
        raise TableDiffers(
            f"The table {call['TableName']} was made from an older infra/data.template.json: "
            "its keys or indexes differ. Use another DATA_DIR, or move this one away."
        )


def _shape(table: dict[str, Any]) -> set[tuple[str, str]]:
    """Keys and indexes, told apart by name only in what matters."""
    indexes = [*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())]
    named = [("", table["KeySchema"]), *((index["IndexName"], index["KeySchema"]) for index in indexes)]
    return {(name, json.dumps(schema, sort_keys=True)) for name, schema in named}


def _expire(client: Any, table: str, ttl: dict[str, Any] | None) -> None:
    """Switch a table's time to live on, where the template does."""
    if ttl is None:
        return
    try:
        client.update_time_to_live(TableName=table, TimeToLiveSpecification=ttl)
    except ClientError as error:
        if "already enabled" not in str(error):
            raise
