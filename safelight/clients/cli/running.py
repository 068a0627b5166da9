"""Running a command's work: an event loop that Ctrl-C ends in order, and the profile that the command uses."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TypeVar

import uvloop

from safelight.clients.cli.asking import ask_passphrase, ask_password
from safelight.clients.cli.output import count_text, note
from safelight.clients.engine.account_session import AccountSession, open_account
from safelight.clients.engine.granted import find_granted
from safelight.clients.engine.granted_assets import GrantedAlbum, GrantedReader
from safelight.clients.engine.index import Problem
from safelight.clients.engine.invitations import admit_joined
from safelight.clients.engine.members import begin_epoch_that_is_due
from safelight.clients.engine.pointing import catch_up
from safelight.clients.engine.profile import ProfileFolder, profile_path
from safelight.clients.engine.profile_secrets import needs_password
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space, list_spaces
from safelight.clients.engine.upload_links import renew_upload_links
from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.records import RecordKind
from safelight.sync_protocol.refusals import Refused

T = TypeVar("T")

_PROBLEMS_NAMED = 5
_DONE = {
    RecordKind.CREATE_ALBUM.value: "an album was made (safelight album list)",
    RecordKind.ADD_TO_ALBUM.value: "assets were added to an album",
    RecordKind.SHOW_IN_ALBUM.value: "assets were added to a shared album",
    RecordKind.REMOVE_FROM_ALBUM.value: "assets were taken out of an album",
    RecordKind.RENAME_ALBUM.value: "an album was renamed (safelight album list)",
    RecordKind.PUBLISH_LINK.value: "a link was made (safelight link list)",
    RecordKind.REVOKE_LINK.value: "a link was revoked",
    RecordKind.PUBLISH_INBOX.value: "an upload link was given the keys in force",
    RecordKind.TRASH_ASSETS.value: "assets were put into the trash (safelight asset list --trash)",
    RecordKind.RESTORE_ASSETS.value: "assets were taken out of the trash",
    RecordKind.PROPOSE_DELETION.value: "assets were proposed for the trash (safelight asset proposals)",
    RecordKind.DECIDE_DELETION.value: "what was proposed for the trash was decided (safelight asset list --trash)",
    LedgerKind.CERTIFY_CAMERA.value: "a camera was certified, and its pairing code is lost (safelight camera list)",
    LedgerKind.POINT_CAMERA.value: "a camera was pointed at an album, or away (safelight camera list)",
    LedgerKind.REVOKE_CAMERA.value: "a camera was shut out",
    LedgerKind.INVITE_MEMBER.value: "somebody was invited, and the invitation is lost (safelight member list)",
    LedgerKind.WITHDRAW_INVITATION.value: "an invitation was withdrawn",
    LedgerKind.JOIN_SPACE.value: "you joined this space",
    LedgerKind.ADMIT_MEMBER.value: "somebody was let in (safelight member list)",
    LedgerKind.SET_ROLE.value: "a member was given another role",
    LedgerKind.SET_POLICY.value: "what a space allows was set (safelight space policy)",
    LedgerKind.OPEN_GENERATION.value: "an album was given new keys",
    LedgerKind.GIVE_GRANT.value: "an album was granted to somebody (safelight album grants)",
    LedgerKind.END_GRANT.value: "a grant was ended (safelight album grants)",
    LedgerKind.OPEN_UPLOAD_LINK.value: "an upload link was made (safelight link list)",
    LedgerKind.CLOSE_UPLOAD_LINK.value: "an upload link was closed (safelight link list)",
    LedgerKind.REMOVE_MEMBER.value: "a member was removed; links that they made go on (safelight link list)",
}


def run(work: Coroutine[object, object, T]) -> T:
    """Run *work* to its end. Ctrl-C, and SIGTERM alike, cancel it: what it holds is closed in order."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_until_terminated(work))


