"""Cases of single pictures: damaged ones, and all kinds of pixels."""

import struct
import zlib

import numpy as np
from bad_inputs import PNG_A, SIDE, A, B, Case, colors, encode, flat, pictures, shows
from PIL import Image

LARGE = colors(size=(64, 64))
GRAY = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE) * 4
WIDE = np.linspace(0, 65535, SIDE * SIDE).reshape(SIDE, SIDE).astype(np.uint16)


def broken(name, file, content, message):
    """A file beside a good one; it is an error, or left out."""
    where = rf"pictures/{file} cannot be used: .*{message}.*unreadable=skip"
    files = {"good.png": PNG_A, file: content}
    return Case(name, pictures(files), error=where, options={"size": SIDE}, skipped=1)


def read(name, file, content, *expected, **options):
    """A file that becomes an image."""
    return Case(
        name, pictures({file: content}), check=shows(*expected), options=options
    )


def close(expected, tolerance):
    """Returns a check of one picture of a lossy format."""

    def check(source):
        assert source.images.shape == (1, *expected.shape)
        np.testing.assert_allclose(
            source.images[0].astype(int), expected.astype(int), atol=tolerance
        )

    return check


def chunk(kind, content):
    """Returns a chunk of a PNG file."""
    crc = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + crc


def png(width, height, bits, kind, rows, *, between=b""):
    """Returns a PNG file of kinds of pixels that Pillow does not write."""
    head = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + between
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def cut(form, **options):
    content = encode(LARGE, form, **options)
    return content[: len(content) // 2]


def sixteen_bit_rgb(**options):
    rows = [row.astype(">u2").tobytes() for row in A.astype(np.uint16) * 257]
    return png(SIDE, SIDE, 16, 2, rows, **options)


def frames(form, **options):
    second = Image.fromarray(flat(200, 200, 200))
    return encode(
        flat(10, 10, 10), form, save_all=True, append_images=[second], **options
    )


def tagged(orientation, form="PNG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(A, form, exif=exif)


# What each orientation of EXIF does to the stored rows and columns.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a),
}


def palette(transparent):
    picture = Image.new("P", (SIDE, SIDE), 1)
    picture.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60])
    picture.putpixel((0, 0), 2)
    return encode(picture, transparency=transparent)


def with_corner(background, corner):
    picture = np.array(np.broadcast_to(background, (SIDE, SIDE, 3)), np.uint8)
    picture[0, 0] = corner
    return picture


def float_tiff():
    return encode(np.ones((SIDE, SIDE), np.float32), "TIFF")


def lab_cases():
    """LAB, which Pillow converts in some versions, and refuses in others."""
    content = encode(Image.new("LAB", (SIDE, SIDE), (128, 128, 128)), "TIFF")
    try:
        Image.new("LAB", (1, 1)).convert("RGB")
    except ValueError:
        return [broken("lab tiff", "x.tif", content, "LAB to RGB")]
    gray = flat(119, 119, 119)
    return [
        read("lab tiff", "x.tif", content, gray),
        read("lab tiff as gray", "x.tif", content, gray[..., :1], channels=1),
    ]


def wide_with_key():
    """16-bit gray whose value 0 is transparent."""
    rows = [row.astype(">u2").tobytes() for row in WIDE]
    return png(SIDE, SIDE, 16, 0, rows, between=chunk(b"tRNS", struct.pack(">H", 0)))


def rounded(values):
    return np.rint(values / 257).astype(np.uint8)


def on_white(gray, alpha):
    blended = gray.astype(int) * alpha + 255 * (255 - alpha.astype(int))
    return np.rint(blended / 255)


KEY = (A[0, 0].astype(">u2") * 257).tobytes()
ALPHA = np.full((SIDE, SIDE), 128, np.uint8)
NO_SIZE = b"II*\0\x08\0\0\0\x01\0\x03\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"

