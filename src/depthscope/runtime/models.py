"""Model files, and the weights that are shipped."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from depthscope.errors import InputError
from depthscope.signals.model import Model

__all__ = ["HORIZONS", "default_model", "load_model", "model_named"]

HORIZONS: Final = ("1s", "10s", "60s")
"""Of the shipped weights."""


def load_model(path: str | Path) -> Model:
    """Read a model file, as `fit` writes it.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    InputError
        When it cannot be read or is no model.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"The model {str(path)!r} cannot be read: {error.strerror or error}. Name a file that "
            f"`depthscope fit` wrote, or shipped weights by their horizon: {', '.join(HORIZONS)}."
        ) from error
    except ValueError as error:
        raise InputError(
            f"{path} is no model file: it is not JSON. Name a file that `depthscope fit` wrote."
        ) from error
    return Model.from_dict(data, str(path))


def model_named(model: Model | str | Path | None) -> Model:
    """A model as a user names it: itself, a file, the horizon of shipped weights, or None for ``10s``."""
    if isinstance(model, Model):
        return model
    if model is None or (isinstance(model, str) and model in HORIZONS):
        return default_model(model or "10s")
    if not isinstance(model, str | Path):
        raise InputError(
            f"A model is a Model, the name of a file, or one of {', '.join(HORIZONS)} (shipped weights), not "
            f"{type(model).__name__}. What `fit` returns has its model in `.model`."
        )
    return load_model(model)


@cache
def default_model(horizon: str = "10s") -> Model:
    """Shipped weights for a horizon of ``1s``, ``10s`` or ``60s``; never calibrated, for any instrument.

    Parameters
    ----------
    horizon : str

    Raises
    ------
    InputError
        When none is shipped for that horizon.
    """
    if horizon not in HORIZONS:
        raise InputError(
            f"No weights are shipped for a horizon of {horizon}, only for {', '.join(HORIZONS)}. "
            "Fit your own: depthscope fit FILE --horizon …"
        )
    file = resources.files("depthscope.runtime") / "weights" / f"{horizon}.json"
    return Model.from_dict(json.loads(file.read_text(encoding="utf-8")), f"weights/{horizon}.json")
