"""What `search.py` found, for people: tables with paired statistics, and curves."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

BUDGETS = (25, 50, 100, 200)
RANDOM, KNOWING = "random", " knowing "
MEAN, MEAN_KNOWING = "Mean", "Mean, others known"
Shares = Mapping[int, float]  # by seed
Curves = dict[int, Shares]  # by trials
Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Paired:
    """Mean difference over the seeds that both have, and its standard error."""

    difference: float
    error: float

    @property
    def errors(self) -> float:
        """The difference in standard errors."""
        if not self.error:
            return math.copysign(math.inf, self.difference) if self.difference else 0.0
        return self.difference / self.error


# --- statistics


def paired(one: Shares, other: Shares) -> Paired:
    """one - other. Raises: ValueError where fewer than two seeds are common, for then nothing is known of the error."""
    differences = [one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())]
    if len(differences) < 2:
        raise ValueError(f"{len(differences)} common seeds say nothing of an error: at least 2 are needed (--seeds).")
    return Paired(fmean(differences), stdev(differences) / math.sqrt(len(differences)))


def over_spaces(each: Sequence[Shares]) -> dict[int, float]:
    """Mean over spaces by seed, of the seeds that every space has."""
    seeds = set.intersection(*(set(shares) for shares in each))
    return {seed: fmean(shares[seed] for shares in each) for seed in sorted(seeds)}


def first_place(by_sampler: Mapping[str, Shares]) -> tuple[str, str, Paired]:
    """The best mean, the second, and what lies between them."""
    first, second = sorted(by_sampler, key=lambda name: -fmean(by_sampler[name].values()))[:2]
    return first, second, paired(by_sampler[first], by_sampler[second])


# --- reading


def read(paths: Iterable[Path]) -> list[Report]:
    """Files of the same kind as one report; of several runs of one search the last counts."""
    kinds: dict[Any, Report] = {}
    for path in paths:
        report = json.loads(path.read_text())
        whole = kinds.setdefault((report["shuffled"], *report["places"]), report)
        whole["spaces"].update(report["spaces"])
        for label, samplers in report["runs"].items():
            whole["runs"].setdefault(label, {}).update(samplers)
    return list(kinds.values())


def curves(report: Report, label: str, at: Sequence[int]) -> dict[str, Curves]:
    """Shares by sampler, trials and seed."""
    places = [report["places"].index(trials) for trials in at]
    return {
        sampler: {
            trials: {int(seed): listed[place] for seed, listed in told["shares"].items()}
            for trials, place in zip(at, places, strict=True)
        }
        for sampler, told in report["runs"].get(label, {}).items()
    }


def mean_curves(each: Sequence[dict[str, Curves]], at: Sequence[int]) -> dict[str, Curves]:
    """Mean over spaces, of the samplers that searched all of them."""
    names = [name for name in each[0] if all(name in curves for curves in each)]
    return {name: {trials: over_spaces([one[name][trials] for one in each]) for trials in at} for name in names}


def panels(report: Report, at: Sequence[int]) -> dict[str, dict[str, Curves]]:
    """Curves of each space, and means over the spaces searched cold and over those where others are known."""
    found = {label: curves(report, label, at) for label in report["runs"]}
    for title, labels in (
        (MEAN, [label for label in found if KNOWING not in label]),
        (MEAN_KNOWING, [label for label in found if KNOWING in label]),
    ):
        if len(labels) > 1:
            found[f"{title}, {len(labels)} spaces"] = mean_curves([found[label] for label in labels], at)
    return found


# --- the table


def table(reports: Sequence[Report]) -> str:
    """Markdown, a table for each space and mean. Raises: SystemExit where the seeds are too few."""
    try:
        return "\n\n".join(part for report in reports for part in parts(report))
    except ValueError as error:
        sys.exit(str(error))


def parts(report: Report) -> list[str]:
    """Behind a share stands its paired difference to what it should be held against, in standard errors: to random
    where times are shuffled, to the same search cold where others are known."""
    at = [trials for trials in report["places"] if trials in BUDGETS or trials == report["places"][-1]]
    shown = panels(report, at)
    written = []
    for label, found in shown.items():
        beside: dict[str, Curves] = {}
        if report["shuffled"]:
            beside = {name: found[RANDOM] for name in found if RANDOM in found and name != RANDOM}
        elif KNOWING in label:
            beside = shown.get(label.partition(KNOWING)[0], {})
        elif label.startswith(MEAN_KNOWING):
            cold = [curves(report, each.partition(KNOWING)[0], at) for each in shown if KNOWING in each]
            beside = mean_curves(cold, at)
        written.append(section(title(report, label, found), found, beside, report["runs"].get(label, {})))
    return written


def title(report: Report, label: str, found: Mapping[str, Curves]) -> str:
    """Of which space, how large, how many seeds."""
    words = [label + (", times shuffled" if report["shuffled"] else "")]
    if space := report["spaces"].get(label.partition(KNOWING)[0]):
        words.append(f"{space['configs']:,} configs, {space['failed']:,} fail")
    seeds = sorted({len(shares) for each in found.values() for shares in each.values()})
    words.append(f"{'-'.join(map(str, sorted({*seeds[:1], *seeds[-1:]})))} seeds")
    if report["shuffled"]:
        words.append("in brackets the paired difference to random, in standard errors")
    elif KNOWING in label or label.startswith(MEAN_KNOWING):
        words.append("in brackets the paired difference to the same search cold, in standard errors")
    return "; ".join(words)


def section(
    heading: str, found: Mapping[str, Curves], beside: Mapping[str, Curves], told: Mapping[str, Mapping[str, Any]]
) -> str:
    """One table: samplers by their last share, then who is first at each budget and by how much."""
    if not found:
        return f"### {heading}\n\nNo search was run on all of them."
    at = list(next(iter(found.values())))
    last = {name: fmean(each[at[-1]].values()) for name, each in found.items()}
    lines = [f"### {heading}", "", f"| | {' | '.join(map(str, at))} | trials | ms a trial |"]
    lines.append("|---|" + "--:|" * (len(at) + 2))
    places = {trials: first_place({n: each[trials] for n, each in found.items()}) for trials in at if len(found) > 1}
    for name in sorted(found, key=lambda name: -last[name]):
        cells = []
        for trials in at:
            cell = f"{fmean(found[name][trials].values()):.3f}"
            cell = f"**{cell}**" if trials in places and places[trials][0] == name else cell
            held = f" ({paired(found[name][trials], beside[name][trials]).errors:+.1f})" if name in beside else ""
            cells.append(cell + held)
        for field, form in (("trials", "{:.0f}"), ("sampler_ms", "{:.2f}")):
            values = told.get(name, {}).get(field, {}).values()
            cells.append(form.format(fmean(values)) if values else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if places:
        gaps = [f"{gap.difference:+.3f}, {gap.errors:.1f} SE" for _, _, gap in places.values()]
        lines.append(f"| first | {' | '.join(first for first, _, _ in places.values())} | | |")
        lines.append(f"| before the second | {' | '.join(gaps)} | | |")
        lines.append(f"| second | {' | '.join(second for _, second, _ in places.values())} | | |")
    return "\n".join(lines)


# --- the picture


def draw(reports: Sequence[Report], out: Path) -> None:
    """Mean curves of each space, as a page that needs no network, or as PNG where plotly has its browser."""
    from plotly.colors import qualitative
    from plotly.graph_objects import Figure, Scatter
    from plotly.subplots import make_subplots

    report = reports[0]
    at = report["places"]
    shown = panels(report, at)
    rows = math.ceil(len(shown) / 2)
    figure: Figure = make_subplots(rows, 2, subplot_titles=list(shown), vertical_spacing=0.25 / rows)
    names = list(dict.fromkeys(name for found in shown.values() for name in found))
    for number, found in enumerate(shown.values()):
        for name, each in found.items():
            line = {
                "color": qualitative.Dark24[names.index(name) % 24],
                "dash": "dot" if name.startswith("kernel_tuner") else "solid",
            }
            shares = [fmean(each[trials].values()) for trials in at]
            drawn = Scatter(x=at, y=shares, name=name, legendgroup=name, showlegend=number == 0, line=line)
            figure.add_trace(drawn, row=number // 2 + 1, col=number % 2 + 1)
    figure.update_xaxes(type="log", tickvals=at, title="trials")
    figure.update_yaxes(title="optimum ÷ best")
    figure.update_layout(template="plotly_white", height=380 * rows, width=1200)
    if out.suffix == ".html":
        figure.write_html(out, include_plotlyjs=True)
        return
    try:
        figure.write_image(out)
    except (ValueError, RuntimeError) as error:  # plotly's own words say which part is missing
        sys.exit(f"{out}: {error}")
