"""A notebook that draws the report's figures again from data.json, needing nothing but matplotlib."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def notebook(figure_names: list[str]) -> bytes:
    """The notebook (format 4.5): the text of figures.py as a cell, then one cell per figure."""
    cells = [
        _markdown(
            "# The figures of this report\n\n"
            "Drawn again from `data.json`, which lies beside this notebook. It needs `matplotlib` and nothing else: "
            "the next cell holds the code that drew the figures of the page."
        ),
        _code(resources.files("wavenet.report").joinpath("figures.py").read_text(encoding="utf-8")),
        _code(
            "import json\nfrom pathlib import Path\n\nfrom IPython.display import SVG, display\n\n"
            'data = json.loads(Path("data.json").read_text(encoding="utf-8"))'
        ),
    ]
    for name in figure_names:
        cells += [_code(f"display(SVG(draw({name!r}, data)))")]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
        "cells": cells,
    }
    return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()


def _markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def _code(text: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": [], "source": text.strip()}
