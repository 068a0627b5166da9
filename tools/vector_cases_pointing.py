"""Vectors of cameras that are pointed at shared albums, and of the rolls and assets that fill those."""

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from safelight.sync_protocol.grant_entries import OpenGenerationBody
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RevokeCameraBody
from safelight.sync_protocol.log import Entry
from safelight.sync_protocol.records import AddAssetsBody, OpenRollBody, RecordKind, RenditionName
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role
from tests.support.grants import ALBUM, album_assets, album_roll, generation_of, shown
from tests.support.ledgers import NOW_MS, Signer, id_of
from tests.support.members import member, role_entry
from tools.vector_builder import Cases
from tools.vector_shared_albums import LATER_MS, Next, Shared, judge, replay

PHONE = id_of("camera phone")
OTHER = id_of("another album")


def pointing(cases: Cases) -> None:
    """Add the cases."""
    _pointed(cases)
    _not_pointed(cases)
    _added_by(cases, "a roll", _roll)
    _added_by(cases, "an asset", _asset)
    _rolls(cases)
    _assets(cases)


def _point(shared: Shared, signer: Signer | None = None, album: bytes = ALBUM, camera: bytes = PHONE) -> Entry:
    return shared.space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(camera, album), signer)


def _with_camera(shared: Shared) -> Shared:
    """The owner's camera, which is pointed nowhere."""
    shared.space.camera()
    return shared


def _with_pointed(shared: Shared, album: bytes = ALBUM) -> Shared:
    """The same, pointed at an album."""
    return _with_camera(shared).after(_point(shared, album=album))


def _with_another_album(shared: Shared) -> Shared:
    """Share a second album."""
    body = OpenGenerationBody(OTHER, generation_of(shared.space, album=OTHER))
    return shared.after(shared.space.entry(LedgerKind.OPEN_GENERATION, body))


def _with_camera_of(shared: Shared, certifier: Signer) -> Shared:
    """A camera that somebody else certified."""
    space, camera = shared.space, shared.space.camera_signer()
    shared.after(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body(), certifier), certifier)
    return shared.after(space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera), camera)


def _revoked(shared: Shared) -> Shared:
    body = RevokeCameraBody(PHONE, shared.space.next_epoch())
    return shared.after(shared.space.entry(LedgerKind.REVOKE_CAMERA, body))


def _by_camera(shared: Shared) -> Signer:
    """Who signs for the camera, after its binding."""
    signer = shared.space.camera_signer()
    position = shared.space.log.devices[signer.author_id + signer.device_id]
    signer.counter, signer.last_id = position.counter, position.entry_id
    return signer


def _pointed(cases: Cases) -> None:
    for name, make in (
        ("at a shared album", lambda s: _point(_with_camera(s.begun()))),
        ("at it before it is bound", _pointed_unbound),
        ("at another album", lambda s: _point(_with_pointed(_with_another_album(s.begun())), album=OTHER)),
        ("away", lambda s: _point(_with_pointed(s.begun()), album=b"")),
        ("away and back", lambda s: _point(_with_pointed(s.begun()).after(_point(s, album=b"")))),
        ("at the album of another camera", _pointed_beside_another),
        ("by an editor that certified it", partial(_by_its_certifier, Role.EDITOR)),
        ("by a manager that did not certify it", lambda s: _point(_with_camera(s.begun()), s.with_chris(Role.MANAGER))),
        ("after the epoch ended", lambda s: _point(_with_camera(s.begun()).rotated())),
        ("and its certifier may add no more", _pointed_without_certifier),
    ):
        replay(cases, f"a camera is pointed {name}", make)


def _pointed_unbound(shared: Shared) -> Entry:
    space = shared.begun().space
    return _point(shared.after(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body())))


def _pointed_beside_another(shared: Shared) -> Entry:
    _with_pointed(shared.begun()).space.camera("second")
    return _point(shared, camera=id_of("camera second"))


def _by_its_certifier(role: Role, shared: Shared) -> Entry:
    by_chris = shared.begun().with_chris(role)
    return _point(_with_camera_of(shared, by_chris), by_chris)


def _pointed_without_certifier(shared: Shared) -> Entry:
    return _point(_by_lesser_certifier(shared, Role.VIEWER))


