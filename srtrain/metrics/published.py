"""Published scores to compare with: PSNR in dB and SSIM, each with its protocol."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

BICUBIC = {
    "set5": {2: 33.66, 3: 30.39, 4: 28.42},
    "set14": {2: 30.24, 3: 27.55, 4: 26.00},
    "b100": {2: 29.56, 3: 27.21, 4: 25.96},
    "urban100": {2: 26.88, 3: 24.46, 4: 23.14},
}
"""PSNR on Y of MATLAB's bicubic, as printed in the papers, which measure a grey picture by its raw grey values."""

SELF_ENSEMBLE = "self-ensemble x8"


@dataclass(frozen=True)
class Published:
    """A published score of one network on one set.

    Attributes:
        psnr: in dB.
        ssim: ``None`` if it was not published.
        source: the publication.
    """

    psnr: float
    ssim: float | None
    source: str


_SETS = ("set5", "set14", "b100", "urban100")

# EDSR section 4.4 and table 3; the baseline's from the authors' repository. Set5, Set14, B100, Urban100; DIV2K.
_EDSR = {
    ("EDSR (full)", 2): ("38.11/0.9601 33.92/0.9195 32.32/0.9013 32.93/0.9351", 35.03),
    ("EDSR (full)", 3): ("34.65/0.9282 30.52/0.8462 29.25/0.8093 28.80/0.8653", 31.26),
    ("EDSR (full)", 4): ("32.46/0.8968 28.80/0.7876 27.71/0.7420 26.64/0.8033", 29.25),
    ("EDSR-baseline", 2): ("37.99/0.9604 33.57/0.9175 32.16/0.8994 31.98/0.9272", 34.61),
    ("EDSR-baseline", 3): ("34.37/0.9270 30.28/0.8414 29.08/0.8051 28.15/0.852", 30.92),
    ("EDSR-baseline", 4): ("32.09/0.8936 28.58/0.7804 27.56/0.7354 26.03/0.7842", 28.95),
}
# EDSR table 3: EDSR+, which is EDSR (full) with the self-ensemble.
_EDSR_PLUS = {
    ("EDSR+", 2): ("38.20/0.9606 34.02/0.9204 32.37/0.9018 33.10/0.9363", 35.12),
    ("EDSR+", 3): ("34.76/0.9290 30.66/0.8481 29.32/0.8104 29.02/0.8685", 31.39),
    ("EDSR+", 4): ("32.62/0.8984 28.94/0.7901 27.79/0.7437 26.86/0.8080", 29.38),
}
# EDSR table 3: MDSR, and MDSR+ with the self-ensemble.
_MDSR = {
    ("MDSR", 2): ("38.11/0.9602 33.85/0.9198 32.29/0.9007 32.84/0.9347", 34.96),
    ("MDSR", 3): ("34.66/0.9280 30.44/0.8452 29.25/0.8091 28.79/0.8655", 31.25),
    ("MDSR", 4): ("32.50/0.8973 28.72/0.7857 27.72/0.7418 26.67/0.8041", 29.26),
}
_MDSR_PLUS = {
    ("MDSR", 2): ("38.17/0.9605 33.92/0.9203 32.34/0.9014 33.03/0.9362", 35.05),
    ("MDSR", 3): ("34.77/0.9288 30.53/0.8465 29.30/0.8101 28.99/0.8683", 31.36),
    ("MDSR", 4): ("32.60/0.8982 28.82/0.7876 27.78/0.7425 26.86/0.8082", 29.36),
}
# The authors' repository (EDSR-PyTorch).
_MDSR_BASELINE = {2: 34.63, 3: 30.94, 4: 28.97}
# RDN table 3 (without the self-ensemble): Set5, Set14, B100, Urban100.
_RDN = {
    2: "38.24/0.9614 34.01/0.9212 32.34/0.9017 32.89/0.9353",
    3: "34.71/0.9296 30.57/0.8468 29.26/0.8093 28.80/0.8653",
    4: "32.47/0.8990 28.81/0.7871 27.72/0.7419 26.61/0.8028",
}
# The MindSpore model zoo's table (Ascend 910), with the self-ensemble: the four sets, then DIV2K.
_MODEL_ZOO = {
    2: (38.275, 34.059, 32.393, 32.970, 35.063),
    3: (34.777, 30.684, 29.332, 29.019, 31.380),
    4: (32.618, 28.928, 27.792, 26.849, 29.370),
}
# BasicSR's table of the official weights: Set5, Set14, DIV2K.
_BASICSR = {
    ("EDSR (full)", 2): (35.998, 31.858, 35.050),
    ("EDSR (full)", 3): (32.643, 28.644, 31.280),
    ("EDSR (full)", 4): (30.550, 27.001, 29.277),
    ("EDSR-baseline", 2): (35.777, 31.497, 34.629),
    ("EDSR-baseline", 3): (32.360, 28.393, 30.944),
    ("EDSR-baseline", 4): (30.182, 26.753, 28.968),
}


