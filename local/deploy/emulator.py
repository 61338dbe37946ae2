"""What ministack cannot do with our templates, filled in for it; AWS never sees any of this."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from local.deploy.intrinsics import Json

_SECRET, _END = "{{resolve:secretsmanager:", ":SecretString}}"


def for_emulator(text: str, given: Mapping[str, str], secret: Callable[[str], str]) -> str:
    """A template with secrets looked up, numbers and truths as such, no demand for TLS, no alarms on sums of metrics.

    Args:
        secret: gives the secret of a name, which is not hexadecimal here: ministack generates what it likes.
    """
    template: Json = json.loads(text)
    declared = template.get("Parameters", {})
    numbers = {name for name, said in declared.items() if said["Type"] == "Number"}
    truths = {name for name, said in declared.items() if said.get("AllowedValues") == ["true", "false"]}

    def filled(value: Any) -> Any:
        match value:
            case {"Ref": name} if name in numbers and name in given:
                return int(given[name])
            case {"Ref": name} if name in truths and name in given:
                return given[name] == "true"
            case {"Fn::Sub": str(spoken)} if spoken.startswith(_SECRET):
                name = spoken.removeprefix(_SECRET).removesuffix(_END)
                for parameter, said in given.items():
                    name = name.replace("${" + parameter + "}", said)
                # One that is not named is not used, under a condition that ministack does ask.
                return "" if name.endswith("/") else _as_generated(secret(name))
            case dict():
                return {name: filled(part) for name, part in value.items()}
            case ["sqs:SendMessage"]:
                return [
                    "sqs:SendMessage",
                    "sqs:SendMessageBatch",
                ]  # AWS knows only the first, ministack tells them apart
            case list():
                return [filled(part) for part in value if not _demands_tls(part)]
        return value

    made = {name: filled(resource) for name, resource in template["Resources"].items()}
    template["Resources"] = {name: each for name, each in made.items() if not _left_out(each.get("Properties", {}))}
    return json.dumps(template, separators=(",", ":"))


def _as_generated(text: str) -> str:
    """A secret as AWS would have made it; one that our template writes out, as a JSON object, is what it is.

    That it begins with a brace says nothing: one in a hundred that ministack generates does.
    """
    try:
        written = isinstance(json.loads(text), dict)
    except ValueError:
        written = False
    return text if written else hashlib.sha256(text.encode()).hexdigest()


def _demands_tls(value: Any) -> bool:
    """Whether it is a statement against what is not said over TLS."""
    return isinstance(value, dict) and value.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}


def _left_out(properties: Json) -> bool:
    """Whether it is an alarm on a sum, or a policy of which nothing is left."""
    return "Metrics" in properties or properties.get("PolicyDocument", {}).get("Statement") == []
