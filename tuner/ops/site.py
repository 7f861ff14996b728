"""Site: a device as the ops see it: what is known of a problem there, made into a kernel that can be launched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Protocol

from ...cache.records import Answer, Failure, Incident, Policy, Record
from ...cache.store import Store
from ...spaces.errors import DeviceError
from ...spaces.feasible import FeasibleSpace
from ...spaces.problems import Problem
from ...spaces.targets import Target
from ...templates.catalogue import digests, op_named, templates
from ...templates.template import Candidate, KernelTemplate
from .. import asking, lookup, wiring
from ..backends.artifact import Artifact
from ..hosts import Host
from ..pinned import Pins
from ..settings import Settings
from .arrays import Library
from .cpu_kernel import CpuKernel

POLICIES = ("cold", "warm")
"""How a winner may have been timed, the one that is preferred first."""


class LoadedKernel(Protocol):
    """A kernel in this process. Safe for several threads, streams and graphs at once."""

    def launch(self, addresses: tuple[int, ...], stream: int, library: Library) -> None:
        """Run on arrays at these addresses, in the order of the op's buffers. Raises: DeviceError."""


class Site:
    """One device, its store and its compilers. Not thread-safe: one plan is made at a time."""

    def __init__(self, device: str, config: Settings) -> None:
        """Raises: DeviceError, StoreError."""
        self.device, self._config = device, config
        self._host: Host = wiring.open_host(device, config)
        self._spaces: dict[tuple[str, str], FeasibleSpace] = {}
        self._server_url = asking.server_for(config, None, None)
        here = self._server_url is None
        pins_it = here and wiring.is_pinned(config)
        self._pins: Pins | None = wiring.open_pins(config) if pins_it else None
        self._store: Store | None = wiring.open_store(config) if here and not pins_it else None

    @property
    def target(self) -> Target:
        return self._host.target

    def best(self, problem: Problem) -> Answer | None:
        """The best answer whose config can run the problem here. Raises: StoreError, NetworkError."""
        for policy in POLICIES:
            answer = self._known(problem, policy) if self._server_url is None else self._asked(problem, policy)
            if answer is not None and self._template(answer, problem) is not None:
                return answer
        return None

    def load(self, problem: Problem, answer: Answer, numbers: Mapping[str, float]) -> LoadedKernel:
        """The kernel of an answer, from the binary cache or compiled now, to be launched with these numbers in place of
        its own. Raises: DeviceError."""
        with closing(self._host.engine(problem, answer.policy)) as engine:  # what it compiled goes when it is closed
            made = engine.submit(self._candidate(problem, answer)).result()
            if isinstance(made, Failure | Incident):
                raise DeviceError(f"{answer.template} with {answer.config} does not compile here: {made.reason}.")
            return self._loaded(problem, made.given(numbers))

    def close(self) -> None:
        """End compile processes and let go of the store."""
        self._host.close()
        for opened in (self._store, self._pins):
            if opened is not None:
                opened.close()

    def _loaded(self, problem: Problem, artifact: Artifact) -> LoadedKernel:
        sizes = {buffer.name: buffer.bytes for buffer in op_named(problem.op).buffers(problem)}
        if self.device == "cpu":
            return CpuKernel(artifact, tuple(sizes))
        from .cuda_driver import cuda_driver
        from .cuda_kernel import CudaKernel

        return CudaKernel(cuda_driver(), artifact, int(self.device.removeprefix("cuda:")), sizes)

    def _asked(self, problem: Problem, policy: str) -> Answer | None:
        words = {"device": self.device, "policy": policy, "min_match": "near"}
        pin = self._config.generation
        url = str(self._server_url)
        return asking.ask_server(url, op_named(problem.op), dict(problem.fields), **words, generation=pin)

    def _known(self, problem: Problem, policy: str) -> Answer | None:
        query = lookup.Query(problem, Policy.named(self.target.kind, policy), self.target)
        pinned = None if self._pins is None else self._pins.pinned()
        if pinned is not None:  # what this machine cannot run is no reason to run another config than the other ranks
            found = pinned.answer(query)
            return None if found is None else found.answer
        assert self._store is not None  # neither a server nor a generation answers
        usable = self._usable(self._store.candidates(problem.op, problem.digest), problem)
        return lookup.rank(query, usable, "near", digests(problem.op))

    def _usable(self, records: Sequence[Record], problem: Problem) -> list[Record]:
        """Those whose config this version of its template can still run here."""
        found = {name: self._named(name, problem) for name in {record.template for record in records}}
        spaces = {name: self._space(template, problem) for name, template in found.items() if template}
        return [r for r in records if r.template in spaces and r.config in spaces[r.template]]

    def _named(self, name: str, problem: Problem) -> KernelTemplate | None:
        """A template that can compute the problem here, or None."""
        template = next((each for each in templates(problem.op) if each.name == name), None)
        if template is None or template.backend not in self._host.backends:
            return None
        return None if template.supports(problem, self.target) else template

    def _template(self, answer: Answer, problem: Problem) -> KernelTemplate | None:
        template = self._named(answer.template, problem)
        return template if template and answer.config in self._space(template, problem) else None

    def _space(self, template: KernelTemplate, problem: Problem) -> FeasibleSpace:
        """The template's space, kept while this problem is planned: some take 0.1 s to build."""
        key = (template.name, problem.digest)
        if key not in self._spaces:
            self._spaces = {k: space for k, space in self._spaces.items() if k[1] == problem.digest}
            self._spaces[key] = template.feasible(problem, self.target)
        return self._spaces[key]

    def _candidate(self, problem: Problem, answer: Answer) -> Candidate:
        template = self._template(answer, problem)
        assert template is not None  # `best` gave the answer
        feasible = self._space(template, problem)
        return template.candidate(feasible, problem, self.target, feasible[feasible.index(answer.config)])
