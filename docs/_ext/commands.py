"""Reference of the command line, generated from the help texts of the program.

``directives.py`` puts it into the pages.
"""

from api import flags_as_code

from wgan_jax.program.help import FLAGS, MODES, OTHERS, SWITCHES

_WITHOUT_FOLDER = ("plan",)  # modes that refuse --workdir


def modes_as_rst() -> str:
    """Returns the description of all modes as reStructuredText."""
    lines: list[str] = []
    for name, about in (MODES | OTHERS).items():
        lines += ["", name, "-" * len(name), "", flags_as_code(about.summary), ""]
        lines += [".. code-block:: bash", ""]
        example = about.example.replace("\n  ... ", "\nwgan-jax ")
        example = example.replace("\n      ", " \\\n    ")
        call = example if name in MODES else f"{name} {example}"
        lines += [f"   {line}" for line in f"wgan-jax {call}".splitlines()]
        if name in MODES:
            common = ("config",) if name in _WITHOUT_FOLDER else ("config", "workdir")
            flags = ", ".join(f"``--{flag}``" for flag in (*common, *about.options))
            lines += ["", f"Flags: {flags}."]
    return "\n".join(lines)


def flags_as_rst() -> str:
    """Returns the description of all flags as reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 20 50 30", ""]
    lines += ["   * - flag", "     - meaning, with its default in brackets"]
    lines += ["     - modes"]
    for name, text in FLAGS.items():
        readers = [mode for mode, about in MODES.items() if name in about.options]
        lines += [f"   * - ``--{name}``", f"     - {flags_as_code(text)}"]
        if name in SWITCHES:
            readers = []
        if name == "workdir":
            readers = [mode for mode in MODES if mode not in _WITHOUT_FOLDER]
        lines += [f"     - {', '.join(readers) or 'all'}"]
    return "\n".join([*lines, ""])
