"""The page of an evaluation, looked at in a browser: whole, quiet, readable by keys, and never dearer than its report."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from browser import browsed, chromium
from conftest import fill_class_folders

from horngate.pipelines.report.cells import number
from horngate.pipelines.report.page import render
from horngate.pipelines.runs.report import Report, Score

EVIL, QUOTED = "<script>alert(1)</script>", 'a "quoted" $class$'


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    """A tab of a headless browser; tests that need one skip where there is none."""
    program = chromium()
    if program is None:
        pytest.skip("no chromium on this machine")
    with browsed(program, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def evil(tmp_path_factory) -> Path:
    """The page of a run whose class names are markup, with quarantine, slices, decisions and leaks."""
    from horngate.pipelines import evaluate, train
    from horngate.pipelines.vision import Classify

    root = fill_class_folders(tmp_path_factory.mktemp("photos"), 16, ("red", "green"))
    lines = ["path,label,split,camera"]
    for place, (colour, name) in enumerate((("red", EVIL), ("green", '"a ""quoted"" $class$"'))):
        for row in range(16):
            split = ("train", "train", "validation", "test")[row % 4]
            lines.append(f"{colour}/{row:03d}.png,{name},{split},{'<b>north</b>' if row % 8 < 4 else 'south'}")
        lines.append(f"{colour}/000.png,{name},test,south")
        (root / f"broken{place}.png").write_text("none")
        lines.append(f"broken{place}.png,{name},train,south")
    (root / "table.csv").write_text("\n".join(lines) + "\n")
    output = str(tmp_path_factory.mktemp("runs"))
    data = str(root / "table.csv")
    run = train(Classify(data=data, split_column="split", image_size=16, epochs=2, output=output, max_quarantine=0.5))
    evaluate(run, sensitivity=0.5, conformal=0.6, runtime="tensorflow")
    return run / "evaluation/test/report.html"


@pytest.fixture(scope="module")
def digits(tiny_runs) -> Path:
    """The page of the sample's ten classes."""
    return tiny_runs("vision", "classify") / "evaluation/test/report.html"


class Outside(HTMLParser):
    """Collects what a page would fetch, and the ids it gives."""

    def __init__(self, text: str):
        super().__init__()
        self.fetched, self.ids, self.unlabelled = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            value = values.get(name)
            if value is not None and not value.startswith(("data:", "#")):
                self.fetched.append((tag, value))
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img" and not values.get("alt"):
            self.unlabelled.append(values)


