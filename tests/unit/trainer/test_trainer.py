"""The loop: the order of calls, how it ends, visible failures, and exact resume."""

import numpy as np
import pytest

from srtrain.errors import CheckpointError, HookError, SrtrainError, TrainingDivergedError
from srtrain.hooks import LAST, STATE, Hook
from srtrain.hooks.checkpoint import CheckpointHook
from srtrain.hooks.lr import LrHook
from srtrain.models import parameters
from srtrain.trainer.guard import HOPELESS
from srtrain.trainer.optim import own_state
from srtrain.trainer.points import add_note
from srtrain.trainer.schedules.cosine import cosine


class Recorder(Hook):
    """Records each call with its step."""

    def __init__(self, calls, name="r", order=Hook.order):
        self.calls = calls
        self.name = name
        self.order = order

    def note(self, point, trainer):
        self.calls.append(f"{self.name}.{point}@{trainer.step}")

    def setup(self, trainer):
        self.note("setup", trainer)

    def before_train(self, trainer):
        self.note("before_train", trainer)

    def before_step(self, trainer, batch):
        assert batch.lq.shape == (2, 3, 8, 8)
        self.note("before_step", trainer)

    def after_step(self, trainer, out):
        assert np.isfinite(float(out.loss))
        assert out.n_pictures == 2
        self.note("after_step", trainer)

    def after_save(self, trainer, path):
        assert (path / "state.json").is_file()
        self.note("after_save", trainer)

    def before_eval(self, trainer, benchmark):
        self.note(f"before_eval({benchmark.name})", trainer)

    def after_eval(self, trainer, result):
        self.note(f"after_eval({result.benchmark})", trainer)

    def after_train(self, trainer):
        self.note("after_train", trainer)

    def on_error(self, trainer, error):
        self.note(f"on_error({type(error).__name__})", trainer)

    def close(self, trainer):
        self.note("close", trainer)


class At(Hook):
    """Does something at a point of a step."""

    def __init__(self, step, act, order=Hook.order):
        self.step = step
        self.act = act
        self.order = order

    def after_step(self, trainer, out):
        if trainer.step == self.step:
            self.act(trainer)


def raising(error):
    def act(trainer):
        raise error

    return act


# The order of calls


def test_the_step_counts_finished_updates_at_every_point(make_trainer):
    calls = []
    make_trainer([Recorder(calls)], max_steps=2).train()
    assert calls == [
        "r.setup@0",
        "r.before_train@0",
        "r.before_step@0",
        "r.after_step@1",
        "r.before_step@1",
        "r.after_step@2",
        "r.after_train@2",
        "r.close@2",
    ]


def test_hooks_run_in_their_order_ties_as_listed_and_close_in_reverse(make_trainer):
    calls = []
    hooks = [
        Recorder(calls, "c", LAST),
        Recorder(calls, "a1", STATE),
        Recorder(calls, "b"),
        Recorder(calls, "a2", STATE),
    ]
    make_trainer(hooks, max_steps=1).train()
    order = ["a1", "a2", "b", "c"]
    for point in ("setup@0", "before_step@0", "after_step@1", "after_train@1"):
        assert [call.split(".")[0] for call in calls if call.endswith(point)] == order
    assert [call.split(".")[0] for call in calls if call.endswith("close@1")] == order[::-1]


def test_saving_tells_the_hooks_once_a_step(make_trainer):
    calls = []
    hooks = [Recorder(calls), At(1, lambda t: (t.save(), t.save()))]
    trainer = make_trainer(hooks, max_steps=2)
    trainer.train()
    assert [c for c in calls if "after_save" in c] == ["r.after_save@1"]
    assert trainer.store.steps() == [1]


def test_evaluating_is_between_its_points(make_trainer, benchmark_set, evaluator):
    calls = []
    trainer = make_trainer([Recorder(calls)])
    result = trainer.evaluate(benchmark_set, lambda b: evaluator(trainer).run(b))
    assert calls == ["r.before_eval(crops)@0", "r.after_eval(crops)@0"]
    assert result.n_pictures == 2


def test_a_broken_plan_is_refused_before_anything_runs(make_trainer):
    class Misnamed(Hook):
        def after_stp(self, trainer, out):
            """Never called."""

    with pytest.raises(
        HookError, match=r"Misnamed\.after_stp is not a point of a hook\. Did you mean 'after_step'\?"
    ):
        make_trainer([Misnamed()])


# The clock


def test_due_sees_every_multiple_once_even_when_steps_are_skipped(make_trainer):
    trainer = make_trainer()
    seen = []
    for before, step in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 7), (7, 8), (8, 8)):
        trainer._step_before, trainer.step = before, step
        seen.append((trainer.due(1), trainer.due(3)))
    assert seen == [
        (True, False),
        (True, False),
        (True, True),
        (True, False),
        (True, True),
        (True, False),
        (False, False),
    ]


