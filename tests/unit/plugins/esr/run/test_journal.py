"""The journal: results are found again, one rank trains each network, and a dead rank leaves no claim."""

import pytest
from srtrain_plugins.esr.run.journal import MAX_LOSSES, Journal, key
from srtrain_plugins.esr.search.types import Outcome

from srtrain.errors import CheckpointError

BLOCKS = ("S_4_8_8", "C_4_8_8")
GOOD = Outcome(
    {"psnr": 33.25, "parameters": 1234, "multi_adds": 5e9}, drops=(0.5, None), seconds={"train": 2.0}
)


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "search", "digest", rank=0)
    journal.begin()
    return journal


def test_an_outcome_comes_back_as_it_was(journal, tmp_path):
    assert journal.outcome(BLOCKS) is None
    failed = Outcome({}, "it did not work")
    journal.record(BLOCKS, GOOD)
    journal.record(BLOCKS[:1], failed)
    again = Journal(tmp_path / "search", "digest", rank=1)
    assert again.outcome(BLOCKS) == GOOD
    assert again.outcome(BLOCKS[:1]) == failed
    assert again.outcome(BLOCKS[1:]) is None
    assert len(again) == 2


def test_one_rank_gets_a_network(journal, tmp_path):
    other = Journal(tmp_path / "search", "digest", rank=1)
    assert journal.claim(BLOCKS)
    assert not other.claim(BLOCKS)
    journal.release(BLOCKS)
    assert other.claim(BLOCKS)
    other.record(BLOCKS, GOOD)
    assert not journal.claim(BLOCKS)
    assert not list((tmp_path / "search" / "claims").iterdir())


def test_a_claim_of_the_dead_becomes_a_loss(journal):
    journal.claim(BLOCKS)
    assert journal.forget_claims() == ["rank 0"]
    assert journal.n_losses(BLOCKS) == 1
    assert journal.claim(BLOCKS)
    journal.forget_claims()
    assert journal.n_losses(BLOCKS) == 2 < MAX_LOSSES
    assert journal.forget_claims() == []


def test_a_claim_beside_its_outcome_is_no_loss(journal):
    journal.record(BLOCKS, GOOD)
    (journal.folder / "claims" / key(BLOCKS)).write_text("rank 0\n")
    assert journal.forget_claims() == []
    assert journal.n_losses(BLOCKS) == 0


def test_outcomes_of_other_settings_are_refused(journal, tmp_path):
    journal.record(BLOCKS, GOOD)
    with pytest.raises(CheckpointError, match="trains or scores its candidates with other settings"):
        Journal(tmp_path / "search", "another", rank=0).outcome(BLOCKS)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_file_is_named(journal, text):
    journal.record(BLOCKS, GOOD)
    file = journal.folder / "individuals" / f"{key(BLOCKS)}.json"
    file.write_text(text)
    with pytest.raises(CheckpointError, match=rf"{file.name}' is damaged .* Delete it"):
        journal.outcome(BLOCKS)
