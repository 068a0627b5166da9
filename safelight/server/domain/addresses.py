"""Addresses, as coarse as throttling and logs need them."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def network_of(address: str) -> bytes:
    """The key under which an address is throttled: an IPv4 address, or the /64 that one IPv6 household has."""
    parsed = _parse(address)
    if isinstance(parsed, IPv6Address):
        return b"6" + parsed.packed[:8]
    return b"4" + parsed.packed if parsed else b"?"


def truncated(address: str) -> str:
    """The network of an address, for the log: /24 or /48."""
    parsed = _parse(address)
    if parsed is None:
        return ""
    bits = 48 if isinstance(parsed, IPv6Address) else 24
    return str(ip_network((parsed, bits), strict=False))


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
