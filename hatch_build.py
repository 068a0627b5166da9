"""The build hook: an installation carries the built pages, and builds them with npm where they are missing."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

WEB_FOLDER = Path("safelight/web_share")


class PagesMissing(RuntimeError):
    """The pages are neither built nor can they be built here."""


def build_pages(web_folder: Path) -> None:
    """Build the pages of *web_folder* into its `dist`, unless they stand there already.

    Raises PagesMissing, in a sentence that a person can act on, where npm is absent or fails.
    """
    if any(web_folder.glob("dist/*")):
        return
    npm = shutil.which("npm")
    if npm is None:
        msg = "The pages are not built yet, and building them needs Node 20.19 or newer with npm; none was found."
        raise PagesMissing(msg)
    try:
        # Fixed arguments, no shell, and a program found on the PATH of whoever installs.
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=web_folder, check=True)  # noqa: S603
        subprocess.run([npm, "run", "build"], cwd=web_folder, check=True)  # noqa: S603
    except subprocess.CalledProcessError as error:
        msg = f"Building the pages failed in {web_folder}: {' '.join(error.cmd[1:])} ended with {error.returncode}."
        raise PagesMissing(msg) from error


class PagesHook(BuildHookInterface):  # type: ignore[type-arg]  # generic over a configuration that we do not have
    """Builds the pages before hatchling collects files; an editable installation leaves that to `make`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        """Called by hatchling before each build; *version* is `editable` or `standard`."""
        if version != "editable":
            build_pages(Path(self.root) / WEB_FOLDER)
