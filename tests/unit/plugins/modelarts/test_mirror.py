"""The copy in the store is complete at any time, becomes equal to the run folder, and can be restored."""

import json
import shutil
import threading

import pytest
from srtrain_plugins.modelarts import mirror as module
from srtrain_plugins.modelarts.mirror import RunMirror, Uploader
from srtrain_plugins.modelarts.store import StoreError, open_store

from srtrain.errors import RunFolderError
from srtrain.trainer.checkpoint import CheckpointStore

RECORDED = json.dumps(dict.fromkeys(("name", "scale", "model", "data", "train", "optim", "run_dir"), ""))


def checkpoint(folder, step, content="w"):
    """Write the files of CheckpointStore.save, but small."""
    path = folder / "checkpoints" / f"step_{step:08d}"
    path.mkdir(parents=True)
    for name in ("model.ckpt", "optimizer.ckpt"):
        (path / name).write_text(f"{content} {name} {step}")
    (path / "state.json").write_text(
        json.dumps({"step": step, "groups": {"model": 1, "optimizer": 2, "ema": 0}})
    )
    (folder / "checkpoints" / "latest").write_text(f"{path.name}\n")
    return path


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    (folder / "recipe.json").write_text(RECORDED)
    (folder / "files.txt").write_text("pictures/a.png\n")
    (folder / "run.log").write_text("begun\n")
    (folder / "pictures" / "a.png").write_text("png")
    (folder / ".lock").write_text("process 1")
    return folder


@pytest.fixture
def mirror(s3, run):
    made = RunMirror(
        run, open_store("s3://bucket/runs/run", "hooks.modelarts.checkpoint_url"), lambda text: None
    )
    made.look()
    s3.log.clear()
    return made


def contents(folder):
    files = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in files.items() if not name.startswith(".")}


def remote(s3):
    listed = s3.client.list_objects_v2(Bucket="bucket", Prefix="runs/run/").get("Contents", [])
    return {
        o["Key"].removeprefix("runs/run/"): s3.client.get_object(Bucket="bucket", Key=o["Key"])["Body"].read()
        for o in listed
    }


def acts(s3, *methods):
    return [path.removeprefix("/bucket/runs/run/") for method, path in s3.log if method in methods]


def test_the_copy_becomes_equal_and_only_changes_are_sent(s3, mirror, run):
    checkpoint(run, 2)
    mirror.upload()
    assert remote(s3) == contents(run)
    assert mirror.pending() == []
    s3.log.clear()
    with (run / "run.log").open("a") as file:
        file.write("more\n")
    assert mirror.pending() == ["run.log"]
    mirror.upload()
    assert acts(s3, "PUT", "DELETE") == ["run.log"]
    assert remote(s3) == contents(run)


def test_a_checkpoint_is_announced_when_all_of_it_is_there_and_old_ones_go_last(s3, mirror, run):
    old = checkpoint(run, 2)
    mirror.upload()
    s3.log.clear()
    checkpoint(run, 4)
    checkpoint(run, 6)
    shutil.rmtree(old)
    (run / "checkpoints" / "best").write_text("step_00000004\n")
    (run / "checkpoints" / "best.json").write_text('{"step": 4}')
    mirror.upload()
    assert acts(s3, "PUT", "DELETE") == [
        *(f"checkpoints/step_00000004/{name}" for name in ("model.ckpt", "optimizer.ckpt", "state.json")),
        *(f"checkpoints/step_00000006/{name}" for name in ("model.ckpt", "optimizer.ckpt", "state.json")),
        "checkpoints/latest",
        "checkpoints/best.json",
        "checkpoints/best",
        *(f"checkpoints/step_00000002/{name}" for name in ("state.json", "model.ckpt", "optimizer.ckpt")),
    ]
    assert remote(s3) == contents(run)


def test_a_run_that_goes_back_takes_the_copy_along(s3, mirror, run, tmp_path):
    checkpoint(run, 2)
    checkpoint(run, 4)
    mirror.upload()
    CheckpointStore(run / "checkpoints").forget_after(2)
    mirror.upload()
    there = RunMirror(tmp_path / "elsewhere", mirror.store, lambda text: None)
    assert there.restore() == "step_00000002"
    assert CheckpointStore(tmp_path / "elsewhere" / "checkpoints").latest().name == "step_00000002"
    assert not any("step_00000004" in name for name in remote(s3))


