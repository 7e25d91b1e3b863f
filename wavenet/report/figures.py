"""Figures of the report, drawn from data.json alone.

This file needs nothing but matplotlib: its text is also a cell of figures.ipynb, which therefore draws the very same
figures wherever the report is taken.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Data = Mapping[str, Any]

# Colours on a light page. Each has its counterpart on a dark one, so that a figure is drawn once and recoloured.
INK, FAINT, PAPER, RAW, ACCENT = "#2a2c30", "#dcd8cf", "#fcfbf8", "#8db3c5", "#1b5a7d"

# Shape first, colour second: readable in print and by the colour-blind.
RESTART_MARKS = {
    "user": ("o", "#5b6470"),
    "preemption": ("^", "#b4540a"),
    "time limit": ("s", "#7a6a00"),
    "node failure": ("X", "#a3243b"),
    "crash": ("*", "#6a3fa0"),
}
OTHER_MARK = ("D", "#2f6f4f")
ACCEPTED = "#a3243b"

# After Okabe and Ito, told apart by the colour-blind too; each line also has a marker of its own.
LINES = (("#0072b2", "o"), ("#d55e00", "s"), ("#00805c", "^"), ("#b5568c", "D"),
         ("#857600", "v"), ("#3c8fc4", "P"), ("#7a5195", "X"), ("#666666", "*"))  # fmt: skip
MOST_LINES = len(LINES)
MOST_BARS = 20
MOST_MARKERS = 14

DARK = {
    INK: "#d9d6cf", FAINT: "#3a3f47", PAPER: "#16181c", RAW: "#5f8ea6", ACCENT: "#9fd0e8",
    "#5b6470": "#a9b2bd", "#b4540a": "#f2a65a", "#7a6a00": "#d8c64a", "#a3243b": "#f2808f", "#6a3fa0": "#c0a0f0",
    "#2f6f4f": "#86cfa8", "#0072b2": "#5cb3ea", "#d55e00": "#ff9a4d", "#00805c": "#3fd0a4", "#b5568c": "#eca3cf",
    "#857600": "#d9c94a", "#3c8fc4": "#a5d4f5", "#7a5195": "#c39be0", "#666666": "#b5b5b5",
}  # fmt: skip


def loss_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """Training loss against step with its trend and every restart; None before the first step."""
    return _curve_figure(data, "loss", "loss (nats)", is_narrow=is_narrow)


def seconds_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """Seconds per step against step with trend and restarts; None before the first step."""
    figure = _curve_figure(data, "seconds", "seconds per step", is_narrow=is_narrow)
    if figure is not None:
        figure.axes[0].set_ylim(0, data["seconds"]["axis_top"])
    return figure


def validation_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """Validation loss of all held-out clips and of each class (the first few); None before the first validation."""
    validation = data["validation"]
    if not validation["step"]:
        return None
    figure, axes = _axes(is_narrow, "loss (nats)", "step")
    trend = data["loss"]
    if trend["trend"]:
        axes.plot(trend["trend_step"], trend["trend"], color=RAW, lw=1.2, ls="--", label="training (trend)")
    every = _every(validation["step"])
    style: dict[str, Any]
    for (colour, marker), (name, losses) in zip(LINES, validation["per_class"].items(), strict=False):
        style = {"color": colour, "marker": marker, "markevery": every, "ms": 4, "lw": 1, "alpha": 0.85}
        axes.plot(validation["step"], losses, label=_label(name), **style)
    style = {"color": INK, "lw": 2, "marker": "o", "markevery": every, "ms": 4.5}
    axes.plot(validation["step"], validation["loss"], label="all held-out clips", **style)
    _legend(figure, axes, is_narrow)
    return figure


def classes_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """Hours of clips per class, for training and held out, with the number of recordings; None without classes."""
    classes = [entry for entry in data["classes"] if entry["num_recordings"]][:MOST_BARS]
    if not classes:
        return None
    figure, axes = _axes(is_narrow, "", "hours of clips", height=0.75 + 0.32 * len(classes))
    positions = range(len(classes))
    train = [entry["train_hours"] for entry in classes]
    held_out = [entry["validation_hours"] for entry in classes]
    axes.barh(positions, train, 0.62, color=ACCENT, label="training")
    axes.barh(positions, held_out, 0.62, left=train, color=PAPER, edgecolor=ACCENT, hatch="////", label="held out")
    for position, entry, end in zip(positions, classes, map(sum, zip(train, held_out, strict=True)), strict=True):
        count = entry["num_recordings"]
        axes.annotate(
            f"{count:,} recording{'' if count == 1 else 's'}", (end, position), (5, 0),
            textcoords="offset points", va="center", color=INK, alpha=0.8, fontsize="small",
        )  # fmt: skip
    axes.set_yticks(positions, [_label(entry["name"]) for entry in classes])
    _lay_bars(axes, is_narrow)
    _legend(figure, axes, is_narrow)
    return figure


def generation_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """Seconds of computing per genre × checkpoint pair against the checkpoint's step; None without audio."""
    times = data["generation"]
    if not times["step"]:
        return None
    figure, axes = _axes(is_narrow, "seconds per pair", "checkpoint (step)", height=2.2)
    range_style: dict[str, Any] = {"color": RAW, "alpha": 0.35, "lw": 5, "label": "shortest to longest"}
    if len(times["step"]) > MOST_MARKERS:
        axes.fill_between(times["step"], times["shortest"], times["longest"], **{**range_style, "lw": 0})
    else:
        axes.vlines(times["step"], times["shortest"], times["longest"], **range_style)
    every = _every(times["step"])
    axes.plot(times["step"], times["mean"], color=ACCENT, marker="o", markevery=every, ms=4.5, lw=1.2, label="mean")
    axes.set_ylim(bottom=0)
    _legend(figure, axes, is_narrow)
    return figure