def _by_lesser_certifier(shared: Shared, role: Role) -> Shared:
    """The camera's certifier was an editor, and has another role by now."""
    by_chris = shared.begun().with_chris(Role.EDITOR)
    _with_camera_of(shared, by_chris)
    return shared.after(role_entry(shared.space, shared.chris, role))


def _not_pointed(cases: Cases) -> None:
    refused: tuple[tuple[str, Next, Code], ...] = (
        ("where it is pointed", lambda s: _point(_with_pointed(s.begun())), Code.LEDGER_RULE),
        ("away, from nowhere", lambda s: _point(_with_camera(s.begun()), album=b""), Code.LEDGER_RULE),
        ("at an album that is not shared", lambda s: _point(_with_camera(s)), Code.LEDGER_RULE),
        ("at no whole id", lambda s: _point(_with_camera(s.begun()), album=ALBUM[:1]), Code.LEDGER_RULE),
        ("at more than an id", lambda s: _point(_with_camera(s.begun()), album=ALBUM + b"x"), Code.ENTRY_MALFORMED),
        ("that nobody certified", lambda s: _point(s.begun()), Code.LEDGER_RULE),
        ("that is revoked", lambda s: _point(_revoked(_with_camera(s.begun()))), Code.LEDGER_RULE),
        ("away, that is revoked", lambda s: _point(_revoked(_with_pointed(s.begun())), album=b""), Code.LEDGER_RULE),
        ("whose certifier was removed", _of_who_left, Code.LEDGER_RULE),
        ("of another, by an editor", _by_an_editor, Code.RIGHT_MISSING),
        ("of another, at an album that is not shared, by an editor", _elsewhere_by_an_editor, Code.RIGHT_MISSING),
        ("that nobody certified, by an editor", _nothing_by_an_editor, Code.LEDGER_RULE),
        ("by a contributor that certified it", partial(_by_its_certifier, Role.CONTRIBUTOR), Code.RIGHT_MISSING),
        ("by a viewer", _by_a_viewer, Code.RIGHT_MISSING),
        ("that nobody certified, by a viewer", _nothing_by_a_viewer, Code.RIGHT_MISSING),
        ("by itself", lambda s: _point(_with_camera(s.begun()), _by_camera(s)), Code.RIGHT_MISSING),
        (
            "by who has not the owner's key",
            lambda s: _point(_with_camera(s.begun()), s.forger()),
            Code.SIGNATURE_INVALID,
        ),
    )
    for name, make, expect in refused:
        replay(cases, f"no camera is pointed {name}", make, expect)


def _of_who_left(shared: Shared) -> Entry:
    _with_camera_of(shared.begun(), shared.with_chris(Role.EDITOR))
    return _point(shared.remove(shared.chris))


def _by_an_editor(shared: Shared) -> Entry:
    return _point(_with_camera(shared.begun()), shared.with_chris(Role.EDITOR))


def _elsewhere_by_an_editor(shared: Shared) -> Entry:
    return _point(_with_camera(shared), shared.with_chris(Role.EDITOR))


def _nothing_by_an_editor(shared: Shared) -> Entry:
    return _point(shared.begun(), shared.with_chris(Role.EDITOR))


def _by_a_viewer(shared: Shared) -> Entry:
    return _point(_with_camera(shared.begun()), shared.with_chris(Role.VIEWER))


def _nothing_by_a_viewer(shared: Shared) -> Entry:
    return _point(shared.begun(), shared.with_chris(Role.VIEWER))


# Builds one of the two records, by the owner unless another signs.
_Make = Callable[..., Entry]


def _roll(shared: Shared, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object) -> Entry:
    return shared.space.entry(RecordKind.OPEN_ALBUM_ROLL, album_roll(**changes), signer, signed_ms=at_ms)


def _asset(shared: Shared, signer: Signer | None = None, at_ms: int = NOW_MS, **changes: object) -> Entry:
    return shared.space.entry(RecordKind.ADD_ALBUM_ASSETS, album_assets(**changes), signer, signed_ms=at_ms)


def _judge(cases: Cases, name: str, make: Next, expect: Code | None = None) -> None:
    judge(cases, f"in an album: {name}" if expect is None else f"not in an album: {name}", make, expect)


