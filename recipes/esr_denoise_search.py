"""The ESR-EA search for a denoising network: scale 1, Gaussian noise of sigma 25, the authors' evolution.

Run:       python tools/run.py recipes/esr_denoise_search.py data.root=FOLDER_OF_DIV2K
Expected:  runs/esr_denoise_search/report.html; the noisy input has 20.23 dB on chelsea (basicsr_rgb)
Time:      160 trainings with 25 000 updates each
"""

from _esr import search, small_search
from _lowlevel import NOISE, restoration

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return restoration(search("esr_denoise_search", scale=1), "esr_denoise_search", NOISE)


def smoke() -> Recipe:
    return small_search(recipe())