@pytest.mark.parametrize("page", ["evil", "digits"])
def test_a_page_asks_for_nothing_and_complains_of_nothing(page, tab, request):
    path = request.getfixturevalue(page)
    tab.open(path)
    asked = [event["params"]["request"]["url"] for event in tab.told if event["method"] == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file:")] == [path.resolve().as_uri()]
    loud = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
    assert [event for event in tab.told if event["method"] in loud] == []
    sides = tab.value("[...document.images].map(image => image.complete && image.naturalWidth)")
    assert sides and all(20 <= side <= 160 for side in sides)


@pytest.mark.parametrize("page", ["evil", "digits"])
def test_a_page_is_one_small_file_with_a_strict_policy(page, request):
    text = request.getfixturevalue(page).read_text("utf-8")
    seen = Outside(text)
    assert seen.fetched == [] and seen.unlabelled == []
    assert len(seen.ids) == len(set(seen.ids))
    assert re.search(
        r"content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-", text
    )
    assert not re.search(r"@import|url\((?!#)", text)
    assert len(text.encode()) < 2_000_000
    for svg in re.findall(r"<svg[^>]*>", text):
        assert "aria-hidden" in svg or re.search(r'role="img" aria-label="[^"]+"', svg), svg


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_a_page_fits_narrow_screens_and_dark_ones(width, dark, tab, evil):
    tab.look(width, dark)
    tab.open(evil)
    assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    colours = """(() => {
        const luminance = (text) => text.match(/\\d+/g).slice(0, 3).map(Number).reduce((sum, part) => sum + part, 0) / 765;
        const paper = luminance(getComputedStyle(document.body).backgroundColor);
        const words = [...document.querySelectorAll("figure svg text")].map(
            (word) => Math.abs(luminance(getComputedStyle(word).fill) - paper));
        return [paper, Math.min(...words.filter((gap, place) => gap > 0.05)), words.length];
    })()"""
    paper, least, words = tab.value(colours)
    assert (paper < 0.2) == dark and words > 20 and least > 0.25
    tab.look(1400)


def test_tables_sort_by_key(tab, evil):
    tab.open(evil)
    find = "[...document.querySelectorAll('#slices th button')].find(button => button.textContent === 'accuracy')"
    cells = "[...document.querySelectorAll('#slices tbody tr')].map(row => Number(row.cells[3].dataset.value))"
    head = f"{find}.parentElement.getAttribute('aria-sort')"
    tab.value(f"{find}.focus()")
    tab.press("Enter", 13, "\r")
    rising, said = tab.value(cells), tab.value(head)
    tab.press(" ", 32, " ")
    falling = tab.value(cells)
    assert len(rising) == 2 and rising == sorted(rising) and said == "ascending"
    assert falling == rising[::-1] and tab.value(head) == "descending"


def test_names_that_are_markup_show_as_text(tab, evil):
    tab.open(evil)
    text = tab.value("document.body.textContent")
    assert EVIL in text and QUOTED in text and "<b>north</b>" in text
    assert tab.value("document.scripts.length") == 1
    assert tab.value("document.querySelectorAll('main b b, td b, th b').length") == 0
    labels = tab.value("[...document.querySelectorAll('figure svg text')].map(word => word.textContent)")
    assert any(label.startswith("<script>") for label in labels) and QUOTED in labels


def test_a_page_says_what_the_report_and_the_run_know(tab, evil):
    tab.open(evil)
    shown = tab.value("Object.fromEntries([...document.querySelectorAll('section')].map(e => [e.id, e.innerText]))")
    wanted = "scores data learning answers calibration decisions slices duplicates cost repeat card"
    assert set(wanted.split()) <= set(shown)
    report = json.loads((evil.parent / "report.json").read_text())
    assert number(report["metrics"]["accuracy"]["value"]) in shown["scores"]
    assert "no picture" in shown["data"] and "broken1.png" in shown["data"]
    assert number(report["details"]["conformal"]["measured"]["coverage"]) in shown["decisions"]
    assert report["details"]["leaks"] == [["red/000.png#2", "red/000.png"], ["green/000.png#2", "green/000.png"]]
    assert "red/000.png#2" in shown["duplicates"]
    run = evil.parents[2]
    assert f"horngate vision classify train -c {run}/recipe.yaml" in shown["repeat"]
    assert (
        f"horngate evaluate {run} --split test --runtime tensorflow --sensitivity 0.5 --conformal 0.6"
        in shown["repeat"]
    )
    assert "random weights" in shown["card"] and "Intended use" in shown["card"]
    assert "MB" in shown["cost"] or "GB" in shown["cost"]
    links = tab.value("[...document.querySelectorAll('nav a')].map(link => link.hash.slice(1))")
    assert links == list(shown)


def test_a_page_is_the_same_for_the_same_answers(tiny_runs, cli, tmp_path):
    run = tiny_runs("vision", "classify")
    pages = []
    for _ in range(2):
        assert cli("evaluate", run.folder, "-o", tmp_path / "out")[0] == 0
        pages.append((tmp_path / "out/report.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_broken_plot_does_not_lose_the_report(tiny_runs, cli, tmp_path, monkeypatch):
    from horngate.pipelines.report.plot import Plot
    from horngate.pipelines.vision.classify.parts import PictureDisplay

    def broken(axes):
        raise ValueError("no paint")

    run = tiny_runs("vision", "classify")
    assert cli("evaluate", run.folder, "-o", tmp_path)[0] == 0 and (tmp_path / "report.html").exists()
    monkeypatch.setattr(PictureDisplay, "plots", lambda self, answers, report: [Plot("p", "P", "p", broken)])
    code, out, err = cli("evaluate", run.folder, "-o", tmp_path, "--json")
    assert code == 0 and "could not be drawn (ValueError: no paint)" in err
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(out)
    assert not (tmp_path / "report.html").exists()


def test_mistakes_without_maps_or_files_are_still_named(tiny_runs, cli, tmp_path, monkeypatch):
    from horngate.models.vision import grad_cam
    from horngate.pipelines.spec.errors import Unreadable
    from horngate.pipelines.vision.classify.parts import PictureDisplay

    def without_maps(*anything):
        raise ValueError("no spatial maps")

    run = tiny_runs("vision", "classify")
    monkeypatch.setattr(grad_cam, "grad_cam", without_maps)
    assert cli("evaluate", run.folder, "-o", tmp_path)[0] == 0
    plain = (tmp_path / "report.html").read_text()
    assert plain.count("data:image/jpeg") == 20 and "Grad-CAM" not in plain

    def gone(self, rows, answers):
        raise Unreadable("missing")

    monkeypatch.setattr(PictureDisplay, "rows", gone)
    assert cli("evaluate", run.folder, "-o", tmp_path)[0] == 0
    bare = (tmp_path / "report.html").read_text()
    first = json.loads((tmp_path / "report.json").read_text())["details"]["mistakes"][0]
    assert "data:image/jpeg" not in bare and first["id"] in bare


def test_drift_and_runtime_are_shown_where_they_are(tiny_runs, tmp_path):
    from horngate.pipelines.report.contents import page_of
    from horngate.pipelines.report.evaluation import Evaluation
    from horngate.pipelines.system.files import read_table
    from horngate.pipelines.tasks.task import task_of

    run = tiny_runs("vision", "classify")
    task = task_of(run.card).opened(run)
    stored = json.loads((run / "evaluation/test/report.json").read_text())
    stored.pop("format")
    stored["metrics"] = {name: Score(**score) for name, score in stored["metrics"].items()}
    stored["details"].pop("mistakes")
    stored["details"].pop("drift", None)
    answers = read_table(run / "evaluation/test/answers.parquet")
    report = Report(**stored)
    before = page_of(Evaluation(task, run, run.summary, answers, answers, report))
    report.details["drift"] = {
        "features": {"distance": 0.25, "p_value": 0.01, "rows": 180, "against": 1437},
        "inputs": [{"name": "brightness", "value": 0.5, "against": 0.75, "p_value": 1e-9}],
        "labels": [{"label": "7", "share": 0.5, "against": 0.1}],
        "alarm": True,
        "said": "the inputs are <darker>",
    }
    report.protocol["runtime"] = {"name": "litert", "speedup": 3.4, "max_abs_difference": 2e-6}
    after = page_of(Evaluation(task, run, run.summary, answers, answers, report))
    assert 'id="drift"' not in before and 'id="drift"' in after
    assert "the inputs are &lt;darker&gt;" in after and "brightness" in after and "0.250" in after
    assert "litert: 3.4 × as fast" in after and "litert" not in before


def test_a_task_that_draws_and_shows_nothing_has_a_page_too(tiny_runs, cli, tmp_path, monkeypatch):
    from horngate.pipelines.report.plot import Shown
    from horngate.pipelines.tasks.bases import PageDisplay
    from horngate.pipelines.vision.classify.parts import PictureDisplay

    run = tiny_runs("vision", "classify")
    for question in ("plots", "rows", "model_card"):
        monkeypatch.setattr(PictureDisplay, question, getattr(PageDisplay, question))
    assert cli("evaluate", run.folder, "-o", tmp_path)[0] == 0
    plain = (tmp_path / "report.html").read_text()
    assert 'id="scores"' in plain and 'id="calibration"' not in plain and "<img" not in plain
    said = [Shown(text=f"<b>text {place}</b>") for place in range(20)]
    monkeypatch.setattr(PictureDisplay, "rows", lambda self, rows, answers: said[: rows.num_rows])
    assert cli("evaluate", run.folder, "-o", tmp_path)[0] == 0
    assert "<blockquote>&lt;b&gt;text 19&lt;/b&gt;</blockquote>" in (tmp_path / "report.html").read_text()


def test_several_labels_and_training_rows_have_a_page(tmp_path, cli):
    photos = fill_class_folders(tmp_path / "photos", 10, ("red", "green", "blue"))
    lines = ["path,labels"]
    for name in ("red", "green", "blue"):
        lines += [f"{name}/{row:03d}.png,{name}{'|bright' if row % 2 else ''}" for row in range(10)]
    (photos / "table.csv").write_text("\n".join(lines) + "\n")
    words = ("--image-size", 16, "--epochs", 1, "--label-separator", "|", "--validation", 0.2, "--test", 0.2)
    code, out, err = cli("vision", "classify", "train", "--data", photos / "table.csv", *words, "-o", tmp_path / "runs")
    assert code == 0 and "could not be drawn" not in err
    run = Path(out.strip())
    page = (run / "evaluation/test/report.html").read_text()
    assert "F1 by class" in page and "Confusion matrix" not in page and "learnt from these rows" not in page
    assert cli("evaluate", run, "--split", "train")[0] == 0
    assert "The model has learnt from these rows." in (run / "evaluation/train/report.html").read_text()


def test_the_terminal_has_a_bar_for_every_unit():
    from horngate.cli.output import report_tables

    share = {"value": 0.5, "low": 0.25, "high": 0.75, "baseline": 0.1, "unit": "share"}
    nats = {"value": 1.0, "low": 0.5, "high": 1.5, "baseline": 2.0, "unit": "nats"}
    below = {"value": -1.0, "low": -2.0, "high": -0.5, "baseline": None, "unit": "nats"}
    nothing = {"value": None, "low": None, "high": None, "baseline": None, "unit": "nats", "reason": "one class"}
    scores = {"share": share, "nats": nats, "below": below, "nothing": nothing}
    report = dict.fromkeys(("domain", "task", "split"), "x") | {"rows": 4, "groups": None, "metrics": scores}
    (table,) = report_tables(report | {"references": {}, "slices": [], "details": {}})
    bars = [str(cell) for cell in table.columns[-1].cells]
    assert bars[0] == "·" * 7 + "─" * 8 + "●" + "─" * 7 + "·" * 7
    assert bars[1] == bars[0] + " 0 … 2" and bars[2].endswith(" -2 … 0") and bars[3] == ""


def outcome_of(rows: int, classes: int, seed: int = 0):
    from horngate.pipelines.metrics.classification import Outcome

    draw = np.random.default_rng(seed)
    truth = draw.integers(0, classes, rows)
    targets = np.eye(classes, dtype=np.float32)[truth]
    scores = draw.random((rows, classes), np.float32) + 2 * targets * (draw.random((rows, 1)) < 0.8)
    scores = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    return Outcome(targets, scores, scores.argmax(1), 1 if classes == 2 else None)


def plots_of(outcome, classes: int, temperature: float = 1.5):
    from horngate.pipelines.metrics import classification
    from horngate.pipelines.report import classification as drawing
    from horngate.pipelines.statistics import calibration

    labels = tuple(f"class number {place}" for place in range(classes))
    details = {
        "per_class": classification.per_class(outcome, labels),
        "confusion": classification.confusion(outcome).tolist(),
        "reliability": calibration.reliability(outcome),
    }
    return drawing.plots(outcome, labels, details, temperature)


@pytest.mark.parametrize(("rows", "classes"), [(2, 2), (40_000, 2), (3_000, 100), (6_000, 150)])
def test_plots_stay_small_from_two_rows_to_many_classes(rows, classes):
    from horngate.pipelines.report.figures import drawn

    found = plots_of(outcome_of(rows, classes), classes)
    figures = {plot.name: drawn(plot)["svg"] for plot in found}
    assert {"confusion", "per-class", "scores-histogram", "risk-coverage", "reliability"} <= figures.keys()
    assert sum(map(len, figures.values())) < 700_000
    named = len(re.findall("class number", figures["confusion"].split(">", 1)[1]))
    assert named == 2 * (classes if classes <= 100 else 30)


def test_reliability_is_drawn_before_and_after_scaling():
    from horngate.pipelines.report.figures import drawn
    from horngate.pipelines.statistics import calibration

    raw = outcome_of(2000, 3)
    scaled = replace(raw, scores=calibration.at_temperature(raw.scores, 0.5, False).astype(np.float32))
    (plot,) = [plot for plot in plots_of(scaled, 3, temperature=0.5) if plot.section == "calibration"]
    svg = drawn(plot)["svg"]
    assert "before scaling" in svg and "after scaling" in svg
    errors = [
        sum(bin["rows"] * abs(bin["confidence"] - bin["accuracy"]) for bin in bins) / 2000
        for bins in map(calibration.reliability, (scaled, raw))
    ]
    assert f"Calibration error {errors[0]:.3f}, {errors[1]:.3f} before" in plot.caption


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.9998, "0.9998"), (1.0, "1.000"), (0.88264, "0.883"), (1234567, "1,234,567"), (1e-9, "1e−9"), (-0.02, "−0.020")],
)
def test_numbers_are_short_and_never_rounded_to_certainty(value, text):
    assert number(value) == text


