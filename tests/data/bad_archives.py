"""Cases of zip and tar archives."""

import stat
import struct
import tarfile
import zipfile

from bad_inputs import (
    PNG_A,
    PNG_B,
    PNG_C,
    THREE,
    A,
    B,
    C,
    Case,
    pictures,
    put,
    shows,
    tar_file,
    tar_link,
    zip_file,
)

OUTSIDE = "is a path outside of the archive"


def half(content):
    return content[: len(content) // 2]


def flipped(content):
    """Changes bytes in the middle of the first member."""
    return content[:80] + bytes(b ^ 255 for b in content[80:90]) + content[90:]


def in_directory(offset, fmt, value):
    """Returns what sets a field in the directory of a zip archive of one member."""

    def change(content):
        found = bytearray(content)
        struct.pack_into(fmt, found, found.index(b"PK\1\2") + offset, value)
        return bytes(found)

    return change


def encrypted(content):
    found = bytearray(in_directory(8, "<H", 1)(content))
    struct.pack_into("<H", found, 6, 1)
    return bytes(found)


def zip_link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def nested(folder):
    """Writes an archive that has an archive of pictures."""
    inner = zip_file(THREE, "inner.zip")(folder)
    return zip_file({"inner.zip": inner.read_bytes()}, "outer.zip")(folder)


def sparse(folder):
    """A member of a terabyte, of which nothing is stored."""
    info = tarfile.TarInfo("a.png")
    info.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(2**40),
    }
    with tarfile.open(folder / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info)
    return folder / "x.tar"


def absolute(make, name):
    return lambda folder: make({f"{folder.parent}/out.png": PNG_A}, name)(folder)


def raw(name, content):
    return lambda folder: put(folder, {name: content}) / name


def both(name, members, *, error=None, check=None, **options):
    """The same case for a zip and a tar archive."""
    return [
        Case(f"{name} ({kind})", make(members), error=error, check=check, **options)
        for kind, make in (("zip", zip_file), ("tar", tar_file))
    ]


def unreadable(name, write, suffix):
    return Case(name, write, error=rf"x\.{suffix} cannot be read \(.+\)")


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
MEMBERS = [
    *both("pictures in an archive", THREE, check=shows(A, B, C)),
    *both(
        "classes in an archive",
        {"dog/c.png": PNG_C, "cat/a.png": PNG_A, "cat/b.png": PNG_B},
        check=shows(A, B, C, labels=[0, 0, 1], classes=["cat", "dog"]),
    ),
    *both(
        "pictures in one top folder",
        {f"top/{name}": content for name, content in THREE.items()},
        check=shows(A, B, C),
    ),
    *both(
        "classes in one top folder",
        {"top/cat/a.png": PNG_A, "top/dog/b.png": PNG_B},
        check=shows(A, B),
    ),
    *both(
        "names that begin with ./",
        {"./a.png": PNG_A, "./c/b.png": PNG_B},
        check=shows(A, B),
    ),
    *both(
        "hidden files in an archive",
        THREE
        | {
            "__MACOSX/._000.png": b"x",
            "a/.x.png": b"x",
            ".DS_Store": b"x",
            "Thumbs.db": b"x",
            "notes.txt": b"x",
        },
        check=shows(A, B, C),
    ),
    *both(
        "member of a parent folder",
        {"../out.png": PNG_A},
        error=rf"\.\./out\.png in .*x\.(zip|tar) {OUTSIDE}",
    ),
    *both(
        "member that leaves by ..",
        {"a/../../out.png": PNG_A},
        error=rf"out\.png in .*x\.(zip|tar) {OUTSIDE}",
    ),
    *both(
        "other member of a parent folder",
        THREE | {"../notes.txt": b"x"},
        error=rf"notes\.txt in .*x\.(zip|tar) {OUTSIDE}",
    ),
    *both(
        "member of a windows drive",
        {"C:\\out.png": PNG_A},
        error=rf"out\.png in .*x\.(zip|tar) {OUTSIDE}",
    ),
    *both(
        "member that leaves by backslashes",
        {"..\\out.png": PNG_A},
        error=rf"out\.png in .*x\.(zip|tar) {OUTSIDE}",
    ),
    *both(
        "time in a name",
        {"12:30 a.png": PNG_A, "12:31 b.png": PNG_B},
        check=shows(A, B),
    ),
    *both(
        "unusual names", {"a\nb.png": PNG_A, "é '\" ж.png": PNG_B}, check=shows(A, B)
    ),
    *both("very long name", {"n" * 3000 + ".png": PNG_A}, check=shows(A)),
    *both("name of a dot", {".": PNG_B, "a.png": PNG_A}, check=shows(A)),
    *both("the same name twice", [("a.png", PNG_A), ("a.png", PNG_B)], check=shows(B)),
    *both(
        "archive without pictures",
        {"a.txt": b"x"},
        error=r"x\.(zip|tar) has no pictures",
    ),
    *both("empty archive", {}, error=r"x\.(zip|tar) has no pictures"),
    *both(
        "broken picture in an archive",
        {"a.png": PNG_A, "b.png": b"x"},
        error=r"b\.png in .*x\.(zip|tar) cannot be used: it is not a picture",
        skipped=1,
    ),
    Case(
        "absolute path (zip)",
        absolute(zip_file, "x.zip"),
        error=rf"out\.png in .*x\.zip {OUTSIDE}",
    ),
    Case(
        "absolute path (tar)",
        absolute(tar_file, "x.tar"),
        error=rf"out\.png in .*x\.tar {OUTSIDE}",
    ),
    Case("nested archive", nested, error=r"outer\.zip has no pictures"),
    Case(
        "link in a tar archive",
        tar_file([(tar_link("a.png", LINK, "/etc/passwd"), b"")]),
        error=r"a\.png in .*x\.tar is not a regular file",
    ),
    Case(
        "hard link in a tar archive",
        tar_file([("b.png", PNG_B), (tar_link("a.png", HARD, "b.png"), b"")]),
        error=r"a\.png in .*x\.tar is not a regular file",
    ),
    Case(
        "device in a tar archive",
        tar_file([(tar_link("a.png", tarfile.CHRTYPE), b"")]),
        error=r"a\.png in .*x\.tar is not a regular file",
    ),
    Case(
        "pipe in a tar archive",
        tar_file([(tar_link("a.png", tarfile.FIFOTYPE), b"")]),
        error=r"a\.png in .*x\.tar is not a regular file",
    ),
    Case(
        "link without the suffix of a picture in a tar archive",
        tar_file([("a.png", PNG_A), (tar_link("b", LINK, "/etc"), b"")]),
        check=shows(A),
    ),
    Case(
        "link in a zip archive",
        zip_file([(zip_link("a.png"), b"/etc/passwd"), ("b.png", PNG_B)]),
        error=r"a\.png in .*x\.zip cannot be used: it is not a picture",
        skipped=1,
    ),
]

