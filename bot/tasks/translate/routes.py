"""Find the models that lead from one language to another: one that does it, or two through English."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from bot.errors import BadInput
from bot.i18n.texts import gettext as _
from bot.tasks.settings import Frozen, Reference
from bot.tasks.translate.languages import detect_language, language_code, language_name, varieties

ANY = ""
"""The source of a route whose model's language isn't known."""

PIVOT = "en"
"""The only language that texts go through, since most models lead from it or to it."""

_MOST_NAMED, _MOST_WAYS = 4, 15


@dataclass(frozen=True, slots=True)
class Hop:
    """Say that `model` translates from the language `source` into `to`."""

    source: str
    to: str
    model: str


@dataclass(frozen=True, slots=True)
class Route:
    """Say that `model` translates from the language `source`, or from ANY.

    With `then` it does so into English only, and the model `then` goes on from there.
    """

    source: str
    model: str
    then: str | None = None

    def hops(self, to: str) -> tuple[Hop, ...]:
        """Return the one or two translations that lead to the language `to`."""
        if self.then is None:
            return (Hop(self.source, to, self.model),)
        return Hop(self.source, PIVOT, self.model), Hop(PIVOT, to, self.then)


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _most_exact(code: str) -> str:
    return varieties(code)[0]


Code = Annotated[str, Field(pattern="^[a-z]{2,3}([_-][A-Za-z0-9]{2,4}){0,2}$"), AfterValidator(_most_exact)]
Codes = Annotated[tuple[Code, ...], Field(min_length=1), BeforeValidator(_listed)]


def _says_one_language(prefix: str, found: ValidationInfo) -> str:
    if not prefix.strip():
        raise ValueError("it is empty; leave it out for a model that needs none")
    if len(found.data.get("targets", ())) > 1:
        raise ValueError("it says which language to translate into, so `to` names one only; write an entry for each")
    return prefix


class Pair(Frozen):
    """Name the model that translates `from` one language, or each of several, `to` one or each of several others.

    `prefix` is what a T5 model reads before each text, where its own configuration doesn't say so.
    """

    sources: Codes = Field(alias="from")
    targets: Codes = Field(alias="to")
    model: Reference
    prefix: Annotated[str, AfterValidator(_says_one_language)] = ""

    @property
    def ways(self) -> Iterator[tuple[str, str]]:
        """Yield every (source, target)."""
        yield from ((source, to) for source in self.sources for to in self.targets if source != to)


def find_routes(pairs: Sequence[Pair], source: str | None, to: str) -> tuple[Route, ...]:
    """Return the routes into `to` from `source`, or from every language that has one: those of one model first."""
    direct = _models(pairs, to)
    routes = [Route(code, model) for code, model in direct.items()]
    if then := direct.get(PIVOT):
        into = _models(pairs, PIVOT)
        routes += [Route(code, model, then) for code, model in into.items() if code != to and code not in direct]
    return tuple(route for route in routes if source in (None, route.source))


def _models(pairs: Iterable[Pair], to: str) -> dict[str, str]:
    """Return the first model that translates into `to`, by the language that it translates from."""
    found: dict[str, str] = {}
    for pair in pairs:
        for source in pair.sources if to in pair.targets else ():
            found.setdefault(source, pair.model)
    found.pop(to, None)
    return found


def choose_route(routes: Sequence[Route], text: str, to: str) -> Route:
    """Return the route from the language that a text is in; raise BadInput when there is none."""
    sources = {route.source: route for route in routes}
    for route in routes:  # the detector tells neither script nor region
        sources.setdefault(language_code(route.source), route)
    found = detect_language(text, () if ANY in sources else [*sources, to])
    if found.code == to:
        raise BadInput(
            "This looks like {to} already. If it isn't, say what it is with “from” of /translate.", to=language_name(to)
        )
    if ANY in sources:
        return Route(found.code, sources[ANY].model)
    if found.code not in sources:
        raise BadInput(
            "This looks like {found}, which I can't translate into {to} here. "
            "If it is another language, say so with “from” of /translate.",
            found=language_name(found.code),
            to=language_name(to),
        )
    return sources[found.code]


def no_route(pairs: Sequence[Pair], source: str | None, to: str) -> BadInput:
    """Return what to tell who asks for a translation that no models lead to."""
    ways = [f"{_names(pair.sources)} → {_names(pair.targets)}" for pair in pairs]
    shown = ", ".join(ways[:_MOST_WAYS]) + (", …" if len(ways) > _MOST_WAYS else "")
    if source is None:
        return BadInput("I can't translate into {to} here. I know: {ways}.", to=language_name(to), ways=shown)
    return BadInput(
        "I can't translate from {source} into {to} here. I know: {ways}.",
        source=language_name(source),
        to=language_name(to),
        ways=shown,
    )


def _names(codes: Sequence[str]) -> str:
    if len(codes) > _MOST_NAMED:
        return _("{n} languages", n=len(codes))
    return _(" or ").join(map(language_name, codes))
