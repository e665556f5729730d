"""Define what every task's table of the configuration has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.errors import BadInput, join_names
from bot.hub.reference import HOW_TO_WRITE, parse_reference


def _checked(text: str) -> str:
    try:
        parse_reference(text)
    except BadInput:
        raise ValueError(f"a model reference is {HOW_TO_WRITE}") from None
    return text


Reference = Annotated[str, AfterValidator(_checked)]
References = Annotated[tuple[Reference, ...], Field(min_length=1)]
AnyReferences = tuple[Reference, ...]
"""Without any, a task's command isn't there."""


class Frozen(BaseModel):
    """Be a table of the configuration: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class TaskSettings(Frozen):
    """Set up one task. `max_rows` bounds the rows (texts, pictures) of a batch."""

    max_rows: int = Field(default=16, ge=1, le=1024)

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for, the default first."""
        raise NotImplementedError

    @property
    def default_references(self) -> tuple[str, ...]:
        """Return the references that are used unless somebody asks for others."""
        return self.references[:1]

    @property
    def adapters(self) -> Mapping[str, str]:
        """Return by name the references of what can be put on a model (LoRA)."""
        return {}

    def models_of_adapters(self) -> dict[str, list[str]]:
        """Return by name the references of the models that each adapter is offered for. Files are read."""
        return {}

    @property
    def needs(self) -> Mapping[str, str]:
        """Return the other tasks whose models and settings this one uses, by the key that asks for them."""
        return {}

    def check(self, request: Any) -> None:
        """Raise BadInput when the host's limits don't allow this request. It is asked before the job is queued."""


class ModelSettings(TaskSettings):
    """Set up a task whose models all do the same; the first is the default."""

    models: AnyReferences

    @property
    def references(self) -> tuple[str, ...]:
        """Return every model reference that may be asked for, the default first."""
        return self.models

    def choose(self, name: str | None) -> str:
        """Return the reference that a person means by `name`; without one, the default. Raise BadInput."""
        if not self.references:
            raise BadInput("No model is configured for this. Name one by --model, or in the configuration.")
        if name is None:
            return self.references[0]
        for reference in self.references:
            if name in (reference, parse_reference(reference).short_name):
                return reference
        known = join_names(parse_reference(r).short_name for r in self.references)
        raise BadInput("There is no model “{name}” here. Choose one of: {known}.", name=name[:100], known=known)
