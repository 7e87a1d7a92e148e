import re
from importlib.resources import files

import numpy as np
import pytest
from run_folders import evaluation_line, make_run

from wgan_jax.report.axes import axis_tables
from wgan_jax.report.charts import PALETTE, draw_charts
from wgan_jax.report.configs import compare_configs
from wgan_jax.report.curves import Chart, Curve, metric_charts, thin, thin_indices
from wgan_jax.report.evaluations import (
    collect,
    evaluation_charts,
    evaluation_table,
)
from wgan_jax.report.names import METRICS, readable
from wgan_jax.report.run import Series, read_runs


@pytest.mark.parametrize("gap", [None, 4_321])
def test_thinning_preserves_ends_peaks_and_gaps(gap):
    values = np.sin(np.arange(10_000) / 500)
    values[[1_234, 7_777]] = 50, -50
    if gap:
        values[gap] = np.nan
    kept = thin_indices(values, 100)
    assert len(kept) <= 100
    assert (np.diff(kept) > 0).all()
    assert {0, 1_234, 7_777, 9_999} <= set(kept.tolist())
    assert np.isnan(values[kept]).sum() == bool(gap)


def test_short_curves_are_not_thinned():
    assert thin_indices(np.zeros(50), 60).tolist() == list(range(50))


@pytest.mark.parametrize(("curves", "most"), [(2, 1000), (300, 150)])
def test_curves_share_the_size_limit_of_the_page(curves, most):
    steps = np.arange(5_000)
    lines = [Curve("x", 0, steps, steps % 7.0, deviation=steps * 0.1)] * curves
    thinned = thin([Chart("title", "", lines)])
    points = [len(c.steps) for c in thinned[0].curves]
    assert most / 3 < max(points) <= most
    assert all(len(c.deviation) == len(c.values) for c in thinned[0].curves)


def test_charts_are_ordered_by_topic(tmp_path):
    line = {
        "zebra": 1.0,
        "throughput/images_per_second": 1.0,
        "generator/path_length": 1.0,
        "generator/regularizer/path_length": 1.0,
        "critic/class_loss": 1.0,
        "critic/penalty": 1.0,
        "critic/penalty/drift": 1.0,
        "critic/loss": 1.0,
        "generator/loss": 1.0,
        "critic/wasserstein_by_flow": 1.0,
        "critic/wasserstein_estimate": 1.0,
    }
    runs = read_runs([make_run(tmp_path / "a", [{"step": 1} | line])])
    found = {x.title: [c.label for c in x.curves] for x in metric_charts(runs)}
    assert list(found.items()) == [
        (
            "Wasserstein estimate",
            ["Wasserstein estimate", "Wasserstein estimate, corrected by the flow"],
        ),
        ("Losses", ["Critic loss", "Generator loss"]),
        (
            "Penalties and regularizers",
            ["Penalty", "Penalty drift", "Regularizer path_length"],
        ),
        ("Throughput", ["Images per second"]),
        ("Critic class loss", ["Critic class loss"]),
        ("Path length", ["Path length"]),
        ("zebra", ["zebra"]),
    ]
    names = [c.name for x in metric_charts(runs) for c in x.curves]
    assert sorted(names) == sorted(line)


def test_metrics_have_names_in_words():
    assert readable("critic/grad_norm") == "Critic gradient norm of the parameters"
    assert readable("critic/penalty/r1") == "Penalty r1"
    assert readable("critic/loss_std") == "Critic loss, standard deviation"
    assert readable("my/own_std") == "my/own_std"
    labels = [named.label for part in METRICS.values() for named in part.values()]
    assert len(labels) == len(set(labels))


def test_deviations_are_bands_and_sweeps_have_charts(tmp_path):
    line = {
        "step": 1,
        "critic/loss": 1.0,
        "critic/loss_std": 0.25,
        "critic/loss/penalty.weight=5": 2.0,
        "critic/loss/penalty.weight=5_std": 0.5,
        "critic/loss/penalty.weight=10": 3.0,
        "critic/odd_std": 4.0,
    }
    runs = read_runs([make_run(tmp_path / "a", [line])])
    charts = {x.title: x.curves for x in metric_charts(runs)}
    assert list(charts) == ["Losses", "Critic loss by penalty.weight", "critic/odd"]
    mean, weak, strong = *charts["Losses"], *charts["Critic loss by penalty.weight"]
    assert (mean.values.tolist(), mean.deviation.tolist()) == ([1.0], [0.25])
    assert (weak.values.tolist(), weak.deviation.tolist()) == ([2.0], [0.5])
    assert strong.deviation is None
    assert (weak.label, strong.label) == ("penalty.weight=5", "penalty.weight=10")
    assert [c.label for c in charts["critic/odd"]] == ["critic/odd_std"]


