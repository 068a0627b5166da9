"""A family of four, a work space and a vault side by side, by the real command line, with what each may not.

What a command refuses could be politeness. So all of it is asked past the client as well (`tests/support/may_not.py`):
every kind of entry that a person has no right to sign, every route of every space that they are not in, and every
secret that they really hold on every roll of every space.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from safelight.clients.engine.account_session import open_account
from safelight.clients.engine.epochs import EpochSecrets
from safelight.clients.engine.inboxes import inboxes_of
from safelight.clients.engine.profile import ProfileFolder
from safelight.clients.engine.rolls import Roll
from safelight.clients.engine.space_view import SpaceView
from safelight.clients.engine.spaces import find_space
from safelight.sync_protocol.ledger_entries import LedgerKind, Policy, SetPolicyBody
from safelight.sync_protocol.log import parse_entry
from safelight.sync_protocol.records import AddAssetsBody, RecordKind, added_by
from safelight.sync_protocol.refusals import Refused
from safelight.sync_protocol.wire import unpack
from tests.support import may_not
from tests.support.commands import PASSWORD, Cli, new_account, new_camera
from tests.support.may_not import SealedRoll
from tests.support.samples import encoded, exif, picture
from tests.support.server_process import ServerProcess

PASSPHRASE = "nine quiet owls"
FAMILY, STUDIO, VAULT = "Family", "Studio", "Private"

pytestmark = pytest.mark.timeout(900)


@dataclass
class Everyone:
    """All who take part, each with a profile of their own, and the cameras."""

    people: dict[str, Cli] = field(default_factory=dict)
    cameras: dict[str, Cli] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Cli:
        return self.people[name]


def _roll(folder: Path, *numbers: int) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        data = encoded(picture(number, (320, 240)), "JPEG", exif=exif(taken=f"2024:03:{number + 1:02} 12:00:00"))
        (folder / f"IMG_{number}.JPG").write_bytes(data)
    return folder


def _let_in(owner: Cli, someone: Cli, space: str, name: str, role: str) -> None:
    uri = owner.json("member", "invite", name, "--space", space, "--role", role)["uri"]
    joined = someone.run("member", "join", stdin=uri + "\n")
    assert joined.returncode == 0, joined.stderr
    assert f"{name} joined, and was let in as {role}" in owner.run("asset", "list", "--space", space).stderr


def _shown(someone: Cli) -> dict[str, str]:
    return {row["name"]: row["role"] for row in someone.json("space", "list")}


def _names(someone: Cli, space: str) -> list[str]:
    return sorted(row["name"] for row in someone.json("asset", "list", "--space", space))


@asynccontextmanager
async def _inside(someone: Cli, space: str, passphrase: str | None = None) -> AsyncIterator[SpaceView]:
    """A person's own client in a space, past the command line."""

    async def ask() -> str | None:
        return passphrase

    with ProfileFolder(someone.profile) as folder:
        async with open_account(folder, PASSWORD, ask_passphrase=ask) as session:
            with await find_space(session, space) as view:
                await view.sync()
                yield view


async def _refused(work: object) -> str:
    with pytest.raises(Refused) as refused:
        await work  # type: ignore[misc]  # a coroutine of whatever kind
    return refused.value.code.value


