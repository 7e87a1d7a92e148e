"""Tests of the tutorials: their commands run, with few pictures and iterations."""

import io
import json
import re
import runpy
import shlex
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wgan_jax.program.cli import main

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/tutorials"
TEXT = (FOLDER / "own-pictures.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
    for line in block.splitlines()
]
SMALL = (
    "--config.training.iterations=4",
    "--config.training.iterations_per_call=2",
    "--config.training.batch_size=8",
    "--config.training.compute_dtype=float32",
    "--config.generator.width=4",
    "--config.critic.width=4",
    "--config.samples.every=2",
    "--config.log.every=2",
    "--config.checkpoint.every=4",
)
GROUPS = {
    "Activities": ("sport", "activities"),
    "Animals & Nature": ("animal-bug", "animals"),
    "Component": ("skin-tone", "symbols"),
    "Flags": ("flag", "flags"),
    "Food & Drink": ("food-fruit", "food"),
    "Objects": ("tool", "objects"),
    "People & Body": ("hand-prop", "hands"),
    "Smileys & Emotion": ("face-hat", "faces"),
    "Travel & Places": ("hotel", "places"),
}


def emoji_package(path):
    """Writes a package with pictures of one color, six for each class."""
    entries, files = [], {}
    random = np.random.RandomState(0)
    for group, (kind, _) in GROUPS.items():
        kinds = [kind, "person" if group == "People & Body" else kind]
        for i in range(6):
            hamburger = group == "Food & Drink" and i == 1
            name = "1f354.png" if hamburger else f"{len(files):04x}.png"
            pixels = np.full((16, 16, 4), random.randint(0, 255, 4), np.uint8)
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            files[f"package/img/twitter/64/{name}"] = content.getvalue()
            entry = {"category": group, "subcategory": kinds[i % 2], "image": name}
            if i % 3:
                entries.append(entry)
            else:  # as another color of the skin of the one before or after it
                base = {**entry, "image": "absent.png"}
                entries.append(base | {"skin_variations": {"1F3FB": entry}})
    files["package/emoji.json"] = json.dumps(entries).encode()
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return len(files) - 1


def browser_package(path):
    """Writes a package with the files of onnxruntime-web."""
    version = re.search(r"-([\d.]+)\.tgz", path.name)[1]
    about = json.dumps({"name": "onnxruntime-web", "version": version})
    names = (
        "ort.wasm.min.js",
        *(f"ort-wasm-simd-threaded.{x}" for x in ("mjs", "wasm")),
    )
    with tarfile.open(path, "w:gz") as archive:
        for name in ("package.json", *(f"dist/{name}" for name in names)):
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(about)
            archive.addfile(member, io.BytesIO(about.encode()))


def run(command):
    """Runs a command of the tutorial at small size."""
    program, *arguments = shlex.split(command)
    if program == "pip":
        extras = re.search(r"\[(.*)\]", arguments[-1])[1].split(",")
        known = (ROOT / "pyproject.toml").read_text()
        assert all(re.search(rf"^{name} = \[", known, re.M) for name in extras)
        return 0
    if program == "npm":
        package, version = arguments[-1].split("@")
        browser_package(Path(f"{package}-{version}.tgz"))
        return 0
    if program == "python":
        script = ROOT / arguments[0]
        return script_status(script, [*arguments[1:], "--package=emoji.tgz"])
    assert program == "wgan-jax"
    small = SMALL if arguments[0] == "train" else ()
    return main([program, *arguments, *small])


def script_status(script, arguments):
    """Returns the exit status of a script."""
    before = sys.argv
    sys.argv = [str(script), *arguments]
    try:
        with pytest.raises(SystemExit) as done:
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = before
    return done.value.code


def test_the_commands_lead_from_pictures_to_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    count = emoji_package(tmp_path / "emoji.tgz")
    for name, text in re.findall(r"`(\w+\.json)`:\n\n```json\n(.*?)```", TEXT, re.S):
        Path(name).write_text(text)
    for command in COMMANDS:
        assert run(command) == 0, f"{command}\n{capsys.readouterr().err}"
    pictures = sorted(Path("emoji").rglob("*.png"))
    assert len(pictures) == count
    classes = {path.parent.name for path in pictures}
    assert classes == {name for _, name in GROUPS.values()} | {"people"}
    assert "--config.critic.head=projection" in capsys.readouterr().out
    named = re.findall(r"`((?:runs|exported|emoji)/[\w./]+)`", TEXT)
    assert len(named) >= 4
    for path in named:
        assert Path(path).exists(), path
    drawn = [path.name for path in Path("runs/emoji/samples").iterdir()]
    for part in ("_seed0_64.png", "_interpolation_8x10.png", "_walk_8.gif"):
        assert any(part in name for name in drawn), part
    assert any("_project_1f354.npz" in name for name in drawn)
    assert "CC-BY" in Path("exported/README.md").read_text()
    assert "Emoji" in Path("exported/page/generator.js").read_text()
    assert script_status(FOLDER / "fetch_emoji.py", ["emoji"]) == 2
    assert "emoji exists" in capsys.readouterr().err


def test_pictures_of_the_tutorials_exist():
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (FOLDER / path).exists(), path
