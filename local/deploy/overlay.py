"""The app stack as far as Chalice does not make it: laid over what Chalice generates from the routes."""

import json
from typing import Any

from chalicelib.api.headers import security
from local.deploy import alarms, athena, backups, functions
from local.deploy.intrinsics import Json, attribute, given, ref, sub
from local.deploy.merging import Added, Removed, Replaced

ORIGIN = "https://cors-origin.invalid"
"""The web origin while packaging, of which the template makes the parameter CorsOrigin."""

PARAMETERS: Json = {
    "Stack": {"Type": "String", "AllowedPattern": "[a-z][a-z0-9-]{1,24}", "Description": "Prefix of all names"},
    "Stage": {"Type": "String", "AllowedValues": ["dev", "stg", "prod"]},
    "CodeKey": {"Type": "String", "Description": "Where the zip is in the code bucket; `make deploy` knows"},
    **{
        f"{functions.layer_id(name)}Key": {"Type": "String", "Description": f"Where layer {name} is in the code bucket"}
        for name in functions.LAYERS
    },
    "Architecture": {"Type": "String", "Default": "arm64", "AllowedValues": ["arm64", "x86_64"]},
    "TimeZone": {
        "Type": "String",
        "Default": "Asia/Shanghai",
        "Description": "The program's zone, by which jobs start",
    },
    "LogRetentionDays": {
        "Type": "Number",
        "Default": 180,
        "AllowedValues": [180, 365, 400, 545, 731, 1096, 1827],
        "Description": "How long logs are kept",
    },
    "Issuer": {"Type": "String", "Description": "Our own issuer, of members' tokens"},
    "Issuers": {"Type": "String", "Default": "[]", "Description": "Issuers that staff sign in with: docs/security.md"},
    "Audience": {"Type": "String", "Description": "Audience of bearer tokens"},
    "CorsOrigin": {"Type": "String", "AllowedPattern": "https?://[^/*]+", "Description": "The console's origin"},
    "ApiRateLimit": {"Type": "Number", "Default": 500, "Description": "Requests a second, all callers together"},
    "ApiBurstLimit": {"Type": "Number", "Default": 1000, "Description": "Requests at once, all callers together"},
    "ApiConcurrency": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([1-9][0-9]*)?",
        "Description": "Places kept for the API and its upper bound; empty: what the account has left",
    },
    "PublicUrl": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "(https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*)?",
        "Description": "Where people reach the API, for links in messages; empty: API Gateway's own name",
    },
    "SignInRateLimit": {
        "Type": "Number",
        "Default": 20,
        "MinValue": 1,
        "Description": "Requests a second for codes, and as many for tokens, all callers together",
    },
    "SignInBurstLimit": {"Type": "Number", "Default": 40, "MinValue": 1, "Description": "Requests at once likewise"},
    "SmsBy": {
        "Type": "String",
        "Default": "",
        "AllowedValues": ["", "sns", "gateway"],
        "Description": "Who brings codes to mobile numbers; empty: nobody, and members cannot sign in by them",
    },
    "SmsSender": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([A-Za-z0-9]{1,11})?",
        "Description": "Sender id, where the country has such",
    },
    "SmsEntity": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "[0-9]{0,30}",
        "Description": "Entity id of India's registry of senders",
    },
    "SmsTemplate": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "[0-9]{0,30}",
        "Description": "Template id likewise",
    },
    "SmsPrefixes": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([+][1-9][0-9]{0,6}(,[+][1-9][0-9]{0,6})*)?",
        "Description": "Beginnings of numbers that may be written to, +86,+65; empty: as the program says",
    },
    "MailBy": {
        "Type": "String",
        "Default": "",
        "AllowedValues": ["", "ses", "gateway"],
        "Description": "Who brings codes to e-mail addresses; empty: nobody",
    },
    "MailFrom": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([A-Za-z0-9._+-]+@[A-Za-z0-9.-]+)?",
        "Description": "The address that e-mail comes from",
    },
    "MailIdentity": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "[A-Za-z0-9._+@-]*",
        "Description": "The identity that SES has verified for it: a domain, or the address",
    },
    "GatewayUrl": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "(https://[^ #@]+)?",
        "Description": "A gateway of the merchant's own, in the public internet",
    },
    "Providers": {
        "Type": "String",
        "Default": "{}",
        "Description": "Who brings messages to many, by channel, as JSON: docs/operations.md, Providers",
    },
    "ProviderMailIdentity": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "[A-Za-z0-9._+@-]*",
        "Description": "Where SES is among them, the identity that it has verified for their sender",
    },
    "ProviderTexts": {
        "Type": "String",
        "Default": "",
        "AllowedValues": ["", "sns"],
        "Description": "sns, where it is among them",
    },
    "Residency": {
        "Type": "String",
        "Default": "",
        "AllowedValues": ["", "mainland_china"],
        "Description": "Where personal data have to stay: providers that are elsewhere are refused",
    },
    "IndexKeyName": {
        "Type": "String",
        "Default": "index-key",
        "AllowedPattern": "[a-z][a-z0-9-]{0,40}",
        "Description": "Name of the secret under which members are found: docs/operations.md, Replacing keys",
    },
    "OtherIndexKeyName": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([a-z][a-z0-9-]{0,40})?",
        "Description": "While that one is replaced, the other of the two",
    },
    "ContentKeyName": {
        "Type": "String",
        "Default": "",
        "AllowedPattern": "([a-z][a-z0-9-]{0,40})?",
        "Description": "Once it was replaced, for good: the very first",
    },
    "ArchiveConcurrency": {"Type": "Number", "Default": 2, "MinValue": 2, "MaxValue": 1000},
    "WorkConcurrency": {"Type": "Number", "Default": 10, "MinValue": 2, "MaxValue": 1000},
    "LaneConcurrency": {"Type": "Number", "Default": 10, "MinValue": 2, "MaxValue": 1000},
    "SendsConcurrency": {"Type": "Number", "Default": 10, "MinValue": 2, "MaxValue": 1000},
    "JourneysConcurrency": {"Type": "Number", "Default": 10, "MinValue": 2, "MaxValue": 1000},
    "NoticesConcurrency": {"Type": "Number", "Default": 5, "MinValue": 2, "MaxValue": 1000},
    "LakeConcurrency": {"Type": "Number", "Default": 2, "MinValue": 2, "MaxValue": 10},
    "WatchConcurrency": {"Type": "Number", "Default": 5, "MinValue": 2, "MaxValue": 1000},
    "WebAclArn": {"Type": "String", "Default": "", "Description": "A regional WAF web ACL to stand before the API"},
    "AddressRateLimit": {
        "Type": "Number",
        "Default": 0,
        "MinValue": 0,
        "Description": "Requests of one network address in five minutes, 10 or more; a web ACL of ours counts. 0: none",
    },
    "AlarmEmail": {"Type": "String", "Default": "", "Description": "Who is told of alarms"},
    "ApiLogsRole": {
        "Type": "String",
        "Default": "ours",
        "AllowedValues": ["ours", "theirs"],
        "Description": "API Gateway has one role for logs per account and region: set by this stack, or there already",
    },
}

