"""Files in a folder and in a bucket behave alike."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.objects import BucketObjects, FolderObjects, Objects


@pytest.fixture(params=["folder", "bucket"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """A place for files."""
    if request.param == "folder":
        yield FolderObjects(tmp_path / "archive")
        return
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="archive")
        yield BucketObjects("archive", "us-east-1", None)


def test_what_was_put_is_got_and_what_is_put_again_replaces_it(objects: Objects) -> None:
    assert objects.get("events/2026/a.jsonl") is None
    objects.put("events/2026/a.jsonl", b"one\n", kind="application/x-ndjson")
    objects.put("events/2026/a.jsonl", b"two\n", kind="application/x-ndjson")
    assert objects.get("events/2026/a.jsonl") == b"two\n"
    assert objects.get("events/2026") is None


def test_what_is_put_once_is_not_replaced(objects: Objects) -> None:
    assert objects.put_once("roots/a.json", b"one", kind="application/json")
    assert not objects.put_once("roots/a.json", b"two", kind="application/json")
    assert objects.get("roots/a.json") == b"one"
    assert objects.list("roots/", after=None, limit=9) == ["roots/a.json"]


def test_keys_are_listed_in_order_by_prefix_and_from_a_position_on(objects: Objects) -> None:
    keys = ["events/2026/01/a", "events/2026/01/b", "events/2026/01-x", "events/2026/10/a", "outbox/a"]
    for key in reversed(keys):
        objects.put(key, b"", kind="text/plain")

    assert objects.list("", after=None, limit=100) == sorted(keys)
    assert objects.list("events/2026/01", after=None, limit=100) == [keys[2], *keys[:2]]
    assert objects.list("events/2026/01/", after=None, limit=100) == keys[:2]
    assert objects.list("events/", after="events/2026/01/a", limit=2) == [keys[1], keys[3]]
    assert objects.list("events/", after=keys[3], limit=2) == []
    assert objects.list("nothing/", after=None, limit=2) == []
    assert objects.list("events/", after=None, limit=1) == [keys[2]]


@pytest.mark.parametrize("key", ["../a", "/etc/a", "a/../b", "a//b", "a/.hidden", "./a", "", "a/", "a\0b"])
def test_a_key_never_leads_out_of_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match=r"key|null"):
        FolderObjects(tmp_path / "archive").put(key, b"", kind="text/plain")
    assert list(tmp_path.rglob("*")) in ([], [tmp_path / "archive"])


def test_a_write_that_is_cut_off_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = FolderObjects(tmp_path)
    objects.put("a", b"whole", kind="text/plain")

    def cut_off(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", cut_off)
    with pytest.raises(OSError, match="no space"):
        objects.put("a", b"other", kind="text/plain")
    assert objects.get("a") == b"whole"
    assert objects.list("", after=None, limit=10) == ["a"]


def test_a_bucket_is_listed_to_the_end_where_it_answers_in_parts() -> None:
    class Client:
        def list_objects_v2(self, *, StartAfter: str = "", MaxKeys: int, **_: Any) -> dict[str, Any]:
            left = [f"k{n:04d}" for n in range(2_500) if f"k{n:04d}" > StartAfter]
            part = left[: min(MaxKeys, 300)]
            return {"Contents": [{"Key": key} for key in part], "IsTruncated": len(part) < len(left)}

    bucket = BucketObjects("b", "us-east-1", None, client=Client)
    assert bucket.list("", after=None, limit=5_000) == [f"k{n:04d}" for n in range(2_500)]
    assert bucket.list("", after="k0009", limit=301) == [f"k{n:04d}" for n in range(10, 311)]


def _refused(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


@pytest.mark.parametrize(
    ("raised", "seen"),
    [
        (_refused("SlowDown", 503), StorageBusy),
        (_refused("InternalError", 500), StorageBusy),
        (EndpointConnectionError(endpoint_url="https://s3"), StorageBusy),
        (_refused("AccessDenied", 403), ClientError),
    ],
    ids=str,
)
def test_a_bucket_that_is_busy_is_trouble_and_one_that_refuses_is_a_bug(
    raised: Exception, seen: type[Exception]
) -> None:
    class Client:
        def put_object(self, **_: Any) -> None:
            raise raised

    with pytest.raises(seen):
        BucketObjects("b", "us-east-1", None, client=Client).put("a", b"", kind="text/plain")
