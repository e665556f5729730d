"""Run one translation model: tokens, forward passes of similar length, texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bot.cpu.choice import Probe, fit
from bot.cpu.examples import SENTENCES
from bot.cpu.group_by_length import group_by_length
from bot.errors import BadInput, JobCancelled
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.tokenizer import load_tokenizer
from bot.tasks.translate.language_control import Way
from bot.tasks.translate.languages import language_name, varieties
from bot.tasks.translate.model_families import T5, Prefixes, find_steering
from bot.tasks.translate.routes import Hop
from bot.tasks.translate.segments import Piece, split_text

_LONGEST_TOKENS = 512
_PROBE_SENTENCES, _PROBE_TOKENS = 6, 8


@dataclass(frozen=True, slots=True)
class Sentences:
    """Hold a text's `pieces`, by body the numbers of the tokens of those that are translated, and the way they go."""

    pieces: list[Piece]
    tokens: dict[str, list[int]]
    way: Way

    def text(self, done: Mapping[str, str]) -> str:
        """Return the text with every body that is translated in its place."""
        bodies = (done[piece.body] if piece.translatable else piece.body for piece in self.pieces)
        return "".join(piece.with_body(body) for piece, body in zip(self.pieces, bodies, strict=True)).strip()


class Translator:
    """Hold a sequence-to-sequence model and its tokenizer."""

    def __init__(self, files: ModelFiles, device: Device, prefixes: Prefixes) -> None:
        from transformers import AutoModelForSeq2SeqLM

        self.shown = files.shown
        self._device = device.name
        self._tokenizer = load_tokenizer(files.folder)
        model = AutoModelForSeq2SeqLM.from_pretrained(
            files.folder, dtype=_dtype(files, device), use_safetensors=True, trust_remote_code=False
        )
        self._longest = min(_LONGEST_TOKENS, getattr(model.config, "max_position_embeddings", _LONGEST_TOKENS))
        self.steering = find_steering(model, self._tokenizer, files.config, prefixes)
        self.model = fit(model.to(device.name).eval(), self._probe, files, device)

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the languages that the model translates from; none when it doesn't tell."""
        return self.steering.sources

    def _probe(self, model: Any) -> Probe:
        """Return what translates as jobs do, step by step; copies are asked for the words that the model chose."""
        way = self.steering.example
        rows = self._encoded(list(SENTENCES[:_PROBE_SENTENCES]), way)
        tokens = self._tokenizer.pad({"input_ids": rows}, return_tensors="pt")
        length = {**way.options, "max_new_tokens": _PROBE_TOKENS, "max_length": None}
        right = model.generate(**tokens, **length)

        def probe(copy: Any) -> Any:
            copy.generate(**tokens, **length)
            return copy(**tokens, decoder_input_ids=right).logits

        return probe

    def known(self, hop: Hop) -> Hop:
        """Return a hop by the codes that the model knows: without a script or region that it doesn't."""
        codes = ((source, to) for to in varieties(hop.to) for source in varieties(hop.source))
        ways = (way for way in codes if self.steering.way(*way) is not None)
        source, to = next(ways, (hop.source, hop.to))
        return replace(hop, source=source, to=to)

    def sentences(self, text: str, source: str, to: str) -> Sentences:
        """Return a text's pieces, ready to be translated; raise BadInput for a language that the model doesn't know."""
        way = self.steering.way(source, to)
        if way is None:
            raise BadInput(
                "The model {model} can't translate from {source} into {to}. Choose another model or language.",
                model=self.shown,
                source=language_name(source),
                to=language_name(to),
            )
        pieces = split_text(text)
        bodies = list(dict.fromkeys(piece.body for piece in pieces if piece.translatable))
        return Sentences(pieces, dict(zip(bodies, self._encoded(bodies, way), strict=True)), way)

    def _encoded(self, bodies: list[str], way: Way) -> list[list[int]]:
        """Return the tokens of sentences.

        The tokenizer's own source language is never set: another thread may use it for another language just now.
        """
        if not bodies:
            return []
        before, after = way.around or ((), ())
        encoded = self._tokenizer(
            [way.prefix + body for body in bodies],
            add_special_tokens=way.around is None,
            truncation=True,
            max_length=self._longest - len(before) - len(after),
        )
        return [[*before, *row, *after] for row in encoded["input_ids"]]

    def translate(
        self, texts: Mapping[int, Sentences], max_padded: int, cancelled: Callable[[int], bool]
    ) -> Iterator[dict[int, str | JobCancelled]]:
        """Translate texts that go the same way in common passes; yield each when its last sentence is done."""
        tokens = {body: row for text in texts.values() for body, row in text.tokens.items()}
        done: dict[str, str] = {}
        waiting = dict(texts)
        for part in _passes(tokens, max_padded):
            yield _finished(waiting, done, cancelled)
            if not waiting:
                return
            way = next(iter(waiting.values())).way
            words = self._generate([tokens[body] for body in part], way, lambda: all(map(cancelled, waiting)))
            done |= zip(part, words, strict=True)
        yield _finished(waiting, done, cancelled)

    def _generate(self, sentences: list[list[int]], way: Way, stopped: Callable[[], bool]) -> list[str]:
        """Translate sentences, given as tokens. It ends early when all who wait for them were stopped."""
        import torch
        from transformers import StoppingCriteriaList

        padded = self._tokenizer.pad({"input_ids": sentences}, return_tensors="pt").to(self._device)
        longest = min(self._longest, 3 * padded["input_ids"].shape[1] + 20)

        def stop(ids: Any, _scores: Any, **_: Any) -> Any:
            return torch.full((ids.shape[0],), fill_value=stopped(), device=ids.device)

        with torch.inference_mode():
            ids = self.model.generate(
                **padded,
                **way.options,
                max_new_tokens=longest,
                max_length=None,
                stopping_criteria=StoppingCriteriaList([stop]),
            )
        texts: list[str] = self._tokenizer.batch_decode(ids[:, way.forced :], skip_special_tokens=True)
        return texts


def _dtype(files: ModelFiles, device: Device) -> Any:
    """Return the dtype for a model's weights: what T5 and its kin compute is too large for fp16.

    https://github.com/huggingface/transformers/issues/10819
    """
    import torch

    if device.dtype is not torch.float16 or files.config.get("model_type") not in T5:
        return device.dtype
    finest = replace(device, precision="bf16").dtype
    return torch.float32 if finest is torch.float16 else finest


def _passes(tokens: Mapping[str, list[int]], max_padded: int) -> list[list[str]]:
    """Divide sentences into those that are translated together, the shortest first."""
    bodies = list(tokens)
    groups = group_by_length([len(ids) for ids in tokens.values()], most=max_padded)
    return [[bodies[place] for place in group] for group in groups]


def _finished(
    waiting: dict[int, Sentences], done: Mapping[str, str], cancelled: Callable[[int], bool]
) -> dict[int, str | JobCancelled]:
    """Take the texts out of `waiting` that are done or were stopped, and return them."""
    ended: dict[int, str | JobCancelled] = {}
    for index, text in list(waiting.items()):
        if cancelled(index):
            ended[index] = JobCancelled("Cancelled.")
        elif text.tokens.keys() <= done.keys():
            ended[index] = text.text(done)
        else:
            continue
        del waiting[index]
    return ended
