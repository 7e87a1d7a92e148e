import base64
import hashlib
import html
import json
import os
import re
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from run_folders import CONFIG, NAMES, evaluation_line, make_run, metric_lines

import wgan_jax.report
from wgan_jax.errors import ReportError
from wgan_jax.program import heartbeat
from wgan_jax.report import write_report
from wgan_jax.report.names import readable
from wgan_jax.report.run import read_runs
from wgan_jax.report.status import status_of

STAGES = [
    getattr(heartbeat, name)
    for name in ("TRAINING", "EVALUATION", "DONE", "INTERRUPTED", "FAILED")
]
PICTURES = ("step_00000100.png", "step_00000100_live.png", "step_00000200.png")


class Page(HTMLParser):
    """Collects headings, links and text of a page."""

    def __init__(self, path):
        super().__init__()
        self.levels, self.links, self.images, self.words = [], [], [], []
        self.tags, self.titles, self._open = [], [], None
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs, self._open = dict(attrs), tag
        self.tags.append(tag)
        self.titles.append(attrs.get("title"))
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        self.links += [attrs[k] for k in ("src", "href", "srcset") if k in attrs]
        if tag == "img":
            self.images.append(attrs)

    def handle_data(self, data):
        if self._open not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def report(tmp_path):
    def report(*folders):
        return Page(write_report(folders, tmp_path / "out" / "report.html"))

    return report


def test_page_shows_facts_curves_and_pictures(tmp_path, report):
    folder = make_run(
        tmp_path / "gentle", metric_lines(30, names=NAMES), pictures=PICTURES
    )
    page = report(folder)
    for words in (
        "Run gentle",
        "digits, train, 1,500 examples",
        "300 of 1,000",
        "Wasserstein estimate, last",
        "f1fd09c92923fb63544c41165de253eba6c8a6f8",
        "python launch.py --config=configs/digits_wgan_gp.py",
        "penalty.weight",
        "the critic is not trained enough yet",
    ):
        assert words in page.text
    for name in NAMES:
        assert readable(name) != name
        assert readable(name) in page.text, "nothing logged is lost"
        assert name in page.titles
    assert [image["data-step"] for image in page.images] == ["100", "200", "100"]
    assert all("gentle at iteration" in image["alt"] for image in page.images)


def test_page_needs_no_external_resources(tmp_path, report):
    page = report(make_run(tmp_path / "a", pictures=PICTURES))
    assert page.links
    assert all(link.startswith(("data:", "#")) for link in page.links)
    assert "iframe" not in page.tags
    text = (tmp_path / "out" / "report.html").read_text()
    assert 'name="viewport" content="width=device-width' in text
    assert "@import" not in text


def test_headings_are_in_order(tmp_path, report):
    a = make_run(
        tmp_path / "a",
        pictures=(*PICTURES, "real.png", "interpolation_00000200.png"),
        evaluations=[evaluation_line(100, 12.5)],
        overrides=["seed: 0 -> 1"],
    )
    page = report(a, make_run(tmp_path / "b"))
    assert page.levels[0] == 1
    assert page.levels.count(1) == 1
    assert np.diff(page.levels).max() == 1


def test_page_compares_configs_of_several_runs(tmp_path, report):
    other = CONFIG | {"penalty": {"name": "gradient_penalty", "weight": 0.125}}
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b", config=other)
    page = report(a, b)
    assert "2 runs: a, b" in page.text
    assert "a: Critic loss" in page.text
    assert "b: Critic loss" in page.text
    table = page.text.split("Config differences")[1].split("Curves")[0]
    assert "penalty.weight 10.0 0.125" in table
    assert "generator.width" not in table


def test_equal_folder_names_are_distinguished(tmp_path, report):
    page = report(make_run(tmp_path / "x" / "gp"), make_run(tmp_path / "y" / "gp"))
    assert "x/gp: Critic loss" in page.text
    assert "y/gp: Critic loss" in page.text


def test_runs_with_different_metrics_share_a_page(tmp_path, report):
    gan = [{"step": 10, "critic/score_gap": 0.5, "critic/odd": 2.0}]
    page = report(make_run(tmp_path / "w"), make_run(tmp_path / "gan", gan))
    assert "Score gap, last 0.5" in page.text
    assert "gan: critic/odd" in page.text
    assert "gan: Score gap" in page.text
    assert "w: Wasserstein estimate" in page.text


