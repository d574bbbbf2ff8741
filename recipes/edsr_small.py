"""The small built-in models: EDSR with 4 blocks and 16 features on T91, for x2, x3 and x4.

Run:       python tools/run.py recipes/edsr_small.py name=edsr_small_x2 data.root=DATA data.train.root=DATA/T91
           then scale=3 name=edsr_small_x3 init_from=runs/edsr_small_x2 data.batch_size=16 train.steps=5000, and the
           same for 4
Expected:  36.97 dB on Set5 at x2, 32.97 dB at x3, 30.67 dB at x4 (paper_y)
Time:      about 15 minutes for x2 on two free cores, 5 minutes each for x3 and x4
"""

from _built_in import built_in
from _edsr import small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return built_in("edsr_small", n_resblocks=4, n_feats=16, steps=30_000)


def smoke() -> Recipe:
    return small(recipe())
