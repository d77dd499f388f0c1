"""A training stopped and taken up again from its file."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import QUICK, Small, equal, toy

from metst_lib.experiment.checkpoint import Checkpoint
from metst_lib.training import fit


class Stopped(Exception):
    """What stands for the kill."""


@pytest.fixture
def stopped(tmp_path):
    """A training of six epochs killed in the fifth: (how to go on with it, its checkpoint, what was said)."""
    flows, events = toy()
    six, said = replace(QUICK, epochs=6), []
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this fold", every=0, say=said.append)

    def train(checkpoint=None, settings=six, model=Small, log=lambda line: None):
        return fit(model, flows, events, settings, seed=3, log=log, checkpoint=checkpoint)

    def kill(line):
        if line.startswith("epoch 5/"):
            raise Stopped

    with pytest.raises(Stopped):
        train(checkpoint, log=kill)
    assert checkpoint.path.is_file() and not said
    return train, checkpoint, said


def test_a_stopped_training_goes_on_to_the_same_weights_bit_for_bit(stopped):
    train, checkpoint, said = stopped
    lines = []
    torch.manual_seed(99)  # whatever state the new process is in
    resumed, whole = train(checkpoint, log=lines.append), train()
    assert equal(resumed, whole)
    assert resumed.history.equals(whole.history) and resumed.statistics == whole.statistics
    assert (resumed.resumed, whole.resumed) == (4, 0) and resumed.earlier > 0 == whole.earlier
    assert [line.split(":")[0] for line in lines] == ["epoch 5/6", "epoch 6/6"]
    assert said == [f"training goes on after epoch 4: {checkpoint.path}"]


def test_a_training_without_its_checkpoint_file_starts_anew_in_silence(stopped):
    train, checkpoint, said = stopped
    checkpoint.remove()
    checkpoint.remove()
    assert equal(train(checkpoint), train()) and not said


def test_a_short_training_writes_no_checkpoint(stopped, tmp_path):
    train, _, said = stopped
    patient = Checkpoint(tmp_path / "patient.pt", "this fold", say=said.append)
    train(patient)
    assert not patient.path.exists()


def test_a_checkpoint_of_another_training_is_ignored_with_a_word(stopped):
    train, checkpoint, said = stopped
    other = Checkpoint(checkpoint.path, "another fold", every=0, say=said.append)
    for foreign in (
        {"checkpoint": other},
        {"checkpoint": checkpoint, "settings": replace(QUICK, epochs=7)},
        {"checkpoint": checkpoint, "model": lambda: Small(dim=20)},
    ):
        before = checkpoint.path.read_bytes()
        said.clear()
        assert train(**foreign).resumed == 0
        assert said == [f"{checkpoint.path} is ignored, training starts anew: it belongs to another training"]
        checkpoint.path.write_bytes(before)


def test_a_damaged_checkpoint_is_ignored_with_a_word(stopped):
    train, checkpoint, said = stopped
    whole = checkpoint.path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1  # in the weights, where torch's reader would not see it
    for content in (b"", b"not an archive", whole[: len(whole) // 2], bytes(flipped)):
        checkpoint.path.write_bytes(content)
        said.clear()
        assert checkpoint.read("any") is None
        assert said and "is ignored, training starts anew: it is damaged" in said[0]
    assert equal(train(checkpoint), train())


def test_a_checkpoint_that_would_run_code_is_not_opened(tmp_path):
    said = []
    torch.save({"identity": "this fold", "shape": "any", "code": Stopped()}, tmp_path / "c.pt")
    assert Checkpoint(tmp_path / "c.pt", "this fold", say=said.append).read("any") is None
    assert "it is damaged" in said[0]


def test_a_checkpoint_that_cannot_be_written_stops_no_training(stopped, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    train, _, said = stopped
    monkeypatch.setattr(torch, "save", full)
    assert equal(train(Checkpoint(tmp_path / "c.pt", "this fold", every=0, say=said.append)), train())
    assert len(said) == 5 and list(tmp_path.glob("*c.*")) == []
    assert "no checkpoint could be written, training goes on without" in said[0]
    assert "No space left on device" in said[0]


def test_a_training_that_diverges_is_not_kept(stopped):
    train, checkpoint, _ = stopped

    class Breaks(Small):
        def forward(self, x):
            score, logits = super().forward(x)
            return score, logits * np.nan

    before = checkpoint.path.read_bytes()
    with pytest.raises(FloatingPointError, match="loss is nan in epoch 5"):
        train(checkpoint, model=Breaks)
    assert checkpoint.path.read_bytes() == before  # the last state that was good


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    class Spoilt(Small):
        """Loses a weight in its third epoch, behind a loss that is still finite."""

        def __init__(self):
            super().__init__()
            self.unused = torch.nn.Parameter(torch.zeros(1))

    models = []

    def make():
        models.append(Spoilt())
        return models[-1]

    def spoil(line):
        if line.startswith("epoch 3/"):
            with torch.no_grad():
                models[-1].unused.fill_(np.nan)

    flows, events = toy()
    checkpoint = Checkpoint(tmp_path / "c.pt", "this fold", every=0)
    with pytest.raises(FloatingPointError, match="the last step of epoch 3 left weights that are not finite"):
        fit(make, flows, events, replace(QUICK, epochs=6), seed=3, log=spoil, checkpoint=checkpoint)
    kept = torch.load(checkpoint.path, weights_only=True)
    assert len(kept["history"]) == 2 and torch.isfinite(kept["model"]["unused"]).all()