@pytest.fixture
def everyone(server: ServerProcess, tmp_path: Path) -> Everyone:
    """Mum's three spaces with everybody in them; a camera of hers in two, and the editor's in one."""
    all_ = Everyone()
    for name in ("mum", "dad", "kid", "gran", "eve", "brand"):
        all_.people[name] = new_account(server, tmp_path / name, f"{name}-{os.urandom(3).hex()}")
    mum = all_["mum"]
    mum.ok("space", "create", FAMILY, "--kind", "family")
    mum.ok("space", "create", STUDIO, "--kind", "work")
    Cli(mum.profile, {**mum.variables, "SAFELIGHT_VAULT_PASSPHRASE": PASSPHRASE}).ok(
        "space", "create", VAULT, "--kind", "vault"
    )
    for name, role in (("dad", "manager"), ("kid", "viewer"), ("gran", "previewer")):
        _let_in(mum, all_[name], FAMILY, name.title(), role)
    for name, role in (("dad", "manager"), ("eve", "editor"), ("brand", "previewer")):
        _let_in(mum, all_[name], STUDIO, name.title(), role)
    all_.cameras["family"] = new_camera(mum, FAMILY, tmp_path / "phone", "Phone")
    all_.cameras["studio"] = new_camera(mum, STUDIO, tmp_path / "studio camera", "Studio")
    all_.cameras["eve"] = new_camera(all_["eve"], STUDIO, tmp_path / "eve's camera", "Eve's")
    mum.ok("link", "create", "--upload", "--space", STUDIO)  # which others may not close
    return all_


async def _cameras_add(everyone: Everyone, folder: Path) -> None:
    """Cameras add, each into its own space, and read nothing."""
    kid, eve = (everyone[name] for name in ("kid", "eve"))
    for number, (name, camera) in enumerate(everyone.cameras.items()):
        assert camera.json("camera", "push", str(_roll(folder / f"roll of {name}", number)))["uploaded"] == 1
        assert camera.run("asset", "list", "--space", FAMILY).returncode == 1
    assert _names(kid, FAMILY) == ["IMG_0.JPG"]
    assert _names(eve, STUDIO) == ["IMG_1.JPG", "IMG_2.JPG"]


async def _gran_sees_previews(everyone: Everyone, folder: Path) -> None:
    """Who sees previews gets previews, without names or places."""
    gran = everyone["gran"]
    [shown] = gran.json("asset", "list", "--space", FAMILY)
    assert shown["name"] == ""
    assert "[forbidden]" in gran.refused("asset", "get", shown["id"], "--out", str(folder / "original.jpg"))
    gran.ok("asset", "get", shown["id"], "--out", str(folder / "small.webp"), "--rendition", "preview")
    assert not (folder / "original.jpg").exists()
    async with _inside(gran, FAMILY) as view:
        held = await view.epoch_secrets()
        assert held.full is None
        [place] = view.index.assets()
        body = unpack(parse_entry(view.index.envelope_at(place.number) or b"").body, AddAssetsBody)
        original = body.assets[place.position].renditions[0].blob
        assert await _refused(view.session.connection.open_blob(view.space_id, original).__aenter__()) == "not-found"


async def _roles_hold(everyone: Everyone, folder: Path) -> None:
    """Nobody does what their role does not say: politely, and asked past the client."""
    mum, dad, kid, gran, eve, brand = (everyone[name] for name in ("mum", "dad", "kid", "gran", "eve", "brand"))
    mum.ok("album", "create", "Summer", "--space", FAMILY)
    for someone, code in ((kid, "[right-missing]"), (gran, "[forbidden]")):
        assert code in someone.refused("album", "create", "Mine", "--space", FAMILY)
        assert code in someone.refused("camera", "pair", "--space", FAMILY, "--name", "Mine")
        assert "[right-missing]" in someone.refused("member", "invite", "Friend", "--space", FAMILY)
        assert "[right-missing]" in someone.refused("space", "policy", FAMILY, "--links", "none")
        async with _inside(someone, FAMILY) as view:
            roll = Roll(inboxes_of(view.state), view.session.device.device_id, opened_ms=view.session.clock())
            assert await _refused(view.commit(RecordKind.OPEN_ROLL, roll.body)) == "right-missing"
            policy = SetPolicyBody(Policy(1, "none"))
            assert await _refused(view.commit(LedgerKind.SET_POLICY, policy)) == "right-missing"
    eve.ok("album", "create", "Proofs", "--space", STUDIO)
    eve.ok("album", "add", "Proofs", "--space", STUDIO, "--all")
    for words in (
        ("link", "create", "--album", "Proofs"),
        ("member", "invite", "Friend"),
        ("member", "remove", "Brand"),
    ):
        assert "[right-missing]" in eve.refused(*words, "--space", STUDIO)
    assert "[right-missing]" in dad.refused("member", "invite", "Boss", "--space", STUDIO, "--role", "manager")
    assert "[space-unknown]" in brand.refused("asset", "list", "--space", FAMILY)
    assert "[space-unknown]" in gran.refused("asset", "list", "--space", STUDIO)


