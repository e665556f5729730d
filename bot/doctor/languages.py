"""Look whether the translation models on this machine know the languages that they are configured for."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE

from bot.doctor.check import Check
from bot.errors import ModelUnavailable, one_line
from bot.hub.download.repository import read_config
from bot.hub.reference import parse_reference
from bot.hub.resolve import local_folder
from bot.tasks.translate.model_families import read_steering
from bot.tasks.translate.pipeline import TranslatePipeline
from bot.tasks.translate.task import TranslateSettings

_LIMIT_S = 60.0
_TELL = "import sys; from bot.doctor.languages import tell; tell(sys.stdin.read())"
_NAME = "translate languages"


async def check_languages(settings: TranslateSettings) -> list[Check]:
    """Return a line for each model that doesn't.

    Only their tokenizers tell, so a process of its own asks them, with torch.
    """
    if not await asyncio.to_thread(_any_here, settings):
        return []
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _TELL, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    values = settings.model_dump_json(by_alias=True, exclude_unset=True).encode()
    try:
        told, _ = await asyncio.wait_for(process.communicate(values), _LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return [Check(_NAME, "warning", f"No answer within {_LIMIT_S:.0f} s.", "Try again when less runs here.")]
    if process.returncode:
        return [Check(_NAME, "warning", "The models can't be asked.", "Look at the line of torch.")]
    return [_check(reference, wrong) for reference, wrong in json.loads(told.splitlines()[-1]).items() if wrong]


def _any_here(settings: TranslateSettings) -> bool:
    return any(local_folder(parse_reference(text)) for text in settings.references)


def _check(reference: str, wrong: str) -> Check:
    return Check(f"{_NAME} {reference}", "warning", f"It {wrong}.", "Mend its entry in [[translate.pairs]].")


def tell(text: str) -> None:
    """Print what is wrong with each model of these settings, in JSON; this is what the process does."""
    settings = TranslateSettings.model_validate_json(text)
    print(json.dumps({reference: _wrong(settings, reference) for reference in settings.references}))  # noqa: T201


def _wrong(settings: TranslateSettings, text: str) -> str:
    """Return what is wrong with a model; nothing too of one that isn't here, or is no translation model."""
    reference = parse_reference(text)
    folder = local_folder(reference)
    try:
        if folder is None:
            return ""
        TranslatePipeline.model_filter.check(reference, read_config(folder))
        steering = read_steering(folder, settings.prefixes(reference))
    except ModelUnavailable:
        return ""
    except (OSError, ValueError, LookupError, ImportError) as error:
        return f"can't be used ({one_line(error)})"
    return settings.unknown_ways(reference, steering)
