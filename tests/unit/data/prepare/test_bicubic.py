import numpy as np
import pytest

from srtrain.data.folders import folder
from srtrain.data.picture import look, read_rgb, write_png
from srtrain.data.prepare.bicubic import default_target, write_bicubic
from srtrain.data.resize import make_lq
from srtrain.errors import DataError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "HR").mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (25, 37, 3), np.uint8)
    write_png(tmp_path / "HR" / "a.png", picture)
    write_png(tmp_path / "HR" / "grey.png", picture[..., 0])
    return tmp_path


def test_what_is_written_pairs_with_its_ground_truth(root):
    assert write_bicubic(root / "HR", default_target(root / "HR"), [2, 3]) == 4
    for scale in (2, 3):
        for pair in folder(str(root), scale):
            assert np.array_equal(read_rgb(pair.lq), make_lq(read_rgb(pair.gt), scale))
    assert look(root / "LR_bicubic" / "X3" / "greyx3.png").mode == "grey"


def test_files_that_are_there_stay_unless_told(root):
    target = root / "LR_bicubic"
    write_bicubic(root / "HR", target, [2])
    write_png(target / "X2" / "ax2.png", np.zeros((2, 2), np.uint8))
    with pytest.raises(DataError, match=r"X2' is not empty\. Add --overwrite"):
        write_bicubic(root / "HR", target, [2])
    write_bicubic(root / "HR", target, [2], overwrite=True)
    assert read_rgb(target / "X2" / "ax2.png").shape == (12, 18, 3)


def test_a_target_that_cannot_be_made(root):
    (root / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        write_bicubic(root / "HR", root / "file", [2])


@pytest.mark.parametrize(
    ("gt", "target"),
    [("a/HR", "a/LR_bicubic"), ("DIV2K_train_HR", "DIV2K_train_LR_bicubic"), ("photos", "photos/LR_bicubic")],
)
def test_where_data_sets_look(tmp_path, gt, target):
    assert default_target(tmp_path / gt) == tmp_path / target
