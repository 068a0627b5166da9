"""`safelight member verify`: words by which two members learn whether both see the same members and keys."""

import shlex
from collections.abc import Sequence
from typing import Annotated

import typer

from safelight.clients.cli.asset import SpaceOption
from safelight.clients.cli.member_names import shown_name
from safelight.clients.cli.output import JsonOption, print_json, say
from safelight.clients.cli.running import with_space
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.verifying import LedgerWords, words_of_ledger

_WORDS_A_LINE = 4


def verify(
    space: SpaceOption,
    at: Annotated[
        int | None,
        typer.Option(
            "--at", metavar="N", help="The words as of this ledger entry, where the other has not come further."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Print twelve words to compare with another member's, by phone or face to face.

    The same words at the same entry: both see the same members with the same keys, and the server put nobody between.

    Example: safelight member verify --space Family
    """

    async def look(view: SpaceView) -> tuple[bytes, LedgerWords]:
        return view.space_id, await words_of_ledger(view, at)

    space_id, found = with_space(space, look, admits=False)  # who looks changes nothing, or the numbers would run away
    if json:
        members = [{"id": one.account_id, "name": one.name, "role": one.role.value} for one in found.members]
        print_json(
            {
                "space_id": space_id,
                "number": found.number,
                "newest": found.newest,
                "words": found.words,
                "members": members,
            }
        )
        return
    say(f"Entry {found.number} of the ledger of {space}:")
    say()
    _print_words(found.words)
    say()
    say("They vouch for these members, and for the keys of each:")
    for one in found.members:
        say(f"  {shown_name(one)}, {one.role.value}")
    if found.number < found.newest:
        say(f"They say nothing of what came after: the newest entry here is {found.newest}.")
    say()
    say("Call the other, or meet, and read them out; do not send them by way of this server, which could change them.")
    say("Different numbers: whoever has the higher one runs this, with the lower number in place of N:")
    say(f"  safelight member verify --space {shlex.quote(space)} --at N")
    say("The same number and other words: stop using this space, both of you, and ask who runs the server and who")
    say("manages its members. You are shown two different spaces: someone may read what is not meant for them.")
    say("These are not recovery words, which nobody may ever ask you for.")


def _print_words(words: Sequence[str]) -> None:
    numbered = [f"{number:>2} {word}" for number, word in enumerate(words, 1)]
    for start in range(0, len(numbered), _WORDS_A_LINE):
        say("  " + "  ".join(f"{word:<11}" for word in numbered[start : start + _WORDS_A_LINE]).rstrip())
