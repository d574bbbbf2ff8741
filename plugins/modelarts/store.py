"""An object store below one address: list, download, upload, delete. It uses s3fs (S3 and OBS) or MoXing.

Credentials and endpoint come from the environment. A recipe must not contain them, because it is printed and stored:

    endpoint     OBS_ENDPOINT, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, S3_ENDPOINT (the first one that is set)
    credentials  OBS_ACCESS_KEY_ID, OBS_SECRET_ACCESS_KEY, OBS_SECURITY_TOKEN; otherwise those of the AWS tools

The images of ModelArts contain MoXing and its credentials. MoXing is used if it is installed and no endpoint is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import ipaddress
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from srtrain.errors import SrtrainError, UserError, masked, without_credentials

ENDPOINTS = ("OBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT")


class StoreError(SrtrainError):
    """The store could not be reached, or it failed. Another attempt may succeed."""


class StoreRefusalError(UserError):
    """The store refused: wrong bucket, wrong credentials, or no permission. Another attempt does not help."""


class Store(Protocol):
    """The files of a store below ``url``. Names are relative to it, with ``/`` between folders.

    All methods raise StoreError or StoreRefusalError for problems of the store. A full local disk raises OSError.
    """

    url: str

    def files(self) -> dict[str, int]:
        """Return the size of every file in bytes; empty if there are no files."""

    def download(self, name: str, file: Path) -> None:
        """Download a file of the store to a local file."""

    def upload(self, file: Path, name: str) -> None:
        """Upload a local file to the store."""

    def write(self, name: str, text: str) -> None:
        """Write a text file to the store."""

    def delete(self, name: str) -> None:
        """Delete an existing file."""


def open_store(url: str, key: str) -> Store:
    """Return the store below ``url``; errors name the recipe key ``key``.

    Raises:
        UserError: the address is malformed, or a library or a setting is missing.
    """
    scheme, _, rest = url.partition("://")
    bucket = rest.partition("/")[0]
    if without_credentials(url) != url:
        raise UserError(
            f"{key} = {masked(url)!r} contains credentials. Leave them out and set OBS_ACCESS_KEY_ID and "
            f"OBS_SECRET_ACCESS_KEY, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the environment."
        )
    if scheme not in ("s3", "obs") or not bucket:
        raise UserError(
            f"{key} = {url!r} is not an address in an object store; write s3://BUCKET/PATH or obs://BUCKET/PATH."
        )
    if importlib.util.find_spec("moxing") and not endpoint_of(scheme):
        return MoxingStore(url, key)
    if importlib.util.find_spec("s3fs") is None:
        raise UserError(
            f"{key} = {url!r} needs the package s3fs, which is not installed: pip install 'srtrain[modelarts]'."
        )
    if scheme == "obs" and not endpoint_of(scheme):
        raise UserError(
            f"{key} = {url!r} needs the address of the OBS server: set OBS_ENDPOINT, such as "
            f"https://obs.cn-north-4.myhuaweicloud.com."
        )
    return S3Store(url, key)


def endpoint_of(scheme: str) -> str:
    """Return the address of the server from the environment. If empty, ``s3`` uses Amazon, and ``obs`` has no server.

    ModelArts always sets S3_ENDPOINT to the address of OBS. If MoXing is installed, that variable is ignored.
    """
    names = ENDPOINTS if importlib.util.find_spec("moxing") is None else ENDPOINTS[:-1]
    found = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return found if not found or "://" in found else f"https://{found}"


class S3Store:
    """A store with the S3 protocol, accessed with s3fs."""

    def __init__(self, url: str, key: str) -> None:
        import s3fs

        scheme, _, rest = url.partition("://")
        self.url = url.rstrip("/")
        self.key = key
        self.bucket = rest.partition("/")[0]
        self.endpoint = endpoint_of(scheme)
        self._root = rest.rstrip("/")
        # Do not reuse connections or listings of an earlier run in this process: they may be out of date.
        self._files = s3fs.S3FileSystem(
            skip_instance_cache=True, use_listings_cache=False, **s3_options(scheme, self.endpoint)
        )

    def files(self) -> dict[str, int]:
        """Return the size of every file in bytes."""
        with self._explained("list", self.url):
            found = self._files.find(self._root, detail=True)
        below = {name[len(self._root) + 1 :]: int(about["size"]) for name, about in found.items()}
        return {name: size for name, size in below.items() if name and not name.endswith("/")}

    def download(self, name: str, file: Path) -> None:
        """Download a file of the store to a local file."""
        with self._explained("download", f"{self.url}/{name}"):
            self._files.get_file(f"{self._root}/{name}", str(file))

    def upload(self, file: Path, name: str) -> None:
        """Upload a local file to the store."""
        with self._explained("upload", f"{self.url}/{name}"):
            self._files.put_file(str(file), f"{self._root}/{name}")

    def write(self, name: str, text: str) -> None:
        """Write a text file to the store."""
        with self._explained("upload", f"{self.url}/{name}"):
            self._files.pipe_file(f"{self._root}/{name}", text.encode())

    def delete(self, name: str) -> None:
        """Delete an existing file."""
        with self._explained("delete", f"{self.url}/{name}"):
            self._files.rm_file(f"{self._root}/{name}")

    @contextlib.contextmanager
    def _explained(self, what: str, where: str) -> Iterator[None]:
        """Turn exceptions of s3fs, botocore and aiohttp into StoreError or StoreRefusalError."""
        from aiohttp import ClientError as ConnectionFailure
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError

        server = self.endpoint or "Amazon S3"
        try:
            yield
        except (PermissionError, NoCredentialsError) as error:
            raise StoreRefusalError(
                f"{self.key}: {server} does not allow to {what} {where}: {str(error).rstrip('.')}. Check the "
                f"credentials in the environment: OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY, or "
                f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        except (OSError, BotoCoreError, ConnectionFailure, asyncio.TimeoutError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise  # the local disk is full
            answer = error.__cause__.response if isinstance(error.__cause__, ClientError) else {}
            code = answer.get("Error", {}).get("Code")
            if code in ("NoSuchBucket", "InvalidBucketName") or isinstance(error, ParamValidationError):
                raise StoreRefusalError(
                    f"{self.key}: there is no bucket {self.bucket!r} at {server}. Check its name, and the endpoint "
                    f"({', '.join(ENDPOINTS)})."
                ) from error
            raise StoreError(
                f"cannot {what} {where} at {server}: {str(error) or type(error).__name__}"
            ) from error


def s3_options(scheme: str, endpoint: str) -> dict[str, Any]:
    """Return the arguments of ``s3fs.S3FileSystem`` for an endpoint."""
    environment = os.environ.get
    options: dict[str, Any] = {}
    if environment("OBS_ACCESS_KEY_ID"):
        options["key"] = environment("OBS_ACCESS_KEY_ID")
        options["secret"] = environment("OBS_SECRET_ACCESS_KEY")
        options["token"] = environment("OBS_SECURITY_TOKEN")
    if endpoint:
        host = urlsplit(endpoint).hostname or ""
        options["client_kwargs"] = {"endpoint_url": endpoint}
        # Other servers do not understand how newer clients of Amazon send check sums.
        options["config_kwargs"] = {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
        if (scheme == "obs" or host.startswith("obs.")) and not _is_local(host):
            # OBS requires the bucket in the host name, and checks the region in signatures.
            options["config_kwargs"]["s3"] = {"addressing_style": "virtual"}
            if host.startswith("obs."):
                options["client_kwargs"]["region_name"] = host.split(".")[1]
    return options


def _is_local(host: str) -> bool:
    """Return whether a host is an IP address or localhost, which cannot have a bucket before the name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


