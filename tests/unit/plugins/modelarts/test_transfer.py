"""Files are downloaded completely or not at all, once per machine; temporary failures of the store are retried."""

import re
import shutil
import threading

import pytest
from srtrain_plugins.modelarts import transfer
from srtrain_plugins.modelarts.store import StoreError, StoreRefusalError, open_store
from srtrain_plugins.modelarts.transfer import N_TRIES, fetch, one_at_a_time, persist

from srtrain.errors import DataError, MachineError


@pytest.fixture
def store(s3):
    opened = open_store("s3://bucket/data", "hooks.modelarts.data_url")
    opened.write("a.txt", "aaaa")
    opened.write("deep/b.txt", "bb")
    s3.log.clear()
    return opened


def downloads(s3):
    return sorted(path for method, path in s3.log if method == "GET" and path != "/bucket")


def test_what_is_missing_or_of_another_size_is_fetched(s3, store, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.txt").write_text("BB")
    (tmp_path / "a.txt").write_text("cut")
    said = []
    assert fetch(store, store.files(), tmp_path.joinpath, said.append) == 1
    assert downloads(s3) == ["/bucket/data/a.txt"]
    assert (tmp_path / "a.txt").read_text() == "aaaa"
    assert (tmp_path / "deep" / "b.txt").read_text() == "BB"  # of the right size, so left alone,
    assert fetch(store, store.files(), tmp_path.joinpath, said.append, always=True) == 2
    assert (tmp_path / "deep" / "b.txt").read_text() == "bb"  # unless all is asked for
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.txt", "b.txt", "deep"]
    assert said == []


def test_a_failed_download_is_tried_again(s3, store, tmp_path, quick):
    s3.fail, s3.method = 0, "GET"
    sizes = store.files()
    s3.fail = 3
    said = []
    assert fetch(store, {"a.txt": sizes["a.txt"]}, tmp_path.joinpath, said.append) == 1
    assert (tmp_path / "a.txt").read_text() == "aaaa"
    assert quick[:3] == [1, 2, 4]
    assert len(said) == 3
    assert "cannot download s3://bucket/data/a.txt at " in said[0]
    assert said[0].endswith(f"; trying again in 1 s (attempt 1 of {N_TRIES} failed)")


def test_a_file_that_stays_short_leaves_nothing_under_its_name(store, tmp_path, quick):
    with pytest.raises(StoreError, match=r"data/a\.txt arrived with 4 bytes instead of 5$"):
        fetch(store, {"a.txt": 5}, tmp_path.joinpath, lambda text: None)
    assert list(tmp_path.iterdir()) == []
    assert quick == [1, 2, 4, 8, 16]


def test_persist_gives_up_after_its_tries_and_at_once_when_refused(quick):
    tried = []

    def fails(kind):
        tried.append(kind)
        raise kind("no")

    with pytest.raises(StoreError, match=r"^no$"):
        persist(lambda: fails(StoreError), lambda text: None)
    assert len(tried) == N_TRIES
    with pytest.raises(StoreRefusalError):
        persist(lambda: fails(StoreRefusalError), lambda text: None)
    assert len(tried) == N_TRIES + 1


def test_waits_do_not_grow_for_ever(quick, monkeypatch):
    monkeypatch.setattr(transfer, "N_TRIES", 10)

    def fails():
        raise StoreError("no")

    with pytest.raises(StoreError):
        persist(fails, lambda text: None)
    assert quick == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_name_that_leads_out_is_refused(store, tmp_path, name):
    with pytest.raises(DataError, match="a name that points out of the target folder"):
        fetch(store, {name: 1}, tmp_path.joinpath, lambda text: None)


def test_a_disk_that_is_too_small_is_noticed_before(s3, store, tmp_path):
    much = shutil.disk_usage(tmp_path).total + 1
    with pytest.raises(
        MachineError, match=r"do not fit: [\d,]+ bytes are needed and .* Nothing was downloaded"
    ):
        fetch(store, {"a.txt": much}, (tmp_path / "new" / "folder").joinpath, lambda text: None)
    assert downloads(s3) == []


def test_a_folder_that_cannot_be_written_is_no_failure_of_the_store(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write "):
        fetch(store, {"a.txt": 4}, (tmp_path / "file").joinpath, lambda text: None)


def test_an_output_path_that_cannot_be_written_says_which_option_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            DataError, match=r"cannot write .*file/\.lock': .*\. Set hooks\.modelarts\.output_path to a "
        ),
        one_at_a_time(tmp_path / "file" / ".lock", lambda text: None),
    ):
        pass


def test_the_processes_of_a_machine_fetch_once(s3, store, tmp_path):
    fetched, said = [], []
    sizes = store.files()
    s3.log.clear()

    def process():
        with one_at_a_time(tmp_path / "locks" / ".lock", said.append):
            fetched.append(fetch(store, sizes, (tmp_path / "data").joinpath, said.append))

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched) == [0, 0, 0, 2]
    assert len(downloads(s3)) == 2
    assert {re.sub(r"^process \d+ on \S+", "process N", text) for text in said} <= {
        "process N is fetching the files of this run; waiting for it",
        "another process is fetching the files of this run; waiting for it",  # it has not written its name yet
    }
