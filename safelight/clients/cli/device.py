"""`safelight device …`: the computers that are signed in to an account."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from safelight.clients.cli.asking import ask_new_password, ask_passphrase, ask_password, ask_words
from safelight.clients.cli.output import Column, JsonOption, note, print_json, print_table, say
from safelight.clients.cli.running import profile, run, with_account
from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.devices import (
    ListedDevice,
    SpaceOutcome,
    find_device,
    list_devices,
    revoke_device,
    tell_spaces,
)
from safelight.clients.engine.profile_secrets import needs_password
from safelight.clients.engine.renewal import renew_identity
from safelight.clients.engine.unlocking import MIN_PASSWORD_LENGTH

app = typer.Typer(no_args_is_help=True, help="Devices: the computers that are signed in to your account.")

_PASSWORD_PROMPT = "Your account's password, as it is to be from now on"

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="How its id begins; `device list` shows it.")]


@app.command(name="list")
def list_(json: JsonOption = False) -> None:
    """List your devices. Cameras are listed by `camera list`, space by space."""
    devices = with_account(list_devices)
    if json:
        print_json([_fields(device) for device in devices])
        return
    columns = [Column("id"), Column("added"), Column("last seen"), Column("state")]
    print_table(
        columns,
        ((one.device_id.hex()[:12], _day(one.created_ms), _minute(one.last_seen_ms), _state(one)) for one in devices),
    )


@app.command()
def revoke(id_: IdArgument, json: JsonOption = False) -> None:
    """Shut a device out that you still have: it signs in no more, and new keys begin in every space.

    A device that was lost or stolen held your account's secret: `device lost` is for that.

    Example: safelight device revoke 3f9a12
    """

    async def shut_out(session: AccountSession) -> tuple[ListedDevice, list[SpaceOutcome]]:
        device = find_device(await list_devices(session), id_)
        await revoke_device(session, device.device_id)
        return device, await tell_spaces(session)

    device, outcomes = with_account(shut_out)
    _report(device, outcomes, "revoked", json=json)


@app.command()
def lost(id_: IdArgument, json: JsonOption = False) -> None:
    """Shut out a device that was lost or stolen, with all that it could ever open of what is to come.

    Your account gets a new secret and a new identity. Your other devices are shut out with it, since nobody can tell
    which of them a thief has made: log in on them anew. It takes the 24 recovery words that your account was made with,
    which are its recovery words from then on; the password that you type is its password, whatever a thief may have
    made of it. What the device could read until now, it may have kept.

    Example: safelight device lost 3f9a12
    """
    with profile() as folder:
        is_checked, words = needs_password(folder.load_account()), ask_words()
        # Where it opens nothing here, a slip of the finger would be the account's password.
        password = ask_password() if is_checked else ask_new_password(_PASSWORD_PROMPT, min_length=MIN_PASSWORD_LENGTH)

        async def renew() -> ListedDevice:
            async with open_account(folder, password) as session:
                device = find_device(await list_devices(session), id_)
                await renew_identity(session, words, password)
                return device

        async def tell() -> list[SpaceOutcome]:
            async with open_account(folder, password, ask_passphrase=ask_passphrase) as session:
                return await tell_spaces(session)

        device = run(renew())
        outcomes = run(tell())
    _report(device, outcomes, "lost", json=json)
    if not json:
        note("Log in anew on your other computers: safelight account login, into an empty profile folder.")
        note("The password and the recovery words that you typed are your account's from now on.")
        note("Cameras, members and links go on. Look in each space whether you know them all: safelight camera list,")
        note("safelight member list, safelight link list. Invitations that you gave have ended.")


def _report(device: ListedDevice, outcomes: list[SpaceOutcome], state: str, *, json: bool) -> None:
    late = [outcome for outcome in outcomes if outcome.refused is not None]
    if json:
        spaces = [{"id": each.space_id, "code": each.refused.code.value if each.refused else ""} for each in outcomes]
        print_json({**_fields(device), "state": state, "spaces": spaces})
        return
    say(f"The device is shut out. It was last heard of: {_minute(device.last_seen_ms) or 'never'}.")
    say(f"New keys have begun in {len(outcomes) - len(late)} of {len(outcomes)} spaces.")
    for outcome in late:
        if outcome.refused is not None:
            space = outcome.space_id.hex()[:12]
            note(f"safelight: space {space} hears of it when you open it: {outcome.refused.sentence}")


def _fields(device: ListedDevice) -> dict[str, object]:
    return {
        "id": device.device_id,
        "created_ms": device.created_ms,
        "last_seen_ms": device.last_seen_ms,
        "state": _state(device),
        "is_this": device.is_this,
    }


def _state(device: ListedDevice) -> str:
    if device.is_this:
        return "this device"
    return "shut out" if device.revoked else "signed in"


def _minute(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).astimezone().strftime("%Y-%m-%d %H:%M") if time_ms else ""


def _day(time_ms: int) -> str:
    return _minute(time_ms)[:10]
