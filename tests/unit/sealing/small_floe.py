"""FLOE with other parameters than Safelight's: for the public known answers, and to test every border quickly."""

from safelight.sync_protocol.sealing.floe import FloeDecryptor, FloeEncryptor, _Profile


def with_profile(profile: _Profile) -> tuple[type[FloeEncryptor], type[FloeDecryptor]]:
    """Return an encryptor and a decryptor for *profile*."""

    class Encryptor(FloeEncryptor):
        _profile = profile

    class Decryptor(FloeDecryptor):
        _profile = profile

    return Encryptor, Decryptor
