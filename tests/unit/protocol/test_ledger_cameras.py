"""Cameras in the space ledger: certified, bound once, revoked, and never more than who certified them."""

from msgspec.structs import replace

from safelight.sync_protocol import ledger, ledger_entries, signatures
from safelight.sync_protocol.ledger_entries import LedgerKind, PointCameraBody, RevokeCameraBody
from safelight.sync_protocol.records import RevokeLinkBody
from safelight.sync_protocol.refusals import Code
from safelight.sync_protocol.roles import Right, Role, Tier
from tests.support.grants import ALBUM, share
from tests.support.ledgers import NOW_MS, Person, Signer, Space, apply_next, id_of, seed_of, with_role
from tests.support.members import member
from tests.support.refusing import refusal, refuses


def test_a_camera_adds_and_nothing_else(space: Space) -> None:
    """Bound, it has the one right to add, reads nothing, and certifies no other camera."""
    camera = space.camera()
    assert space.state.rights_of(camera.author_id) == {Right.ADD}
    assert space.state.tier_of(camera.author_id) is Tier.NONE
    assert space.state.signing_key(camera.author_id, camera.device_id) == signatures.public_key_of(camera.seed)
    assert space.state.signing_key(camera.author_id, id_of("another device")) is None
    more = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body("second"), camera)
    assert refusal(apply_next, space, more) is Code.RIGHT_MISSING


def test_certificates_are_bounded(space: Space, anna: Person) -> None:
    """An id that is taken, a pairing of more than a day and an old epoch are refused."""
    space.camera()
    bodies = {
        Code.LEDGER_RULE: [
            space.certify_body(),
            space.certify_body("other", camera_id=anna.account_id),
            space.certify_body("other", expires_ms=NOW_MS + 25 * 3_600_000),
        ],
        Code.EPOCH_OLD: [space.certify_body("other", epoch=2)],
    }
    for code, refused in bodies.items():
        for body in refused:
            entry = space.entry(LedgerKind.CERTIFY_CAMERA, body)
            assert refusal(apply_next, space, entry) is code


def test_who_may_not_add_certifies_no_camera(space: Space, anna: Person) -> None:
    """A camera could add for them: a viewer makes none."""
    viewing = with_role(space.state, anna.account_id, Role.VIEWER)
    entry = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body())
    assert refusal(ledger.apply, viewing, entry, 2) is Code.RIGHT_MISSING
    adding = with_role(space.state, anna.account_id, Role.CONTRIBUTOR)
    assert ledger.apply(adding, entry, 2).cameras


def test_a_photographed_pairing_code_binds_once(space: Space) -> None:
    """The second bind is refused by name, so that the alarm can be raised."""
    camera = space.camera()
    again = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), camera)
    assert refusal(apply_next, space, again) is Code.CAMERA_ALREADY_BOUND


def test_binding_needs_pairing_key_time_and_own_key(space: Space) -> None:
    """Unknown, too late, without the pairing secret, for another's key: refused."""
    signer = space.camera_signer()
    unknown = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), signer)
    assert refusal(apply_next, space, unknown) is Code.SIGNER_UNKNOWN
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    late = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), signer, signed_ms=NOW_MS + 60_001)
    assert refusal(apply_next, space, late) is Code.PAIRING_EXPIRED
    guessed = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(pairing_seed=seed_of("guess")), signer)
    assert refusal(apply_next, space, guessed) is Code.SIGNATURE_INVALID
    thief = Signer(signer.author_id, signer.device_id, seed_of("thief"))
    stolen = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), thief)
    assert refusal(apply_next, space, stolen) is Code.SIGNATURE_INVALID
    for changes in ({"author_id": id_of("x")}, {"device_id": id_of("x")}):
        entry = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), signer, **changes)
        assert refusal(apply_next, space, entry) is Code.SIGNER_UNKNOWN


def test_revoking_a_camera_needs_a_new_epoch_and_ends_its_right(space: Space) -> None:
    """After revocation its key signs nothing; before, it needs its certifier or a manager."""
    camera = space.camera()
    body = ledger_entries.RevokeCameraBody(camera.author_id, space.next_epoch())
    by_camera = space.entry(LedgerKind.REVOKE_CAMERA, body, camera)
    assert refusal(apply_next, space, by_camera) is Code.RIGHT_MISSING
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    assert space.state.signing_key(camera.author_id, camera.device_id) is None
    assert space.state.rights_of(camera.author_id) == frozenset()
    again = ledger_entries.RevokeCameraBody(camera.author_id, space.next_epoch())
    assert refusal(apply_next, space, space.entry(LedgerKind.REVOKE_CAMERA, again)) is Code.LEDGER_RULE
    unknown = ledger_entries.RevokeCameraBody(id_of("nothing"), space.next_epoch())
    assert refusal(apply_next, space, space.entry(LedgerKind.REVOKE_CAMERA, unknown)) is Code.LEDGER_RULE


def test_a_revocation_is_signed_by_who_may(space: Space, anna: Person) -> None:
    """Not by a forger in the owner's name, nor by a device that was taken away; its certifier needs no other right."""
    camera = space.camera()
    body = ledger_entries.RevokeCameraBody(camera.author_id, space.next_epoch())
    forger = Signer(anna.account_id, anna.device_id, seed_of("forger"), space.signer.counter, space.signer.last_id)
    forged = space.entry(LedgerKind.REVOKE_CAMERA, body, forger)
    assert refusal(apply_next, space, forged) is Code.SIGNATURE_INVALID
    unknown = space.entry(LedgerKind.REVOKE_CAMERA, body, device_id=id_of("laptop"))
    assert refusal(apply_next, space, unknown) is Code.SIGNER_UNKNOWN
    # A contributor reads nothing, so it begins no epoch.
    contributing = with_role(space.state, anna.account_id, Role.CONTRIBUTOR)
    entry = space.entry(LedgerKind.REVOKE_CAMERA, ledger_entries.RevokeCameraBody(camera.author_id, None))
    assert ledger.apply(contributing, entry, 4).cameras[camera.author_id].revoked
    another = replace(contributing.cameras[camera.author_id], certified_by=id_of("somebody"))
    of_another = replace(contributing, cameras={camera.author_id: another})
    assert refusal(ledger.apply, of_another, entry, 4) is Code.RIGHT_MISSING


