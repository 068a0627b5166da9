"""The model of who reads what: people come, rise, fall, go, lose devices and add pictures, in any order."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from safelight.clients.engine import adding, sharing
from safelight.clients.engine.inboxes import Inboxes
from safelight.clients.engine.rolls import Roll
from safelight.clients.engine.showing import show_item
from safelight.sync_protocol.roles import Role, Tier
from tests.support.reach import Divergence, Household
from tests.support.server_process import ServerProcess

ROLES = [Role.OWNER, Role.MANAGER, Role.EDITOR, Role.VIEWER, Role.PREVIEWER, Role.GRANTEE]
_OTHERS = st.sampled_from(["bert", "carla"])


class Reach(RuleBasedStateMachine):
    """A household, and what may happen in it."""

    server: ServerProcess
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.household = Household(self.server, self.folder)
        self.run(self.household.__aenter__())

    def run(self, work: Any) -> Any:
        """Run in the household's own loop."""
        return self.runner.run(work)

    def teardown(self) -> None:
        """Let go of all."""
        self.run(self.household.__aexit__())
        self.runner.close()

    @rule(name=_OTHERS, role=st.sampled_from(ROLES))
    def comes_or_changes(self, name: str, role: Role) -> None:
        """Whoever is not in it comes; whoever is has another role."""
        one = self.household.people[name]
        if one.role is None:
            self.run(self.household.join(name, role))
        elif one.role is not role:
            self.run(self.household.change(name, role))

    @precondition(lambda self: any(self.household.people[name].role for name in ("bert", "carla")))
    @rule(name=_OTHERS)
    def goes(self, name: str) -> None:
        """The owner removes someone."""
        if self.household.people[name].role is not None:
            self.run(self.household.remove(name))

    @precondition(lambda self: any(len(one.devices) > 1 for one in self.household.people.values()))
    @rule(name=st.sampled_from(["anna", "bert", "carla"]))
    def loses_a_laptop(self, name: str) -> None:
        """A laptop is lost, and its account gets a new identity."""
        if len(self.household.people[name].devices) > 1:
            self.run(self.household.lose(name))

    @rule(name=st.sampled_from(["anna", "bert", "carla"]), laptop=st.booleans())
    def adds(self, name: str, laptop: bool) -> None:
        """Someone adds a picture, or may not."""
        last = len(self.household.people[name].devices) - 1
        self.run(self.household.add(name, last if laptop else 0))

    @rule(name=_OTHERS, tier=st.sampled_from([Tier.VIEW, Tier.FULL]))
    def is_granted(self, name: str, tier: Tier) -> None:
        """The owner grants someone the album, where that can be."""
        if self.household.people[name].role is not None:
            self.run(self.household.give(name, tier))

    @precondition(lambda self: any(one.grant is not Tier.NONE for one in self.household.people.values()))
    @rule(name=_OTHERS)
    def is_granted_no_more(self, name: str) -> None:
        """The owner ends a grant."""
        if self.household.people[name].grant is not Tier.NONE:
            self.run(self.household.end(name))

    @rule()
    def fills(self) -> None:
        """The owner puts a picture into the album."""
        self.run(self.household.put())

    @invariant()
    def holds(self) -> None:
        """All that each may and may not is as the model says."""
        self.run(self.household.look())


def _run(server: ServerProcess, folder: Path, examples: int, steps: int) -> None:
    machine = type("ReachHere", (Reach,), {"server": server, "folder": folder})
    run_state_machine_as_test(machine, settings=_settings(examples, steps))


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


def test_everyone_reads_what_the_model_says(server: ServerProcess, tmp_path: Path) -> None:
    """A few courses of events; after each step everything is tried that each may and may not."""
    _run(server, tmp_path, 3, 8)


@pytest.mark.battery
def test_everyone_reads_what_the_model_says_at_length(server: ServerProcess, tmp_path: Path) -> None:
    """Many more of them, and longer ones."""
    _run(server, tmp_path, 30, 25)


async def test_a_client_that_seals_to_an_old_epoch_is_caught(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model can fail: whoever was removed opens what such a client adds."""
    first: list[Inboxes] = []

    class Old(Roll):
        def __init__(self, inboxes: Inboxes, device_id: bytes, *, opened_ms: int) -> None:
            first.append(inboxes)
            old = replace(inboxes, full=first[0].full, view=first[0].view)
            super().__init__(old, device_id, opened_ms=opened_ms)

    monkeypatch.setattr(adding, "Roll", Old)
    async with Household(server, tmp_path) as household:
        await household.join("bert", Role.VIEWER)
        await household.add("anna", 0)
        await household.look()
        await household.remove("bert")
        await household.look()
        await household.add("anna", 0)
        with pytest.raises(Divergence):
            await household.look()


async def test_a_server_that_goes_on_serving_is_caught(server: ServerProcess, tmp_path: Path) -> None:
    """The model can fail: where somebody is still a member whom the model has gone, it says so."""
    async with Household(server, tmp_path) as household:
        await household.join("bert", Role.PREVIEWER)
        await household.add("anna", 0)
        await household.look()
        household.people["bert"].role = Role.VIEWER
        with pytest.raises(Divergence):
            await household.look()
        household.people["bert"].role = None
        with pytest.raises(Divergence):
            await household.look()


async def test_a_client_that_goes_on_under_an_ended_grants_keys_is_caught(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model can fail: whose grant was ended opens what such a client, adds."""
    async with Household(server, tmp_path) as household:
        await household.join("bert", Role.GRANTEE)
        for _ in range(2):
            await household.add("anna", 0)
        await household.give("bert", Tier.FULL)
        await household.put()
        await household.look()
        await household.end("bert")
        await household.look()
        one = household.people["bert"]
        old = one.held_of_album[0]
        monkeypatch.setattr(sharing, "show_item", lambda place, _, asset: show_item(place, old, asset))
        await household.put()
        with pytest.raises(Divergence, match="later, by keys of 2"):
            await household.look()
