"""Tests of pictures in folders and archives."""

import io
import json
import os
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from wgan_jax.data import load_source
from wgan_jax.data.files import find_pictures, read_pictures
from wgan_jax.data.pictures import Conversion, decode, read_header
from wgan_jax.errors import DataError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def encode(array, form="PNG", mode=None, **options):
    stream = io.BytesIO()
    Image.fromarray(array, mode).save(stream, form, **options)
    return stream.getvalue()


def flat(*color, size=(8, 8)):
    """Returns a picture of one color."""
    return np.full((*size, len(color)), color, np.uint8)


def colors(count, size=(8, 8), seed=0):
    return np.random.RandomState(seed).randint(0, 256, (count, *size, 3), np.uint8)


def write(folder, pictures, names=None):
    for i, picture in enumerate(pictures):
        path = folder / (names[i] if names else f"{i:03d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture))
    return folder


def load(path, **options):
    return load_source("folder", path=str(path), **options)


def test_pictures_are_read_in_the_order_of_their_names(tmp_path):
    pictures = colors(12)
    folder = write(tmp_path / "a", pictures)
    source = load(folder)
    np.testing.assert_array_equal(source.images, pictures)
    assert source.labels is None
    assert source.num_classes is None
    np.testing.assert_array_equal(
        load(folder, split="train[3:5]").images, pictures[3:5]
    )


def test_size_and_channels_follow_the_pictures(tmp_path):
    gray = [np.asarray(Image.fromarray(c).convert("L")) for c in colors(3)]
    assert load(write(tmp_path / "gray", gray)).example_shape == (8, 8, 1)
    assert load(write(tmp_path / "rgb", colors(3))).example_shape == (8, 8, 3)
    mixed = write(tmp_path / "mixed", [gray[0], *colors(2)])
    assert load(mixed).example_shape == (8, 8, 3)
    assert load(mixed, channels=1).example_shape == (8, 8, 1)
    assert load(mixed, size=4).example_shape == (4, 4, 3)
    write(mixed, [colors(1, size=(6, 10))[0]], ["wide.png"])
    with pytest.raises(DataError, match=r"wide\.png is 10 x 6.*Set .*dataset\.size"):
        load(mixed)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "JPEG"])
def test_every_format_is_read(form, tmp_path):
    (tmp_path / "a").mkdir()
    suffix = {"JPEG": "jpg"}.get(form, form.lower())
    options = {"lossless": True} if form == "WEBP" else {}
    path = tmp_path / "a" / f"x.{suffix.upper()}"
    path.write_bytes(encode(flat(200, 40, 90), form, **options))
    images = load(tmp_path / "a", channels=3).images
    np.testing.assert_allclose(images[0], flat(200, 40, 90), atol=2)


def one(encoded, **options):
    return decode(encoded, Conversion(**({"size": 8} | options)))


def test_transparency_is_put_on_the_background():
    half = encode(flat(255, 0, 0, 0))  # invisible red
    np.testing.assert_array_equal(one(half), flat(255, 255, 255))
    np.testing.assert_array_equal(one(half, background="#0000ff"), flat(0, 0, 255))
    visible = encode(flat(255, 0, 0, 128))
    np.testing.assert_allclose(
        one(visible, background="black")[0, 0], [128, 0, 0], 0, 1
    )
    palette = Image.fromarray(flat(1, 2, 3)).convert("P", palette=Image.ADAPTIVE)
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=int(np.asarray(palette)[0, 0]))
    np.testing.assert_array_equal(one(stream.getvalue()), flat(255, 255, 255))


