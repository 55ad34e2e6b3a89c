"""Models: scaling, heads, layer-wise rates, the resumable loop, and files that are not trusted."""

import json
import threading
import zipfile

import keras
import numpy as np
import pytest

from horngate.models.backbones.pictures import BackboneError, architectures, picture_encoder
from horngate.models.network import Network, compile_classifier, depths, thaw
from horngate.models.saving import open_model
from horngate.models.training import checkpoint, transfer
from horngate.models.training.checkpoint import DamagedCheckpoint
from horngate.models.training.learning import ArrayRows, CheckpointPolicy, Diverged, Interrupted, Plan, learn
from horngate.models.training.optimizer import adamw
from horngate.models.trust import Untrusted
from horngate.models.vision.grad_cam import grad_cam
from horngate.models.vision.scaling import scaling_like

ONE_OF_EACH = (
    "mobilenet_v2",
    "mobilenet_v3_small",
    "resnet50",
    "resnet50_v2",
    "vgg16",
    "densenet121",
    "efficientnet_b0",
)
ONE_OF_EACH += ("efficientnet_v2_b0", "convnext_tiny", "inception_v3", "nasnet_mobile", "xception")


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_scaling_inside_the_model_is_that_of_the_architecture(name):
    _, preprocess = architectures()[name]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    ours = np.asarray(scaling_like(preprocess)(pixels))
    theirs = preprocess(pixels.astype("float32"))
    assert np.abs(ours - np.asarray(theirs)).max() < 1e-4


def test_every_architecture_has_a_snake_case_name():
    assert {
        "mobilenet",
        "mobilenet_v2",
        "convnext_tiny",
        "efficientnet_v2_b0",
        "nasnet_large",
    } <= architectures().keys()
    assert len(architectures()) >= 38


def test_a_random_start_needs_no_network_and_other_wishes_are_explained(tmp_path, monkeypatch):
    assert picture_encoder("mobilenet", "none", 32, 0.25, 32).output_shape == (None, 256)
    with pytest.raises(BackboneError, match="no width multiplier"):
        picture_encoder("resnet50", "none", 32, 0.5, 32)
    with pytest.raises(BackboneError, match="is no file"):
        picture_encoder("mobilenet", "missing.h5", 32, None, 32)
    with pytest.raises(BackboneError, match='Did you mean "mobilenet_v2"'):
        picture_encoder("mobilnet_v2", "none", 32, None, 32)

    def no_network(*words, **options):
        raise OSError("URL fetch failure on https://example.org/w.h5: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", no_network)
    with pytest.raises(BackboneError, match=r"download https://example.org/w.h5 on one with a network.*--weights FILE"):
        picture_encoder("mobilenet", "imagenet", 224, None, 32)


def test_weights_that_do_not_fit_are_one_line(tmp_path):
    small = picture_encoder("mobilenet", "none", 32, 0.25, 32)
    path = tmp_path / "w.weights.h5"
    small.layers[2].save_weights(path)
    with pytest.raises(BackboneError, match="doesn't fit mobilenet.*--alpha"):
        picture_encoder("mobilenet", str(path), 32, 0.5, 32)
    same = picture_encoder("mobilenet", str(path), 32, 0.25, 32)
    assert np.array_equal(same.get_weights()[0], small.get_weights()[0])


def test_a_kerashub_preset_folder_brings_its_own_scaling(tmp_path):
    import keras_hub

    converter = keras_hub.layers.ViTImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    vit = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    vit.save_to_preset(tmp_path / "vit")
    converter.save_to_preset(tmp_path / "vit")
    encoder = picture_encoder(str(tmp_path / "vit"), "imagenet", None, None, 32)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    wanted = np.asarray(vit(pixels.astype("float32") / 127.5 - 1))[:, 0]
    assert np.abs(np.asarray(encoder(pixels)) - wanted).max() < 1e-4
    with pytest.raises(BackboneError, match="brings its own weights"):
        picture_encoder(str(tmp_path / "vit"), "some.h5", None, None, 32)


def small_network(classes=3, several=False, seed=0):
    keras.utils.set_random_seed(seed)
    return Network.around(picture_encoder(None, "none", 16, None, 16), classes, several)


def test_a_saved_network_answers_the_same_and_gives_back_its_parts(tmp_path):
    network = small_network()
    network.head.set_weights([np.random.default_rng(0).normal(size=network.head.kernel.shape), np.zeros(3)])
    network.scores.temperature.assign(0.5)
    network.answers.save(tmp_path / "m.keras")
    again = Network.within(open_model(tmp_path / "m.keras"))
    pixels = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), np.uint8)
    scores = np.asarray(network.answers(pixels))
    assert np.array_equal(scores, np.asarray(again.answers(pixels)))
    logits = np.asarray(again.logits(pixels))
    assert np.allclose(scores, np.exp(2 * logits) / np.exp(2 * logits).sum(1, keepdims=True), atol=1e-6)


