"""Find the sentiment of a text with any `*ForSequenceClassification` model."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bot.cpu import unpadded
from bot.cpu.choice import Probe, fit
from bot.cpu.examples import SENTENCES
from bot.cpu.group_by_length import group_by_length, passes_by_length
from bot.hub.model_filter import ModelFilter
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline
from bot.tasks.sentiment.task import MAX_CHARS, SentimentRequest, SentimentResult, SentimentSettings
from bot.tasks.tokenizer import load_tokenizer

_DEFAULT_MAX_TOKENS = 512
_ACCEPTS = ModelFilter(
    "text classification models (…ForSequenceClassification)",
    re.compile(r"\w+ForSequenceClassification").fullmatch,
    pipeline_tag="text-classification",
)
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "xlm-roberta-xl"}


class SentimentPipeline(Pipeline):
    """Classify batches of texts."""

    model_filter = _ACCEPTS

    def __init__(self, settings: SentimentSettings) -> None:
        self._settings = settings

    def preprocess(self, request: SentimentRequest, loaded: Loaded) -> _Tokens | None:
        """Return the tokens of a text."""
        model: _TextClassifier | None = loaded(request.model)
        return None if model is None else model.tokens(request.text)

    def run(self, requests: Sequence[SentimentRequest], context: Context) -> Iterator[Answers]:
        """Yield a SentimentResult for each request, those of short texts first."""
        model: _TextClassifier = context.load(requests[0].model, _TextClassifier)
        texts, errors = context.preprocessed(_TextClassifier)
        yield errors
        places = list(texts)
        for group in model.passes([len(tokens.ids) for tokens in texts.values()], self._settings.max_padded):
            chosen = [places[place] for place in group]
            yield dict(zip(chosen, model([texts[index] for index in chosen]), strict=True))


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Hold the numbers of a text's tokens, cut to what the model reads, and whether some were cut off."""

    ids: list[int]
    cut: bool


class _TextClassifier:
    """Hold a text-classification model and its tokenizer."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from transformers import AutoModelForSequenceClassification

        self.shown = files.shown
        self.device = device.name
        self.tokenizer = load_tokenizer(files.folder)
        model = AutoModelForSequenceClassification.from_pretrained(
            files.folder, dtype=device.dtype, use_safetensors=True, trust_remote_code=False
        )
        self.max_tokens = _max_tokens(self.tokenizer, model.config)
        self._unpadded = unpadded.unpad(model.to(device.name).eval())
        self.model = fit(model, self._probe, files, device)
        self.labels = [str(self.model.config.id2label[i]) for i in range(self.model.config.num_labels)]

    def tokens(self, text: str) -> _Tokens:
        """Return the tokens of a text as the model reads it."""
        encoded = self.tokenizer(text[:MAX_CHARS], truncation=True, max_length=self.max_tokens)["input_ids"]
        cut = len(text) > MAX_CHARS
        if len(encoded) >= self.max_tokens and not cut:
            cut = len(self.tokenizer(text, verbose=False)["input_ids"]) > self.max_tokens
        return _Tokens(encoded, cut)

    def passes(self, lengths: Sequence[int], most: int) -> list[list[int]]:
        """Divide texts of these lengths in tokens into forward passes of at most `most` tokens, padding included."""
        return passes_by_length(lengths, most=most) if self._unpadded else group_by_length(lengths, most=most)

    def __call__(self, texts: Sequence[_Tokens]) -> list[SentimentResult]:
        """Classify texts: tokens to probabilities (batch, labels)."""
        import torch

        with torch.inference_mode():
            logits = self._logits(self.model, [text.ids for text in texts]).float()
        probabilities = logits.sigmoid() if self._independent else logits.softmax(-1)
        return [self._result(row, text.cut) for row, text in zip(probabilities.tolist(), texts, strict=True)]

    def _logits(self, model: Any, texts: Sequence[list[int]]) -> Any:
        """Return the logits (batch, labels) of tokens."""
        if self._unpadded:
            return unpadded.classify(model, texts)
        return model(**self.tokenizer.pad({"input_ids": texts}, return_tensors="pt").to(self.device)).logits

    def _probe(self, _model: Any) -> Probe:
        """Return what classifies example sentences, to measure a precision."""
        sentences = [self.tokens(sentence).ids for sentence in SENTENCES]
        return lambda model: self._logits(model, sentences)

    @property
    def _independent(self) -> bool:
        """Say whether the labels don't exclude each other."""
        config: Any = self.model.config
        return bool(config.problem_type == "multi_label_classification" or config.num_labels == 1)

    def _result(self, row: list[float], truncated: bool) -> SentimentResult:
        scores = dict(sorted(zip(self.labels, row, strict=True), key=lambda pair: -pair[1]))
        label = next(iter(scores))
        return SentimentResult(model=self.shown, label=label, score=scores[label], scores=scores, truncated=truncated)


def _max_tokens(tokenizer: Any, config: Any) -> int:
    """Return the longest input in tokens; a tokenizer that doesn't know says 10**30."""
    positions = getattr(config, "max_position_embeddings", None) or _DEFAULT_MAX_TOKENS
    if config.model_type in _OFFSET_POSITIONS:  # their positions start after the padding's
        positions -= 2
    return int(min(tokenizer.model_max_length, positions))
