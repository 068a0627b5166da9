"""The certificate in a file: whether key and certificate fit, for which name, and until when; with `ssl` alone.

Python parses no certificate by itself, but says what is in the one that a verified handshake showed. So a handshake is
held in memory, between a server with the file and a client that trusts just that file.
"""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from safelight.server.doctor.findings import Finding, note, ok, problem

DAYS_LEFT = 14
_DAY_S = 24 * 60 * 60
_ANY_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, so that an expired one can be looked at, too
_RENEW = "Renew it and start the server anew; certificates of Let's Encrypt are renewed by certbot, Caddy or the like."


@dataclass(frozen=True, slots=True)
class Ends:
    """Until when a certificate is good, in seconds since 1970."""

    time_s: float

    def finding(self, what: str, now_s: float) -> Finding:
        """Say whether it is time to renew."""
        days = int((self.time_s - now_s) // _DAY_S)
        if days < 0:
            return problem("certificate", f"{what} expired {-days} days ago: nobody gets in.", _RENEW)
        if days < DAYS_LEFT:
            return note("certificate", f"{what} is good for {days} more days.", _RENEW)
        return ok("certificate", f"{what} is good for {days} more days.")


def in_file(cert: Path, key: Path, host: str) -> list[Finding]:
    """Look at the certificate that the server would show, for people who come to *host*."""
    try:
        ends_s = _handshake(cert, key, "")
    except (ssl.SSLError, OSError, ValueError) as error:
        told = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        sentence = f"{cert} and {key} cannot be used together ({told})."
        return [problem("certificate", sentence, "Name a PEM chain with --tls-cert and the key that belongs to it.")]
    findings = [Ends(ends_s).finding(f"The certificate in {cert}", time.time())]
    if host:
        try:
            _handshake(cert, key, host)
        except ssl.CertificateError:
            sentence = f"The certificate in {cert} is not for {host}: browsers will refuse it."
            findings.append(problem("certificate", sentence, f"Get a certificate for {host}, or change --public-url."))
    mode = key.stat().st_mode & 0o777
    if mode & 0o077:
        sentence = f"The certificate's key {key} can be read by others (mode {mode:04o})."
        findings.append(problem("certificate-key", sentence, f"chmod 600 {key}"))
    return findings


def _handshake(cert: Path, key: Path, host: str) -> float:
    """Shake hands with ourselves; returns when the certificate ends. Raises CertificateError if not for *host*."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(cert, key)
    asking = ssl.create_default_context(cafile=str(cert))
    asking.verify_flags = ssl.VerifyFlags(ssl.VERIFY_X509_PARTIAL_CHAIN | _ANY_TIME)
    asking.check_hostname = bool(host)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server, server_hostname=host or None)
    for _ in range(8):
        done = [_step(client), _step(server)]
        if all(done):
            break
    shown = client.getpeercert()
    if not shown:
        raise ValueError("the handshake did not end")
    return float(ssl.cert_time_to_seconds(str(shown["notAfter"])))


def _step(side: ssl.SSLObject) -> bool:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
