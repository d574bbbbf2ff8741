"""RDN x2 (16 blocks of 8 convolutions, 22.1 M parameters): the row "RDN x2" of Zhang et al., CVPR 2018.

Run:       python tools/run.py recipes/rdn_x2.py data.root=FOLDER
           FOLDER contains DIV2K and the folders Set5, Set14, B100 and Urban100; for x3 add scale=3 data.gt_patch_px=96,
           for x4 scale=4 data.gt_patch_px=128
Expected:  38.24 dB on Set5 (paper_y); Set14 34.01, B100 32.34, Urban100 32.89
Time:      about one day for 200 epochs on one Titan Xp (from the paper)
"""

from srtrain.recipe import Benchmark, Data, Epochs, Optim, Recipe, Spec, Train, standard_hooks
from srtrain.recipe.smoke import twin

PSNR = {"set5": 38.24, "set14": 34.01, "b100": 32.34, "urban100": 32.89}


def recipe() -> Recipe:
    """Return the training of section 5.1: input patches of 32 px, 1000 updates an epoch, 1e-4 halved every 200 epochs.

    The paper does not state the number of epochs; 1000 is our reading.
    """
    return Recipe(
        name="rdn_x2",
        scale=2,
        model=Spec("rdn", n_blocks=16, n_convs=8, growth=64, n_feats=64),
        data=Data(train=Spec("div2k_train"), gt_patch_px=64, batch_size=16, cache="mmap", workers=2),
        train=Train(epochs=1000, steps_per_epoch=1000, log_every=100),
        optim=Optim(
            Spec("adam", beta1=0.9, beta2=0.999), lr=1e-4, schedule=Spec("halve_every", period=Epochs(200))
        ),
        benchmarks={
            name: Benchmark(Spec(name), protocol="paper_y", psnr=psnr) for name, psnr in PSNR.items()
        },
        hooks=standard_hooks(
            checkpoint=Spec("checkpoint", every=Epochs(1), keep=5),
            evaluate=Spec("evaluate", every=Epochs(10)),
            self_ensemble=Spec("self_ensemble_evaluate", every=Epochs(200)),
        ),
    )


def smoke() -> Recipe:
    return twin(recipe(), n_blocks=2, n_convs=2, growth=8, n_feats=16)
