"""Accounts and sessions over HTTP."""

import asyncio
import os
from collections.abc import AsyncIterator

import msgspec
import pytest

from safelight.sync_protocol import signatures
from safelight.sync_protocol.account_ledger import AccountKind, AddDeviceBody
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.messages.accounts import (
    AccountLedger,
    AppendAccountEntries,
    FinishUnlock,
    Keyring,
    NewUnlocker,
    PutKeyring,
    StartUnlock,
    Unlocked,
    UnlockStarted,
)
from safelight.sync_protocol.messages.sessions import AskChallenge, Challenge, Devices, OpenSession, Session
from tests.http.conftest import Owner, Server, StartServer
from tests.support.protocol import Pairing, Person, Signer, sha256


async def unlock(server: Server, person: Person, kind: str = "password") -> Unlocked:
    """Unlock an account."""
    request = FinishUnlock(person.name, kind, person.auth_keys[kind])  # type: ignore[arg-type]  # a word of two
    return (await server.api.post("/v1/unlock/finish", request)).as_(Unlocked)


async def test_an_invite_makes_one_account(server: Server) -> None:
    """An invite is used up by the account that it makes, however it was written down."""
    code = await server.invite()
    person = Person()
    assert (await server.api.post("/v1/accounts", person.create_request(f" {code.upper()} "))).status == 200
    answer = await server.api.post("/v1/accounts", Person().create_request(code))
    assert (answer.status, answer.code) == (403, "invite-invalid")
    assert (await server.api.post("/v1/accounts", Person().create_request("guess"))).code == "invite-invalid"


async def test_an_invite_expires(server: Server) -> None:
    """An invite is good for its time."""
    code = await server.invite()
    server.clock.offset_ms = (server.settings.invite_lifetime_s + 1) * 1000
    assert (await server.api.post("/v1/accounts", Person().create_request(code))).code == "invite-invalid"


async def test_a_refused_account_does_not_use_up_its_invite(server: Server) -> None:
    """Whoever's name is taken tries again with another."""
    person, _ = await server.account()
    code = await server.invite()
    assert (await server.api.post("/v1/accounts", Person(person.name).create_request(code))).code == "name-taken"
    assert (await server.api.post("/v1/accounts", Person().create_request(code))).status == 200


