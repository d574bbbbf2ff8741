"""A checkpoint is complete or not there, and no failure damages an older one."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import CheckpointError, SrtrainError
from srtrain.trainer.checkpoint import CheckpointStore, assign, find_checkpoint, find_weights, read_tensors


def tensors(value=1.0, n=4):
    return {
        "model": {"w": ms.Tensor(np.full(n, value, np.float32)), "b.1": ms.Tensor(np.int32(7))},
        "optimizer": {"m": ms.Tensor(np.arange(3, dtype=np.float32))},
    }


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", {"model": "edsr", "scale": 2})


def value_of(checkpoint):
    return float(checkpoint.tensors["model"]["w"].asnumpy()[0])


def hidden(store):
    return [p.name for p in store.folder.iterdir() if p.name.startswith(".")]


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# Saving and loading


def test_what_is_saved_is_loaded(store):
    path = store.save(12, tensors(), {"hooks": {"ema": {"n": 1}}})
    assert path == store.folder / "step_00000012"
    assert sorted(p.name for p in path.iterdir()) == ["model.ckpt", "optimizer.ckpt", "state.json"]
    loaded = store.load(path)
    assert loaded.step == 12
    assert loaded.path == path
    assert loaded.state["hooks"] == {"ema": {"n": 1}}
    assert (loaded.state["model"], loaded.state["scale"]) == ("edsr", 2)
    for group, items in tensors().items():
        assert set(loaded.tensors[group]) == set(items)
        for name, tensor in items.items():
            read = loaded.tensors[group][name]
            assert read.dtype == tensor.dtype
            np.testing.assert_array_equal(read.asnumpy(), tensor.asnumpy())


def test_every_bit_of_a_float_survives(store):
    values = np.frombuffer(np.random.default_rng(0).bytes(4000), np.float32)
    values = np.where(np.isfinite(values), values, 0).astype(np.float32)
    path = store.save(1, {"model": {"w": ms.Tensor(values)}}, {})
    assert store.load(path).tensors["model"]["w"].asnumpy().tobytes() == values.tobytes()


def test_a_group_without_tensors_is_loaded_empty(store):
    assert store.load(store.save(1, {"model": {}}, {})).tensors == {"model": {}}


def test_the_files_can_be_moved_and_deleted(store):
    path = store.save(1, tensors(), {})
    assert {file.stat().st_mode & 0o777 for file in path.glob("*.ckpt")} == {0o644}


def test_latest_is_a_pointer_to_the_newest(store):
    assert store.latest() is None
    assert store.steps() == []
    store.save(5, tensors(), {})
    store.save(10, tensors(), {})
    assert (store.folder / "latest").read_text() == "step_00000010\n"
    assert store.latest() == store.path(10)
    assert store.steps() == [5, 10]
    assert hidden(store) == []


def test_steps_beyond_eight_digits_are_still_in_order(store):
    for step in (99_999_999, 123_456_789):
        store.save(step, {"model": {}}, {})
    assert store.steps() == [99_999_999, 123_456_789]


def test_without_a_pointer_the_newest_complete_folder_is_latest(store):
    store.save(5, tensors(), {})
    store.save(10, tensors(), {})
    (store.folder / "latest").unlink()
    assert store.latest() == store.path(10)
    (store.folder / "latest").write_text("step_00000099\n")
    assert store.latest() == store.path(10)


def test_saving_a_step_again_replaces_it(store):
    store.save(5, tensors(1.0), {})
    path = store.save(5, tensors(2.0), {})
    assert value_of(store.load(path)) == 2
    assert hidden(store) == []


def test_a_rank_that_does_not_write_writes_nothing(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", writes=False)
    assert store.save(5, tensors(), {}) == store.path(5)
    store.mark_best(5, value=1)
    store.prune(1)
    store.forget_after(0)
    assert not store.folder.exists()


# What can go wrong while saving


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 2 MB that fills up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def many_names(n=8000):
    """Small tensors with long names: they fill the disk although the estimate before writing is low enough."""
    return {"model": {"n" * 400 + str(i): ms.Tensor(np.zeros(1, np.float32)) for i in range(n)}}


@pytest.mark.parametrize(
    ("what", "state", "reason"),
    [
        (
            tensors(n=500_000),
            {},
            r"3,0\d\d,\d\d\d bytes are needed and \d,\d\d\d,\d\d\d bytes are free on the disk of '.*'",
        ),
        (many_names(), {}, r"\[Errno 28\] No space left on device"),
        (tensors(), {"history": "x" * 3_000_000}, r"\[Errno 28\] No space left on device"),
    ],
    ids=["refused before writing", "full while writing tensors", "full while writing the state"],
)
def test_a_full_disk_costs_nothing_older(small_disk, what, state, reason):
    store = CheckpointStore(small_disk / "checkpoints")
    store.save(1, tensors(), {})
    before = contents(store.folder)
    message = rf"^the checkpoint of step 2 could not be written to {store.folder}: {reason}\. Older checkpoints are "
    with pytest.raises(
        SrtrainError, match=message + r"intact\. Free some space or set run_dir= elsewhere, then --res"
    ):
        store.save(2, what, state)
    assert contents(store.folder) == before
    assert hidden(store) == []
    assert store.save(2, tensors(), {}) == store.latest()  # and there is room again


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    store = CheckpointStore(tmp_path / "file" / "checkpoints")
    with pytest.raises(
        SrtrainError, match=r"the checkpoint of step 3 could not be written to .*Not a directory"
    ):
        store.save(3, tensors(), {})


KILLED = """
import os, signal, sys
import mindspore as ms, numpy as np
from pathlib import Path
from srtrain import files
from srtrain.trainer.checkpoint import CheckpointStore

