"""Say in words what a picture shows, with an image captioning or a vision-language model of transformers."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from bot.errors import JobCancelled
from bot.hub.access import model_unavailable
from bot.hub.libraries.class_names import mapped_classes
from bot.hub.model_filter import ModelFilter, architectures
from bot.hub.resolve import ModelFiles
from bot.machine.device import Device
from bot.tasks.base import Answers, Context, Loaded, Pipeline
from bot.tasks.describe.task import DescribeRequest, DescribeResult, DescribeSettings
from bot.tasks.images.decoder import decode
from bot.tasks.picture import thumbnail
from bot.tasks.tokenizer import load_tokenizer, with_words

_captioner = re.compile(r"(Blip|Blip2)ForConditionalGeneration|GitForCausalLM|VisionEncoderDecoderModel").fullmatch
"""Those that need no words to begin with. The others are asked in a chat."""
_KNOWN = "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES"


def _is_describer(architecture: str) -> bool:
    return architecture in mapped_classes("transformers", "models/auto/modeling_auto.py", _KNOWN)


class DescribePipeline(Pipeline):
    """Describe batches of pictures."""

    model_filter = ModelFilter(
        "image captioning and vision-language models (BlipForConditionalGeneration, GitForCausalLM, "
        "LlavaForConditionalGeneration, …)",
        _is_describer,
        pipeline_tag="image-text-to-text",
    )

    def __init__(self, settings: DescribeSettings) -> None:
        self._settings = settings

    def preprocess(self, request: DescribeRequest, loaded: Loaded) -> Any:  # noqa: ARG002
        """Return a picture, no larger than models need; raise BadInput when it isn't one."""
        return decode(request.image, max_pixels=self._settings.max_pixels).image

    def run(self, requests: Sequence[DescribeRequest], context: Context) -> Iterator[Answers]:
        """Yield a DescribeResult for each request, or BadInput for one that is no picture."""
        describer: _Describer = context.load(requests[0].model, load_describer)
        pictures, errors = context.preprocessed(load_describer)
        yield errors
        for group in describer.groups(list(pictures)):
            texts = self._texts(describer, [pictures[index] for index in group], group, context)
            for index, text in zip(group, texts, strict=True):
                small = thumbnail(pictures[index])
                result = DescribeResult(model=describer.shown, text=text, thumbnail=small)
                yield {index: JobCancelled("Cancelled.") if context.cancelled(index) else result}

    def _texts(self, describer: _Describer, images: list[Any], group: list[int], context: Context) -> list[str]:
        """Describe pictures together. It ends early when all who wait for them were stopped."""
        import torch
        from transformers import StoppingCriteriaList

        def stop(ids: Any, _scores: Any, **_: Any) -> Any:
            return torch.full((ids.shape[0],), fill_value=all(map(context.cancelled, group)), device=ids.device)

        inputs = describer.inputs(images, self._settings.prompt)
        with torch.inference_mode():
            ids = describer.model.generate(
                **inputs,
                max_new_tokens=self._settings.max_tokens,
                max_length=None,
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([stop]),
            )
        return [text.strip() for text in describer.texts(ids, inputs)]


class _Describer(ABC):
    """Hold a model that writes about pictures."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from transformers import AutoModelForImageTextToText

        model = AutoModelForImageTextToText.from_pretrained(
            files.folder, dtype=device.dtype, use_safetensors=True, trust_remote_code=False
        )
        self.model = model.to(device.name).eval()
        self.shown = files.shown

    @abstractmethod
    def groups(self, indices: list[int]) -> list[list[int]]:
        """Divide pictures into those that are described together."""

    @abstractmethod
    def inputs(self, images: list[Any], prompt: str) -> Any:
        """Return what the model takes of PIL images."""

    @abstractmethod
    def texts(self, ids: Any, inputs: Any) -> list[str]:
        """Return what the model wrote, given as tokens (images, length)."""


class _Captioner(_Describer):
    """Hold a model that needs no words to begin with."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from transformers import AutoImageProcessor

        super().__init__(files, device)
        self._processor = AutoImageProcessor.from_pretrained(files.folder, trust_remote_code=False)
        self._tokenizer = load_tokenizer(files.folder)

    def groups(self, indices: list[int]) -> list[list[int]]:
        """Take all at once: they have one size for the model."""
        return [indices] if indices else []

    def inputs(self, images: list[Any], prompt: str) -> Any:  # noqa: ARG002
        """Return pixels (images, 3, height, width)."""
        return self._processor(images=images, return_tensors="pt").to(self.model.device, self.model.dtype)

    def texts(self, ids: Any, inputs: Any) -> list[str]:  # noqa: ARG002
        """Return the captions."""
        texts: list[str] = self._tokenizer.batch_decode(ids, skip_special_tokens=True)
        return texts


class _Chatter(_Describer):
    """Hold a model that is asked about a picture in a chat."""

    def __init__(self, files: ModelFiles, device: Device) -> None:
        from transformers import AutoProcessor

        self._processor = AutoProcessor.from_pretrained(files.folder, trust_remote_code=False)
        if not getattr(self._processor, "chat_template", None):
            raise model_unavailable(files.reference, "It has no chat template, so nothing can be asked of it.")
        with_words(self._processor.tokenizer)
        super().__init__(files, device)

    def groups(self, indices: list[int]) -> list[list[int]]:
        """Take one after another: pictures become different numbers of tokens."""
        return [[index] for index in indices]

    def inputs(self, images: list[Any], prompt: str) -> Any:
        """Return the tokens of the question (1, length) and the pixels."""
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": prompt}]
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
        return inputs.to(self.model.device, self.model.dtype)

    def texts(self, ids: Any, inputs: Any) -> list[str]:
        """Return the answers without the questions, which some models repeat."""
        asked = 0 if self.model.config.is_encoder_decoder else inputs["input_ids"].shape[1]
        texts: list[str] = self._processor.batch_decode(ids[:, asked:], skip_special_tokens=True)
        return texts


def load_describer(files: ModelFiles, device: Device) -> _Describer:
    """Load a model that describes pictures from a folder in hub format; raise ModelUnavailable."""
    is_captioner = any(map(_captioner, architectures(files.config)))
    return _Captioner(files, device) if is_captioner else _Chatter(files, device)
