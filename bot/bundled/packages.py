"""Find the pip packages that carry the big weights, without importing them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from bot.errors import ModelUnavailable


class PackageMissing(ModelUnavailable):
    """The pip package with a model's weights isn't installed."""


def package_folder(module: str) -> Path:
    """Return the folder of an installed package; raise PackageMissing without it."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise PackageMissing(
            'The pip package "{package}" is missing. Run `make venv`, or `pip install --no-deps {package}`; not every '
            "kind of machine has it.",
            package=module.replace("_", "-"),
        )
    return Path(spec.origin).parent


def package_version(module: str) -> str:
    """Return the installed version of a package, or an empty string if it isn't installed."""
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return ""