def test_four_channels_keep_transparency(tmp_path):
    half = flat(200, 40, 90, 128)
    np.testing.assert_array_equal(one(encode(half), channels=4), half)
    opaque = one(encode(flat(1, 2, 3)), channels=4)
    np.testing.assert_array_equal(opaque, flat(1, 2, 3, 255))
    gray = one(encode(flat(7)[..., 0]), channels=4)
    np.testing.assert_array_equal(gray, flat(7, 7, 7, 255))
    # Colors that are not seen are those of the background, and do not bleed.
    half[:, 4:] = 0, 255, 0, 0
    found = one(encode(half), channels=4, background="#010203")
    np.testing.assert_array_equal(found[:, :4], half[:, :4])
    np.testing.assert_array_equal(found[:, 4:], flat(1, 2, 3, 0)[:, 4:])
    small = one(encode(half), channels=4, size=3, filter="box")[1, 1]
    np.testing.assert_allclose(small, [200, 40, 90, 64], atol=2)
    source = load(write(tmp_path / "a", [half, flat(1, 2, 3, 4)]), channels=4)
    assert source.example_shape == (8, 8, 4)
    np.testing.assert_array_equal(source.images[1], flat(1, 2, 3, 4))


def test_sixteen_bits_are_scaled():
    levels = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    found = one(encode(levels), channels=1)[..., 0]
    np.testing.assert_array_equal(found, np.rint(levels / 257))
    assert read_header(encode(levels)).is_gray


def test_cmyk_palettes_and_single_bits_are_converted():
    cmyk = encode(flat(0, 255, 255, 0), "TIFF", mode="CMYK")
    np.testing.assert_array_equal(one(cmyk), flat(255, 0, 0))
    bits = encode(np.eye(8, dtype=bool))
    np.testing.assert_array_equal(one(bits, channels=1)[..., 0], np.eye(8) * 255)


def test_first_frame_of_an_animation_is_used():
    frames = [Image.fromarray(flat(c, c, c)) for c in (10, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    assert read_header(stream.getvalue()).frames == 2
    np.testing.assert_array_equal(one(stream.getvalue()), flat(10, 10, 10))


def test_exif_rotation_is_applied():
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, :4] = 255  # the left half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    encoded = encode(picture, exif=exif)
    header = read_header(encoded)
    assert (header.width, header.height) == (4, 8)
    found = one(encoded, size=4)  # the square in the center: rows 2 to 5 of 8
    np.testing.assert_array_equal(found[:2], 255)  # left has become the top
    np.testing.assert_array_equal(found[2:], 0)


def test_crop_keeps_the_center_or_rejects():
    picture = np.zeros((8, 16, 3), np.uint8)
    picture[:, 4:12] = 255
    np.testing.assert_array_equal(one(encode(picture)), 255)
    with pytest.raises(ValueError, match="16 x 8 pixels, and not square"):
        one(encode(picture), crop="none")


def test_downscaling_averages():
    checks = np.indices((8, 8)).sum(0) % 2 * 255
    found = one(encode(checks.astype(np.uint8)), size=4, channels=1, filter="box")
    np.testing.assert_allclose(found, 127.5, atol=0.5)


def test_folders_are_classes(tmp_path):
    names = ["cat/a.png", "cat/sub/b.png", "dog/a.png"]
    folder = write(tmp_path / "a", colors(3), names)
    (folder / "empty").mkdir()
    source = load(folder)
    assert source.labels.tolist() == [0, 0, 1]
    assert source.num_classes == 2
    assert source.record()["class_names"] == ["cat", "dog"]
    write(folder, colors(1), ["loose.png"])  # now not all are in folders
    assert load(folder).labels is None


@pytest.mark.parametrize(
    "text",
    [
        "000.png,cat\n001.png,dog\n002.png,cat\n",
        "file,label\n000.png, cat\n001.png, dog\n002.png, cat\n\n",
        '{"000.png": "cat", "001.png": "dog", "002.png": "cat"}',
        '{"labels": [["000.png", "cat"], ["001.png", "dog"], ["002.png", "cat"]]}',
    ],
)
def test_labels_come_from_a_file(text, tmp_path):
    folder = write(tmp_path / "a", colors(3))
    path = tmp_path / ("labels.json" if text.startswith("{") else "labels.csv")
    path.write_text(text)
    source = load(folder, label_file=str(path))
    assert source.labels.tolist() == [0, 1, 0]
    assert source.record()["class_names"] == ["cat", "dog"]


def test_numbers_are_labels_themselves(tmp_path):
    folder = write(tmp_path / "a", colors(2))
    (tmp_path / "l.csv").write_text("000.png,10\n001.png,2\n")
    source = load(folder, label_file=str(tmp_path / "l.csv"))
    assert source.labels.tolist() == [10, 2]
    assert source.num_classes == 11


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("000.png,a\n", "no label for 001.png"),
        ("000.png,a\n001.png,a\n9.png,b\n", "label for 9.png, which is not among"),
        ("000.png,a\n001.png,a\n000.png,b\n", "two labels for 000.png: a and b"),
        ("000.png,a,b\n", "columns file and label"),
        ("000.png\n", "columns file and label"),
    ],
)
def test_wrong_files_of_labels_are_reported(text, message, tmp_path):
    folder = write(tmp_path / "a", colors(2))
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load(folder, label_file=str(tmp_path / "l.csv"))


