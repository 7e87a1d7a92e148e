"""Tests of loading config files and applying overrides."""

import json
import sys

import ml_collections
import pytest

from wgan_jax.config import loading
from wgan_jax.config.loading import (
    ConfigFile,
    field_comments,
    find_config,
    lineage,
    load_config,
    load_experiment,
    shipped_configs,
)
from wgan_jax.config.overrides import apply_overrides, split_overrides
from wgan_jax.config.resolve import resolve
from wgan_jax.errors import ConfigError


@pytest.fixture
def digits():
    return load_config(find_config("digits_wgan_gp"))


def test_shipped_config_is_found_by_name_and_by_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = find_config("digits_wgan_gp")
    assert file == find_config("configs/digits_wgan_gp.py")
    assert file == (shipped_configs()["digits_wgan_gp"], None)
    (tmp_path / "digits_wgan_gp").write_text("")  # an existing file takes precedence
    assert find_config("digits_wgan_gp").path.read_text() == ""


@pytest.mark.parametrize(
    "name", ["configs/digits_wgan_gp", "configs/digits_wgan_gp.py"]
)
def test_shipped_config_is_found_below_configs_only(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for path in (name, f"./{name}", f"{name}:small"):
        assert find_config(path).path == shipped_configs()["digits_wgan_gp"]
    for path in (f"other/{name}", f"../{name}", f"/nonexistent/{name}"):
        with pytest.raises(ConfigError, match=rf"^--config={path} does not exist; did"):
            find_config(path)


@pytest.mark.parametrize(
    "name",
    [
        "runs/digits_wgan_gp",
        "/nonexistent/digits_wgan_gp",
        "configs/digits_wgan_gp.json",
        "configs/more/digits_wgan_gp",
        "digits_wgan_gp/",
        "digits_wgan_gp.py",
    ],
)
def test_other_paths_that_end_in_a_name_are_no_shipped_config(
    tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    for path in (name, f"{name}:small"):
        with pytest.raises(ConfigError, match=rf"^--config={path} does not exist; did"):
            find_config(path)


@pytest.mark.parametrize("folder", ["runs/digits_wgan_gp", "runs/mine", "~/mine"])
def test_folder_of_a_run_error_says_what_to_use(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / folder.replace("~", ".")
    path.mkdir(parents=True)
    with pytest.raises(ConfigError, match="does not exist"):
        find_config(folder)
    (path / "config.json").write_text("{}")
    with pytest.raises(ConfigError) as raised:
        find_config(folder)
    assert str(raised.value) == (
        f"--config={folder} is the folder of a run; use --config={folder}/config.json "
        f"for its config, or --workdir={folder} for the run."
    )
    assert find_config(f"{folder}/config.json").path.samefile(path / "config.json")


@pytest.mark.parametrize(
    "name", ["digits_wgan_pg", "configs/digits_wgan_pg.py", "digits_wgan_pg:small"]
)
def test_unknown_name_error_suggests_a_similar_name(name):
    with pytest.raises(ConfigError, match=r"did you mean digits_wgan_gp\? choices: c"):
        find_config(name)


WITH_ARGUMENT = (
    "from configs import digits_wgan_gp\n"
    "def get_config({}):\n"
    "    config = digits_wgan_gp.get_config()\n"
    "    config.training.n_critic = int(size)\n"
    "    return config\n"
)


@pytest.mark.parametrize("parameter", ["size", "size='3'", "*, other=0, size=3"])
def test_text_after_a_colon_is_the_argument_of_the_function(tmp_path, parameter):
    path = tmp_path / "a:b.py"  # an existing file may have a colon, too
    path.write_text(WITH_ARGUMENT.format(parameter))
    file = find_config(f"{path}:2")
    assert (file, str(file), file.title) == ((path, "2"), f"{path}:2", "a:b_2")
    assert find_config(f"{path}:gs://b/x") == (path, "gs://b/x")
    if parameter == "size":
        message = (
            rf"^get_config\(\) of {path} needs an argument; use .*b.py:ARGUMENT\.$"
        )
        with pytest.raises(ConfigError, match=message):
            load_config(find_config(str(path)))
    else:
        assert load_config(find_config(str(path))).training.n_critic == 3
    if parameter.startswith("*"):
        message = rf"^--config={path}:2 has an argument, but .* no parameter; use "
        with pytest.raises(ConfigError, match=message):
            load_config(file)
        return
    config = load_config(file)
    assert config.training.n_critic == 2
    apply_overrides(config, [("seed", "4")])
    assert lineage(file, config) == {
        "overrides": ["seed: 0 -> 4"],
        "parent": {
            "name": "digits_wgan_gp",
            "differences": ["seed: 0 -> 4", "training.n_critic: 5 -> 2"],
        },
        "config_argument": "2",
    }
    assert load_experiment(file, [("seed", "4")])[0].training.n_critic == 2
    with pytest.raises(ConfigError, match=r"line 4: ValueError: invalid literal"):
        load_config(find_config(f"{path}:two"))


def test_name_of_a_shipped_config_may_have_an_argument(tmp_path, monkeypatch):
    file = find_config("digits_wgan_gp:small")
    assert file == (shipped_configs()["digits_wgan_gp"], "small")
    with pytest.raises(ConfigError, match=r"digits_wgan_gp.py has no parameter; use"):
        load_config(file)
    path = tmp_path / "sized.py"
    path.write_text(WITH_ARGUMENT.format("size"))
    monkeypatch.setattr(loading, "shipped_configs", lambda: {"sized": path})
    assert load_config(find_config("sized:7")).training.n_critic == 7
    assert find_config("sized:x/../y z").title == "sized_x_.._y_z"


def test_function_with_two_parameters_and_parents_with_one(tmp_path):
    (tmp_path / "two.py").write_text(WITH_ARGUMENT.format("size, other"))
    for argument in (None, "2"):
        file = ConfigFile(tmp_path / "two.py", argument)
        with pytest.raises(ConfigError, match="take no argument, or one by position"):
            load_config(file)
    (tmp_path / "one.py").write_text(WITH_ARGUMENT.format("size"))
    (tmp_path / "child.py").write_text(
        "from configs import one\ndef get_config():\n    return one.get_config('2')\n"
    )
    config = load_config(tmp_path / "child.py")
    assert config.training.n_critic == 2
    assert lineage(tmp_path / "child.py", config)["parent"] is None


def test_file_can_extend_a_sibling_or_a_shipped_config(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from configs import digits_wgan_gp\n"
        "def get_config():\n"
        "    config = digits_wgan_gp.get_config()\n"
        "    config.seed = 7\n"
        "    return config\n"
    )
    (tmp_path / "child.py").write_text(
        "from configs import mine\n"
        "def get_config():\n"
        "    config = mine.get_config()\n"
        "    config.training.n_critic = 2\n"
        "    return config\n"
    )
    before = {n for n in sys.modules if n.startswith("configs")}
    config = load_config(tmp_path / "child.py")
    assert (config.seed, config.training.n_critic, config.dataset.name) == (
        7,
        2,
        "digits",
    )
    assert {n for n in sys.modules if n.startswith("configs")} == before
    about = lineage(tmp_path / "child.py", config)
    assert about == {
        "overrides": [],
        "parent": {"name": "mine", "differences": ["training.n_critic: 5 -> 2"]},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", "line 1: invalid syntax"),
        ("x = 1\n", r"has no function get_config\(\)"),
        ("def get_config():\n    return {}\n", "must return an ml_collections.Config"),
        ("\nimport nothing_of_this_name\n", "line 2: ModuleNotFoundError: No module"),
        ("def get_config():\n    return 1 / 0\n", "line 2: ZeroDivisionError"),
    ],
)
def test_broken_file_error_names_the_line(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(path)


def test_config_json_of_a_run_is_read(tmp_path, digits):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"config": json.loads(digits.to_json())}))
    config = load_config(path)
    assert config.to_json() == digits.to_json()
    assert config.evaluation.measures == digits.evaluation.measures  # is a tuple again
    assert lineage(path, config) == {"overrides": [], "parent": None}
    path.write_text("[]")
    with pytest.raises(ConfigError, match=r"is not the config\.json of a run"):
        load_config(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(path)
    path.with_suffix(".txt").write_text("")
    with pytest.raises(ConfigError, match=r"config.json is not a \.py file; use --con"):
        load_config(find_config(f"{path}:2"))
    with pytest.raises(ConfigError, match=r"is not a \.py or \.json"):
        load_config(path.with_suffix(".txt"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("training.batch_size", "128", 128),
        ("training.ema_decay", "1e-3", 1e-3),
        ("dataset.flip", "true", True),
        ("dataset.flip", "False", False),
        ("dataset.resize", "16", 16),
        ("dataset.resize", "None", None),
        ("dataset.data_dir", "/some/where", "/some/where"),
        ("dataset.name", "7", "7"),
        ("evaluation.measures", "frechet,kernel", ("frechet", "kernel")),
        ("evaluation.measures", "('frechet',)", ("frechet",)),
        ("evaluation.measures", "frechet", ("frechet",)),
        # Fields without a type are parsed as Python literals if possible.
        ("critic.batch_norm", "True", True),
        ("training.boosted_first", "25", 25),
        ("conditional.critic_weight", "0.5", 0.5),
        ("samples.label", "None", None),
        ("evaluation.best_by", "None", None),
        ("evaluation.measures", "None", None),
        ("evaluation.held_out", "None", None),
        ("training.ema_decay", "None", None),
        ("optimizer.critic.clip_norm", "none", None),
        ("penalty.final_weight", "None", None),
    ],
)
def test_overrides_are_parsed_as_the_type_of_the_field(digits, name, text, value):
    apply_overrides(digits, [(name, text)])
    found = digits
    for part in name.split("."):
        found = found[part]
    assert found == value
    assert type(found) is type(value)


def test_all_mistakes_are_reported_at_once(tmp_path):
    path = find_config("digits_wgan_gp")
    wrong = {
        "training.batchsize=3": "not a known field; did you mean batch_size?",
        "training.batch_size=3.5": "is 3.5; it must be a whole number at least 1.",
        "dataset.flip=maybe": "is 'maybe'; it must be True or False.",
        "optimizer.critic.b1=high": "is 'high'; it must be a number in [0, 1).",
        "trainin.iterations=3": "not a known field; did you mean training?",
        "optimizer=adam": "is a group; set one of its fields",
        "seed.value=3": "is not a group",
        "generator.name.first=mlp": "is not a group",
    }
    with pytest.raises(ConfigError) as raised:
        load_experiment(path, [tuple(text.split("=")) for text in wrong])
    first, *lines = str(raised.value).splitlines()
    assert first == "8 mistakes in the config:"
    assert len(lines) == len(wrong)
    for text, part in wrong.items():
        name = text.split("=")[0]
        (line,) = [x for x in lines if part in x and x.split()[0][7:] in name]
        assert line.endswith((".", "..."))


def test_overrides_are_separated_from_other_arguments():
    arguments = ["--a=1", "--config.x.y=2=3", "--config.z", "4", "--config=f", "b"]
    assert split_overrides(arguments) == (
        [("x.y", "2=3"), ("z", "4")],
        ["--a=1", "--config=f", "b"],
    )
    for arguments in (["--config.z"], ["--config.z", "--b"]):
        with pytest.raises(ConfigError, match=r"--config\.z needs a value"):
            split_overrides(arguments)


def test_field_comments_include_those_of_parents():
    comments = field_comments(find_config("cifar10_gpu"))
    assert comments["training.n_critic"].startswith("critic updates per")
    assert comments["dataset.flip"] == "mirror real images with probability 1/2"


def test_every_shipped_config_loads():
    for name, path in shipped_configs().items():
        assert isinstance(load_config(path), ml_collections.ConfigDict), name


def test_none_removes_an_optional_group():
    config = load_config(find_config("digits_wgan_gp"))
    assert resolve(config).penalty is not None
    apply_overrides(
        config, [("penalty", "None"), ("critic.parametrization", "spectral")]
    )
    assert resolve(config).penalty is None


def test_another_row_keeps_the_options_that_it_has_and_those_that_are_set(digits):
    with digits.unlocked():
        digits.penalty.target = 2.0
    apply_overrides(digits, [("penalty.name", "r1"), ("penalty.wrong", "3")])
    found = digits.penalty.to_dict()
    assert found["name"] == "r1"
    assert found["weight"] == 10.0
    assert found["wrong"] == 3
    assert "target" not in found


def test_the_same_row_keeps_wrong_options(digits):
    with digits.unlocked():
        digits.critic.wrong = 3
    apply_overrides(digits, [("critic.name", digits.critic.name)])
    assert digits.critic.wrong == 3


def test_a_group_without_a_row_is_unchanged_by_its_name(digits):
    apply_overrides(digits, [("constraint.name", "clip_weights")])
    assert digits.constraint.to_dict() == {"name": "clip_weights"}
    assert (
        load_experiment(find_config("digits_wgan_gp"), [("critic.name", "mlp")])[
            0
        ].critic.name
        == "mlp"
    )
