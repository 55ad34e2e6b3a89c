"""Networks that spell sounds, and their loss."""

from itertools import product

import keras
import numpy as np
import pytest

from horngate.models.saving import open_model
from horngate.models.speech.transcription import CtcLoss, Transcriber, TranscriberConfig, frames
from horngate.pipelines.speech.transcribe.recordings import filled, sounding, together

RATE = 8000


def network(kind: str) -> Transcriber:
    return Transcriber.around(TranscriberConfig(RATE, 3, 4, kind, width=32, depth=1, seed=1))


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)


@pytest.mark.parametrize("kind", ["convolution", "recurrent", "conformer"])
def test_how_far_a_batch_is_filled_up_changes_no_answer(kind, sound):
    answers = network(kind).answers
    short, long = (np.pad(sound, (0, more))[None] for more in (0, 2777))
    count = frames(len(sound), 200, 80, 4)
    first, second = (np.asarray(answers(batch, training=False))[0] for batch in (short, long))
    assert np.abs(first[:count] - second[:count]).max() < 1e-4
    assert (second[count:, 0] == 0).all() and (second[count:, 1:] == -30).all()
    assert np.allclose(np.exp(first).sum(-1), 1, atol=1e-5)


def test_a_saved_network_answers_the_same_and_keeps_its_features(sound, tmp_path):
    made = network("convolution")
    made.answers.save(tmp_path / "model.keras")
    opened = Transcriber.within(open_model(tmp_path / "model.keras"))
    for one in (made.answers, made.logits, made.features()):
        other = {"answers": opened.answers, "logits": opened.logits}.get(one.name) or opened.features()
        assert np.allclose(one(sound[None], training=False), other(sound[None], training=False), atol=1e-6)
    assert made.features().output_shape == (None, 32)


def test_the_shortest_sound_has_a_frame_and_silence_is_surely_blank():
    answers = network("convolution").answers
    found = np.asarray(answers(np.full((1, 1), 0.5, np.float32), training=False))
    assert found.shape[1] >= 1
    silence = np.asarray(answers(np.zeros((1, 4000), np.float32), training=False))
    assert (silence[..., 0] == 0).all()


def test_the_loss_is_that_of_all_paths_and_leaves_padding_out():
    draw = np.random.default_rng(2)
    logits = draw.normal(size=(2, 6, 3)).astype(np.float32)
    logs = np.asarray(keras.ops.log_softmax(logits))
    targets, lengths = [(1, 2), (1, 1)], (4, 6)
    wanted = []
    for row, (target, length) in enumerate(zip(targets, lengths, strict=True)):
        total = 0.0
        for path in product(range(3), repeat=length):
            spelt = tuple(unit for place, unit in enumerate(path) if unit and (not place or path[place - 1] != unit))
            total += np.exp(logs[row, np.arange(length), list(path)].sum()) * (spelt == target)
        wanted.append(-np.log(total) / len(target))
    packed = np.array([[length, *target, 0] for target, length in zip(targets, lengths, strict=True)], np.int32)
    assert np.allclose(CtcLoss(reduction=None)(packed, logits), wanted, atol=1e-4)


def test_batches_have_few_lengths_and_hold_what_they_are_given():
    lengths = {filled(count, RATE) for count in range(1, 30 * RATE, 97)}
    assert len(lengths) <= 16
    batch = together([np.ones(3, np.float32), None], RATE, 4)
    assert batch.shape == (4, filled(3, RATE)) and batch.sum() == 3
    assert sounding(np.array([0, 1, 0], np.float32)) == 2 and sounding(np.zeros(3, np.float32)) == 0
