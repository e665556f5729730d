"""Ask for pictures, hold them, and set /imagine up. `bot.tasks.imagine` makes them, in the worker."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bot.errors import BadInput, join_names
from bot.i18n.texts import Sentence
from bot.tasks.base import Request, Result
from bot.tasks.imagine.compatibility import check_fit, fitting_loras, fitting_schedulers
from bot.tasks.imagine.image_sizes import offered_sizes, read_size
from bot.tasks.imagine.loras import Lora, LoraSettings, read_loras, take_tags
from bot.tasks.imagine.parameters import DefaultParameters
from bot.tasks.imagine.schedulers import known_scheduler
from bot.tasks.settings import ModelSettings, References
from bot.tasks.task import Task

MAX_PROMPT_CHARS = 1_000
MAX_SEED = 2**32 - 1
_USUAL_STEPS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagineRequest(Request):
    """Ask for `count` pictures; picture k is made with `seed` + k. None leaves a value to the model."""

    preemptible: ClassVar[bool] = True

    prompt: str
    seed: int
    negative: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    scheduler: str | None = None
    loras: tuple[Lora, ...] = ()
    count: int = 1

    def __post_init__(self) -> None:
        if not self.prompt.strip():
            raise BadInput("There is no prompt. Say what the picture should show.")
        if max(len(self.prompt), len(self.negative)) > MAX_PROMPT_CHARS:
            raise BadInput("This prompt is too long. Use at most {most} characters.", most=MAX_PROMPT_CHARS)
        if not 0 <= self.seed <= MAX_SEED:
            raise BadInput("A seed is a number from 0 to {most}.", most=MAX_SEED)
        if self.count < 1 or (self.steps is not None and self.steps < 1):
            raise BadInput("Ask for at least one picture and one step.")
        if self.guidance is not None and not 0 <= self.guidance <= 50:
            raise BadInput("Guidance is a number from 0 to 50.")

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return each picture's seed."""
        return tuple((self.seed + k) % (MAX_SEED + 1) for k in range(self.count))

    @property
    def batch_key(self) -> tuple[Any, ...]:
        """Say that pictures may be made together when only their prompts and seeds differ."""
        return (self.model, self.width, self.height, self.steps, self.guidance, self.scheduler, self.loras)

    @property
    def rows(self) -> int:
        """Return how many pictures this job adds to a batch."""
        return self.count

    @property
    def timing_keys(self) -> tuple[str, ...]:
        """Name model, size and steps, then model and size alone: what seconds a step of a picture depend on."""
        sized = f"{self.model} {self.width}x{self.height}"
        return (f"{sized} {self.steps} steps", sized)

    @property
    def work(self) -> float:
        """Return the steps of all pictures."""
        return float(self.count * (self.steps or _USUAL_STEPS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Hold one picture as a PNG file and the seed that makes it again. `withheld`: by the model's safety check.

    `caption` says what it shows; it is empty when nobody wrote one.
    """

    png: bytes
    seed: int
    withheld: bool = False
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagineResult(Result):
    """Hold the pictures and what they were made with; `guidance` is None where the model takes none.

    `seconds` is how long the batch took; `notes` tell people what was left out, and what this model is good for.
    """

    pictures: tuple[Picture, ...]
    prompt: str
    negative: str
    width: int
    height: int
    steps: int
    guidance: float | None
    seconds: float
    scheduler: str = ""
    loras: tuple[Lora, ...] = ()
    notes: tuple[Sentence, ...] = ()

    @property
    def note(self) -> str:
        """Return the notes in the reader's language; often nothing."""
        return " ".join(map(str, self.notes))


class ImagineSettings(ModelSettings):
    """Set up /imagine. A picture may have `max_pixels`, and a job `max_count` pictures of `max_steps`.

    `alt_text` is what a picture says to those who can't see it: its prompt, or a caption by /describe's default model.
    """

    models: References = ("bundled:emoji-sd",)
    max_rows: int = Field(default=4, ge=1, le=64)
    max_steps: int = Field(default=100, ge=1, le=1000)
    max_count: int = Field(default=4, ge=1, le=10)
    max_pixels: int = Field(default=1024 * 1024, ge=64 * 64)
    alt_text: Literal["prompt", "caption"] = "prompt"
    defaults: tuple[DefaultParameters, ...] = ()
    loras: tuple[LoraSettings, ...] = ()

    @model_validator(mode="after")
    def _models_are_known(self) -> Self:
        """Check that defaults and adapters are for models that are configured, and that names differ."""
        try:
            for name in (*(d.model for d in self.defaults), *(name for lora in self.loras for name in lora.models)):
                self.choose(name)
        except BadInput as error:
            raise ValueError(str(error)) from None
        names = [lora.name.casefold() for lora in self.loras]
        if len(set(names)) < len(names):
            raise ValueError("two adapters have the same name")
        return self

    @property
    def adapters(self) -> Mapping[str, str]:
        """Return the reference of every adapter that may be asked for, by its name."""
        return {lora.name: lora.model for lora in self.loras}

    def models_of_adapters(self) -> dict[str, list[str]]:
        """Return by name the models that each adapter is offered for. Files are read."""
        offered = fitting_loras(self, self.models)
        return {lora.name: [model for model in self.models if lora in offered[model]] for lora in self.loras}

    @property
    def needs(self) -> Mapping[str, str]:
        """Return the tasks whose models this one uses, too."""
        return {"alt_text": "describe"} if self.alt_text == "caption" else {}

    def request(
        self,
        prompt: str,
        *,
        size: str | None = None,
        scheduler: str | None = None,
        lora: Iterable[str] = (),
        seed: int | None = None,
        **options: Any,
    ) -> ImagineRequest:
        """Build a request of what a person wrote, with adapters from `lora` and the prompt's tags; raise BadInput."""
        text, tags = take_tags(prompt)
        width, height = read_size(size) if size else (None, None)
        return ImagineRequest(
            prompt=text,
            width=width,
            height=height,
            scheduler=known_scheduler(scheduler) if scheduler else None,
            loras=read_loras([*filter(str.strip, lora), *tags], self.loras),
            seed=secrets.randbelow(MAX_SEED) if seed is None else seed,
            **options,
        )

    def check(self, request: Any) -> None:
        """Raise BadInput when the host's limits don't allow this request."""
        if request.steps is not None and request.steps > self.max_steps:
            raise BadInput("Use at most {most} steps.", most=self.max_steps)
        if request.count > self.max_count:
            raise BadInput("Ask for at most {most} pictures at a time.", most=self.max_count)
        if request.width and request.height:
            self.check_size(request.width, request.height)
        for lora in map(self.lora, request.loras):
            if lora.models and request.model not in map(self.choose, lora.models):
                raise BadInput(
                    "The adapter “{name}” is for other models: {known}.", name=lora.name, known=join_names(lora.models)
                )

    def check_fit(self, request: ImagineRequest) -> None:
        """Raise UserError when a scheduler or an adapter is known not to fit the model. Files are read."""
        check_fit(request, self)

    def check_size(self, width: int, height: int) -> None:
        """Raise BadInput for a size that the host doesn't allow."""
        if width * height > self.max_pixels:
            raise BadInput("This size is too large. Use at most {most} pixels in all.", most=self.max_pixels)

    def lora(self, asked: Lora) -> LoraSettings:
        """Return what is configured of an adapter; raise BadInput when there is none of this name (any more)."""
        read_loras([asked.name], self.loras)
        return next(lora for lora in self.loras if lora.name == asked.name)

    def loras_for(self, model: str) -> list[LoraSettings]:
        """Return the adapters that are offered for a model. Files are read."""
        return fitting_loras(self, [model])[model]

    def schedulers(self, model: str) -> Sequence[str]:
        """Return the schedulers that are offered for a model. Files are read."""
        return fitting_schedulers(model)

    def defaults_of(self, model: str) -> DefaultParameters:
        """Return what the host says of a model."""
        found = (defaults for defaults in self.defaults if self.choose(defaults.model) == model)
        return next(found, DefaultParameters(model=model))

    def sizes(self, model: str) -> list[str]:
        """Return the sizes that are offered for a model. Files are read."""
        return list(self.defaults_of(model).sizes) or offered_sizes(model, max_pixels=self.max_pixels)


IMAGINE = Task(
    "imagine",
    ImagineRequest,
    ImagineResult,
    ImagineSettings,
    pipeline="pipeline:ImaginePipeline",
    view="view:imagine_answer",
    console="console:imagine",
    order=3,
)