def test_overrides_and_differences_precede_the_fields(tmp_path, report):
    parent = {"name": "cifar10_wgan_gp", "differences": ["generator.width: 128 -> 64"]}
    page = report(make_run(tmp_path / "a", overrides=["seed: 0 -> 3"], parent=parent))
    config = page.text.rpartition("Config")[2]
    parts = ("cifar10_wgan_gp", "generator.width: 128 -> 64", "seed: 0 -> 3", "All ")
    places = [config.index(part) for part in parts]
    assert places == sorted(places)


def test_records_of_older_runs_are_accepted(tmp_path, report):
    folder = make_run(tmp_path / "a", parent=None)
    record = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({"config": record["config"]}))
    assert "unknown" in report(folder).text


def test_text_of_a_run_is_escaped(tmp_path, report):
    evil = '<img src="http://x.y" onerror="boom()"></script><script>boom()</script>'
    folder = make_run(
        tmp_path / "a<b>",
        [{"step": 1, "critic/loss": 1.0, f"odd/{evil}": 2.0}],
        config={"note": evil},
        command=evil,
        overrides=[evil],
        git_commit=evil,
        machine={"processor": evil},
        data={"name": evil, "split": evil},
        evaluations=[evaluation_line(1, 2.0, run=evil, split=evil)],
        notes=evil,
        heartbeat={"stage": "failed", "time": 1e9, "error": evil},
    )
    plain = make_run(tmp_path / "b", heartbeat={"stage": "training", "time": 1e12})
    page, other = report(folder), report(plain)
    assert "img" not in page.tags
    assert page.tags.count("script") == other.tags.count("script")
    assert page.text.count(html.unescape(evil)) >= 10


def test_incomplete_lines_and_nulls_are_skipped(tmp_path, report):
    lines = [{"step": 10, "critic/loss": 1.0}, {"step": 20, "critic/loss": None}]
    folder = make_run(tmp_path / "a", lines, evaluations=[evaluation_line(10, None)])
    for name in ("metrics", "evaluations"):
        with (folder / f"{name}.jsonl").open("a") as file:
            file.write(
                '[1]\n{"step": "x", "critic/loss": 5.0}\n{"step": 30, "critic/lo'
            )
    page = report(folder)
    assert "20 of 1,000" in page.text
    assert "not finite at 10" in page.text


def test_one_line_is_enough(tmp_path, report):
    folder = make_run(tmp_path / "a", [{"step": 1, "critic/loss": 1.0}])
    assert "1 of 1,000" in report(folder).text


def test_invalid_pictures_are_skipped(tmp_path, report):
    folder = make_run(tmp_path / "a", pictures=PICTURES)
    for name in ("step_00000300.png", "interpolation_00000300.png"):
        (folder / "samples" / name).write_bytes(b"\x89PNG torn")
    assert [i["data-step"] for i in report(folder).images] == ["100", "200", "100"]


def test_samples_without_ema_are_of_live_weights(tmp_path, report):
    training = {"training": {"iterations": 1000, "ema_decay": None}}
    folder = make_run(tmp_path / "a", config=training, pictures=PICTURES[::2])
    assert {i["data-weights"] for i in report(folder).images} == {"live weights"}


def test_latest_stills_have_captions(tmp_path, report):
    kinds = ("interpolation", "neighbours")
    names = [f"{kind}_{step:08d}.png" for kind in kinds for step in (100, 200)]
    page = report(make_run(tmp_path / "a", pictures=names))
    assert [image["alt"] for image in page.images] == [
        "Interpolation of a at iteration 200",
        "Nearest neighbors of a at iteration 200",
    ]
    assert "interpolates between two latents" in page.text


def test_real_examples_are_beside_the_samples(tmp_path, report):
    a = make_run(tmp_path / "a", pictures=("real.png", *PICTURES))
    page = report(a)
    assert [i["alt"] for i in page.images][:2] == [
        "Real examples of digits, train",
        "Samples of a at iteration 100, generated with EMA weights",
    ]
    b = make_run(tmp_path / "b", pictures=("real.png", *PICTURES))
    alts = [i["alt"] for i in report(a, b).images]
    assert alts.count("Real examples of digits, train") == 1, "they are the same"


