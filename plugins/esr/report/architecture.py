"""A network as text and as a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.etree.ElementTree import Element

from srtrain.evaluation.table import aligned
from srtrain.models.esrn import BlockKind

from ..search.measures import lines, origin
from ..search.types import Individual, Outcome
from .drawing import element, svg, text

_IN_WORDS = {"S": "shrink", "G": "group", "C": "context"}

# In pixels: width of a block, distance between blocks, their lower end, height of the line that joins their outputs.
_BOX, _STEP, _BASE, _BUS = 64, 70, 190, 40


def in_words(kind: BlockKind) -> str:
    """Return a description of a kind of block."""
    name = _IN_WORDS.get(kind.type, kind.type)
    return f"{name}, {kind.n_convs} convolutions of growth {kind.growth}"


def architecture_text(individual: Individual, outcome: Outcome, scale: int, n_feats: int = 32) -> str:
    """Return a network as text, with its blocks in the form that a recipe accepts.

    Args:
        scale: scale of the network.
        n_feats: channels outside of the blocks, and so the input width of the first block.
    """
    kinds = [BlockKind.parse(name) for name in individual.blocks]
    widths = [n_feats, *(kind.n_out for kind in kinds)]
    rows = [
        (str(k), str(kind), f"{n_in} -> {kind.n_out}", in_words(kind), "1/2 inside" if kind.halves else "1")
        for k, (kind, n_in) in enumerate(zip(kinds, widths, strict=False))
    ]
    n_halved = sum(kind.halves for kind in kinds)
    parts = [
        f"Individual {individual.number} of generation {individual.generation}, {origin(individual)}: "
        f"x{scale}, {len(kinds)} blocks, {n_halved} of them at half the feature scale",
        aligned(("block", "name", "channels", "kind", "feature scale"), rows),
    ]
    values = list(lines(outcome.objectives))
    if values:
        parts.append("\n".join(f"{label}: {value}" for label, value in values))
    if outcome.failed:
        parts.append(f"failed: {outcome.reason}")
    parts.append(
        f"for a recipe:        Spec('esrn', n_feats={n_feats}, blocks={individual.blocks!r})\n"
        f'on a command line:   model=esrn model.n_feats={n_feats} "model.blocks={individual.blocks!r}"'
    )
    return "\n\n".join(parts) + "\n"


def architecture_drawing(blocks: Sequence[str], scale: int) -> Element:
    """Draw a network. The height of a block shows its output channels; the feature scale is drawn below."""
    kinds = [BlockKind.parse(name) for name in blocks]
    widest = max(kind.n_out for kind in kinds)
    first = 160
    lefts = [first + k * _STEP for k in range(len(kinds))]
    after = first + len(kinds) * _STEP + 8
    width = after + 3 * _STEP + 18
    drawn = [_wires(lefts, first - _STEP - 8, after)]
    drawn += [_ending(first - _STEP - 8, "head", ("conv 3×3", "conv 3×3"))]
    drawn += [_block(kind, left, widest) for kind, left in zip(kinds, lefts, strict=True)]
    drawn += [_ending(after, "fuse", ("conv 1×1", "conv 3×3"))]
    drawn += [_ending(after + _STEP + 22, f"× {scale}", ("up, to", "RGB"))]
    drawn.append(_feature_scale(kinds, lefts, first - _STEP - 8, after + _STEP + 22, width, scale))
    return svg(width, 292, "the network's blocks and their feature scale", *drawn)


def _height(kind: BlockKind, widest: int) -> float:
    return 76 + 48 * kind.n_out / widest


def _block(kind: BlockKind, left: float, widest: int) -> Element:
    height = _height(kind, widest)
    top, middle = _BASE - height, left + _BOX / 2
    class_ = f"block {kind.type}" if kind.type in _IN_WORDS else "block other"
    at_half = ", at half the feature scale" if kind.halves else ""
    return element(
        "g",
        element("title", f"{kind}: {in_words(kind)}, {kind.n_out} channels out{at_half}"),
        element("rect", x=left, y=top, width=_BOX, height=height, rx=7),
        text(middle, top + 22, kind.type, class_="type" if len(kind.type) < 5 else "long type"),
        text(middle, _BASE - 41, f"{kind.n_convs} convs"),
        text(middle, _BASE - 25, f"growth {kind.growth}"),
        text(middle, _BASE - 9, f"out {kind.n_out}"),
        class_=class_,
    )


def _ending(left: float, name: str, words: tuple[str, str]) -> Element:
    middle = left + _BOX / 2
    return element(
        "g",
        element("rect", x=left, y=_BASE - 76, width=_BOX, height=76, rx=7),
        text(middle, _BASE - 54, name, class_="type"),
        text(middle, _BASE - 27, words[0]),
        text(middle, _BASE - 11, words[1]),
        class_="block ending",
    )


def _wires(lefts: Sequence[float], head: float, fuse: float) -> Element:
    """Draw the path through the blocks, the outputs of all blocks to the fusion, and the residual connection."""
    flow = _BASE - 84 + 20
    row = [head, *lefts, fuse, fuse + _STEP + 22]
    d = "".join(f"M{a + _BOX} {flow}H{b}" for a, b in pairwise(row))
    # After each block its output goes up to the common line, which leads to the fusion.
    taps = "".join(f"M{left + _BOX + 4} {flow}V{_BUS}" for left in lefts)
    bus = f"{taps}M{lefts[0] + _BOX + 4} {_BUS}H{fuse + _BOX / 2}V{_BASE - 76}"
    add = fuse + _BOX + 11
    residual = f"M{head + _BOX / 2} {_BASE - 76}V{_BUS - 20}H{add}V{flow - 8}"
    return element(
        "g",
        element("path", d=d, class_="wire"),
        element("path", d=bus, class_="wire dense"),
        element("path", d=residual, class_="wire residual"),
        element("circle", cx=add, cy=flow, r=8, class_="plus"),
        text(add, flow + 4.5, "+", class_="type"),
        text(lefts[0] + _BOX + 12, _BUS - 5, "the outputs of all blocks", "start"),
        text(head + _BOX / 2 + 8, _BUS - 25, "shallow features", "start"),
    )


def _feature_scale(
    kinds: Sequence[BlockKind], lefts: Sequence[float], start: float, up: float, width: float, scale: int
) -> Element:
    high, one, half = 212.0, 236.0, 262.0
    group = element("g", class_="scale")
    for y, words in ((high, f"× {scale}"), (one, "1"), (half, "1/2")):
        group.append(element("path", d=f"M{start} {y}H{width - 10}", class_="grid"))
        group.append(text(start - 8, y + 4, words, "end"))
    group.append(text(8, one - 10, "feature", "start", class_="label"))
    group.append(text(8, one + 6, "scale", "start", class_="label"))
    d = f"M{start} {one}"
    for kind, left in zip(kinds, lefts, strict=True):
        if kind.halves:
            a, b = left + 5, left + _BOX - 5
            group.append(element("rect", x=a, y=one, width=b - a, height=half - one, class_="halved"))
            group.append(text(left + _BOX / 2, half + 16, "1/2"))
            d += f"H{a}V{half}H{b}V{one}"
    group.append(element("path", d=f"{d}H{up + _BOX / 2}V{high}H{width - 10}", class_="line level"))
    return group