def tensors(value):
    return {"model": {"w": ms.Tensor(np.full(4, value, np.float32))}}

store = CheckpointStore(Path(sys.argv[1]))
store.save(1, tensors(1.0), {})
flush, n = files._flush, 0
def flush_and_die(path):
    global n
    n += 1
    if n == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    flush(path)
files._flush = flush_and_die
store.save(2, tensors(2.0), {})
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [1, 4])  # within the hidden folder; after the rename
def test_a_kill_during_a_save_leaves_a_whole_latest(store, moment):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(store.folder), str(moment)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == -signal.SIGKILL, result.stderr
    assert store.steps() == ([1] if moment < 4 else [1, 2])
    assert value_of(store.load(store.latest())) == 1
    store.save(2, tensors(2.0), {})
    assert value_of(store.load(store.latest())) == 2
    assert [name for name in hidden(store) if "step" in name] == []


# Broken checkpoints


@pytest.mark.parametrize("name", ["state.json", "model.ckpt", "optimizer.ckpt"])
def test_a_file_that_is_cut_short_is_named(store, name):
    store.save(5, tensors(), {})
    path = store.save(10, tensors(), {"hooks": {}})
    file = path / name
    whole = file.read_bytes()
    for size in (1, len(whole) // 3, len(whole) - 2):
        file.write_bytes(whole[:size])
        with pytest.raises(CheckpointError) as caught:
            store.load(path)
        assert str(caught.value).startswith(f"the checkpoint file {str(file)!r} is broken: ")
        assert str(caught.value).endswith(f" Checkpoints in {store.folder}: step_00000005, step_00000010.")


def test_a_file_that_is_missing_is_named(store):
    path = store.save(5, tensors(), {})
    (path / "optimizer.ckpt").unlink()
    with pytest.raises(
        CheckpointError, match=r"optimizer\.ckpt' is broken: \[Errno 2\] No such file or directory"
    ):
        store.load(path)


def test_what_is_no_checkpoint_offers_those_there_are(store, tmp_path):
    with pytest.raises(CheckpointError) as caught:
        store.load(tmp_path)
    assert str(caught.value) == (
        f"{str(tmp_path)!r} is not a checkpoint: it has no state.json. Checkpoints in {store.folder}: (none)."
    )


def flip(file, at):
    """Flip one bit of a file."""
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["state.json", "model.ckpt", "optimizer.ckpt"])
def test_one_flipped_bit_anywhere_is_found(store, name):
    path = store.save(5, tensors(), {"hooks": {"ema": {"n": 10}}, "model_args": {"res_scale": 0.1}})
    file = path / name
    good = file.read_bytes()
    for at in range(0, len(good), 1 if name == "state.json" else 5):
        flip(file, at)
        same = name == "state.json" and value_or_none(file) == json.loads(
            good
        )  # "E+1" for "e+1", a space for a tab
        if not same:
            with pytest.raises(CheckpointError, match=re.escape(f"{str(file)!r} is broken")):
                store.load(path)
        file.write_bytes(good)
    store.load(path)


