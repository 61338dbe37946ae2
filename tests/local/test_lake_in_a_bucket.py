"""The lake in a bucket: the engine reads and writes it by itself, over S3's own protocol."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from chalicelib.lake import duck, service, store
from chalicelib.lake.service import Lake
from chalicelib.storage.objects import BucketObjects
from chalicelib.storage.places import Bucket, Place
from chalicelib.storage.signed import Credentials
from local.dynamo import MINISTACK_VENV, install_ministack, ministack_environment, ministack_fits
from local.messaging import _SERVER
from local.processes import free_port, start, stop, wait_for_answer
from tests.memory import MemoryTable

NOW = datetime(2026, 3, 15, 4, tzinfo=UTC)
MEMBER = "mem_aaaaaaaaaaaaaaaa"


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """An S3 with a bucket."""
    if not ministack_fits():
        install_ministack()
    port, folder = free_port(), tmp_path / "s3"
    env = ministack_environment(folder, port, "s3")
    command = [str(MINISTACK_VENV / "bin" / "python"), "-P", str(_SERVER)]
    process = start(command, env=env, log=folder / "s3.log", cwd=folder)
    try:
        wait_for_answer(process, port, seconds=20)
        made = f"http://127.0.0.1:{port}"
        boto3.client(
            "s3", region_name="us-east-1", endpoint_url=made, aws_access_key_id="t", aws_secret_access_key="t",
            config=Config(s3={"addressing_style": "path"}),
        ).create_bucket(Bucket="archive")  # fmt: skip
        yield made
    finally:
        stop(process)


def test_patches_bases_and_questions_work_on_a_bucket(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "t")
    objects = BucketObjects("archive", "us-east-1", endpoint)
    reached = Bucket("us-east-1", lambda: Credentials("t", "t"), endpoint.removeprefix("http://"), tls=False)
    place = Place("s3://archive", reached, scratch=str(tmp_path / "scratch"), memory_mb=256, threads=1)
    draws = itertools.count(1)
    lake = Lake(MemoryTable(), objects, place, lambda: next(draws))
    profile = {"member": {"id": MEMBER, "v": 1, "sealed": "AAEC"}}
    account = {"account": {"id": MEMBER, "v": 1, "status": "active", "joined_on": "2026-03-01"}}
    store.keep_batch(objects, [store.line_of(profile), store.line_of(account)], now=NOW)
    for made in (service.patch, service.rebase):
        assert made(lake, today=NOW.date(), now=NOW).moved
        head = store.find_head(lake.ops)
        assert service.counts(place, head, today=NOW.date(), now=NOW)["members"] == 1
    later = NOW + timedelta(hours=2)
    told = {"row_id": "d1", "member_id": MEMBER, "at": later, "outcome": "sent"}
    store.append(objects, "delivery", "one", [told], now=later)
    assert service.patch(lake, today=later.date(), now=later).moved
    with duck.opened(place, store.find_head(lake.ops), today=later.date(), now=later) as con:
        assert con.execute("SELECT member_id, outcome FROM deliveries JOIN members USING (m)").fetchall() == [
            (MEMBER, "sent")
        ]
        with pytest.raises(Exception, match=r"(?i)permission"):
            con.execute("SELECT * FROM read_csv('s3://other/secret.csv')")
    assert not [key for key in objects.list("lake/patch/", after=None, limit=99) if "T04" in key]
