"""Nothing that a person wrote, typed or photographed is to be found in anything that the server wrote."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from PIL import ExifTags

from tests.support.canaries import canary, hunt
from tests.support.commands import Cli, new_account, new_camera
from tests.support.samples import encoded, exif, picture
from tests.support.server_process import server_process


def _roll(folder: Path, words: dict[str, str]) -> Path:
    """Photographs that say something of themselves everywhere where a photograph can."""
    folder.mkdir()
    said = exif()
    said[ExifTags.Base.ImageDescription] = words["caption"].encode("ascii", "replace").decode()
    said[ExifTags.Base.Copyright] = words["rights"].encode("ascii", "replace").decode()
    said[ExifTags.Base.XPKeywords] = (words["keyword"] + "\0").encode("utf-16-le")
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{words['xmp']}</x:xmpmeta>".encode()
    data = encoded(picture(1), "JPEG", exif=said, xmp=xmp, comment=words["comment"].encode())
    (folder / f"{words['file name']}.jpg").write_bytes(data)
    (folder / "notes.txt").write_text(words["content"] * 50)
    (folder / "scan.tif").write_bytes(encoded(picture(2), "TIFF", exif=said))
    return folder


def test_no_canary_is_found_in_what_the_server_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, captions, contents, album, space, camera and link texts, passwords, words, secrets: none is there."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    whats = ["file name", "caption", "rights", "keyword", "xmp", "comment", "content", "space", "album", "camera"]
    words = {
        what: canary(what)
        for what in [*whats, "friend", "label", "note", "watermark", "password", "link password", "new password"]
    }
    with server_process(tmp_path / "server") as server:
        owner = Cli(
            tmp_path / "owner",
            {
                "SAFELIGHT_PASSWORD": words["password"],
                "SAFELIGHT_LINK_PASSWORD": words["link password"],
                "SAFELIGHT_NEW_PASSWORD": words["new password"],
            },
        )
        invite = server.invite()
        made = owner.json("account", "create", "--server", server.url, "--name", "ada", "--invite", invite)
        space = words["space"]
        owner.ok("space", "create", space, "--kind", "work")
        camera = new_camera(owner, space, tmp_path / "phone", words["camera"])
        camera.ok("camera", "push", str(_roll(tmp_path / "roll", words)))
        owner.ok("album", "create", words["album"], "--space", space)
        owner.ok("album", "add", words["album"], "--space", space, "--all")
        _share(owner, new_account(server, tmp_path / "friend", "friend"), words)
        link = owner.json(
            "link", "create", "--album", words["album"], "--space", space, "--password", "--label", words["label"]
        )
        owner.ok("link", "create", "--album", words["album"], "--space", space, "--watermark", words["watermark"])
        [*_, one] = owner.json("asset", "list", "--space", space)
        owner.ok("asset", "propose-deletion", one["id"], "--space", space, "--note", words["note"])
        assert owner.json("asset", "proposals", "--space", space)[0]["note"] == words["note"]
        owner.ok("account", "password")
        secrets = [" ".join(made["recovery_words"]), " ".join(made["recovery_words"][:6]), link["url"].split("#")[1]]
        written = [server.data, tmp_path / "server.log", temporary]
        in_exif = [word.encode("ascii", "replace").decode() for word in words.values()]
        assert hunt(written, [*words.values(), *in_exif, *secrets]) == []
    # The same words are found where they do stand: the hunt can fail.
    assert {word for word, _ in hunt([tmp_path / "roll"], words.values())} >= {words["file name"], words["content"]}


def _share(owner: Cli, friend: Cli, words: dict[str, str]) -> None:
    """Let a camera fill the album, and somebody see it who sees nothing else."""
    where = ("--space", words["space"])
    [camera] = owner.json("camera", "list", *where)
    owner.ok("camera", "point", camera["id"], *where, "--album", words["album"])
    uri = owner.json("member", "invite", words["friend"], *where, "--role", "grantee")["uri"]
    assert friend.run("member", "join", stdin=uri + "\n").returncode == 0
    owner.ok("album", "grant", words["album"], *where, "--to", words["friend"], "--tier", "full")
    assert [album["name"] for album in friend.json("album", "list")] == [words["album"]]
    assert friend.json("asset", "list", "--album", words["album"])


def test_the_hunt_finds_every_disguise(tmp_path: Path) -> None:
    """A canary is found in plain text, UTF-16, base64 in any position, hex, JSON escapes, gzip and file names."""
    word = canary("hidden")
    hidden = {
        "plain": word.encode(),
        "utf-16": word.encode("utf-16"),
        "base64": base64.b64encode(b"x" + word.encode() + b"yz"),
        "base64url": base64.urlsafe_b64encode(b"xy" + word.encode()),
        "hex": (b"ab" + word.encode()).hex().encode(),
        "json": json.dumps({"name": word}).encode(),
        "gzip": b"before" + gzip.compress(b"in a log: " + word.encode()) + b"after",
    }
    for name, data in hidden.items():
        (tmp_path / name).write_bytes(b"..." + data + b"...")
    (tmp_path / word).touch()
    (tmp_path / "innocent").write_bytes(b"nothing here")
    assert {Path(path).name for _, path in hunt([tmp_path], [word])} == {*hidden, word}
