"""A workload as a picture: the total weighted time over the seconds, and where they went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..templates.catalogue import op_named
from .pictures import plotly
from .tasks import Task, WorkloadReport, curve

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

SEARCH, PLAYOFF, LINE = "#3b6fb6", "#e0a030", "#24292f"
ROW_PX, CURVE_PX, MOST_ROWS = 26, 320, 60


def picture(report: WorkloadReport) -> Figure:
    """Raises: UsageError where plotly is not installed."""
    go, make_subplots = plotly()
    tasks = sorted(report.tasks, key=lambda task: -(task.search_s + task.playoff_s))
    shown = [task for task in tasks if task.search_s][:MOST_ROWS]
    rows_px = ROW_PX * max(2, len(shown))
    figure = make_subplots(
        rows=2,
        cols=1,
        row_heights=[CURVE_PX, rows_px],
        shared_xaxes=True,
        vertical_spacing=70 / (CURVE_PX + rows_px),
        subplot_titles=["<b>total of weight × best time</b>", "<b>where the seconds went</b>"],
    )
    points = curve(report.tasks, report.moments, report.seconds)
    figure.add_trace(
        go.Scatter(
            x=[at_s for at_s, _ in points],
            y=[us / 1e3 for _, us in points],
            mode="lines",
            line={"shape": "hv", "color": LINE, "width": 2},
            hovertemplate="%{x:.1f} s: %{y:.4g} ms<extra></extra>",
            showlegend=False,
        ),
        row=1,
        col=1,
    )
    for bars in _bars(go, shown):
        figure.add_trace(bars, row=2, col=1)
    names = [_label(task) for task in shown]
    figure.update_yaxes(title="ms", rangemode="tozero", gridcolor="#e6e8eb", row=1, col=1)
    figure.update_yaxes(
        autorange="reversed", tickvals=list(range(len(shown))), ticktext=names, showgrid=False, row=2, col=1
    )
    figure.update_xaxes(range=[0, report.seconds], gridcolor="#e6e8eb", zeroline=False)
    figure.update_xaxes(title="seconds", row=2, col=1)
    figure.update_annotations(x=0, xanchor="left", font={"size": 14})
    figure.update_layout(
        title={"text": _title(report), "x": 0.01, "font": {"size": 16}},
        barmode="overlay",
        plot_bgcolor="white",
        font={"family": "sans-serif", "size": 12},
        margin={"l": 10, "r": 20, "t": 90, "b": 60},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.0, "yanchor": "bottom"},
        height=CURVE_PX + rows_px + 220,
    )
    return figure


def _bars(go: Any, tasks: list[Task]) -> list[Any]:
    """A bar for each slice, and one for each playoff, at the seconds when they ran."""
    kinds = (
        ("search", SEARCH, [(row, *piece) for row, task in enumerate(tasks) for piece in task.slices_s]),
        ("playoff", PLAYOFF, [(row, *piece) for row, task in enumerate(tasks) for piece in task.playoffs_s]),
    )
    return [
        go.Bar(
            name=name,
            orientation="h",
            y=[row for row, _, _ in pieces],
            base=[begin for _, begin, _ in pieces],
            x=[end - begin for _, begin, end in pieces],
            marker={"color": color, "line": {"color": "white", "width": 1}},
            hovertemplate="%{base:.1f} s, for %{x:.1f} s<extra>" + name + "</extra>",
        )
        for name, color, pieces in kinds
    ]


def _label(task: Task) -> str:
    op = op_named(task.problem.op)
    return f"{op.name} {op.shape_of(task.problem)} × {task.weight:g}"


def _title(report: WorkloadReport) -> str:
    if report.before_us is None or report.after_us is None:
        return f"{len(report.tasks)} problems on {report.host.target.name}"
    return (
        f"<b>{report.before_us / 1e3:.3g} ms → {report.after_us / 1e3:.3g} ms</b>: "
        f"{len(report.tasks)} problems on {report.host.target.name}"
    )
