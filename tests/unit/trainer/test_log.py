"""Lines go to the console and to run.log; the loss is read from the device only when it is needed."""

import math

import mindspore as ms

from srtrain.trainer.log import Log


def test_lines_are_in_the_file_with_their_time_and_level(tmp_path, capsys):
    log = Log(tmp_path / "run.log")
    log.info("hello – wörld")
    log.warning("look here")
    log.close()
    lines = (tmp_path / "run.log").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO hello – wörld", "WARNING warning: look here"]
    captured = capsys.readouterr()
    assert captured.err == "hello – wörld\nwarning: look here\n"
    assert captured.out == ""


def test_a_silent_log_writes_its_file_alone(tmp_path, capsys):
    log = Log(tmp_path / "run.log", to_console=False)
    log.info("hello")
    log.close()
    assert capsys.readouterr().err == ""
    assert (tmp_path / "run.log").read_text().endswith("INFO hello\n")


def test_a_resumed_run_appends(tmp_path):
    for text in ("first", "second"):
        log = Log(tmp_path / "run.log", to_console=False)
        log.info(text)
        log.close()
    assert [line.split()[-1] for line in (tmp_path / "run.log").read_text().splitlines()] == [
        "first",
        "second",
    ]


def test_the_loss_is_the_mean_since_it_was_last_asked_for():
    log = Log(to_console=False)
    for value in (1.0, 2.0, 6.0):
        log.keep_loss(ms.Tensor(value))
    assert log.gather_loss() == 3
    assert math.isnan(log.gather_loss())
    log.keep_loss(ms.Tensor(5.0))
    assert log.gather_loss() == 5


def test_a_loss_that_is_no_number_hides_no_other():
    log = Log(to_console=False)
    for value in (1.0, math.nan, math.inf, 3.0):
        log.keep_loss(ms.Tensor(value))
    assert log.gather_loss() == 2


def test_numbers_gather_by_name():
    log = Log(to_console=False)
    log.put(lr=1.0, loss=2.0)
    log.put(lr=3.0)
    assert log.scalars == {"lr": 3.0, "loss": 2.0}