def time_figure(data: Data, *, is_narrow: bool) -> Figure | None:
    """How long each part of the run took, filled where what was computed counts; None before the first step."""
    parts = data["time"]["parts"]
    if not parts:
        return None
    figure, axes = _axes(is_narrow, "", data["time"]["unit"], height=0.75 + 0.32 * len(parts))
    for counts, label in ((True, "counts"), (False, "does not count")):
        chosen = [(place, part) for place, part in enumerate(parts) if part["counts"] == counts]
        style: dict[str, Any] = {"color": ACCENT} if counts else {"color": PAPER, "edgecolor": ACCENT, "hatch": "////"}
        axes.barh([place for place, _ in chosen], [part["value"] for _, part in chosen], 0.62, label=label, **style)
    for place, part in enumerate(parts):
        axes.annotate(
            part["text"], (part["value"], place), (5, 0), textcoords="offset points", va="center", color=INK,
            alpha=0.8, fontsize="small",
        )  # fmt: skip
    axes.set_yticks(range(len(parts)), [part["name"] for part in parts])
    _lay_bars(axes, is_narrow)
    _legend(figure, axes, is_narrow)
    return figure


FIGURES: dict[str, Callable[..., Figure | None]] = {
    "classes": classes_figure,
    "loss": loss_figure,
    "seconds": seconds_figure,
    "validation": validation_figure,
    "time": time_figure,
    "generation": generation_figure,
}


def draw(name: str, data: Data, *, is_narrow: bool = False) -> bytes | None:
    """The figure ``name`` of `FIGURES` as SVG, the same bytes each time; None where its data are not there yet."""
    import matplotlib

    settings: Any = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.linewidth": 0.8,
        "hatch.linewidth": 0.7,
        "hatch.color": ACCENT,
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The reader's browser shows the text, in its own font, which has the Japanese that matplotlib's lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure = FIGURES[name](data, is_narrow=is_narrow)
        if figure is None:
            return None
        figure.draw_without_rendering()  # or labels are laid out beside ticks that change in the same moment
        buffer = io.BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    return _tidy(buffer.getvalue())


def darkened(svg: bytes) -> bytes:
    """The same figure for a dark page."""
    return re.sub(rb"#[0-9a-f]{6}", lambda match: DARK.get(match[0].decode(), match[0].decode()).encode(), svg)


def _tidy(svg: bytes) -> bytes:
    """Round coordinates to a hundredth of a point, which nobody sees, and show text in the reader's own font.

    matplotlib lays text out in a font that is wider than those named here, so nothing overflows.
    """
    fonts = b"system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
    rounded = re.sub(rb"<[^>]*>", lambda tag: re.sub(rb"(\d\.\d\d)\d+", rb"\1", tag[0]), svg)
    return re.sub(rb"'DejaVu Sans'(, sans-serif)?", fonts, rounded)


