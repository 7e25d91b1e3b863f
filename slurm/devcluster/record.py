"""What one cluster is: written down before anything is made, so that `down` finds all of it after any crash."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from pathlib import Path

from slurm.devcluster.errors import DevclusterError

RECORD = "cluster.json"
MOST_NODES = 80


@dataclass(frozen=True)
class Cluster:
    """One cluster. The slot is its number on this machine; ports and addresses follow from it."""

    name: str
    folder: Path
    slot: int
    user: str
    is_own_user: bool  # made by `up`, hence removed by `down`
    num_nodes: int = 3
    num_cpus: int = 2
    grace_seconds: int = 15
    is_isolated: bool = False
    has_accounting: bool = False
    settings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Letters only: node names are the name and a number, and no two clusters may make the same one. Links made of
        # it have at most 15 characters.
        if not re.fullmatch(r"[a-z]{1,8}", self.name):
            raise DevclusterError(f"a cluster's name is 1 to 8 letters a-z, not {self.name!r}")
        if not 1 <= self.num_nodes <= MOST_NODES:
            raise DevclusterError(f"a cluster has 1 to {MOST_NODES} nodes, not {self.num_nodes}")
        # Slurm reads paths up to the next blank, and a comment from #.
        if not re.fullmatch(r"/[\w./+-]+", str(self.folder)):
            raise DevclusterError(f"the folder is an absolute path without blanks or signs, not {str(self.folder)!r}")
        for setting in self.settings:
            if not re.fullmatch(r"\w+=[^\n]*", setting):
                raise DevclusterError(f"a setting is Key=Value, a line of slurm.conf, not {setting!r}")

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(f"{self.name}{number}" for number in range(1, self.num_nodes + 1))

    @property
    def node_range(self) -> str:
        return f"{self.name}[1-{self.num_nodes}]"

    @property
    def first_port(self) -> int:
        """A hundred ports each, below those that the kernel hands out."""
        return 21000 + 100 * self.slot

    @property
    def database_port(self) -> int:
        return self.first_port + 1

    @property
    def node_ports(self) -> range:
        return range(self.first_port + 11, self.first_port + 11 + self.num_nodes)

    @property
    def address(self) -> str:
        """Where the controller listens."""
        return f"10.77.{self.slot}.1" if self.is_isolated else "127.0.0.1"

    def address_of(self, node: str) -> str:
        return f"10.77.{self.slot}.{11 + self.nodes.index(node)}" if self.is_isolated else "127.0.0.1"

    @property
    def bridge(self) -> str:
        return f"dc-{self.name}"

    @staticmethod
    def link_of(node: str) -> str:
        return f"dc-{node}"

    @property
    def slurm_conf(self) -> Path:
        return self.folder / "slurm.conf"

    @property
    def hosts(self) -> Path:
        return self.folder / "hosts"

    @property
    def controller(self) -> Path:
        """State, log and process id of slurmctld and slurmdbd."""
        return self.folder / "controller"

    @property
    def munge(self) -> Path:
        return self.folder / "munge"

    @property
    def munge_socket(self) -> Path:
        return self.munge / "socket"

    @property
    def database(self) -> Path:
        return self.folder / "database"

    @property
    def output(self) -> Path:
        """What the daemons print before they have a log."""
        return self.folder / "output"

    def of_node(self, node: str) -> Path:
        return self.folder / "nodes" / node

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self) | {"folder": str(self.folder)}, indent=1) + "\n"

    @staticmethod
    def from_json(text: str) -> Cluster:
        fields = json.loads(text)
        return Cluster(**fields | {"folder": Path(fields["folder"]), "settings": tuple(fields["settings"])})