def test_normalisation_stays_in_inference_while_frozen_and_while_fine_tuning():
    network = small_network()
    norms = [layer for layer in network.encoder._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    thaw(network.encoder, norms=False)
    before = np.asarray(norms[0].moving_mean)
    network.logits(np.full((2, 16, 16, 3), 255, np.uint8), training=True)
    assert norms and np.array_equal(before, np.asarray(norms[0].moving_mean))
    thaw(network.encoder, norms=True)
    network.logits(np.full((2, 16, 16, 3), 255, np.uint8), training=True)
    assert not np.array_equal(before, np.asarray(norms[0].moving_mean))


def test_statistics_keep_up_with_a_short_training_from_a_random_start():
    encoder = picture_encoder("mobilenet_v2", "none", 32, 0.35, 32)
    norms = [layer for layer in encoder._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert max(layer.momentum for layer in norms) > 0.99
    thaw(encoder, norms=True)
    assert max(layer.momentum for layer in norms) <= 0.95


def test_depth_grows_from_input_to_features():
    network = small_network()
    found = [depths(network.encoder)[variable.path] for variable in network.encoder.trainable_variables]
    assert found == sorted(found) and 0 < found[0] < 0.2 and found[-1] == 1.0


def test_each_variable_moves_by_its_own_rate():
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(1)(inputs)))
    optimizer = adamw(0.1, 100, 0.0, 0.0, factors=[0.0, 0.0, 1.0, 1.0])
    model.compile(optimizer=optimizer, loss="mse")
    before = model.get_weights()
    model.fit(np.ones((8, 1)), np.full((8, 1), 9.0), verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0]) and np.array_equal(before[1], after[1])
    assert not np.array_equal(before[2], after[2])


def test_the_rate_rises_and_falls():
    optimizer = adamw(1.0, 100, 0.1, 0.0)
    rates = [float(optimizer._learning_rate(step)) for step in (0, 5, 10, 55, 100)]
    assert rates == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.0], abs=1e-3)


def blobs(rows=200, seed=0):
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, 3, rows)
    inputs = draw.normal(size=(rows, 8)).astype("float32") + 2 * np.eye(8, dtype="float32")[truth]
    return inputs, np.eye(3, dtype="float32")[truth]


def dropout_model(steps, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8,))
    hidden = keras.layers.Dropout(0.3, seed=5)(keras.layers.Dense(16, "relu")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    compile_classifier(model, adamw(0.01, steps, 0.1, 0.01), False, 0.1)
    return model


class Countdown(threading.Event):
    """Becomes set after it was asked so many times."""

    def __init__(self, asked: int):
        super().__init__()
        self.left = asked

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


@pytest.fixture(scope="module")
def uncut():
    """Rows to learn and to measure, a plan, and the history and weights of a training by it that nothing cut."""
    rows, held, plan = ArrayRows(*blobs()), ArrayRows(*blobs(50, 1)), Plan("p", 5, 32, 0)
    whole = dropout_model(5 * plan.steps(200))
    return rows, held, plan, learn(whole, rows, held, plan, CheckpointPolicy()), whole.get_weights()


@pytest.mark.parametrize("asked", [1, 2, 5, 9, 14, 20, 27, 33])
def test_a_cut_training_resumes_to_the_same_weights_and_history(uncut, tmp_path, asked):
    rows, held, plan, wanted, weights = uncut
    cut = dropout_model(5 * plan.steps(200))
    with pytest.raises(Interrupted):
        learn(cut, rows, held, plan, CheckpointPolicy(tmp_path, at_least=0.0, stop=Countdown(asked)))
    again = dropout_model(5 * plan.steps(200), seed=99)
    history = learn(again, rows, held, plan, CheckpointPolicy(tmp_path))
    assert history == wanted
    assert all(np.array_equal(a, b) for a, b in zip(weights, again.get_weights(), strict=True))


class UnevenRows:
    """Rows of token ids of 8, 16 or 24 places, in batches as long as their longest."""

    def __init__(self, count: int, seed: int = 0):
        draw = np.random.default_rng(seed)
        self.count, self.lengths = count, draw.choice([8, 16, 24], count)
        self.targets = np.eye(2, dtype="float32")[(self.lengths > 8).astype(int)]

    def batch(self, rows, epoch):
        ids = np.zeros((len(rows), self.lengths[rows].max()), "int32")
        for place, row in enumerate(rows):
            ids[place, : self.lengths[row]] = 1 + row % 7
        return ids, self.targets[rows], None


def token_model(steps: int, seed: int = 0):
    keras.utils.set_random_seed(seed)
    ids = keras.Input((None,), dtype="int32")
    features = keras.layers.GlobalAveragePooling1D()(keras.layers.Embedding(8, 4)(ids))
    model = keras.Model(ids, keras.layers.Dense(2)(keras.layers.Dropout(0.2, seed=seed)(features)))
    compile_classifier(model, transfer.adamw(1e-2, steps, 0.1, 0.01), False, 0.0)
    return model


def test_batches_of_uneven_rows_have_one_length_and_resume(tmp_path):
    rows, held, plan = UnevenRows(200), UnevenRows(50, 1), Plan("p", 4, 16, 0)
    seen = []
    rows_batch = rows.batch
    rows.batch = lambda which, epoch: seen.append(rows.lengths[which]) or rows_batch(which, epoch)
    whole = token_model(4 * plan.steps(200))
    wanted = learn(whole, rows, held, plan, CheckpointPolicy())
    assert np.mean([len(set(lengths.tolist())) == 1 for lengths in seen]) > 0.7
    cut, again = token_model(4 * plan.steps(200)), token_model(4 * plan.steps(200), seed=9)
    with pytest.raises(Interrupted):
        learn(cut, rows, held, plan, CheckpointPolicy(tmp_path, at_least=0.0, stop=Countdown(20)))
    assert learn(again, rows, held, plan, CheckpointPolicy(tmp_path)) == wanted
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), again.get_weights(), strict=True))