def test_null_is_a_gap_and_missing_metrics_are_skipped(tmp_path):
    values = (
        {"a": 1.0, "b": 1.0},
        {"a": None},
        {"a": 2},
        {"a": "word"},
        {"a": 10**400},
    )
    lines = [{"step": step} | line for step, line in enumerate(values, 1)]
    (run,) = read_runs([make_run(tmp_path / "a", lines)])
    assert run.series["a"].steps.tolist() == [1, 2, 3, 5]
    np.testing.assert_equal(run.series["a"].values, [1.0, np.nan, 2.0, np.nan])
    assert run.series["b"].steps.tolist() == [1]


def test_last_value_is_the_last_finite_number():
    series = Series(np.arange(3), np.array([1.0, 2.0, np.nan]))
    assert series.last() == 2.0
    assert Series(np.arange(1), np.array([np.nan])).last() is None


def evaluated(*folders):
    found = collect(read_runs(folders))
    return evaluation_charts(found), evaluation_table(found)


def test_different_protocols_have_separate_charts_and_rows(tmp_path):
    lines = [
        evaluation_line(100, 30.0),
        evaluation_line(200, 10.0),
        evaluation_line(200, 11.0, fake_count=500),
        evaluation_line(300, 20.0),
        evaluation_line(300, 12.0, options={"blocks": 4}),
        evaluation_line(300, 25.0, weights="live", deviation=None),
    ]
    charts, table = evaluated(make_run(tmp_path / "a", evaluations=lines))
    values = sorted([c.values.tolist() for c in x.curves] for x in charts)
    assert values == [[[11.0]], [[12.0]], [[30.0, 10.0, 20.0], [25.0]]]
    assert table.weights == ["EMA", "live"]
    assert {row.metric for row in table.rows} == {"Fréchet distance"}
    row = next(row for row in table.rows if row.cells[1][0])
    assert row.cells == [
        ("20 ± 0.3 at 300", "10 ± 0.3 at 200"),
        ("25 at 300", "25 at 300"),
    ]
    assert row.better == "lower is better"
    assert [row.differs for row in table.rows] == [
        "blocks 3",
        "blocks 4",
        "generated examples 500, blocks 3",
    ]


def test_the_common_protocol_is_stated_once(tmp_path):
    lines = [
        evaluation_line(1, 1.0, metric=metric, options={})
        for metric in ("precision", "frechet_distance")
    ]
    lines.append(evaluation_line(1, 1.0, metric="critic_held_out_gap", real_count=297))
    charts, table = evaluated(make_run(tmp_path / "a", evaluations=lines))
    assert ("Real examples", "1,500") in table.protocol
    assert ("Resizing", "none") in table.protocol
    assert [(row.metric, row.differs) for row in table.rows] == [
        ("Fréchet distance", ""),
        ("Precision", ""),
        ("Critic's gap between the splits", "real examples 297, blocks 3"),
    ]
    assert [x.note for x in charts] == ["", "", "With real examples 297, blocks 3."]


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("precision", "3 at 2"),
        ("sliced_wasserstein", "1 at 1"),
        ("pair_similarity", ""),
    ],
)
def test_best_depends_on_the_direction_of_the_metric(tmp_path, metric, best):
    lines = [
        evaluation_line(step, value, metric=metric, deviation=None)
        for step, value in ((1, 1.0), (2, 3.0), (3, None))
    ]
    charts, table = evaluated(make_run(tmp_path / "a", evaluations=lines))
    assert table.rows[0].cells == [("not finite at 3", best)]
    assert charts[0].curves[0].deviation is None


