"""Diagnosing: rates at a threshold frozen on validation, grades in order, patients, and what the page says."""

from io import BytesIO

import numpy as np
import pyarrow as pa
import pytest
from conftest import run_here
from PIL import Image
from test_scans import made, written

from horngate.models.backbones.pictures import picture_encoder
from horngate.pipelines.images.reader import Change
from horngate.pipelines.medical import Diagnose
from horngate.pipelines.medical.diagnose.preprocessing import ScanPreprocessing
from horngate.pipelines.medical.scans import checks
from horngate.pipelines.medical.scans.facts import likely_text
from horngate.pipelines.medical.scans.loader import npz_blocks
from horngate.pipelines.medical.scans.reading import as_bytes
from horngate.pipelines.metrics import screening
from horngate.pipelines.metrics.classification import MEASURES, Outcome, mean_auroc, quadratic_kappa
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.statistics import delong
from horngate.pipelines.statistics.intervals import Uncomputable
from horngate.pipelines.system.files import read_json, read_table
from horngate.pipelines.tasks.classification.labels import Labels
from horngate.pipelines.tasks.parts import Fitted
from horngate.pipelines.tasks.task import task_of


def two_classes(scores, positives, threshold=0.5) -> Outcome:
    scores, positives = np.asarray(scores, np.float32), np.asarray(positives)
    targets = np.stack([1 - positives, positives], 1).astype(np.float32)
    return Outcome(targets, np.stack([1 - scores, scores], 1), (scores >= threshold).astype(int), 1)


# Measures


def test_rates_are_those_of_the_confusion_matrix():
    outcome = two_classes([0.9, 0.8, 0.4, 0.7, 0.2, 0.1, 0.3], [1, 1, 1, 0, 0, 0, 0])
    found = {name: spec.prepare(outcome)(np.ones(7)) for name, spec in screening.RATES.items()}
    assert found == pytest.approx({"sensitivity": 2 / 3, "specificity": 3 / 4, "ppv": 2 / 3, "npv": 3 / 4})
    twice = np.array([1, 1, 1, 2, 1, 1, 1.0])
    assert screening.ppv(outcome)(twice) == pytest.approx(2 / 4)
    with pytest.raises(Uncomputable, match="no answer is positive"):
        screening.ppv(two_classes([0.1, 0.2], [1, 0]))


def test_predictive_values_at_another_prevalence_follow_bayes():
    outcome = two_classes([0.9, 0.8, 0.4, 0.7, 0.2, 0.1, 0.3], [1, 1, 1, 0, 0, 0, 0])
    specs = screening.at_prevalence(0.01)
    values = {name: spec.prepare(outcome)(np.ones(7)) for name, spec in specs.items()}
    assert values["ppv_at_prevalence"] == pytest.approx((2 / 3) * 0.01 / ((2 / 3) * 0.01 + 0.25 * 0.99))
    assert values["npv_at_prevalence"] == pytest.approx(0.75 * 0.99 / (0.75 * 0.99 + (1 / 3) * 0.01))
    same = screening.at_prevalence(3 / 7)["ppv_at_prevalence"].prepare(outcome)(np.ones(7))
    assert same == pytest.approx(screening.ppv(outcome)(np.ones(7)))


def test_a_decision_curve_starts_at_acting_on_all_and_is_worth_the_share_of_positives_when_sure():
    outcome = two_classes([0.99, 0.98, 0.005, 0.002], [1, 1, 0, 0])
    curve = screening.decision_curve(outcome)
    assert [part["net_benefit"] for part in curve if 0.01 < part["threshold"] < 0.95] == pytest.approx([0.5] * 93)
    assert curve[0]["act_on_all"] == pytest.approx(0.5 - 0.5 / 99)


def test_delong_is_the_formula_of_its_paper():
    draw = np.random.default_rng(0)
    targets, scores = draw.random(60) < 0.4, np.round(4 * draw.normal(size=60))
    scores = scores + 2 * targets
    area = delong.area_of(targets, scores)
    x, y = scores[targets], scores[~targets]
    wins = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])
    variance = wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / len(y)
    assert area.value == pytest.approx(MEASURES["auroc"].prepare(two_classes(scores, targets.astype(int)))(np.ones(60)))
    assert area.error == pytest.approx(np.sqrt(variance))
    assert (area.low, area.high) == pytest.approx(
        (area.value - 1.959964 * area.error, min(area.value + 1.959964 * area.error, 1))
    )


