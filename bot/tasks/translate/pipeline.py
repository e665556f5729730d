"""Translate texts, by one model or by two through English."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

from bot.errors import BadInput, JobCancelled
from bot.hub.model_filter import ModelFilter
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline, Result
from bot.tasks.translate.hops import Plan
from bot.tasks.translate.model_families import KINDS
from bot.tasks.translate.routes import ANY, Hop, Route, choose_route
from bot.tasks.translate.task import TranslateRequest, TranslateResult, TranslateSettings
from bot.tasks.translate.translator import Translator

log = logging.getLogger(__name__)


class TranslatePipeline(Pipeline):
    """Translate batches of texts into one language."""

    model_filter = ModelFilter(
        "translation models of text (MarianMTModel, FSMTForConditionalGeneration, M2M100ForConditionalGeneration, …)",
        KINDS.__contains__,
        pipeline_tag="translation",
    )

    def __init__(self, settings: TranslateSettings) -> None:
        self._settings = settings

    def preprocess(self, request: TranslateRequest, loaded: Loaded) -> Plan | None:
        """Return the sentences of a text; raise BadInput for one in a language without a model."""
        routes = request.routes
        if request.detect and routes[0].source == ANY:
            asked: Translator | None = loaded(request.model)
            if asked is None:
                return None
            routes = tuple(Route(code, request.model) for code in asked.sources) or routes
        route = choose_route(routes, request.text, request.to) if request.detect else routes[0]
        translator: Translator | None = loaded(route.model)
        return None if translator is None else Plan.of(request.text, route.hops(request.to), translator)

    def run(self, requests: Sequence[TranslateRequest], context: Context) -> Iterator[Answers]:
        """Yield a TranslateResult for each request, or BadInput for a text in a language without a model."""
        plans, errors = context.preprocessed(self._load)
        yield errors
        while plans:
            drafts: dict[int, tuple[Plan, str]] = {}
            for hop in dict.fromkeys(plan.hop for plan in plans.values()):
                chosen = {index: plan for index, plan in plans.items() if plan.hop == hop}
                yield from self._hop(requests, hop, chosen, drafts, context)
            plans, errors = self._onward(drafts, context)
            yield errors

    def _hop(
        self,
        requests: Sequence[TranslateRequest],
        hop: Hop,
        plans: Mapping[int, Plan],
        drafts: dict[int, tuple[Plan, str]],
        context: Context,
    ) -> Iterator[Answers]:
        """Take one hop with all texts. Yield those that have arrived; the others are added to `drafts`."""
        translator = context.load(hop.model, self._load)
        texts = {index: plan.sentences for index, plan in plans.items()}
        for done in translator.translate(texts, self._settings.max_padded, context.cancelled):
            answers: dict[int, Result | Exception] = {}
            for index, text in done.items():
                plan = plans[index].after(translator.shown)
                if isinstance(text, JobCancelled):
                    answers[index] = text
                elif plan.arrived:
                    answers[index] = _result(requests[index], plan, text)
                else:
                    drafts[index] = plan, text
            yield answers

    def _onward(
        self, drafts: Mapping[int, tuple[Plan, str]], context: Context
    ) -> tuple[dict[int, Plan], dict[int, Result | Exception]]:
        """Return what is to be translated on, and the errors of texts whose next model doesn't know the language."""
        models = dict.fromkeys(plan.hop.model for plan, _ in drafts.values())
        translators: dict[str, Translator] = {model: context.load(model, self._load) for model in models}
        plans: dict[int, Plan] = {}
        errors: dict[int, Result | Exception] = {}
        for index, (plan, text) in drafts.items():
            try:
                plans[index] = plan.with_text(text, translators[plan.hop.model])
            except BadInput as error:
                errors[index] = error
        return plans, errors

    def _load(self, files: ModelFiles, device: Device) -> Translator:
        """Load a model, and tell the host about languages that it was configured for and doesn't know."""
        translator = Translator(files, device, self._settings.prefixes(files.reference))
        if wrong := self._settings.unknown_ways(files.reference, translator.steering):
            log.warning("%s %s: take it out of [[translate.pairs]]", files.reference.text, wrong)
        return translator


def _result(request: TranslateRequest, plan: Plan, text: str) -> TranslateResult:
    """Return what came out of a plan's last hop."""
    return TranslateResult(
        model=" → ".join(plan.models),
        text=text,
        source=plan.hops[0].source,
        to=plan.hops[-1].to,
        detected=request.detect,
        through=plan.hops[0].to if len(plan.hops) > 1 else None,
    )