CONDITIONS: Json = {
    "ReserveApi": given("ApiConcurrency"),
    "HasPublicUrl": given("PublicUrl"),
    "IndexKeyIsReplaced": given("OtherIndexKeyName"),
    "IndexKeyWasReplaced": given("ContentKeyName"),
    "TextsBySns": {"Fn::Equals": [ref("SmsBy"), "sns"]},
    "MailsBySes": {"Fn::Equals": [ref("MailBy"), "ses"]},
    "ByGateway": {"Fn::Or": [{"Fn::Equals": [ref("SmsBy"), "gateway"]}, {"Fn::Equals": [ref("MailBy"), "gateway"]}]},
    "ManyTextsBySns": {"Fn::Equals": [ref("ProviderTexts"), "sns"]},
    "ManyMailsBySes": given("ProviderMailIdentity"),
    "BehindTheirs": given("WebAclArn"),
    "BehindOurs": {
        "Fn::And": [
            {"Fn::Equals": [ref("WebAclArn"), ""]},
            {"Fn::Not": [{"Fn::Equals": [ref("AddressRateLimit"), "0"]}]},
        ]
    },
    "BehindWaf": {"Fn::Or": [{"Condition": "BehindTheirs"}, {"Condition": "BehindOurs"}]},
    "SetLogsRole": {"Fn::Equals": [ref("ApiLogsRole"), "ours"]},
    **alarms.CONDITIONS,
}

_NOT_EMPTY = {"Fn::Not": [{"Fn::Equals": [ref("GatewayUrl"), ""]}]}
RULES: Json = {
    "MailHasASender": {
        "RuleCondition": {"Fn::Equals": [ref("MailBy"), "ses"]},
        "Assertions": [
            {
                "Assert": {"Fn::Not": [{"Fn::Equals": [ref(name), ""]}]},
                "AssertDescription": f"MailBy=ses needs {name}",
            }
            for name in ("MailFrom", "MailIdentity")
        ],
    },
    **{
        f"{name}HasAGateway": {
            "RuleCondition": {"Fn::Equals": [ref(f"{name}By"), "gateway"]},
            "Assertions": [{"Assert": _NOT_EMPTY, "AssertDescription": f"{name}By=gateway needs GatewayUrl"}],
        }
        for name in ("Sms", "Mail")
    },
    "TheFirstKeyIsKept": {
        "RuleCondition": {"Fn::Not": [{"Fn::Equals": [ref("OtherIndexKeyName"), ""]}]},
        "Assertions": [
            {
                "Assert": {"Fn::Not": [{"Fn::Equals": [ref("ContentKeyName"), ""]}]},
                "AssertDescription": "OtherIndexKeyName needs ContentKeyName, the name of the very first key",
            }
        ],
    },
}
"""What CloudFormation refuses before anything is deployed: a function would refuse it when it starts."""