def test_delong_over_patients_is_wider_where_their_images_say_the_same():
    draw = np.random.default_rng(1)
    targets = draw.random(50) < 0.5
    scores = draw.normal(size=50) + targets
    alone = delong.area_of(targets, scores)
    tripled = delong.area_of(np.repeat(targets, 3), np.repeat(scores, 3), np.repeat(np.arange(50), 3))
    fooled = delong.area_of(np.repeat(targets, 3), np.repeat(scores, 3))
    assert tripled.error == pytest.approx(alone.error) and fooled.error < 0.65 * alone.error
    with pytest.raises(Uncomputable):
        delong.area_of(np.array([True, False, False]), np.array([1.0, 0, 0]))


def test_kappa_of_grades_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    draw = np.random.default_rng(0)
    truth, said = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    said[:120] = truth[:120]
    outcome = Outcome(np.eye(4, dtype=np.float32)[truth], np.eye(4, dtype=np.float32)[said], said)
    wanted = cohen_kappa_score(truth, said, weights="quadratic")
    assert quadratic_kappa(outcome)(np.ones(200)) == pytest.approx(wanted)


def test_the_mean_area_of_several_classes_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(0)
    truth, scores = draw.integers(0, 3, 90), draw.dirichlet(np.ones(3), 90)
    outcome = Outcome(np.eye(3, dtype=np.float32)[truth], scores, scores.argmax(1))
    assert mean_auroc(outcome)(np.ones(90)) == pytest.approx(roc_auc_score(truth, scores, multi_class="ovr"))


def test_grades_are_answered_by_the_median_of_their_scores():
    labels = Labels.learnt(["low", "mid", "high"] * 5, Diagnose(ordinal=("low", "mid", "high")))
    scores = np.array([[0.4, 0.25, 0.35], [0.6, 0.1, 0.3], [0.1, 0.3, 0.6]], np.float32)
    assert labels.labels == ("low", "mid", "high")
    assert labels.answers(scores)["label"] == ["mid", "low", "high"]


@pytest.mark.parametrize(
    ("grades", "said"),
    [
        (("low", "high"), "three different grades"),
        (("low", "low", "high"), "three different grades"),
        (("low", "mid", "top"), "no training row has top; high should be among them"),
    ],
)
def test_grades_that_are_not_the_labels_are_refused(grades, said):
    with pytest.raises(UserError, match=said):
        Labels.learnt(["low", "mid", "high"], Diagnose(ordinal=grades))


# Findings


def test_mirrors_are_warned_of_where_labels_speak_of_sides():
    assert checks.flip_findings({"left_eye", "right_eye"}, "horizontal")[0].code == "mirrored_sides"
    assert not checks.flip_findings({"left_eye", "right_eye"}, "vertical")
    assert not checks.flip_findings({"bright", "cleft palate", "normal"}, "both")


def test_a_positive_class_that_sounds_healthy_is_warned_of():
    assert "--positive" in checks.positive_findings({"covid", "normal"}, None)[0].message
    assert not checks.positive_findings({"covid", "normal"}, "covid")
    assert not checks.positive_findings({"normal", "pneumonia"}, None)


def test_check_tells_of_headers_burned_in_text_and_mixtures(tmp_path, cli):
    for number in range(24):
        draw = np.random.default_rng(number)
        pixels = draw.integers(0, 200, (128, 128)).astype(np.uint8)
        if number == 5:
            pixels[4:16, 4:100] = lettered()
        found = made(pixels, PatientID=f"P{number}", PatientName="Doe^Jane", Modality="CR" if number % 3 else "DX")
        found.PhotometricInterpretation = "MONOCHROME2" if number % 2 else "MONOCHROME1"
        found.PixelSpacing = [0.2, 0.2] if number % 2 else [0.4, 0.4]
        folder = tmp_path / "data" / ("ill" if number < 12 else "well")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"IM{number:06d}").write_bytes(written(found))
    code, out, _ = cli("medical", "diagnose", "check", tmp_path / "data", "--json")
    codes = {"personal_headers", "burned_in_text", "mixed_modalities", "mixed_photometric_interpretations"}
    assert code == 0 and all(f'"{name}"' in out for name in codes | {"mixed_spacings"})
    assert "Doe" not in out and '"unknown_patients"' not in out and "IM0000" not in out


def lettered() -> np.ndarray:
    """Return a band uint8 [12, 96] of eight white signs in a row on black."""
    band = np.zeros((12, 96), np.uint8)
    for place in range(8):
        band[1:11, 12 * place + 1 : 12 * place + 3] = 255
        band[1:3, 12 * place + 1 : 12 * place + 8] = 255
        band[9:11, 12 * place + 1 : 12 * place + 8] = 255
    return band


