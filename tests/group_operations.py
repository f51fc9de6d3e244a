"""What operators do to groups in the model test: they reset, pause and delete."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logs import services, store
from logs.errors import GroupNotPaused, GroupSubscribed, NonEmptyGroup, NotSubscribed, PlanOutdated
from logs.models import ConsumerGroup
from logs.services import Assignment
from mqsite.errors import Invalid
from tests.group_model import Group, Log, Place, Reader


class Operations:
    logs: dict[Place, Log]
    groups: list[Group]
    members: list[Reader]
    workers: list[tuple[Group, Place, Assignment]]
    undoable: list[tuple[Group, int, dict[Place, int]]]

    def do(self, called: tuple[Any, ...]) -> None:
        raise NotImplementedError

    def _create_group(self, name: str, policy: str) -> Group:
        raise NotImplementedError

    def _group(self, which: int) -> Group:
        return self.groups[which % len(self.groups)]

    def _row(self, group: Group, place: Place) -> dict[str, Any]:
        group_id = ConsumerGroup.objects.get(name=group.name).id
        found = [h for h in store.holdings(group_id, using="default") if (h.topic, h.number) == place]
        return found[0]._asdict() if found else {}

    # Resets

    def reset_what_is_paused(self, which: int, mode: str, number: int, value: int, between: tuple[Any, ...]) -> None:
        group = self._group(which)
        if group.stands:
            self.pause(which, None, None)
            self.reset(which, mode, number, value, mode != "skip-one", between)
            self.resume(which, None, None)

    def reset(self, which: int, mode: str, number: int, value: int, whole: bool, between: tuple[Any, ...]) -> None:
        group, other = self._group(which), self._group(which + 1)
        places = [p for p in sorted(group.stands) if whole or p == ("orders", number)]
        if not places:
            return
        topics = None if whole else {"orders": [number]}
        wanted = {place: group.aim(mode, value, place, other) for place in places}
        asked = self._value(mode, value, places, other)
        if None in wanted.values() or (mode == "skip-one" and len(places) != 1):
            with pytest.raises((GroupNotPaused, Invalid, NotSubscribed)):
                services.plan_reset(group.name, mode, asked, topics=topics)
            return
        plan = services.plan_reset(group.name, mode, asked, topics=topics)
        assert {(m.topic, m.partition): m.new for m in plan.moves} == wanted
        self._execute(group, plan, between)

    def _value(self, mode: str, value: int, places: list[Place], other: Group) -> Any:
        return {
            "to-offset": value,
            "shift-by": value - 3,
            "from-file": [(*place, value) for place in places],
            "by-duration": "PT1H",
            "to-datetime": datetime.now(UTC) + timedelta(hours=1),
            "from-group": other.name,
        }.get(mode)

    def undo(self, which: int, between: tuple[Any, ...]) -> None:
        if not self.undoable:
            return
        group, reset_id, before = self.undoable[which % len(self.undoable)]
        plan = services.plan_undo(reset_id)
        for move in plan.moves:
            log = self.logs[move.topic, move.partition]
            assert move.new == min(max(before[move.topic, move.partition], log.start), log.end)
        if plan.moves:
            self._execute(group, plan, between)

    def _execute(self, group: Group, plan: services.ResetPlan, between: tuple[Any, ...]) -> None:
        """Whatever happens between the plan and its execution: what was shown, or nothing."""
        shown = {(m.topic, m.partition): m.new for m in plan.moves}
        sizes = len([p for p in self.logs if p[0] in {t for t, _ in shown}])
        if between[0] == "add_a_partition" and between[1] == "payments":  # in place of it, another reset
            first = min(shown)
            services.reset_offsets(group.name, "to-latest", topics={first[0]: [first[1]]}, actor="test")
            group.move(first, self.logs[first].end)
            overtaken = True
        else:
            self.do(between)
            overtaken = len([p for p in self.logs if p[0] in {t for t, _ in shown}]) != sizes
        overtaken |= any(target < self.logs[place].start for place, target in shown.items())
        if overtaken:
            with pytest.raises(PlanOutdated):
                services.execute_reset(plan.token, actor="test")
            return
        before = {place: group.shown_position(place) for place in shown}
        done = services.execute_reset(plan.token, actor="test")
        assert {(p["topic"], p["partition"]): p["to"] for p in done["partitions"]} == shown
        for place, target in shown.items():
            group.move(place, target)
            assert self._row(group, place)["owner"] is None
        self.undoable.append((group, done["id"], before))

    # What operators do else

    def pause(self, which: int, topic: str | None, number: int | None) -> None:
        group = self._group(which)
        places = self._choose(group, topic, number)
        if not places:
            return
        numbers = None if topic is None or number is None else [n for _, n in places]
        services.pause_group(group.name, topic=topic, partitions=numbers, actor="test", grace_seconds=0)
        group.is_paused |= topic is None
        for place in places:
            assert self._row(group, place)["owner"] is None
            group.stands[place].is_paused |= topic is not None

    def resume(self, which: int, topic: str | None, number: int | None) -> None:
        group = self._group(which)
        places = self._choose(group, topic, number)
        if not places:
            return
        numbers = None if topic is None or number is None else [n for _, n in places]
        services.resume_group(group.name, topic=topic, partitions=numbers, actor="test")
        group.is_paused &= topic is not None
        for place in places:
            group.stands[place].is_paused &= topic is None

    def _choose(self, group: Group, topic: str | None, number: int | None) -> list[Place]:
        chosen = [p for p in group.stands if topic in {None, p[0]}]
        return chosen if topic is None or number is None else [p for p in chosen if p[1] == number]

    def alter_policy(self, which: int, policy: str) -> None:
        group = self._group(which)
        services.alter_group(group.name, auto_offset_reset=policy, actor="test")
        group.policy = policy

    def delete_offsets(self, which: int, topic: str) -> None:
        group = self._group(which)
        if topic not in group.topics:
            return
        if self._is_active(group, topic):
            with pytest.raises(GroupSubscribed):
                services.delete_offsets(group.name, topic, actor="test")
            return
        services.delete_offsets(group.name, topic, actor="test")
        for place in [p for p in group.stands if p[0] == topic]:
            del group.stands[place]
        self.undoable = [undo for undo in self.undoable if undo[0] is not group]

    def delete_group(self, which: int, policy: str) -> None:
        group = self._group(which)
        if self._is_active(group, None):
            with pytest.raises(NonEmptyGroup):
                services.delete_group(group.name, actor="test")
            return
        services.delete_group(group.name, actor="test")
        self.members = [m for m in self.members if m.group is not group]
        self.workers = [w for w in self.workers if w[0] is not group]
        self.undoable = [undo for undo in self.undoable if undo[0] is not group]
        self.groups[self.groups.index(group)] = self._create_group(group.name, policy)

    def _is_active(self, group: Group, topic: str | None) -> bool:
        """A member that could read it, or somebody that holds it."""
        members = [m for m in self.members if m.group is group and m.is_alive and not m.is_former]
        can_read = any(topic is None or m.topics is None or topic in m.topics for m in members)
        return can_read or any(self._row(group, p)["owner"] for p in group.stands if topic in {None, p[0]})