def test_a_finished_phase_is_loaded_and_not_repeated(tmp_path):
    inputs, targets = blobs()
    rows, held, plan = ArrayRows(inputs, targets), ArrayRows(*blobs(50, 1)), Plan("p", 3, 32, 0)
    first = dropout_model(30)
    history = learn(first, rows, held, plan, CheckpointPolicy(tmp_path))
    second = dropout_model(30, seed=3)
    second.fit = lambda *words, **options: pytest.fail("it learnt again")
    assert learn(second, rows, held, plan, CheckpointPolicy(tmp_path)) == history
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))


def test_the_best_epoch_is_kept_and_patience_ends(tmp_path):
    inputs, targets = blobs(60)
    held = ArrayRows(*blobs(50, 1))
    model = dropout_model(100)
    compile_classifier(model, keras.optimizers.Adam(0.5), False, 0.0)
    history = learn(
        model, ArrayRows(inputs, targets), held, Plan("p", 60, 16, 0, patience=4), CheckpointPolicy(tmp_path)
    )
    losses = [row["val_loss"] for row in history]
    assert len(history) < 60 and len(history) == losses.index(min(losses)) + 6
    assert model.evaluate(held.inputs, held.targets, verbose=0)[0] == pytest.approx(min(losses), rel=1e-4)


def test_a_loss_that_is_no_number_ends_with_advice():
    inputs, targets = blobs(40)
    targets[0, 0] = np.nan
    with pytest.raises(Diverged, match="--learning-rate"):
        learn(
            dropout_model(10), ArrayRows(inputs, targets), ArrayRows(*blobs(10)), Plan("p", 2, 8, 0), CheckpointPolicy()
        )


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"x" * 100])
def test_a_damaged_checkpoint_is_one_line_that_names_the_file(tmp_path, damage):
    path = tmp_path / "p.npz"
    checkpoint.save(path, {"model-00000": np.zeros(1000)}, {"epoch": 1})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedCheckpoint, match=r"p\.npz is damaged"):
        checkpoint.load(path)


def test_a_checkpoint_with_pickled_objects_is_not_loaded(tmp_path):
    class Boom:
        def __reduce__(self):
            return open, (str(tmp_path / "boom"), "w")

    path = tmp_path / "p.npz"
    np.savez(path, facts=np.array([Boom()], dtype=object))
    with pytest.raises(DamagedCheckpoint):
        checkpoint.load(path)
    assert not (tmp_path / "boom").exists()


def test_a_flipped_bit_in_a_checkpoint_is_noticed(tmp_path):
    path = tmp_path / "p.npz"
    checkpoint.save(path, {"model-00000": np.zeros(1000)}, {"epoch": 1})
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedCheckpoint):
        checkpoint.load(path)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    rows, held, plan = ArrayRows(*blobs()), ArrayRows(*blobs(50, 1)), Plan("p", 1, 32, 0)
    learn(dropout_model(10), rows, held, plan, CheckpointPolicy(tmp_path))
    inputs = keras.Input((8,))
    other = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    compile_classifier(other, adamw(0.01, 10, 0.0, 0.0), False, 0.0)
    with pytest.raises(DamagedCheckpoint, match="variables"):
        learn(other, rows, held, plan, CheckpointPolicy(tmp_path))


