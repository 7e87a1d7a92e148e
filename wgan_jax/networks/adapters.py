"""Networks that are not Flax linen modules: NNX modules, and pairs of functions.

Each adapter has the two methods of a linen module that training uses, ``init`` and
``apply``. Its collections are those of linen: ``params``, ``batch_stats`` and others.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from wgan_jax.modules import Network, check_network, takes
from wgan_jax.types import Array, PRNGKey, PyTree

_COLLECTIONS = ((nnx.Param, "params"), (nnx.BatchStat, "batch_stats"))
_OTHERS = "state"  # collection of all other variables


class NNXNetwork:
    """A Flax NNX module as a generator or critic.

    Attributes:
        title: name of the module's class.
        joint_pass: as in the module; see ``modules.uses_joint_pass``.
    """

    def __init__(self, module: nnx.Module | Callable[..., nnx.Module]) -> None:
        """Reads the structure of the module, without computing its weights.

        In training, ``use_running_average`` and ``update_stats`` of its layers
        are set for each pass, and dropout is active in passes with a PRNG key,
        whatever the module was constructed with. Its random state is derived
        from that key, and is not part of the training state.

        Args:
            module: a function of ``rngs`` that constructs the module, such as a
                class with its other arguments bound by ``functools.partial``.
                The weights then depend on the key of the run. Or a module,
                whose own weights are the initial ones.

        Raises:
            ValueError: if it is neither.
        """
        self._constructor: Callable[..., nnx.Module] | None = None
        if isinstance(module, nnx.Module):
            example: Any = module
        elif callable(module):
            self._constructor = module
            example = nnx.eval_shape(lambda: module(rngs=nnx.Rngs(0)))
        else:
            example = module
        if not isinstance(example, nnx.Module):
            raise ValueError(
                f"from_nnx: {module!r} is not an NNX module; it must be one, or a "
                "function of rngs that returns one."
            )
        self.title = type(example).__name__
        self.joint_pass = bool(getattr(example, "joint_pass", False))
        self._call = inspect.signature(type(example).__call__)
        self._graph, state = nnx.split(example)
        self._variables = list(nnx.to_flat_state(state))
        self._initial = None if self._constructor else self._collected(example)

    def accepts(self, argument: str) -> bool:
        """Returns whether the network takes an argument; all of them take ``train``."""
        return argument == "train" or takes(self._call, argument)

    def init(self, key: PRNGKey, *inputs: Array, train: bool) -> PyTree:
        """Returns the initial variables."""
        del inputs, train  # NNX modules know their shapes
        if self._constructor is None:
            return self._initial
        return self._collected(self._constructor(rngs=nnx.Rngs(_own(key))))

    def apply(
        self,
        variables: PyTree,
        *inputs: Array,
        train: bool,
        rngs: Mapping[str, PRNGKey] | None,
        mutable: Any,
    ) -> tuple[Array, PyTree]:
        """Returns the output and the updated collections, with ``intermediates``."""
        key = (rngs or {}).get("dropout")
        module = nnx.view(
            self._module(variables, key),
            use_running_average=not train,
            update_stats=train,
            deterministic=key is None,
            raise_if_not_found=False,
        )
        options = {"train": train} if takes(self._call, "train") else {}
        output, sown = nnx.capture(module, nnx.Intermediate)(*inputs, **options)
        updated = self._collected(module)
        kept = {name: updated[name] for name in mutable if name in updated}
        return output, kept | {"intermediates": nnx.to_pure_dict(sown)}

    def _module(self, variables: PyTree, key: PRNGKey | None) -> Any:
        """Returns the module with given variables and a random state from a key."""
        flat, streams = [], 0
        for path, variable in self._variables:
            if isinstance(variable, nnx.RngKey):
                # Without a key, nothing random is used.
                own = jax.random.key(0) if key is None else key
                own = jax.random.fold_in(own, streams)
                value = (
                    own if not variable.shape else jax.random.split(own, variable.shape)
                )
                streams += 1
            elif isinstance(variable, nnx.RngCount):
                value = jnp.zeros(variable.shape, variable.dtype)
            else:
                value = variables[_collection(variable)]
                for name in _names(path):
                    value = value[name]
            flat.append((path, variable.replace(value)))
        return nnx.merge(self._graph, nnx.from_flat_state(flat))

    def _collected(self, module: nnx.Module) -> dict[str, Any]:
        """Returns the variables of a module by collection, as nested dicts."""
        found: dict[str, Any] = {}
        for path, variable in nnx.to_flat_state(nnx.state(module)):
            if isinstance(variable, (nnx.RngState, nnx.Intermediate)):
                continue
            place = found.setdefault(_collection(variable), {})
            *outer, last = _names(path)
            for name in outer:
                place = place.setdefault(name, {})
            place[last] = variable.get_value()
        return found


class FunctionNetwork:
    """Two pure functions as a generator or critic.

    Attributes:
        title: name of the second function.
    """

    joint_pass = False

    def __init__(
        self, init: Callable[[PRNGKey], PyTree], apply: Callable[..., Any]
    ) -> None:
        """Stores the functions.

        Args:
            init: ``init(key)`` returns the variables: either any tree of
                parameters, or a dict of collections, one of which is named
                ``params``.
            apply: ``apply(variables, x, train=...)`` returns the output. It can
                also have a parameter ``labels`` (after ``x``), and a parameter
                ``key`` for a PRNG key, or None in passes without randomness. If
                there are other collections, it returns the output and a dict of
                those that changed. That dict may have ``intermediates``, a dict
                with ``features`` or ``class_logits``.

        Raises:
            ValueError: if ``apply`` has no parameter ``train``.
        """
        self._init, self._apply = init, apply
        self.title = getattr(apply, "__name__", type(apply).__name__)
        self._call = inspect.signature(apply)
        if not takes(self._call, "train"):
            raise ValueError(
                f"from_functions: {self.title} has no parameter 'train'; it must be "
                "callable as apply(variables, x, train=...)."
            )
        found = jax.eval_shape(init, jax.eval_shape(lambda: jax.random.key(0)))
        self._has_collections = isinstance(found, Mapping) and "params" in found

    def accepts(self, argument: str) -> bool:
        """Returns whether the network takes an argument."""
        return takes(self._call, argument)

    def init(self, key: PRNGKey, *inputs: Array, train: bool) -> PyTree:
        """Returns the initial variables."""
        del inputs, train
        found = self._init(_own(key))
        return dict(found) if self._has_collections else {"params": found}

    def apply(
        self,
        variables: PyTree,
        *inputs: Array,
        train: bool,
        rngs: Mapping[str, PRNGKey] | None,
        mutable: Any,
    ) -> tuple[Array, PyTree]:
        """Returns the output and the updated collections, with ``intermediates``."""
        options: dict[str, Any] = {"train": train}
        if takes(self._call, "key"):
            options["key"] = (rngs or {}).get("dropout")
        given = variables if self._has_collections else variables["params"]
        output = self._apply(given, *inputs, **options)
        changed: dict[str, Any] = {}
        if isinstance(output, tuple):
            output, changed = output
        sown = {k: (v,) for k, v in changed.get("intermediates", {}).items()}
        kept = {k: changed.get(k, variables[k]) for k in mutable if k in variables}
        return output, kept | {"intermediates": sown}


def _own(key: PRNGKey) -> PRNGKey:
    """Returns a key for initialization that no update has.

    Updates fold their counters into the key, and networks may fold the numbers of
    their parameters into it. Linen folds the names of the parameters instead.
    """
    return jax.random.fold_in(key, 2**32 - 1)


def from_nnx(module: nnx.Module | Callable[..., nnx.Module]) -> NNXNetwork:
    """Returns an NNX module as a generator or critic of a ``Gan``.

    Args:
        module: a function of ``rngs`` that constructs the module, or a module.
            See ``NNXNetwork``.

    Raises:
        ValueError: if it is neither.
    """
    return NNXNetwork(module)


def from_functions(
    init: Callable[[PRNGKey], PyTree], apply: Callable[..., Any]
) -> FunctionNetwork:
    """Returns two pure functions as a generator or critic of a ``Gan``.

    Args:
        init: function from a PRNG key to the variables.
        apply: function ``apply(variables, x, train=...)``. See
            ``FunctionNetwork``.

    Raises:
        ValueError: if ``apply`` has no parameter ``train``.
    """
    return FunctionNetwork(init, apply)


def own_network(entry: Callable[..., Any], name: str) -> Callable[..., Network]:
    """Returns a function of options that makes a network.

    Args:
        entry: class of NNX modules, or function that returns a network. Its
            parameters, apart from ``rngs``, are the options.
        name: name of the entry, for messages.
    """
    is_nnx = isinstance(entry, type) and issubclass(entry, nnx.Module)
    # The class of NNX modules hides the parameters of their constructors.
    function = functools.partial(entry.__init__, None) if is_nnx else entry  # type: ignore[call-arg]
    parameters = inspect.signature(function).parameters

    def make(**options: Any) -> Network:
        if is_nnx:
            return NNXNetwork(functools.partial(entry, **options))
        made: Network = entry(**options)
        check_network(made, name)
        return made

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in parameters.values()
        if parameter.name != "rngs" and _is_plain(parameter.default)
    ]
    make.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]
    return make


def _is_plain(default: Any) -> bool:
    """Returns whether an option can be in a config: a number, a text, or required."""
    plain = (bool, int, float, str, tuple, type(None))
    return default is inspect.Parameter.empty or isinstance(default, plain)


def _names(path: Iterable[Any]) -> list[str]:
    """Returns the keys of a variable; those of spectral normalization are tuples."""
    parts = [part if isinstance(part, tuple) else (part,) for part in path]
    return [str(key) for part in parts for key in part]


def _collection(variable: Any) -> str:
    for kind, name in _COLLECTIONS:
        if isinstance(variable, kind):
            return name
    return _OTHERS
