"""Write fresh sealed values for the other language, or check those that it wrote.

`python tools/exchange_vectors.py write DIR` makes DIR/exchange-python.json; `… read FILE` exits 1 if a case differs.
The format, and why this is needed beside fixed vectors: safelight/sync_protocol/vectors/README.md.
"""

import secrets
import sys
from pathlib import Path

from safelight.sync_protocol import signatures
from safelight.sync_protocol.contexts import Label, context
from safelight.sync_protocol.sealing import boxes, floe, hpke, passwords
from tools.vector_operations import SUCCESS, Values, dump, encode, load, matches, run

_SIZES_BYTES = (0, 1, 31, 1000)
_FILE_SIZES_BYTES = (*_SIZES_BYTES, floe.PLAINTEXT_SEGMENT_SIZE_BYTES, floe.PLAINTEXT_SEGMENT_SIZE_BYTES + 1, 600_000)


def _case(name: str, operation: str, inputs: Values, output: Values) -> Values:
    return {
        "name": name,
        "operation": operation,
        "inputs": {field: encode(value) for field, value in inputs.items()},
        "expect": SUCCESS,
        "output": {field: encode(value) for field, value in output.items()},
    }


def fresh_cases() -> list[Values]:
    """Return cases whose keys, contents and sealed values are new at every call."""
    cases: list[Values] = []
    for size_bytes in _SIZES_BYTES:
        key, plaintext = secrets.token_bytes(32), secrets.token_bytes(size_bytes)
        place = context(Label.ASSET_FIELD, secrets.token_bytes(16))
        box = boxes.seal_box(key, place, plaintext, nonce=boxes.random_nonce())
        opening: Values = {"key": key, "associated_data": place, "sealed": box}
        cases.append(_case(f"box of {size_bytes} bytes", "box.open", opening, {"plaintext": plaintext}))
        info = context(Label.EPOCH_BOX, secrets.token_bytes(32))
        opening = {"seed": key, "info": info, "sealed": hpke.seal(hpke.public_key(key), info, plaintext)}
        cases.append(_case(f"{size_bytes} bytes to a public key", "hpke.open", opening, {"plaintext": plaintext}))
        message = context(Label.SIGN_ENTRY, plaintext)
        signed: Values = {"public_key": signatures.public_key_of(key), "signature": signatures.sign(key, message)}
        cases.append(
            _case(f"signature over {size_bytes} bytes", "signature.verify", {**signed, "message": message}, {})
        )
    for size_bytes in _FILE_SIZES_BYTES:
        key, plaintext = secrets.token_bytes(32), secrets.token_bytes(size_bytes)
        place = context(Label.FILE, secrets.token_bytes(16), b"original", secrets.token_bytes(16))
        opening = {"key": key, "associated_data": place, "sealed": floe.seal_bytes(key, place, plaintext)}
        cases.append(_case(f"file of {size_bytes} bytes", "floe.open", opening, {"plaintext": plaintext}))
    key, account_id, secret = secrets.token_bytes(32), secrets.token_bytes(16), secrets.token_bytes(32)
    wrapped = passwords.wrap_account_secret(key, account_id, "password", secret)
    opening = {"wrap_key": key, "account_id": account_id, "unlocker_text": "password", "wrapped": wrapped}
    cases.append(_case("account secret", "account-secret.unwrap", opening, {"secret": secret}))
    return cases


def differences(path: Path) -> list[str]:
    """Return one line for each case of the file that gives something else here."""
    found = []
    for case in load(path):
        expect, output = run(case["operation"], case["inputs"])
        if expect != case["expect"] or not matches(case.get("output"), output):
            found.append(f"{case['name']} ({case['operation']}): {expect} instead of {case['expect']}")
    return found


def main(arguments: list[str]) -> int:
    """Run the command line; return its exit status."""
    match arguments:
        case ["write", folder]:
            path = Path(folder) / "exchange-python.json"
            path.write_text(dump("Fresh values by the Python side.", fresh_cases()), encoding="utf-8")
            print(path)
            return 0
        case ["read", file]:
            found = differences(Path(file))
            print("\n".join(found) if found else f"{len(load(Path(file)))} cases agree")
            return 1 if found else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
