"""Cases of folders: names, links, hidden and special files, and other paths."""

import os

from bad_inputs import (
    PNG_A,
    PNG_B,
    PNG_C,
    THREE,
    A,
    B,
    C,
    Case,
    colors,
    encode,
    pictures,
    put,
    shows,
)

LONG = "n" * 251 + ".png"  # the longest name of most file systems


def linked(name, target):
    """Returns what makes a link in a folder."""
    return lambda folder: os.symlink(target, folder / name)


def outside(folder):
    """Links a picture and a folder that are not below the folder."""
    put(folder.parent / "other", {"b.png": PNG_B, "deep/c.png": PNG_C})
    os.symlink(folder.parent / "other" / "b.png", folder / "link.png")
    os.symlink(folder.parent / "other" / "deep", folder / "more")


def mutual(folder):
    """Two folders that have a link to each other."""
    put(folder, {"x/a.png": PNG_A, "y/b.png": PNG_B})
    os.symlink(folder / "y", folder / "x" / "y")
    os.symlink(folder / "x", folder / "y" / "x")


def special(name):
    return lambda folder: os.mkfifo(folder / name)


def only(path):
    """Returns what writes nothing, for a path that is there or not."""
    return lambda folder: path


def file(name, content=b"x"):
    return lambda folder: put(folder, {name: content}) / name


def named(name, *names):
    """Pictures whose names are in their order."""
    contents = (PNG_A, PNG_B, PNG_C)[: len(names)]
    files = dict(zip(names, contents, strict=True))
    return Case(name, pictures(files), check=shows(*(A, B, C)[: len(names)]))