def value_or_none(file):
    try:
        return json.loads(file.read_bytes())
    except ValueError:
        return None


@pytest.mark.parametrize("name", ["state.json", "model.ckpt", "optimizer.ckpt"])
def test_a_part_of_another_checkpoint_is_refused(store, tmp_path, name):
    other = CheckpointStore(tmp_path / "other" / "checkpoints", store.about)
    for step in (5, 10):
        store.save(step, tensors(step), {})
    for foreign in (store.path(5), other.save(10, tensors(99), {})):
        shutil.copytree(store.folder, tmp_path / "mixed")
        mixed = CheckpointStore(tmp_path / "mixed")
        shutil.copy(foreign / name, mixed.path(10) / name)
        same = (foreign / name).read_bytes() == (store.path(10) / name).read_bytes()
        if not same:
            with pytest.raises(CheckpointError, match=r"step_00000010/[a-z]+\.(json|ckpt)' is broken"):
                mixed.load(mixed.path(10))
        shutil.rmtree(tmp_path / "mixed")


def test_the_step_of_the_folder_and_of_its_state_agree(store):
    renamed = store.save(5, tensors(), {}).rename(store.path(6))
    with pytest.raises(CheckpointError, match=r"step_00000006/state\.json' is broken: it is of step 5"):
        store.load(renamed)
    moved = renamed.rename(store.folder / "my_best")  # a name that promises nothing
    assert store.load(moved).step == 5


def test_a_file_that_the_checkpoint_was_not_saved_with_is_refused(store, tmp_path):
    store.save(5, tensors(), {})
    averaged = store.save(10, {**tensors(), "ema": {"w": ms.Tensor(np.float32([9]))}}, {})
    shutil.copy(averaged / "ema.ckpt", store.path(5))
    file, about = find_weights(store.path(5))
    assert file.name == "ema.ckpt"
    with pytest.raises(CheckpointError, match=r"ema\.ckpt' is broken: state\.json does not list it"):
        read_tensors(file, about)


def test_a_checkpoint_of_an_older_version_is_read(store):
    path = store.save(5, tensors(), {"hooks": {}})
    state = json.loads((path / "state.json").read_text())
    del state["sha256"], state["format"]
    (path / "state.json").write_text(json.dumps(state))
    assert value_of(store.load(path)) == 1
    store.mark_best(5, value=1.0)
    assert "sha256" not in json.loads((path / "state.json").read_text())
    flip(path / "model.ckpt", 20)
    with pytest.raises(CheckpointError, match=r"model\.ckpt' is broken"):  # by MindSpore's CRC
        store.load(path)


def test_marking_the_best_keeps_the_state_valid(store):
    path = store.save(5, tensors(), {})
    store.mark_best(5, metric="psnr/set5", value=30.5, protocol="paper_y")
    store.mark_best(5, metric="psnr/set5", value=float("inf"), protocol="paper_y")
    assert store.load(path).state["score"]["value"] == float("inf")
    assert store.best_score()["value"] == float("inf")


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"", b"../../another/checkpoints/step_00000005", b"step_5", b"x" * 5000, b"a\0b", None],
)
def test_a_damaged_pointer_is_named_or_not_needed(store, tmp_path, content, caplog):
    for step in (5, 10):
        store.save(step, tensors(), {})
    store.mark_best(5, value=1)
    for name in ("latest", "best"):
        (store.folder / name).unlink()
        (store.folder / name).mkdir() if content is None else (store.folder / name).write_bytes(content)
    assert store.latest() == store.path(10)
    assert f"{str(store.folder / 'latest')!r} is damaged" in caplog.text
    assert find_checkpoint(tmp_path, newest=True) == store.path(10)
    for search in (store.best, store.best_score, lambda: find_checkpoint(tmp_path)):
        with pytest.raises(CheckpointError, match=r"the pointer '.*best' is damaged: .*step_00000010\.$"):
            search()
    assert find_checkpoint(store.path(5)) == store.path(5)


