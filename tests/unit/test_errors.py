"""Exit codes by type of error; a suggestion is the nearest name, or nothing."""

import pytest

from srtrain import errors
from srtrain.errors import SrtrainError, UserError, did_you_mean, listing, masked, without_credentials


def test_only_what_a_user_can_mend_exits_with_2():
    kinds = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, SrtrainError)]
    codes = {kind.__name__: kind.exit_code for kind in kinds}
    assert codes == {
        "SrtrainError": 1,
        "MachineError": 1,
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


@pytest.mark.parametrize(
    ("text", "shown", "without"),
    [
        ("s3://user:pw@bucket/a@2x", "s3://***@bucket/a@2x", "s3://bucket/a@2x"),
        ("s3://KEY:a/b+c=@bucket/x, s3://b/c", "s3://***@bucket/x, s3://b/c", "s3://bucket/x, s3://b/c"),
        (
            "https://token@host:80/x 'https://h:9000/a@2x'",
            "https://***@host:80/x 'https://h:9000/a@2x'",
            None,
        ),
        ("obs://b/x?AccessKeyId=A&Expires=9", "obs://b/x?AccessKeyId=***&Expires=9", "obs://b/x&Expires=9"),
        ("u=https://h/x?X-Amz-Signature=ab%2F;sig=c#d", "u=https://h/x?X-Amz-Signature=***;sig=***#d", None),
        ('{"a": "s3://u:p\'w@b/x?token=t", "k": 1}', '{"a": "s3://***@b/x?token=***", "k": 1}', None),
        ("me@example.org, key=value ?token=1", "me@example.org, key=value ?token=1", None),
    ],
)
def test_credentials_in_addresses_are_masked_and_nothing_else(text, shown, without):
    assert masked(text) == shown
    assert masked(shown) == shown
    assert without_credentials(shown) == without_credentials(text)
    assert without is None or without_credentials(text) == without