async def test_a_racing_invite(server: Server) -> None:
    """Of many who use one invite at once, one gets an account."""
    code = await server.invite()
    answers = await asyncio.gather(*(server.api.post("/v1/accounts", Person().create_request(code)) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [403] * 7


@pytest.mark.parametrize("name", ["", "a b", "a" * 65, "a\n", "a/b", "a\u202eb", "😀"])
async def test_names_that_are_none(server: Server, name: str) -> None:
    """A name is letters, digits, dots, dashes and underscores, and nothing that hides."""
    person = Person("good")
    request = msgspec.structs.replace(person.create_request(await server.invite()), name=name)
    answer = await server.api.post("/v1/accounts", request)
    assert (answer.status, answer.code in {"bad-request", "name-invalid"}) == (400, True)


async def test_names_in_two_encodings_are_one(server: Server) -> None:
    """The same letters composed otherwise are the same name."""
    person, _ = await server.account("rené")
    assert (
        await server.api.post("/v1/accounts", Person("rené").create_request(await server.invite()))
    ).code == "name-taken"
    request = StartUnlock("rené", "password")
    assert (await server.api.post("/v1/unlock/start", request)).as_(UnlockStarted).salt == person.salt


async def test_accounts_that_the_ledger_refuses(server: Server) -> None:
    """Entries, unlockers and what they are made of must fit together."""
    person = Person()
    whole = person.create_request(await server.invite())
    password, recovery = whole.unlockers
    other = NewUnlocker("password", os.urandom(32), b"another secret", person.salt, 65536, 3)
    cheap = msgspec.structs.replace(password, memory_kib=1024)
    bomb = msgspec.structs.replace(password, memory_kib=2**22)
    stretched_words = msgspec.structs.replace(recovery, memory_kib=65536, passes=3)

    async def refused(**changes: object) -> str:
        return (await server.api.post("/v1/accounts", msgspec.structs.replace(whole, **changes))).code

    assert await refused(entries=whole.entries[1:]) == "ledger-rule"
    assert await refused(entries=[whole.entries[0], whole.entries[2]]) == "account-ledger-conflict"
    assert await refused(entries=[b"not an entry"]) == "entry-malformed"
    assert await refused(entries=Person().entries[:1] + whole.entries[1:]) in {"ledger-rule", "account-ledger-conflict"}
    assert await refused(unlockers=[other, recovery]) == "ledger-rule"
    assert await refused(unlockers=[password, password]) == "bad-request"
    assert await refused(unlockers=[cheap, recovery]) == "password-cost-refused"
    assert await refused(unlockers=[bomb, recovery]) == "password-cost-refused"
    assert await refused(unlockers=[password, stretched_words]) == "password-cost-refused"
    assert (await server.api.post("/v1/accounts", whole)).status == 200


async def test_ids_are_given_once(server: Server) -> None:
    """An account is created once, and a device's id belongs to one account: nobody takes over another's."""
    person, _ = await server.account()
    again = msgspec.structs.replace(person.create_request(await server.invite()), name="another-name")
    answer = await server.api.post("/v1/accounts", again)
    assert (answer.status < 500, answer.code in {"name-taken", "ledger-rule"}) == (True, True)
    thief = Person()
    body = AddDeviceBody(person.device_id, signatures.public_key_of(os.urandom(32)))
    code = await server.invite()
    assert (await server.api.post("/v1/accounts", thief.create_request(code))).status == 200
    ticket = server.api.with_token((await unlock(server, thief)).ticket)
    entry = thief.take(thief.entry(AccountKind.ADD_DEVICE, body))
    answer = await ticket.post(f"/v1/accounts/{thief.account_id.hex()}/ledger", AppendAccountEntries([entry]))
    assert (answer.status, answer.code) == (409, "account-ledger-conflict")
    assert (await server.api.sign_in(person.signer)).token


async def test_unlocking(server: Server) -> None:
    """Password and recovery words each release the secret wrapped for them, with the ledger and a ticket."""
    person, _ = await server.account()
    started = (await server.api.post("/v1/unlock/start", StartUnlock(person.name, "password"))).as_(UnlockStarted)
    assert (started.salt, started.memory_kib, started.passes) == (person.salt, 65536, 3)
    for kind in ("password", "recovery"):
        unlocked = await unlock(server, person, kind)
        assert (unlocked.account_id, unlocked.wrapped) == (person.account_id.hex(), person.wrapped[kind])
        assert unlocked.ledger == person.entries


async def test_names_that_do_not_exist(server: Server) -> None:
    """An unknown name gets an answer like a known one's, always the same; a wrong password and it fail alike."""
    person, _ = await server.account()
    for kind in ("password", "recovery"):
        request = StartUnlock("nobody", kind)
        first, second = [(await server.api.post("/v1/unlock/start", request)).body for _ in range(2)]
        known = StartUnlock(person.name, kind)
        assert first == second
        assert len(first) == len((await server.api.post("/v1/unlock/start", known)).body)
    other = (await server.api.post("/v1/unlock/start", StartUnlock("noone", "password"))).body
    assert other != (await server.api.post("/v1/unlock/start", StartUnlock("nobody", "password"))).body
    wrong = await server.api.post("/v1/unlock/finish", FinishUnlock(person.name, "password", os.urandom(32)))
    unknown = await server.api.post("/v1/unlock/finish", FinishUnlock("nobody", "password", os.urandom(32)))
    assert (wrong.status, wrong.body) == (unknown.status, unknown.body) == (403, unknown.body)
    assert wrong.code == "unlock-failed"


async def test_guessing_passwords(start_server: StartServer) -> None:
    """A name takes so many wrong passwords and then none for a while, known or not; the right one costs nothing."""
    server = await start_server(unlock_burst=3, unlock_refill_s=3600)
    person, _ = await server.account()
    for _ in range(5):
        await unlock(server, person)
    for name in (person.name, "nobody"):
        request = FinishUnlock(name, "password", os.urandom(32))
        codes = [(await server.api.post("/v1/unlock/finish", request)).code for _ in range(4)]
        assert codes == ["unlock-failed"] * 3 + ["rate-limited"]
    right = FinishUnlock(person.name, "password", person.auth_keys["password"])
    answer = await server.api.post("/v1/unlock/finish", right)
    assert (answer.status, answer.code) == (429, "rate-limited")
    assert int(answer.headers["Retry-After"]) > 0


async def test_guessing_from_one_address(start_server: StartServer) -> None:
    """One address has so many wrong passwords over all names; another address still has its own."""
    server = await start_server(address_burst=3, address_refill_s=3600)
    codes = []
    for number in range(4):
        request = FinishUnlock(f"name{number}", "password", os.urandom(32))
        answer = await server.api.post("/v1/unlock/finish", request, **{"X-Forwarded-For": "203.0.113.7"})
        codes.append(answer.code)
    assert codes == ["unlock-failed"] * 3 + ["rate-limited"]
    request = FinishUnlock("name9", "password", os.urandom(32))
    elsewhere = await server.api.post("/v1/unlock/finish", request, **{"X-Forwarded-For": "203.0.113.7, 203.0.113.8"})
    assert elsewhere.code == "unlock-failed"


async def test_addresses_are_believed_of_proxies_alone(start_server: StartServer) -> None:
    """Without a trusted proxy nobody chooses their address."""
    server = await start_server(address_burst=3, address_refill_s=3600, trusted_proxies="")
    codes = []
    for number in range(4):
        request = FinishUnlock(f"name{number}", "password", os.urandom(32))
        answer = await server.api.post("/v1/unlock/finish", request, **{"X-Forwarded-For": f"203.0.113.{number}"})
        codes.append(answer.code)
    assert codes == ["unlock-failed"] * 3 + ["rate-limited"]


async def test_a_new_device(server: Server) -> None:
    """A ticket adds a device, which then opens sessions of its own; a repeat of the request is refused."""
    person, api = await server.account()
    ticket = server.api.with_token((await unlock(server, person)).ticket)
    entry, signer = person.add_device()
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await ticket.post(path, AppendAccountEntries([entry]))).as_(AccountLedger).entries == [entry]
    assert (await ticket.post(path, AppendAccountEntries([entry]))).code == "account-ledger-conflict"
    laptop = await server.api.sign_in(signer)
    listed = (await laptop.get("/v1/devices")).as_(Devices).devices
    assert {row.device_id for row in listed} == {person.device_id.hex(), signer.device_id.hex()}
    assert (await api.get(f"{path}?after=3")).as_(AccountLedger).entries == [entry]
    assert (await ticket.get("/v1/spaces")).code == "session-required"  # a ticket is no session


async def test_a_revoked_device(server: Server) -> None:
    """A revoked device's session ends with the revocation, and it gets no other."""
    person, api = await server.account()
    entry, signer = person.add_device()
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    await api.post(path, AppendAccountEntries([entry]))
    lost = await server.api.sign_in(signer)
    assert (await lost.get("/v1/spaces")).status == 200
    assert (await api.post(path, AppendAccountEntries([person.revoke_device(signer.device_id)]))).status == 200
    assert (await lost.get("/v1/spaces")).code == "session-required"
    challenge = (await server.api.post("/v1/sessions/challenge", AskChallenge(signer.device_id.hex()))).as_(Challenge)
    message = context(Label.SIGN_SESSION, server.api.server_key, signer.device_id, challenge.challenge)
    request = OpenSession(signer.device_id.hex(), challenge.challenge, signatures.sign(signer.seed, message))
    assert (await server.api.post("/v1/sessions", request)).code == "device-revoked"


async def test_a_new_password(server: Server) -> None:
    """A password is changed by the entry that names the new wrapped secret, and by that secret itself."""
    person, api = await server.account()
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    person.wrapped["password"], person.auth_keys["password"] = os.urandom(200), os.urandom(32)
    entry = person.set_unlocker("password", person.wrapped["password"])
    assert (await api.post(path, AppendAccountEntries([entry]))).code == "bad-request"
    wrong = msgspec.structs.replace(person.unlocker("password"), wrapped=b"something else")
    assert (await api.post(path, AppendAccountEntries([entry], [wrong]))).code == "ledger-rule"
    assert (await api.post(path, AppendAccountEntries([entry], [person.unlocker("password")]))).status == 200
    assert (await unlock(server, person)).wrapped == person.wrapped["password"]


async def test_a_new_identity_comes_whole(server: Server) -> None:
    """*An account that nothing opens any more*: with every unlocker anew and the next keyring, or not at all."""
    person, api = await server.account()
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post("/v1/keyring", PutKeyring(1, b"first"), "PUT")).status == 200
    entries = [person.rotate_identity()]
    for kind in ("password", "recovery"):
        person.wrapped[kind], person.auth_keys[kind] = os.urandom(200), os.urandom(32)
        entries.append(person.take(person.set_unlocker(kind, person.wrapped[kind])))
    unlockers = [person.unlocker("password"), person.unlocker("recovery")]
    for code, asked in (
        ("bad-request", AppendAccountEntries(entries[:1], [], PutKeyring(2, b"second"))),
        ("bad-request", AppendAccountEntries(entries[:2], unlockers[:1], PutKeyring(2, b"second"))),
        ("bad-request", AppendAccountEntries(entries, unlockers)),
        ("keyring-conflict", AppendAccountEntries(entries, unlockers, PutKeyring(3, b"second"))),
        ("keyring-conflict", AppendAccountEntries(entries, unlockers, PutKeyring(1, b"second"))),
    ):
        assert (await api.post(path, asked)).code == code
        assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(1, b"first")
        assert len((await api.get(path)).as_(AccountLedger).entries) == 3
    await api.post(path, AppendAccountEntries(entries, unlockers, PutKeyring(2, b"second")))
    assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(2, b"second")
    assert (await unlock(server, person)).wrapped == person.wrapped["password"]


