"""CloudFormation's functions, and the statements of roles, as Python values."""

from typing import Any

Json = dict[str, Any]


def ref(name: str) -> Json:
    """What a parameter or resource is."""
    return {"Ref": name}


def sub(text: str) -> Json:
    """A text with `${…}` filled in."""
    return {"Fn::Sub": text}


def imported(output: str) -> Json:
    """What the data stack exports under a name."""
    return {"Fn::ImportValue": sub("${Stack}-" + output)}


def beside(output: str, rest: str) -> Json:
    """What the data stack exports, with something behind it: an index of a table, a folder of a bucket."""
    return {"Fn::Sub": ["${Owner}" + rest, {"Owner": imported(output)}]}


def attribute(resource: str, name: str = "Arn") -> Json:
    """An attribute of a resource of the same template."""
    return {"Fn::GetAtt": [resource, name]}


def when(condition: str, value: Any) -> Json:
    """A value under a condition, else nothing at all."""
    return {"Fn::If": [condition, value, ref("AWS::NoValue")]}


def given(parameter: str) -> Json:
    """The condition that a parameter is not empty."""
    return {"Fn::Not": [{"Fn::Equals": [ref(parameter), ""]}]}


def allow(actions: list[str], *resources: Any, condition: Json | None = None) -> Json:
    """A statement that allows some actions on some resources."""
    statement: Json = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
    return statement | ({"Condition": condition} if condition else {})


def allow_key(actions: list[str], *services: str) -> Json:
    """The use of the data key, and only through services that ask on the caller's behalf."""
    via = [sub(service + ".${AWS::Region}.${AWS::URLSuffix}") for service in services]
    return allow(actions, imported("DataKeyArn"), condition={"StringEquals": {"kms:ViaService": via}})


def policy(*statements: Json) -> Json:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(service: str, name: str, *statements: Json, condition: Json | None = None) -> Json:
    """A role that one service may take on, for one purpose."""
    trust: Json = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": policy(trust | ({"Condition": condition} if condition else {})),
            "Policies": [{"PolicyName": name, "PolicyDocument": policy(*statements)}],
        },
    }
