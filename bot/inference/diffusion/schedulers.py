"""Exchange a pipeline's scheduler for another one by the name that people know it by."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from bot.errors import BadInput

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
    own = pipe.scheduler
    if name is not None and name != scheduler_name(own):
        fitting = _fitting(pipe)
        if name not in fitting:
            raise _unfit(name, model, fitting)
        pipe.scheduler = _made(name, own.config)
    try:
        yield name or scheduler_name(own)
    finally:
        pipe.scheduler = own


def scheduler_name(scheduler: Any) -> str:
    """Return what people call a scheduler, else its class."""
    kind, config = type(scheduler).__name__, scheduler.config
    if kind == _FLOW:
        return "Euler"
    for name, (known, changes) in _KINDS.items():
        wanted = {key: value for key, value in {**_PLAIN, **changes}.items() if key in config}
        if known == kind and all(config[key] == value for key, value in wanted.items()):
            return name
    return kind.removesuffix("Scheduler")


def _made(name: str, config: Any) -> Any:
    import diffusers

    kind, changes = _KINDS[name]
    clip = config.get("clip_sample", False)  # latents reach beyond 1, where DDIM would clip them unless told otherwise
    return getattr(diffusers, kind).from_config(config, **{**_PLAIN, **changes, "clip_sample": clip})


def _fitting(pipe: Any) -> list[str]:
    """Return the schedulers that a pipeline can use: those that solve the equation that its model was trained on."""
    own = pipe.scheduler
    if "original_inference_steps" in inspect.signature(pipe.__call__).parameters:
        return ["LCM"]
    if type(own).__name__ == _FLOW:
        return ["Euler"]
    if own.config.get("prediction_type") == "flow_prediction":
        return [name for name in SCHEDULERS if _knows_flow(name)]
    has_kin = own.compatibles != [type(own)] or type(own).__name__ in _WITHOUT_KIN
    return list(SCHEDULERS) if has_kin else []


def _knows_flow(name: str) -> bool:
    import diffusers

    kind, changes = _KINDS[name]
    return "use_flow_sigmas" in inspect.signature(getattr(diffusers, kind)).parameters and not changes


def _unfit(name: str, model: str, fitting: list[str]) -> BadInput:
    if not fitting:
        return BadInput("{model} works with its own scheduler only. Leave the scheduler out.", model=model)
    return BadInput(
        "{model} can't work with the scheduler {name}. Choose one of these, or none: {known}.",
        model=model, name=name, known=", ".join(fitting),
    )  # fmt: skip