def _curve_figure(data: Data, key: str, label: str, *, is_narrow: bool) -> Figure | None:
    curve = data[key]
    if not curve["step"]:
        return None
    figure, axes = _axes(is_narrow, label, "step")
    per_point = curve["steps_per_point"]
    axes.plot(
        curve["step"], curve["mean"], color=RAW, lw=0.9,
        marker="o" if len(curve["step"]) == 1 else None, ms=4,
        label="each step" if per_point == 1 else f"mean of {per_point:,} steps",
    )  # fmt: skip
    if per_point > 1:
        axes.fill_between(curve["step"], curve["low"], curve["high"], color=RAW, alpha=0.22, lw=0,
                          label="lowest to highest")  # fmt: skip
    if curve["trend"]:
        axes.plot(curve["trend_step"], curve["trend"], color=ACCENT, lw=2, label="trend")
    _mark_restarts(axes, data["restarts"])
    _legend(figure, axes, is_narrow)
    return figure


def _mark_restarts(axes: Axes, marks: list[Mapping[str, Any]]) -> None:
    """A dotted line and, above the axes, a mark per restart: its shape is the cause, hollow is another host."""
    labelled = set()
    for mark in marks:
        marker, colour = RESTART_MARKS.get(mark["cause"], OTHER_MARK)
        axes.axvline(mark["step"], color=colour, lw=0.8, ls=(0, (1, 2)), alpha=0.9 if len(marks) < 60 else 0.35)
        if mark["accepted"]:
            names = _label(", ".join(mark["accepted"]))
            axes.axvline(mark["step"], color=ACCEPTED, lw=1.4, label=f"went on with another {names}")
        kind = (mark["cause"], mark["is_moved"])
        axes.plot(
            mark["step"], 1.045, transform=axes.get_xaxis_transform(), clip_on=False, ls="none",
            marker=marker, ms=8 if marker == "*" else 6.5, color=colour, mew=1.3,
            mfc=PAPER if mark["is_moved"] else colour,
            label=None if kind in labelled else f"restart after {_cause(mark)}",
        )  # fmt: skip
        labelled.add(kind)


def _cause(mark: Mapping[str, Any]) -> str:
    cause = {"user": "a stop by the user", "finished": "an earlier end"}.get(mark["cause"], _label(mark["cause"]))
    return f"{cause}, on another host" if mark["is_moved"] else f"{cause}, same host"


def _axes(is_narrow: bool, y_label: str, x_label: str, height: float = 2.7) -> tuple[Figure, Axes]:
    """A figure of ``height`` inches without its legend, which `_legend` makes room for."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    figure = Figure(figsize=(4.0 if is_narrow else 8.8, height), layout="constrained")
    axes = figure.subplots()
    axes.set_ylabel(y_label, color=INK)
    axes.set_xlabel(x_label, color=INK)
    axes.tick_params(colors=INK, length=3)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
    axes.grid(visible=True, axis="y", color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    if x_label.endswith(("step", "(step)")):
        axes.xaxis.set_major_locator(MaxNLocator(5 if is_narrow else 9, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return figure, axes


def _lay_bars(axes: Axes, is_narrow: bool) -> None:
    """Bars from left to right, the first on top, with room behind them for what they say."""
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.margins(x=0.22 if is_narrow else 0.13)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=FAINT, lw=0.6)


def _legend(figure: Figure, axes: Axes, is_narrow: bool) -> None:
    handles, labels = axes.get_legend_handles_labels()
    columns = 1 if is_narrow else 3
    num_rows = -(-len(labels) // columns)
    figure.set_figheight(figure.get_figheight() + 0.17 * num_rows)
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, frameon=False,
        labelcolor=INK, fontsize="small", handlelength=1.6, columnspacing=2.2,
    )  # fmt: skip


def _every(steps: list[int]) -> int:
    """Every how many-th point has a marker: enough to tell lines apart, few enough to stay small."""
    return -(-len(steps) // MOST_MARKERS)


def _label(name: str) -> str:
    """A name that fits beside an axis, without what XML forbids; a leading underscore would hide it from the legend."""
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
    text = text if len(text) <= 24 else f"{text[:23]}…"
    return f"\u200b{text}" if text.startswith("_") else text
