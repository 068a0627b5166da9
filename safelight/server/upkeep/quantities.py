"""Shares, times and rates as people type them."""

import argparse
import re

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_UNITS_BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_TIME = re.compile(r"(\d+)([smhdw])")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]i?)?b?(?:/s)?", re.IGNORECASE)


def share(text: str) -> float:
    """`10%` as 0.1."""
    found = _SHARE.fullmatch(text)
    if found is None or not 0 < float(found[1]) <= 100:
        raise argparse.ArgumentTypeError("a share is a percentage above 0%, for example 10%")
    return float(found[1]) / 100


def time_s(text: str) -> int:
    """`30d` in seconds."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError("a time is a number and s, m, h, d or w, for example 30d")
    return int(found[1]) * _UNITS_S[found[2]]


def rate(text: str) -> int:
    """`50MB/s` in bytes a second."""
    found = _RATE.fullmatch(text)
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError("a rate is bytes a second, for example 50MB/s")
    return max(1, int(float(found[1]) * _UNITS_BYTES[(found[2] or "").lower()]))