def test_numbers_are_due_every_so_often_and_at_the_end(make_trainer):
    due = []

    class Watch(Hook):
        def after_step(self, trainer, out):
            if trainer.log_due:
                due.append((trainer.step, sorted(trainer.log.scalars)))

    make_trainer([Watch()], max_steps=5, log_every=2).train()
    assert due == [(2, ["loss"]), (4, ["loss"]), (5, ["loss"])]


def test_the_logged_loss_is_the_mean_of_all_steps_since_the_last(make_trainer):
    losses, logged = [], []

    class Watch(Hook):
        def after_step(self, trainer, out):
            losses.append(float(out.loss))
            if trainer.log_due:
                logged.append(trainer.log.scalars["loss"])

    make_trainer([Watch()], max_steps=5, log_every=2).train()
    assert logged == pytest.approx([np.mean(losses[:2]), np.mean(losses[2:4]), losses[4]])
    assert len(set(losses)) == 5


@pytest.mark.slow
def test_training_learns(make_trainer, graph):
    losses = []

    class Watch(Hook):
        def after_step(self, trainer, out):
            losses.append(float(out.loss))

    make_trainer([Watch()], max_steps=60, lr=0.01).train()
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


# How it ends


def test_a_requested_stop_ends_after_the_step_and_still_calls_after_train(make_trainer):
    calls = []
    trainer = make_trainer(
        [Recorder(calls), At(2, lambda t: (t.request_stop("first"), t.request_stop("second")))], 9
    )
    trainer.train()
    assert trainer.step == 2
    assert trainer.stop_reason == "first"
    assert calls[-3:] == ["r.after_step@2", "r.after_train@2", "r.close@2"]


def test_an_exception_keeps_its_type_and_traceback_and_gains_one_line(make_trainer):
    calls = []
    error = ValueError("boom")
    trainer = make_trainer([Recorder(calls), At(2, raising(error))], 9)
    with pytest.raises(ValueError, match="boom") as caught:
        trainer.train()
    assert caught.value is error
    assert error.__notes__ == ["while running At.after_step at step 2"]
    assert "act" in [entry.name for entry in caught.traceback]
    assert calls[-3:] == ["r.after_step@2", "r.on_error(ValueError)@2", "r.close@2"]
    assert "r.after_train@2" not in calls


def test_nested_points_add_a_line_each_from_the_inside_out(make_trainer):
    class FailsOnSave(Hook):
        def after_save(self, trainer, path):
            raise OSError("full")

    with pytest.raises(OSError, match="full") as caught:
        make_trainer([FailsOnSave(), CheckpointHook(every=1)]).train()
    assert caught.value.__notes__ == [
        "while running FailsOnSave.after_save at step 1",
        "while running CheckpointHook.after_step at step 1",
    ]


def test_ctrl_c_in_a_hook_passes_through_and_is_cleaned_up_after(make_trainer):
    calls = []
    with pytest.raises(KeyboardInterrupt):
        make_trainer([Recorder(calls), At(1, raising(KeyboardInterrupt()))]).train()
    assert calls[-2:] == ["r.on_error(KeyboardInterrupt)@1", "r.close@1"]


def test_every_hook_is_closed_even_when_closing_fails_and_the_first_error_wins(make_trainer, tmp_path):
    calls = []

    class Stubborn(Recorder):
        def on_error(self, trainer, error):
            raise RuntimeError("no")

        def close(self, trainer):
            raise RuntimeError("never")

    hooks = [
        Recorder(calls, "a"),
        Stubborn(calls, "s"),
        Recorder(calls, "z"),
        At(1, raising(ValueError("boom"))),
    ]
    with pytest.raises(ValueError, match="boom"):
        make_trainer(hooks).train()
    assert calls[-4:] == ["a.on_error(ValueError)@1", "z.on_error(ValueError)@1", "z.close@1", "a.close@1"]
    log = (tmp_path / "run" / "run.log").read_text()
    assert "warning: Stubborn.on_error failed: RuntimeError: no" in log
    assert "warning: Stubborn.close failed: RuntimeError: never" in log


def test_a_failing_setup_is_closed_too(make_trainer):
    calls = []

    class Fails(Hook):
        def setup(self, trainer):
            raise SrtrainError("not here")

    with pytest.raises(SrtrainError, match="not here"):
        make_trainer([Recorder(calls), Fails()]).train()
    assert calls == ["r.setup@0", "r.on_error(SrtrainError)@0", "r.close@0"]


def test_the_loader_has_stopped_when_training_ends(make_trainer):
    trainer = make_trainer(max_steps=1)
    trainer.train()
    with pytest.raises(RuntimeError, match=r"before Loader\.start"):
        trainer.loader.next()


