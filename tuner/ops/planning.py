"""Planning: the first call with arrays of some shapes, strides and dtypes decides what answers them all.

A kernel that is tuned where there is one and it can take the arrays as they lie, or is worth copying them for; else the
vendor library.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping

from ...cache.records import Answer
from ...spaces.errors import DeviceError, KerntuneError, NetworkError, NoAnswer, StoreError
from ...spaces.problems import Problem
from ...spaces.targets import DeviceKind, Gpu, Target
from ...templates.catalogue import op_named
from .. import settings
from ..settings import Settings
from .arrays import Array, Library, VendorCall, View
from .asked import Asked, Request
from .execution import Call, Copying, Nothing, Tuned, Vendor, makers
from .plan import Plan
from .site import LoadedKernel, Site

HOST_GBS = 10.0
"""What a copy on a processor reads and writes a second, GB: one core's share."""

SMALL = 0.1
"""Share of the problem's own bytes that copies may move where nobody measured the vendor: a bias, scales."""

COPY_US = 5.0
"""A copy's own launch and allocation."""


class Planner:
    """Makes calls; remembers devices and the kernels loaded there. Not thread-safe."""

    def __init__(
        self,
        read_settings: Callable[[], Settings] = settings.read,
        open_site: Callable[[str, Settings], Site] = Site,
    ) -> None:
        self._settings, self._open_site = read_settings, open_site
        self._sites: dict[str, Site | str] = {}
        self._kernels: dict[tuple[Hashable, ...], tuple[Answer, LoadedKernel] | str] = {}

    def call(self, library: Library, arrays: Mapping[str, Array], asked: Asked) -> Call:
        """What answers calls like this one. Raises: UsageError, NoAnswer."""
        views = {name: library.view(name, array) for name, array in arrays.items()}
        request = asked.read(views)
        vendor = asked.vendor(library, request)
        if 0 in request.outputs[0].shape:
            plan = Plan("nothing", "the output has no elements", request.device, None)
            return Nothing(makers(library, request), plan)
        if request.empty:
            return _by_vendor(library, request, vendor, "sums of no terms", views)
        if library.needs_grad(arrays):
            why = "an input requires grad, and gradients flow through the vendor only: call it under torch.no_grad()"
            return _by_vendor(library, request, vendor, why, views)
        found = request.refusal or self._tuned(request)
        if isinstance(found, str):
            return _by_vendor(library, request, vendor, found, views)
        answer, kernel = found
        if not request.uneven:
            return _by_kernel(library, request, answer, kernel, views)
        if isinstance(vendor, str) or _copying_pays(answer, request, self._target(request.device)):
            return self._copying(library, arrays, asked, request)
        given = f"{', '.join(request.uneven)} as given (strides or alignment)"
        why = f"the tuned {answer.template} cannot take {given}, and copying costs more than it gains"
        return _by_vendor(library, request, vendor, why, views)

    def close(self) -> None:
        """Forget everything."""
        for site in self._sites.values():
            if isinstance(site, Site):
                site.close()
        self._sites.clear()
        self._kernels.clear()

    def _copying(self, library: Library, arrays: Mapping[str, Array], asked: Asked, request: Request) -> Call:
        """A call that copies what the kernel cannot take, made of the call for such copies."""
        turned = {name: name in request.turned for name in request.uneven}
        copies = {n: library.dense(a, turned[n]) if n in turned else a for n, a in arrays.items()}
        if "out" in turned:
            del copies["out"]
        return Copying(library, self.call(library, copies, asked.of_copies(request)), tuple(arrays), turned)

    def _tuned(self, request: Request) -> tuple[Answer, LoadedKernel] | str:
        """The kernel for a request, loaded once; or why there is none."""
        config = self._settings()
        if config.disabled:
            return "KERNTUNE_DISABLE is set"
        key = (request.device, request.problem.digest, *sorted(request.numbers.items()))
        found = self._kernels.get(key)
        if found is None:
            try:
                found = self._sought(request, config)
            except (DeviceError, StoreError, NetworkError) as error:
                found = _warned(f"no tuned kernel could be looked for: {error}")
            if not isinstance(found, str) or len(self._kernels) < 65536:
                self._kernels[key] = found
        return found

    def _sought(self, request: Request, config: Settings) -> tuple[Answer, LoadedKernel] | str:
        problem, device = request.problem, request.device
        site = self._site(device, config)
        if isinstance(site, str):
            return site
        answer = site.best(problem)
        if answer is None:
            return f"nothing is tuned for this problem here ({_mend(problem, device)})"
        try:
            return answer, site.load(problem, answer, request.numbers)
        except DeviceError as error:
            return _warned(str(error))

    def _site(self, device: str, config: Settings) -> Site | str:
        if device not in self._sites:
            try:
                self._sites[device] = self._open_site(device, config)
            except KerntuneError as error:  # said once, not for each problem
                self._sites[device] = _warned(f"no tuned kernel could be looked for on {device}: {error}")
        return self._sites[device]

    def _target(self, device: str) -> Target:
        site = self._sites[device]
        assert not isinstance(site, str)  # a kernel came from it
        return site.target


def _by_vendor(
    library: Library, request: Request, vendor: VendorCall | str, why: str, views: Mapping[str, View]
) -> Call:
    """Raises: NoAnswer where there is no vendor either."""
    if isinstance(vendor, str):
        mend = _mend(request.problem, request.device)
        raise NoAnswer(f"{request.problem.op}: {why}; and {vendor}. Tune it first: {mend}")
    problem = None if request.empty else request.problem
    return Vendor(library, vendor, Plan(vendor.name, why, request.device, problem), views)


def _by_kernel(
    library: Library, request: Request, answer: Answer, kernel: LoadedKernel, views: Mapping[str, View]
) -> Call:
    reason = f"tuned, {answer.match} match, {answer.median_us:,.1f} µs when it was measured"
    plan = Plan(answer.template, reason, request.device, request.problem, answer)
    return Tuned(library, kernel, plan, makers(library, request), views)


def _copying_pays(answer: Answer, request: Request, target: Target) -> bool:
    """Whether ours is still faster than the vendor's, by what was measured of both; else whether copies are small."""
    if answer.baseline_us is None:
        return request.moved_bytes <= SMALL * request.problem.dim("bytes")
    gbs = float(target.device.bandwidth_gbs) if isinstance(target.device, Gpu) else HOST_GBS
    copies_us = COPY_US * len(request.uneven) + request.moved_bytes / gbs / 1e3
    return answer.median_us + copies_us < answer.baseline_us


def _mend(problem: Problem, device: str) -> str:
    """The command that tunes it."""
    op = op_named(problem.op)
    kind: DeviceKind = "cpu" if device == "cpu" else "gpu"
    dims = {letter: problem[letter] for letter in op.letters}
    flags = [] if problem["dtype"] == op.problem(kind, **dims)["dtype"] else [f"--dtype {problem['dtype']}"]
    usual = op.problem(kind, **dims, dtype=problem["dtype"])
    others = (field.name for field in op.fields if problem[field.name] != usual[field.name])
    flags += [f"--{name.replace('_', '-')} {problem[name]}" for name in others]
    return " ".join([f"tune {op.name} --shape {op.shape_of(problem)}", *flags, f"--device {device}"])


def _warned(reason: str) -> str:
    """The reason, said to whoever listens: what is slow for want of a database should not be so in silence."""
    warnings.warn(f"kerntune.ops runs the vendor library: {reason}", RuntimeWarning, stacklevel=2)
    return reason
