import numpy as np
import pytest
from run_folders import evaluation_line, make_run

from wgan_jax.report.charts import draw_charts
from wgan_jax.report.curves import Chart, Curve, metric_charts, thin, thin_indices
from wgan_jax.report.evaluation_charts import evaluation_charts
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
            ["critic/wasserstein_estimate", "critic/wasserstein_by_flow"],
        ),
        ("Losses", ["critic/loss", "generator/loss"]),
        (
            "Penalties and regularizers",
            [
                "critic/penalty",
                "critic/penalty/drift",
                "generator/regularizer/path_length",
            ],
        ),
        ("Throughput", ["throughput/images_per_second"]),
        ("critic/class_loss", ["critic/class_loss"]),
        ("generator/path_length", ["generator/path_length"]),
        ("zebra", ["zebra"]),
    ]


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
    assert list(charts) == ["Losses", "critic/loss by penalty.weight", "critic/odd"]
    mean, weak, strong = *charts["Losses"], *charts["critic/loss by penalty.weight"]
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


def test_different_protocols_have_separate_charts(tmp_path):
    lines = [
        evaluation_line(100, 30.0),
        evaluation_line(200, 10.0),
        evaluation_line(200, 11.0, fake_count=500),
        evaluation_line(300, 20.0),
        evaluation_line(300, 12.0, options={"blocks": 4}),
        evaluation_line(300, 25.0, weights="live", deviation=None),
    ]
    runs = read_runs([make_run(tmp_path / "a", evaluations=lines)])
    charts, rows = evaluation_charts(runs)
    values = sorted([c.values.tolist() for c in x.curves] for x in charts)
    assert values == [[[11.0]], [[12.0]], [[30.0, 10.0, 20.0], [25.0]]]
    row = next(row for row in rows if row.last.startswith("20"))
    assert row.last == "20 ± 0.3 at 300"
    assert row.best == "10 ± 0.3 at 200, the lowest of 3"
    assert row.whose == "EMA"
    assert row.protocol == (
        "features pixels, 1500 real and 1500 generated examples, digits/train"
    )
    assert ("blocks", "3") in row.details
    assert ("resize", "none") in row.details


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("precision", "3 at 2, the highest of 2"),
        ("sliced_wasserstein", "1 at 1, the lowest of 2"),
        ("pair_similarity", ""),
    ],
)
def test_best_depends_on_the_direction_of_the_metric(tmp_path, metric, best):
    lines = [
        evaluation_line(step, value, metric=metric, deviation=None)
        for step, value in ((1, 1.0), (2, 3.0), (3, None))
    ]
    runs = read_runs([make_run(tmp_path / "a", evaluations=lines)])
    charts, rows = evaluation_charts(runs)
    assert rows[0].best == best
    assert charts[0].curves[0].deviation is None


def test_evaluations_of_runs_and_replicas_are_overlaid(tmp_path):
    lines = [[evaluation_line(1, 1.0, run="seed=0")], [evaluation_line(1, 2.0)]]
    folders = [
        make_run(tmp_path / name, evaluations=line)
        for name, line in zip("ab", lines, strict=True)
    ]
    runs = read_runs(folders)
    (chart,), _ = evaluation_charts(runs)
    assert [(c.run, c.label) for c in chart.curves] == [
        (0, "seed=0 EMA"),
        (1, "EMA"),
    ]


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