def test_notes_gather():
    error = ValueError("x")
    add_note(error, "one")
    add_note(error, "two")
    assert error.__notes__ == ["one", "two"]


# The learning rate


def test_the_rate_that_is_set_is_read_back(make_trainer):
    trainer = make_trainer(lr=0.5)
    assert trainer.lr == 0.5
    trainer.set_lr(0.25)
    assert trainer.lr == 0.25


@pytest.mark.slow
def test_a_rate_of_zero_stops_learning_at_once(make_trainer, graph, weights_of):
    seen = []

    class Rates(Hook):
        def before_step(self, trainer, batch):
            trainer.set_lr(0.0 if trainer.step in (1, 2) else 0.01)

        def after_step(self, trainer, out):
            seen.append(weights_of(trainer.model)["tail.weight"])

    make_trainer([Rates()]).train()
    assert np.array_equal(seen[0], seen[1])
    assert np.array_equal(seen[1], seen[2])
    assert not np.array_equal(seen[2], seen[3])


# Saving


@pytest.mark.parametrize("spoilt", ["a weight", "a moment"])
def test_a_state_that_is_not_finite_is_not_saved(make_trainer, spoilt):
    trainer = make_trainer([CheckpointHook(every=1), At(2, lambda t: put(held(t), np.inf), STATE)], 9)

    def held(trainer):
        moment = own_state(trainer.optimizers[0])["moment1.tail.weight"]
        return trainer.model.tail.weight if spoilt == "a weight" else moment

    def put(parameter, value):
        parameters.put(parameter, np.full(parameter.shape, value, np.float32))

    with pytest.raises(TrainingDivergedError) as caught:
        trainer.train()
    name = "tail.weight" if spoilt == "a weight" else "moment1.tail.weight"
    n_held = len(trainer.model.parameters_dict()) + len(own_state(trainer.optimizers[0]))
    assert str(caught.value) == (
        f"1 of {n_held} weights and moments are not finite, {name!r} for one: the state of step 2 is not saved. The "
        f"last good checkpoint is {trainer.store.path(1)}; try a lower optim.lr, optim.clip_norm=0.5, or a smaller "
        "model.res_scale."
    )
    assert trainer.store.steps() == [1]


@pytest.mark.slow
def test_a_state_whose_updates_are_all_skipped_is_not_saved(make_trainer):
    trainer = make_trainer([], HOPELESS + 1, lr=1e30)
    trainer.train()
    row = trainer.update.guard.read().n_bad_in_a_row
    assert row >= HOPELESS
    with pytest.raises(
        TrainingDivergedError, match=f"^the last {row} updates were skipped, with a loss of (nan|inf)"
    ):
        trainer.save()
    assert trainer.store.steps() == []


def test_a_state_is_in_doubt_while_the_last_update_was_skipped(make_trainer, paint, delicate):
    seen = []
    hooks = [At(step, lambda t: seen.append(t.in_doubt)) for step in (1, 2, 3)]
    trainer = make_trainer([*hooks, paint(0, 1)], 3, loss=delicate)
    trainer.train()
    assert seen == [False, True, False]


def test_rolling_back_keeps_the_clock_and_the_rate_and_counts_what_was_skipped(
    make_trainer, weights_of, paint, delicate
):
    trainer = make_trainer([paint(0, 3), At(2, lambda t: t.save())], 4, loss=delicate)
    trainer.train()
    saved = trainer.store.load(trainer.store.path(2)).tensors
    trainer.set_lr(0.125)
    before = trainer.update.guard.read()
    trainer.roll_back(trainer.store.path(2))
    assert (trainer.step, trainer.lr) == (4, 0.125)
    for name, value in weights_of(trainer.model).items():
        assert np.array_equal(value, saved["model"][name].asnumpy())
    moments = own_state(trainer.optimizers[0])
    for name in ("moment1.tail.weight", "moment2.tail.weight", "beta1_power"):
        assert np.array_equal(moments[name].asnumpy(), saved["optimizer"][name].asnumpy())
    counts = trainer.update.guard.read()
    assert (before.n_bad, before.n_accepted) == (1, 3)
    assert (counts.n_bad, counts.n_accepted, counts.n_bad_in_a_row) == (1, 2, 0)
    assert counts.last_bad_loss == np.inf
    assert trainer.paused_seconds > 0


def full_state(trainer):
    state = {f"model.{n}": p for n, p in trainer.model.parameters_dict().items()}
    state |= {f"optimizer.{n}": p for n, p in own_state(trainer.optimizers[0]).items()}
    return {name: parameter.asnumpy().tobytes() for name, parameter in state.items()}


