"""Draw comparison sheets: pictures side by side with captions, and below them the same detail, enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srtrain.arrays import UInt8
from srtrain.data.resize import imresize
from srtrain.errors import DataError
from srtrain.evaluation.results import shown

if TYPE_CHECKING:
    from srtrain.evaluation.results import Example

Colour = tuple[int, int, int]

# Captions need the first width; a screen that shows four panels limits the second.
_MIN_COLUMN_PX, _MAX_PICTURE_PX = 280, 640
_DETAIL_PX = 72
_INK, _GREY, _FRAME = (24, 24, 24), (100, 100, 100), (255, 214, 0)


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        title: such as ``bicubic``. The font has Latin letters, digits and punctuation.
        picture: uint8 HWC RGB, of the size of the ground truth or of that size divided by a whole number.
        note: the line under the title, such as ``35.25 dB, paper_y``.
    """

    title: str
    picture: UInt8
    note: str = ""


@dataclass(frozen=True)
class Crop:
    """A rectangle of the ground truth, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, picture: UInt8) -> UInt8:
        """Return this part of a picture."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class _Columns:
    """Columns of equal width; pictures and captions share their left edges."""

    n_columns: int
    width_px: int
    gap_px: int

    @property
    def sheet_px(self) -> int:
        """Width of the whole sheet."""
        return self.n_columns * (self.width_px + self.gap_px) + self.gap_px

    def left_px(self, column: int) -> int:
        """Return the left edge of a column."""
        return self.gap_px + column * (self.width_px + self.gap_px)

    def blank(self, height: int) -> UInt8:
        """Return a white strip as wide as the sheet."""
        return np.full((height, self.sheet_px, 3), 255, np.uint8)


