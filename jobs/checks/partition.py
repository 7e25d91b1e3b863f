"""The partition that a profile chooses: whether it takes such jobs, and what it does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobs.checks.finding import Finding, Group
from jobs.cluster import ClusterConfig
from jobs.queue.slurm_times import seconds_of
from wavenet.errors import did_you_mean

Facts = Mapping[str, str]


def chosen(cluster: ClusterConfig, partitions: Mapping[str, Facts]) -> list[str]:
    """Names of the partitions that jobs of the profile may go to: several with commas, or the site's default."""
    if cluster.partition:
        return cluster.partition.split(",")
    return [name for name, facts in partitions.items() if facts.get("Default") == "YES"]


def examine(cluster: ClusterConfig, partitions: Mapping[str, Facts], settings: Facts) -> Iterator[Finding]:
    """Look at each partition that the profile chooses."""
    names = chosen(cluster, partitions)
    if not names:
        valid = ", ".join(partitions)
        found = "the profile names no partition, and the site has no default one"
        yield Group("partition").problem("partition", found, f"set cluster.partition to one of: {valid}")
    for name in names:
        group = Group(f"partition {name}")
        if name in partitions:
            yield from _one(cluster, partitions[name], settings, group)
        else:
            found = f"there is no partition {name!r} that you may use{did_you_mean(name, partitions)}"
            yield group.problem("partition", found, "correct cluster.partition")


def _one(cluster: ClusterConfig, facts: Facts, settings: Facts, group: Group) -> Iterator[Finding]:
    yield _state(facts, group)
    yield _time(cluster, facts, group)
    yield _preemption(facts, settings, group)
    yield from _who(cluster, facts, group)


def _state(facts: Facts, group: Group) -> Finding:
    state = facts.get("State", "UP")
    if state == "UP":
        return group.ok("state", f"open, {facts.get('TotalNodes', '?')} nodes")
    found = {
        "DOWN": "jobs may be submitted, but none starts",
        "DRAIN": "no job may be submitted",
        "INACTIVE": "no job may be submitted, and none starts",
    }.get(state, "its state is not UP")
    return group.problem("state", f"{state}: {found}", "choose another cluster.partition, or wait until it is opened")


def _time(cluster: ClusterConfig, facts: Facts, group: Group) -> Finding:
    told, wanted = facts.get("MaxTime", "UNLIMITED"), cluster.time_limit_minutes
    seconds = seconds_of(told)
    most = None if seconds is None else seconds // 60
    if most is None:
        return group.ok("time limit", f"no time limit; the profile asks for {wanted} minutes")
    if wanted > most:
        found = f"it gives at most {most} minutes ({told}), and the profile asks for {wanted}: such a job never starts"
        return group.problem(
            "time limit", found, f"set cluster.time_limit_minutes={most}; a run goes on in the next job"
        )
    return group.ok("time limit", f"it gives up to {most} minutes, and the profile asks for {wanted}")


def _preemption(facts: Facts, settings: Facts, group: Group) -> Finding:
    mode = facts.get("PreemptMode", "OFF").replace("GANG,", "")
    grace = facts.get("GraceTime", "0").split()[0]
    if settings.get("PreemptType", "preempt/none") == "preempt/none" or mode == "OFF":
        return group.ok("preemption", "its jobs are not preempted")
    in_time = f"after {grace} s of grace" if grace != "0" else "at once"
    if mode == "REQUEUE":
        return group.ok("preemption", f"preempted jobs are put back into the queue {in_time}")
    if mode == "CANCEL":
        found = f"preempted jobs are cancelled {in_time}, not put back; jobs of wavenet then submit a successor"
        remedy = "nothing, if jobs may be submitted from compute nodes (see below); else run the same command again"
        return group.warning("preemption", found, remedy)
    if mode == "SUSPEND":
        found = "preempted jobs are stopped and go on later on the same node"
        return group.warning("preemption", found, "nothing; `wavenet status` shows such a run without progress")
    return group.ok("preemption", f"preemption mode {mode}")


def _who(cluster: ClusterConfig, facts: Facts, group: Group) -> Iterator[Finding]:
    for field, name, mine in (
        ("AllowAccounts", "account", cluster.account),
        ("AllowQos", "qos", cluster.qos),
    ):
        allowed = facts.get(field, "ALL")
        if allowed in ("ALL", "(null)") or (mine and mine in allowed.split(",")):
            continue
        said = f"the profile names {mine}" if mine else f"the profile names no {name}"
        yield group.problem(name, f"it takes only {field}={allowed}, and {said}", f"set cluster.{name} to one of these")
    groups = facts.get("AllowGroups", "ALL")
    if groups not in ("ALL", "(null)"):
        yield group.ok("groups", f"only members of these groups may use it: {groups}")
