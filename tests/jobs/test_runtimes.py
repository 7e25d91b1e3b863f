"""Each runtime is told the same in its own words: the image, what is seen of the machine, and whose GPUs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from jobs.container import Container, ContainerConfig
from jobs.queue.batch import launcher
from jobs.runtimes import Gpu, Runtime

FOLDER = Path("/scratch/a run")
EACH = pytest.mark.parametrize("runtime", list(Runtime))


def container(runtime: Runtime, *, has_gpus: bool = False, **options: object) -> Container:
    config = ContainerConfig(image="/images/wavenet", runtime=runtime, **options)
    return Container(config, (FOLDER,), has_gpus, here=FOLDER)


def words_of(one: Container) -> list[str]:
    """As the batch script's shell sees them, from srun on."""
    return shlex.split(launcher(FOLDER / "jobs" / "train-1", one))


@EACH
def test_python_inside_is_what_is_started_last(runtime: Runtime) -> None:
    """Whatever the runtime puts before it: submitit's words follow."""
    assert words_of(container(runtime))[-1] == "/opt/wavenet/bin/python"


@EACH
def test_folders_are_seen_under_their_own_names(runtime: Runtime) -> None:
    """Blanks in names included; and what the profile adds, where it says."""
    text = "\n".join(container(runtime, binds=("/music:/srv/music",)).command())
    assert str(FOLDER) in text
    assert "/music:/srv/music" in text


@EACH
def test_options_of_the_profile_come_before_the_image(runtime: Runtime) -> None:
    """After it they would be the program's."""
    words = container(runtime, options=("--further",)).command()
    image = next(index for index, word in enumerate(words) if word.endswith("/images/wavenet"))
    assert runtime is Runtime.pyxis or words.index("--further") < image


@pytest.mark.parametrize(
    ("runtime", "nvidia", "amd"),
    [
        (Runtime.apptainer, ["--nv"], ["--rocm"]),
        (Runtime.singularity, ["--nv"], ["--rocm"]),
        (
            Runtime.podman,
            ["--device=nvidia.com/gpu=all"],
            ["--device=/dev/kfd", "--device=/dev/dri", "--group-add=keep-groups"],
        ),
        (Runtime.charliecloud, [], []),
        (Runtime.pyxis, [], []),
    ],
)
def test_the_driver_is_shown_to_jobs_that_ask_for_gpus(runtime: Runtime, nvidia: list[str], amd: list[str]) -> None:
    """Or as the profile says; charliecloud shows the devices anyway, and enroot goes by a variable."""
    without = set(container(runtime).command())

    def more(*, has_gpus: bool, gpu: Gpu = Gpu.auto) -> set[str]:
        return set(container(runtime, has_gpus=has_gpus, gpu=gpu).command()) - without

    assert more(has_gpus=True) == more(has_gpus=False, gpu=Gpu.nvidia) == set(nvidia)
    assert more(has_gpus=True, gpu=Gpu.amd) == set(amd)
    assert more(has_gpus=True, gpu=Gpu.none) == set()


def test_pyxis_shows_gpus_to_who_asks_by_a_variable() -> None:
    """As enroot's hook for NVIDIA's driver reads it."""
    assert "NVIDIA_VISIBLE_DEVICES=all" in container(Runtime.pyxis, has_gpus=True).exported()
    assert "NVIDIA_VISIBLE_DEVICES=all" not in container(Runtime.pyxis).exported()


def test_pyxis_is_options_of_srun() -> None:
    """The plugin has no program of its own: between srun and the program inside are options only."""
    words = words_of(container(Runtime.pyxis, binds=("/music",)))
    options = words[words.index("srun") + 1 : -1]
    assert [word for word in options if not word.startswith("--")] == []
    assert "--container-image=/images/wavenet" in options
    assert f"--container-mounts={FOLDER}:{FOLDER},/music:/music" in options


@EACH
def test_only_named_variables_reach_the_inside(runtime: Runtime) -> None:
    """The host's PYTHONPATH is of another Python, and so are packages in the home folder."""
    export = next(word for word in words_of(container(runtime)) if word.startswith("--export="))
    assert "PYTHONPATH" not in export
    assert export.endswith(",PYTHONNOUSERSITE=1")
    assert "ALL" not in export


@pytest.mark.parametrize(
    ("runtime", "image", "is_file"),
    [
        (Runtime.apptainer, "wavenet.sif", True),
        (Runtime.apptainer, "docker://site/wavenet", False),
        (Runtime.charliecloud, "wavenet", True),
        (Runtime.podman, "localhost/wavenet", False),
        (Runtime.podman, "./wavenet", True),
        (Runtime.pyxis, "site/wavenet:1", False),
        (Runtime.pyxis, "/shared/wavenet.sqsh", True),
    ],
)
def test_an_image_is_a_file_or_a_name(runtime: Runtime, image: str, is_file: bool) -> None:
    """What is a file is named by its absolute path, and looked at before anything is submitted."""
    config = ContainerConfig(image=image, runtime=runtime)
    assert (config.file is not None) == is_file
    if not is_file:
        assert any(image in word for word in Container(config, (), has_gpus=False).command())


def test_podman_takes_a_folder_an_archive_and_a_name(tmp_path: Path) -> None:
    """Each in the form that it knows it by."""

    def last(image: str) -> list[str]:
        return Container(ContainerConfig(image=image, runtime=Runtime.podman), (), has_gpus=False).command()[-2:]

    assert last(str(tmp_path)) == ["--rootfs", str(tmp_path)]
    assert last("/images/wavenet.tar")[-1] == "oci-archive:/images/wavenet.tar"
    assert last("localhost/wavenet")[-1] == "localhost/wavenet"


def test_charliecloud_binds_to_folders_that_are_in_the_image(tmp_path: Path) -> None:
    """It makes none in an image that it shows read-only; /tmp is the host's already."""
    from jobs.container_check import make_mount_points

    config = ContainerConfig(image=str(tmp_path), runtime=Runtime.charliecloud, binds=("/music:/srv/music",))
    one = Container(config, (Path("/tmp/run"), Path("/scratch/run")), has_gpus=False)
    make_mount_points(one)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not any(path.iterdir())} == {
        "srv/music",
        "scratch/run",
    }
    assert [word for word in one.command() if word.startswith("--bind")] == [
        "--bind=/scratch/run:/scratch/run",
        "--bind=/music:/srv/music",
    ]
