"""Serve the demo: the real bot with its bundled models on a simulated Discord, in the browser."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import signal

from bot.errors import UserError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_INTERRUPTED = 130
_NO_SIMCORD = """The demo needs SimCord, which isn't installed. Install it with one of
  make venv
  pip install 'hubcord[demo]'"""


def run_demo(*, port: int, open_browser: bool) -> int:
    """Serve the demo on this machine until it is stopped, and return the exit code.

    `port` 0 takes any free one. Raise UserError when the demo can't be served.
    """
    if importlib.util.find_spec("simcord") is None:
        raise UserError(_NO_SIMCORD)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("discord").setLevel(logging.ERROR)  # its warnings are about voice
    try:
        asyncio.run(_until_stopped(port=port, open_browser=open_browser))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


async def _until_stopped(*, port: int, open_browser: bool) -> None:
    """Hold a session until it ends or a signal comes; either way everything is closed when this returns."""
    stop = _stop_event()
    from bot.demo.session import hold

    session = asyncio.create_task(hold(port=port, open_browser=open_browser), name="demo")
    stopped = asyncio.create_task(stop.wait(), name="signals")
    await asyncio.wait([session, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    session.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await session


def _stop_event() -> asyncio.Event:
    """Return what Ctrl-C, or a request to terminate, sets. Later ones are heard and change nothing."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in _SIGNALS:
        with contextlib.suppress(NotImplementedError):  # Windows: KeyboardInterrupt comes instead
            loop.add_signal_handler(number, stop.set)
    return stop