def test_a_probe_is_as_good_as_scikit_learn_on_the_same_features():
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    digits = load_digits()
    features, targets = digits.data.astype("float32") * 3 + 50, np.eye(10, dtype="float32")[digits.target]
    train, held, test = slice(0, 1200), slice(1200, 1400), slice(1400, None)
    found = transfer.probe(
        (features[train], targets[train], None),
        (features[held], targets[held]),
        transfer.Settings(False, 0),
        CheckpointPolicy(),
    )
    ours = ((features[test] @ found.kernel + found.bias).argmax(1) == digits.target[test]).mean()
    model = LogisticRegression(max_iter=5000).fit(digits.data[train], digits.target[train])
    assert ours >= model.score(digits.data[test], digits.target[test]) - 0.0076  # three of 397 rows
    assert found.penalty in transfer.PENALTIES


def test_features_do_not_depend_on_where_batches_are_cut():
    encoder = picture_encoder(None, "none", 16, None, 16)
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), np.uint8)
    out = np.zeros((10, encoder.output_shape[1]), np.float32)
    filled = np.concatenate([pixels[8:], np.zeros((6, 16, 16, 3), np.uint8)])
    batches = [(np.arange(8), pixels[:8]), (np.array([8, 9]), filled)]
    transfer.features_of(encoder.predict_on_batch, batches, out, lambda rows: None)
    again = np.zeros((2, encoder.output_shape[1]), np.float32)
    transfer.features_of(encoder.predict_on_batch, [(np.array([1, 0]), filled)], again, lambda rows: None)
    assert np.array_equal(out[8:], again[::-1])
    with pytest.raises(RuntimeError, match="10 rows should have been encoded"):
        transfer.features_of(encoder.predict_on_batch, batches[:1], out, lambda rows: None)


def test_grad_cam_is_the_gradient_times_the_maps():
    import tensorflow as tf

    network = small_network()
    network.head.set_weights([np.random.default_rng(0).normal(size=network.head.kernel.shape), np.zeros(3)])
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    encoder = network.encoder
    maps_model = keras.Model(encoder.input, encoder.get_layer("pool").input)
    maps = tf.convert_to_tensor(maps_model(pixels))
    with tf.GradientTape() as tape:
        tape.watch(maps)
        logits = network.head(encoder.get_layer("pool")(maps))
        chosen = tf.gather(logits, [2, 1], axis=1, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), (1, 2), keepdims=True)
    wanted = np.maximum(np.asarray(tf.reduce_sum(weights * maps, -1)), 0)
    wanted /= np.maximum(wanted.max((1, 2), keepdims=True), 1e-12)
    assert np.abs(grad_cam(network.answers, pixels, np.array([2, 1])) - wanted).max() < 1e-4


def altered(path, source, change):
    """Write a copy of a .keras file whose config went through `change`."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, json.dumps(change(json.loads(data))) if name == "config.json" else data)
    return path


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.keras"
    small_network().answers.save(path)
    return path


def test_a_lambda_is_not_opened(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs)).save(tmp_path / "m.keras")
    with pytest.raises(Untrusted, match="Lambda"):
        open_model(tmp_path / "m.keras")


@pytest.mark.parametrize("module", ["os", "evil.module", "keras_evil"])
def test_a_class_from_elsewhere_is_not_opened(tmp_path, saved, module):
    def change(config):
        config["config"]["layers"][0] |= {"module": module, "class_name": "System", "registered_name": None}
        return config

    with pytest.raises(Untrusted, match=module):
        open_model(altered(tmp_path / "m.keras", saved, change))


def test_an_unknown_class_of_a_known_package_is_one_line(tmp_path, saved):
    def change(config):
        config["config"]["layers"][0] |= {"class_name": "NoSuchLayer"}
        return config

    with pytest.raises(Untrusted, match="can't be opened"):
        open_model(altered(tmp_path / "m.keras", saved, change))


def test_files_that_are_no_models_are_one_line(tmp_path, saved):
    (tmp_path / "text.keras").write_text("x")
    (tmp_path / "cut.keras").write_bytes(saved.read_bytes()[:5000])
    with zipfile.ZipFile(tmp_path / "slip.keras", "w") as out:
        out.writestr("../outside.txt", "x")
    for name, said in (
        ("text", "no .keras file"),
        ("cut", "damaged"),
        ("slip", "outside its folder"),
        ("none", "no .keras file"),
    ):
        with pytest.raises(Untrusted, match=said):
            open_model(tmp_path / f"{name}.keras")


def test_a_whole_model_in_h5_is_refused(tmp_path):
    inputs = keras.Input((2,))
    keras.Model(inputs, keras.layers.Dense(1)(inputs)).save(tmp_path / "m.h5")
    with pytest.raises(Untrusted, match="no .keras file"):
        open_model(tmp_path / "m.h5")