def test_notes_of_the_run_are_shown(tmp_path, report):
    a = make_run(tmp_path / "a", notes="First line.\n\n- a *list*")
    assert "Notes First line. - a *list*" in report(a).text
    assert "Notes" not in report(make_run(tmp_path / "b")).text
    long = make_run(tmp_path / "c", notes="x" * 25_000)
    assert "[The other 5,000 characters are left out.]" in report(long).text


def test_summary_says_how_the_run_ended(tmp_path, report):
    def status(name, **heartbeat):
        folder = make_run(tmp_path / name, heartbeat={"time": 1e9} | heartbeat)
        return report(folder).text.split("Summary Samples")[0]

    page = status("a", stage="done")
    assert "Finished 2001-09-09 01:46 UTC" in page
    assert "Reload" not in page
    assert "Interrupted 2001-09-09 01:46 UTC" in status("b", stage="interrupted")
    page = status("c", stage="failed", error="iteration 3: critic/loss not finite.")
    assert "Failed 2001-09-09 01:46 UTC: iteration 3: critic/loss not finite." in page
    page = status("d", stage="training")
    assert "Silent no sign of the process since 2001-09-09 01:46 UTC" in page
    assert "Reload" not in page
    page = status("e", stage="training", time=time.time())
    assert "Running as of 20" in page
    assert "Reload this page every 60 seconds" in page


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_status(tmp_path, stage):
    folder = make_run(tmp_path / "a", heartbeat={"stage": stage, "time": time.time()})
    (run,) = read_runs([folder])
    status = status_of(run)
    assert status.word != "Unknown"
    assert status.running == (stage in ("training", "evaluation"))


def test_summary_has_the_leading_metric_and_the_best_checkpoint(tmp_path, report):
    lines = [
        evaluation_line(100, 9.0),
        evaluation_line(100, 5.0, weights="live"),
        evaluation_line(200, 7.0),
        evaluation_line(300, 8.0),
    ]
    config = {"evaluation": {"best_by": "frechet_distance"}}
    folder = make_run(tmp_path / "a", evaluations=lines, config=config)
    (folder / "best" / "200").mkdir(parents=True)
    text = report(folder).text
    assert (
        "7 ± 0.3 Fréchet distance iteration 200, EMA weights, 1,500 samples, features "
        "pixels; lower is better." in text
    )
    assert "Best checkpoint iteration 200, by Fréchet distance" in text


def test_headline_of_replicas_is_their_mean(tmp_path, report):
    lines = [
        evaluation_line(step, value + step / 100, run=run)
        for run, value in (("seed=0", 1.0), ("seed=1", 3.0))
        for step in (100, 200)
    ]
    text = report(make_run(tmp_path / "a", evaluations=lines)).text
    assert "3 Fréchet distance iteration 100" in text
    assert "mean of 2 replicas" in text


def test_summary_has_the_cost_of_the_run(tmp_path, report):
    training = {"iterations": 1000, "n_critic": 5, "batch_size": 64}
    clock = [(10, 50.0), (20, 100.0), (30, 40.0), (40, 3_700.0)]  # resumed after 20
    lines = [
        {"step": s, "critic/loss": 1.0, "time/seconds": t, "time/utc": 1e9 + s}
        for s, t in clock
    ]
    folder = make_run(
        tmp_path / "a",
        lines,
        config={"training": training},
        parameters={"generator": 12_345, "critic": 678},
        machine={"processor": "Abacus 3", "cores": 4},
    )
    text = report(folder).text
    assert "Images seen 12,800 real images" in text
    assert "Duration 1 h 3 min" in text
    assert "Started 2001-09-09 01:46 UTC" in text
    assert "Hardware cpu, Abacus 3, 4 cores" in text
    assert "Parameters generator 12,345, critic 678" in text
    assert "Versions jax 0.10.2" in text


