"""Segmenters: their shapes, what they learn by, presets, and how they open again."""

import keras
import numpy as np
import pytest
from keras import ops

from horngate.models.backbones.pictures import BackboneError
from horngate.models.saving import open_model
from horngate.models.vision.overlap_loss import UNLABELLED, LabelledAccuracy, OverlapLoss
from horngate.models.vision.patches import NoMaps
from horngate.models.vision.scaling import Levels
from horngate.models.vision.segmentation import Segmenter, SegmenterConfig, on_backbone, on_preset, plain


def pixels(config: SegmenterConfig, count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *config.shape)).astype(config.dtype)


def said(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return what a model answers, without compiling it."""
    return ops.convert_to_numpy(model(inputs, training=False))


def opened_again(network: Segmenter, folder) -> Segmenter:
    network.answers.save(folder / "model.keras")
    return Segmenter.within(open_model(folder / "model.keras"))


def small_segformer() -> keras.Model:
    import keras_hub

    encoder = keras_hub.models.MiTBackbone(
        image_shape=(64, 64, 3),
        num_layers=4,
        hidden_dims=[4, 8, 12, 16],
        layerwise_depths=[1, 1, 1, 1],
        layerwise_num_heads=[1, 1, 1, 2],
        layerwise_sr_ratios=[8, 4, 2, 1],
        layerwise_patch_sizes=[7, 3, 3, 3],
        layerwise_strides=[4, 2, 2, 2],
        max_drop_path_rate=0.1,
    )
    backbone = keras_hub.models.SegFormerBackbone(image_encoder=encoder, projection_filters=8)
    converter = keras_hub.layers.SegFormerImageConverter(image_size=(64, 64), scale=1 / 255)
    preprocessor = keras_hub.models.SegFormerImageSegmenterPreprocessor(converter)
    return keras_hub.models.SegFormerImageSegmenter(backbone, num_classes=5, preprocessor=preprocessor)


def small_deeplab() -> keras.Model:
    import keras_hub

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
        image_shape=(64, 64, 3),
    )
    backbone = keras_hub.models.DeepLabV3Backbone(
        image_encoder=encoder,
        spatial_pyramid_pooling_key="P4",
        low_level_feature_key="P2",
        upsampling_size=4,
        dilation_rates=[2, 4],
        projection_filters=8,
        image_shape=(64, 64, 3),
    )
    converter = keras_hub.layers.DeepLabV3ImageConverter(image_size=(64, 64), scale=1 / 255)
    preprocessor = keras_hub.models.DeepLabV3ImageSegmenterPreprocessor(converter)
    return keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=5, preprocessor=preprocessor)


def test_a_u_net_answers_every_pixel_and_opens_again(tmp_path):
    config = SegmenterConfig(64, 3, "float32", classes=3, width=4)
    network = plain(config)
    inputs = pixels(config)
    scores = said(network.answers, inputs)
    assert scores.shape == (2, 64, 64, 3) and scores.dtype == np.float32
    assert np.allclose(scores.sum(-1), 1, atol=1e-5)
    again = opened_again(network, tmp_path)
    assert np.allclose(said(again.answers, inputs), scores, atol=1e-6)
    assert said(again.features(), inputs).shape == (2, 32)
    assert [part.shape[1] for part in again.encoder.outputs] == [64, 32, 16, 8, 4]


def test_a_backbone_gives_its_stages_as_skips_and_greys_become_colours_once(tmp_path):
    grey, colour = SegmenterConfig(64, 1, "uint8", 2), SegmenterConfig(64, 3, "uint8", 2)
    network = on_backbone(grey, "mobilenet", "none", 0.25)
    assert [part.shape[1] for part in network.encoder.outputs] == [32, 16, 8, 4, 2]
    twin = on_backbone(colour, "mobilenet", "none", 0.25)
    inputs = pixels(grey)
    ours, theirs = (said(model.answers, one) for model, one in ((network, inputs), (twin, inputs.repeat(3, -1))))
    assert np.allclose(ours, theirs, atol=1e-5)
    assert np.allclose(said(opened_again(network, tmp_path).answers, inputs), ours, atol=1e-6)


def test_a_backbone_without_maps_is_refused():
    with pytest.raises((NoMaps, BackboneError)):
        on_backbone(SegmenterConfig(64, 3, "uint8", 2), "mobilenet", "/nowhere/weights.h5", 0.25)


@pytest.mark.parametrize("small", [small_segformer, small_deeplab])
def test_a_segmentation_preset_from_a_folder_gets_a_head_for_the_classes(small, tmp_path):
    small().save_to_preset(str(tmp_path / "preset"))
    config = SegmenterConfig(64, 1, "uint8", classes=3)
    network = on_preset(config, str(tmp_path / "preset"), "imagenet")
    inputs = pixels(config)
    scores = said(network.answers, inputs)
    assert scores.shape == (2, 64, 64, 3) and np.allclose(scores.sum(-1), 1, atol=1e-5)
    network.freeze()
    frozen = len(network.logits.trainable_variables)
    network.thaw(norms=False)
    assert 0 < frozen < len(network.logits.trainable_variables)
    again = opened_again(network, tmp_path)
    assert np.allclose(said(again.answers, inputs), scores, atol=1e-5)
    assert len(said(again.features(), inputs)) == 2


def test_a_name_that_is_no_preset_says_what_to_do():
    with pytest.raises(BackboneError, match="presets fetch"):
        on_preset(SegmenterConfig(64, 3, "uint8", 2), "segformer_nowhere", "imagenet")


def test_the_loss_is_cross_entropy_plus_missing_overlap_of_labelled_pixels():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 6, 5, 3)).astype(np.float32)
    truth = draw.integers(0, 3, (2, 6, 5)).astype(np.uint8)
    truth[0, :2] = UNLABELLED
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    known = truth != UNLABELLED
    hot = np.eye(256)[truth][..., :3]
    losses = [-np.log(shares[one][hot[one] > 0]).mean() for one in range(2)]
    both, sizes = (shares * hot).sum((0, 1, 2)), ((shares + hot) * known[..., None]).sum((0, 1, 2))
    dice = ((2 * both + 1) / (sizes + 1))[1:].mean()
    ours = ops.convert_to_numpy(OverlapLoss().call(truth, logits))
    assert np.allclose(ours, np.array(losses) + 1 - dice, atol=1e-5)
    changed = np.where(known[..., None], logits, 9.0)
    assert np.allclose(ours, ops.convert_to_numpy(OverlapLoss().call(truth, changed)), atol=1e-5)


def test_balance_weighs_classes_in_the_cross_entropy():
    logits = np.zeros((1, 4, 4, 2), np.float32)
    logits[..., 0] = 2.0
    truth = np.zeros((1, 4, 4), np.uint8)
    truth[0, 0, 0] = 1
    plainly, balanced = (OverlapLoss(0.0, weights).call(truth, logits) for weights in (None, [0.5, 8.0]))
    assert float(balanced[0]) > float(plainly[0]) * 3


def test_accuracy_counts_labelled_pixels():
    metric = LabelledAccuracy()
    truth = np.array([[[0, 1], [UNLABELLED, 1]]], np.uint8)
    logits = np.zeros((1, 2, 2, 2), np.float32)
    logits[..., 1] = 1.0
    metric.update_state(truth, logits)
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_levels_repeat_greys_and_keep_colours():
    grey, colour = np.full((1, 2, 2, 1), 7, np.uint8), np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    assert ops.convert_to_numpy(Levels(3)(grey)).tolist() == np.full((1, 2, 2, 3), 7.0).tolist()
    assert np.array_equal(ops.convert_to_numpy(Levels(3)(colour)), colour)