async def _renewed(person: Person) -> AppendAccountEntries:
    """A new identity, with all that comes with it, after a keyring of version 1."""
    entries = [person.rotate_identity()]
    for kind in ("password", "recovery"):
        person.wrapped[kind], person.auth_keys[kind] = os.urandom(200), os.urandom(32)
        entries.append(person.take(person.set_unlocker(kind, person.wrapped[kind])))
    unlockers = [person.unlocker("password"), person.unlocker("recovery")]
    return AppendAccountEntries(entries, unlockers, PutKeyring(2, b"second"))


async def test_a_ticket_ends_with_its_unlocker(server: Server) -> None:
    """*A thief's ticket writes over the new keyring*: what the old password gave ends when another is set."""
    person, api = await server.account()
    await api.post("/v1/keyring", PutKeyring(1, b"first"), "PUT")
    ticket = server.api.with_token((await unlock(server, person)).ticket)
    assert (await ticket.get("/v1/keyring")).status == 200
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post(path, await _renewed(person))).status == 200
    assert (await ticket.post("/v1/keyring", PutKeyring(3, b"garbage"), "PUT")).code == "session-required"
    assert (await ticket.get("/v1/keyring")).code == "session-required"
    assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(2, b"second")


async def test_a_keyring_that_comes_slowly(server: Server) -> None:
    """*A keyring put by a revoked device*: the session counts when the keyring is kept, not when it began to come."""
    person, api = await server.account()
    await api.post("/v1/keyring", PutKeyring(1, b"first"), "PUT")
    entry, signer = person.add_device()
    path = f"/v1/accounts/{person.account_id.hex()}/ledger"
    assert (await api.post(path, AppendAccountEntries([entry]))).status == 200
    thief = await server.api.sign_in(signer)
    body, begun, may_end = msgspec.json.encode(PutKeyring(3, b"garbage")), asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:5]
        begun.set()
        await may_end.wait()
        yield body[5:]

    async def put() -> int:
        headers = {"Authorization": f"Bearer {thief.token}", "Content-Type": "application/json"}
        async with thief.http.put(f"{thief.url}/v1/keyring", data=slowly(), headers=headers) as response:
            return response.status

    putting = asyncio.create_task(put())
    await begun.wait()
    await asyncio.sleep(0.3)  # the server has looked the session up by now
    revoked = await api.post(path, AppendAccountEntries([person.revoke_device(signer.device_id)]))
    assert revoked.status == 200
    assert (await api.post(path, await _renewed(person))).status == 200
    may_end.set()
    assert await putting == 401
    assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(2, b"second")


