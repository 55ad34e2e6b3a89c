"""Moonshine (Jeffries et al. 2024, arXiv 2410.15608) of KerasHub: hears samples and writes text, token by token."""

from pathlib import Path

import keras
import numpy as np

from horngate.models.backbones.pictures import BackboneError
from horngate.models.trust import Untrusted, check_preset

RATE = 16_000  # samples per second
TOKENS = 7.0  # per second at most, and some more: what is longer goes round in circles
MORE = 8
LEAST = 1_024  # samples that the encoder needs


class Moonshine:
    """A Moonshine model with its tokenizer.

    Args:
        backbone: of KerasHub.
        tokenizer: of KerasHub, a `MoonshineTokenizer`.

    Attributes:
        logits: the model from samples and tokens to logits of the next tokens float32 `[n, tokens, words]`; what learns.
    """

    def __init__(self, backbone, tokenizer):
        import keras_hub

        converter = keras_hub.layers.MoonshineAudioConverter()
        preprocessor = keras_hub.models.MoonshineAudioToTextPreprocessor(converter, tokenizer)
        self.backbone, self.tokenizer = backbone, tokenizer
        self.task = keras_hub.models.MoonshineAudioToText(backbone, preprocessor)
        self.task.compile(sampler="greedy")
        self.logits = keras.Model(self.task.input, self.task.output, name="logits")

    @classmethod
    def of_preset(cls, name: str, weights: bool = True) -> "Moonshine":
        """Return the model of a preset that is at hand.

        Args:
            name: its folder, or its name.
            weights: whether its weights are taken.

        Raises:
            BackboneError: not at hand, damaged, not trusted, or no Moonshine.
        """
        import keras_hub

        try:
            if Path(name).is_dir():
                check_preset(Path(name))
            backbone = keras_hub.models.Backbone.from_preset(name, load_weights=weights)
            preprocessor = keras_hub.models.MoonshineAudioToTextPreprocessor.from_preset(name)
        except Untrusted as problem:
            raise BackboneError(str(problem)) from None
        except Exception as problem:  # KerasHub raises what its sources do
            why = " ".join(str(problem).split())[:160]
            said = "it should be a Moonshine preset of KerasHub with its tokenizer, by its folder or its name"
            raise BackboneError(f"no backbone {name} at hand: {said} ({why})") from None
        return cls(backbone, preprocessor.tokenizer)

    @classmethod
    def opened(cls, backbone: keras.Model, tokenizer: Path) -> "Moonshine":
        """Return the model around a saved backbone and the file of its tokenizer.

        Raises:
            Untrusted: the backbone is another one, or the file is damaged.
        """
        import keras_hub

        if not isinstance(backbone, keras_hub.models.MoonshineBackbone):
            raise Untrusted(f"a Moonshine backbone was kept. Received: {type(backbone).__name__}")
        try:
            return cls(backbone, keras_hub.tokenizers.MoonshineTokenizer(proto=tokenizer.read_bytes()))
        except Exception as problem:  # SentencePiece raises whatever a broken file makes it raise
            raise Untrusted(f"{tokenizer} can't be opened: {' '.join(str(problem).split())[:160]}") from None

    def pieces(self) -> bytes:
        """Return the file of the tokenizer."""
        return bytes(self.tokenizer.proto)

    def encoded(self, text: str) -> list[int]:
        """Return the tokens of a text, between start and end."""
        tokens = np.asarray(self.tokenizer(text)).tolist()
        return [self.tokenizer.start_token_id, *tokens, self.tokenizer.end_token_id]

    def inputs(self, samples: np.ndarray, tokens: np.ndarray, there: np.ndarray) -> dict[str, np.ndarray]:
        """Return what the model takes.

        Args:
            samples: float32 `[n, samples]`, filled up with zeros.
            tokens: int32 `[n, tokens]`; there: bool of the same shape, False where tokens fill up.
        """
        heard = np.arange(samples.shape[1])[None] < np.maximum(_lengths(samples), LEAST)[:, None]
        return {
            "encoder_input_values": samples[..., None],
            "encoder_padding_mask": heard,
            "decoder_token_ids": tokens,
            "decoder_padding_mask": there,
        }

    def written(self, samples: np.ndarray) -> list[tuple[str, float]]:
        """Return the likeliest text of each recording, token after token, and how sure it is: the geometric mean of the

        probabilities of its tokens, the end among them.

        Args:
            samples: float32 `[n, samples]` at 16,000 Hz, filled up with zeros.
        """
        room = int(samples.shape[1] / RATE * TOKENS) + MORE
        tokens = np.full((len(samples), room), self.tokenizer.pad_token_id, np.int32)
        tokens[:, 0] = self.tokenizer.start_token_id
        there = np.zeros(tokens.shape, bool)
        there[:, 0] = True
        write = self.task.make_generate_function()
        end = self.tokenizer.end_token_id
        made = write(self.inputs(samples, tokens, there), stop_token_ids=[end])
        ids, kept = (np.asarray(made[name]) for name in ("decoder_token_ids", "decoder_padding_mask"))
        sure = self._sureness(samples, ids, kept.astype(bool))
        rows = [row[1:][own[1:]] for row, own in zip(ids, kept.astype(bool), strict=True)]
        texts = [self.tokenizer.detokenize([int(token) for token in row if token != end]) for row in rows]
        return [(" ".join(str(text).split()), value) for text, value in zip(texts, sure, strict=True)]

    def _sureness(self, samples: np.ndarray, ids: np.ndarray, there: np.ndarray) -> list[float]:
        logits = np.asarray(self.logits.predict_on_batch(self.inputs(samples, ids, there)), np.float64)[:, :-1]
        shifted = logits - logits.max(-1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
        chosen = np.take_along_axis(logs, ids[:, 1:, None].astype(np.int64), -1)[..., 0]
        own = there[:, 1:]
        return np.exp((chosen * own).sum(1) / np.maximum(own.sum(1), 1)).tolist()

    def compile(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Make it ready to learn from the next tokens int32 `[n, tokens]`; weights of 0 leave out what fills up."""
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
        self.logits.compile(optimizer=optimizer, loss=loss)


def _lengths(samples: np.ndarray) -> np.ndarray:
    """Return int64 `[n]`: how many samples there are up to the last that isn't zero; all, where every one is."""
    there = samples != 0
    last = samples.shape[1] - there[:, ::-1].argmax(1)
    return np.where(there.any(1), last, samples.shape[1])