def fifo(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def fifo_archive(folder):
    os.mkfifo(folder / "pipe.zip")
    return folder / "pipe.zip"


def home(folder):
    put(folder.parent / "home" / "pictures", THREE)
    return "~/pictures"


def loop(folder):
    os.symlink(folder / "loop", folder / "loop")
    return folder / "loop"


NAMES = [
    named("spaces in names", " a .png", "b c.png"),
    named("quotes in names", 'a "x".png', "b 'y'.png"),
    named("newlines in names", "a\nb.png", "b\r\n.png"),
    named("control characters in names", "a\x01\x1b[31m.png", "b\x7f.png"),
    named("letters of other scripts", "x é ß.png", "ж.png", "写真.png"),
    named("emoji in names", "\U0001f600.png"),
    named("names that are not utf-8", b"\xe9.png", b"\xff\xfe.png"),
    named("very long names", LONG, "o" * 251 + ".png"),
    named("upper-case suffixes", "A.PNG", "B.Png"),
    named("several dots in names", "a.b.c.png", "b.tar.png"),
    named("names that begin with a dash", "--a.png", "-b.png"),
    named("shell and format characters", "%s {0} $HOME `x`.png", "*.png"),
    named("deep folders", "/".join("abcdefghij") + "/x.png"),
    Case(
        "broken file whose name has newlines",
        pictures({"a.png": PNG_A, "b\nc.png": b""}),
        error=r"pictures/b\\nc\.png cannot be used: it is empty",
        skipped=1,
    ),
    Case(
        "broken file whose name is not utf-8",
        pictures({"a.png": PNG_A, b"b\xff.png": b""}),
        error=r"pictures/b\\udcff\.png cannot be used: it is empty",
        skipped=1,
    ),
    Case(
        "classes whose names are not utf-8",
        pictures({b"\xe9/a.png": PNG_A, "z/b.png": PNG_B}),
        check=shows(B, A, labels=[0, 1], classes=["z", "\udce9"]),
    ),
    Case(
        "hidden files",
        pictures(THREE | {".DS_Store": b"x", "._000.png": b"x", ".hidden/x.png": b"x"}),
        check=shows(A, B, C),
    ),
    Case(
        "files of the system",
        pictures(
            THREE | {"Thumbs.db": b"x", "desktop.ini": b"x", "thumbs/Thumbs.db": b"x"}
        ),
        check=shows(A, B, C),
    ),
    Case(
        "unpacked __MACOSX",
        pictures({"cat/a.png": PNG_A, "dog/b.png": PNG_B, "__MACOSX/cat/a.png": b"x"}),
        check=shows(A, B, labels=[0, 1], classes=["cat", "dog"]),
    ),
    Case(
        "other files beside pictures",
        pictures(THREE | {"notes.txt": b"x", "x.svg": b"x", "y.zip": b"x", "z": b"x"}),
        check=shows(A, B, C),
    ),
]

LINKS = [
    Case(
        "link to itself",
        pictures({"a.png": PNG_A}, linked("b.png", "b.png")),
        error=r"pictures/b\.png cannot be read \(Too many levels of symbolic links\)",
    ),
    Case(
        "broken link",
        pictures({"a.png": PNG_A}, linked("b.png", "nowhere.png")),
        error=r"pictures/b\.png cannot be read \(No such file or directory\)",
    ),
    Case(
        "broken link to a folder",
        pictures({"a.png": PNG_A}, linked("more", "nowhere")),
        check=shows(A),
    ),
    Case(
        "links in a circle",
        pictures({"a.png": PNG_A}, linked("again", ".")),
        check=shows(A),
    ),
    Case(
        "links to each other",
        pictures({}, mutual),
        check=shows(A, B),
    ),
    Case(
        "links to the outside",
        pictures({"a.png": PNG_A}, outside),
        check=shows(A, B, C),
    ),
    Case(
        "folder named png",
        pictures({"a.png": PNG_A, "x.png/b.png": PNG_B}),
        check=shows(A, B),
    ),
    Case(
        "pipe in a folder",
        pictures({"a.png": PNG_A}, special("b.png")),
        error=r"pictures/b\.png is not a regular file",
    ),
    Case(
        "link to a device",
        pictures({"a.png": PNG_A}, linked("b.png", "/dev/zero")),
        error=r"pictures/b\.png is not a regular file",
    ),
]

PATHS = [
    Case("no such path", only("none"), error="none does not exist"),
    Case("no such archive", only("none.zip"), error=r"none\.zip does not exist"),
    Case("link in a circle", loop, error="loop cannot be read .Too many levels"),
    Case(
        "very long path",
        only("x" * 5000),
        error="x cannot be read .File name too",
    ),
    Case("path with a zero byte", only("a\0b"), error=r"a\\x00b does not exist"),
    Case("empty folder", pictures({}), error="pictures has no pictures; .*png"),
    Case(
        "folder without pictures",
        pictures({"a.txt": b"x", "b/c.txt": b"x"}),
        error="pictures has no pictures; .*png",
    ),
    Case(
        "folder with an archive only",
        pictures({"a.zip": b"x"}),
        error="pictures has no pictures; .*png",
    ),
    Case("a single picture", file("a.png", PNG_A), error=r"a\.png is neither a folder"),
    Case("text file", file("a.txt"), error=r"a\.txt is neither a folder nor an arch"),
    Case("rar archive", file("a.rar"), error=r"a\.rar is neither .*\.zip, \.tar"),
    Case("device", only("/dev/zero"), error="/dev/zero is neither a folder nor an"),
    Case("pipe", fifo, error="pipe is neither a folder nor an archive"),
    Case("pipe named zip", fifo_archive, error=r"pipe\.zip is neither a folder nor an"),
    Case("path in the home folder", home, check=shows(A, B, C)),
    Case(
        "home folder of an unknown user",
        only("~nobody-at-all/x"),
        error="~nobody-at-all/x does not exist",
    ),
    Case("relative path", lambda f: pictures(THREE)(f).name, check=shows(A, B, C)),
    Case(
        "path with ..",
        lambda f: f"{pictures(THREE)(f)}/../pictures",
        check=shows(A, B, C),
    ),
    Case(
        "link to the folder",
        lambda f: linked("link", pictures(THREE)(f))(f) or f / "link",
        check=shows(A, B, C),
    ),
]

CLASSES = [
    Case(
        "folders of classes",
        pictures({"cat/a.png": PNG_A, "cat/b.png": PNG_B, "dog/c.png": PNG_C}),
        check=shows(A, B, C, labels=[0, 0, 1], classes=["cat", "dog"]),
    ),
    Case(
        "folder of a class is empty",
        pictures(
            {"cat/a.png": PNG_A, "dog/c.png": PNG_C},
            lambda folder: (folder / "empty").mkdir(),
        ),
        check=shows(A, C, labels=[0, 1], classes=["cat", "dog"]),
    ),
    Case(
        "folder of a class has no readable picture",
        pictures({"ant/x.png": b"x", "cat/a.png": PNG_A, "dog/c.png": PNG_C}),
        check=shows(A, C, labels=[0, 1], classes=["cat", "dog"]),
        options={"unreadable": "skip"},
    ),
    Case("one class", pictures({"cat/a.png": PNG_A}), check=shows(A)),
    Case(
        "pictures beside the folders of classes",
        pictures({"cat/a.png": PNG_A, "dog/b.png": PNG_B, "z.png": PNG_C}),
        check=shows(A, B, C),
    ),
    Case(
        "no readable picture",
        pictures({"a.png": b"x", "b.png": b""}),
        error="no picture in .*pictures is readable",
        options={"unreadable": "skip", "size": 8},
    ),
    Case(
        "no readable picture, without a size",
        pictures({"a.png": b"x", "b.png": b""}),
        error="no picture in .*pictures is readable",
        options={"unreadable": "skip"},
    ),
    Case(
        "gray and rgb",
        pictures({"a.png": PNG_A, "b.png": encode(colors()[..., 0])}),
        check=shows(A, colors()[..., :1].repeat(3, 2)),
    ),
]

CASES = [*NAMES, *LINKS, *PATHS, *CLASSES]
