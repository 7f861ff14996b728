"""A picture of search spaces for a report: what is left of each after every constraint in turn, on a log axis."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..spaces.description import Description, Removal
from .pictures import plotly
from .space_report import count_text, feasible_text

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ROW_PX, HEAD_PX, TOP_PX, BOTTOM_PX = 38, 90, 130, 50
LABEL_CHARS = 50
KEPT, FINAL, REMOVED, IDLE = "#3b6ea5", "#2a7f4f", "#f2c9b0", "#c3cad3"
"""Blue for what is left, green for the feasible, pale for what a constraint took, grey where it took nothing."""

LEGEND = (
    f"<span style='color:{KEPT}'>■</span> left after each constraint in turn   "
    f"<span style='color:{REMOVED}'>■</span> removed by it   "
    f"<span style='color:{IDLE}'>■</span> it removes none of what is left   "
    f"<span style='color:{FINAL}'>■</span> feasible"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One bar: the configs left, and before; None where they are too many to count."""

    label: str
    left: int | None
    before: int | None
    color: str
    hover: str


def picture(title: str, descriptions: Mapping[str, Description]) -> Figure:
    """A funnel for each template, in one figure. Raises: UsageError where plotly is not installed."""
    go, make_subplots = plotly()
    funnels = [stages(description) for description in descriptions.values()]
    heights = [len(funnel) * ROW_PX for funnel in funnels]
    total_px = sum(heights) + HEAD_PX * (len(heights) - 1)
    figure = make_subplots(
        rows=len(funnels),
        cols=1,
        row_heights=heights,
        vertical_spacing=HEAD_PX / total_px if len(funnels) > 1 else 0,
        subplot_titles=[_headline(name, description) for name, description in descriptions.items()],
    )
    for row, funnel in enumerate(funnels, 1):
        low, high = _decades(funnel)
        for bars in _bars(go, funnel, 10.0**low):
            figure.add_trace(bars, row=row, col=1)
        figure.update_xaxes(range=[low, high + 0.35 * (high - low)], row=row, col=1)
        figure.update_yaxes(
            tickvals=list(range(len(funnel))), ticktext=[stage.label for stage in funnel], row=row, col=1
        )
    figure.update_xaxes(type="log", showgrid=True, gridcolor="#e6e8eb", zeroline=False, dtick=1, exponentformat="power")
    figure.update_yaxes(autorange="reversed", ticks="outside", tickcolor="white", ticklen=6, showgrid=False)
    figure.update_annotations(x=0, xanchor="left", xref="paper", font={"size": 14}, yshift=6)
    figure.update_layout(
        title={
            "text": f"<b>{html.escape(title, quote=False)}</b>",
            "subtitle": {"text": LEGEND, "font": {"size": 12}},
            "x": 0.01,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 26},
        },
        barmode="overlay",
        bargap=0.28,
        height=total_px + TOP_PX + BOTTOM_PX,
        margin={"l": 330, "r": 30, "t": TOP_PX, "b": BOTTOM_PX},
        plot_bgcolor="white",
        font={"family": "Helvetica, Arial, sans-serif", "size": 12, "color": "#24292f"},
        showlegend=False,
        hoverlabel={"align": "left", "bgcolor": "white"},
    )
    figure.update_xaxes(title="configs left", row=len(funnels), col=1)
    return figure


def stages(description: Description) -> list[Stage]:
    """Cartesian, what conditional parameters leave, what each constraint leaves in turn, feasible."""
    found = [Stage("all combinations", description.cartesian, None, KEPT, "of the parameters' values")]
    if description.unconstrained != description.cartesian:
        reason = "conditional parameters absent where they do not apply"
        found.append(Stage(_wrapped(reason), description.unconstrained, description.cartesian, KEPT, reason))
    left: int | None = description.unconstrained
    for removal in description.removals:
        before = left
        left = None if left is None or removal.in_turn is None else left - removal.in_turn
        color = IDLE if removal.in_turn == 0 else KEPT
        found.append(Stage(_wrapped(removal.reason), left, before, color, _hover(removal)))
    found.append(Stage("<b>feasible</b>", description.feasible, None, FINAL, "every constraint holds"))
    return found


def _decades(funnel: list[Stage]) -> tuple[float, float]:
    """Exponents of 10 between which the counts lie, with room below the smallest: a log axis has no 0 to begin at."""
    counts = [stage.left for stage in funnel if stage.left]
    low = math.floor(math.log10(min(counts) / 2))
    return low, max(math.log10(max(counts)), low + 1)


def _bars(go: Any, funnel: list[Stage], axis_begins: float) -> list[Any]:
    """What was there before each stage, pale, and over it what is left, with the counts as text.

    A bar of 0 configs, or of too many to count, ends where the axis begins: its text says which.
    """
    places = list(range(len(funnel)))
    before = [float(stage.before or stage.left or axis_begins) for stage in funnel]
    left = [float(stage.left or axis_begins) for stage in funnel]
    hover = [stage.hover for stage in funnel]
    shared = {"y": places, "orientation": "h", "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>"}
    return [
        go.Bar(x=before, marker_color=REMOVED, text=[_text(s) for s in funnel], textposition="outside", **shared),
        go.Bar(x=left, marker_color=[stage.color for stage in funnel], **shared),
    ]


def _text(stage: Stage) -> str:
    if stage.left is None:
        return "too many to count"
    if stage.before is None or stage.before == stage.left:
        return count_text(stage.left)
    removed = stage.before - stage.left
    share = f"−{count_text(removed)} ({removed / stage.before:.0%})"
    return f"{count_text(stage.left)}  <span style='color:#a4502a'>{share}</span>"


def _headline(name: str, description: Description) -> str:
    return f"<b>{html.escape(name, quote=False)}</b>  {feasible_text(description)}"


def _hover(removal: Removal) -> str:
    counts = (("in turn", removal.in_turn), ("alone", removal.alone), ("only it", removal.only_it))
    said = ", ".join(f"{what} {count_text(count)}" for what, count in counts)
    expression = "<br>".join(textwrap.wrap(html.escape(removal.expression, quote=False), 90, break_long_words=False))
    return f"<b>{html.escape(removal.reason, quote=False)}</b><br>{expression}<br>removes {said}"


def _wrapped(text: str) -> str:
    """In lines of about the same length."""
    lines = -(-len(text) // LABEL_CHARS)
    wrapped = textwrap.wrap(text, -(-len(text) // lines) + 6, max_lines=3, placeholder=" …")
    return "<br>".join(html.escape(line, quote=False) for line in wrapped)