def test_a_record_that_is_removed_is_removed_there_if_it_came_from_here(s3, mirror, run):
    s3.client.put_object(Bucket="bucket", Key="runs/run/notes.txt", Body=b"somebody's")
    mirror.look()
    mirror.upload()
    (run / "pictures" / "a.png").unlink()
    mirror.upload()
    assert remote(s3) == {**contents(run), "notes.txt": b"somebody's"}


def test_a_step_that_is_written_again_is_not_whole_while_it_is_replaced(s3, mirror, run):
    path = checkpoint(run, 2)
    mirror.upload()
    shutil.rmtree(path)
    checkpoint(run, 2, content="other")
    s3.log.clear()
    mirror.upload()
    step = "checkpoints/step_00000002"
    assert [(m, p.rpartition("/")[2]) for m, p in s3.log if step in p] == [
        ("DELETE", "state.json"),
        ("PUT", "model.ckpt"),
        ("PUT", "optimizer.ckpt"),
        ("PUT", "state.json"),
    ]
    assert remote(s3) == contents(run)


def test_a_checkpoint_that_is_told_its_score_stays_whole_meanwhile(s3, mirror, run):
    path = checkpoint(run, 2)
    mirror.upload()
    s3.log.clear()
    state = json.loads((path / "state.json").read_text())
    (path / ".state.json.part").write_text("half")
    (path / "state.json").write_text(json.dumps({**state, "score": 30.5}))
    mirror.upload()
    assert acts(s3, "PUT", "DELETE") == ["checkpoints/step_00000002/state.json"]
    assert json.loads(remote(s3)["checkpoints/step_00000002/state.json"])["score"] == 30.5


def test_a_checkpoint_that_is_half_pruned_is_left_out(s3, mirror, run):
    checkpoint(run, 2)
    (checkpoint(run, 4) / "optimizer.ckpt").unlink()
    (run / "checkpoints" / ".step_00000006.part").mkdir()
    (run / "checkpoints" / ".step_00000006.part" / "model.ckpt").write_text("half")
    mirror.upload()
    assert not any("step_00000004" in name or "step_00000006" in name for name in remote(s3))
    assert "checkpoints/latest" not in remote(s3)  # it names 4, which is not there


def test_a_checkpoint_pruned_while_it_is_uploaded_is_passed_over(s3, mirror, run, monkeypatch):
    doomed = checkpoint(run, 2)
    checkpoint(run, 4)
    upload = mirror.store.upload

    def pruned_on_the_way(file, name):
        upload(file, name)
        if name.endswith("step_00000002/model.ckpt"):
            shutil.rmtree(doomed)

    monkeypatch.setattr(mirror.store, "upload", pruned_on_the_way)
    mirror.upload()
    assert remote(s3) == contents(run)


def test_a_store_that_fails_for_a_while_is_tried_again_and_the_order_is_kept(s3, mirror, run, quick):
    said = []
    mirror.say = said.append
    mirror.pause = quick.append
    checkpoint(run, 2)
    s3.fail = 3
    mirror.upload()
    assert remote(s3) == contents(run)
    assert quick == [1, 2, 4]
    assert len(said) == 3
    assert said[0].startswith("cannot upload s3://bucket/runs/run/checkpoints/step_00000002/model.ckpt at ")
    puts = acts(s3, "PUT")
    assert puts[:4] == ["checkpoints/step_00000002/model.ckpt"] * 4
    assert puts.index("checkpoints/latest") > puts.index("checkpoints/step_00000002/state.json")


def test_a_store_that_keeps_failing_loses_nothing(s3, mirror, run):
    mirror.pause = lambda seconds: None
    checkpoint(run, 2)
    s3.fail = 1000
    with pytest.raises(StoreError, match="cannot upload "):
        mirror.upload()
    assert remote(s3) == {}
    before = contents(run)
    assert sorted(mirror.pending()) == sorted(before)
    s3.fail = 0
    mirror.upload()
    assert remote(s3) == contents(run) == before