DAMAGED = [
    broken("zero bytes", "x.png", b"", "it is empty"),
    broken("text named png", "x.png", b"not a picture", "not a picture"),
    broken("pdf named jpg", "x.jpg", b"%PDF-1.4 ...", "not a picture"),
    broken("svg named png", "x.png", b"<svg></svg>", "not a picture"),
    broken("ico named png", "x.png", encode(A, "ICO"), "not a picture"),
    broken("truncated png", "x.png", cut("PNG"), "damaged"),
    broken("truncated jpeg", "x.jpg", cut("JPEG"), "damaged"),
    broken("truncated gif", "x.gif", cut("GIF"), "damaged"),
    broken("truncated webp", "x.webp", cut("WEBP"), "(damaged|not a picture)"),
    broken("truncated tiff", "x.tif", cut("TIFF"), "(damaged|not a picture)"),
    broken(
        "truncated tiff with lzw",
        "x.tif",
        cut("TIFF", compression="tiff_lzw"),
        "(damaged|not a picture)",
    ),
    broken("truncated bmp", "x.bmp", cut("BMP"), "damaged"),
    broken("png of a header only", "x.png", PNG_A[:33], "(damaged|not a picture)"),
    broken("signature only", "x.png", PNG_A[:8], "not a picture"),
    broken("flipped bits", "x.png", PNG_A[:60] + b"\xff\xff" + PNG_A[62:], "damaged"),
    broken("tiff without dimensions", "x.tif", NO_SIZE, "not a picture"),
    broken(
        "declared size beyond memory",
        "x.png",
        png(60_000, 60_000, 8, 2, []),
        "more than 100,000,000 pixels",
    ),
    broken(
        "declared size slightly too large",
        "x.png",
        png(12_000, 12_000, 8, 2, []),
        "more than 100,000,000 pixels",
    ),
    broken("declared size without pixels", "x.png", png(3_000, 9, 8, 2, []), "damaged"),
    broken("zero pixels wide", "x.png", png(0, 8, 8, 2, []), "(damaged|not a picture)"),
    broken("floating-point tiff", "x.tif", float_tiff(), "floating-point"),
]

KINDS = [
    read("16-bit gray", "x.png", encode(WIDE), rounded(WIDE)),
    read(
        "16-bit gray as rgb",
        "x.png",
        encode(WIDE),
        np.stack([rounded(WIDE)] * 3, 2),
        channels=3,
    ),
    read("16-bit tiff", "x.tif", encode(WIDE, "TIFF"), rounded(WIDE)),
    read("16-bit rgb", "x.png", sixteen_bit_rgb(), A),
    read(
        "16-bit rgb with a transparent value",
        "x.png",
        sixteen_bit_rgb(between=chunk(b"tRNS", KEY)),
        with_corner(A, (255, 255, 255)),
    ),
    read(
        "16-bit gray with a transparent value",
        "x.png",
        wide_with_key(),
        np.where(WIDE == 0, 255, rounded(WIDE)),
    ),
    read("1 bit", "x.png", encode(np.eye(SIDE, dtype=bool)), np.eye(SIDE) * 255),
    read("8-bit gray", "x.png", encode(GRAY), GRAY),
    read("gray in rgb", "x.png", encode(GRAY), np.stack([GRAY] * 3, 2), channels=3),
    read("palette", "x.png", palette(None), with_corner((10, 20, 30), (40, 50, 60))),
    read(
        "palette with transparency",
        "x.png",
        palette(2),
        with_corner((10, 20, 30), (255, 255, 255)),
    ),
    read(
        "palette with an alpha of each entry",
        "x.png",
        palette(b"\xff\x00\xff"),
        with_corner((255, 0, 0), (40, 50, 60)),
        background="red",
    ),
    read(
        "gray with alpha",
        "x.png",
        encode(Image.merge("LA", [Image.fromarray(GRAY), Image.fromarray(ALPHA)])),
        on_white(GRAY, ALPHA),
    ),
    read("invisible rgb", "x.png", encode(flat(9, 9, 9, 0)), flat(255, 255, 255)),
    read(
        "invisible rgb on a color",
        "x.png",
        encode(flat(9, 9, 9, 0)),
        flat(0, 128, 255),
        background="#0080ff",
    ),
    Case(
        "cmyk jpeg",
        pictures(
            {
                "x.jpg": encode(
                    Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)),
                    "JPEG",
                    quality=100,
                )
            }
        ),
        check=close(flat(255, 0, 0), 3),
    ),
    read(
        "cmyk tiff",
        "x.tif",
        encode(Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0)), "TIFF"),
        flat(255, 0, 0),
    ),
    Case(
        "ycbcr jpeg",
        pictures({"x.jpeg": encode(flat(200, 40, 90), "JPEG", quality=100)}),
        check=close(flat(200, 40, 90), 3),
    ),
    Case(
        "ycbcr tiff",
        pictures(
            {
                "x.tiff": encode(
                    Image.fromarray(flat(200, 40, 90)).convert("YCbCr"), "TIFF"
                )
            }
        ),
        check=close(flat(200, 40, 90), 2),
    ),
    read("animated gif", "x.gif", frames("GIF"), flat(10, 10, 10)),
    read("animated webp", "x.webp", frames("WEBP", lossless=True), flat(10, 10, 10)),
    read("animated png", "x.png", frames("PNG"), flat(10, 10, 10)),
    read(
        "animated png with another default picture",
        "x.png",
        frames("PNG", default_image=True),
        flat(10, 10, 10),
    ),
    read("tiff of two pages", "x.tif", frames("TIFF"), flat(10, 10, 10)),
    read("png named jpg", "x.jpg", PNG_A, A),
    read("webp named png", "x.png", encode(A, "WEBP", lossless=True), A),
    read("bytes after the end", "x.png", PNG_A + b"junk" * 100, A),
    *(read(f"exif orientation {k}", "x.png", tagged(k), TURNS[k](A)) for k in TURNS),
    read("exif orientation out of range", "x.png", tagged(9), A),
    read("damaged exif", "x.png", encode(A, exif=b"Exif\0\0II*\0\x08\0\0\0\xff"), A),
]