def test_policy_allows_only_the_scripts_of_the_page(tmp_path):
    path = write_report([make_run(tmp_path / "a")], tmp_path / "report.html")
    text = path.read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    rules = dict(rule.split(" ", 1) for rule in html.unescape(policy).split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [hashlib.sha256(code.encode()).digest() for code in scripts]
    assert rules["script-src"].split() == [
        f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests
    ]
    assert not re.search(
        r"<[a-z]+ [^>]*\s(style|on[a-z]+)=",
        re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL),
    )
    nonce = re.search(r'<style nonce="([^"]+)">', text)[1]
    assert rules["style-src"] == f"'nonce-{nonce}'"
    again = write_report([tmp_path / "a"], tmp_path / "report.html").read_text()
    assert nonce not in again


def refused(*folders):
    with pytest.raises(ReportError) as caught:
        write_report(folders, folders[0].parent / "report.html" if folders else None)
    return str(caught.value)


def test_folder_without_config_is_rejected(tmp_path):
    assert "no config.json" in refused(tmp_path / "nowhere")
    assert "no run folder was given" in refused()


@pytest.mark.parametrize("text", ['{"config": {', "[]", "{}", '{"config": 1}'])
def test_unreadable_config_is_rejected(tmp_path, text):
    folder = make_run(tmp_path / "a")
    (folder / "config.json").write_text(text)
    assert "cannot be read" in refused(folder)


@pytest.mark.parametrize("lines", [[], [{"step": 1, "critic/loss": None}]])
def test_run_without_metrics_is_rejected(tmp_path, lines):
    a, b = make_run(tmp_path / "a"), make_run(tmp_path / "b", lines)
    assert "no metrics yet" in refused(a, b)
    assert str(b) in refused(a, b)


def test_page_is_written_atomically(tmp_path, monkeypatch):
    folder, path = make_run(tmp_path / "a"), tmp_path / "report.html"
    path.write_text("old")

    def cut_off(self, target):
        assert path.read_text() == "old", "written over while it was made"
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", cut_off)
    with pytest.raises(KeyboardInterrupt):
        write_report([folder], path)
    monkeypatch.undo()
    assert write_report([folder], path) == path
    assert path.read_text().startswith("<!doctype html>")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "report.html"]


def write_noise(folder, count, grid):
    """Writes a run with incompressible noise: metrics lines and 1,000 grids."""
    make_run(folder, [])
    rng = np.random.default_rng(0)
    form = "".join(f', "{name}": %.6f' for name in NAMES)
    rows = [form % tuple(values) for values in rng.normal(size=(1000, len(NAMES)))]
    with (folder / "metrics.jsonl").open("w") as file:
        for i in range(count):
            file.write(f'{{"step": {i + 1}{rows[i % 1000]}}}\n')
    for i in range(1000):
        os.link(grid, folder / "samples" / f"step_{100 * i:08d}.png")
    for kind in ("interpolation", "neighbours", "classes"):
        os.link(grid, folder / "samples" / f"{kind}_00000100.png")
    os.link(grid, folder / "samples" / "real.png")
    (folder / "notes.md").write_text("<" * 20_000)


def test_page_is_smaller_than_5_megabytes(tmp_path):
    grid = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (684, 684, 3), np.uint8)
    Image.fromarray(noise).save(grid)
    folders = [tmp_path / f"run{i}" for i in range(4)]
    for folder in folders:
        # Above 1,000 lines, the number of points is constant.
        write_noise(folder, 100_000 if folder == folders[0] else 3_000, grid)
    path = write_report(folders, tmp_path / "report.html")
    assert path.stat().st_size < 5e6
    frames = [i for i in Page(path).images if "data-step" in i]
    steps = [int(i["data-step"]) for i in frames if "run0 at" in i["alt"]]
    assert len(steps) >= 4
    assert (steps[0], steps[-1]) == (0, 99_900)
    assert np.ptp(np.diff(steps)) <= 100, "evenly thinned"


def test_missing_library_error_names_it(tmp_path, monkeypatch):
    for name in [n for n in sys.modules if n.startswith("wgan_jax.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(wgan_jax.report, "page", raising=False)
    monkeypatch.setitem(sys.modules, "bokeh.document", None)
    with pytest.raises(
        ReportError, match=r"needs bokeh, .*\. Run pip install bokeh\.$"
    ):
        write_report([tmp_path], tmp_path / "report.html")
    assert not list(tmp_path.iterdir())
