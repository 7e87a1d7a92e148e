"""Fetches 3,786 emoji of 64 x 64 pixels, in one folder for each of ten classes.

    python docs/tutorials/fetch_emoji.py emoji

They are Twitter's Twemoji, CC-BY 4.0, as the npm package emoji-datasource-twitter
distributes them. Needs npm, or the package that was downloaded elsewhere:

    python docs/tutorials/fetch_emoji.py emoji --package=FILE.tgz
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PACKAGE = "emoji-datasource-twitter@16.0.0"
PICTURES = "package/img/twitter/64/"
CLASSES = {
    "Activities": "activities",
    "Animals & Nature": "animals",
    "Flags": "flags",
    "Food & Drink": "food",
    "Objects": "objects",
    "People & Body": "people",
    "Smileys & Emotion": "faces",
    "Travel & Places": "places",
}  # all others are symbols


def class_of(entry: Mapping[str, Any]) -> str:
    """Returns the class of an emoji."""
    group, kind = entry["category"], entry["subcategory"] or ""
    if group == "People & Body" and kind.startswith("hand"):
        return "hands"
    if group == "Smileys & Emotion" and "face" not in kind:
        return "symbols"  # hearts and other signs
    return CLASSES.get(group, "symbols")


def classes(entries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yields the file and the class of each emoji, in all colors of the skin."""
    for entry in entries:
        for variant in (entry, *entry.get("skin_variations", {}).values()):
            yield variant["image"], class_of(entry)


def download(folder: str) -> Path:
    """Downloads the package with npm."""
    command = ["npm", "pack", "--silent", "--pack-destination", folder, PACKAGE]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("*.tgz"))


def unpack(package: Path, folder: Path) -> Counter[str]:
    """Writes the pictures into folders of their classes, and returns the counts."""
    counts = Counter[str]()
    with tarfile.open(package) as archive:
        listed = archive.extractfile("package/emoji.json")
        assert listed is not None
        by_file = dict(classes(json.load(listed)))
        for member in archive:
            if not member.isfile() or not member.name.startswith(PICTURES):
                continue
            name = Path(member.name).name
            target = folder / by_file.get(name, "symbols") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)
            counts[target.parent.name] += 1
    return counts


def main() -> int:
    """Fetches and unpacks the package."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--package", type=Path, help="the downloaded .tgz file")
    options = parser.parse_args()
    if options.folder.exists():
        print(f"{options.folder} exists; name a new folder.", file=sys.stderr)
        return 2
    if options.package is None and shutil.which("npm") is None:
        print("npm is not installed; use --package=FILE.tgz.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        counts = unpack(options.package or download(folder), options.folder)
    total = f"{counts.total():,} pictures in {options.folder}"
    print(f"{total}: {', '.join(f'{n} {name}' for name, n in sorted(counts.items()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
