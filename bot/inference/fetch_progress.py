"""Hear how far a download from the Hub is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OnBytes = Callable[[float], None]
"""Hears how many bytes were written in all."""
_BYTES = "huggingface_hub.snapshot_download"
"""What huggingface_hub calls the bar of the bytes written to disk; it has others too."""


def progress_bar(on_bytes: OnBytes) -> type[Any]:
    """Return a tqdm class for huggingface_hub that draws nothing and reports the bytes."""
    from huggingface_hub.utils.tqdm import tqdm

    class Silent(tqdm):
        """Report the bytes instead of drawing."""

        def __init__(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
            self._counts, self._bytes = name == _BYTES, 0.0
            super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            self._bytes += n or 0
            if self._counts:
                on_bytes(self._bytes)
            shown: bool | None = super().update(n)
            return shown

    return Silent


class _Nowhere:
    """Swallow what tqdm writes."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass
