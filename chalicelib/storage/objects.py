"""The port to files that are kept for years, and two places behind it: a folder and a bucket."""

import secrets
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy

_PAGE = 1000
"""S3 lists so many keys at a time."""

Keys = list[str]


class Objects(Protocol):
    """All that the product asks of a store of files: put, put once, get, list. A key is a path with `/`."""

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """Write a file, whole or not at all; one that is there under the key is replaced.

        Args:
            kind: its content type.
        """

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:
        """Write a file unless there is one under the key, whole or not at all; whether it was written."""

    def get(self, key: str) -> bytes | None:
        """A file's content, or None."""

    def list(self, prefix: str, *, after: str | None, limit: int) -> Keys:
        """Keys that start with a prefix, in order, from the one after `after` on."""


class Files(Objects, Protocol):
    """A store of files that need not be kept: what the lake has can be made anew."""

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files; those that are not there any more are passed over."""


class FolderObjects:
    """Files in a folder.

    Args:
        path: the folder; it is made on the first write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, key: str, content: bytes, *, kind: str) -> None:  # noqa: ARG002 - the port's shape
        """See `Objects.put`. The file gets its name when it is complete, so that nobody reads half of it."""
        with self._half(key, content) as (half, path):
            half.replace(path)

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:  # noqa: ARG002 - the port's shape
        """See `Objects.put_once`. The file can be read only; nothing hinders its owner from changing that."""
        with self._half(key, content) as (half, path):
            half.chmod(0o444)
            try:
                path.hardlink_to(half)
            except FileExistsError:
                return False
        return True

    @contextmanager
    def _half(self, key: str, content: bytes) -> Iterator[tuple[Path, Path]]:
        """A file that is complete and has no name of its own yet, and the path that it is for."""
        path = self._path_of(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
        try:
            half.write_bytes(content)
            yield half, path
        finally:
            half.unlink(missing_ok=True)

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        try:
            return self._path_of(key).read_bytes()
        except (FileNotFoundError, IsADirectoryError):
            return None

    def list(self, prefix: str, *, after: str | None, limit: int) -> Keys:
        """See `Objects.list`."""
        keys = sorted(key for key in self._keys(prefix.rpartition("/")[0]) if key.startswith(prefix))
        start = bisect_right(keys, after) if after is not None else 0
        return keys[start : start + limit]

    def delete(self, keys: Sequence[str]) -> None:
        """See `Files.delete`. Folders that are empty then stay."""
        for key in keys:
            self._path_of(key).unlink(missing_ok=True)

    def _keys(self, folder: str) -> Iterator[str]:
        for path in (self._path / folder).rglob("*"):
            if not path.name.startswith(".") and path.is_file():
                yield path.relative_to(self._path).as_posix()

    def _path_of(self, key: str) -> Path:
        """Where a key's file is.

        Raises:
            ValueError: the key leads out of the folder, or to a name that is not listed.
        """
        if str(PurePosixPath(key)) != key or key.startswith("/") or any(p.startswith(".") for p in key.split("/")):
            raise ValueError(f"{key!r} cannot be a key")
        return self._path / key


class BucketObjects:
    """Files in a bucket of S3. boto3 is loaded on first use: only those who archive pay for it.

    Args:
        bucket: its name.
        region: AWS region.
        endpoint: where S3 answers; the region's own when None.
        client: makes the client; for tests.
    """

    def __init__(
        self, bucket: str, region: str, endpoint: str | None, *, client: Callable[[], Any] | None = None
    ) -> None:
        self._bucket = bucket
        self._region = region
        self._endpoint = endpoint
        self._make = client or self._boto3
        self._made: Any = None

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`.

        Raises:
            StorageBusy: S3 is throttling, failing or out of reach.
        """
        self._call("put_object", Key=key, Body=content, ContentType=kind)

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:
        """See `Objects.put_once`. How long it is kept from being replaced or deleted is the bucket's own rule.

        Raises:
            StorageBusy: S3 is throttling, failing or out of reach, or the same file is being written.
        """
        return self._call("put_object", Key=key, Body=content, ContentType=kind, IfNoneMatch="*") is not None

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        answer = self._call("get_object", Key=key)
        if answer is None:
            return None
        content: bytes = answer["Body"].read()
        return content

    def list(self, prefix: str, *, after: str | None, limit: int) -> Keys:
        """See `Objects.list`."""
        keys: Keys = []
        while len(keys) < limit:
            last = keys[-1] if keys else after
            more = {"StartAfter": last} if last else {}
            answer = self._call("list_objects_v2", Prefix=prefix, MaxKeys=min(limit - len(keys), _PAGE), **more)
            keys += (each["Key"] for each in answer.get("Contents") or ())
            if not answer.get("IsTruncated"):
                break
        return keys

    def delete(self, keys: Sequence[str]) -> None:
        """See `Files.delete`.

        Raises:
            StorageBusy: S3 is throttling, failing or out of reach, or some are still there.
        """
        for start in range(0, len(keys), _PAGE):
            some = [{"Key": key} for key in keys[start : start + _PAGE]]
            answer = self._call("delete_objects", Delete={"Objects": some, "Quiet": True})
            if answer and answer.get("Errors"):
                raise StorageBusy("The bucket did not remove some files. Try again later.")

    def _call(self, operation: str, **request: Any) -> Any:
        """What S3 answers; None where there is no such key, or one where there must be none."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as boto3

        if self._made is None:
            self._made = self._make()
        try:
            return getattr(self._made, operation)(Bucket=self._bucket, **request)
        except ClientError as fault:
            code = fault.response["Error"]["Code"]
            if code in ("NoSuchKey", "PreconditionFailed"):
                return None
            status = fault.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if status >= 500 or status == 429 or code == "ConditionalRequestConflict":
                raise StorageBusy("The bucket is busy. Try again later.") from fault
            raise
        except BotoCoreError as fault:
            raise StorageBusy("The bucket is out of reach. Try again later.") from fault

    def _boto3(self) -> Any:
        import boto3  # noqa: PLC0415 - slow to import, and few come here
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            retries={"mode": "standard", "max_attempts": 4},
            connect_timeout=2,
            read_timeout=10,
            s3={"addressing_style": "path"} if self._endpoint else {},
        )
        return boto3.client("s3", region_name=self._region, endpoint_url=self._endpoint, config=config)