async def _who_shares(everyone: Everyone, folder: Path) -> None:
    """A link of the studio is made by who may share, and by nobody else."""
    dad, brand = everyone["dad"], everyone["brand"]
    assert dad.json("link", "create", "--album", "Proofs", "--space", STUDIO)["url"]
    assert "[forbidden]" in brand.refused("link", "create", "--album", "Proofs", "--space", STUDIO)


async def _the_vault_is_shut(everyone: Everyone, folder: Path) -> None:
    """The vault is another's: nobody sees that it is there, and its owner only with the passphrase."""
    mum, dad, kid, eve = (everyone[name] for name in ("mum", "dad", "kid", "eve"))
    vault = Cli(everyone["mum"].profile, {**everyone["mum"].variables, "SAFELIGHT_VAULT_PASSPHRASE": PASSPHRASE})
    assert vault.json("asset", "mirror", "--from", FAMILY, "--to", VAULT, "--all")["mirrored"] == 1
    assert _names(vault, VAULT) == ["IMG_0.JPG"]
    assert "[space-unknown]" in mum.refused("asset", "list", "--space", VAULT)
    vault_id = next(row["id"] for row in mum.json("space", "list") if row["is_shut"])
    for someone in (dad, kid, eve):
        assert "[space-unknown]" in someone.refused("asset", "list", "--space", vault_id)
    async with _inside(dad, STUDIO) as view:
        asked = view.session.connection.fetch_bytes(f"/v1/spaces/{vault_id}/log?after=0")
        assert await _refused(asked) == "space-unknown"


async def _words_are_compared(everyone: Everyone, folder: Path) -> None:
    """Two who compare their words see the same ledger."""
    mum, dad = (everyone[name] for name in ("mum", "dad"))
    mums, dads = (each.json("member", "verify", "--space", STUDIO) for each in (mum, dad))
    assert mums["words"] == dads["words"]


def test_no_kind_of_entry_is_left_out() -> None:
    """A new kind without a line in the table of what may not fails."""
    assert set(may_not.RIGHTS) | may_not.BESIDES == {*LedgerKind, *RecordKind}


@dataclass(frozen=True)
class Facts:
    """What somebody who may not could know of a space: its id, a camera's, and the name of an original's blob."""

    space_id: bytes
    camera_id: bytes
    blob: bytes


async def _facts(view: SpaceView) -> Facts:
    [place, *_] = view.index.assets()
    entry = parse_entry(view.index.envelope_at(place.number) or b"")
    original = added_by(entry.header.kind, entry.body).assets[place.position].renditions[0]
    return Facts(view.space_id, next(iter(view.state.cameras), b""), original.blob)


async def _nobody_may_more(everyone: Everyone, folder: Path) -> None:
    """Everyone, past their client: signs nothing more, reaches no other space, opens nothing more."""
    rolls: list[SealedRoll] = []
    facts: dict[str, Facts] = {}
    for name in (FAMILY, STUDIO, VAULT):
        async with _inside(everyone["mum"], name, PASSPHRASE) as view:
            rolls += may_not.rolls_of(view)
            facts[name] = await _facts(view)
    assert len(rolls) == 4
    for name in ("dad", "kid", "gran", "eve", "brand"):
        await _may_no_more(everyone[name], facts, rolls)
    for camera in everyone.cameras.values():
        with ProfileFolder(camera.profile) as profile:
            kept = profile.load_camera()
        for secret in (kept.signing_seed, kept.dedupe_key):
            held = [EpochSecrets(1, secret, secret)]
            assert may_not.opens_only(b"", "none", held, rolls) == len(rolls)