def lr_hook():
    return LrHook(cosine(max_steps=6, warmup=2), 0.01)


@pytest.mark.slow
def test_a_run_in_two_parts_is_the_run_in_one_bit_for_bit(make_trainer, graph, tmp_path):
    pictures = {"one": [], "two": []}

    class Watch(Hook):
        def __init__(self, name):
            self.name = name

        def before_step(self, trainer, batch):
            pictures[self.name].append((trainer.step, trainer.lr, [repr(s) for s in batch.samples]))

    whole = make_trainer([lr_hook(), Watch("one")], 6, run_dir=tmp_path / "whole")
    whole.train()
    first = make_trainer(
        [lr_hook(), Watch("two"), CheckpointHook(), At(3, lambda t: t.request_stop("enough"))], 6
    )
    first.train()
    second = make_trainer([lr_hook(), Watch("two"), CheckpointHook()], 6)
    second.train(resume=first.store.latest())
    assert full_state(second) == full_state(whole)
    assert [step for step, *_ in pictures["two"]] == [0, 1, 2, 3, 4, 5]
    assert pictures["two"] == pictures["one"]
    assert "resumed from" in (tmp_path / "run" / "run.log").read_text()


def test_resuming_elsewhere_copies_nothing_and_saves_anew(make_trainer, tmp_path):
    first = make_trainer([CheckpointHook(every=1)], 2)
    first.train()
    second = make_trainer([CheckpointHook()], 2, run_dir=tmp_path / "other")
    second.train(resume=first.store.path(2))
    assert second.store.steps() == [2]
    assert full_state(second) == full_state(first)


def test_resuming_forgets_the_checkpoints_beyond(make_trainer):
    first = make_trainer([CheckpointHook(every=1, keep=9)], 4)
    first.train()
    second = make_trainer([At(3, lambda t: t.request_stop("enough"))], 4)
    second.train(resume=first.store.path(2))
    assert second.store.steps() == [1, 2]


@pytest.mark.slow
def test_a_hook_gets_its_state_back_and_only_its_own(make_trainer):
    class Counting(Hook):
        order = STATE

        def __init__(self, key):
            self.state_key = key
            self.n = 0

        def after_step(self, trainer, out):
            self.n += 1 if self.state_key == "one" else 10

        def state_dict(self):
            return {"n": self.n}

        def load_state_dict(self, state):
            self.n = state["n"]

    first = make_trainer([Counting("one"), Counting("ten"), CheckpointHook()], 3)
    first.train()
    hooks = [Counting("ten"), Counting("new"), Counting("one")]
    second = make_trainer(hooks, 4)
    second.train(resume=first.store.latest())
    assert [hook.n for hook in hooks] == [40, 10, 4]


@pytest.mark.slow
def test_a_checkpoint_beyond_the_end_is_refused(make_trainer):
    first = make_trainer([CheckpointHook()], 3)
    first.train()
    with pytest.raises(CheckpointError) as caught:
        make_trainer([], 2).train(resume=first.store.latest())
    assert str(caught.value) == (
        f"{first.store.path(3)} has 3 finished updates, but this run ends at 2. Ask for more steps, "
        "or resume from an earlier checkpoint."
    )


@pytest.mark.slow
def test_ranks_that_see_different_checkpoints_are_refused(make_trainer, monkeypatch):
    """As on machines without a common disk: this rank has done two updates, another three."""
    first = make_trainer([CheckpointHook()], 2)
    first.train()
    second = make_trainer([], 4)
    monkeypatch.setattr(second.backend, "gather", lambda array: np.stack([array, array + 1]))
    with pytest.raises(
        CheckpointError, match=r"step_00000002 has 2 updates, and others 3\. Keep the run folder on a disk"
    ):
        second.train(resume=first.store.latest())


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_refused(make_trainer, new_model):
    first = make_trainer([CheckpointHook()], 1)
    first.train()
    with pytest.raises(
        CheckpointError, match=r"^the model in .*step_00000001 does not fit this run: .*of anoth"
    ):
        make_trainer([], 2, model=new_model(n_feats=8)).train(resume=first.store.latest())
    with pytest.raises(
        CheckpointError,
        match=r"^the optimizer in .*does not fit this run: missing in the checkpoint: momentum, moments",
    ):
        make_trainer([], 2, optimizer="momentum").train(resume=first.store.latest())


def test_a_rate_that_is_set_is_used_in_pynative_too(make_trainer, weights_of):
    seen = []

    class Rates(Hook):
        def before_step(self, trainer, batch):
            trainer.set_lr(0.0 if trainer.step == 1 else 0.01)

        def after_step(self, trainer, out):
            seen.append(weights_of(trainer.model)["tail.weight"])

    make_trainer([Rates()], 3).train()
    assert np.array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[1], seen[2])
