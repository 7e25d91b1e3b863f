"""The report folder: complete, replaceable, honest about what is missing, and silent about nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timezone

import nbclient
import nbformat
import numpy as np
import pytest

import wavenet
from wavenet.checkpoint import state
from wavenet.checkpoint.ledger import Ledger, Owner
from wavenet.checkpoint.store import commit
from wavenet.errors import InputError
from wavenet.model.config import ModelConfig
from wavenet.model.network import WaveNet
from wavenet.report.config import ReportConfig
from wavenet.report.gather import gather
from wavenet.report.page import write_report
from wavenet.run_paths import RunPaths

NOW = datetime(2026, 3, 2, tzinfo=timezone.utc)


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small_run(new_run):
    """One pair of one genre, and its checkpoint."""
    run = new_run()
    run.checkpoint(20)
    run.generate([(0, 20)])
    return run


def test_a_report_is_complete(whole_report):
    """Page, figures, audio, models, notebook and data are in one folder, everything else under 2 MB."""
    files = contents(whole_report)
    assert {"index.html", "data.json", "figures.ipynb"} < set(files)
    assert sum(name.endswith(".mp3") for name in files) == 80
    assert sum(name.endswith(".svg") for name in files) == 6 * 4
    assert sum(len(content) for name, content in files.items() if not name.startswith(("audio", "models"))) < 2_000_000


def test_wav_comes_only_on_demand(small_run):
    """By default MP3 alone; with wav both, each offered by the page; without it again they are gone."""
    told = []
    for wav in (False, True, False):
        index = write_report(small_run.paths, ReportConfig(wav=wav))
        told.append(
            (sum(name.endswith(".wav") for name in contents(index.parent)), '.wav"' in index.read_text("utf-8"))
        )
    assert told == [(0, False), (2, True), (0, False)]


def test_the_same_run_gives_the_same_bytes(small_run):
    """Written twice at the same time of day, every file is bitwise equal."""
    folder = write_report(small_run.paths, ReportConfig(), now=NOW).parent
    first = contents(folder)
    write_report(small_run.paths, ReportConfig(), now=NOW)
    assert contents(folder) == first


def test_models_are_checkpoints_without_what_training_needs(whole_report):
    """Each model holds exactly the weights that made the clips and is itself a sound checkpoint."""
    folder = whole_report / "models"
    assert sorted(path.name for path in folder.iterdir()) == [f"step-{s:08d}-ema" for s in (20, 400, 800, 1200)]
    for path in folder.iterdir():
        state.verify(path)
        assert sorted(file.name for file in path.iterdir()) == ["checkpoint.json", "weights.safetensors"]
        assert state.read_arrays(path, "weights")["causal.weight"][0, 0] == state.read_facts(path)["step"]


def test_a_brought_model_loads_without_the_run(new_run, tmp_path):
    """`wavenet.load`, as the page says, reads a model from a report carried elsewhere: the averaged weights."""
    run, config = new_run(), ModelConfig(num_stacks=1, layers_per_stack=2, num_conditions=5)
    arrays = {group: WaveNet(config) for group in ("weights", "ema")}
    for seed, network in enumerate(arrays.values()):
        network.initialise(seed)
    facts = {"step": 20, "position": 20, "model": config.to_dict(), "sample_rate_hz": 16_000, "classes": list("abcde")}
    ledger = Ledger.claim(run.paths, Owner("node01", 1, 1))
    commit(run.paths, ledger, facts, {group: network.to_arrays() for group, network in arrays.items()})
    run.generate([(0, 20)])
    folder = write_report(run.paths, ReportConfig()).parent.rename(tmp_path / "carried away")
    levels = np.arange(10) % 256
    loaded = wavenet.load(folder / "models" / "step-00000020-ema").logits(levels, 0)
    expected = wavenet.load(run.paths.checkpoint(20), "ema").logits(levels, 0)
    assert (np.asarray(loaded) == np.asarray(expected)).all()
    assert not (np.asarray(loaded) == np.asarray(wavenet.load(run.paths.checkpoint(20), "raw").logits(levels, 0))).all()


def test_models_can_be_left_out(small_run):
    """Without models, those of an earlier report are removed."""
    folder = write_report(small_run.paths, ReportConfig()).parent / "models"
    assert folder.exists()
    write_report(small_run.paths, ReportConfig(models=False))
    assert not folder.exists()


def test_the_notebook_draws_the_figures_of_the_page(whole_report, tmp_path):
    """Executed beside data.json alone, in a fresh kernel, it shows the very SVGs of the report."""
    (tmp_path / "data.json").write_bytes((whole_report / "data.json").read_bytes())
    notebook = nbformat.read(whole_report / "figures.ipynb", as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    drawn = [
        output["data"]["image/svg+xml"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "display_data"
    ]
    shown = [(whole_report / "figures" / f"{name}-wide-light.svg").read_text("utf-8")
             for name in ("classes", "loss", "seconds", "validation", "time", "generation")]  # fmt: skip
    # IPython writes the XML anew: compare what it says, not how.
    assert [*map(ElementTree.canonicalize, drawn)] == [*map(ElementTree.canonicalize, shown)]


def test_every_restart_is_told_with_cause_and_host(whole_report):
    """Causes of all restarts, what moved and which steps were lost, in the data, the text and the attempts."""
    marks = json.loads((whole_report / "data.json").read_text())["restarts"]
    told = [(mark["step"], mark["cause"], mark["is_moved"], mark["lost_steps"]) for mark in marks]
    expected = [(280, "preemption", True, 20), (620, "time limit", False, 0), (840, "crash", True, 60)]
    assert told == expected
    page = (whole_report / "index.html").read_text("utf-8")
    assert (
        "3 restarts: 1 after preemption, 1 after a time limit, 1 after a crash. 2 moved to another host; 80 steps"
        in page
    )


def test_where_the_time_went_is_told(whole_report):
    """Goodput, hours used and wasted, stalls of commits, and of each attempt its times before and at the first step."""
    page = " ".join((whole_report / "index.html").read_text("utf-8").split())
    assert re.search(
        r"Of 10 min \d\d s used, 2\d\.\d % went into steps that counted \(goodput\); \d min .. s were wasted", page
    )
    assert "12 commits: half of them took at most 0.21 s (p50), 99 % at most 0.83 s (p99)" in page
    assert "a kill costs the work of no more than that" in page
    assert page.count('<td class="number">8.20 s</td><td class="number">6.10 s</td>') == 4
    parts = {part["name"]: part for part in json.loads((whole_report / "data.json").read_text())["time"]["parts"]}
    assert {name for name, part in parts.items() if part["counts"]} == {"steps that counted"}
    assert {"steps made again", "start-up", "loading", "in the queue", "saving checkpoints"} <= parts.keys()


def test_a_step_from_which_a_run_went_on_differently_is_marked(new_run):
    """In the text, in the attempts and as a line in the figures."""
    run = new_run()
    run.train(((0, 40, "node01", "preemption"),), num_steps=100)
    first = run.paths.attempt_history(1).read_bytes()
    run.train(((0, 40, "node01", "preemption"), (40, 90, "node01", "finished")), 100, accepted=["training.threads"])
    run.paths.attempt_history(1).write_bytes(first)
    page = write_report(run.paths, ReportConfig())
    text = page.read_text("utf-8")
    assert "went on after step 40 with another training.threads: from there on it is not bitwise the same" in text
    assert text.count("went on in spite of another training.threads") == 1
    for name in ("loss", "seconds"):
        svg = (page.parent / "figures" / f"{name}-wide-light.svg").read_text("utf-8")
        assert svg.count("went on with another training.threads") == 1


def test_a_damaged_checkpoint_is_named(new_run):
    """With what was found in it, at the attempt that found it."""
    run = new_run()
    run.train(
        ((0, 40, "node01", "preemption"), (20, 90, "node01", "finished")), 100, damages=["step-00000040 is damaged"]
    )
    assert "found damaged: step-00000040 is damaged" in write_report(run.paths, ReportConfig()).read_text("utf-8")


def test_an_empty_run_says_what_is_not_there_yet(new_run):
    """A run folder with nothing in it still gives a page that names each missing part."""
    page = write_report(new_run().paths, ReportConfig()).read_text("utf-8")
    for sentence in ("No step of training", "no validation loss", "No checkpoint", "Nothing is generated", "no frozen"):
        assert sentence in page


@pytest.mark.parametrize("parts", ["data", "train", "train one step", "checkpoint", "generate"])
def test_any_single_part_gives_a_page(new_run, parts):
    """Data only, training only, a single step, one checkpoint, or audio without any data facts."""
    run = new_run()
    {
        "data": run.describe_data,
        "train": lambda: run.train(((0, 60, "node01", ""),), num_steps=100),
        "train one step": lambda: run.train(((0, 1, "node01", ""),), num_steps=100),
        "checkpoint": lambda: run.checkpoint(20),
        "generate": lambda: run.generate([(2, 20)]),
    }[parts]()
    page = write_report(run.paths, ReportConfig()).read_text("utf-8")
    assert "Not there yet" in page


def test_a_run_that_does_not_exist_is_refused(tmp_path):
    """The message names the key and the folder."""
    with pytest.raises(InputError, match=r"run=.*nothing.*must be the folder of a run"):
        write_report(RunPaths(tmp_path / "nothing"), ReportConfig())


@pytest.mark.parametrize(
    "spoil",
    ["{", "[]", '{"class_id": 0}', '{"seconds": NaN}', "\x00", '{"mp3": "../../../etc/passwd"}', '{"mp3": "gone.mp3"}'],
)
def test_a_damaged_description_costs_one_clip(new_run, spoil):
    """The clip is named on the page with its reason and all the others are there."""
    run = new_run()
    run.generate([(0, 20), (1, 20)])
    victim = run.paths.generated / "gen_genre-1_num-20.json"
    good = json.loads(victim.read_text())
    mending = json.loads(spoil) if spoil.startswith('{"mp3"') or "NaN" in spoil else None
    victim.write_text(json.dumps({**good, "wav": "gone.wav", **mending}) if mending else spoil)
    material = gather(run.paths)
    assert len(material.clips) == 3
    assert len(material.problems) == 1
    assert "gen_genre-1_num-20.json is left out" in material.problems[0]
    assert "gen_genre-1_num-20.json is left out" in write_report(run.paths, ReportConfig()).read_text("utf-8")


@pytest.mark.parametrize("facts", ["[]", "{", '{"classes": 5, "not_taken": "x"}', '{"classes": [5, {"id": "a"}]}'])
def test_damaged_facts_of_the_data_cost_only_themselves(small_run, facts):
    """Whatever data.json holds, the audio is there under the names of its own descriptions."""
    small_run.paths.data_facts.write_text(facts)
    material = gather(small_run.paths)
    assert [row.name for row in material.classes] == ["metal"]
    assert "gen_genre-0_num-20.mp3" in write_report(small_run.paths, ReportConfig()).read_text("utf-8")


def test_unreadable_audio_is_named(small_run):
    """A clip whose WAV is not audio keeps its row, gets no picture, and is named."""
    wav = small_run.paths.generated / "gen_genre-0_num-20.wav"
    wav.unlink()
    wav.write_bytes(b"no audio")
    page = write_report(small_run.paths, ReportConfig()).read_text("utf-8")
    assert "gen_genre-0_num-20.mp3 cannot be read as audio" in page


def test_without_its_wav_a_clip_is_drawn_from_the_mp3(small_run):
    """Removing the WAV files to save space costs the report nothing."""
    for wav in small_run.paths.generated.glob("gen_*.wav"):
        wav.unlink()
    page = write_report(small_run.paths, ReportConfig()).read_text("utf-8")
    assert "Left out" not in page
    assert "have no picture" not in page


def test_what_an_earlier_report_left_is_removed(new_run):
    """Audio of clips that are gone does not stay; audio made anew replaces the old."""
    run = new_run()
    run.generate([(0, 20), (1, 20)])
    audio = write_report(run.paths, ReportConfig()).parent / "audio"
    for path in run.paths.generated.glob("gen_genre-1*"):
        path.unlink()
    renewed = run.paths.generated / "gen_genre-0_num-20.mp3"
    content = (run.paths.generated / "gen_genre-0_num-20_continuation.mp3").read_bytes()
    renewed.unlink()
    renewed.write_bytes(content)
    write_report(run.paths, ReportConfig())
    assert sorted(path.name for path in audio.iterdir()) == sorted(
        path.name for path in run.paths.generated.glob("gen_genre-0*.mp3")
    )
    assert (audio / renewed.name).read_bytes() == content


def test_names_that_are_no_unicode_do_not_stop_the_report(new_run):
    """A lone surrogate in a tag and a stray byte in the configuration are shown as something readable."""
    run = new_run()
    run.describe_data(("rock \ud800",))
    run.paths.config.write_bytes(b"source: /music/caf\xe9\n")
    page = write_report(run.paths, ReportConfig()).read_text("utf-8")
    assert "caf\\xe9" in page


def test_a_deleted_checkpoint_is_told(new_run):
    """Audio whose checkpoint retention has removed keeps its place; the missing model is named."""
    run = new_run()
    run.generate([(0, 20)])
    assert "not kept any more, so their models are not brought along: step 20" in write_report(
        run.paths, ReportConfig()
    ).read_text("utf-8")


def test_importing_the_report_is_quick_to_start():
    """Neither torch nor matplotlib is loaded before a figure is drawn."""
    code = "import sys, wavenet.report.page; print({'torch', 'matplotlib', 'soundfile'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "set()"