@pytest.mark.parametrize("content", [b"\xff", b"", b"[]", b'{"value": "x", "step": 5}', b"[" * 9999, None])
def test_a_damaged_score_is_read_from_the_checkpoint(store, content):
    store.save(5, tensors(), {})
    store.mark_best(5, metric="psnr/set5", value=30.5, protocol="paper_y")
    file = store.folder / "best.json"
    file.unlink()
    file.mkdir() if content is None else file.write_bytes(content)
    assert store.best_score() == {"metric": "psnr/set5", "value": 30.5, "protocol": "paper_y", "step": 5}


# Best, prune, forget


def test_best_is_a_pointer_with_its_reason(store):
    assert store.best() is None
    assert store.best_score() is None
    store.save(5, tensors(), {})
    store.save(10, tensors(), {})
    store.mark_best(5, metric="psnr/set5", value=30.5, protocol="paper_y")
    assert store.best() == store.path(5)
    assert (store.folder / "best").read_text() == "step_00000005\n"
    assert store.best_score() == {"metric": "psnr/set5", "value": 30.5, "protocol": "paper_y", "step": 5}
    scores = [store.load(store.path(step)).state.get("score") for step in (5, 10)]
    assert scores == [{"metric": "psnr/set5", "value": 30.5, "protocol": "paper_y"}, None]


@pytest.mark.parametrize("best", range(1, 7))
@pytest.mark.parametrize("keep", [1, 2, 9])
def test_prune_keeps_the_newest_and_whatever_a_pointer_names(store, keep, best):
    for step in range(1, 7):
        store.save(step, {"model": {}}, {})
    store.mark_best(best, value=1)
    (store.folder / "latest").write_text("step_00000003\n")  # as after a save that was killed
    store.prune(keep)
    assert store.steps() == sorted({*range(1, 7)[-keep:], best, 3})


def test_forget_after_removes_what_a_resumed_run_will_write_anew(store):
    for step in (1, 2, 3, 4):
        store.save(step, {"model": {}}, {})
    store.mark_best(3, value=1)
    store.forget_after(2)
    assert store.steps() == [1, 2]
    assert store.latest() == store.path(2)
    assert store.best() is None
    assert store.best_score() is None
    assert not (store.folder / "best").exists()


def test_forget_after_keeps_pointers_to_what_stays(store):
    for step in (1, 2, 3):
        store.save(step, {"model": {}}, {})
    store.mark_best(1, value=1)
    store.forget_after(2)
    assert store.best() == store.path(1)
    assert store.best_score() == {"value": 1, "step": 1}
    assert store.latest() == store.path(2)


