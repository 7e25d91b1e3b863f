"""Write the report folder of a run: figures, audio, models, notebook and, last, the page that needs them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wavenet import durable
from wavenet.progress import Progress, silent
from wavenet.report import samples, view, words
from wavenet.report.audio_files import bring_audio, remove_others
from wavenet.report.chart_data import chart_data
from wavenet.report.config import ReportConfig
from wavenet.report.figures import FIGURES, darkened, draw
from wavenet.report.gather import Material, gather
from wavenet.report.models import bring_models
from wavenet.report.notebook import notebook
from wavenet.report.samples import Thumbnails
from wavenet.report.spent_view import stall_sentence, time_sentence
from wavenet.run_paths import RunPaths

BYTE_BUDGET = 1_960_000
"""Most bytes of everything but audio and models; a little below the 2 MB promised."""

_SCRIPTS = ("pictures.js", "player.js", "table.js", "page.js")


@dataclass(frozen=True)
class Picture:
    """A figure in all its looks; label and caption are also its alternative text."""

    name: str
    label: str
    caption: str


def write_report(run: RunPaths, config: ReportConfig, progress: Progress = silent, now: datetime | None = None) -> Path:
    """Write, or replace, the report of ``run`` as it stands and return the path of its index.html.

    The folder opens from disk in a browser and may be zipped and taken anywhere. Whoever has the old page open keeps a
    working one: its files are replaced one by one, the page itself last, and only then what nothing needs is removed.

    Args:
        progress: in clips whose pictures are drawn.
        now: the time on the page; by default the present.

    Raises:
        InputError: there is no such run.
        StorageError: the report cannot be written.
    """
    material = gather(run)
    folder = durable.make_folder(run.report)
    problems = list(material.problems)
    with durable.storage_errors(folder):
        charts = chart_data(material)
        pictures, drawn = _write_figures(material, charts, folder)
        audio = bring_audio(material, folder / "audio", with_wav=config.wav)
        models = bring_models(material, folder / "models", problems) if config.models else []
        _write(folder / "data.json", json.dumps(charts, separators=(",", ":"), allow_nan=False).encode())
        _write(folder / "figures.ipynb", notebook([picture.name for picture in pictures.values()]))
        context = {
            **_context(material, config),
            "pictures": pictures,
            "models": models,
            "written": view.written(now or datetime.now(timezone.utc)),
        }
        _write(folder / "index.html", _page(material, context, problems, _used_bytes(folder, drawn), progress))
        remove_others(folder / "audio", audio)
        remove_others(folder / "figures", drawn)
        remove_others(folder / "models", {model.name for model in models})
    return folder / "index.html"


def _write(path: Path, content: bytes) -> None:
    """Leave a file alone that already holds ``content``: a report is written again and again."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return
    durable.write_bytes(path, content)


def _write_figures(material: Material, charts: Mapping[str, Any], folder: Path) -> tuple[dict[str, Picture], set[str]]:
    """Return the figures that exist, by name, and the names of their files."""
    captions = view.captions(material, charts["seconds"]["axis_top"])
    pictures, files = {}, set()
    for name in FIGURES:
        wide, narrow = draw(name, charts), draw(name, charts, is_narrow=True)
        if wide is None or narrow is None:
            continue
        pictures[name] = Picture(name, *captions[name])
        looks = {
            "wide-light": wide,
            "narrow-light": narrow,
            "wide-dark": darkened(wide),
            "narrow-dark": darkened(narrow),
        }
        for look, svg in looks.items():
            _write(folder / "figures" / f"{name}-{look}.svg", svg)
            files.add(f"{name}-{look}.svg")
    return pictures, files


def _context(material: Material, config: ReportConfig) -> dict[str, Any]:
    return {
        **view.heading(material, config.title),
        "missing": view.missing(material),
        "restart_sentence": view.restart_sentence(material),
        "time_sentence": time_sentence(material),
        "stall_sentence": stall_sentence(material),
        "attempts": view.attempt_rows(material),
        "classes": view.class_rows(material),
        "not_taken": view.not_taken_rows(material),
        "num_found": material.data.get("num_recordings_found"),
        "num_taken": material.data.get("num_recordings_taken"),
        "timings": view.timings(material),
        "steps": material.steps,
        "num_checkpoints": len(material.checkpoints),
        "links": view.links(material),
        "common_settings": view.common_settings(material),
        "versions": view.versions(material),
        "config_text": material.config_text,
        "data_digest": str(material.data.get("digest", "")),
        "has_wav": config.wav,
    }


def _page(
    material: Material, context: Mapping[str, Any], problems: list[str], used_bytes: int, progress: Progress
) -> bytes:
    """The page, its thumbnails as fine as the bytes allow that everything else leaves."""

    def rendered(thumbnails: Thumbnails) -> bytes:
        table = samples.table(material, thumbnails, with_wav=context["has_wav"])
        num_undrawn = thumbnails.places.count(-1)
        return _render({**context, "problems": problems, "num_undrawn": num_undrawn, "table": table})

    budget = BYTE_BUDGET - used_bytes - len(rendered(samples.without_thumbnails(material.clips)))
    return rendered(samples.draw_thumbnails(material.clips, budget, problems, progress))


def _used_bytes(folder: Path, figures: set[str]) -> int:
    paths = [folder / "data.json", folder / "figures.ipynb", *(folder / "figures" / name for name in figures)]
    return sum(path.stat().st_size for path in paths)


def _render(context: Mapping[str, Any]) -> bytes:
    """HTML in UTF-8. The template engine escapes everything but our own style and scripts and JSON escaped here."""
    environment = Environment(
        loader=PackageLoader("wavenet.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["size"] = words.size
    style, script = _static("page.css"), "".join(map(_static, _SCRIPTS))
    html = environment.get_template("index.html.j2").render(
        {
            **context,
            "style": style,
            "script": script,
            "style_digest": _csp_digest(style),
            "script_digest": _csp_digest(script),
            "table": samples.script_json(context["table"]),
        }
    )
    # A tag may hold a lone surrogate (from a \ud800 in JSON), which UTF-8 has no bytes for.
    return html.encode("utf-8", "backslashreplace")


def _static(name: str) -> str:
    return resources.files("wavenet.report").joinpath("static", name).read_text(encoding="utf-8")


def _csp_digest(text: str) -> str:
    """The only style and script that the page may run, as its content security policy names them."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