def _added_by(cases: Cases, what: str, make: _Make) -> None:
    """Who adds, and under which keys, is judged alike for both."""
    old = Code.GENERATION_OLD
    judged: tuple[tuple[str, Next, Code | None], ...] = (
        ("", lambda s: make(s.begun()), None),
        (" by an editor", lambda s: make(s.begun(), s.with_chris(Role.EDITOR)), None),
        (" by a camera pointed at it", lambda s: make(_with_pointed(s.begun()), _by_camera(s)), None),
        (" by a camera whose certifier organises no more", partial(_demoted, make, Role.EDITOR), None),
        (" by a camera whose certifier adds no more", partial(_demoted, make, Role.VIEWER), Code.SIGNER_UNKNOWN),
        (" by a camera pointed nowhere", lambda s: make(_with_camera(s.begun()), _by_camera(s)), Code.RIGHT_MISSING),
        (" by a camera pointed elsewhere", partial(_from_elsewhere, make), Code.RIGHT_MISSING),
        (" by a camera pointed away", partial(_from_away, make), Code.RIGHT_MISSING),
        (" by a revoked camera", partial(_by_a_revoked, make), Code.SIGNER_UNKNOWN),
        (" by a camera, of an album not shared", lambda s: make(_with_camera(s), _by_camera(s)), Code.RIGHT_MISSING),
        (" by a contributor", lambda s: make(s.begun(), s.with_chris(Role.CONTRIBUTOR)), Code.RIGHT_MISSING),
        (" by who organises and does not add", partial(_organising, make), Code.RIGHT_MISSING),
        (" by a viewer", lambda s: make(s.begun(), s.with_chris(Role.VIEWER)), Code.RIGHT_MISSING),
        (" by a grantee", lambda s: make(s.given(), s.by_bert), Code.RIGHT_MISSING),
        (" by who has not the owner's key", lambda s: make(s.begun(), s.forger()), Code.SIGNATURE_INVALID),
        (" of an album that is not shared", make, Code.RIGHT_MISSING),
        (" under the next epoch and generation", partial(_under_the_next, make), None),
        (" under an old generation", lambda s: make(s.begun().after(s.open())), old),
        (" under a generation to come", lambda s: make(s.begun(), generation=3), old),
        (" under the members' own generation", lambda s: make(s.begun(), generation=1), old),
        (" after the epoch ended", lambda s: make(s.begun().rotated(), **_of(make, 2)), old),
        (" after a grant ended", lambda s: make(s.given().ended()), old),
        (" before a grant expires", lambda s: make(s.given(expires_ms=LATER_MS), at_ms=LATER_MS - 1), None),
        (" after a grant expired", lambda s: make(s.given(expires_ms=LATER_MS), at_ms=LATER_MS), old),
        (" by a camera after a grant expired", partial(_late_by_a_camera, make), old),
    )
    for name, made, expect in judged:
        _judge(cases, f"{what}{name}", made, expect)


def _of(make: _Make, epoch: int) -> dict[str, object]:
    """Only rolls name an epoch."""
    return {"epoch": epoch} if make is _roll else {}


def _demoted(make: _Make, role: Role, shared: Shared) -> Entry:
    """The camera was pointed while its certifier was an editor; it is one that only adds now, or has another role."""
    by_chris = shared.begun().with_chris(Role.EDITOR)
    _with_camera_of(shared, by_chris).after(_point(shared, by_chris), by_chris)
    rights = [Right.ADD] if role is Role.EDITOR else None
    return make(shared.after(role_entry(shared.space, shared.chris, role, rights=rights)), _by_camera(shared))


def _from_elsewhere(make: _Make, shared: Shared) -> Entry:
    return make(_with_pointed(_with_another_album(shared.begun()), OTHER), _by_camera(shared))


def _from_away(make: _Make, shared: Shared) -> Entry:
    return make(_with_pointed(shared.begun()).after(_point(shared, album=b"")), _by_camera(shared))


def _by_a_revoked(make: _Make, shared: Shared) -> Entry:
    return make(_revoked(_with_pointed(shared.begun())), _by_camera(shared), **_of(make, 2))