def test_evaluations_of_runs_and_replicas_are_overlaid(tmp_path):
    lines = [[evaluation_line(1, 1.0, run="seed=0")], [evaluation_line(1, 2.0)]]
    folders = [
        make_run(tmp_path / name, evaluations=line)
        for name, line in zip("ab", lines, strict=True)
    ]
    (chart,), table = evaluated(*folders)
    assert [(c.run, c.label) for c in chart.curves] == [
        (0, "seed=0 EMA"),
        (1, "EMA"),
    ]
    assert [(row.run, row.replica) for row in table.rows] == [(0, "seed=0"), (1, "")]


def test_axes_convert_iterations_to_images_and_seconds(tmp_path):
    training = {"n_critic": 2, "batch_size": 8, "boosted_n_critic": 10}
    training |= {"boosted_first": 3, "boosted_every": 500}
    lines = [
        {"step": s, "critic/loss": 1.0, "time/seconds": t, "time/utc": 1e9 + t}
        for s, t in ((2, 1.0), (5, 4.0), (6, 0.5), (9, 3.5))  # resumed after 5
    ]
    a = make_run(tmp_path / "a", lines, config={"training": training})
    tables = axis_tables(read_runs([a]))
    assert tables["images"] == [[[2, 5, 6, 9], [160, 272, 288, 336]]]
    assert tables["seconds"] == [[[0, 2, 5, 6, 9], [0.0, 1.0, 4.0, 4.5, 7.5]]]
    assert axis_tables(read_runs([a, make_run(tmp_path / "old")])) == {}


def test_axis_tables_are_short(tmp_path):
    lines = [
        {"step": s, "critic/loss": 1.0, "time/seconds": s / 2, "time/utc": 1e9}
        for s in range(1, 5_001)
    ]
    (run,) = read_runs([make_run(tmp_path / "a", lines)])
    ((steps, seconds),) = axis_tables([run])["seconds"]
    assert len(steps) <= 400
    assert (steps[0], steps[-1], seconds[-1]) == (0, 5_000, 2_500.0)


def test_configs_are_compared_with_the_first(tmp_path):
    configs = [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}, {"a": 1, "c": ""}]
    folders = [
        make_run(tmp_path / str(i), config=config) for i, config in enumerate(configs)
    ]
    fields = {field.name: field for field in compare_configs(read_runs(folders))}
    assert fields["a"].values == ["1", "2", "1"]
    assert fields["a"].changed == [False, True, False]
    assert fields["b"].values == ["x", "x", "absent"]
    assert fields["c"].values == ["absent", "absent", '""']
    assert fields["c"].differs
    assert not fields["seed"].differs


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts
    ]
    return np.dot([0.2126, 0.7152, 0.0722], linear)


def contrast(first, second):
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_curves_stand_out_from_light_and_dark_backgrounds():
    text = files("wgan_jax.report").joinpath("page.css").read_text()
    light, dark = (
        dict(re.findall(r"--(\w+): (#\w{6});", part))
        for part in re.findall(r":root \{(.*?)\}", text, re.DOTALL)
    )
    for sheet in (light, dark):
        curves = [sheet[f"colour{i}"] for i in range(len(PALETTE))]
        assert len(set(curves)) == len(curves)
        assert min(contrast(c, sheet["paper"]) for c in curves) >= 3
        texts = [sheet[name] for name in ("text", "quiet", "strong", "good", "bad")]
        assert min(contrast(c, sheet["paper"]) for c in texts) >= 4.5
    assert [light[f"colour{i}"] for i in range(len(PALETTE))] == list(PALETTE)


def test_colors_identify_runs_or_curves():
    def keys(runs):
        steps, values = np.array([0, 5]), np.zeros(2)
        curves = [Curve(n, r, steps, values) for r in range(runs) for n in ("x", "y")]
        panels, _ = draw_charts([Chart("title", "", curves)], ["a", "b"][:runs])
        return panels[0].keys

    one, two = keys(1), keys(2)
    assert [k.label for k in one] == ["x", "y"]
    assert one[0].colour != one[1].colour
    assert [k.label for k in two] == ["a: x", "a: y", "b: x", "b: y"]
    assert two[0].colour == two[1].colour != two[2].colour == two[3].colour
    assert two[0].dash == two[2].dash != two[1].dash == two[3].dash
