"""Search the Hub for models that a task may be able to use."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import UserError
from bot.hub.access import without_token
from bot.hub.client import as_not_a_hub, hub_api
from bot.hub.model_filter import ModelFilter


@dataclass(frozen=True, slots=True)
class Found:
    """Tell what the Hub's list shows of a model."""

    reference: str
    downloads: int | None
    licence: str
    gated: bool


def search(query: str, model_filter: ModelFilter, *, limit: int) -> list[Found]:
    """Return models with weights in safetensors form, the most downloaded first; raise UserError."""
    import httpx2

    try:
        with as_not_a_hub():
            models = hub_api().list_models(
                search=query,
                pipeline_tag=model_filter.pipeline_tag,
                filter="safetensors",
                sort="downloads",
                limit=limit,
                expand=["downloads", "gated", "tags"],
            )
            return [Found(f"hf:{m.id}", m.downloads, _licence(m.tags or []), bool(m.gated)) for m in models]
    except (httpx2.HTTPError, OSError, ValueError, ImportError) as error:
        raise UserError("The Hub can't be searched: {why}", why=without_token(str(error))) from error


def _licence(tags: list[str]) -> str:
    return next((tag.partition(":")[2] for tag in tags if tag.startswith("license:")), "")
