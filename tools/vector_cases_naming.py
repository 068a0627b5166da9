"""Vectors of fingerprints that records name: of those who were given the dedupe key, and of nobody else."""

from functools import partial

from safelight.sync_protocol.ledger_entries import LedgerKind
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import AddAssetsBody, RecordKind
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Role
from safelight.sync_protocol.wire import Signed
from tests.support.grants import ALBUM, album_assets, give_body, share, shown
from tests.support.ledgers import Person, Signer, Space, id_of, seed_of
from tests.support.members import member
from tests.support.upload_ledgers import bound, upload_link
from tools.vector_builder import Cases
from tools.vector_upload_links import judge_records, placed


def naming(cases: Cases) -> None:
    """Add the cases."""
    space = Space(Person("anna"), "work", "full").create()
    share(space)
    upload_link(space, album_id=ALBUM)
    refused = Code.ENTRY_MALFORMED
    one = shown("two", fingerprint=seed_of("fingerprint")).asset
    to_space = partial(_next, space, RecordKind.ADD_ASSETS, AddAssetsBody(id_of("roll"), [shown().asset, one]))
    to_album = partial(_next, space, RecordKind.ADD_ALBUM_ASSETS, album_assets(assets=[one]))
    guest, camera = bound(space), space.camera()
    editor = member(space, Person("eve"), Role.EDITOR)
    contributor = member(space, Person("carl"), Role.CONTRIBUTOR)
    viewer, previewer, grantee = (_granted(space, role) for role in (Role.VIEWER, Role.PREVIEWER, Role.GRANTEE))
    judge_records(
        cases,
        "fingerprints are named by who was given the dedupe key",
        space,
        [
            (partial(to_space, space.signer), None),
            (partial(to_space, editor), None),
            (partial(to_space, camera), None),
            (partial(to_space, contributor), refused),
            (partial(to_space, guest), refused),
            (partial(to_album, editor), None),
            (partial(to_album, viewer), None),
            (partial(to_album, previewer), refused),
            (partial(to_album, grantee), refused),
            (partial(to_album, guest), refused),
        ],
    )


def _granted(space: Space, role: Role) -> Signer:
    """Who adds to the album by a grant."""
    person = Person(role.value)
    signer = member(space, person, role)
    space.take(space.entry(LedgerKind.GIVE_GRANT, give_body(space, person, can_add=True)))
    return signer


def _next(space: Space, kind: str, body: Signed, signer: Signer) -> Entry:
    return space.entry(kind, body, placed(space, signer))