DAMAGED = [
    unreadable("encrypted zip", zip_file({"a.png": PNG_A}, damage=encrypted), "zip"),
    unreadable("cut zip", zip_file(THREE, damage=half), "zip"),
    unreadable("flipped bits in a zip", zip_file(THREE, damage=flipped), "zip"),
    unreadable(
        "flipped bits in a zip with deflate",
        zip_file(THREE, damage=flipped, compress_type=zipfile.ZIP_DEFLATED),
        "zip",
    ),
    unreadable(
        "flipped bits in a zip with lzma",
        zip_file(THREE, damage=flipped, compress_type=zipfile.ZIP_LZMA),
        "zip",
    ),
    unreadable(
        "flipped bits in a zip with bzip2",
        zip_file(THREE, damage=flipped, compress_type=zipfile.ZIP_BZIP2),
        "zip",
    ),
    unreadable(
        "unknown compression",
        zip_file({"a.png": PNG_A}, damage=in_directory(10, "<H", 97)),
        "zip",
    ),
    unreadable("zero bytes named zip", raw("x.zip", b""), "zip"),
    unreadable("text named zip", raw("x.zip", b"text"), "zip"),
    unreadable("zero bytes named tar", raw("x.tar", b""), "tar"),
    unreadable("text named tar", raw("x.tar", b"text"), "tar"),
    unreadable("text named tgz", raw("x.tgz", b"text"), "tgz"),
    unreadable("cut tar", tar_file(THREE, damage=lambda c: c[:600]), "tar"),
    unreadable("cut tgz", tar_file(THREE, "x.tgz", damage=half), "tgz"),
    unreadable(
        "flipped bits in a tgz", tar_file(THREE, "x.tgz", damage=flipped), "tgz"
    ),
    unreadable("cut xz", tar_file(THREE, "x.tar.xz", damage=half), "tar.xz"),
    unreadable(
        "flipped bits in an xz", tar_file(THREE, "x.tar.xz", damage=flipped), "tar.xz"
    ),
    unreadable("cut bz2", tar_file(THREE, "x.tar.bz2", damage=half), "tar.bz2"),
    Case(
        "zip with a name of a gzipped tar",
        lambda folder: zip_file(THREE, "x.tgz")(folder),
        error=r"x\.tgz cannot be read \(.+\)",
    ),
    Case(
        "bytes before a zip",
        zip_file(THREE, damage=lambda content: b"#!/bin/sh\n" + content),
        check=shows(A, B, C),
    ),
    Case(
        "member of a zip that declares 3 GB",
        zip_file({"a.png": PNG_A}, damage=in_directory(24, "<I", 3 * 2**30)),
        error=r"a\.png in .*x\.zip has more than 268,435,456 bytes",
    ),
    Case(
        "member of a tar that declares a terabyte",
        sparse,
        error=r"a\.png in .*x\.tar has more than 268,435,456 bytes",
    ),
    Case(
        "folder named zip",
        lambda folder: pictures(THREE)(folder).rename(folder / "x.zip"),
        check=shows(A, B, C),
    ),
]

CASES = [*MEMBERS, *DAMAGED]