KILLED_WHILE_DELETING = """
import os, signal, sys
from pathlib import Path
from srtrain.trainer.checkpoint import CheckpointStore
from srtrain.trainer.owned import delete

folder, how, fatal = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
if how == "overwrite":
    do = lambda: delete(folder.parent)
else:
    do = lambda: getattr(CheckpointStore(folder), how)(1)
for n in range(1, fatal + 1):
    if os.fork() == 0:
        count = 0
        def listen(event, args):
            global count
            count += event == "os.remove"
            if count == n:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(listen)
        do()
        os._exit(0)
    os.wait()
    for left in folder.glob("step_*"):
        names = {file.name for file in left.iterdir()}
        assert names == {"model.ckpt", "optimizer.ckpt", "state.json"}, (n, left, names)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, which this system cannot do")
@pytest.mark.parametrize("how", ["prune", "forget_after", "overwrite"])
def test_a_kill_while_checkpoints_are_deleted_leaves_no_half_one(store, how):
    for step in (1, 2, 3, 4):
        store.save(step, tensors(), {})
    words = [sys.executable, "-c", KILLED_WHILE_DELETING, str(store.folder), how, "4"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert hidden(store)
    store.forget_after(0)
    assert hidden(store) == []  # a resumed run deletes what a killed one left


# Finding


def test_a_checkpoint_is_found_by_its_own_its_folders_and_its_runs_path(store, tmp_path):
    store.save(5, tensors(), {})
    store.save(10, tensors(), {})
    for path in (tmp_path, store.folder, store.path(10)):
        assert find_checkpoint(path) == store.path(10)
    store.mark_best(5, value=1)
    for path in (tmp_path, store.folder, store.path(5)):
        assert find_checkpoint(path) == store.path(5)
    for path in (tmp_path, store.folder):
        assert find_checkpoint(path, newest=True) == store.path(10)
    assert find_checkpoint(store.path(5), newest=True) == store.path(5)


def test_no_checkpoint_is_a_clear_error(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        find_checkpoint(tmp_path)
    assert str(caught.value) == (
        f"there is no checkpoint in {str(tmp_path)!r}. Give a step_… folder, or a run folder with checkpoints in it."
    )
    with pytest.raises(
        CheckpointError, match=r"gone' does not exist\. Give a \.ckpt file, a step_… folder, or a"
    ):
        find_weights(tmp_path / "gone")


def test_averaged_weights_are_preferred(store, tmp_path):
    path = store.save(5, tensors(), {})
    assert find_weights(tmp_path)[0] == path / "model.ckpt"
    path = store.save(10, {**tensors(), "ema": {"w": ms.Tensor(np.float32([9]))}}, {})
    file, about = find_weights(tmp_path)
    assert file == path / "ema.ckpt"
    assert (about["model"], about["scale"], about["step"]) == ("edsr", 2, 10)
    assert find_weights(path / "model.ckpt")[0] == path / "model.ckpt"  # unless a file is named


def test_a_bare_file_says_nothing_of_itself(tmp_path):
    file = tmp_path / "x.ckpt"
    file.write_bytes(b"")
    assert find_weights(file) == (file, {})


# Assigning


def parameters():
    return {n: ms.Parameter(ms.Tensor(np.zeros(3, np.float32)), name=n) for n in ("a", "b")}


def test_assign_copies_values():
    own = parameters()
    assign(own, {n: ms.Tensor(np.float32([1, 2, 3])) for n in "ab"}, "the model")
    assert [p.asnumpy().tolist() for p in own.values()] == [[1, 2, 3]] * 2


def test_assign_is_all_or_nothing_and_says_what_does_not_fit():
    own = parameters()
    values = {"a": ms.Tensor(np.float32([1, 2, 3])), **{f"x{i}": ms.Tensor(0.0) for i in range(7)}}
    with pytest.raises(CheckpointError) as caught:
        assign(own, values, "the model in runs/x")
    assert str(caught.value) == (
        "the model in runs/x does not fit this run: missing in the checkpoint: b; "
        "unknown to this run: x0, x1, x2, x3, x4 and 2 more."
    )
    with pytest.raises(
        CheckpointError, match=r"does not fit this run: of another shape: b \(2,\) instead of \(3,\)\.$"
    ):
        assign(own, {"a": values["a"], "b": ms.Tensor(np.float32([1, 2]))}, "the model")
    assert not any(p.asnumpy().any() for p in own.values())


def test_the_state_is_plain_json(store):
    path = store.save(5, tensors(), {"hooks": {"x": [1, 2.5, None]}})
    state = json.loads((path / "state.json").read_text())
    assert sorted(state.pop("sha256")) == ["model.ckpt", "optimizer.ckpt", "state.json"]
    assert state == {
        "model": "edsr",
        "scale": 2,
        "hooks": {"x": [1, 2.5, None]},
        "step": 5,
        "groups": {"model": 2, "optimizer": 1},
        "format": 2,
    }


def test_a_state_that_is_no_json_leaves_no_part_behind(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    with pytest.raises(Exception, match="set"):
        store.save(2, {"model": {}}, {"hooks": {"mine": {"x": {1, 2}}}})
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("text", ["", '{"a', "[]"])
def test_a_state_cut_short_is_named_by_init_from_too(tmp_path, text):
    store = CheckpointStore(tmp_path / "checkpoints")
    path = store.save(2, {"model": {"w": ms.Tensor(1.0)}}, {})
    (path / "state.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"state\.json"):
        find_weights(tmp_path)


def test_an_emptied_file_is_broken_and_not_an_empty_group(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    path = store.save(2, {"model": {"w": ms.Tensor(1.0)}}, {})
    (path / "model.ckpt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.ckpt' is broken"):
        store.load(path)


def test_a_flipped_byte_in_a_tensor_is_found(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints")
    path = store.save(2, {"model": {"w": ms.Tensor(np.ones(1000, np.float32))}}, {})
    data = bytearray((path / "model.ckpt").read_bytes())
    data[len(data) // 2] ^= 0x40
    (path / "model.ckpt").write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"model\.ckpt' is broken"):
        store.load(path)
