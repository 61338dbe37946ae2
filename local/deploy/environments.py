"""The environments of infra/envs: parameters and nothing else, the same names in each."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chalicelib.providers.settings import providers_from
from local.deploy.refusals import EnvironmentWrong
from local.settings import ROOT

ENVS = ROOT / "infra" / "envs"
OF_THE_TOOL = ("Account", "Region")
"""What `deploy` compares with whom it is talking to, and no template is given."""


def names() -> list[str]:
    """The environments there are."""
    return sorted(path.stem for path in ENVS.glob("*.json"))


def parameters(env: str, changes: Iterable[str] = ()) -> dict[str, str]:
    """The parameters of an environment.

    Args:
        changes: `Name=Value`, for this time only.

    Raises:
        EnvironmentWrong: there is no such environment, or a name that no environment has.
    """
    path = ENVS / f"{env}.json"
    if not env or not path.is_file():
        raise EnvironmentWrong(f"ENV={env or '…'}: say which environment; there are {', '.join(names())}.")
    found: dict[str, str] = json.loads(path.read_text())
    if found["Stage"] != env:
        raise EnvironmentWrong(f"infra/envs/{env}.json is for stage {found['Stage']}.")
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals or name not in found:
            raise EnvironmentWrong(f"{change}: not Name=Value, or no parameter of infra/envs/{env}.json.")
        found[name] = value
    return found


def require_providers(given: Mapping[str, str]) -> None:
    """See that who brings messages can be read, may have personal data where they have to stay, and has its rights.

    Raises:
        EnvironmentWrong: not so.
    """
    mainland = bool(given["Residency"]) or given["Region"].startswith("cn-")
    try:
        chosen = providers_from(given["Providers"], mainland=mainland)
    except ValueError as wrong:
        raise EnvironmentWrong(f"Providers: {wrong}.") from None
    by = {each.by for each in chosen.values()}
    if ("ses" in by) != bool(given["ProviderMailIdentity"]):
        raise EnvironmentWrong("ProviderMailIdentity names what SES has verified, where ses is among Providers.")
    if ("sns" in by) != (given["ProviderTexts"] == "sns"):
        raise EnvironmentWrong("ProviderTexts is sns where sns is among Providers, else empty.")
    if mainland and (given["SmsBy"] == "sns" or given["MailBy"] == "ses"):
        raise EnvironmentWrong("SmsBy, MailBy: sns and ses take personal data out of mainland China.")


def for_template(template: Mapping[str, Any], given: Mapping[str, str]) -> list[dict[str, str]]:
    """The parameters that a template takes, as CloudFormation has them.

    Raises:
        EnvironmentWrong: a parameter without default is missing.
    """
    declared = template.get("Parameters", {})
    missing = [name for name, said in declared.items() if name not in given and "Default" not in said]
    if missing:
        raise EnvironmentWrong(f"no value for {', '.join(missing)}")
    return [{"ParameterKey": name, "ParameterValue": given[name]} for name in declared if name in given]


def load(folder: Path) -> dict[str, str]:
    """The parameters that were packaged into a folder."""
    found: dict[str, str] = json.loads((folder / "parameters.json").read_text())
    return found