def test_a_run_comes_back_on_another_machine_and_nothing_is_sent_twice(s3, mirror, run, tmp_path):
    for step in (2, 10):
        checkpoint(run, step)
    (run / "checkpoints" / "best").write_text("step_00000002\n")
    (run / "checkpoints" / "best.json").write_text('{"step": 2}')
    mirror.upload()
    there = RunMirror(tmp_path / "elsewhere", mirror.store, lambda text: None)
    assert there.restore() == "step_00000010"
    assert contents(tmp_path / "elsewhere") == contents(run)
    assert CheckpointStore(tmp_path / "elsewhere" / "checkpoints").best().name == "step_00000002"
    s3.log.clear()
    there.upload()
    assert acts(s3, "PUT", "DELETE") == []


def test_an_older_run_on_the_disk_is_replaced_and_a_newer_one_is_kept(s3, mirror, run, tmp_path):
    checkpoint(run, 4)
    mirror.upload()
    older, newer = tmp_path / "older", tmp_path / "newer"
    for folder, step in ((older, 2), (newer, 6)):
        checkpoint(folder, step)
        (folder / "recipe.json").write_text("mine")
    assert RunMirror(older, mirror.store, lambda text: None).restore() == "step_00000004"
    assert (older / "recipe.json").read_text() == RECORDED
    assert CheckpointStore(older / "checkpoints").latest().name == "step_00000004"
    before = contents(newer)
    assert RunMirror(newer, mirror.store, lambda text: None).restore() == ""
    assert contents(newer) == before


def test_an_incomplete_checkpoint_in_the_store_is_not_restored(s3, mirror, run, tmp_path):
    checkpoint(run, 2)
    mirror.upload()
    s3.client.put_object(Bucket="bucket", Key="runs/run/checkpoints/step_00000004/model.ckpt", Body=b"half")
    there = RunMirror(tmp_path / "elsewhere", mirror.store, lambda text: None)
    assert there.restore() == "step_00000002"
    assert CheckpointStore(tmp_path / "elsewhere" / "checkpoints").steps() == [2]
    there.upload()  # and is cleared away
    assert remote(s3) == contents(tmp_path / "elsewhere")


def test_a_restore_that_breaks_off_leaves_the_older_run_whole(s3, mirror, run, tmp_path, quick):
    checkpoint(run, 4)
    mirror.upload()
    folder = tmp_path / "older"
    checkpoint(folder, 2)
    before = contents(folder)
    there = RunMirror(folder, mirror.store, lambda text: None)
    download = mirror.store.download

    def breaks_off(name, file):
        if name.endswith("state.json"):
            raise StoreError("cut")
        download(name, file)

    mirror.store.download = breaks_off
    with pytest.raises(StoreError, match="cut"):
        there.restore()
    kept = {n: c for n, c in contents(folder).items() if ".fetched" not in n}
    assert kept == before
    mirror.store.download = download
    assert there.restore() == "step_00000004"
    assert contents(folder).items() >= contents(run).items()


def test_clear_deletes_the_copy_and_nothing_beside_it(s3, mirror, run):
    s3.client.put_object(Bucket="bucket", Key="runs/run2/recipe.json", Body=b"{}")
    checkpoint(run, 2)
    mirror.upload()
    mirror.clear()
    assert remote(s3) == {}
    assert s3.client.get_object(Bucket="bucket", Key="runs/run2/recipe.json")["Body"].read() == b"{}"
    mirror.upload()
    assert remote(s3) == contents(run)


@pytest.mark.parametrize("name", [".ssh/id", "thesis.pdf", "pictures/holiday.jpg", "checkpoints/mine.ckpt"])
def test_clear_refuses_a_place_with_files_of_someone_else(s3, mirror, run, name):
    checkpoint(run, 2)
    mirror.upload()
    s3.client.put_object(Bucket="bucket", Key=f"runs/run/{name}", Body=b"mine")
    before = remote(s3)
    with pytest.raises(RunFolderError, match=rf"what no run wrote \({name}\)\. Move it away"):
        mirror.clear()
    assert remote(s3) == before


@pytest.mark.parametrize("record", ["{}", None])
def test_clear_refuses_a_place_without_a_run(s3, mirror, run, record):
    s3.client.put_object(Bucket="bucket", Key="runs/run/run.log", Body=b"of another program")
    if record is not None:
        s3.client.put_object(Bucket="bucket", Key="runs/run/recipe.json", Body=record.encode())
    before = remote(s3)
    with pytest.raises(RunFolderError, match=r"no recipe\.json of a run"):
        mirror.clear()
    assert remote(s3) == before


