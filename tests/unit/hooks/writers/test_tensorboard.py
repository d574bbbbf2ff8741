"""The event file has the numbers, the sheets and the recipe."""

import cv2
import numpy as np
import pytest

from srtrain.evaluation.sheet import example_sheet
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.evaluate import EvaluateHook
from srtrain.hooks.writers.tensorboard import TensorBoardHook


def values(found):
    return [(event.step, value) for event in found for value in event.summary.value]


def test_numbers_sheets_and_recipe_are_written(make_trainer, benchmark_set, evaluator, events):
    trainer = make_trainer([TensorBoardHook("optim.lr = 0.1\nseed = 3")], 4, log_every=2)
    evaluating = evaluator(trainer)
    trainer.hooks.insert(0, EvaluateHook([benchmark_set], evaluating, 4, best=False))
    trainer.train()
    written = values(events(trainer.run_dir))
    scalars = {(v.tag, step): v.simple_value for step, v in written if v.HasField("simple_value")}
    assert set(scalars) == {
        ("train/loss", 2), ("train/loss", 4), ("eval/psnr_crops", 4), ("eval/ssim_crops", 4), ("eval/gain_crops", 4),
    }  # fmt: skip
    result = evaluating.run(benchmark_set)
    assert scalars["eval/psnr_crops", 4] == pytest.approx(result.psnr, rel=1e-6)
    (image,) = [v.image for _, v in written if v.HasField("image")]
    sheet = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    np.testing.assert_array_equal(sheet, example_sheet(result.examples[0], result.protocol))
    (text,) = [v for _, v in written if v.tag.startswith("recipe")]
    assert text.tensor.string_val[0].decode() == "    optim.lr = 0.1\n    seed = 3"


def test_speed_is_kept_apart_from_training(make_trainer, events):
    trainer = make_trainer([TensorBoardHook("")], 1)
    hook = trainer.hooks[0]
    hook.before_train(trainer)
    trainer.step = 1
    trainer.log.scalars = dict.fromkeys(
        ("loss", "lr", "loss_scale", "skipped_steps", "pictures_per_second"), 1.0
    )
    hook.after_step(trainer, None)
    hook.close(trainer)
    tags = [v.tag for _, v in values(events(trainer.run_dir)) if v.HasField("simple_value")]
    assert tags == [
        "train/loss",
        "train/lr",
        "train/loss_scale",
        "train/skipped_steps",
        "usage/pictures_per_second",
    ]


def test_a_resumed_run_hides_what_lies_beyond_its_checkpoint(make_trainer, events):
    make_trainer([TensorBoardHook(""), CheckpointHook(every=2)], 5).train()
    (earlier,) = trainer_files(make_trainer().run_dir)
    trainer = make_trainer([TensorBoardHook(""), CheckpointHook(every=2)], 5)
    trainer.train(resume=trainer.store.path(2))
    steps = [step for step, v in values(events(trainer.run_dir)) if v.tag == "train/loss"]
    assert steps == [1, 2, 3, 4, 5]
    (later,) = trainer_files(trainer.run_dir)
    assert later.name > earlier.name  # a TensorBoard that is running reads the new file
    starts = [e.step for e in events(trainer.run_dir) if e.HasField("session_log")]
    assert starts == [0]  # and forgets what it has read


def trainer_files(folder):
    return list(folder.glob("events.out.tfevents.*"))


def test_another_rank_writes_nothing(make_trainer):
    trainer = make_trainer([TensorBoardHook("")], 1)
    trainer.backend.rank = 1
    trainer.train()
    assert not list(trainer.run_dir.glob("events.out.tfevents.*"))
