"""Cases of files of labels, beside a folder of three pictures."""

import json
import os

from bad_inputs import PNG_A, PNG_B, THREE, A, B, C, Case, pictures, put, shows

CATS = ["cat", "dog"]


def labelled(text, file="l.csv", files=THREE):
    def write(folder):
        content = text if isinstance(text, bytes) else text.encode()
        put(folder, {file: content})
        return pictures(files)(folder)

    return write


def right(name, text, file="l.csv", *, labels=(0, 1, 0), classes=None):
    check = shows(A, B, C, labels=list(labels), classes=classes or CATS)
    return Case(name, labelled(text, file), check=check, options={"label_file": file})


def wrong(name, text, error, file="l.csv"):
    """A file whose message names it."""
    error = rf"l\.(csv|json|txt).*{error}"
    return Case(name, labelled(text, file), error=error, options={"label_file": file})


def rows(*labels, separator=","):
    return "".join(f"00{i}.png{separator}{x}\n" for i, x in enumerate(labels))


def of_json(*labels):
    return json.dumps({f"00{i}.png": label for i, label in enumerate(labels)})


def piped(folder):
    os.mkfifo(folder / "l.csv")
    return pictures(THREE)(folder)


def in_folder(folder):
    (folder / "l.csv").mkdir()
    return pictures(THREE)(folder)


def elsewhere(file, error, write=None):
    """A file of labels that is not there, or not a file."""
    write = write or pictures(THREE)
    return Case(f"labels in {file}", write, error=error, options={"label_file": file})


GOOD = rows("cat", "dog", "cat")
CSV = [
    right("csv", GOOD),
    right("csv with a header", "file,label\n" + GOOD),
    right("csv with another header", "filename,class\n" + GOOD),
    right("csv with a byte order mark", "\ufeff" + GOOD),
    right("csv with a byte order mark and a header", "\ufefffile,label\n" + GOOD),
    right("csv of windows", GOOD.replace("\n", "\r\n")),
    right("csv without a last newline", GOOD.strip()),
    right("csv with empty lines", GOOD.replace("\n", "\n\n")),
    right("csv with spaces", GOOD.replace(",", " , ")),
    right("csv with quotes", '"000.png","cat"\n"001.png","dog"\n"002.png","cat"\n'),
    right("csv in another order", "".join(sorted(GOOD.splitlines(True))[::-1])),
    right("csv with numbers", rows(2, 0, 2), labels=(2, 0, 2), classes=["0", "1", "2"]),
    right("csv with the same label twice", GOOD + "000.png,cat\n"),
    right(
        "csv with labels of other scripts", rows("ж", "写", "ж"), classes=["ж", "写"]
    ),
    right("csv with numbers and texts", rows("1", "cat", "1"), classes=["1", "cat"]),
    right(
        "csv with one class",
        rows("cat", "cat", "cat"),
        labels=(0, 0, 0),
        classes=["cat"],
    ),
    Case(
        "csv with names of several lines",
        labelled(
            '"a\nb.png",cat\n"b\u2028.png",dog\n',
            files={"a\nb.png": PNG_A, "b\u2028.png": PNG_B},
        ),
        check=shows(A, B, labels=[0, 1], classes=CATS),
        options={"label_file": "l.csv"},
    ),
    wrong(
        "csv with a missing file",
        GOOD + "9.png,dog\n",
        r"label for 9\.png, which is not among",
    ),
    wrong(
        "csv with missing files",
        GOOD + "8.png,dog\n9.png,dog\n",
        r"label for 8\.png and 1 other",
    ),
    wrong("csv for a part of the files", rows("cat"), r"no label for 001\.png and 1 o"),
    wrong(
        "csv with two labels",
        GOOD + "000.png,dog\n",
        r"two labels for 000\.png: cat and dog",
    ),
    wrong(
        "csv without labels",
        "000.png\n001.png\n002.png\n",
        "line 1 has 1 column.*columns file and label",
    ),
    wrong(
        "csv with three columns",
        rows("cat,1", "dog,2", "cat,3"),
        "line 1 has 3 columns.*columns file and label",
    ),
    wrong(
        "csv with three columns in a later line",
        GOOD + "003.png,cat,1\n",
        "line 4 has 3 columns",
    ),
    wrong(
        "csv with semicolons",
        rows("cat", "dog", "cat", separator=";"),
        "line 1 has 1 column.*separated by commas",
    ),
    wrong(
        "csv with tabs",
        rows("cat", "dog", "cat", separator="\t"),
        "line 1 has 1 column.*separated by commas",
    ),
    wrong("empty csv", "", r"no label for 000\.png and 2 others"),
    wrong("csv of a header only", "file,label\n", r"no label for 000\.png and 2 o"),
    wrong("csv with an empty label", rows("cat", "", "cat"), r"no label for 001\.png"),
    wrong(
        "csv that is not utf-8",
        rows("caté", "dog", "cat").encode("latin-1"),
        "'utf-8' codec",
    ),
    wrong("csv in utf-16", GOOD.encode("utf-16"), "'utf-8' codec"),
    wrong("csv that is a picture", PNG_A, "'utf-8' codec"),
    wrong("csv with an endless quote", '000.png,"' + "x" * 200_000, "field larger"),
    wrong(
        "csv with absolute paths",
        rows("cat", "dog", "cat").replace("00", "/x/00"),
        r"no label for 000\.png",
    ),
    wrong(
        "csv with paths outside",
        GOOD + "../a.png,cat\n",
        r"label for \.\./a\.png, which is not among",
    ),
    wrong("csv with negative numbers", rows(-1, 0, 1), r"label -1 .*000\.png.* from 0"),
    wrong(
        "csv with a huge number",
        rows(0, 1, 4_000_000_000),
        r"label 4000000000 .*002\.png.* below 65,536",
    ),
    wrong(
        "csv with a number of 5000 digits",
        rows(0, 1, "9" * 5000),
        r"label 9+.*002\.png.* below 65,536",
    ),
    wrong(
        "csv with other names of files",
        GOOD.replace(".png", ".PNG"),
        r"no label for 000\.png and 2 others",
    ),
]

