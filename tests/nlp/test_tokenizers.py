"""Tokenizers of other families than BERT: tiny presets made here answer as the backbone's own tokenizer does."""

import io
import json

import pytest

from horngate.pipelines import predict, train
from horngate.pipelines.nlp import Classify
from horngate.pipelines.nlp.text import tokenizers
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system.files import read_json

pytestmark = pytest.mark.usefixtures("undrawn")

LEARNT = ["The quick brown fox jumps over the lazy dog.", "Rain is likely, with clouds over the coast!"] * 50
WRITTEN = [
    "The fox, likely over clouds",
    "two  blanks   and\ta tab",
    "emoji 😀 and ZWJ 👩‍🚀",
    "שלום עולם",
    "naïve café №1",
    "don't stop!",
]


def roberta(folder):
    """Write a preset with byte-level pairs, and return its own tokenizer."""
    import keras_hub
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    learnt = Tokenizer(models.BPE())
    learnt.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    learnt.train_from_iterator(LEARNT, trainer)
    model = json.loads(learnt.to_str())["model"]
    merges = [" ".join(merge) for merge in model["merges"]]
    tokenizer = keras_hub.models.RobertaTokenizer(vocabulary=model["vocab"], merges=merges)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32, "max_sequence_length": 64}
    keras_hub.models.RobertaBackbone(vocabulary_size=len(model["vocab"]), **sizes).save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return tokenizer


def deberta(folder):
    """Write a preset with sentence pieces, and return its own tokenizer."""
    import keras_hub
    import sentencepiece

    written = io.BytesIO()
    special = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3}
    names = {"pad_piece": "[PAD]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LEARNT),
        model_writer=written,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
        model_type="unigram",
        **special,
        **names,
    )
    tokenizer = keras_hub.models.DebertaV3Tokenizer(proto=written.getvalue())
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 32, "max_sequence_length": 64}
    backbone = keras_hub.models.DebertaV3Backbone(tokenizer.vocabulary_size(), bucket_size=16, **sizes)
    backbone.save_to_preset(str(folder))
    tokenizer.save_to_preset(str(folder))
    return tokenizer


@pytest.fixture(scope="module", params=[roberta, deberta])
def preset(request, tmp_path_factory):
    """A preset's folder and its own tokenizer."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    return folder, request.param(folder)


def test_texts_become_the_ids_that_the_backbones_own_tokenizer_gives(preset):
    folder, own = preset
    ours = tokenizers.of_backbone(str(folder))
    for text in WRITTEN:
        first, *ids, last = ours.encode(text).ids
        assert ids == [int(number) for number in own(text)], text
        assert (first, last) == (own.start_token_id, own.end_token_id)


def test_a_preset_of_another_family_learns_and_its_tokenizer_goes_with_the_run(preset, tmp_path):
    folder, own = preset
    lines = ["text,label"]
    lines += [f"the quick fox number {n},animal\nclouds and rain over coast {n},weather" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    knobs = {"method": "probe", "epochs": 1, "output": str(tmp_path / "runs")}
    run = train(Classify(data=str(tmp_path / "t.csv"), backbone=str(folder), **knobs))
    kept = tokenizers.opened(run / "tokenizer.json", read_json(run / "schema.json")["length"])
    ids, cut = kept.ids("the quick fox")
    assert cut == 0 and ids.tolist()[1:-1] == [int(number) for number in own("the quick fox")]
    done = predict(run, str(tmp_path / "t.csv"), tmp_path / "out.parquet")
    assert (done.rows, done.errors) == (40, 0)


def test_a_tokenizer_that_is_damaged_or_unknown_is_one_line(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE"')
    for made in (
        lambda: tokenizers.opened(tmp_path / "tokenizer.json", 8),
        lambda: tokenizers.of_backbone(str(tmp_path)),
    ):
        with pytest.raises(UserError) as problem:
            made()
        assert "\n" not in str(problem.value)
