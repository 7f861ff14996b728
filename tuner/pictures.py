"""Pictures as files: one page that needs no network, drawn by plotly where it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..spaces.errors import UsageError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def check_picture_file(path: Path) -> None:
    """Raises: UsageError for a file that could not be written as a picture, or where plotly is not installed."""
    if path.suffix not in (".html", ".json"):
        raise UsageError(
            f'--picture {path}: a picture is written as .html or .json, not "{path.suffix}". '
            "For .png or .svg open the .html and take the camera in its corner: that needs a browser."
        )
    if not path.parent.is_dir():
        raise UsageError(f"--picture {path}: there is no folder {path.parent}.")
    plotly()


def write(figure: Figure, path: Path) -> None:
    """As one page that needs no network, or as plotly's JSON. Raises: UsageError if the file cannot be written."""
    if path.suffix == ".html":
        saved = {"toImageButtonOptions": {"format": "svg", "filename": path.stem}, "displaylogo": False}
        height = f"{figure.layout.height}px"
        text = figure.to_html(include_plotlyjs=True, div_id="picture", config=saved, default_height=height)
    else:
        text = figure.to_json()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--picture {path}: {error.strerror}.") from None


def plotly() -> tuple[Any, Any]:
    """plotly.graph_objects and make_subplots. Raises: UsageError where plotly is not installed."""
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError:
        raise UsageError(
            'a picture is drawn by plotly, which is not installed: pip install "kerntune[report]"'
        ) from None
    return go, make_subplots
