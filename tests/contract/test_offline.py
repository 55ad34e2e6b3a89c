"""No network: what `--offline` forbids, and that nothing asks for it in the first place."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from horngate.pipelines.spec.errors import UserError
from horngate.pipelines.system import offline

ABORT = """
import os, sys
def hook(event, values):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        if not (event == "socket.connect" and isinstance(values[1], (str, bytes))):
            os.write(2, f"{event} {values[1:]}".encode())
            os._exit(99)
sys.addaudithook(hook)
"""


@pytest.fixture
def forbidden():
    """No network in this process, until the test ends."""
    offline.obey(True)
    yield
    offline.obey()


@pytest.fixture
def aborting(tmp_path):
    """Environment of a process that dies with 99 at its first connection or name look-up."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(ABORT)
    path = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "KERAS_HOME": str(tmp_path / "keras"), "HORNGATE_PRESETS": str(tmp_path / "presets")}


def test_the_aborting_process_of_these_tests_does_abort(aborting):
    code = "import socket; socket.getaddrinfo('example.invalid', 80)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | aborting).returncode == 99


def test_train_evaluate_and_predict_use_no_socket(aborting, photos, tmp_path):
    code = f"""
from horngate.pipelines import evaluate, predict, train
from horngate.pipelines.vision import Classify
run = train(Classify(data={str(photos)!r}, image_size=16, epochs=1, output={str(tmp_path)!r}))
evaluate(run)
print(predict(run, [{str(photos)!r}], {str(tmp_path / "a.csv")!r}).rows)
"""
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | aborting, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "36"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--backbone", "mobilenet_v2", "--alpha", "0.35", "--image-size", "96"), "presets fetch mobilenet_v2"),
        (("--backbone", "mobilenet_v3_small_100_imagenet"), "presets fetch mobilenet_v3_small_100_imagenet"),
        (("--backbone", "hf://keras/nothing"), "presets fetch hf://keras/nothing"),
        (("--backbone", "gs://bucket/preset"), "gs://bucket/preset was wanted"),
        (("--data", "tfds:mnist"), "`tfds build mnist`"),
    ],
    ids=["weights", "preset", "handle", "bucket", "tfds"],
)
def test_what_is_not_here_is_one_line_that_says_how_to_bring_it(cli, photos, monkeypatch, tmp_path, given, told):
    words = ["vision", "classify", "train", "--recipe", "tiny", "--data", photos, "-o", tmp_path / "runs", *given]
    for name in ("TFDS_DATA_DIR", "KAGGLEHUB_CACHE", "HORNGATE_PRESETS"):
        monkeypatch.setenv(name, str(tmp_path / name))
    code, out, err = cli("-q", *words, "--offline")
    assert (code, out) == (1, "")
    assert len(err.strip().splitlines()) == 1 and told in err


def test_the_option_holds_before_and_after_the_verb_and_through_the_short_form(cli, monkeypatch):
    seen = []
    monkeypatch.setattr("horngate.cli.everywhere.list_runs", lambda folder: seen.append(offline.forbidden()) or [])
    for words in (("--offline", "runs"), ("runs", "--offline"), ("runs",)):
        cli(*words)
    monkeypatch.setattr(
        "horngate.pipelines.verbs.evaluate.evaluate", lambda *words, **options: seen.append(offline.forbidden())
    )
    cli("--offline", "evaluate", Path(__file__).parents[1] / "data" / "run-format-1" / "run")
    monkeypatch.setenv("HORNGATE_OFFLINE", "1")
    cli("runs")
    monkeypatch.delenv("HORNGATE_OFFLINE")
    cli("runs")
    assert seen == [True, True, False, True, True, False]


def test_look_ups_and_connections_elsewhere_are_refused_and_local_ones_are_not(forbidden, tmp_path):
    with pytest.raises(UserError, match=r"example.invalid was wanted"):
        socket.getaddrinfo("example.invalid", 443)
    with socket.socket() as plain, pytest.raises(UserError, match=r"192.0.2.1 was wanted"):
        plain.connect(("192.0.2.1", 80))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain, pytest.raises(UserError):
        plain.sendto(b"x", ("192.0.2.1", 53))
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as plain:
        server.bind(str(tmp_path / "s"))
        server.listen()
        plain.connect(str(tmp_path / "s"))


def test_a_refusal_is_found_in_what_a_library_made_of_it():
    try:
        try:
            raise offline.Forbidden("x was wanted")
        except UserError as problem:
            raise RuntimeError("failed") from problem
    except RuntimeError as wrapped:
        assert str(offline.told(wrapped)) == "x was wanted"
    assert offline.told(RuntimeError("failed")) is None


def test_a_wrapped_refusal_is_one_line_and_no_bug(cli, monkeypatch):
    def broken(folder):
        try:
            raise offline.Forbidden("x was wanted")
        except UserError:
            raise RuntimeError("failed") from None

    monkeypatch.setattr("horngate.cli.everywhere.list_runs", broken)
    code, _, err = cli("runs")
    assert (code, err) == (1, "error: x was wanted\n")