async def test_ledgers_of_others(server: Server) -> None:
    """An account's ledger is shown to who shares a space with it, its cameras included, and to nobody else."""
    owner = await server.owner()
    camera, _ = await owner.api.pair_camera(owner.writer, Pairing())
    person, stranger = await server.account()
    path = f"/v1/accounts/{owner.person.account_id.hex()}/ledger"
    assert (await camera.get(path)).as_(AccountLedger).entries == owner.person.entries
    answer = await stranger.get(path)
    assert (answer.status, answer.code) == (404, "not-found")
    assert (await stranger.get(f"/v1/accounts/{os.urandom(16).hex()}/ledger")).body == answer.body
    entry, _ = person.add_device()
    assert (
        await owner.api.post(f"/v1/accounts/{person.account_id.hex()}/ledger", AppendAccountEntries([entry]))
    ).status == 404
    assert (await camera.post(path, AppendAccountEntries([entry]))).status == 404


async def test_keyrings(server: Server) -> None:
    """The keyring is replaced version by version; who comes second is told so."""
    _, api = await server.account()
    assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(0, b"")
    assert (await api.post("/v1/keyring", PutKeyring(1, b"first"), method="PUT")).status == 200
    for version in (1, 3):
        answer = await api.post("/v1/keyring", PutKeyring(version, b"other"), method="PUT")
        assert (answer.status, answer.code) == (409, "keyring-conflict")
    assert (await api.get("/v1/keyring")).as_(Keyring) == Keyring(1, b"first")