@pytest.mark.parametrize("label", ["2", "-1", "rare", ""])
def test_labels_of_skipped_pictures_are_ignored(label, tmp_path):
    folder = write(tmp_path / "a", colors(3))
    (folder / "cut.png").write_bytes(encode(colors(1)[0])[:40])
    labels = tmp_path / "l.csv"
    labels.write_text(f"000.png,0\ncut.png,{label}\n001.png,1\n002.png,0\n")
    options = {"size": 8, "label_file": str(labels), "unreadable": "skip"}
    source = load(folder, **options)
    assert source.labels.tolist() == [0, 1, 0]
    assert source.record()["class_names"] == ["0", "1"]
    assert source.record()["skipped"] == 1
    labels.write_text(labels.read_text() + "9.png,0\n")
    with pytest.raises(DataError, match=r"label for 9\.png, which is not among"):
        load(folder, **options)


def archive(path, members):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for name, content in members.items():
                file.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tgz"])
def test_archives_equal_their_folders(suffix, tmp_path):
    pictures, names = colors(4), ["b/1.png", "a/2.png", "a/1.png", "b/é 'x'.png"]
    folder = write(tmp_path / "folder", pictures, names)
    members = {name: (folder / name).read_bytes() for name in names}
    members |= {"__MACOSX/a/1.png": b"x", "a/.1.png": b"x", "notes.txt": b"x"}
    found = load(archive(tmp_path / f"x{suffix}", members))
    expected = load(folder)
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("name", ["../out.png", "/etc/out.png", "a/../../out.png"])
def test_members_outside_of_an_archive_are_rejected(suffix, name, tmp_path):
    path = archive(tmp_path / f"x{suffix}", {name: encode(flat(1, 2, 3))})
    with pytest.raises(DataError, match=r"out\.png in .* is a path outside"):
        load(path)
    assert not (tmp_path.parent / "out.png").exists()


def test_links_in_archives_are_rejected(tmp_path):
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as file:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(info)
    with pytest.raises(DataError, match=r"a\.png in .* is not a regular file"):
        load(path)


def test_links_between_folders_do_not_go_in_circles(tmp_path):
    folder = write(tmp_path / "a", colors(3))
    os.symlink(folder, folder / "again")
    other = write(tmp_path / "b", colors(2, seed=1))
    os.symlink(other, folder / "more")
    names = [path.relative_to(folder).as_posix() for path in find_pictures(folder)]
    assert names == ["000.png", "001.png", "002.png", "more/000.png", "more/001.png"]


