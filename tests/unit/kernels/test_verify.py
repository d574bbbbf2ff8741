"""Programs from files: a wrong one is refused before it can touch memory that is not its own."""

import numpy as np
import pytest

from srtrain.kernels.forms import program_of
from srtrain.kernels.forward import Forward
from srtrain.kernels.library import F43
from srtrain.kernels.verify import BadProgramError, verify
from srtrain.models.collapse import Kernel
from srtrain.models.collapsed import collapse_end
from srtrain.models.edsr import EDSR
from srtrain.models.esrn import ESRN

NETWORKS = {
    "edsr": lambda: EDSR(2, n_resblocks=2, n_feats=8),
    "esrn": lambda: ESRN(2, blocks=("S_2_16_16", "G_2_16_32", "S_2_32_16")),
    "halves": lambda: ESRN(2, blocks=("C_2_16_16",)),
    "collapsed": lambda: collapsed(EDSR(2, n_resblocks=1, n_feats=8)),
}


def collapsed(model):
    assert collapse_end(model, may_offset=False)
    return model


@pytest.fixture(params=NETWORKS, scope="module")
def program(request):
    """Return the library, and a right program: its words, its parameters and its corrections of the sides."""
    made = program_of(NETWORKS[request.param](), F43, has_gradient=False)
    words = made.for_inference().encode()
    return made.library, words, made.values(), made.border


def test_a_right_program_is_accepted_and_says_what_it_maps(program):
    library, words, parameters, _ = program
    shape = verify(words, parameters, library.lanes)
    assert (shape.n_in, shape.n_out, shape.scale) == (3, 3, 2)


def test_a_damaged_program_is_refused_or_runs_inside_its_memory(program):
    """Each word is set to several wrong values. A program that is still accepted is run, which must not crash."""
    library, words, parameters, border = program
    n_refused = n_run = 0
    for at in range(len(words)):
        for value in (-1, 0, 1, 2, words[at] + 1, words[at] + 8, 2**31 - 1, -(2**31)):
            damaged = words.copy()
            damaged[at] = value
            try:
                forward = Forward(library, damaged, parameters, border)
            except BadProgramError:
                n_refused += 1
                continue
            if forward.memory_bytes(6, 7) < 2**24:
                y = forward(np.ones((1, forward.n_in, 6, 7), np.float32))
                assert y.shape[2:] == (6 * forward.scale, 7 * forward.scale)
                n_run += 1
    assert n_refused > n_run > 0


def test_a_program_that_is_cut_off_or_has_other_weights_is_refused(program):
    library, words, parameters, border = program
    for length in range(len(words) - 3):  # without the three constants of the mean it is shorter than it says
        with pytest.raises(BadProgramError):
            verify(words[:length], parameters, library.lanes)
    with pytest.raises(BadProgramError, match="weights of a wrong shape"):
        verify(words, [parameters[0][:, :1], *parameters[1:]], library.lanes)
    with pytest.raises(BadProgramError, match="no header"):
        verify(words.astype(np.float32), parameters, library.lanes)
    with pytest.raises(ValueError, match="4 channels were given"):
        Forward(library, words, parameters, border)(np.zeros((1, 4, 5, 5), np.float32))


def test_corrections_that_are_missing_or_have_another_shape_are_refused():
    made = program_of(NETWORKS["collapsed"](), F43, has_gradient=False)
    words, parameters = made.for_inference().encode(), made.values()
    with pytest.raises(BadProgramError, match="corrections for no side"):
        Forward(made.library, words, parameters)
    for place, kernel in made.border.items():
        for wrong in (
            Kernel(kernel.weight[:, :-1], kernel.bias),
            Kernel(kernel.weight[:-3], kernel.bias[:-3]),
            Kernel(kernel.weight, kernel.bias[:-1]),
            Kernel(kernel.weight[..., :-1], kernel.bias),
            Kernel(kernel.weight[0], kernel.bias),
        ):
            with pytest.raises(BadProgramError, match="a correction of the"):
                Forward(made.library, words, parameters, {**made.border, place: wrong})