JSON = [
    right("json", of_json("cat", "dog", "cat"), "l.json"),
    right(
        "json with numbers",
        of_json(2, 0, 2),
        "l.json",
        labels=(2, 0, 2),
        classes=["0", "1", "2"],
    ),
    right(
        "json of stylegan",
        json.dumps({"labels": [["000.png", 1], ["001.png", 0], ["002.png", 1]]}),
        "l.json",
        labels=(1, 0, 1),
        classes=["0", "1"],
    ),
    right(
        "json with a byte order mark", "\ufeff" + of_json("cat", "dog", "cat"), "l.json"
    ),
    right("json in upper case", of_json("cat", "dog", "cat"), "l.JSON"),
    wrong("json that is a number", "5", "JSON file", "l.json"),
    wrong("json that is null", "null", "JSON file", "l.json"),
    wrong("json that is a text", '"cats"', "JSON file", "l.json"),
    wrong("json of a list of texts", '["ab", "cd"]', "JSON file", "l.json"),
    wrong("json of a list of numbers", "[1, 2]", "JSON file", "l.json"),
    wrong("json with labels that are null", '{"labels": null}', "label None", "l.json"),
    wrong(
        "json with a label null",
        of_json("cat", None, "cat"),
        r"label None for 001\.png",
        "l.json",
    ),
    wrong(
        "json with a nested list",
        of_json("cat", [1, 2], "cat"),
        r"label \[1, 2\] for 001\.png",
        "l.json",
    ),
    wrong(
        "json with a mapping",
        of_json("cat", {"a": 1}, "cat"),
        r"label .* for 001\.png",
        "l.json",
    ),
    wrong(
        "json with a fraction", of_json(0, 0.5, 1), r"label 0\.5 for 001\.png", "l.json"
    ),
    wrong("json with true", of_json(0, True, 1), r"label True for 001\.png", "l.json"),
    wrong(
        "json with negative numbers",
        of_json(0, -1, 1),
        r"label -1 .*001\.png.*from",
        "l.json",
    ),
    wrong(
        "json with a name that is a number", "[[0, 1], [1, 2]]", "JSON file", "l.json"
    ),
    wrong(
        "json with two labels",
        '{"000.png": 1, "000.png": 2}',
        r"two labels for 000\.png: 1 and 2",
        "l.json",
    ),
    wrong("damaged json", of_json("cat", "dog", "cat")[:-5], "JSON file", "l.json"),
    wrong("empty json", "", "JSON file", "l.json"),
    wrong("json without pictures", "{}", r"no label for 000\.png", "l.json"),
    wrong("json of many brackets", "[" * 100_000, "JSON file", "l.json"),
    wrong("json named csv", of_json("cat", "dog", "cat"), "column"),
]

FILES = [
    elsewhere("none.csv", r"none\.csv does not exist"),
    elsewhere("l.csv", r"l\.csv is not a regular file", piped),
    Case(
        "labels in a folder",
        in_folder,
        error=r"l\.csv is not a regular file",
        options={"label_file": "l.csv"},
    ),
    elsewhere("/dev/zero", "/dev/zero is not a regular file"),
    elsewhere("~nobody-at-all/l.csv", r"~nobody-at-all/l\.csv does not exist"),
    Case(
        "labels with an unreadable picture",
        labelled(GOOD, files=THREE | {"001.png": b""}),
        error=r"001\.png cannot be used",
        options={"label_file": "l.csv"},
    ),
]

CASES = [*CSV, *JSON, *FILES]
