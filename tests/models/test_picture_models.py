"""Models that find strange pictures, held against slow exact versions of their papers, and reloaded in safe mode."""

import keras
import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from horngate.models.anomaly.padim import RIDGE, padim
from horngate.models.anomaly.patch_core import NEIGHBOURS, MemoryBank, coreset, patch_core
from horngate.models.anomaly.reconstruction import autoencoder, error_map, reconstructor
from horngate.models.saving import open_model
from horngate.models.vision.patches import NoMaps, Patches, patch_encoder, stage_output
from horngate.models.vision.scaling import Scaling

SIDE = 32


def backbone(side=SIDE) -> keras.Model:
    """Return a tiny network with sums: maps of 1/4 and 1/8 of the side, each stage with an expansion before the next."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((side, side, 3))
    for width in (4, 6, 8):
        x = keras.layers.Conv2D(2 * width, 3, strides=2, padding="same", name=f"wide_{width}", activation="relu")(x)
        x = keras.layers.Conv2D(width, 1, name=f"narrow_{width}")(x)
        x = keras.layers.Add(name=f"sum_{width}")([x, keras.layers.Conv2D(width, 1)(x)])
        x = keras.layers.ReLU(name=f"out_{width}")(x)
        x = keras.layers.Conv2D(3 * width, 1, name=f"expanded_{width}")(x)
    return keras.Model(inputs, x, name="tiny")


@pytest.fixture(scope="module")
def encoder() -> keras.Model:
    return patch_encoder(backbone(), Scaling([1 / 127.5] * 3, [-1.0] * 3, name="scaling"), SIDE, 4)


def pictures(count: int, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def test_patches_come_from_the_last_blocks_of_two_strides(encoder):
    network = backbone()
    assert stage_output(network, SIDE, 4).shape == (None, 8, 8, 6)  # behind the sum, not the expansion that follows
    assert stage_output(network, SIDE, 8).shape == (None, 4, 4, 8)
    assert encoder.output_shape == (None, 8, 8, 14)
    with pytest.raises(NoMaps, match="1/16"):
        stage_output(network, SIDE, 16)


def test_patches_are_means_of_their_neighbourhood_of_length_one_per_map():
    maps = np.random.default_rng(0).normal(size=(1, 6, 6, 3)).astype("float32")
    coarse = np.ones((1, 3, 3, 2), "float32")
    found = np.asarray(Patches()([maps, coarse]))
    mean = maps[0, 1:4, 2:5].mean((0, 1))
    assert found.shape == (1, 6, 6, 5)
    assert found[0, 2, 3, :3] == pytest.approx(mean / np.linalg.norm(mean), rel=1e-5)
    assert np.linalg.norm(found[..., 3:], axis=-1) == pytest.approx(np.ones((1, 6, 6)))


def test_a_coreset_leaves_no_patch_far_away():
    draw = np.random.default_rng(0)
    patches = np.concatenate([draw.normal(0, 0.1, (980, 20)), draw.normal(5, 0.1, (20, 20))]).astype("float32")

    def farthest(rows):
        return np.sqrt(((patches[:, None] - patches[rows][None]) ** 2).sum(2)).min(1).max()

    chosen = coreset(patches, 40, seed=1)
    assert len(set(chosen.tolist())) == 40
    assert farthest(chosen) < 0.9 * farthest(draw.permutation(1000)[:40])
    assert (coreset(patches, 40, seed=1) == chosen).all()


def test_a_coreset_of_equal_patches_is_one_of_them():
    assert len(coreset(np.ones((50, 200), "float32"), 10, seed=0)) == 1


def test_patch_core_scores_as_its_paper_says():
    draw = np.random.default_rng(0)
    kept, patches = draw.normal(size=(30, 5)).astype("float32"), draw.normal(size=(4, 3, 3, 5)).astype("float32")
    bank = MemoryBank(30, 5, NEIGHBOURS)
    bank.build(patches.shape)
    bank.keep(kept)
    found = np.asarray(bank(patches))
    for output, picture in zip(found, patches.reshape(4, 9, 5), strict=True):
        distances = np.linalg.norm(picture[:, None] - kept[None], axis=2)
        assert output[1:] == pytest.approx(distances.min(1), rel=1e-5)
        worst = distances.min(1).argmax()
        nearest = distances[worst].argmin()
        around = np.argsort(np.linalg.norm(kept - kept[nearest], axis=1))[:NEIGHBOURS]
        weight = 1 - np.exp(distances[worst, nearest]) / np.exp(distances[worst, around]).sum()
        assert output[0] == pytest.approx(weight * distances[worst, nearest], rel=1e-4)


def test_padim_measures_from_the_gaussian_of_each_place(encoder):
    seen, strange = pictures(30), pictures(3, seed=1)
    patches = np.asarray(encoder(seen)).reshape(30, 64, 14)
    model = padim(encoder, (np.asarray(encoder(part)) for part in np.array_split(seen, 4)), 100, seed=0)
    found, asked = np.asarray(model(strange)), np.asarray(encoder(strange)).reshape(3, 64, 14)
    covariances = [np.cov(patches[:, place].astype("float64"), rowvar=False) for place in range(64)]
    ridge = RIDGE * np.mean([np.diag(one).mean() for one in covariances]) * np.eye(14)
    for place in (0, 17, 63):
        away = asked[:, place] - patches[:, place].mean(0)
        wanted = np.sqrt(np.einsum("nd,de,ne->n", away, np.linalg.inv(covariances[place] + ridge), away))
        assert found[:, 1 + place] == pytest.approx(wanted, rel=1e-3)
    assert found[:, 0] == pytest.approx(found[:, 1:].max(1))


def test_padim_of_fewer_channels_draws_them_once(encoder):
    model = padim(encoder, [np.asarray(encoder(pictures(8)))], 5, seed=3)
    assert model.get_layer("gaussians").means.shape == (64, 5)
    assert np.isfinite(np.asarray(model(pictures(2)))).all()


def test_structural_similarity_is_that_of_its_paper():
    draw = np.random.default_rng(0)
    left, right = draw.random((2, 1, 20, 20, 3)).astype("float32")

    def mean(values):
        return uniform_filter(values.astype("float64"), 7)[10, 10]

    wanted = []
    for a, b in zip(np.moveaxis(left[0], 2, 0), np.moveaxis(right[0], 2, 0), strict=True):
        light = (2 * mean(a) * mean(b) + 1e-4) / (mean(a) ** 2 + mean(b) ** 2 + 1e-4)
        spread = mean(a * a) - mean(a) ** 2 + mean(b * b) - mean(b) ** 2
        wanted.append(light * (2 * (mean(a * b) - mean(a) * mean(b)) + 9e-4) / (spread + 9e-4))
    assert float(error_map(left, right, "ssim")[0, 10, 10, 0]) == pytest.approx(1 - np.mean(wanted), rel=1e-4)
    assert float(np.abs(error_map(left, left, "ssim")).max()) < 1e-5
    squared = float(error_map(left, right, "squared")[0, 10, 10, 0])
    assert squared == pytest.approx(((left - right)[0, 7:14, 7:14] ** 2).mean(), rel=1e-4)


@pytest.mark.parametrize("side", [16, 45])
def test_an_autoencoder_draws_pictures_of_any_side(side):
    network = reconstructor(side, 4, width=4)
    model = autoencoder(network, "ssim")
    assert network.output_shape == (None, side, side, 3)
    assert model.output_shape == (None, 1 + (-(-side // 4)) ** 2)


def test_fitted_models_answer_the_same_after_reloading_in_safe_mode(encoder, tmp_path):
    asked = pictures(3, seed=5)
    kept = np.asarray(encoder(pictures(4))).reshape(-1, 14)[::5]
    made = (
        patch_core(encoder, kept),
        padim(encoder, [np.asarray(encoder(pictures(6)))], 8, seed=0),
        autoencoder(reconstructor(SIDE, 4, width=4), "squared"),
    )
    for model in made:
        model.save(tmp_path / "model.keras")
        again = open_model(tmp_path / "model.keras")
        assert np.array_equal(np.asarray(again(asked)), np.asarray(model(asked)))
