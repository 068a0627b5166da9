"""Listing assets: each opened and verified, for no more than to say what it is.

All of a large space are opened by helpers. They are sent the sealed records and the keys of the rolls in them, and no
keys come back. A vault's are opened here, as its keys go nowhere else.
"""

from collections import deque
from collections.abc import AsyncIterator

from safelight.clients.engine.albums import AlbumReader
from safelight.clients.engine.assets import NOT_OF_ONE_ASSET, AssetReader, FailedAsset, OpenedAsset
from safelight.clients.engine.export import ReadsAssets
from safelight.clients.engine.helper_work import ListAssets, ListedAsset, SealedRecord, list_assets, listed_asset
from safelight.clients.engine.helpers import MANY, Asked, Helpers, HelpersGone
from safelight.clients.engine.rolls import RollKeys
from safelight.sync_protocol.refusals import Refused

_ASSETS_TOGETHER = 250
_ASKED_AHEAD = 4  # requests that wait for each helper, or whose answers do


async def listed_assets(reader: ReadsAssets) -> AsyncIterator[ListedAsset]:
    """What there is to see of all assets of *reader*, in its order; one that does not open is listed as damaged."""
    if isinstance(reader, AssetReader) and not isinstance(reader, AlbumReader) and _is_large(reader):
        trashed = {place.asset_id for place, _ in reader.space.index.trash()}
        async for one in _listed_with(reader.space.helpers(), reader):
            if one.asset_id not in trashed:
                yield one
        return
    async for found in reader.each():
        yield listed(found)


def listed(found: OpenedAsset | FailedAsset) -> ListedAsset:
    """What a listing shows of an asset that was opened here."""
    if isinstance(found, FailedAsset):
        return ListedAsset(found.asset_id)
    return listed_asset(found.asset_id, found.body, found.view, found.full)


def _is_large(reader: AssetReader) -> bool:
    return not reader.space.is_vault and reader.space.index.count_assets() >= MANY


async def _listed_with(helpers: Helpers, reader: AssetReader) -> AsyncIterator[ListedAsset]:
    """The same for all assets of a space, by helpers."""
    ahead: deque[tuple[Asked, ListAssets]] = deque()
    async for request in _requests(reader):
        ahead.append((helpers.ask(request), request))
        if len(ahead) > _ASKED_AHEAD * helpers.count:
            for one in _answered(helpers, *ahead.popleft()):
                yield one
    while ahead:
        for one in _answered(helpers, *ahead.popleft()):
            yield one


def _answered(helpers: Helpers, asked: Asked, request: ListAssets) -> list[ListedAsset]:
    """The helpers' answer, or in its place our own."""
    try:
        answer = helpers.answer(asked, list[ListedAsset])
    except HelpersGone:
        return list_assets(request)
    ids = [asset_id for record in request.records for asset_id in record.asset_ids]
    return answer if [one.asset_id for one in answer] == ids else list_assets(request)


async def _requests(reader: AssetReader) -> AsyncIterator[ListAssets]:
    """All records that added assets, with the keys of their rolls; so many assets together."""
    records: list[SealedRecord] = []
    assets = 0
    for envelope, roll_id, asset_ids in reader.space.index.records_with_assets():
        try:
            roll = await reader.roll_keys(roll_id)
        except Refused as refusal:
            if refusal.code in NOT_OF_ONE_ASSET:
                raise
            records.append(SealedRecord(b"", asset_ids, RollKeys(roll_id, b"", None)))  # none of its assets opens
        else:
            records.append(SealedRecord(envelope, asset_ids, roll))
        assets += len(asset_ids)
        if assets >= _ASSETS_TOGETHER:
            yield ListAssets(reader.space_id, records)
            records, assets = [], 0
    if records:
        yield ListAssets(reader.space_id, records)
