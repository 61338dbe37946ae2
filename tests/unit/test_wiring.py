"""A process is made of what its environment names; what is missing is named when it is used, not before."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId
from chalicelib.reach.links import OptOut, opt_out_of, token_of
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings, SettingsWrong, load
from chalicelib.runtime.wiring import House
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import BucketObjects, FolderObjects
from chalicelib.storage.table import DynamoTable
from tests.fakes import ClearContacts

LEAST = {
    "REGULARS_STAGE": "dev", "REGULARS_STACK": "regulars-dev", "AWS_REGION": "eu-central-1",
    "REGULARS_ISSUER": "https://issuer.invalid", "REGULARS_AUDIENCE": "regulars",
}  # fmt: skip
OURS = (
    "REGULARS_INDEX_KEY", "REGULARS_CURSOR_KEY", "REGULARS_KEYS_FILE", "REGULARS_JOB_QUEUE", "REGULARS_BUS",
    "REGULARS_ARCHIVE", "REGULARS_VAULT_KEY", "DYNAMODB_ENDPOINT", "AWS_ENDPOINT_URL", "REGULARS_OTHER_INDEX_KEY",
    "REGULARS_CONTENT_KEY", "REGULARS_OPT_OUT_KEY", "REGULARS_PUBLIC_URL", "REGULARS_SMS_BY", "REGULARS_MAIL_BY",
    "REGULARS_GATEWAY_URL", "REGULARS_GATEWAY_KEY", "REGULARS_MAIL_FROM", "REGULARS_SMS_PREFIXES",
    "REGULARS_RETENTION_QUEUE",
)  # fmt: skip


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The least that every function is given."""
    for name in OURS:
        monkeypatch.delenv(name, raising=False)
    for name, value in LEAST.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_the_least_is_enough_to_start_and_what_is_missing_is_named_on_use(environment: pytest.MonkeyPatch) -> None:
    house = wiring.build(load())

    assert isinstance(house.table, DynamoTable)
    assert isinstance(house.ops, DynamoTable)
    assert (house.table.name, house.ops.name) == ("regulars-dev-core", "regulars-dev-ops")
    with pytest.raises(SettingsWrong, match="REGULARS_BUS is not set"):
        house.bus.put([])
    with pytest.raises(SettingsWrong, match="REGULARS_ARCHIVE is not set"):
        house.objects.get("a")
    with pytest.raises(SettingsWrong, match="REGULARS_INDEX_KEY is not set"):
        house.keyring.blind("mobile", "1")
    with pytest.raises(SettingsWrong, match="REGULARS_INDEX_KEY is not set"):
        _ = house.keyring.cursor_key


def test_no_key_is_ever_empty(environment: pytest.MonkeyPatch) -> None:
    for names in (["INDEX"], ["CURSOR"], []):
        for name in ("INDEX", "CURSOR"):
            environment.setenv(f"REGULARS_{name}_KEY", "11" * 32 if name in names else "")
        keyring = wiring.build(load()).keyring
        with pytest.raises(SettingsWrong, match=r"REGULARS_(INDEX|CURSOR)_KEY is not set"):
            keyring.blind("mobile", "1")


def test_contact_data_can_be_opened_without_index_and_cursor_key(environment: pytest.MonkeyPatch) -> None:
    sealed = ClearContacts().seal("mem_a", {"name": "张三"})
    assert wiring.build(load()).keyring.contacts.open("mem_a", sealed) == {"name": "张三"}


def test_a_key_of_the_vault_in_a_file_is_refused_outside_a_laptop(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "vault_key").write_text("11" * 32)
    environment.setenv("REGULARS_VAULT_KEY", (tmp_path / "vault_key").as_uri())
    with pytest.raises(SettingsWrong, match="a key of the vault in a local file is refused in stage dev"):
        load()
    environment.setenv("REGULARS_STAGE", "local")
    keeper = wiring.keeper(load())
    assert keeper.unwrap(keeper.wrap(b"secret", "a"), "a") == b"secret"


def test_a_stack_has_all(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "REGULARS_INDEX_KEY": "11" * 32, "REGULARS_CURSOR_KEY": "22" * 32, "REGULARS_BUS": "regulars-dev-events",
        "REGULARS_JOB_QUEUE": "https://sqs.invalid/1/q", "REGULARS_ARCHIVE": "regulars-dev-archive",
    }.items():  # fmt: skip
        environment.setenv(name, value)
    house = wiring.build(load())
    assert isinstance(house.keyring, Keyring)
    assert isinstance(house.objects, BucketObjects)
    assert house.settings.job_queue == "https://sqs.invalid/1/q"


@pytest.mark.parametrize(
    ("dynamodb", "everything", "expected"),
    [
        (None, None, (None, None)),
        ("http://127.0.0.1:1", None, ("http://127.0.0.1:1", None)),
        (None, "http://127.0.0.1:2", ("http://127.0.0.1:2", "http://127.0.0.1:2")),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", ("http://127.0.0.1:1", "http://127.0.0.1:2")),
        ("", "", (None, None)),
    ],
)
def test_dynamodb_may_answer_elsewhere_than_everything_else(
    environment: pytest.MonkeyPatch, dynamodb: str | None, everything: str | None, expected: tuple[str, str]
) -> None:
    for name, value in (("DYNAMODB_ENDPOINT", dynamodb), ("AWS_ENDPOINT_URL", everything)):
        if value is not None:
            environment.setenv(name, value)
    settings = load()
    assert (settings.dynamodb_endpoint, settings.endpoint) == expected


