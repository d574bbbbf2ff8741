import cv2
import numpy as np
import pytest
from PIL import ImageFont

from srtrain.errors import DataError
from srtrain.evaluation.sheet import Crop, Panel, _wrap, comparison_sheet, worst_crop

FRAME = (255, 214, 0)


def some_panels(height=200, width=300, scale=2, **titles):
    """Return input, bicubic and ground truth of a random picture. Bicubic is much worse around (120, 200)."""
    lq = np.random.default_rng(5).integers(0, 200, (height // scale, width // scale, 3), np.uint8)
    gt = cv2.resize(lq, (width, height), interpolation=cv2.INTER_CUBIC)
    bicubic = gt ^ 1
    bicubic[118:122, 198:202] += 50
    return [
        Panel(titles.get("lq", "low-resolution"), lq),
        Panel(titles.get("bicubic", "bicubic"), bicubic, "35.25 dB, paper_y"),
        Panel("ground truth", gt),
    ]


def find(part, whole):
    """Return the (top, left) positions at which a picture occurs in another, pixel for pixel."""
    height, width = part.shape[:2]
    n_rows, n_columns = whole.shape[0] - height + 1, whole.shape[1] - width + 1
    alike = (whole[:n_rows, :n_columns] == part[0, 0]) & (whole[height - 1 :, width - 1 :] == part[-1, -1])
    places = np.argwhere(alike.all(axis=2)).tolist()
    return [
        (top, left) for top, left in places if (whole[top : top + height, left : left + width] == part).all()
    ]


def test_every_picture_and_its_enlarged_detail_is_on_the_sheet_untouched():
    panels = some_panels()
    crop = Crop(top=100, left=180, height=40, width=60)
    sheet = comparison_sheet(panels, crop=crop)
    assert sheet.dtype == np.uint8
    lefts = []
    for panel in panels:
        factor = panels[-1].picture.shape[0] // panel.picture.shape[0]
        full = panel.picture.repeat(factor, 0).repeat(factor, 1)
        detail = full[100:140, 180:240].repeat(5, 0).repeat(5, 1)  # 300 px of column for 60 px of crop
        [(top, left)] = find(full[:90], sheet)
        [(detail_top, detail_left)] = find(detail, sheet)
        assert detail_left == left
        assert detail_top > top + 200
        lefts.append((left, top, detail_top))
    assert lefts == sorted(lefts)
    assert len({(top, detail_top) for _, top, detail_top in lefts}) == 1


def test_the_detail_lies_where_the_first_full_size_panel_is_most_wrong():
    panels = some_panels()
    sheet = comparison_sheet(panels)
    [(top, left)] = find(panels[-1].picture[:60], sheet)
    framed = np.argwhere((sheet[top : top + 200, left : left + 300] == FRAME).all(axis=2))
    (first_y, first_x), (last_y, last_x) = framed.min(axis=0), framed.max(axis=0)
    assert first_y < 118 < 121 < last_y
    assert first_x < 198 < 201 < last_x
    assert (last_x - first_x - 1, last_y - first_y - 1) == (75, 50)


def test_worst_crop_equals_a_search_of_every_place():
    rng = np.random.default_rng(11)
    sr, gt = rng.integers(0, 256, (2, 13, 17, 3), np.uint8)
    error = ((sr.astype(int) - gt) ** 2).sum(axis=2)
    best = max(
        ((top, left) for top in range(13 - 5 + 1) for left in range(17 - 4 + 1)),
        key=lambda place: error[place[0] : place[0] + 5, place[1] : place[1] + 4].sum(),
    )
    assert worst_crop(sr, gt, height=5, width=4) == Crop(*best, height=5, width=4)
    assert worst_crop(sr, gt, height=13, width=17) == Crop(0, 0, 13, 17)


def test_captions_change_the_sheet_and_stay_inside_of_their_column():
    long = "an uncommonly long title " + "w" * 60
    sheet = comparison_sheet(
        some_panels(lq=long, bicubic=long), footer="paper_y (Y of BT.601, 2 px border, 8 bit)"
    )
    gap, column = 12, 300
    assert sheet.shape[1] == 3 * (column + gap) + gap
    blank_lefts = [gap * i + column * i for i in range(4)]
    rows = sheet[:-1]
    footer_top = np.flatnonzero((rows != 255).any(axis=(1, 2)))[-1] - 60
    for left in blank_lefts:
        assert (rows[:footer_top, left : left + gap] == 255).all()
    assert (sheet[:gap] == 255).all()
    assert (sheet[-gap:] == 255).all()
    plain = comparison_sheet(some_panels(), footer="paper_y (Y of BT.601, 2 px border, 8 bit)")
    assert sheet.shape[0] > plain.shape[0]
    assert plain.shape[0] > comparison_sheet(some_panels()).shape[0]


@pytest.mark.parametrize(
    "text", ["", "bicubic", "a few words to break", "w" * 90, "short then " + "m" * 50 + " end"]
)
def test_wrapped_lines_fit_and_lose_nothing(text):
    font = ImageFont.load_default(20)
    lines = _wrap(text, font, 150)
    assert all(font.getlength(line) <= 150 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("height", "width", "shown"),
    [(1356, 2040, (425, 640)), (2040, 1356, (640, 425)), (100, 120, (200, 240)), (8, 10, (224, 280))],
)
def test_pictures_are_shown_at_a_size_that_suits_a_screen(height, width, shown):
    red = np.array([200, 30, 90], np.uint8)
    gt = np.full((height, width, 3), red)
    sheet = comparison_sheet([Panel("a", gt), Panel("b", gt)], crop=Crop(0, 0, 4, 5))
    column = max(280, shown[1])
    assert sheet.shape[1] == 2 * column + 3 * max(10, column // 24)
    assert (sheet == red).all(axis=2).sum() > 0.9 * 2 * shown[0] * shown[1]
    zoom = column // 5
    below = sheet[max(10, column // 24) + shown[0] :]
    assert (below == red).all(axis=2).sum() == 2 * 4 * 5 * zoom * zoom


def test_a_detail_wider_than_its_column_widens_the_column():
    gt = np.random.default_rng(0).integers(0, 256, (900, 1500, 3), np.uint8)
    crop = Crop(10, 20, 100, 1000)
    sheet = comparison_sheet([Panel("a", gt), Panel("b", gt)], crop=crop)
    assert len(find(crop.of(gt), sheet)) == 2


def test_pictures_that_make_no_sheet_are_refused():
    lq, bicubic, truth = some_panels()
    with pytest.raises(DataError, match="at least two panels, the last one for the ground truth, but got 1"):
        comparison_sheet([truth])
    with pytest.raises(
        DataError, match=r"panel 'low-resolution' is 99 x 150 .* of the last panel's 200 x 300"
    ):
        comparison_sheet([Panel("low-resolution", lq.picture[1:]), bicubic, truth])
    with pytest.raises(DataError, match=r"panel 'bicubic' is 400 x 600 .* not a whole fraction"):
        comparison_sheet([Panel("bicubic", bicubic.picture.repeat(2, 0).repeat(2, 1)), truth])
    with pytest.raises(DataError, match=r"panel 'bicubic' is float32 of shape \(200, 300, 3\)"):
        comparison_sheet([Panel("bicubic", bicubic.picture.astype(np.float32)), truth])
    with pytest.raises(DataError, match=r"Crop\(top=190, left=0, height=20, width=20\) is not inside"):
        comparison_sheet([bicubic, truth], crop=Crop(190, 0, 20, 20))
