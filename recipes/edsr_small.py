"""The small built-in models: EDSR with 4 blocks and 16 features on T91, for x2, x3 and x4.

Run:       python tools/run.py recipes/edsr_small.py name=edsr_small_x2 data.root=DATA data.train.root=DATA/T91
           then scale=3 name=edsr_small_x3 init_from=runs/edsr_small_x2 data.batch_size=16, and the same for 4
Expected:  about 36.50 dB on Set5 at x2 (paper_y); the card of each built-in model has its scores
Time:      about 40 minutes for each scale on two free cores
"""

from _built_in import built_in, small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return built_in("edsr_small", n_resblocks=4, n_feats=16, steps=30_000)


def smoke() -> Recipe:
    return small(recipe())
