"""Follow the batches that devices work on, and how much of an image's time its guests may take."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bot.engine.estimator import Estimator
from bot.engine.job import Job
from bot.workers.executor import DeviceHandle
from bot.workers.protocol import Batch, BatchItem

_ADVANCE = 0.25
"""Share of an image's time for inner batches that may be used before it is earned: a burst needn't wait."""


@dataclass(slots=True, eq=False)
class RunningBatch:
    """Remember one batch on a device. `jobs` are those without an answer, `outer` is the batch that it runs inside of.

    `expected_s` are the device seconds that it should take, `taken_s` those that its answers took, `inner_s` those
    that inner batches took of its time. `models` are those made ready for it: the share of each that is fetched, None
    for one that is there; `ready_at` is when that should be. `computing`: its models are there. `ending`: its last step
    is done. `started_at` is when it came to the device, then when it began to compute.
    """

    device: DeviceHandle
    jobs: dict[str, Job]
    expected_s: float
    outer: RunningBatch | None = None
    inner: RunningBatch | None = None
    inner_s: float = 0.0
    taken_s: float = 0.0
    computing: bool = False
    ending: bool = False
    failed: bool = False
    models: dict[str, float | None] = field(default_factory=dict)
    ready_at: float = 0.0
    started_at: float = 0.0

    @classmethod
    def of(
        cls, device: DeviceHandle, jobs: Sequence[Job], expected_s: float, outer: RunningBatch | None = None
    ) -> RunningBatch:
        """Return the record of a batch that starts now."""
        return cls(device, {job.id: job for job in jobs}, expected_s, outer, started_at=time.monotonic())

    def nested(self) -> Iterator[RunningBatch]:
        """Yield this batch, its inner batch, the inner batch of that, and so on."""
        run: RunningBatch | None = self
        while run is not None:
            yield run
            run = run.inner

    @property
    def batch(self) -> Batch:
        """Return what the device gets to do."""
        jobs = list(self.jobs.values())
        return Batch(jobs[0].task, tuple(BatchItem(job.id, job.request) for job in jobs))

    @property
    def own_s(self) -> float:
        """Return the seconds that it ran until now, without its inner batches."""
        return time.monotonic() - self.started_at - self.inner_s

    @property
    def remaining_s(self) -> float:
        """Return the seconds until it should be done."""
        return max(self.expected_s - self.own_s, 0.0)

    @property
    def step_s(self) -> float:
        """Return the seconds that a step takes, as far as one can tell."""
        steps = max((job.status.steps for job in self.jobs.values()), default=0)
        return self.expected_s / max(steps, 1)

    @property
    def loading(self) -> bool:
        """Say whether a model is being made ready for it."""
        return any(share is not None for share in self.models.values())

    def load(self, model: str, share: float | None, estimator: Estimator) -> None:
        """Note that a model is fetched, and how much of it, or (None) loaded."""
        self.models[model] = share or 0.0
        left_s = estimator.loading_s(model, self.device.name) if share is None else float("inf")
        self.ready_at = time.monotonic() + left_s

    def begin(self) -> None:
        """Note that its models are ready, and that it computes from now on."""
        self.models = dict.fromkeys(self.models)
        if not self.computing:
            self.computing, self.inner_s, self.started_at = True, 0.0, time.monotonic()

    @property
    def preemptible(self) -> bool:
        """Say whether short batches could run now, while its model is loaded or after its present step.

        Not beside jobs whose worker died before: another death would hit those that have nothing to do with it.
        """
        fresh = bool(self.jobs) and all(job.attempts == self.computing for job in self.jobs.values())
        steps = self.computing and not self.ending and all(job.request.preemptible for job in self.jobs.values())
        return fresh and (self.loading or steps)

    def admits(self, estimator: Estimator, job: Job) -> bool:
        """Say whether a job may run inside of it: a short one between steps, any that fits into the time of loading.

        While a model is loaded, and inside of another inner batch, only one whose own model is there.
        """
        if job.attempts or ((self.loading or self.outer) and job.request.model not in self.device.loaded):
            return False
        fits = self.loading and time.monotonic() + self.cost_s(estimator, job) <= self.ready_at
        return fits or not job.request.preemptible

    def cost_s(self, estimator: Estimator, job: Job) -> float:
        """Return the seconds that a job would take on this device now, loading its model included."""
        name, model = self.device.name, job.request.model
        loading_s = 0.0 if model in self.device.loaded else estimator.loading_s(model, name)
        return estimator.seconds(job.request, name) + loading_s

    def interleave_credit_s(self, share: float) -> float:
        """Return the seconds that inner batches may still take now, out of `share` of its whole time.

        While a model is loaded they take nobody's time.
        """
        if self.loading:
            return float("inf")
        whole_s = max(self.expected_s, self.own_s)
        earned_s = min(whole_s, self.own_s + _ADVANCE * whole_s)
        return earned_s * share / (1.0 - share) - self.inner_s


def models_now(devices: Iterable[DeviceHandle], runs: Iterable[RunningBatch]) -> Mapping[str, float | None]:
    """Return the models that are in memory (None) or made ready (the share that is fetched; 0 when unknown)."""
    models: dict[str, float | None] = {}
    for run in runs:
        for each in run.nested():
            models |= each.models
    return models | {reference: None for device in devices for reference in device.loaded}