async def _until_terminated(work: Coroutine[object, object, T]) -> T:
    task = asyncio.current_task()
    terminated = False

    def terminate() -> None:
        nonlocal terminated
        terminated = True
        if task is not None:
            task.cancel()

    with contextlib.suppress(NotImplementedError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await work
    except asyncio.CancelledError:
        if terminated:
            raise KeyboardInterrupt from None
        raise


@contextlib.contextmanager
def profile() -> Iterator[ProfileFolder]:
    """The profile folder that the environment names, held by this process alone."""
    with ProfileFolder(profile_path()) as folder:
        yield folder


def with_account(work: Callable[[AccountSession], Coroutine[object, object, T]]) -> T:
    """Open the profile's account, asking for its password where it needs one, and do *work* with it."""
    with profile() as folder:
        held = folder.load_account()
        password = ask_password() if needs_password(held) else None
        if held.words != "shown":
            note("safelight: this account's recovery words were not shown yet: safelight account recovery")

        async def opened() -> T:
            async with open_account(folder, password, ask_passphrase=ask_passphrase) as session:
                return await work(session)

        return run(opened())


def with_space(wanted: str, work: Callable[[SpaceView], Coroutine[object, object, T]], *, admits: bool = True) -> T:
    """Open the account's space of the name *wanted*, verified up to now, and do *work* in it.

    Who joined is let in first, unless the command is there to look who that is, or to keep them out (*admits*).
    """

    async def inside(session: AccountSession) -> T:
        with await find_space(session, wanted) as view:
            await enter(view, admits=admits)
            return await work(view)

    return with_account(inside)


async def enter(view: SpaceView, *, admits: bool = True) -> None:
    """Verify a space up to now, finish what a stopped command had begun in it, and say what is to be said."""
    await view.sync()
    finished = await view.finish_interrupted()
    if finished:
        note(f"safelight: a command that was cut off before is done now: {_DONE.get(finished, finished)}")
    warn_of_problems(view.problems)
    for admitted in await admit_joined(view) if admits else ():
        if admitted.refused is None:
            note(f"safelight: {admitted.name} joined, and was let in as {admitted.role.value}")
        else:
            note(f"safelight: {admitted.name} joined, and cannot be let in: {admitted.refused.sentence}")
    if await begin_epoch_that_is_due(view):
        note("safelight: a device or camera was given up, and new keys were begun for it")
    await renew_upload_links(view)
    if shown := await catch_up(view):
        note(f"safelight: {count_text(shown, 'picture')} of cameras that fill an album were added to it")


def with_granted(wanted: str, work: Callable[[GrantedReader, GrantedAlbum], Coroutine[object, object, T]]) -> T:
    """Open the album of that title that was granted to the account, verified up to now, and do *work* with it."""

    async def inside(session: AccountSession) -> T:
        view, reader, album = await find_granted(session, wanted)
        warn_of_problems(view.problems)
        return await work(reader, album)

    return with_account(inside)


def warn_of_problems(problems: Sequence[Problem]) -> None:
    """Say which records of a space were set aside, and why: one bad record blocks nothing and is not silent."""
    for problem in problems[:_PROBLEMS_NAMED]:
        what = "was set aside" if problem.set_aside else "is not as it should be"
        note(f"safelight: entry {problem.number} {what}: {Refused(problem.code, problem.detail).sentence}")
    if len(problems) > _PROBLEMS_NAMED:
        note(f"safelight: and {len(problems) - _PROBLEMS_NAMED} more such entries")


async def in_spaces(
    session: AccountSession, work: Callable[[SpaceView], Coroutine[object, object, T | None]]
) -> T | None:
    """Do *work* in one space after the other, each verified up to now, until it returns something; return that.

    Only spaces that count for the account are entered, and no vault that is shut; those that are refused are named on
    stderr.
    """
    listing = await list_spaces(session)
    for space_id, refusal in listing.refused.items():
        note(f"safelight: space {space_id.hex()[:12]}: {refusal.sentence}")
    counting = {summary.space_id for summary in listing.spaces if not summary.is_shut}
    for known in session.content.spaces:
        if known.space_id not in counting:
            continue
        with SpaceView(session, known) as view:
            await enter(view)
            found = await work(view)
        if found is not None:
            return found
    return None