def published(model: str, scale: int, benchmark: str, protocol: str, method: str) -> Published | None:
    """Return the published score of a network, or ``None``.

    Args:
        model: its name in papers: ``bicubic``, ``EDSR-baseline``, ``EDSR (full)``, ``MDSR``, ``MDSR-baseline`` or
            ``RDN``. ``EDSR (full)`` with the self-ensemble has the model zoo's scores; ``EDSR+`` has the paper's.
        scale: upscaling factor.
        benchmark: the data set's registered name, such as ``set5`` or ``div2k_valid``.
        protocol: the protocol's registered name; scores of other protocols are not returned.
        method: ``plain`` or ``self-ensemble x8``.
    """
    return _all().get((model, scale, benchmark, protocol, method))


def _on_y(
    model: str, scale: int, row: str, source: str, method: str = "plain"
) -> dict[tuple[str, int, str, str, str], Published]:
    """Return the rows of a line ``PSNR/SSIM PSNR/SSIM …`` for the four sets."""
    scores = [tuple(map(float, pair.split("/"))) for pair in row.split()]
    return {
        (model, scale, benchmark, "paper_y", method): Published(psnr, ssim, source)
        for benchmark, (psnr, ssim) in zip(_SETS, scores, strict=True)
    }


@lru_cache(maxsize=1)
def _all() -> dict[tuple[str, int, str, str, str], Published]:
    rows: dict[tuple[str, int, str, str, str], Published] = {}
    for benchmark, scales in BICUBIC.items():
        for scale, psnr in scales.items():
            rows["bicubic", scale, benchmark, "paper_y", "plain"] = Published(psnr, None, "EDSR, table 3")
    tables = (({**_EDSR, **_MDSR}, "plain"), ({**_EDSR_PLUS, **_MDSR_PLUS}, SELF_ENSEMBLE))
    for table, method in tables:
        for (model, scale), (on_y, div2k) in table.items():
            rows |= _on_y(model, scale, on_y, "EDSR", method)
            rows[model, scale, "div2k_valid", "div2k_rgb", method] = Published(div2k, None, "EDSR")
    for scale, psnr in _MDSR_BASELINE.items():
        rows["MDSR-baseline", scale, "div2k_valid", "div2k_rgb", "plain"] = Published(
            psnr, None, "EDSR-PyTorch"
        )
    for scale, on_y in _RDN.items():
        rows |= _on_y("RDN", scale, on_y, "RDN")
    for scale, row in _MODEL_ZOO.items():
        for benchmark, psnr in zip((*_SETS, "div2k_valid"), row, strict=True):
            protocol = "div2k_rgb" if benchmark == "div2k_valid" else "paper_y"
            key = ("EDSR (full)", scale, benchmark, protocol, SELF_ENSEMBLE)
            rows[key] = Published(psnr, None, "MindSpore model zoo")
    for (model, scale), on_rgb in _BASICSR.items():
        for benchmark, psnr in zip(("set5", "set14", "div2k_valid"), on_rgb, strict=True):
            rows[model, scale, benchmark, "basicsr_rgb", "plain"] = Published(psnr, None, "BasicSR")
    return rows
