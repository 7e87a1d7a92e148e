"""Tests of ``wgan-jax data inspect``."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data.inspection import inspect_pictures
from wgan_jax.errors import DataError
from wgan_jax.program.cli import main


def encode(picture, form="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def plain(color, size=(40, 40), mode="RGB"):
    return Image.new(mode, size, color)


@pytest.fixture
def pictures():
    """Names and contents of seven pictures of two classes, two of them broken."""
    red = encode(plain("red"))
    frames = [plain("white", mode="L"), plain("black", mode="L")]
    return {
        "cats/red.png": red,
        "cats/same red.png": red,
        "cats/wide.jpg": encode(plain("blue", size=(90, 50)), "JPEG"),
        "dogs/gray.png": encode(plain(7, mode="L")),
        "dogs/moving.gif": encode(
            frames[0], "GIF", save_all=True, append_images=frames[1:]
        ),
        "dogs/cut.png": red[: len(red) // 2],
        "dogs/empty.png": b"",
        "notes.txt": b"hello",
    }


@pytest.fixture
def folder(tmp_path, pictures):
    for name, content in pictures.items():
        path = tmp_path / "my pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "my pictures"


def check(found):
    assert len(found.headers) == 5
    assert set(found.unreadable) == {"dogs/cut.png", "dogs/empty.png"}
    assert found.unreadable["dogs/empty.png"] == "it is empty"
    assert found.copies == [["cats/red.png", "cats/same red.png"]]
    assert found.classes == {"cats": 3, "dogs": 2}
    assert found.others == {".txt": 1}
    assert found.sizes == {(40, 40): 4, (90, 50): 1}
    assert found.suggested_size == 32
    assert found.sheet.shape == (5, 64, 64, 3)
    np.testing.assert_array_equal(found.sheet[0], np.full((64, 64, 3), (255, 0, 0)))


def test_a_folder_is_described(folder):
    check(inspect_pictures(folder))


def test_an_archive_is_described_like_its_folder(tmp_path, pictures):
    path = tmp_path / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
    check(inspect_pictures(path))


def test_the_sheet_shows_pictures_from_the_whole_folder(tmp_path):
    for i in range(450):
        plain((i // 2, 0, 0), size=(8, 8)).save(tmp_path / f"{i:03d}.png")
    sheet = inspect_pictures(tmp_path).sheet
    assert len(sheet) == 100
    reds = sheet[:, 0, 0, 0]
    assert reds[0] == 0
    assert reds[-1] >= 220
    assert np.all(np.diff(reds.astype(int)) <= 4)


def test_the_command_prints_what_was_found_and_how_to_train(folder, tmp_path, capsys):
    sheet = tmp_path / "out" / "sheet.png"
    code = main(["wgan-jax", "data", "inspect", str(folder), f"--output={sheet}"])
    text = capsys.readouterr().out
    assert code == 0
    with Image.open(sheet) as picture:
        assert picture.size == (3 * 66 + 2, 2 * 66 + 2)
    for line in (
        f"{folder}: 7 pictures",
        "  sizes: 40 x 40 (4), 90 x 50 (1)",
        "  formats: PNG (3), JPEG (1), GIF (1)",
        "  shorter side: 40 to 50 pixels; 4 of 5 are square",
        "  animated, of which the first frame is used: 1",
        "    dogs/empty.png (it is empty)",
        "    cats/red.png = cats/same red.png",
        "  classes: 2; cats (3), dogs (2)",
        "  other files, not read: .txt (1)",
        f"  wgan-jax train --config=folder_fast --config.dataset.path='{folder}' "
        "--config.dataset.size=32 --config.dataset.unreadable=skip "
        "--config.dataset.labels=True --config.critic.head=projection",
    ):
        assert line in text.splitlines()


def test_the_printed_command_trains(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    main(["wgan-jax", "data", "inspect", str(folder), f"--output={tmp_path / 's.png'}"])
    lines = capsys.readouterr().out.splitlines()
    command = lines[lines.index("To train on them:") + 1]
    import shlex

    small = ["generator.width=4", "critic.width=4", "training.iterations=1"]
    small += ["training.batch_size=4", "training.iterations_per_call=1"]
    small += ["samples.count=4", "evaluation=None"]
    arguments = [*shlex.split(command), f"--workdir={tmp_path / 'run'}"]
    assert main([*arguments, *(f"--config.{field}" for field in small)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "data needs a command; choices: convert, inspect."),
        (["look", "x"], "'look' is not a command"),
        (["inspect"], "data inspect: the following arguments are required: PATH"),
        (["inspect", "a", "b"], "data inspect: unrecognized arguments: b"),
        (["inspect", "no such folder"], "no such folder does not exist."),
        (
            ["inspect", "x", "--size=3"],
            "data inspect: unrecognized arguments: --size=3",
        ),
        (
            ["inspect", "x", "--output="],
            "argument --output: it is empty; it must be a file",
        ),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["wgan-jax", "data", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_without_pictures_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(DataError, match="has no pictures"):
        inspect_pictures(tmp_path)


def test_nothing_readable_is_said(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    assert main(["wgan-jax", "data", "inspect", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "unreadable: 1" in text
    assert "To train" not in text
    assert not (tmp_path / "runs").exists()