async def _may_no_more(someone: Cli, facts: dict[str, Facts], rolls: list[SealedRoll]) -> None:
    mine = _shown(someone)
    for space, role in mine.items():
        async with _inside(someone, space) as view:
            tried = await may_not.signs_nothing_more(view, view.state.creator_id, facts[space].camera_id)
            assert (tried == 0) is (role == "manager")
            held, tier = await may_not.secrets_of(view), view.state.tier_of(view.session.account_id)
            assert may_not.opens_only(view.space_id, tier.value, held, rolls) >= len(rolls)
            for other in facts.keys() - mine.keys():
                await may_not.reaches_nothing_of(view.session, facts[other].space_id, facts[other].blob)


async def _eve_goes(everyone: Everyone, folder: Path) -> None:
    """An editor goes, and with her the camera that she had certified; the other one goes on by itself."""
    dad, eve = (everyone[name] for name in ("dad", "eve"))
    async with _inside(eve, STUDIO) as view:
        kept = await view.epoch_secrets()
    dad.ok("member", "remove", "Eve", "--space", STUDIO)
    assert _shown(eve) == {}
    refused = everyone.cameras["eve"].run("camera", "push", str(_roll(folder / "roll of eve", 5)))
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    assert everyone.cameras["studio"].json("camera", "push", str(_roll(folder / "roll of studio", 6)))["uploaded"] == 1
    assert _names(dad, STUDIO) == ["IMG_1.JPG", "IMG_2.JPG", "IMG_6.JPG"]
    async with _inside(dad, STUDIO) as view:
        newest = await view.epoch_secrets()
        assert newest.number == kept.number + 1
        assert newest.full != kept.full
        [*_, last] = view.index.assets()
        place_of_roll = view.index.roll(last.roll_id)
        assert place_of_roll is not None
        assert place_of_roll.epoch == newest.number
        facts, rolls = await _facts(view), may_not.rolls_of(view)
    assert {roll.opens_by(kept) for roll in rolls if roll.epoch == kept.number} == {
        "full"
    }  # what she could read, she keeps
    assert {roll.opens_by(kept) for roll in rolls if roll.epoch == newest.number} == {"none"}
    with ProfileFolder(eve.profile) as profile:
        async with open_account(profile, PASSWORD) as session:
            await may_not.reaches_nothing_of(session, facts.space_id, facts.blob)
    assert [row["name"] for row in dad.json("member", "list", "--space", STUDIO) if row["state"] == "member"] == [
        "",
        "Dad",
        "Brand",
    ]


async def test_three_spaces_side_by_side(everyone: Everyone, tmp_path: Path) -> None:
    """Everyone gets what they need and nothing else: by their keys, and by the server."""
    mum, dad, kid, gran, eve, brand = (everyone[name] for name in ("mum", "dad", "kid", "gran", "eve", "brand"))
    assert _shown(dad) == {FAMILY: "manager", STUDIO: "manager"}
    assert (_shown(kid), _shown(gran)) == ({FAMILY: "viewer"}, {FAMILY: "previewer"})
    assert (_shown(eve), _shown(brand)) == ({STUDIO: "editor"}, {STUDIO: "previewer"})
    assert sorted(row["kind"] for row in mum.json("space", "list")) == ["family", "vault", "work"]
    await _cameras_add(everyone, tmp_path)
    await _gran_sees_previews(everyone, tmp_path)
    await _roles_hold(everyone, tmp_path)
    await _who_shares(everyone, tmp_path)
    await _the_vault_is_shut(everyone, tmp_path)
    await _words_are_compared(everyone, tmp_path)
    await _nobody_may_more(everyone, tmp_path)
    await _eve_goes(everyone, tmp_path)
