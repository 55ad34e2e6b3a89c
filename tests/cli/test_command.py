"""The command: streams, exit codes, errors in one line, and the reference."""

import importlib.util
import json
import re
from pathlib import Path

import click
import pytest
from conftest import fill_class_folders

from horngate.cli.verbs import train_command
from horngate.pipelines.runs.run import Run
from horngate.pipelines.spec.discovery import card_class, domains
from horngate.pipelines.system import progress

pytestmark = pytest.mark.usefixtures("undrawn")

ROOT = Path(__file__).parents[2]


def test_the_reference_is_that_of_the_code():
    spec = importlib.util.spec_from_file_location("make_cli", ROOT / "docs" / "make_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.reference() == (ROOT / "docs" / "cli.md").read_text("utf-8"), "run `make docs`"


@pytest.mark.parametrize(("domain", "task"), [(domain, task) for domain in domains() for task in domains()[domain]])
def test_help_of_train_shows_the_ten_most_used_options_first_and_the_others_in_groups(domain, task):
    command = train_command(card_class(domain, task))
    ctx = click.Context(command, info_name="train", terminal_width=110, max_content_width=110)
    sections = dict(re.findall(r"^([A-Z][a-z ]+):\n((?:  .*\n?)+)", command.get_help(ctx), re.MULTILINE))
    shown = {name: re.findall(r"^  (-[^\s,]+(?:, --\S+)?)", text, re.MULTILINE) for name, text in sections.items()}
    assert list(shown) == ["Most used", "Data", "Columns", "Learning", "This task", "Output"]
    assert shown["Most used"][:3] == ["--data", "--recipe", "-o, --output"] and len(shown["Most used"]) == 10
    wanted = [", ".join(param.opts) for param in command.get_params(ctx)]
    assert sorted(name for names in shown.values() for name in names) == sorted(wanted)
    assert all(name.endswith("-column") for name in shown["Columns"])
    assert {"--precision", "-c", "--resume"} <= {*shown["Learning"]} and "--dry-run" in shown["Output"]


def test_options_that_a_task_would_refuse_are_not_there(cli):
    assert cli("vision", "classify", "train", "--class-weights", "balanced", "--dry-run")[0] == 0
    for words in (
        ("recommendation", "rank", "train", "--class-weights", "none"),
        ("anomaly", "table", "train", "--class-weights", "none"),
        ("nlp", "similar", "train", "--refit"),
        ("recommendation", "sequence", "train", "--users", "users.csv"),
        ("medical", "segment", "train", "--runtime", "litert"),
    ):
        assert cli(*words, "--dry-run")[0] == 2


def test_an_unknown_command_names_the_nearest(cli):
    code, _, err = cli("vison")
    assert code == 2 and 'Did you mean "vision"?' in err
    assert cli("vision", "clasify")[0] == 2


def test_a_bug_is_a_traceback_and_70(cli, monkeypatch):
    def broken(folder):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("horngate.cli.everywhere.list_runs", broken)
    code, _, err = cli("runs")
    assert code == 70 and "ZeroDivisionError: oops" in err and "bug of horngate" in err


def test_training_on_nothing_readable_is_one_line(cli, tmp_path):
    root = fill_class_folders(tmp_path / "p", each=2)
    for path in root.glob("*/*.png"):
        path.write_text("no picture")
    code, out, err = cli("-q", "vision", "classify", "train", "--data", root, "-o", tmp_path / "runs")
    assert (code, out) == (1, "") and len(err.strip().splitlines()) == 1 and "nothing is left to learn from" in err


def test_one_class_is_an_error_and_too_many_bad_files_too(cli, tmp_path):
    one = fill_class_folders(tmp_path / "one", names=("red",))
    code, _, err = cli("vision", "classify", "train", "--data", one, "-o", tmp_path / "runs")
    assert code == 1 and "at least two classes" in err
    assert not list((tmp_path / "runs").iterdir())  # a training that never began leaves nothing behind
    bad = fill_class_folders(tmp_path / "bad")
    for path in sorted(bad.glob("*/*.png"))[:4]:
        path.write_text("no picture")
    code, _, err = cli("vision", "classify", "check", bad)
    assert code == 1 and "more than --max-quarantine 5.0%" in err
    assert cli("vision", "classify", "check", bad, "--max-quarantine", "0.2")[0] == 0
    assert cli("vision", "classify", "check", bad, "--max-quarantine", "0.2", "--strict")[0] == 1


def test_check_names_what_is_wrong(cli, tmp_path):
    root = fill_class_folders(tmp_path / "p", names=("red", "green", "blue"))
    (root / "Red ").mkdir()
    (root / "Red " / "x.png").write_bytes((root / "green" / "000.png").read_bytes())
    code, out, _ = cli("vision", "classify", "check", root, "--json")
    codes = {finding["code"]: finding for finding in json.loads(out)["findings"]}
    assert code == 0
    assert {"similar_labels", "rare_classes", "duplicates", "two_labels"} <= codes.keys()
    assert '"Red "' in codes["similar_labels"]["message"] and codes["two_labels"]["rows"] == 2


def test_duplicates_across_given_splits_are_a_warning_and_a_second_score(cli, tmp_path):
    root = fill_class_folders(tmp_path / "train", each=20).rename(tmp_path / "x")
    (tmp_path / "d").mkdir()
    root.rename(tmp_path / "d" / "train")
    fill_class_folders(tmp_path / "d" / "test", each=6, seed=500)
    for name in ("red", "blue"):
        data = (tmp_path / "d" / "train" / name / "000.png").read_bytes()
        (tmp_path / "d" / "test" / name / "copy.png").write_bytes(data)
    code, out, _ = cli("vision", "classify", "check", tmp_path / "d", "--json")
    assert code == 0 and "duplicates_across_splits" in {finding["code"] for finding in json.loads(out)["findings"]}
    knobs = ("--image-size", 16, "--epochs", 1, "-o", tmp_path / "runs")
    code, out, err = cli("vision", "classify", "train", "--data", tmp_path / "d", *knobs)
    assert code == 0, err
    assert "stand on several sides" in err
    protocol = json.loads((Path(out.strip()) / "evaluation/test/report.json").read_text())["protocol"]
    assert protocol["leaking_rows"] == 2 and protocol["without_leaks"]["accuracy"]["value"] is not None


def test_a_group_on_two_sides_stops_the_training(cli, photos):
    lines = ["path,label,split,patient"]
    for number in range(10):
        for name in ("red", "blue"):
            lines.append(f"{name}/{number:03d}.png,{name},{'test' if number == 9 else 'train'},{number // 2}")
    (photos / "t.csv").write_text("\n".join(lines))
    given = ("--split-column", "split", "--group-column", "patient")
    code, _, err = cli("vision", "classify", "check", photos / "t.csv", *given)
    assert code == 1 and "1 groups stand on several sides" in err


def test_runs_lists_headlines_and_unfinished_ones(cli, tiny_runs, tmp_path):
    run = tiny_runs("vision", "classify")
    unfinished = Run.create(run.card)
    code, out, _ = cli("runs", run.folder.parent, "--json")
    rows = {row["run"]: row for row in json.loads(out)}
    assert code == 0 and rows[str(run.folder)]["metric"] == "accuracy" and "[" in rows[str(run.folder)]["test"]
    assert rows[str(unfinished.folder)]["test"] == "unfinished"
    code, _, err = cli("evaluate", unfinished.folder)
    assert code == 1 and f"train --resume {unfinished.folder}" in err
    assert cli("runs", run.folder.parent)[0] == 0
    assert cli("runs", tmp_path / "none")[0] == 1


def test_recipes_and_doctor_have_json(cli):
    code, out, _ = cli("recipes", "--json")
    assert code == 0 and {"task": "vision classify", "recipe": "quick", "knobs": {"method": "probe"}} in json.loads(out)
    code, out, _ = cli("doctor", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["keras"] and facts["precision"]
    assert "CPU cores" in facts["device"] or facts["gpus"]


def test_a_gpu_that_is_not_there_is_an_error(cli, tmp_path):
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU here")
    code, out, err = cli("vision", "classify", "train", "--recipe", "tiny", "--device", "gpu", "-o", tmp_path)
    assert (code, out) == (1, "") and "no GPU here" in err and not list(tmp_path.iterdir())


def test_a_probe_without_pretrained_weights_is_refused(cli, photos, tmp_path):
    words = ("--recipe", "tiny", "--data", photos, "--method", "probe", "-o", tmp_path)
    code, _, err = cli("vision", "classify", "train", *words)
    assert code == 1 and "needs pretrained weights" in err


def test_two_runs_started_together_have_two_folders(tmp_path):
    from horngate.pipelines.vision import Classify

    card = Classify(data="x", output=str(tmp_path))
    assert len({Run.create(card).folder for _ in range(5)}) == 5


def test_stdout_holds_the_result_alone(horngate, photos, tmp_path):
    done = horngate("vision", "classify", "train", "--recipe", "tiny", "--data", photos, "-o", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert done.stdout == f"{folder}\n"
    assert "random weights" in done.stderr and "oneDNN" not in done.stderr and "cuda" not in done.stderr.lower()


def test_an_interrupt_is_130_and_says_how_to_go_on(cli, monkeypatch):
    def interrupted(folder):
        raise KeyboardInterrupt

    monkeypatch.setattr("horngate.cli.everywhere.list_runs", interrupted)
    code, _, err = cli("runs")
    assert code == 130 and "--resume" in err
    assert not progress.stop.is_set()