# What API Gateway answers by itself, in the shape of our problems: type -> (status, code, title, headers).
_PROBLEMS: dict[str, tuple[int | None, str, str, Json]] = {
    "DEFAULT_4XX": (None, "gateway_refused", "The gateway does not take this request", {}),
    "DEFAULT_5XX": (None, "gateway_failed", "The gateway failed", {"Retry-After": "2"}),
    "MISSING_AUTHENTICATION_TOKEN": (404, "route_unknown", "There is no such route", {}),
    "RESOURCE_NOT_FOUND": (404, "route_unknown", "There is no such route", {}),
    "REQUEST_TOO_LARGE": (413, "body_too_large", "The body is too large", {}),
    "UNSUPPORTED_MEDIA_TYPE": (415, "content_type_unsupported", "The content type is not supported", {}),
    "THROTTLED": (429, "rate_exceeded", "Too many requests", {"Retry-After": "2"}),
    "QUOTA_EXCEEDED": (429, "rate_exceeded", "Too many requests", {"Retry-After": "60"}),
    "WAF_FILTERED": (403, "request_blocked", "The firewall does not take this request", {}),
    "INTEGRATION_TIMEOUT": (503, "gateway_timeout", "No answer came in time; try again", {"Retry-After": "2"}),
}

_ACCESS_LOG = {
    "request": "$context.requestId",
    "at": "$context.requestTime",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "error": "$context.error.responseType",
    "bytes": "$context.responseLength",
    "ms": "$context.responseLatency",
    "app_ms": "$context.integration.latency",
    "waf": "$context.waf.status",
}
"""No path, query, address or caller: they can be personal, and the app's own line has the ids."""


def overlay() -> Json:
    """All of it, to be merged over Chalice's template."""
    resources: Json = {"DefaultRole": Removed(), "RestAPI": {"Properties": _api()}, **_api_around()}
    for function in functions.FUNCTIONS:
        resources |= functions.resources(function)
    # Chalice's own function stays, with our properties in place of its own.
    made = resources["ApiFunction"]["Properties"]
    resources["ApiFunction"]["Properties"] = {
        **{name: _over(value) for name, value in made.items()},
        "Tags": Removed(),
        "Tracing": Removed(),
    }
    resources |= (
        athena.resources()
        | functions.carrying()
        | functions.sending()
        | functions.layers(ref("Architecture"))
        | functions.schedules()
        | backups.exports()
        | alarms.resources()
    )
    return {
        "Description": "Regulars: API, relay, jobs, notices",
        "Parameters": PARAMETERS,
        "Rules": RULES,
        "Globals": {"Api": {"OpenApiVersion": "2.0"}},
        "Conditions": CONDITIONS,
        "Resources": resources,
        "Outputs": {
            "StartJobFunctionName": {"Value": ref("StartJobFunction")},
            "AlarmTopicArn": {"Value": ref("AlarmTopic")},
        },
    }


def _over(value: Any) -> Any:
    return Replaced(value) if isinstance(value, list) else value


def _api() -> Json:
    """The stage: throttled, measured, logged; and what the gateway answers by itself."""
    return {
        "Name": sub("${Stack}"),
        "EndpointConfiguration": {"Type": "REGIONAL"},
        "TracingEnabled": False,
        "MethodSettings": Added(
            [
                {
                    "ResourcePath": "/*",
                    "HttpMethod": "*",
                    "ThrottlingRateLimit": ref("ApiRateLimit"),
                    "ThrottlingBurstLimit": ref("ApiBurstLimit"),
                    "MetricsEnabled": True,
                    "LoggingLevel": "OFF",
                    "DataTraceEnabled": False,
                },
                *(_signing_in(path) for path in OPEN_TO_ALL),
            ]
        ),
        "AccessLogSetting": {
            "DestinationArn": attribute("ApiAccessLog"),
            "Format": json.dumps(_ACCESS_LOG, separators=(",", ":")),
        },
        "DefinitionBody": {
            "info": {"title": sub("${Stack}")},
            "x-amazon-apigateway-gateway-responses": {kind: _answer(*said) for kind, said in _PROBLEMS.items()},
        },
    }


