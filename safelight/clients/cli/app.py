"""All commands together."""

import importlib.metadata
from typing import Annotated

import typer

from safelight.clients.cli import (
    account,
    adding,
    album,
    asset,
    camera,
    device,
    link,
    member,
    mirror,
    move,
    proposals,
    space,
    trash,
)

_EPILOG = (
    "The profile folder is SAFELIGHT_PROFILE, or your system's place for such data. Without a terminal, "
    "SAFELIGHT_PASSWORD is the account's password, SAFELIGHT_LINK_PASSWORD a link's and SAFELIGHT_VAULT_PASSPHRASE a "
    "vault's."
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Photographs go in sealed, come out whole, and are shown to exactly the people you choose.",
    epilog=_EPILOG,
)
app.add_typer(account.app, name="account")
app.add_typer(device.app, name="device")
app.add_typer(space.app, name="space")
app.add_typer(member.app, name="member")
app.add_typer(camera.app, name="camera")
app.add_typer(asset.app, name="asset")
app.add_typer(album.app, name="album")
app.add_typer(link.app, name="link")
app.command()(asset.export)
asset.app.command()(mirror.mirror)
asset.app.command()(adding.add)
asset.app.command()(move.move)
asset.app.command()(trash.trash)
asset.app.command()(trash.restore)
asset.app.command(name="propose-deletion")(proposals.propose)
asset.app.command()(proposals.proposals)
asset.app.command(name="confirm-deletion")(proposals.confirm)
asset.app.command(name="decline-deletion")(proposals.decline)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(importlib.metadata.version("safelight"))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before a command."""


__all__ = ["app"]
