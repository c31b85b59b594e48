"""What commands share: how they are run, what they say at the end, and short names for their annotations."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from tyro.conf import FlagCreatePairsOff, arg

from wordprint.desk.machine import cores
from wordprint.errors import ConfigError
from wordprint.stages.cluster import Cluster
from wordprint.stages.contract import Receipt
from wordprint.stages.progress import for_terminal

Fields = TypeVar("Fields")
Flat = Annotated[Fields, arg(name="")]
"""A dataclass whose fields are options of the command itself."""
Output = Annotated[Path, arg(aliases=["-o"], metavar="FOLDER", help="Folder to write.")]
Overwrite = Annotated[FlagCreatePairsOff[bool], arg(help="Replace another run's output in that folder.")]
Workers = Annotated[int, arg(aliases=["-j"], help="Processes; 0 means one per core.")]

_MOST_WORKERS = 64  # on a machine with few cores: waiting for a slow disk they may be useful, but each takes 100 MB


@dataclass(frozen=True)
class Execution:
    """How to run; none of it can change a result."""

    workers: Workers = 0
    cluster: Annotated[
        str, arg(metavar="ADDRESS", help="Cluster to run on instead, dask://host:port or ray://host:port; it sees the same files.")
    ] = ""
    overwrite: Overwrite = False

    def options(self) -> dict[str, Any]:
        """Keyword arguments of a stage function."""
        options: dict[str, Any] = {"overwrite": self.overwrite, "progress": for_terminal()}
        if self.cluster:
            if self.workers:
                raise ConfigError("both workers and cluster are set", expected="one of them: a cluster has its own workers")
            return options | {"workers": Cluster(self.cluster)}
        limit = max(_MOST_WORKERS, 4 * cores())
        if not 0 <= self.workers <= limit:
            raise ConfigError(f"workers is {self.workers}", expected=f"0 (one per core, here {cores()}) to {limit}")
        return options | {"workers": self.workers or cores()}


def columns() -> int:
    """Width of the terminal; 100 where the output goes elsewhere."""
    return shutil.get_terminal_size((100, 24)).columns


def report(receipt: Receipt) -> None:
    if receipt.fresh:  # a stage that was already done has said so
        print(receipt.summary)
