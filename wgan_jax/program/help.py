"""Modes, flags and configs of the command line, and their help texts."""

import ast
from pathlib import Path
from typing import NamedTuple

import wgan_jax
from wgan_jax.config.loading import (
    field_comments,
    find_config,
    load_config,
    shipped_configs,
)
from wgan_jax.io.mappings import flatten

# Flags that are paths, or can be.
PATHS = (
    "config",
    "workdir",
    "fork",
    "init",
    "pretrained",
    "latents",
    "project",
    "card",
    "page",
    "images",
    "output",
)
# Flags without a value that every mode reads.
SWITCHES = ("quiet", "verbose")
# Flags of what the mode sample draws.
DRAWING = (
    "format",
    "labels",
    "truncation",
    "latents",
    "interpolate",
    "walk",
    "project",
)
FOLDER = Path("runs")  # parent of the default --workdir


class Mode(NamedTuple):
    """Description of a mode, for the help texts.

    Attributes:
        summary: description in one line.
        example: arguments of an example command.
        options: names of the flags that the mode reads, in addition to
            ``--config`` and ``--workdir``.
    """

    summary: str
    example: str
    options: tuple[str, ...] = ()


MODES = {
    "train": Mode(
        "Trains a GAN, or resumes the run in --workdir.",
        "train --config=digits_wgan_gp --config.training.iterations=500",
        (
            "distributed",
            "profile",
            "fork",
            "init",
            "checkpoint",
            "weights",
            "debug-nans",
        ),
    ),
    "sample": Mode(
        "Draws samples from a checkpoint: pictures, an array, interpolations, a film.",
        "sample --workdir=runs/digits_wgan_gp --config.samples.count=16",
        (
            "checkpoint",
            "weights",
            "pretrained",
            "output",
            *DRAWING,
        ),
    ),
    "evaluate": Mode(
        "Evaluates samples from a checkpoint or a file against a dataset.",
        "evaluate --workdir=runs/digits_wgan_gp --checkpoint=best",
        ("checkpoint", "images", "output"),
    ),
    "export": Mode(
        "Writes a trained generator as StableHLO, ONNX, PyTorch and safetensors.",
        "export --workdir=runs/digits_wgan_gp",
        (
            "checkpoint",
            "weights",
            "pretrained",
            "formats",
            "dtype",
            "card",
            "output",
            "page",
        ),
    ),
    "report": Mode(
        "Writes an HTML report of one or several runs.",
        "report --workdir=runs/digits_wgan_gp --workdir=runs/digits_wgan",
        ("output",),
    ),
    "plan": Mode(
        "Compiles the training step for unavailable devices and reports its costs.",
        "plan --config=cifar10_wgan --topology=v5e:2x4",
        ("output", "topology"),
    ),
}
OTHERS = {
    "configs": Mode("Lists the shipped configs, or the fields of one.", "[NAME]"),
    "data": Mode(
        "Says what is in a folder or an archive of pictures, or converts large sets.",
        "inspect PATH [--output=SHEET.png]\n"
        "  ... data convert PATH FOLDER --size=N [--unreadable=skip]\n"
        "  ... data convert tfds:NAME FOLDER [--size=N] [--data-dir=DIR]\n"
        "  ... data convert FILE.npz FOLDER [--size=N] [--low=X] [--high=X]\n"
        "      all: [--channels=1] [--crop=none] [--filter=NAME] [--background=COLOR]",
    ),
}
FLAGS = {
    "config": "name of a shipped config, .py file, or config.json of a run; "
    "FILE.py:ARG calls get_config(ARG)",
    "config.FIELD": "override of a config field, such as --config.training.n_critic=3",
    "workdir": f"folder of the run [{FOLDER}/NAME]; can be repeated for report",
    "checkpoint": "checkpoint to read: latest, best or an iteration [latest]",
    "pretrained": "trained generator of the package, or folder of an export",
    "fork": "folder of a run that a new run goes on from, with changed settings",
    "init": "run, trained generator or file whose weights a new run starts from",
    "weights": "weights of the generator: ema or live [ema, if the run has one]",
    "format": "files of samples: grid, npz, png, webp [grid,npz]",
    "labels": "classes of the samples in turn, such as 0,1,2",
    "truncation": "bound of the latents, such as 1.0: more typical, less varied",
    "latents": ".npy or .npz file of latents [n, Z]",
    "interpolate": "ROWSxCOLUMNS of samples between pairs of latents, such as 8x10",
    "walk": "film along config.samples.count latents: gif, webp or mp4",
    "project": "picture, or folder of pictures, whose latents are searched for",
    "formats": "formats to write: stablehlo,onnx,pytorch [all]",
    "dtype": "images of StableHLO programs: float32 in [-1, 1], or uint8 [float32]",
    "card": "JSON file with title, description, license, intended_use, limits",
    "page": "also write a page for browsers; the npm package onnxruntime-web [./]",
    "images": "an .npz file to evaluate instead of samples from a run",
    "output": "folder of samples or of an export, page of a report, plan as JSON, "
    "record of --images",
    "topology": "devices to plan for, such as v5e:2x4 or h100:8",
    "distributed": "multi-process run: auto, off or COORDINATOR,N,I [off]",
    "profile": "number of iterations to trace into profile/ of the run",
    "debug-nans": "repeat the last iterations, and name what is not finite; no value",
    "quiet": "print only warnings, errors and the paths of what is written; no value",
    "verbose": "also print what other libraries log, and compile times; no value",
}


def help_text(program: str, mode: str | None) -> str:
    """Returns the help text of one mode or of all modes.

    Args:
        program: name of the program on the command line.
        mode: name of a mode or another command, or None for all of them.
    """
    if mode in OTHERS:
        return f"{OTHERS[mode].summary}\n\n  {program} {mode} {OTHERS[mode].example}"
    shown = MODES if mode is None else {mode: MODES[mode]}
    lines = [wgan_jax.__doc__.splitlines()[0]] if mode is None else []
    for name, about in shown.items():
        lines += ["", f"{name}: {about.summary}", f"  {program} {about.example}"]
    if mode is None:
        for name, about in OTHERS.items():
            lines += [
                "",
                f"{name}: {about.summary}",
                f"  {program} {name} {about.example}",
            ]
    read = {"config", "config.FIELD", "workdir", *SWITCHES}
    for about in shown.values():
        read |= set(about.options)
    lines += ["", "Options:"]
    lines += [f"  --{name:14} {text}" for name, text in FLAGS.items() if name in read]
    if mode is None:
        lines += ["", "Configs:", *listed_configs()]
    return "\n".join(lines).strip()


def listed_configs() -> list[str]:
    """Returns one line for each shipped config."""
    lines = []
    for name, path in shipped_configs().items():
        lines.append(f"  {name:28} {_header(path)[0]}")
    return lines


def listed_fields(name: str) -> list[str]:
    """Returns the header of a config, and a line for each field with its comment."""
    file = find_config(name)
    is_json = file.path.suffix == ".json"
    comments = {} if is_json else field_comments(file)
    header = [] if is_json else _header(file.path)
    lines = [f"# {line}".rstrip() for line in header]
    for field, value in flatten(load_config(file)):
        comment = comments.get(field, "")
        line = f"--config.{field}={value}"
        lines.append(f"{line:56} {comment}".rstrip())
    return lines


def _header(path: Path) -> list[str]:
    """Returns the lines of the docstring of a Python config file."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    return text.splitlines() if text else []