async def test_challenges(server: Server) -> None:
    """A challenge is for one device, once, and for a minute."""
    person, _ = await server.account()
    other, _ = await server.account()

    async def challenge(signer: Signer) -> bytes:
        request = AskChallenge(signer.device_id.hex())
        return (await server.api.post("/v1/sessions/challenge", request)).as_(Challenge).challenge

    async def answer(signer: Signer, nonce: bytes, device_id: bytes = b"") -> str | None:
        device_id = device_id or signer.device_id
        message = context(Label.SIGN_SESSION, server.api.server_key, device_id, nonce)
        request = OpenSession(device_id.hex(), nonce, signatures.sign(signer.seed, message))
        sent = await server.api.post("/v1/sessions", request)
        return None if sent.status == 200 else sent.code

    nonce = await challenge(person.signer)
    assert await answer(person.signer, nonce) is None
    assert await answer(person.signer, nonce) == "session-expired"
    nonce = await challenge(person.signer)
    assert await answer(other.signer, nonce) == "signature-invalid"
    assert await answer(other.signer, nonce, person.device_id) == "signature-invalid"
    assert await answer(person.signer, os.urandom(32)) == "signature-invalid"
    assert await answer(person.signer, b"") == "signature-invalid"
    nobody = Signer(b"", os.urandom(16), os.urandom(32))
    assert await answer(nobody, await challenge(nobody)) == "signature-invalid"
    nonce = await challenge(person.signer)
    server.clock.offset_ms = 61_000
    assert await answer(person.signer, nonce) == "session-expired"


async def test_sessions_end(server: Server) -> None:
    """A session ends when it is closed, and with its time."""
    person, api = await server.account()
    assert (await api.send("DELETE", "/v1/sessions/current")).status == 204
    assert (await api.get("/v1/spaces")).code == "session-required"
    api = await server.api.sign_in(person.signer)
    server.clock.offset_ms = (server.settings.session_lifetime_s + 1) * 1000
    answer = await api.get("/v1/spaces")
    assert (answer.status, answer.code) == (401, "session-expired")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Bearer \x80abc", "bearer " + "x" * 5000])
async def test_tokens_that_are_none(owner: Owner, header: str) -> None:
    """Anything but a session's token is nobody's."""
    answer = await owner.api.with_token("").get("/v1/spaces", Authorization=header)
    assert (answer.status, answer.code) == (401, "session-required")


async def test_only_hashes_are_kept(server: Server) -> None:
    """Nothing in the data folder opens a session, an account or an invite: tokens, codes and auth keys are hashed."""
    person, api = await server.account()
    code = await server.invite()
    token = (await server.api.sign_in(person.signer)).token
    await server.runner.cleanup()
    kept = b"".join(path.read_bytes() for path in server.settings.data.rglob("*") if path.is_file())
    for secret in (token.encode(), api.token.encode(), code.encode(), *person.auth_keys.values()):
        assert secret not in kept
    assert sha256(person.auth_keys["password"]) in kept


async def test_session_shape(server: Server) -> None:
    """A session says when it ends."""
    person, _ = await server.account()
    challenge = (await server.api.post("/v1/sessions/challenge", AskChallenge(person.device_id.hex()))).as_(Challenge)
    message = context(Label.SIGN_SESSION, server.api.server_key, person.device_id, challenge.challenge)
    request = OpenSession(person.device_id.hex(), challenge.challenge, signatures.sign(person.device_seed, message))
    session = (await server.api.post("/v1/sessions", request)).as_(Session)
    assert session.expires_ms > 0