def comparison_sheet(panels: Sequence[Panel], *, crop: Crop | None = None, footer: str = "") -> UInt8:
    """Return panels side by side with captions, and below them the same detail of each, enlarged.

    A panel smaller than the ground truth, such as the low-resolution input, is enlarged by repeating pixels, which
    adds nothing to it. Pictures that are too large for a screen are shrunk; details never are.

    Args:
        panels: at least two; the last one is the ground truth.
        crop: the detail. By default it is the area where the first panel of full size, usually bicubic, has the
            largest error.
        footer: text at the bottom, such as the description of the protocol.

    Returns:
        uint8 HWC RGB on white.

    Raises:
        DataError: there are fewer than two panels, their sizes do not fit together, or the crop is outside of them.
    """
    pictures = _at_full_size(panels)
    gt = pictures[-1]
    overviews = [_fit_to_screen(picture) for picture in pictures]
    column_px = max(overviews[-1].shape[1], _MIN_COLUMN_PX)
    if crop is None:
        baseline = next(panel.picture for panel in panels if panel.picture.shape == gt.shape)
        crop = worst_crop(baseline, gt, *_detail_size(gt, column_px))
    _check_crop(crop, gt)
    zoom = max(1, column_px // crop.width)
    details = [_repeat_pixels(crop.of(picture), zoom) for picture in pictures]
    for overview in overviews:
        _draw_frame(overview, crop, overview.shape[1] / gt.shape[1])

    column_px = max(column_px, details[0].shape[1])
    columns = _Columns(len(panels), column_px, gap_px=max(10, column_px // 24))
    size_px = min(28, max(17, columns.width_px // 18))
    small_px = round(0.72 * size_px)
    explanation = f"Second row: the framed {crop.width} x {crop.height} pixels, {zoom} times enlarged."
    gap = columns.blank(columns.gap_px)
    rows = [gap, _row_of_pictures(overviews, columns), gap[: len(gap) // 3]]
    rows += [_row_of_texts([panel.title for panel in panels], size_px, _INK, columns)]
    if any(panel.note for panel in panels):
        rows += [_row_of_texts([panel.note for panel in panels], small_px, _GREY, columns)]
    rows += [gap, _row_of_pictures(details, columns), gap[: len(gap) // 2]]
    rows += [_line(text, small_px, _GREY, columns) for text in (footer, explanation) if text]
    return np.vstack([*rows, gap])


def example_sheet(example: Example, protocol: str, title: str = "ours") -> UInt8:
    """Return the sheet of an evaluated picture: low-resolution, bicubic, ``title``, ground truth, with their PSNR."""
    height, width = example.gt.shape[:2]
    bicubic = imresize(example.lq, shape=(height, width))
    panels = [
        Panel("low-resolution", example.lq, f"{example.lq.shape[1]} x {example.lq.shape[0]}"),
        Panel("bicubic", bicubic, f"PSNR {shown(example.score.bicubic_psnr, '.2f')} dB"),
        Panel(title, example.sr, f"PSNR {shown(example.score.psnr, '.2f')} dB"),
        Panel("ground truth", example.gt, f"{width} x {height}"),
    ]
    return comparison_sheet(panels, footer=f"{example.name}: PSNR as {protocol}.")


def stacked(sheets: Sequence[UInt8]) -> UInt8:
    """Return sheets below each other on white."""
    width = max(sheet.shape[1] for sheet in sheets)
    padded = [
        np.pad(sheet, ((0, 0), (0, width - sheet.shape[1]), (0, 0)), constant_values=255) for sheet in sheets
    ]
    return np.vstack(padded)


def error_map(sr: UInt8, gt: UInt8, gain: int = 8) -> UInt8:
    """Return the mean absolute error of each pixel times ``gain`` as a colour, from black over red to white.

    White is an error of ``255 / gain`` grey levels or more.
    """
    error = np.abs(sr.astype(np.int16) - gt).mean(axis=2) * gain
    coloured = cv2.applyColorMap(np.clip(error, 0, 255).astype(np.uint8), cv2.COLORMAP_HOT)
    rgb: UInt8 = cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)
    return rgb


def worst_crop(sr: UInt8, gt: UInt8, height: int, width: int) -> Crop:
    """Return the rectangle of this size inside the picture with the largest sum of squared errors."""
    error = np.square(sr.astype(np.float64) - gt).sum(axis=2)
    sums = cv2.integral(error, sdepth=cv2.CV_64F)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(np.argmax(inside)), inside.shape)
    return Crop(int(top), int(left), height, width)


def _at_full_size(panels: Sequence[Panel]) -> list[UInt8]:
    """Check the panels, and return their pictures, the small ones enlarged to the size of the last."""
    if len(panels) < 2:
        raise DataError(
            f"a comparison sheet needs at least two panels, the last one for the ground truth, but got {len(panels)}."
        )
    gt = panels[-1].picture
    pictures = []
    for panel in panels:
        picture = panel.picture
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise DataError(
                f"panel {panel.title!r} is {picture.dtype} of shape {picture.shape}; a sheet shows 8-bit RGB "
                f"pictures of shape (height, width, 3)."
            )
        (height, width), (gt_height, gt_width) = picture.shape[:2], gt.shape[:2]
        factor = gt_height // height
        if (height * factor, width * factor) != (gt_height, gt_width):
            raise DataError(
                f"panel {panel.title!r} is {height} x {width} (height x width), not a whole fraction of the "
                f"last panel's {gt_height} x {gt_width}. Crop the ground truth to a multiple of the scale."
            )
        pictures.append(_repeat_pixels(picture, factor))
    return pictures


def _check_crop(crop: Crop, gt: UInt8) -> None:
    height, width = gt.shape[:2]
    fits_down = 0 <= crop.top < crop.top + crop.height <= height
    fits_across = 0 <= crop.left < crop.left + crop.width <= width
    if not (fits_down and fits_across):
        raise DataError(f"{crop} is not inside a picture of {height} x {width} (height x width).")


def _detail_size(gt: UInt8, column_px: int) -> tuple[int, int]:
    """Return (height, width), in the ratio 2 to 3, of a detail that fills its column after a whole enlargement."""
    zoom = max(2, round(column_px / _DETAIL_PX))
    width = min(column_px // zoom, gt.shape[1])
    return min(width * 2 // 3, gt.shape[0]), width


def _repeat_pixels(picture: UInt8, factor: int) -> UInt8:
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _fit_to_screen(picture: UInt8) -> UInt8:
    """Return a copy, shrunk if it is too large for a screen, enlarged a whole number of times if it is tiny."""
    longest = max(picture.shape[:2])
    if longest <= _MAX_PICTURE_PX:
        return _repeat_pixels(picture, max(1, _MIN_COLUMN_PX // longest))
    height, width = (max(1, round(side * _MAX_PICTURE_PX / longest)) for side in picture.shape[:2])
    shrunk: UInt8 = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return shrunk


def _draw_frame(overview: UInt8, crop: Crop, zoom: float) -> None:
    """Mark the detail with a bright line inside a dark one, which is visible on any picture."""
    height, width = overview.shape[:2]
    for distance, colour in ((2, (0, 0, 0)), (1, _FRAME)):
        left, top = (max(0, round(side * zoom) - distance) for side in (crop.left, crop.top))
        right = min(width, round((crop.left + crop.width) * zoom) + distance) - 1
        bottom = min(height, round((crop.top + crop.height) * zoom) + distance) - 1
        cv2.rectangle(overview, (left, top), (right, bottom), colour, 1)


def _row_of_pictures(pictures: Sequence[UInt8], columns: _Columns) -> UInt8:
    row = columns.blank(max(picture.shape[0] for picture in pictures))
    for column, picture in enumerate(pictures):
        left = columns.left_px(column)
        row[: picture.shape[0], left : left + picture.shape[1]] = picture
    return row


def _row_of_texts(texts: Sequence[str], size_px: int, colour: Colour, columns: _Columns) -> UInt8:
    """Draw one text in each column, wrapped to its width."""
    font = ImageFont.load_default(size_px)
    wrapped = [_wrap(text, font, columns.width_px) for text in texts]
    line_px = round(1.4 * size_px)
    page = Image.fromarray(columns.blank(line_px * max(len(lines) for lines in wrapped)))
    draw = ImageDraw.Draw(page)
    for column, lines in enumerate(wrapped):
        for i, line in enumerate(lines):
            draw.text((columns.left_px(column), (i + 0.5) * line_px), line, colour, font, anchor="lm")
    return np.asarray(page)


def _line(text: str, size_px: int, colour: Colour, columns: _Columns) -> UInt8:
    """Draw a text over the whole width of the sheet."""
    one_column = _Columns(1, columns.sheet_px - 2 * columns.gap_px, columns.gap_px)
    return _row_of_texts([text], size_px, colour, one_column)


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int) -> list[str]:
    """Break a text into lines of at most ``width_px``, between words, or inside a word that is too wide itself."""
    lines = [""]
    for word in text.split():
        if lines[-1] and font.getlength(f"{lines[-1]} {word}") > width_px:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while font.getlength(lines[-1]) > width_px:
            n_fitting = next(
                n for n in range(len(lines[-1]) - 1, 0, -1) if font.getlength(lines[-1][:n]) <= width_px
            )
            lines[-1:] = [lines[-1][:n_fitting], lines[-1][n_fitting:]]
    return lines
