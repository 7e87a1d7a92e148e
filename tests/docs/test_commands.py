"""The commands of the pages name what exists, and run, at a small size."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from blocks import PAGES, ROOT, all_blocks, blocks_of, commands, label
from PIL import Image
from release import before_a_release
from test_pages import FIELDS
from test_tutorials import browser_package

from wgan_jax.config.loading import find_config, load_experiment
from wgan_jax.program.cli import main
from wgan_jax.program.help import FLAGS, MODES, OTHERS

BASH = all_blocks("bash")
EXTRAS = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
# Run by tests of their own.
ELSEWHERE = {"docs/tutorials/own-pictures.md": "tests/test_tutorials.py"}
RUN = [
    page
    for page in PAGES
    if page not in ELSEWHERE
    and any(b.language == "bash" and b.reason is None for b in blocks_of(page))
]
# Pages whose commands run in each slow stage; the others take minutes together.
FIRST = ("README.md", "docs/get-started.md", "docs/how-to/own-data.md")
# Names that stand for a value of the reader's own, and packages that may be missing.
PLACEHOLDER = re.compile(r"[A-Z_]{2,}\b|\.\.\.|mine|stripes|arrays|wandb")


def check(words):
    """Checks one command without running it."""
    program, *arguments = words
    if program == "pip":
        for extras in re.findall(r"\[(.*?)\]", arguments[-1]):
            assert set(extras.split(",")) <= set(EXTRAS), words
    elif program == "python" and arguments[0].startswith(("benchmarks/", "docs/")):
        check_script(arguments)
    elif program == "wgan-jax" or arguments[:1] == ["launch.py"]:
        check_call(arguments[program == "python" :])


def check_script(arguments):
    script = ROOT / arguments[0]
    assert script.is_file(), script
    source = "\n".join(path.read_text() for path in script.parent.glob("*.py"))
    for flag in re.findall(r"^(--[\w-]+)", "\n".join(arguments[1:]), re.MULTILINE):
        quoted = (f'"{flag}"' in source, f'"{flag[2:]}"' in source)
        known = any(quoted) or flag.startswith("--config")
        assert known, (arguments, flag)


def check_call(arguments):
    flags = [a[2:].partition("=") for a in arguments if a.startswith("--")]
    modes = [a for a in arguments if not a.startswith("--")][:1]
    modes += [value for name, _, value in flags if name == "mode"]
    assert set(modes) <= {*MODES, *OTHERS, "..."}, arguments
    if modes == ["data"]:
        for name, _, _ in flags:
            assert f"--{name}=" in OTHERS["data"].example, arguments
        return
    own = [(name, value) for name, _, value in flags if name.startswith("config.")]
    for name, _, _ in flags:
        assert name in {*FLAGS, "mode"} or name.startswith("config."), name
    config = next((v for n, _, v in flags if n == "config"), None)
    overrides = [(n.removeprefix("config."), v) for n, v in own]
    given = "\n".join([config or "", *(value for _, value in overrides)])
    if config is None:
        assert {name for name, _ in overrides} <= FIELDS, arguments
    elif not PLACEHOLDER.search(given):
        file = ROOT / config if "/" in config else find_config(config)
        load_experiment(file, overrides)


@pytest.mark.parametrize("block", BASH, ids=label)
def test_commands_name_what_exists(block):
    for _, words in commands(block.code):
        check(words)


COMMON = (
    "training.batch_size=8",
    "log.every=2",
    "checkpoint.every=2",
    "samples.every=2",
    "evaluation.every=2",
)


def small(words, place):
    """Returns a command that trains for a few iterations with small networks."""
    text = " ".join(words)
    values = [*COMMON, f"training.iterations={4 + 2 * place}"]
    conv = "folder_fast" in text
    values += [f"generator.width={4 if conv else 8}"]
    if "critic.name" not in text:
        values += [f"critic.width={4 if conv else 8}"]
    if conv:
        values += ["training.compute_dtype=float32", "evaluation.every=0"]
        values += ["training.iterations_per_call=2"]
    else:
        values += ["evaluation.count=20"]
    return [*words, *(f"--config.{value}" for value in values)]


def prepare(folder, page):
    """Writes the files that the commands of a page read."""
    random = np.random.RandomState(0)
    (folder / "pictures").mkdir()
    for i in range(40):
        color = random.randint(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(color).save(folder / f"pictures/{i}.png")
    images = random.uniform(size=(40, 16, 16, 1)).astype(np.float32)
    np.savez(folder / "arrays.npz", images=images)
    np.savez(
        folder / "mine.npz", images=random.randint(0, 255, (20, 8, 8, 1), np.uint8)
    )
    for block in blocks_of(page):
        if match := re.match(r"# (\w+\.py)\n", block.code):
            (folder / match[1]).write_text(block.code)


def run(variables, words, place):
    """Runs a command and returns its status."""
    program, *arguments = words
    if program == "pip":
        return 0  # what it names is checked above
    if program == "npm":
        package, version = arguments[-1].split("@")
        browser_package(Path(f"{package}-{version}.tgz"))
        return 0
    arguments = arguments[program == "python" :]
    arguments = [re.sub(r"=configs/(\w+)\.py$", r"=\1", a) for a in arguments]
    mode = arguments[0] if not arguments[0].startswith("-") else "train"
    if mode == "train":
        arguments = small(arguments, place)
    if not variables:
        return main(["wgan-jax", *arguments])
    call = [sys.executable, "-m", "wgan_jax", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.run(call, env=environment).returncode


# Runs that the commands of a page start from.
BEFORE = {
    "docs/how-to/evaluate.md": ["digits_wgan_gp"],
    "docs/how-to/export.md": ["digits_wgan_gp"],
    "docs/how-to/sampling.md": ["digits_wgan_gp"],
}


@pytest.mark.slow  # seconds for each command that trains
@pytest.mark.parametrize(
    "page",
    [
        page if page in FIRST else pytest.param(page, marks=before_a_release)
        for page in RUN
    ],
)
def test_commands_of_a_page_run(page, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    prepare(tmp_path, page)
    configs = BEFORE.get(page, ())
    found = [({}, ["wgan-jax", "train", f"--config={name}"]) for name in configs]
    found += [
        command
        for block in blocks_of(page)
        if block.language == "bash" and block.reason is None
        for command in commands(block.code)
    ]
    try:
        for place, (variables, words) in enumerate(found):
            assert run(variables, words, place) == 0, (words, capfd.readouterr().err)
    finally:
        for name in ("mine", "stripes"):
            sys.modules.pop(name, None)
