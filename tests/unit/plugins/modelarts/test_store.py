"""A store lists, downloads, uploads and deletes; every failure is one of two errors."""

import sys
import types
import urllib.request
from pathlib import Path

import pytest
from srtrain_plugins.modelarts.store import (
    MoxingStore,
    StoreError,
    StoreRefusalError,
    endpoint_of,
    open_store,
    s3_options,
)

from srtrain.errors import UserError

KEY = "hooks.modelarts.data_url"


@pytest.fixture
def no_endpoint(monkeypatch):
    for name in ("OBS_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def local_auth(s3):
    """Make the server check credentials; the keys in the environment are wrong."""
    host, port = s3.behind

    def check_from(n_free: str):
        url = f"http://{host}:{port}/moto-api/reset-auth"
        text = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(url, n_free.encode(), text)).read()

    check_from("0")
    yield
    check_from("inf")


def test_files_go_there_and_come_back(s3, tmp_path):
    store = open_store("s3://bucket/some/path/", KEY)
    (tmp_path / "one").write_bytes(b"1" * 1000)
    assert store.files() == {}
    store.upload(tmp_path / "one", "deep/one.bin")
    store.write("pointer", "é\n")
    s3.client.put_object(Bucket="bucket", Key="some/path/deep/", Body=b"")  # as browsers make folders
    s3.client.put_object(Bucket="bucket", Key="some/path_of_another", Body=b"x")
    assert store.files() == {"deep/one.bin": 1000, "pointer": 3}
    store.download("deep/one.bin", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"1" * 1000
    store.delete("deep/one.bin")
    assert store.files() == {"pointer": 3}


def test_obs_is_the_same_server_under_another_name(s3, monkeypatch):
    monkeypatch.setenv("OBS_ENDPOINT", s3.url)
    open_store("obs://bucket/x", KEY).write("a", "text")
    assert s3.client.get_object(Bucket="bucket", Key="x/a")["Body"].read() == b"text"


def test_a_wrong_bucket_is_refused_by_every_act(s3, tmp_path):
    store = open_store("s3://buckets/x", KEY)
    (tmp_path / "bucket.txt").write_text("x")
    says = f"^{KEY}: there is no bucket 'buckets' at {s3.url}. Check its name, and the endpoint \\(OBS_ENDPOINT, "
    for act in (
        store.files,
        lambda: store.upload(tmp_path / "bucket.txt", "a"),
        lambda: store.write("a", ""),
    ):
        with pytest.raises(StoreRefusalError, match=says):
            act()


def test_a_bucket_that_nobody_can_have_is_refused(s3):
    with pytest.raises(StoreRefusalError, match="there is no bucket 'My Bucket!' at "):
        open_store("s3://My Bucket!/x", KEY).files()


@pytest.mark.usefixtures("local_auth")
def test_wrong_credentials_are_refused(s3):
    with pytest.raises(StoreRefusalError) as caught:
        open_store("s3://bucket/x", KEY).files()
    assert str(caught.value) == (
        f"{KEY}: {s3.url} does not allow to list s3://bucket/x: The AWS Access Key Id you provided does not exist in "
        f"our records. Check the credentials in the environment: OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY, or "
        f"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
    )
    assert caught.value.exit_code == 2


def test_no_credentials_are_refused(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StoreRefusalError, match=r"Unable to locate credentials\. Check the credentials"):
        open_store("s3://bucket/x", KEY).files()


def test_what_may_pass_is_another_error(s3, tmp_path):
    store = open_store("s3://bucket/x", KEY)
    with pytest.raises(StoreError, match="cannot download s3://bucket/x/gone at "):
        store.download("gone", tmp_path / "gone")
    s3.fail, s3.method = 1, "GET"
    with pytest.raises(StoreError, match=f"cannot list s3://bucket/x at {s3.url}: "):
        store.files()


def test_a_server_that_is_not_there(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match='Could not connect to the endpoint URL: "http://127'):
        open_store("s3://bucket/x", KEY).files()


@pytest.mark.parametrize("url", ["bucket/path", "/cache/data", "gs://bucket/x", "s3://", "obs:///x"])
def test_an_address_that_is_none(url):
    with pytest.raises(
        UserError, match="is not an address in an object store; write s3://BUCKET/PATH or obs://"
    ):
        open_store(url, KEY)


@pytest.mark.usefixtures("no_endpoint")
def test_obs_needs_an_endpoint():
    with pytest.raises(
        UserError, match=f"^{KEY} = 'obs://b/x' needs the address of the OBS server: set OBS_ENDPOINT"
    ):
        open_store("obs://b/x", KEY)


def test_a_missing_library_says_what_to_install(s3, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        UserError, match="needs the package s3fs, which is not installed: pip install 'srtrain"
    ):
        open_store("s3://bucket/x", KEY)


@pytest.mark.usefixtures("no_endpoint")
def test_the_first_endpoint_that_is_set_is_taken(monkeypatch):
    assert endpoint_of("s3") == ""
    monkeypatch.setenv("S3_ENDPOINT", "obs.example.com")
    assert endpoint_of("obs") == "https://obs.example.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    assert endpoint_of("obs") == "http://minio:9000"
    monkeypatch.setenv("OBS_ENDPOINT", "https://obs.cn-north-4.myhuaweicloud.com")
    assert endpoint_of("s3") == "https://obs.cn-north-4.myhuaweicloud.com"


@pytest.mark.parametrize(
    ("scheme", "endpoint", "style", "region"),
    [
        ("obs", "https://obs.cn-north-4.myhuaweicloud.com", "virtual", "cn-north-4"),
        ("s3", "https://obs.eu-west-101.myhuaweicloud.eu", "virtual", "eu-west-101"),
        ("obs", "http://127.0.0.1:9000", None, None),
        ("obs", "http://localhost:9000", None, None),
        ("s3", "http://minio:9000", None, None),
    ],
)
def test_obs_has_the_bucket_in_the_name_of_the_host(scheme, endpoint, style, region):
    options = s3_options(scheme, endpoint)
    assert options["config_kwargs"].get("s3", {}).get("addressing_style") == style
    assert options["client_kwargs"].get("region_name") == region
    assert options["config_kwargs"]["request_checksum_calculation"] == "when_required"


def test_amazon_itself_is_left_to_botocore():
    assert s3_options("s3", "") == {}


def test_the_keys_of_obs_go_before_others(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SECURITY_TOKEN"):
        monkeypatch.setenv(f"OBS_{name}", name.lower())
    assert s3_options("obs", "") == {
        "key": "access_key_id",
        "secret": "secret_access_key",
        "token": "security_token",
    }


@pytest.fixture
def moxing(tmp_path, monkeypatch):
    """A stand-in for MoXing on a folder, with its documented signatures. MoXing itself is not available."""
    root = tmp_path / "moxing"
    module = types.ModuleType("moxing")
    module.__spec__ = types.SimpleNamespace(name="moxing")

    def place(url):
        return root / url.removeprefix("obs://") if url.startswith("obs://") else Path(url)

    def copy(src_url, dst_url):
        place(dst_url).parent.mkdir(parents=True, exist_ok=True)
        place(dst_url).write_bytes(place(src_url).read_bytes())

    def list_directory(url, recursive=False, remove_sep=True, skip_file=False, skip_dir=False):
        assert recursive
        assert skip_dir
        return [p.relative_to(place(url)).as_posix() for p in place(url).rglob("*") if p.is_file()]

    module.file = types.SimpleNamespace(
        exists=lambda url: place(url).exists(),
        list_directory=list_directory,
        stat=lambda url: types.SimpleNamespace(length=place(url).stat().st_size, is_directory=False),
        copy=copy,
        write=lambda url, data: place(url).write_text(data),
        remove=lambda url, recursive=False: place(url).unlink(),
    )
    monkeypatch.setitem(sys.modules, "moxing", module)
    return module


@pytest.mark.usefixtures("no_endpoint")
def test_moxing_is_taken_where_it_is_installed(moxing, tmp_path, monkeypatch):
    monkeypatch.setenv("S3_ENDPOINT", "https://obs.example.com")  # ModelArts sets it always
    store = open_store("obs://bucket/x/", KEY)
    assert isinstance(store, MoxingStore)
    assert store.files() == {}
    (tmp_path / "one").write_bytes(b"12345")
    store.upload(tmp_path / "one", "deep/one")
    store.write("pointer", "ab")
    assert store.files() == {"deep/one": 5, "pointer": 2}
    store.download("deep/one", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"12345"
    store.delete("pointer")
    assert store.files() == {"deep/one": 5}
    with pytest.raises(StoreError, match="MoXing cannot download gone: FileNotFoundError: "):
        store.download("gone", tmp_path / "gone")


def test_an_endpoint_of_ones_own_goes_before_moxing(moxing, s3):
    assert not isinstance(open_store("s3://bucket/x", KEY), MoxingStore)
