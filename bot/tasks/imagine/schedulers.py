"""Exchange a pipeline's scheduler for another one by the name that people know it by."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import AfterValidator

from bot.errors import BadInput
from bot.hub.libraries.class_source import class_source

_DPM, _SINGLE = "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler"
_KARRAS: Mapping[str, Any] = {"use_karras_sigmas": True}
_SDE: Mapping[str, Any] = {"algorithm_type": "sde-dpmsolver++"}
_PLAIN: Mapping[str, Any] = {
    "algorithm_type": "dpmsolver++", "use_karras_sigmas": False, "use_exponential_sigmas": False,
    "use_beta_sigmas": False, "use_lu_lambdas": False,
}  # fmt: skip
_KINDS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "DPM++ 2M": (_DPM, {}),
    "DPM++ 2M Karras": (_DPM, _KARRAS),
    "DPM++ 2M SDE": (_DPM, _SDE),
    "DPM++ 2M SDE Karras": (_DPM, {**_SDE, **_KARRAS}),
    "DPM++ SDE": (_SINGLE, {}),
    "DPM++ SDE Karras": (_SINGLE, _KARRAS),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler a": ("EulerAncestralDiscreteScheduler", {}),
    "Heun": ("HeunDiscreteScheduler", {}),
    "DPM2": ("KDPM2DiscreteScheduler", {}),
    "DPM2 a": ("KDPM2AncestralDiscreteScheduler", {}),
    "UniPC": ("UniPCMultistepScheduler", {}),
    "DEIS": ("DEISMultistepScheduler", {}),
    "DDIM": ("DDIMScheduler", {}),
    "DDPM": ("DDPMScheduler", {}),
    "PNDM": ("PNDMScheduler", {"skip_prk_steps": True}),
    "LCM": ("LCMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}
"""diffusers' classes by the names of k-diffusion and AUTOMATIC1111's web interface, as diffusers' guide pairs them."""
SCHEDULERS = tuple(_KINDS)
_FLOW = "FlowMatchEulerDiscreteScheduler"
_WITHOUT_KIN = ("LCMScheduler", "TCDScheduler")


def known_scheduler(name: str) -> str:
    """Return a scheduler's name as it is written here; raise BadInput for an unknown one."""
    for known in SCHEDULERS:
        if known.casefold() == " ".join(name.split()).casefold():
            return known
    raise BadInput(
        "There is no scheduler “{name}”. Choose one of: {known}.", name=name[:40], known=", ".join(SCHEDULERS)
    )


def _checked(name: str) -> str:
    try:
        return known_scheduler(name)
    except BadInput as error:
        raise ValueError(str(error)) from None


SchedulerName = Annotated[str, AfterValidator(_checked)]


@contextlib.contextmanager
def scheduled(pipe: Any, name: str | None, model: str) -> Iterator[str]:
    """Let a pipeline use another scheduler inside; yield the name of the one in use. Raise BadInput if it can't."""
    scheduler, own = pipe.scheduler, OwnScheduler.of(pipe)
    if name is not None and name != own.name:
        own.check(name, model)
        pipe.scheduler = _made(name, scheduler.config)
    try:
        yield name or own.name
    finally:
        pipe.scheduler = scheduler


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnScheduler:
    """Tell what can stand in for a model's own scheduler, by what its files say: torch isn't needed.

    `pipeline` and `kind` are the classes of the pipeline and of the scheduler.
    """

    pipeline: str
    kind: str
    config: Mapping[str, Any]

    @classmethod
    def of(cls, pipe: Any) -> Self:
        """Return that of a loaded pipeline."""
        own = pipe.scheduler
        return cls(pipeline=type(pipe).__name__, kind=type(own).__name__, config=own.config)

    @property
    def name(self) -> str:
        """Return what people call it, else its class."""
        if self.kind == _FLOW:
            return "Euler"
        for name, (known, changes) in _KINDS.items():
            wanted = {key: value for key, value in {**_PLAIN, **changes}.items() if key in self.config}
            if known == self.kind and all(self.config[key] == value for key, value in wanted.items()):
                return name
        return self.kind.removesuffix("Scheduler")

    @property
    def fitting(self) -> list[str]:
        """Return the schedulers that can take its place: those that solve the equation the model was trained on."""
        if "original_inference_steps" in _parameters("pipelines", self.pipeline, "__call__"):
            return ["LCM"]
        if self.kind == _FLOW:
            return ["Euler"]
        if self.config.get("prediction_type") == "flow_prediction":
            return [name for name in SCHEDULERS if _knows_flow(name)]
        return list(SCHEDULERS) if self.kind in _WITHOUT_KIN or _has_kin(self.kind) else []

    def check(self, name: str, model: str) -> None:
        """Raise BadInput when a model, as people call it, can't work with a scheduler."""
        if name != self.name and name not in self.fitting:
            raise _unfit(name, model, self.fitting)


def _made(name: str, config: Any) -> Any:
    import diffusers

    kind, changes = _KINDS[name]
    clip = config.get("clip_sample", False)  # latents reach beyond 1, where DDIM would clip them unless told otherwise
    return getattr(diffusers, kind).from_config(config, **{**_PLAIN, **changes, "clip_sample": clip})


def _has_kin(kind: str) -> bool:
    return class_source("diffusers", "schedulers", kind).values.get("_compatibles", "[]") != "[]"


def _knows_flow(name: str) -> bool:
    kind, changes = _KINDS[name]
    return "use_flow_sigmas" in _parameters("schedulers", kind, "__init__") and not changes


def _parameters(folder: str, kind: str, method: str) -> frozenset[str]:
    return class_source("diffusers", folder, kind).parameters.get(method, frozenset())


def _unfit(name: str, model: str, fitting: list[str]) -> BadInput:
    if not fitting:
        return BadInput("{model} works with its own scheduler only. Leave the scheduler out.", model=model)
    return BadInput(
        "{model} can't work with the scheduler {name}. Choose one of these, or none: {known}.",
        model=model, name=name, known=", ".join(fitting),
    )  # fmt: skip
