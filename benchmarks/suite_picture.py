"""The ratios of the GEMM suite as a picture: plain SVG, which needs no library to draw and none to be looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

Result = Mapping[str, Any]

WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 920, 250, 110, 58, 22, 34
TICKS = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)
COLOURS = {"nt": "#1f5fa8", "nn": "#c4601d", "tn": "#4a7d36", "tt": "#7a4a9e"}


def svg(results: Sequence[Result], title: str) -> str:
    """One row a problem: how many times as fast as the fastest way of the vendor's, with its 95 % interval."""
    rows = [result for result in results if result.get("ratio") is not None]
    height = TOP + ROW * len(rows) + BOTTOM
    values = [end for row in rows for end in (row["interval"] or (row["ratio"],))] + [1.0]
    low, high = min(0.9, 0.97 * min(values)), max(1.25, 1.05 * max(values))

    def x(value: float) -> float:
        share = math.log(value / low) / math.log(high / low)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="14" y="22" font-size="15" fill="#1a1a1a">{escape(title)}</text>',
        '<text x="14" y="40" fill="#555555">times as fast as the fastest way of the vendor library, '
        "with the 95 % interval of paired rounds</text>",
        *_grid([tick for tick in TICKS if low <= tick <= high], x, height),
    ]
    for place, row in enumerate(rows):
        parts += _row(row, TOP + ROW * place + ROW / 2, x)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(ticks: Sequence[float], x: Any, height: int) -> list[str]:
    parts = []
    for tick in ticks:
        heavy = tick == 1.0
        colour, width = ("#1a1a1a", 1.5) if heavy else ("#dddddd", 1)
        line = f'<line x1="{x(tick)}" y1="{TOP - 4}" x2="{x(tick)}" y2="{height - BOTTOM}"'
        parts.append(f'{line} stroke="{colour}" stroke-width="{width}"/>')
        parts.append(
            f'<text x="{x(tick)}" y="{height - BOTTOM + 16}" text-anchor="middle" fill="#555555">{tick:g}</text>'
        )
    return parts


def _row(row: Result, y: float, x: Any) -> list[str]:
    colour = COLOURS.get(row["layout"], "#333333")
    start, end = sorted((x(1.0), x(row["ratio"])))
    width = f"{max(end - start, 0.5):.1f}"
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end" fill="#1a1a1a">{escape(row["problem"])}</text>',
        f'<rect x="{start}" y="{y - 6}" width="{width}" height="12" fill="{colour}" opacity="0.35"/>',
        f'<circle cx="{x(row["ratio"])}" cy="{y}" r="3.5" fill="{colour}"/>',
        f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4}" fill="#1a1a1a">{row["ratio"]:.3f}</text>',
    ]
    if row["interval"]:
        first, last = map(x, row["interval"])
        parts.append(f'<line x1="{first}" y1="{y}" x2="{last}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
    return parts
