"""The full training of a network that a search has found; here the authors' example of one, 520 595 parameters.

Run:       python tools/run.py recipes/esr_x2_full.py data.root=FOLDER_OF_DIV2K
           with "model.blocks=('S_8_16_32', …)" for another network: architecture.txt of a search has that line
Expected:  not published for this network; the paper's ESRN-V (324 thousand parameters) reaches
           37.85 dB on Set5 (paper_y)
Time:      750 000 updates of batch 16
"""

from _esr import full

from srtrain.recipe import Recipe
from srtrain.recipe.smoke import twin


def recipe() -> Recipe:
    return full("esr_x2_full", scale=2)


def smoke() -> Recipe:
    return twin(recipe(), n_feats=16, blocks=("S_2_8_16", "G_3_8_16", "C_2_8_16"))
