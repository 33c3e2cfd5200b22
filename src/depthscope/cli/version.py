"""`depthscope version`."""

from __future__ import annotations

from depthscope.cli.common import Debug, Json, print_json


def versions() -> dict[str, str]:
    """Versions that matter in a bug report: ours, Python's, the kernels' compiler's, the platform."""
    import platform
    from importlib.metadata import version as of

    found = {"depthscope": of("depthscope"), "python": platform.python_version()}
    found |= {name: of(name) for name in ("numpy", "numba", "llvmlite", "pyarrow", "databento-dbn")}
    return found | {"platform": platform.platform()}


def version(json: Json = False, debug: Debug = False) -> None:
    r"""Say which versions run here.

    \b
    Example:
      depthscope version --json
    """
    found = versions()
    if json:
        print_json(found)
        return
    for name, value in found.items():
        print(f"{name:14} {value}")  # noqa: T201
