"""The picture of a study: every trial with the best so far, times by each parameter's value, failures by kind."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .backends.stored import title_of
from .pictures import plotly
from .study_report import ParameterReport, StudyReport, TemplateReport, Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

TRIALS_PX, PARAMETERS_PX, FAILURE_PX, HEAD_PX, TOP_PX, BOTTOM_PX = 340, 230, 34, 96, 90, 60
COLUMNS = 3
MOST_PARAMETERS = 6
"""Of each template, those that matter most."""

COLORS = ("#3b6ea5", "#2a7f4f", "#b0662b", "#7a4fa3", "#a53b5c", "#4a8a8a")
"""One for each template in turn."""

BEST, FAILED = "#24292f", "#c8452c"
HOVER_CHARS = 90


def picture(report: StudyReport) -> Figure:
    """The whole study in one figure. Raises: UsageError where plotly is not installed."""
    go, make_subplots = plotly()
    shown = [(template, parameter) for template in report.templates for parameter in _important(template)]
    kinds = _kinds(report)
    figure = _framed(make_subplots, report, shown, kinds)
    colors = {template.digest: COLORS[place % len(COLORS)] for place, template in enumerate(report.templates)}
    for trace in _trials(go, report, colors):
        figure.add_trace(trace, row=1, col=1)
    figure.update_xaxes(title="trial", row=1, col=1)
    figure.update_yaxes(title="µs", type="log", row=1, col=1)
    for place, (template, parameter) in enumerate(shown):
        row, column = 2 + place // COLUMNS, 1 + place % COLUMNS
        figure.add_trace(_by_value(go, report, template, parameter, colors[template.digest]), row=row, col=column)
        figure.update_xaxes(type="category", row=row, col=column)
        figure.update_yaxes(title="µs" if column == 1 else None, type="log", row=row, col=column)
    if kinds:
        last = 2 + -(-len(shown) // COLUMNS)
        for bars in _failures(go, report, kinds, colors):
            figure.add_trace(bars, row=last, col=1)
        figure.update_xaxes(title="configs", row=last, col=1)
        figure.update_yaxes(autorange="reversed", row=last, col=1)
    return figure


def _framed(
    make_subplots: Any,
    report: StudyReport,
    shown: Sequence[tuple[TemplateReport, ParameterReport]],
    kinds: Sequence[str],
) -> Figure:
    """Room for everything: the trials over all columns, a cell for each parameter, the failures over all columns."""
    rows = [shown[place : place + COLUMNS] for place in range(0, len(shown), COLUMNS)]
    heights = [TRIALS_PX, *(PARAMETERS_PX for _ in rows), *([FAILURE_PX * (len(kinds) + 1)] if kinds else [])]
    whole = [{"colspan": COLUMNS}, *([None] * (COLUMNS - 1))]
    total_px = sum(heights) + HEAD_PX * (len(heights) - 1)
    figure = make_subplots(
        rows=len(heights),
        cols=COLUMNS,
        row_heights=heights,
        vertical_spacing=HEAD_PX / total_px if len(heights) > 1 else 0,
        horizontal_spacing=0.07,
        specs=[
            whole,
            *([*({} for _ in row), *(None for _ in range(COLUMNS - len(row)))] for row in rows),
            *([whole] if kinds else []),
        ],
        subplot_titles=_headlines(report, shown, bool(kinds)),
    )
    figure.update_xaxes(showgrid=True, gridcolor="#e6e8eb", zeroline=False)
    figure.update_yaxes(showgrid=True, gridcolor="#e6e8eb", zeroline=False)
    figure.update_annotations(font={"size": 13}, yshift=4)
    figure.update_layout(
        title={"text": f"<b>{_safe(title_of(report.key))}</b>", "x": 0.01, "y": 1, "yanchor": "top", "pad": {"t": 22}},
        barmode="stack",
        height=total_px + TOP_PX + BOTTOM_PX,
        margin={"l": 80, "r": 30, "t": TOP_PX, "b": BOTTOM_PX},
        plot_bgcolor="white",
        font={"family": "Helvetica, Arial, sans-serif", "size": 12, "color": "#24292f"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom", "yref": "paper"},
        hoverlabel={"align": "left", "bgcolor": "white"},
    )
    return figure


def _headlines(report: StudyReport, shown: Sequence[tuple[TemplateReport, ParameterReport]], failed: bool) -> list[str]:
    several = len(report.templates) > 1
    found = ["<b>every trial, and the best so far</b>"]
    for template, parameter in shown:
        of = f"{_safe(template.template)} " if several else ""
        found.append(f"{of}<b>{_safe(parameter.name)}</b> moves the time by {parameter.effect or 0.0:.1%}")
    return [*found, *(["<b>failures by kind</b>"] if failed else [])]


def _important(template: TemplateReport) -> list[ParameterReport]:
    return [parameter for parameter in template.parameters if parameter.effect is not None][:MOST_PARAMETERS]


def _kinds(report: StudyReport) -> list[str]:
    return list(dict.fromkeys(failure.kind for template in report.templates for failure in template.failures))


def _trials(go: Any, report: StudyReport, colors: dict[str, str]) -> list[Any]:
    """Points by template, raced out ones hollow, failures along the top, and the best as a line of steps."""
    found = []
    for digest, color in colors.items():
        ran = [trial for trial in report.trials if trial.template_digest == digest and trial.us is not None]
        for raced_out, words in ((False, ""), (True, ", raced out")):
            of = [trial for trial in ran if trial.raced_out == raced_out]
            if of:
                marker = {"color": color, "size": 6, "symbol": "circle-open" if raced_out else "circle"}
                found.append(_points(go, of, [t.us for t in of], f"{_safe(of[0].template)}{words}", marker))
    failed = [trial for trial in report.trials if trial.us is None]
    if failed:
        highest = max((trial.us for trial in report.trials if trial.us), default=1.0) * 1.15
        found.append(
            _points(go, failed, [highest] * len(failed), "failed", {"color": FAILED, "size": 6, "symbol": "x"})
        )
    steps = [(trial.number, trial.us) for trial in report.curve]
    if steps:
        ends = [*steps, (len(report.trials), steps[-1][1])]
        line = {"color": BEST, "width": 1.6, "shape": "hv"}
        x, y = [number for number, _ in ends], [us for _, us in ends]
        found.append(go.Scatter(x=x, y=y, mode="lines", line=line, name="best so far", hoverinfo="skip"))
    return found


def _points(go: Any, trials: Sequence[Trial], us: Sequence[float | None], name: str, marker: dict[str, Any]) -> Any:
    return go.Scatter(
        x=[trial.number for trial in trials],
        y=us,
        mode="markers",
        marker=marker,
        name=name,
        customdata=[_hover(trial) for trial in trials],
        hovertemplate="%{customdata}<extra></extra>",
    )


def _hover(trial: Trial) -> str:
    came = f"failed: {trial.failure}" if trial.us is None else f"{trial.us:,.4g} µs"
    config = "<br>".join(textwrap.wrap(_safe(repr(trial.config)), HOVER_CHARS, break_long_words=False))
    raced = ", raced out" if trial.raced_out else ""
    return f"<b>trial {trial.number}</b>, {trial.seconds:,.1f} s, {_safe(trial.template)}: {came}{raced}<br>{config}"


def _by_value(go: Any, report: StudyReport, template: TemplateReport, parameter: ParameterReport, color: str) -> Any:
    """Every time, in the order of the values."""
    ran = [trial for trial in report.trials if trial.us is not None and trial.template_digest == template.digest]
    values = sorted((tried.value for tried in parameter.values), key=_order)
    place = {repr(value): at for at, value in enumerate(values)}
    ran.sort(key=lambda trial: place.get(repr(trial.config.get(parameter.name)), len(place)))
    return go.Box(
        x=[_value(trial.config.get(parameter.name)) for trial in ran],
        y=[trial.us for trial in ran],
        boxpoints="all",
        jitter=0.5,
        pointpos=0,
        fillcolor="rgba(0,0,0,0)",
        line={"color": "rgba(0,0,0,0.25)", "width": 1},
        marker={"color": color, "size": 4, "opacity": 0.7},
        showlegend=False,
        customdata=[_hover(trial) for trial in ran],
        hovertemplate="%{customdata}<extra></extra>",
        hoveron="points",
    )


def _order(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then words, then absence."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return (2, 0.0, "") if value is None else (1, 0.0, str(value))


def _value(value: Any) -> str:
    return "absent" if value is None else _safe(str(value))


def _failures(go: Any, report: StudyReport, kinds: Sequence[str], colors: dict[str, str]) -> list[Any]:
    """A bar for each kind, with a part for each template."""
    found = []
    for template in report.templates:
        of_kind = {failure.kind: failure for failure in template.failures}
        shown = [of_kind[kind] for kind in kinds if kind in of_kind]
        if shown:
            found.append(
                go.Bar(
                    x=[failure.count for failure in shown],
                    y=[failure.kind for failure in shown],
                    orientation="h",
                    marker_color=colors[template.digest],
                    name=_safe(template.template),
                    showlegend=False,
                    text=[f"{failure.count:,}" for failure in shown],
                    customdata=[_reasons(failure.reasons) for failure in shown],
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )
    return found


def _reasons(reasons: Sequence[tuple[str, int]]) -> str:
    lines = (
        "<br>".join(textwrap.wrap(f"{count:,} × {_safe(reason)}", HOVER_CHARS, break_long_words=False))
        for reason, count in reasons
    )
    return "<br>".join(lines)


def _safe(text: str) -> str:
    return html.escape(text, quote=False)