def test_text_is_told_from_tissue_and_from_bright_fields():
    draw = np.random.default_rng(0)
    noise = draw.integers(0, 256, (200, 200, 1)).astype(np.uint8)
    field = np.zeros((200, 200, 1), np.uint8)
    field[30:] = 250
    text = draw.integers(0, 120, (200, 200, 1)).astype(np.uint8)
    text[180:192, 50:146, 0] = lettered()
    assert [likely_text(levels) for levels in (noise, field, text)] == [False, False, True]


# The network


def test_greys_become_three_equal_colours_inside_the_model():
    grey = picture_encoder("mobilenet", "none", 32, 0.25, 32, (1, "float32"))
    colour = picture_encoder("mobilenet", "none", 32, 0.25, 32)
    grey.set_weights(colour.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1)).astype(np.uint8)
    wanted = np.asarray(colour(np.repeat(pixels, 3, axis=-1)))
    assert grey.input_shape == (None, 32, 32, 1)
    assert np.allclose(np.asarray(grey(pixels.astype(np.float32))), wanted, atol=1e-5)


# Whole runs


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """A MedMNIST file of three grades of brightness, with splits of its own."""
    path = tmp_path_factory.mktemp("mnist") / "gradesmnist.npz"
    draw, arrays = np.random.default_rng(0), {}
    for name, count in (("train", 60), ("val", 30), ("test", 30)):
        grades = np.arange(count) % 3
        arrays[f"{name}_images"] = (draw.integers(0, 80, (count, 12, 12)) + 80 * grades[:, None, None]).astype(np.uint8)
        arrays[f"{name}_labels"] = grades[:, None].astype(np.uint8)
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def graded(mnist, tmp_path_factory):
    words = ["--data", mnist, "--image-size", "16", "--epochs", "4"]
    grades = [word for grade in "012" for word in ("--ordinal", grade)]
    code, out, err = run_here("medical", "diagnose", "train", *words, *grades, "-o", tmp_path_factory.mktemp("graded"))
    assert code == 0, err
    return Run(out.strip())


def test_medmnist_keeps_its_splits_and_small_images_are_enlarged(graded):
    assert graded.summary["rows"] == {"train": 60, "validation": 30, "test": 30, "quarantined": 0}
    assert read_json(graded / "schema.json")["channels"] == 1 and read_json(graded / "schema.json")["size"] == 16


def test_grades_are_measured_by_kappa_first(graded):
    report = read_json(graded / "evaluation/test/report.json")
    assert list(report["metrics"])[:2] == ["quadratic_kappa", "auroc"] and "sensitivity" not in report["metrics"]
    assert report["metrics"]["quadratic_kappa"]["baseline"] == 0
    assert graded.labels["labels"] == ["0", "1", "2"] and graded.labels["ordinal"] is True


def test_prevalence_needs_two_classes(graded, cli):
    code, _, err = cli("evaluate", graded.folder, "--prevalence", "0.1")
    assert code == 1 and "--prevalence needs two classes. Found: 3" in err


def test_a_threshold_is_frozen_on_validation_and_measured_on_test(tiny_runs, cli, tmp_path):
    run = tiny_runs("medical", "diagnose")
    code, _, err = cli(
        "evaluate",
        run.folder,
        "--sensitivity",
        "0.9",
        "--prevalence",
        "0.01",
        "--conformal",
        "0.9",
        "-o",
        tmp_path / "e",
    )
    assert code == 0, err
    report = read_json(tmp_path / "e/report.json")
    point, scores = report["details"]["operating_point"], report["metrics"]
    validation = read_table(run / "evaluation/validation/answers.parquet")
    lesions = np.array([row["scores"][1] for row in validation.to_pylist() if row["target"] == "lesion"])
    assert (lesions >= point["threshold"]).mean() == point["validation"]["sensitivity"] >= 0.9
    assert scores["sensitivity"]["value"] == point["sensitivity"] and scores["specificity"]["low"] is not None
    assert scores["ppv_at_prevalence"]["value"] < scores["ppv"]["value"]
    assert scores["ppv_at_prevalence"]["baseline"] == pytest.approx(0.01)
    near = [row["score"] if row["label"] == "lesion" else 1 - row["score"] for row in report["details"]["borderline"]]
    away = np.abs(np.array(near) - point["threshold"])
    assert (np.diff(away) >= -1e-6).all() and all(row["target"] == "lesion" for row in report["details"]["borderline"])
    sets = report["details"]["conformal"]["measured"]
    assert sets["low"] <= sets["coverage"] <= sets["high"]


