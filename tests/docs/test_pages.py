"""The pages name only flags, fields, metrics and files that exist."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "_ext"))

import commands  # noqa: E402
import config_reference as reference  # noqa: E402
import metric_names  # noqa: E402
import repository_links  # noqa: E402

from wgan_jax.config import fields  # noqa: E402
from wgan_jax.config.experiment import ExperimentConfig  # noqa: E402
from wgan_jax.config.loading import load_experiment, shipped_configs  # noqa: E402
from wgan_jax.errors import ConfigError  # noqa: E402
from wgan_jax.evaluation import MEASURES  # noqa: E402
from wgan_jax.program.help import FLAGS, MODES, OTHERS  # noqa: E402
from wgan_jax.program.workdir import Workdir  # noqa: E402

TABLE = ROOT / "wgan_jax/report/names.py"  # of metrics that are logged elsewhere
FILES = sorted({*(ROOT / "wgan_jax").rglob("*.py")} - {TABLE})
SOURCE = "\n".join(p.read_text() for p in FILES)
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text()
METRIC_NAMES = (DOCS / "reference/metric-names.md").read_text()
METRIC_TABLES = metric_names.metrics_as_markdown()
RUN_FOLDER = (DOCS / "reference/run-folder.md").read_text()
NEW_PAGES = [TROUBLESHOOTING, METRIC_NAMES, RUN_FOLDER, (DOCS / "index.md").read_text()]
COMMANDS = (DOCS / "reference/commands.rst").read_text()
NORMS = re.findall(r'"(\w+_norm)": optax\.tree\.norm', SOURCE)
METRICS = set(re.findall(r'"((?:critic|generator|throughput)/[a-z_]*[a-z])"', SOURCE))
METRICS |= {f"{part}/{norm}" for part in ("critic", "generator") for norm in NORMS}
EVALUATED = {name for measure in MEASURES.values() for name in measure.reports}


def all_fields():
    """Returns the paths of all fields, and of the options of all rows."""
    found = set()
    for path, _, _ in reference.all_fields():
        found |= {path, path.replace(".LABEL", "")}
    for _, path in reference.TABLES.values():
        paths = {path, path.replace("optimizer.critic", "optimizer.generator")}
        for row in reference.rows_of(path).values():
            options = {*reference.options_of(path, row), "name"}
            found |= {f"{p}.{option}" for p in paths for option in options}
    return found


FIELDS = all_fields()


def code(text):
    """Returns the code spans of a page, on one line each, without fenced blocks."""
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [" ".join(span.split()) for span in spans]


def test_every_field_is_in_the_reference():
    text = reference.fields_as_rst()
    for name, field in ExperimentConfig.model_fields.items():
        inner = fields.group_of(field)
        shown = f"{name}.LABEL" if name == "penalties" else name
        for path in [f"{shown}.{k}" for k in inner.model_fields] if inner else [name]:
            assert f".. confval:: {path}\n" in text, path


def test_every_field_has_a_description_a_range_and_a_default():
    entries = reference.fields_as_rst().split(".. confval:: ")[1:]
    assert len(entries) > 70
    for entry in entries:
        name, _, about, _, facts, *_ = entry.splitlines()
        assert len(about.strip()) > 5, name
        assert re.match(r" +\*Values\*: .+\. \*Default\*: .+\.$", facts), (name, facts)
        assert "another value" not in facts, (name, facts)


def test_readers_are_those_of_the_schema():
    assert set(reference.READERS) == set(ExperimentConfig.model_fields)
    modes = "|".join([*MODES, "all modes"])
    assert all(re.match(modes, text) for text in reference.READERS.values())


def test_every_table_and_row_is_in_the_reference():
    from table_rows import TABLES

    text = reference.rows_as_rst()
    assert len(reference.TABLES) == len(TABLES)
    for name, table in TABLES.items():
        label = name.lower().replace("_", "-")
        assert f".. _table-{label}:" in text
        part = text.split(f".. _table-{label}:")[1].split(".. _table-")[0]
        for row in table:
            assert f"\n``{row}``\n~~~" in part, (name, row)


@pytest.mark.parametrize("label", reference.TABLES)
def test_every_row_has_a_summary_and_its_options_are_described(label):
    _, path = reference.TABLES[label]
    for name, entry in reference.rows_of(path).items():
        assert len(reference.summary_of(entry)) > 5, name
        lines = reference.options_as_rst(path, entry)
        for option in reference.options_of(path, entry):
            cell = lines[lines.index(f"   * - ``{option}``") + 2]
            assert len(cell) > len("     - x"), (name, option)
            above = f"``{option}``" in reference.summary_of(entry)
            assert above or "see above" not in cell, (name, option)


def test_every_mode_and_flag_is_in_the_reference():
    modes, flags = commands.modes_as_rst(), commands.flags_as_rst()
    assert all(f"\n{name}\n---" in modes for name in (*MODES, *OTHERS))
    assert all(f"``--{name}``" in flags for name in FLAGS)


def test_every_environment_variable_exists():
    for name in re.findall(r"^   \* - ``([A-Z_]+)``$", COMMANDS, re.MULTILINE):
        assert name in SOURCE or name == "JAX_PLATFORMS", name


@pytest.mark.parametrize("text", NEW_PAGES, ids=lambda text: text.splitlines()[0])
def test_flags_on_a_page_exist(text):
    for span in [*code(text), *re.findall(r"wgan-jax .*", text)]:
        for flag in re.findall(r"(?<!\S)--([\w.-]+)", span):
            if flag.startswith("config."):
                assert flag.removeprefix("config.") in FIELDS | {"FIELD"}, flag
            else:
                # ``--size`` is a flag of ``data convert``.
                assert flag in FLAGS or f"--{flag}=" in OTHERS["data"].example, flag
        for mode in re.findall(r"wgan-jax ([a-z]+)", span):
            assert mode in (*MODES, *OTHERS), span
        for config in re.findall(r"--config=(\w+)", span):
            assert config in shipped_configs() or config == "NAME", config


@pytest.mark.parametrize("text", NEW_PAGES, ids=lambda text: text.splitlines()[0])
def test_metrics_and_fields_on_a_page_exist(text):
    for span in code(text):
        if re.fullmatch(r"(critic|generator|throughput)/[a-z_]+", span):
            assert span in METRICS, span
        if re.fullmatch(r"(frechet|kernel|critic_|exact|modes_|pair_)\w+", span):
            assert span in EVALUATED | set(SOURCE.split('"')), span
        match = re.fullmatch(r"([a-z]+)\.[a-z_]+", span)
        if match and match[1] in ExperimentConfig.model_fields:
            assert span in FIELDS, span


CHANGES = [
    span for span in code(TROUBLESHOOTING) if re.search(r"--config\.[\w.]+=", span)
]


@pytest.mark.parametrize("span", CHANGES)
def test_the_flags_of_a_change_are_valid_together(span):
    """Each code span can be added to the command of some shipped config."""
    overrides = re.findall(r"--config\.([\w.]+)=(\S+)", span)
    problems = []
    for path in shipped_configs().values():
        try:
            load_experiment(path, overrides)
            return
        except ConfigError as error:
            problems.append(str(error))
    pytest.fail("\n".join(dict.fromkeys(problems)))


def test_troubleshooting_has_a_place_and_a_change_in_each_entry():
    entries = TROUBLESHOOTING.split("\n### ")[1:]
    assert len(entries) >= 25
    for entry in entries:
        title = entry.splitlines()[0]
        look, change = entry.split("**Look at**")[1].split("**Change**")
        assert "`" in look or "layers" in look, title
        assert "`" in change or "nothing" in change, title


def test_quoted_messages_of_troubleshooting_are_those_of_the_program():
    joined = re.sub(r"\{[^{}]*\}", "", re.sub(r'"\s*f?"', "", SOURCE))
    for title in re.findall(r"^### (.*)$", TROUBLESHOOTING, re.MULTILINE):
        for quoted in re.findall(r"`([^`]*)`", title):
            for part in re.split(r"\.\.\.\.?", quoted):
                words = part.strip(" .")
                assert words in joined or len(words) < 8, (quoted, words)


def test_every_metric_is_on_the_page_of_metric_names():
    rows = re.findall(r"^\| `([^`]+)` \|", METRIC_TABLES, re.MULTILINE)
    assert len(rows) == len(set(rows))
    names = {name for name in rows if "LABEL" not in name}
    assert names == METRICS | EVALUATED
    assert "```{metric-names}" in METRIC_NAMES


def test_the_files_of_a_run_are_on_its_page(tmp_path):
    run = Workdir(tmp_path)
    names = [n for n, x in vars(Workdir).items() if isinstance(x, property)]
    assert len(names) > 8
    for name in names:
        assert f"| `{getattr(run, name).name}" in RUN_FOLDER, name


def test_links_between_pages_lead_to_files():
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        text = repository_links.resolve(page.read_text(), name)
        text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), (name, target)


def anchors(text):
    """Returns the anchors that GitHub gives to the headings of a page."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_links_to_headings_lead_to_headings_on_github():
    found = 0
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", text):
            other = page.parent / target if target else page
            if other.suffix == ".md":
                assert anchor in anchors(other.read_text()), (page.name, target, anchor)
                found += 1
    assert found > 30


def test_links_out_of_the_pages_lead_to_a_page_or_the_repository(monkeypatch):
    resolve = repository_links.resolve
    assert resolve("[log](../CHANGELOG.md)", "usage") == "[log](changelog.md)"
    assert resolve("[x](../../CHANGELOG.md#a)", "api/losses") == (
        "[x](../changelog.md#a)"
    )
    monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
    assert resolve("[CI](../pyproject.toml)", "usage") == "CI"
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    assert resolve("[CI](../pyproject.toml)", "usage") == (
        "[CI](https://github.com/owner/name/blob/main/pyproject.toml)"
    )
    assert resolve("[x](other.md)", "usage") == "[x](other.md)"
