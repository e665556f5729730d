"""Hear how far a download from the Hub is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def progress_bar(on_fetch: Callable[[float], None]) -> type[Any]:
    """Return a tqdm class for huggingface_hub that draws nothing and reports the share that is fetched."""
    from tqdm import tqdm

    class Silent(tqdm):  # type: ignore[misc]
        """Report the share of files or bytes instead of drawing."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = False
            super().__init__(*args, **{**kwargs, "file": _Nowhere()})

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            if self.total:
                on_fetch(min(1.0, self.n / self.total))
            return shown

    return Silent


class _Nowhere:
    """Swallow what tqdm writes."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
