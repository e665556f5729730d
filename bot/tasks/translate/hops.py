"""Keep in mind how far a text has come on its route."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bot.tasks.translate.routes import Hop
from bot.tasks.translate.translator import Sentences, Translator


@dataclass(frozen=True, slots=True)
class Plan:
    """Hold the `hops` of a text, its sentences for the next one, and the names of the `models` behind it."""

    hops: tuple[Hop, ...]
    sentences: Sentences
    models: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str, hops: tuple[Hop, ...], translator: Translator) -> Plan:
        """Return the plan of a text that hasn't set out; raise BadInput when the model doesn't know a language."""
        hop = translator.known(hops[0])
        return cls((hop, *hops[1:]), translator.sentences(text, hop.source, hop.to))

    @property
    def hop(self) -> Hop:
        """Return the next hop."""
        return self.hops[len(self.models)]

    @property
    def arrived(self) -> bool:
        """Say whether there is no next hop."""
        return len(self.models) == len(self.hops)

    def after(self, model: str) -> Plan:
        """Return the plan with the next hop behind it."""
        return replace(self, models=(*self.models, model))

    def with_text(self, text: str, translator: Translator) -> Plan:
        """Return the plan to go on with `text`; raise BadInput when the model doesn't know a language."""
        hop = translator.known(self.hop)
        hops = (*self.hops[: len(self.models)], hop)
        return replace(self, hops=hops, sentences=translator.sentences(text, hop.source, hop.to))