def test_a_folder_is_an_archive_on_a_laptop_only(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "with space"
    environment.setenv("REGULARS_ARCHIVE", folder.as_uri())
    with pytest.raises(SettingsWrong, match="refused in stage dev"):
        load()
    environment.setenv("REGULARS_STAGE", "local")
    objects = wiring.build(load()).objects
    assert isinstance(objects, FolderObjects)
    objects.put("a", b"1", kind="text/plain")
    assert (folder / "a").read_bytes() == b"1"


def test_a_house_made_by_hand_says_what_it_was_made_without() -> None:
    settings = Settings(
        stage="test", stack="t", region="us-east-1", dynamodb_endpoint=None, index_key=b"i", cursor_key=b"c",
        token_key=b"", issuer="i", audience="a",
    )  # fmt: skip
    house = House(settings, wiring.build(settings).table, Keyring(b"i", b"c", ClearContacts()))
    for name in ("ops", "queues", "bus", "objects"):
        with pytest.raises(SettingsWrong, match=f"made without {name}"):
            _ = getattr(house, name).anything
    assert repr(house)


# ---------------------------------------------------------------- opt-out links


def test_the_function_of_notices_signs_links_that_the_api_knows_and_finds_nobody(
    environment: pytest.MonkeyPatch,
) -> None:
    opt_out = OptOut(MemberId("mem_" + "a" * 16), "notices", ContactChannel.SMS, date(2026, 3, 15))
    environment.setenv("REGULARS_OPT_OUT_KEY", "44" * 32)
    environment.setenv("REGULARS_PUBLIC_URL", "https://api.example.com/")
    house = wiring.build(load())
    token = token_of(opt_out, house.keyring)
    assert (house.settings.signs_opt_outs, house.settings.public_url) == (True, "https://api.example.com")
    with pytest.raises(SettingsWrong, match="REGULARS_INDEX_KEY is not set"):
        house.keyring.blind("mobile", "1")

    for name, key in (("INDEX", "11"), ("CURSOR", "22"), ("CONTENT", "33")):
        environment.setenv(f"REGULARS_{name}_KEY", key * 32)
    assert opt_out_of(token, wiring.build(load()).keyring) == opt_out
    environment.setenv("REGULARS_INDEX_KEY", "55" * 32)
    assert opt_out_of(token, wiring.build(load()).keyring) == opt_out, "whatever index key there is by then"
    environment.delenv("REGULARS_OPT_OUT_KEY")
    assert opt_out_of(token, wiring.build(load()).keyring) is None


def test_without_the_key_there_are_no_links_and_links_lead_to_https_only(environment: pytest.MonkeyPatch) -> None:
    assert not load().signs_opt_outs
    environment.setenv("REGULARS_PUBLIC_URL", "http://api.example.com")
    with pytest.raises(SettingsWrong, match="is not https"):
        load()


# ---------------------------------------------------------------- carriers


def test_nobody_carries_unless_the_environment_says_so(environment: pytest.MonkeyPatch) -> None:
    assert wiring.build(load()).carriers == {}


def test_carriers_are_those_that_the_environment_names(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("REGULARS_SMS_BY", "sns")
    environment.setenv("REGULARS_SMS_PREFIXES", "+86,+65")
    environment.setenv("REGULARS_MAIL_BY", "ses")
    environment.setenv("REGULARS_MAIL_FROM", "no-reply@coffee.example")
    found = wiring.build(load()).carriers
    assert {name: type(each).__name__ for name, each in found.items()} == {"sms": "SnsTexts", "email": "SesMails"}
    assert found["sms"].reaches("+65123") and not found["sms"].reaches("+44123")
    environment.setenv("REGULARS_MAIL_BY", "gateway")
    environment.setenv("REGULARS_GATEWAY_URL", "https://gateway.example/codes")
    environment.setenv("REGULARS_GATEWAY_KEY", "66" * 32)
    assert type(wiring.build(load()).carriers["email"]).__name__ == "Gateway"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"SMS_BY": "aliyun"}, "sns, gateway or empty"),
        ({"MAIL_BY": "ses"}, "needs REGULARS_MAIL_FROM"),
        ({"SMS_BY": "gateway", "GATEWAY_KEY": "66" * 32}, "not a plain https address"),
        ({"SMS_BY": "gateway", "GATEWAY_KEY": "66" * 32, "GATEWAY_URL": "http://127.0.0.1/"}, "not a plain https"),
        ({"SMS_BY": "gateway", "GATEWAY_URL": "https://gateway.example/"}, "less than 16 bytes"),
    ],
)
def test_a_carrier_that_cannot_work_is_refused_at_the_start(
    environment: pytest.MonkeyPatch, said: dict[str, str], why: str
) -> None:
    for name, value in said.items():
        environment.setenv(f"REGULARS_{name}", value)
    with pytest.raises(SettingsWrong, match=why):
        load()


def test_a_process_without_carriers_loads_neither_them_nor_boto3() -> None:
    code = (
        "import os, sys; os.environ.update({'REGULARS_STAGE': 'test'}); import app; "
        "from chalicelib.runtime import wiring; "
        "print([m for m in ('boto3', 'chalicelib.storage.carriers', 'chalicelib.storage.egress') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