def test_hidden_and_other_files_are_ignored(tmp_path):
    folder = write(tmp_path / "a", colors(2))
    for name in (".hidden.png", ".thumbs/x.png", "readme.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    assert [p.name for p in read_pictures(folder)] == ["000.png", "001.png"]


BROKEN = {
    "empty.png": (b"", "it is empty"),
    "text.png": (b"not a picture at all", "not a picture that can be read"),
    "cut.png": (encode(colors(1, (64, 64))[0])[:2000], "it is damaged"),
    "cut.jpg": (encode(colors(1, (64, 64))[0], "JPEG")[:800], "it is damaged"),
    "float.tif": (
        encode(np.ones((8, 8), np.float32), "TIFF"),
        "floating-point numbers of unknown range",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unreadable_files_are_named_or_skipped(name, tmp_path):
    content, message = BROKEN[name]
    folder = write(tmp_path / "a", colors(3))
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name} cannot be used: .*{message}"):
        load(folder, size=8)
    source = load(folder, size=8, unreadable="skip")
    assert len(source) == 3
    assert source.record()["skipped"] == 1
    (folder / name).unlink()
    np.testing.assert_array_equal(load(folder, size=8).images, source.images)


def test_decompression_bombs_are_rejected(tmp_path):
    (tmp_path / "a").mkdir()
    picture = Image.new("1", (20_000, 20_000))
    picture.save(tmp_path / "a" / "bomb.png")
    with pytest.raises(DataError, match=r"bomb\.png cannot be used: it has more than"):
        load(tmp_path / "a", size=8)


def test_held_out_pictures_are_chosen_by_their_content(tmp_path):
    folder = write(tmp_path / "a", colors(400))
    train, test = (load(folder, split=s, held_out=0.2) for s in ("train", "test"))
    assert len(train) + len(test) == 400
    assert 50 < len(test) < 110  # 80 expected
    write(folder, colors(100, seed=5), [f"b{i}.png" for i in range(100)])
    more = load(folder, split="test", held_out=0.2)
    images = {image.tobytes() for image in more.images}
    assert {image.tobytes() for image in test.images} <= images
    with pytest.raises(ValueError, match=r"the split 'test' is not valid"):
        load(folder, split="test")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path / "no", "no does not exist"),
        (lambda path: (path / "e").mkdir() or path / "e", "has no pictures"),
        (
            lambda path: (path / "x.rar").write_text("x") and path / "x.rar",
            "neither a folder nor an archive",
        ),
        (
            lambda path: (path / "x.zip").write_text("x") and path / "x.zip",
            "x.zip cannot be read",
        ),
        (
            lambda path: (path / "x.tar").write_text("x") and path / "x.tar",
            "x.tar cannot be read",
        ),
        (lambda path: archive(path / "y.zip", {"a.txt": b"x"}), "has no pictures"),
    ],
)
def test_paths_without_pictures_are_reported(make, message, tmp_path):
    with pytest.raises(DataError, match=message):
        load(make(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size is 0; it must be at least 1"),
        ({"channels": 2}, "channels is 2; it must be one of 1, 3"),
        ({"filter": "cubic"}, "filter is 'cubic'"),
        ({"background": "whit"}, "background is 'whit'"),
        ({"crop": "left"}, "crop is 'left'"),
        ({"held_out": 1.0}, "held_out is 1.0"),
    ],
)
def test_invalid_options_are_reported(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load(write(tmp_path / "a", colors(2)), **options)


def test_second_load_reads_the_cache_and_changes_are_seen(tmp_path, monkeypatch):
    folder = write(tmp_path / "a", colors(3))
    first = load(folder, size=8, channels=3)
    monkeypatch.setattr("wgan_jax.data.folder.decode", lambda *_: 1 / 0)
    np.testing.assert_array_equal(load(folder, size=8, channels=3).images, first.images)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(folder, colors(1, seed=9), ["001.png"])
    changed = load(folder, size=8, channels=3)
    assert not np.array_equal(changed.images, first.images)
    assert json.dumps(changed.record())


def test_shapes_are_known_without_a_path(tmp_path):
    shapes = load_source("folder", size=32, examples=False)
    assert shapes.images.shape == (0, 32, 32, 3)
    gray = load_source("folder", size=32, channels=1, examples=False)
    assert gray.example_shape == (32, 32, 1)
    with pytest.raises(ValueError, match="path is not set"):
        load_source("folder", size=32)
    with pytest.raises(ValueError, match="path is not set"):
        load_source("folder", examples=False)
    folder = write(tmp_path / "a", colors(2))
    known = load_source("folder", path=str(folder), size=8, examples=False)
    assert len(known) == 2