def check_pointers(s3):
    """Check that each pointer in the store names a checkpoint all of whose files are there."""
    files = remote(s3)
    for pointer in ("latest", "best"):
        if name := files.get(f"checkpoints/{pointer}"):
            step = f"checkpoints/{name.decode().strip()}"
            assert {f"{step}/{n}" for n in ("model.ckpt", "optimizer.ckpt", "state.json")} <= set(files)


def test_no_reader_ever_sees_a_pointer_to_missing_files(s3, mirror, run, monkeypatch):
    def watched(mirror):
        for name in ("upload", "write", "delete"):
            method = getattr(mirror.store, name)

            def checked(*args, method=method):
                method(*args)
                check_pointers(s3)

            monkeypatch.setattr(mirror.store, name, checked)
        return mirror

    def best(step):
        (run / "checkpoints" / "best").write_text(f"step_{step:08d}\n")
        (run / "checkpoints" / "best.json").write_text(json.dumps({"step": step}))

    store = CheckpointStore(run / "checkpoints")
    watched(mirror)
    for step in (2, 4, 6):
        checkpoint(run, step)
        best(step)
        mirror.upload()
    shutil.rmtree(store.path(2))
    store.forget_after(4)  # goes back, best too
    mirror.upload()
    shutil.rmtree(store.path(4))
    checkpoint(run, 4, content="other")  # a step that is written again while latest names it
    best(4)
    mirror.upload()
    later = watched(RunMirror(run, mirror.store, lambda text: None))  # a new process, which fetched nothing
    later.look()
    shutil.rmtree(store.path(4))
    checkpoint(run, 4, content="third")
    checkpoint(run, 8)
    (run / "checkpoints" / "best").unlink()
    (run / "checkpoints" / "best.json").unlink()
    later.upload()
    assert remote(s3) == contents(run)
    last = watched(RunMirror(run, mirror.store, lambda text: None))
    last.look()
    last.clear()
    assert remote(s3) == {}


def test_the_uploader_works_behind_and_finish_brings_the_rest(s3, mirror, run):
    uploader = Uploader(mirror)
    uploader.start()
    checkpoint(run, 2)
    uploader.wake()
    for _ in range(500):
        if "checkpoints/latest" in acts(s3, "PUT"):
            break
        threading.Event().wait(0.02)
    assert "checkpoints/latest" in remote(s3)
    checkpoint(run, 4)
    (run / "run.log").write_text("the end")
    uploader.finish()
    assert remote(s3) == contents(run)


def test_a_wait_of_the_uploader_does_not_hold_up_the_end(s3, mirror, run):
    said = []
    mirror.say = said.append
    s3.fail = 1
    uploader = Uploader(mirror)
    tried = threading.Event()
    mirror.pause = lambda seconds: (tried.set(), uploader._closing.wait(3600))
    uploader.start()
    assert tried.wait(60)
    uploader.finish()  # returns, though an hour was to be waited
    assert remote(s3) == contents(run)


def test_a_pass_that_failed_is_reported_and_repeated_without_being_told(s3, mirror, run, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_AFTER_SECONDS", 0.01)
    monkeypatch.setattr("srtrain_plugins.modelarts.transfer.N_TRIES", 1)
    said = []
    mirror.say = said.append
    s3.fail = 2
    uploader = Uploader(mirror)
    uploader.start()
    for _ in range(500):
        if len(remote(s3)) == 4:
            break
        threading.Event().wait(0.02)
    assert remote(s3) == contents(run)
    assert len(said) == 2
    assert said[0].startswith("warning: cannot upload s3://bucket/runs/run/recipe.json at ")
    assert f"The files stay in {run}; the upload is repeated with the next checkpoint" in said[0]
    uploader.finish()


def test_a_fault_in_the_thread_is_raised_at_the_end(mirror, run, monkeypatch):
    monkeypatch.setattr(mirror, "upload", lambda: 1 / 0)
    uploader = Uploader(mirror)
    uploader.start()
    with pytest.raises(ZeroDivisionError):
        uploader.finish()
