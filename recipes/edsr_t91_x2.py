"""A small EDSR x2 (4 blocks, 32 features) on the 91 pictures of T91. docs/results.md shows its training curve.

Run:       python tools/run.py recipes/edsr_t91_x2.py data.root=DATA data.train.root=DATA/T91
Expected:  36.68 dB on Set5, 32.43 dB on Set14 (paper_y); two seeds differed by 0.02 dB
Time:      about 17 minutes on two free cores
"""

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    return Recipe(
        name="edsr_t91_x2",
        scale=2,
        model=Spec("edsr", n_resblocks=4, n_feats=32),
        data=Data(
            root="data",
            # T91 has no low-resolution files. The shortest side of its pictures is 78 px.
            train=Spec("folder", root="data/T91", lr_type="on_the_fly"),
            gt_patch_px=64,
            batch_size=8,
        ),
        train=Train(steps=4000, log_every=50),
        # A small network tolerates ten times the paper's learning rate. The cosine lowers it to 0 at the end.
        optim=Optim(lr=1e-3, schedule=Spec("cosine", warmup=100)),
        benchmarks={
            # The means of two seeds. To verify another seed, use --tolerance-db 0.05.
            "set5": Benchmark(Spec("set5"), protocol="paper_y", psnr=36.68),
            "set14": Benchmark(Spec("set14"), protocol="paper_y", psnr=32.43),
        },
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000),
            evaluate=Spec("evaluate", every=200),
        ),
    )


def smoke() -> Recipe:
    return twin(recipe(), n_resblocks=2, n_feats=16)
