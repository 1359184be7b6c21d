"""Compiles the loops of revealed/engine/loops.c beside it, where there is a compiler; without one all works, slower."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any
from zlib import crc32

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("src/revealed/engine/loops.c")
LIBRARY = SOURCE.with_suffix(".compiled")  # not .so, which is what a module of Python is called


class CompiledLoops(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles while a wheel is built, or the package is installed to be worked on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and put what came of it into the wheel; on Windows, or where it fails, nothing."""
        del version
        library = Path(self.root, LIBRARY)
        library.unlink(missing_ok=True)
        if sys.platform == "win32" or os.environ.get("REVEALED_PURE"):
            return
        compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
        options = [
            f"-DSOURCE={crc32(Path(self.root, SOURCE).read_bytes())}u",
            "-std=gnu99",
            "-O3",
            "-ffp-contract=off",
            "-fPIC",
            "-shared",
            "-fvisibility=hidden",
            "-Wno-psabi",
        ]
        command = [*compiler, *options, "-o", str(library), str(Path(self.root, SOURCE)), "-lm"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  (a compiler of theirs)
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", None) or error
            self.app.display_warning(f"revealed: loops were not compiled, numpy does their work, slower: {why}")
            return
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append(LIBRARY.as_posix())
