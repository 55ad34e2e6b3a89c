"""A Moonshine preset with random weights, as small as can be, saved in a folder as KerasHub saves them."""

import io
from pathlib import Path


def tiny_moonshine(folder: Path, texts: list[str]) -> Path:
    """Save a preset whose tokenizer was made from some texts, and return its folder."""
    import keras
    import keras_hub
    from sentencepiece import SentencePieceTrainer

    keras.utils.set_random_seed(0)
    pieces = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=pieces,
        vocab_size=60,
        model_type="bpe",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = keras_hub.tokenizers.MoonshineTokenizer(proto=pieces.getvalue())
    backbone = keras_hub.models.MoonshineBackbone(
        vocabulary_size=tokenizer.vocabulary_size(),
        filter_dim=16,
        encoder_num_layers=1,
        decoder_num_layers=1,
        hidden_dim=16,
        intermediate_dim=32,
        encoder_num_heads=2,
        decoder_num_heads=2,
    )
    converter = keras_hub.layers.MoonshineAudioConverter()
    preprocessor = keras_hub.models.MoonshineAudioToTextPreprocessor(converter, tokenizer)
    keras_hub.models.MoonshineAudioToText(backbone, preprocessor).save_to_preset(folder)
    return folder
