"""Accounts: creation, unlocking, ledgers and keyrings."""

from safelight.server.routes.call import LARGEST_BODY_SIZE_BYTES, Call
from safelight.server.routes.table import Auth, Route
from safelight.sync_protocol.messages import accounts as messages
from safelight.sync_protocol.refusals import Code


async def create(call: Call) -> messages.AccountCreated:
    """Create an account by invite."""
    return await call.services.accounts.create(await call.body(messages.CreateAccount))


async def start_unlock(call: Call) -> messages.UnlockStarted:
    """Say what an unlocker needs."""
    return await call.services.accounts.start_unlock(await call.body(messages.StartUnlock))


async def finish_unlock(call: Call) -> messages.Unlocked:
    """Release the wrapped account secret for a proof."""
    return await call.services.accounts.finish_unlock(await call.body(messages.FinishUnlock), call.address)


async def ledger(call: Call) -> messages.AccountLedger:
    """Return an account's ledger."""
    after = call.query_numbers(after=0)["after"]
    return await call.services.accounts.ledger(call.who, call.path_bytes("account"), after)


async def append(call: Call) -> messages.AccountLedger:
    """Append to the own ledger."""
    request = await call.body(messages.AppendAccountEntries)
    return await call.services.accounts.append(call.who, call.path_bytes("account"), request)


async def keyring(call: Call) -> messages.Keyring:
    """Return the newest keyring."""
    return await call.services.accounts.keyring(call.who)


async def put_keyring(call: Call) -> messages.Keyring:
    """Keep the next keyring."""
    return await call.services.accounts.put_keyring(call.who, await call.body(messages.PutKeyring))


_LEDGER = (
    Code.ENTRY_MALFORMED,
    Code.ENTRY_UNKNOWN_CRITICAL,
    Code.LEDGER_RULE,
    Code.SIGNATURE_INVALID,
    Code.ACCOUNT_LEDGER_CONFLICT,
)
_LEDGER_PATH = "/v1/accounts/{account:[0-9a-f]{32}}/ledger"

ROUTES = [
    Route(
        "POST",
        "/v1/accounts",
        create,
        "Create an account by invite",
        Auth.NONE,
        request=messages.CreateAccount,
        response=messages.AccountCreated,
        refusals=(*_LEDGER, Code.INVITE_INVALID, Code.NAME_TAKEN, Code.NAME_INVALID, Code.PASSWORD_COST_REFUSED),
    ),
    Route(
        "POST",
        "/v1/unlock/start",
        start_unlock,
        "Ask what an unlocker needs",
        Auth.NONE,
        request=messages.StartUnlock,
        response=messages.UnlockStarted,
    ),
    Route(
        "POST",
        "/v1/unlock/finish",
        finish_unlock,
        "Prove an unlocker and get the wrapped account secret",
        Auth.NONE,
        request=messages.FinishUnlock,
        response=messages.Unlocked,
        refusals=(Code.UNLOCK_FAILED, Code.RATE_LIMITED),
    ),
    Route(
        "GET",
        _LEDGER_PATH,
        ledger,
        "Read an account's ledger: the own one, or of who shares a space",
        Auth.SESSION_OR_TICKET,
        response=messages.AccountLedger,
        refusals=(Code.NOT_FOUND,),
        query=("after",),
    ),
    Route(
        "POST",
        _LEDGER_PATH,
        append,
        "Append entries to the own ledger, all or none",
        Auth.SESSION_OR_TICKET,
        request=messages.AppendAccountEntries,
        response=messages.AccountLedger,
        refusals=(*_LEDGER, Code.NOT_FOUND, Code.PASSWORD_COST_REFUSED, Code.KEYRING_CONFLICT),
        max_body_bytes=LARGEST_BODY_SIZE_BYTES,
    ),
    Route(
        "GET",
        "/v1/keyring",
        keyring,
        "Read the newest keyring",
        Auth.SESSION_OR_TICKET,
        response=messages.Keyring,
        refusals=(Code.FORBIDDEN,),
    ),
    Route(
        "PUT",
        "/v1/keyring",
        put_keyring,
        "Keep the next version of the keyring",
        Auth.SESSION_OR_TICKET,
        request=messages.PutKeyring,
        response=messages.Keyring,
        max_body_bytes=LARGEST_BODY_SIZE_BYTES,
        refusals=(Code.KEYRING_CONFLICT, Code.FORBIDDEN),
    ),
]
