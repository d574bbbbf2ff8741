"""The guard of updates: its running mean, its counts, and the arguments it refuses."""

import mindspore as ms
import numpy as np
import pytest

from srtrain.errors import RecipeError
from srtrain.trainer.guard import WARM_UP, Guard

pytestmark = pytest.mark.usefixtures("pynative")


def number(value):
    return ms.Tensor(value, ms.float32)


def accept(guard, losses):
    for loss in losses:
        guard.accept(number(loss))


def test_the_mean_is_plain_at_first_and_then_forgets(monkeypatch):
    window = 20
    monkeypatch.setattr("srtrain.trainer.guard.WINDOW", window)
    guard = Guard()
    losses = np.linspace(9, 1, window)
    accept(guard, losses)
    assert guard.read().mean_loss == pytest.approx(losses.mean(), rel=1e-5)
    accept(guard, [1.0] * (5 * window))
    assert guard.read().mean_loss == pytest.approx(1, abs=0.05)
    assert guard.read().n_accepted == 6 * window


def test_a_limit_holds_from_the_end_of_the_warm_up_on():
    guard = Guard(skip_above=3.0)
    accept(guard, [2.0] * (WARM_UP - 1))
    assert bool(guard.usual(number(1e6)))
    assert not bool(guard.usual(number(np.inf)))
    accept(guard, [2.0])
    assert bool(guard.usual(number(6.0)))
    assert not bool(guard.usual(number(6.01)))
    assert not bool(guard.usual(number(np.nan)))


def test_without_a_limit_every_finite_loss_is_usual():
    guard = Guard()
    accept(guard, [2.0] * WARM_UP)
    assert bool(guard.usual(number(1e30)))
    assert not bool(guard.usual(number(-np.inf)))


def test_rows_end_with_an_accepted_update_and_totals_do_not():
    guard = Guard()
    guard.skip_bad(number(np.nan))
    guard.skip_bad(number(7.0))
    guard.skip_overflow()
    counts = guard.read()
    assert (counts.n_bad, counts.n_bad_in_a_row, counts.last_bad_loss) == (2, 2, 7.0)
    assert (counts.n_overflows, counts.n_overflows_in_a_row, counts.n_skipped) == (1, 1, 3)
    accept(guard, [1.0])
    counts = guard.read()
    assert (counts.n_bad_in_a_row, counts.n_overflows_in_a_row) == (0, 0)
    assert (counts.n_bad, counts.n_overflows, counts.n_accepted) == (2, 1, 1)


def test_starting_anew_keeps_the_totals_of_the_run():
    guard, older = Guard(), Guard()
    for _ in range(3):
        guard.skip_bad(number(8.0))
    accept(older, [4.0, 2.0])
    older.start_anew(guard.read())
    counts = older.read()
    assert (counts.n_bad, counts.n_bad_in_a_row, counts.last_bad_loss) == (3, 0, 8.0)
    assert (counts.n_accepted, counts.mean_loss) == (2, 3.0)


def test_its_state_has_a_name_of_its_own():
    assert sorted(Guard().state()) == [
        "guard.accepted",
        "guard.bad",
        "guard.bad_in_a_row",
        "guard.last_bad_loss",
        "guard.mean_loss",
        "guard.overflows",
        "guard.overflows_in_a_row",
    ]


@pytest.mark.parametrize("factor", [1, 0.5, 0, -3, float("nan")])
def test_a_limit_that_would_skip_ordinary_updates_is_refused(factor):
    with pytest.raises(RecipeError, match=rf"^optim\.skip_above = {factor!r} must be above 1: "):
        Guard(factor)
