"""Write sizes for people."""

from __future__ import annotations


def format_size(size_bytes: int) -> str:
    """Return a size in MB or GB; nothing for an unknown one."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.1f} GB"
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes else ""
