"""IMDN x2 (6 blocks, 64 features, 694 404 parameters) of Hui et al., ACM MM 2019.

Run:       python tools/run.py recipes/imdn_x2.py data.root=FOLDER
           FOLDER contains DIV2K, Set5 and Set14; for x3 and x4 add scale=3 data.gt_patch_px=144 or scale=4
Expected:  38.00 dB on Set5 (paper_y); Set14 33.63: what the authors' weights score
Time:      not measured: a day or more on one card
"""

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin

PSNR = {"set5": 37.996, "set14": 33.627}


def recipe() -> Recipe:
    """Return the training of section 4.1: patches of 192 px, L1, Adam, 2e-4 halved every 2e5 updates.

    1e6 updates in all are our reading.
    """
    return Recipe(
        name="imdn_x2",
        scale=2,
        model=Spec("imdn"),
        data=Data(train=Spec("div2k_train"), gt_patch_px=192, batch_size=16, cache="mmap", workers=2),
        train=Train(steps=1_000_000, log_every=100),
        optim=Optim(
            Spec("adam", beta1=0.9, beta2=0.999), lr=2e-4, schedule=Spec("halve_every", period=200_000)
        ),
        benchmarks={
            name: Benchmark(Spec(name), protocol="paper_y", psnr=psnr) for name, psnr in PSNR.items()
        },
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=1000, keep=5), evaluate=Spec("evaluate", every=10_000)
        ),
        plugins=("light",),
    )


def smoke() -> Recipe:
    return twin(recipe(), n_blocks=1, n_feats=16)