def test_a_camera_revoked_before_it_was_bound_never_binds(space: Space) -> None:
    """A lost pairing code is made worthless."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    body = ledger_entries.RevokeCameraBody(id_of("camera phone"), space.next_epoch())
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, body))
    bind = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), space.camera_signer())
    assert refusal(apply_next, space, bind) is Code.SIGNER_UNKNOWN


def test_cameras_end_with_their_certifier(space: Space, anna: Person) -> None:
    """A camera's right ends with its certifier's membership."""
    camera = space.camera()
    orphaned = replace(space.state, members={})
    assert orphaned.signing_key(camera.author_id, camera.device_id) is None
    assert orphaned.rights_of(camera.author_id) == frozenset()


def test_a_camera_signs_no_ledger_entry_of_an_unknown_kind(space: Space) -> None:
    """Each would move the ledger's head, and a stolen phone could make everyone's next ledger entry stale for ever."""
    camera = space.camera()
    body = RevokeLinkBody(id_of("anything"))
    with refuses(Code.RIGHT_MISSING):
        ledger.apply(space.state, space.entry("camera.noise", body, camera, critical=False), 4)
    ledger.apply(space.state, space.entry("camera.noise", body, critical=False), 4)


def test_a_camera_has_no_right_that_its_certifier_lost(space: Space) -> None:
    """Neither a bound camera nor a pairing code outlives the right to add of whoever made it."""
    camera = space.camera()
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body("tablet")))
    lowered = with_role(space.state, space.owner.account_id, Role.VIEWER)
    assert space.state.rights_of(camera.author_id) == {Right.ADD}
    assert lowered.rights_of(camera.author_id) == frozenset()
    assert lowered.signing_key(camera.author_id, camera.device_id) is None
    tablet = space.camera_signer("tablet")
    with refuses(Code.SIGNER_UNKNOWN):
        ledger.apply(lowered, space.entry(LedgerKind.BIND_CAMERA, space.bind_body("tablet"), tablet), 5)


def test_a_bind_says_in_which_space_it_stands(space: Space) -> None:
    """The pairing key signed for this space, the entry's header names another: a reader of that one would be misled."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    phone = space.camera_signer()
    entry = space.entry(LedgerKind.BIND_CAMERA, space.bind_body(), phone, space_id=seed_of("other"))
    assert refusal(apply_next, space, entry) is Code.ENTRY_WRONG_SPACE


def test_a_bind_is_of_no_use_in_another_space(space: Space) -> None:
    """What the pairing key signed names its space: the same certificate elsewhere accepts nothing of it."""
    space.take(space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body()))
    other = Space(space.owner, links="none").create()
    other.take(other.entry(LedgerKind.CERTIFY_CAMERA, other.certify_body()))
    phone = other.camera_signer()
    with refuses(Code.SIGNATURE_INVALID):
        ledger.apply(other.state, other.entry(LedgerKind.BIND_CAMERA, space.bind_body(), phone), 3)


def test_a_camera_is_pointed_at_an_album(space: Space, anna: Person) -> None:
    """By who organises and certified it, or manages members; at an album that is shared, until it is pointed away."""
    camera = space.camera()
    point = PointCameraBody(camera.device_id, ALBUM)
    for body in (point, PointCameraBody(bytes(16), b""), PointCameraBody(camera.device_id, b"")):
        assert refusal(apply_next, space, space.entry(LedgerKind.POINT_CAMERA, body)) is Code.LEDGER_RULE
    share(space)
    eve, vera = Person("eve"), Person("vera")
    by_eve, by_vera = member(space, eve, Role.EDITOR), member(space, vera, Role.VIEWER)
    for signer in (by_eve, by_vera):
        assert refusal(apply_next, space, space.entry(LedgerKind.POINT_CAMERA, point, signer)) is Code.RIGHT_MISSING
    space.take(space.entry(LedgerKind.POINT_CAMERA, point))
    assert space.state.may_add_to(camera.device_id, ALBUM, NOW_MS)
    assert not space.state.may_add_to(camera.device_id, bytes(16), NOW_MS)
    again = space.entry(LedgerKind.POINT_CAMERA, point)
    assert refusal(apply_next, space, again) is Code.LEDGER_RULE
    space.take(space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(camera.device_id, b"")))
    assert not space.state.may_add_to(camera.device_id, ALBUM, NOW_MS)
    theirs = space.entry(LedgerKind.CERTIFY_CAMERA, space.certify_body("second"), by_eve)
    space.take(theirs, by_eve)
    apply_next(space, space.entry(LedgerKind.POINT_CAMERA, PointCameraBody(id_of("camera second"), ALBUM), by_eve))
    space.take(space.entry(LedgerKind.REVOKE_CAMERA, RevokeCameraBody(camera.device_id, space.next_epoch())))
    gone = space.entry(LedgerKind.POINT_CAMERA, point)
    assert refusal(apply_next, space, gone) is Code.LEDGER_RULE
    assert not space.state.may_add_to(camera.device_id, b"", NOW_MS)