TOP = np.repeat(np.repeat(colors(size=(4, 4), seed=3), 2, 0), 2, 1)


def tall(width, height):
    """Returns a picture whose square in the center is white, on black."""
    picture = np.zeros((height, width, 3), np.uint8)
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    picture[top : top + side, left : left + side] = 255
    return encode(picture)


WHITE = flat(255, 255, 255)
SIZES = [
    Case(
        "mixed sizes",
        pictures({"a.png": PNG_A, "b.png": encode(colors(size=(4, 6)))}),
        error=r"pictures .*not squares of one size \(a\.png is 8 x 8, b\.png is 6 x "
        r"4\)\. Set --config\.dataset\.size",
    ),
    Case(
        "one size, not square",
        pictures({"a.png": encode(colors(size=(4, 6)))}),
        error=r"not squares of one size.*Set --config\.dataset\.size",
    ),
    read(
        "smaller than asked",
        "x.png",
        encode(TOP[::2, ::2]),
        TOP,
        size=SIDE,
        filter="nearest",
    ),
    read(
        "larger than asked", "x.png", encode(TOP), TOP[::2, ::2], size=4, filter="box"
    ),
    read(
        "1 x 1 pixel",
        "x.png",
        encode(flat(3, 5, 7, size=(1, 1))),
        flat(3, 5, 7, size=(1, 1)),
    ),
    read(
        "1 x 1 pixel, enlarged",
        "x.png",
        encode(flat(3, 5, 7, size=(1, 1))),
        flat(3, 5, 7),
        size=SIDE,
    ),
    read("1 x 1000 pixels", "x.png", tall(1, 1000), WHITE, size=SIDE),
    read("1000 x 1 pixels", "x.png", tall(1000, 1), WHITE, size=SIDE),
    read("crop to the center", "x.png", tall(12, SIDE), WHITE, size=SIDE),
    read("crop to the center, odd", "x.png", tall(SIDE, 13), WHITE, size=SIDE),
    Case(
        "not square without cropping",
        pictures({"x.png": tall(12, SIDE), "y.png": PNG_A}),
        error=r"pictures/x\.png cannot be used: it is 12 x 8 pixels, and not square; "
        "use crop=center",
        options={"size": SIDE, "crop": "none"},
        skipped=1,
    ),
    Case(
        "rotated, with the size of the others only then",
        pictures({"x.png": tagged(6), "y.png": encode(B)}),
        check=shows(TURNS[6](A), B),
    ),
    Case(
        "more than the memory that is allowed",
        pictures({"x.png": PNG_A}),
        error=r"the 1 pictures in .*pictures take 3 MiB at 1024 pixels, and the limit "
        "is 1",
        options={"size": 1024, "memory_limit": 1},
    ),
    Case(
        "equal pictures",
        pictures({"x.png": PNG_A, "y.png": PNG_A}),
        check=shows(A, A),
    ),
]

CASES = [*DAMAGED, *KINDS, *lab_cases(), *SIZES]
