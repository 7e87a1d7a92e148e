"""Objects that users name as ``module:object`` in a config."""

import importlib
import sys
from typing import Any


def import_object(name: str) -> Any:
    """Returns the object with a name.

    Args:
        name: ``module:object``. The module is found as by ``import``, and in the
            current folder.

    Raises:
        ValueError: if there is no such module or object.
    """
    module_name, _, object_name = name.partition(":")
    sys.path.insert(0, "")
    try:
        return getattr(importlib.import_module(module_name), object_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{name!r} cannot be imported ({error}); it must be module:object, in the "
            "current folder or on Python's path."
        ) from error
    finally:
        sys.path.remove("")