OPEN_TO_ALL = ("/v1/auth/otp-requests", "/v1/auth/tokens")
"""Where somebody without a token makes us write, send and pay: throttled besides, each for itself."""


def _signing_in(path: str) -> Json:
    """The throttle of one method. API Gateway wants slashes written as ~1, but for the first."""
    return {
        "ResourcePath": "/" + path.replace("/", "~1"),
        "HttpMethod": "POST",
        "ThrottlingRateLimit": ref("SignInRateLimit"),
        "ThrottlingBurstLimit": ref("SignInBurstLimit"),
        "MetricsEnabled": True,
        "LoggingLevel": "OFF",
        "DataTraceEnabled": False,
    }


def said(value: str) -> str:
    """A header's value as API Gateway takes a constant, in single quotes, which it knows no sure way to escape.

    The only word with quotes of its own is `'none'`; a directive of a content policy with no value means the same.
    """
    return "'{}'".format(value.replace(" 'none'", ""))


def _answer(status: int | None, code: str, title: str, headers: Json) -> Json:
    """One answer of the gateway, with the headers without which a browser hides it from the page."""
    given_headers = {
        "Access-Control-Allow-Origin": sub("'${CorsOrigin}'"),
        "Access-Control-Expose-Headers": "'Retry-After'",
        "Content-Type": "'application/problem+json'",
        "Cache-Control": "'no-store'",
        **{name: said(value) for name, value in {**security(laptop=False), **headers}.items()},
    }
    # A status of the gateway's own choosing is known to it alone; the body then has none.
    body = {
        "type": f"urn:regulars:problem:{code}",
        "title": title,
        **({"status": status} if status else {}),
        "detail": f"{title}.",
        "instance": "urn:regulars:request:$context.requestId",
        "code": code,
        "facts": {},
    }
    return {
        **({"statusCode": status} if status else {}),
        "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in given_headers.items()},
        "responseTemplates": {"application/json": json.dumps(body, separators=(",", ":"))},
    }


def _api_around() -> Json:
    """The access log, the account's role for it, and the firewall."""
    return {
        # The stage waits for its log, the log for the account's role, the role for a first API in the account.
        "ApiAccessLog": functions.log_group("/regulars/${Stack}/api-access") | {"DependsOn": ["ApiLogsAccount"]},
        "ApiLogsWriter": {
            "Type": "AWS::IAM::Role",
            "Condition": "SetLogsRole",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "apigateway.amazonaws.com"},
                            "Action": "sts:AssumeRole",
                        }
                    ],
                },
                "ManagedPolicyArns": [
                    sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs")
                ],
            },
        },
        "ApiLogsAccount": {
            "Type": "AWS::ApiGateway::Account",
            "DependsOn": ["RestAPI"],
            "Condition": "SetLogsRole",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"CloudWatchRoleArn": attribute("ApiLogsWriter")},
        },
        "ApiFirewall": {
            "Type": "AWS::WAFv2::WebACLAssociation",
            "Condition": "BehindWaf",
            "Properties": {
                # `RestAPI.Stage` is SAM's word for the stage that it makes, for which this then waits.
                "ResourceArn": sub(
                    "arn:${AWS::Partition}:apigateway:${AWS::Region}::/restapis/${RestAPI}/stages/${RestAPI.Stage}"
                ),
                "WebACLArn": {"Fn::If": ["BehindTheirs", ref("WebAclArn"), attribute("ApiWall")]},
            },
        },
        "ApiWall": {
            "Type": "AWS::WAFv2::WebACL",
            "Condition": "BehindOurs",
            "Properties": {
                "Name": sub("${Stack}-api"),
                "Scope": "REGIONAL",
                "DefaultAction": {"Allow": {}},
                "VisibilityConfig": _counted("api"),
                "Rules": [
                    {
                        "Name": "address-rate",
                        "Priority": 0,
                        "Action": {
                            "Block": {
                                "CustomResponse": {
                                    "ResponseCode": 429,
                                    "ResponseHeaders": [{"Name": "Retry-After", "Value": "60"}],
                                }
                            }
                        },
                        "Statement": {
                            "RateBasedStatement": {
                                "AggregateKeyType": "IP",
                                "EvaluationWindowSec": 300,
                                "Limit": ref("AddressRateLimit"),
                            }
                        },
                        "VisibilityConfig": _counted("address-rate"),
                    }
                ],
            },
        },
    }  # fmt: skip


def _counted(name: str) -> Json:
    """What the firewall tells of a rule: how often, and not whose requests."""
    return {
        "CloudWatchMetricsEnabled": True,
        "MetricName": sub("${Stack}-" + name),
        "SampledRequestsEnabled": False,
    }