class MoxingStore:
    """A store accessed with MoXing, the library in the images of ModelArts, which has its own credentials."""

    def __init__(self, url: str, key: str) -> None:
        import moxing

        self.url = url.rstrip("/")
        self.key = key
        self._mox = moxing.file

    def files(self) -> dict[str, int]:
        """Return the size of every file in bytes."""
        if not self._do("list", self.url, self._mox.exists, self.url):
            return {}
        names = self._do("list", self.url, self._mox.list_directory, self.url, recursive=True, skip_dir=True)
        return {
            name: int(self._do("list", name, self._mox.stat, f"{self.url}/{name}").length)
            for name in names
            if not name.endswith("/")
        }

    def download(self, name: str, file: Path) -> None:
        """Download a file of the store to a local file."""
        self._do("download", name, self._mox.copy, f"{self.url}/{name}", str(file))

    def upload(self, file: Path, name: str) -> None:
        """Upload a local file to the store."""
        self._do("upload", name, self._mox.copy, str(file), f"{self.url}/{name}")

    def write(self, name: str, text: str) -> None:
        """Write a text file to the store."""
        self._do("upload", name, self._mox.write, f"{self.url}/{name}", text)

    def delete(self, name: str) -> None:
        """Delete an existing file."""
        self._do("delete", name, self._mox.remove, f"{self.url}/{name}")

    def _do(self, what: str, where: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # MoXing documents no common base class of its exceptions
            raise StoreError(
                f"{self.key}: MoXing cannot {what} {where}: {type(error).__name__}: {error}"
            ) from error