def test_the_page_says_that_it_is_no_medical_device_and_shows_the_decision_curve(tiny_runs):
    text = (tiny_runs("medical", "diagnose") / "evaluation/test/report.html").read_text()
    assert "not a medical device" in text and "decision-curve" in text and "DeLong" in text
    assert "bootstrap over patients" in text and "Positives near the threshold" in text


def test_all_pictures_of_a_patient_are_on_one_side(tiny_runs):
    splits = tiny_runs("medical", "diagnose").splits
    sides = pa.TableGroupBy(splits, "group").aggregate([("split", "count_distinct")])
    assert sides.num_rows == 80 and set(sides["split_count_distinct"].to_pylist()) == {1}


def test_heat_maps_of_mistakes_and_of_positives_near_the_threshold_are_drawn(tiny_runs, cli, tmp_path):
    run = tiny_runs("medical", "diagnose")
    assert cli("evaluate", run.folder, "--grad-cam", "2", "-o", tmp_path / "e")[0] == 0
    assert len(list((tmp_path / "e").glob("grad_cam*/*.png"))) == 4
    with Image.open(tmp_path / "e/grad_cam_borderline/001.png") as drawn:
        assert drawn.size == (64, 32)


def test_several_labels_need_a_separator_and_are_measured_by_their_mean_area(tmp_path):
    draw = np.random.default_rng(0)
    labels = np.concatenate([np.eye(3, dtype=np.uint8)] * 9 + [np.array([[1, 0, 1], [0, 0, 0]], np.uint8)])
    images = draw.integers(0, 60, (len(labels), 12, 12, 3)).astype(np.uint8)
    np.savez(tmp_path / "chest.npz", train_images=images, train_labels=labels)
    with pytest.raises(UserError, match="3 labels a picture; give --label-separator"):
        list(npz_blocks(tmp_path / "chest.npz", Diagnose(), True))
    card = Diagnose(label_separator=";")
    (block,) = npz_blocks(tmp_path / "chest.npz", card, True)
    targets = block["target"].to_pylist()
    assert targets[:3] == ["0", "1", "2"] and targets[-2:] == ["0;2", ""]
    task = task_of(card).with_fitted(Fitted(decisions=Labels.learnt(targets, card)))
    outcome = task.learner.outcome_of(draw.random((len(targets), 3)), targets)
    assert list(task.evaluator.metrics(outcome)) == ["auroc", "macro_average_precision", "micro_f1", "log_loss"]


def test_greys_beyond_8_bits_reach_the_network_unrounded():
    values = np.random.default_rng(0).integers(20000, 20100, (16, 16)).astype(np.uint16)
    out = BytesIO()
    Image.fromarray(values).save(out, "PNG")
    task = task_of(Diagnose())
    fitted = task.reader.fit_schema([task.reader.inspect(out.getvalue(), ".png")])
    assert (fitted.schema["dtype"], fitted.schema["channels"]) == ("float32", 1)
    reader = task.with_fitted(fitted.having(schema={"size": 16})).reader
    tensor = reader.read(out.getvalue())
    assert tensor.dtype == np.float32 and np.allclose(tensor[..., 0] * 257, values, atol=0.01)
    view = reader.read(out.getvalue(), seed=(0, 1, 2))
    assert np.array_equal(view, tensor)


def test_random_views_change_floating_point_greys_as_they_do_8_bits():
    values = np.random.default_rng(0).integers(0, 256, (16, 16)).astype(np.uint8)
    change, preprocessing = Change("strong", "both", (1, 2, 3)), ScanPreprocessing
    kinds = (preprocessing(size=16, dtype=dtype) for dtype in ("uint8", "float32"))
    rounded, exact = (kind.read(as_bytes(values), change) for kind in kinds)
    plain = preprocessing(size=16).read(as_bytes(values))
    assert np.abs(rounded - exact).max() < 2 and not np.array_equal(rounded, plain)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((3, 8, 8), np.uint8)}, "holds no train_images"),
        (
            {"train_images": np.zeros((3, 8, 8, 8), np.uint8), "train_labels": np.zeros((3, 1))},
            r"should be \[n, h, w\]",
        ),
        ({"train_images": np.zeros((3, 8, 8), np.uint8), "train_labels": np.zeros((2, 1))}, "as many rows"),
        ({"train_images": np.array([{}, {}]), "train_labels": np.zeros((2, 1))}, "no readable .npz"),
    ],
)
def test_npz_files_of_another_shape_say_what_is_wrong(tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=said):
        list(npz_blocks(tmp_path / "x.npz", Diagnose(), True))
