"""What is wrong with a container is one sentence at submission, as a real runtime has it."""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from containers import base, cache, unpack
from containers.root import obstacle
from jobs import container_check
from jobs.container import Container, ContainerConfig
from jobs.container_check import check
from jobs.runtimes import Runtime
from wavenet.errors import InputError, UsageError, WavenetError

pytestmark = [pytest.mark.xdist_group("preflight"), pytest.mark.timeout(900)]

PYTHON = "/usr/bin/python3"
# The header of a program for ARM's processors, where its type is all that a kernel looks at.
FOREIGN = b"\x7fELF\x02\x01\x01" + bytes(9) + (2).to_bytes(2, "little") + (183).to_bytes(2, "little") + bytes(44)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Debian with a Python, unpacked: an image of somebody else's."""
    if reason := obstacle():
        pytest.skip(f"no image can be made here: {reason}")
    if shutil.which("ch-run") is None:
        pytest.skip("charliecloud is not installed: apt-get install charliecloud")
    folder = tmp_path_factory.mktemp("images") / "debian"
    unpack.unpack(base.local(cache.default_folder()), folder)
    return folder


@pytest.fixture
def image(debian: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, for one test to put something into; a login has set what charliecloud asks for."""
    monkeypatch.setenv("USER", "root")
    packages = debian / "usr" / "lib" / "python3" / "dist-packages"
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    return debian


def install(image: Path, version: str, cuda: str) -> None:
    """What the look inside finds of the program and of torch."""
    packages = image / "usr" / "lib" / "python3" / "dist-packages"
    about = packages / f"wavenet_exploration-{version}.dist-info" / "METADATA"
    for path, text in {
        about: f"Metadata-Version: 2.1\nName: wavenet-exploration\nVersion: {version}\n",
        packages / "jobs" / "__init__.py": "",
        packages / "torch" / "__init__.py": "raise SystemExit('torch takes seconds to import')",
        packages / "torch" / "version.py": f"cuda = {cuda}\nhip = None\n",
    }.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


def container(image: Path, *folders: Path, has_gpus: bool = False, **options: object) -> Container:
    config = ContainerConfig(image=str(image), runtime=Runtime.charliecloud, **{"python": PYTHON, **options})
    return Container(config, folders, has_gpus, here=Path("/"))


def refusal(one: Container) -> WavenetError:
    with pytest.raises(WavenetError) as caught:
        check(one)
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_whole_image_is_taken(image: Path, tmp_path: Path) -> None:
    """With its program, and every folder seen inside as it is outside."""
    install(image, metadata.version("wavenet-exploration"), "None")
    check(container(image, tmp_path))


def test_another_program_is_refused(image: Path) -> None:
    """A Debian has a Python, and nothing of ours."""
    said = refusal(container(image))
    assert isinstance(said, InputError)
    assert f"has {PYTHON}, but not this program; containers/build makes one that has" in str(said)


def test_another_version_is_refused(image: Path) -> None:
    """Its jobs would be sent what they do not understand."""
    install(image, "9.9", "None")
    said = refusal(container(image))
    assert isinstance(said, InputError)
    assert f"has version 9.9 of this program, and here is {metadata.version('wavenet-exploration')}" in str(said)


def test_no_python_where_it_should_be_is_refused(image: Path) -> None:
    """As in an image that is none of ours."""
    said = refusal(container(image, python="/opt/wavenet/bin/python"))
    assert "has no /opt/wavenet/bin/python: it is not one of this program's" in str(said)


def test_another_processor_is_refused(image: Path) -> None:
    """Whoever built it on a laptop of another kind is told so."""
    program = image / "usr" / "bin" / "python-foreign"
    program.write_bytes(FOREIGN)
    program.chmod(0o755)
    said = refusal(container(image, python="/usr/bin/python-foreign"))
    assert f"is for other processors than this machine's, which are {os.uname().machine}" in str(said)


def test_a_path_that_is_not_seen_is_named(image: Path, tmp_path: Path) -> None:
    """Not even if a folder of that name is inside: it has to be the same one."""
    install(image, metadata.version("wavenet-exploration"), "None")
    said = refusal(container(image, tmp_path, options=("--private-tmp",)))
    assert isinstance(said, UsageError)
    assert f"'{tmp_path}' is not seen in the container" in str(said)
    assert "'/usr' is not seen in the container" in str(refusal(container(image, Path("/usr"))))


def test_torch_without_gpus_is_refused_where_a_job_asks_for_some(image: Path) -> None:
    """The variant for processors would wait for a GPU and leave it idle."""
    install(image, metadata.version("wavenet-exploration"), "None")
    said = refusal(container(image, has_gpus=True))
    assert "the job asks for GPUs, and torch in the image" in str(said)


def test_a_gpu_that_is_not_seen_inside_is_told(
    image: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine has one, which a file stands for here, and the container does not show it."""
    install(image, metadata.version("wavenet-exploration"), "'13.0'")
    device = tmp_path / "gpu"
    device.touch()
    monkeypatch.setattr(container_check, "_GPUS", (str(device),))
    check(container(image, has_gpus=True))
    said = refusal(container(image, has_gpus=True, options=("--private-tmp",)))
    assert "no GPU is seen in the container, though the job asks for some" in str(said)


def test_a_missing_image_is_refused(tmp_path: Path) -> None:
    """Before the runtime is asked."""
    if shutil.which("ch-run") is None:
        pytest.skip("charliecloud is not installed: apt-get install charliecloud")
    assert "is not there; containers/build makes an image" in str(refusal(container(tmp_path / "missing")))


def test_a_site_without_pyxis_says_so(tmp_path: Path) -> None:
    """Its srun does not know the plugin's options."""
    if shutil.which("srun") is None:
        pytest.skip("Slurm is not installed: apt-get install slurm-client")
    config = ContainerConfig(image="site/wavenet", runtime=Runtime.pyxis)
    assert "srun here has no --container-image" in str(refusal(Container(config, (), has_gpus=False)))