def test_any_page_gets_the_frame(tmp_path, monkeypatch):
    from horngate.pipelines.report import page

    shutil.copytree(page.HERE, tmp_path / "page")
    (tmp_path / "page/other.html.j2").write_text(
        '{% extends "frame.html.j2" %}{% block main %}{{ word }}{% endblock %}'
    )
    monkeypatch.setattr(page, "HERE", tmp_path / "page")
    page._environment.cache_clear()
    text = render("other.html.j2", word="<&>")
    page._environment.cache_clear()
    assert "&lt;&amp;&gt;" in text and "Content-Security-Policy" in text


def test_nothing_draws_before_a_page_is_asked_for():
    code = """
import sys
import horngate.pipelines.spec.discovery
horngate.pipelines.spec.discovery.domains()
import horngate.pipelines.report.plot
heavy = [name for name in ("matplotlib", "jinja2", "markupsafe", "numpy", "pyarrow") if name in sys.modules]
assert not heavy, heavy
import horngate.pipelines.vision.classify.parts, horngate.pipelines.verbs.evaluate
assert "matplotlib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wheel_holds_the_templates(tmp_path):
    root = Path(__file__).parents[2]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    there = set(zipfile.ZipFile(wheel).namelist())
    files = [path.name for path in (root / "pipelines/report").iterdir() if path.suffix in (".j2", ".css", ".js")]
    assert len(files) >= 5 and {f"horngate/pipelines/report/{name}" for name in files} <= there
