"""The better built-in models: EDSR with 12 blocks and 32 features on T91, for x2, x3 and x4.

Run:       python tools/run.py recipes/edsr_medium.py name=edsr_medium_x2 data.root=DATA data.train.root=DATA/T91
           then scale=3 name=edsr_medium_x3 init_from=runs/edsr_medium_x2 data.batch_size=16, and the same for 4
Expected:  more than 36.68 dB on Set5 at x2 (paper_y); the card of each built-in model has its scores
Time:      about one hour for each scale on two free cores
"""

from _built_in import built_in
from _edsr import small

from srtrain.recipe import Recipe


def recipe() -> Recipe:
    return built_in("edsr_medium", n_resblocks=12, n_feats=32, steps=20_000)


def smoke() -> Recipe:
    return small(recipe())
