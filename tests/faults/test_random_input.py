"""Random input: each is taken, or refused by the documented exception."""

import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from wgan_jax import zoo
from wgan_jax.config.experiment import as_json
from wgan_jax.config.loading import find_config, load_experiment
from wgan_jax.config.overrides import split_overrides
from wgan_jax.data.pictures import Conversion, decode, read_header
from wgan_jax.errors import ArchiveError, ConfigError, ReportError
from wgan_jax.io.mappings import flatten
from wgan_jax.io.weights import load_weights
from wgan_jax.program.flags import parse_flags, split_level, split_mode
from wgan_jax.report import write_report
from wgan_jax.report.run import read_runs


def check_message(error, part=""):
    """Checks the message of an exception that was expected."""
    assert str(error)
    assert part in str(error)


few = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,  # the same examples in each run
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
many = settings(few, max_examples=300)
EXPERIMENT, _ = load_experiment(find_config("digits_wgan_gp"), [])
FIELDS = sorted(dict(flatten(as_json(EXPERIMENT))))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
DEEP = "[" * 100_000


def damaged(content):
    """Returns a strategy for bytes with some replaced, cut or inserted ones."""

    def apply(changes, cut, inserted):
        found = bytearray(content)
        for place, value in changes:
            found[place % len(found)] = value
        place, length = cut
        place %= len(found)
        found[place : place + length] = inserted
        return bytes(found)

    change = st.tuples(st.integers(0, 2**20), st.integers(0, 255))
    cut = st.tuples(st.integers(0, 2**20), st.sampled_from([0, 0, 1, 100, 10**6]))
    inserted = st.binary(max_size=20)
    return st.builds(apply, st.lists(change, max_size=4), cut, inserted)


@many
@given(
    st.lists(
        st.tuples(
            st.sampled_from(FIELDS) | st.text(max_size=12),
            st.text(max_size=12)
            | st.integers().map(str)
            | st.floats().map(repr)
            | st.sampled_from(["None", "True", "()", "{}", "1e999", "__import__('os')"])
            | JSON.map(repr),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_overrides_are_taken_or_named(overrides):
    arguments = [f"--config.{name}={text}" for name, text in overrides]
    try:
        found, others = split_overrides(arguments)
        assert not others
        experiment, _ = load_experiment(find_config("digits_wgan_gp"), found)
    except ConfigError as error:
        check_message(error)
        return
    json.dumps(as_json(experiment))


@many
@given(
    st.lists(st.text(max_size=12) | st.sampled_from(["--mode", "train", "-q", "--"]))
)
def test_words_are_flags_or_refused(words):
    try:
        _, rest = split_mode(words)
        _, rest = split_level(rest)
        parse_flags(rest)
    except ConfigError as error:
        check_message(error)


def png(mode, **options):
    stream = io.BytesIO()
    Image.effect_noise((9, 9), 60).convert(mode).save(stream, **options)
    return stream.getvalue()


PICTURES = {
    "png": png("RGBA", format="PNG"),
    "palette": png("P", format="PNG"),
    "jpeg": png("RGB", format="JPEG"),
    "gif": png("P", format="GIF"),
    "webp": png("RGB", format="WEBP"),
    "bmp": png("L", format="BMP"),
    "tiff": png("RGB", format="TIFF"),
}


@pytest.mark.parametrize("kind", PICTURES)
@many
@given(data=st.data())
def test_pictures_are_decoded_or_refused(kind, data):
    encoded = data.draw(damaged(PICTURES[kind]) | st.binary(max_size=60))
    conversion = Conversion(size=8, channels=3)
    try:
        read_header(encoded)
        levels = decode(encoded, conversion)
    except ValueError as error:
        check_message(error)
        return
    assert levels.shape == (8, 8, 3)
    assert levels.dtype == np.uint8


@many
@given(content=damaged(save({"a": np.ones(4)}, {"data": "{}"})) | st.binary())
def test_weights_are_read_or_refused(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    try:
        arrays, _ = load_weights(path)
    except ArchiveError as error:
        check_message(error, str(path))
        return
    assert all(array.dtype.kind in "fiub" for array in arrays.values())


def test_weights_beyond_float32_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(save({"a": np.array([1e300])}))
    with pytest.raises(ArchiveError, match="is not a file of weights: overflow"):
        load_weights(path)


def header_of(metadata):
    text = json.dumps({"__metadata__": metadata}).encode()
    return len(text).to_bytes(8, "little") + text


@many
@given(card=st.dictionaries(st.sampled_from(["data", "config", "a"]), JSON))
def test_cards_are_read_or_refused(tmp_path, card):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(
        header_of({name: json.dumps(value) for name, value in card.items()})
    )
    with pytest.raises((ArchiveError, ConfigError)):
        zoo.load(path)


def test_a_deep_card_is_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(header_of({"config": DEEP}))
    with pytest.raises(ArchiveError, match="is not a file of weights"):
        zoo.load(path)


FOLDER = {
    "config.json": {"config": {}},
    "metrics.jsonl": {"step": 1, "critic/loss": 1.0},
    "evaluations.jsonl": {"step": 1},
    "heartbeat.json": {"stage": "training"},
}


def write_folder(folder, contents):
    folder.mkdir(exist_ok=True)
    for name, example in FOLDER.items():
        content = contents.get(name, json.dumps(example).encode())
        (folder / name).write_bytes(content)


@few
@given(
    st.dictionaries(
        st.sampled_from(sorted(FOLDER)),
        st.lists(JSON.map(json.dumps) | st.just(DEEP)).map(
            lambda lines: "\n".join(lines).encode()
        )
        | st.binary(),
        min_size=1,
    )
)
def test_run_folders_are_reported_or_refused(tmp_path, contents):
    write_folder(tmp_path / "run", contents)
    try:
        path = write_report([tmp_path / "run"], tmp_path / "report.html")
    except ReportError as error:
        check_message(error, str(tmp_path))
        return
    assert path.stat().st_size > 1000


LINES = st.dictionaries(
    st.sampled_from(["step", "weights", "results", "run", "time/utc", "critic/loss"])
    | st.text(max_size=5),
    JSON,
).map(lambda line: {"step": 1} | line)


@few
@given(
    metrics=st.lists(LINES, max_size=3),
    evaluations=st.lists(
        st.fixed_dictionaries(
            {
                "step": st.integers(0, 9),
                "weights": st.sampled_from(["ema", "live"]) | JSON,
                "results": st.lists(
                    st.fixed_dictionaries(
                        {"value": st.floats() | JSON, "protocol": JSON}
                    )
                )
                | JSON,
            }
        ),
        max_size=3,
    ),
    record=JSON,
    part=st.sampled_from(
        ["config", "data", "packages", "devices", "command", "origin", "parameters"]
    ),
)
def test_lines_of_another_form_are_left_out(
    tmp_path, metrics, evaluations, record, part
):
    def lines(values):
        return "".join(f"{json.dumps(value)}\n" for value in values).encode()

    metrics = [{"step": 1, "critic/loss": 1.0}, *metrics]
    contents = {
        "metrics.jsonl": lines(metrics),
        "evaluations.jsonl": lines(evaluations),
        "config.json": json.dumps({"config": {}} | {part: record}).encode(),
    }
    write_folder(tmp_path / "run", contents)
    try:
        (run,) = read_runs([tmp_path / "run"])
        write_report([tmp_path / "run"], tmp_path / "report.html")
    except ReportError as error:
        check_message(error, "config.json")
        return
    assert run.name == "run"
