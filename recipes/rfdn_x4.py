"""RFDN x4 (4 blocks, 50 features, 433 448 parameters) of Liu et al., ECCV workshops 2020.

Run:       python tools/run.py recipes/rfdn_x4.py data.root=FOLDER
           FOLDER contains DIV2K, Set5 and Set14
Expected:  32.16 dB on Set5 (paper_y); Set14 28.65: what the authors' weights score
Time:      not measured: a day or more on one card
"""

from srtrain.recipe import Benchmark, Data, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin

PSNR = {"set5": 32.159, "set14": 28.645}


def recipe() -> Recipe:
    """Return the training of section 4.1: input of 64 px, batches of 64, L1, Adam, 5e-4 halved every 2e5.

    The authors also train on Flickr2K. 1e6 updates in all are our reading.
    """
    return Recipe(
        name="rfdn_x4",
        scale=4,
        model=Spec("rfdn"),
        data=Data(train=Spec("div2k_train"), gt_patch_px=256, batch_size=64, cache="mmap", workers=2),
        train=Train(steps=1_000_000, log_every=100),
        optim=Optim(
            Spec("adam", beta1=0.9, beta2=0.999), lr=5e-4, schedule=Spec("halve_every", period=200_000)
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
