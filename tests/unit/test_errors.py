"""Exit codes by type of error; a suggestion is the nearest name, or nothing."""

import pytest

from srtrain import errors
from srtrain.errors import SrtrainError, UserError, did_you_mean, listing


def test_only_what_a_user_can_mend_exits_with_2():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SrtrainError)]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "SrtrainError": 1,
        "ExportError": 1,
        "UnsupportedError": 1,
        "TrainingDivergedError": 1,
        "UserError": 2,
        "RecipeError": 2,
        "DataError": 2,
        "CheckpointError": 2,
        "RunFolderError": 2,
        "DeviceError": 2,
        "UnknownNameError": 2,
        "HookError": 2,
    }


def test_an_unknown_name_is_a_lookup_error_whose_text_is_plain():
    error = errors.UnknownNameError("no 'x'\nhere")
    assert isinstance(error, LookupError)
    assert isinstance(error, UserError)
    assert str(error) == "no 'x'\nhere"


@pytest.mark.parametrize(
    ("given", "guess"),
    [
        ("edrs", " Did you mean 'edsr'?"),
        ("EDSR", " Did you mean 'edsr'?"),
        ("esnr", " Did you mean 'ESRN'?"),
        ("transformer", ""),
    ],
)
def test_the_nearest_name_is_suggested_whatever_its_case(given, guess):
    assert did_you_mean(given, ["edsr", "ESRN", "rcan"]) == guess


def test_a_long_listing_counts_its_tail():
    assert listing([]) == "(none)"
    assert listing(["b", "a"]) == "a, b"
    assert listing((f"n{i}" for i in range(10, 33)), limit=3) == "n10, n11, n12, … and 20 more"
