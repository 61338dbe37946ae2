"""Who brings what: read strictly, secrets apart, nobody abroad where personal data stay in mainland China."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chalicelib.providers.making import Means, made
from chalicelib.providers.pace import Limits
from chalicelib.providers.settings import callbacks_from, providers_from, require_secrets
from chalicelib.storage.objects import FolderObjects
from local.deploy.environments import ENVS, names, parameters, require_providers
from local.deploy.refusals import EnvironmentWrong
from local.settings import ROOT
from tests.makers import NOON
from tests.memory import MemoryTable

ALIYUN = {"by": "aliyun", "access_key_id": "LTAI", "signature": "一家店"}
TENCENT = {"by": "tencent", "secret_id": "AKID", "app_id": "1400006666", "signature": "一家店"}
SES = {"by": "ses", "sender": "shop@example.com", "configuration_set": "receipts"}
SMTP = {"by": "smtp", "host": "mail.example.com", "sender": "shop@example.com"}
WECHAT = {"by": "wechat", "app_id": "wx1"}
WECOM = {"by": "wecom", "corp_id": "ww1", "agent_id": 1000002}
WEBHOOK = {"by": "webhook", "url": "https://gateway.example/in"}
KEY = "0123456789abcdef" * 2
EVERY: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("sms", ALIYUN, {"access_key_secret": "s"}),
    ("sms", TENCENT, {"secret_key": "s"}),
    ("sms", {"by": "sns", "prefixes": ["+65"]}, {}),
    ("email", SES, {}),
    ("email", {**SMTP, "user": "u"}, {"password": "p"}),
    ("wechat", WECHAT, {"app_secret": "s"}),
    ("wecom", WECOM, {"corp_secret": "s"}),
    ("webhook", WEBHOOK, {"key": KEY}),
    ("sms", {"by": "outbox"}, {}),
]


@pytest.mark.parametrize(("channel", "plain", "secrets"), EVERY, ids=lambda each: str(each)[:20])
def test_each_is_read_and_made_with_its_secret(
    channel: str, plain: dict[str, Any], secrets: dict[str, str], tmp_path: Path
) -> None:
    chosen = providers_from(json.dumps({channel: plain}), json.dumps({channel: secrets}))
    require_secrets(chosen)
    means = Means(MemoryTable(), FolderObjects(tmp_path), lambda: NOON, "eu-west-1")
    provider = made(channel, chosen[channel], means)
    assert (provider.name, provider.channel) == (plain["by"], channel)
    for secret in secrets.values():
        assert secret not in repr(chosen) or len(secret) == 1


def test_limits_are_said_beside() -> None:
    limits = {"rate_per_second": 7, "burst": 20, "cap_micro_a_day": 1_000_000, "failures": 2}
    chosen = providers_from(json.dumps({"sms": {"by": "outbox", "limits": limits}}))
    assert chosen["sms"].limits.limits() == Limits(7, 20, 1_000_000, 2)


@pytest.mark.parametrize(
    ("plain", "secrets", "why"),
    [
        ("{", "", "no JSON"),
        ("[]", "", "no JSON object"),
        ('{"sms": {"by": "nobody"}}', "", "sms"),
        ('{"fax": {"by": "outbox"}}', "", "fax"),
        ('{"sms": {"by": "outbox", "more": 1}}', "", "more"),
        ('{"sms": {"by": "outbox", "price_micro": "1"}}', "", "price_micro"),
        ('{"sms": {"by": "outbox", "limits": {"rate_per_second": 0}}}', "", "rate_per_second"),
        (json.dumps({"email": ALIYUN}), "", "does not bring that"),
        (json.dumps({"sms": SES}), "", "does not bring that"),
        (json.dumps({"sms": {**ALIYUN, "access_key_secret": "hush"}}), "", "belongs with the secrets"),
        (json.dumps({"sms": ALIYUN}), '{"sms": {"signature": "x"}}', "no secret"),
        (json.dumps({"sms": ALIYUN}), '{"email": {"password": "x"}}', "nobody brings"),
        (json.dumps({"email": {**SMTP, "security": "none"}}), "", "laptop"),
        (json.dumps({"email": {**SMTP, "host": "a b"}}), "", "host"),
        (json.dumps({"email": {**SMTP, "sender": "a@b\r\nBcc: c@d"}}), "", "sender"),
        (json.dumps({"sms": {**WEBHOOK, "url": "http://10.0.0.1/"}}), "", "https"),
        (json.dumps({"sms": {**WEBHOOK, "url": "https://u:p@x.example/"}}), "", "https"),
        (json.dumps({"sms": WEBHOOK}), '{"sms": {"key": "abcd"}}', "key"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(plain: str, secrets: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as wrong:
        providers_from(plain, secrets)
    assert why in str(wrong.value)
    assert "hush" not in str(wrong.value)


def test_whoever_sends_needs_the_secret_and_whoever_deploys_does_not() -> None:
    chosen = providers_from(json.dumps({"sms": ALIYUN}))
    with pytest.raises(ValueError, match="access_key_secret"):
        require_secrets(chosen)


@pytest.mark.parametrize(
    ("channel", "plain", "may"),
    [
        ("sms", ALIYUN, True),
        ("sms", {**ALIYUN, "region": "ap-southeast-1"}, False),
        ("sms", {**ALIYUN, "region": "cn-hongkong"}, False),
        ("sms", TENCENT, True),
        ("sms", {**TENCENT, "region": "ap-singapore"}, False),
        ("sms", {"by": "sns"}, False),
        ("email", SES, False),
        ("email", SMTP, False),
        ("email", {**SMTP, "in_mainland": True}, True),
        ("webhook", WEBHOOK, False),
        ("webhook", {**WEBHOOK, "in_mainland": True}, True),
        ("wechat", WECHAT, True),
        ("wecom", WECOM, True),
        ("app", {"by": "outbox"}, True),
    ],
)
def test_providers_elsewhere_are_refused_where_data_stay_in_mainland_china(
    channel: str, plain: dict[str, Any], may: bool
) -> None:
    text = json.dumps({channel: plain})
    assert providers_from(text)
    if may:
        assert providers_from(text, mainland=True)
        return
    with pytest.raises(ValueError, match="mainland China"):
        providers_from(text, mainland=True)


# ---------------------------------------------------------------- callbacks


@pytest.mark.parametrize(
    "said",
    [
        {"aliyun": {"secret": "short"}},
        {"aliyun": {"secret": "s" * 30, "token": "t"}},
        {"wechat": {"secret": "s" * 30}},
        {"ses": {"secret": "s" * 30}},
        {"ses": {"secret": "s" * 30, "topics": ["arn:aws:sqs:eu-west-1:123456789012:x"]}},
        {"nobody": {"secret": "s" * 30}},
        [],
    ],
)
def test_callbacks_that_prove_nothing_are_refused(said: Any) -> None:
    with pytest.raises(ValueError, match=r".") as wrong:
        callbacks_from(json.dumps(said))
    assert "sssss" not in str(wrong.value)


# ---------------------------------------------------------------- what is deployed


@pytest.mark.parametrize("env", names())
def test_every_environment_of_the_tree_may_have_its_providers(env: str) -> None:
    assert (ENVS / f"{env}.json").exists()
    require_providers(parameters(env))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"Providers": json.dumps({"email": SES}), "Residency": "mainland_china"}, "mainland China"),
        ({"Providers": json.dumps({"sms": {"by": "sns"}}), "Region": "cn-north-1"}, "mainland China"),
        ({"Residency": "mainland_china", "SmsBy": "sns"}, "mainland China"),
        ({"Providers": json.dumps({"email": SES})}, "ProviderMailIdentity"),
        ({"ProviderMailIdentity": "example.com"}, "ProviderMailIdentity"),
        ({"Providers": json.dumps({"sms": {"by": "sns"}})}, "ProviderTexts"),
        ({"Providers": json.dumps({"sms": {**ALIYUN, "access_key_secret": "hush"}})}, "secrets"),
        ({"Providers": "nonsense"}, "no JSON"),
    ],
)
def test_an_environment_that_must_not_be_is_not_packaged(changes: dict[str, str], why: str) -> None:
    with pytest.raises(EnvironmentWrong, match=why) as wrong:
        require_providers({**parameters("prod"), **changes})
    assert "hush" not in str(wrong.value)


# ---------------------------------------------------------------- what is imported


def test_no_sdk_is_loaded_before_a_message_is_sent_and_nothing_of_providers_where_there_are_none() -> None:
    probe = (
        "import sys, chalicelib.runtime.wiring\n"
        "assert not [n for n in sys.modules if n.startswith('chalicelib.providers')], 'wiring'\n"
        "import chalicelib.providers.making as m, pkgutil, importlib, chalicelib.providers as p\n"
        "for each in pkgutil.iter_modules(p.__path__): importlib.import_module('chalicelib.providers.' + each.name)\n"
        "heavy = ('boto3', 'botocore', 'requests', 'tencentcloud', 'darabonba', 'Tea', 'chalice')\n"
        "assert not [n for n in heavy if n in sys.modules], [n for n in heavy if n in sys.modules]\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