def _organising(make: _Make, shared: Shared) -> Entry:
    by_chris = member(shared.begun().space, shared.chris, Role.EDITOR, [Right.ORGANISE])
    return make(shared, by_chris)


def _under_the_next(make: _Make, shared: Shared) -> Entry:
    shared.begun().rotated()
    return make(shared.after(shared.open()), generation=3, **_of(make, 2))


def _late_by_a_camera(make: _Make, shared: Shared) -> Entry:
    return make(_with_pointed(shared.given(expires_ms=LATER_MS)), _by_camera(shared), LATER_MS)


def _rolls(cases: Cases) -> None:
    long, longest = bytes(2049), bytes(2048)
    for name, make, expect in (
        ("of the epoch to come", lambda s: _roll(s.begun(), epoch=2), Code.EPOCH_OLD),
        ("of the epoch that ended, and its generation", lambda s: _roll(s.begun().rotated()), Code.EPOCH_OLD),
        ("of the epoch to come, in another album", lambda s: _roll(s, epoch=2), Code.RIGHT_MISSING),
        (
            "whose keys are as long as may be",
            lambda s: _roll(s.begun(), album_full=longest, album_view=longest),
            None,
        ),
        ("with too long a key for the album", lambda s: _roll(s.begun(), album_full=long), Code.ENTRY_MALFORMED),
        ("with too long a view key for it", lambda s: _roll(s.begun(), album_view=long), Code.ENTRY_MALFORMED),
        ("with too long a key for the space", lambda s: _roll(s.begun(), full=long), Code.ENTRY_MALFORMED),
        ("with too long a view key for that", lambda s: _roll(s.begun(), view=long), Code.ENTRY_MALFORMED),
        ("of no album", lambda s: _roll(s.begun(), album_id=b""), Code.ENTRY_MALFORMED),
        ("that is malformed, by a grantee", lambda s: _roll(s.given(), s.by_bert, full=long), Code.ENTRY_MALFORMED),
        ("of the space alone, by a pointed camera", _plain_roll, None),
        ("of the space alone, under the album's kind", _plain_body, Code.ENTRY_MALFORMED),
    ):
        _judge(cases, f"a roll {name}", make, expect)


def _plain_roll(shared: Shared) -> Entry:
    body = OpenRollBody(id_of("roll"), 1, b"full", b"view")
    return _with_pointed(shared.begun()).space.entry(RecordKind.OPEN_ROLL, body, _by_camera(shared))


def _plain_body(shared: Shared) -> Entry:
    body = OpenRollBody(id_of("roll"), 1, b"full", b"view")
    return shared.begun().space.entry(RecordKind.OPEN_ALBUM_ROLL, body)


def _assets(cases: Cases) -> None:
    one, two = shown("one").asset, shown("two").asset
    small = replace(one, renditions=[replace(one.renditions[0], name=RenditionName.PREVIEW)])
    halved = replace(one, fingerprint=bytes(16))
    for name, make, expect in (
        ("two assets", lambda s: _asset(s.begun(), assets=[one, two]), None),
        ("an asset twice", lambda s: _asset(s.begun(), assets=[one, one]), Code.ASSET_CONFLICT),
        ("an asset twice, under an old generation", _twice_under_an_old_one, Code.GENERATION_OLD),
        ("no asset", lambda s: _asset(s.begun(), assets=[]), Code.ENTRY_MALFORMED),
        ("an asset without its original", lambda s: _asset(s.begun(), assets=[small]), Code.ENTRY_MALFORMED),
        ("an asset with half a fingerprint", lambda s: _asset(s.begun(), assets=[halved]), Code.ENTRY_MALFORMED),
        ("no asset, by a grantee", lambda s: _asset(s.given(), s.by_bert, assets=[]), Code.ENTRY_MALFORMED),
        ("an asset of the space alone, by a pointed camera", _plain_asset, None),
    ):
        _judge(cases, name, make, expect)


def _twice_under_an_old_one(shared: Shared) -> Entry:
    return _asset(shared.begun(), generation=1, assets=[shown().asset] * 2)


def _plain_asset(shared: Shared) -> Entry:
    body = AddAssetsBody(id_of("roll"), [shown().asset])
    return _with_pointed(shared.begun()).space.entry(RecordKind.ADD_ASSETS, body, _by_camera(shared))
