"""What the doctor finds on machines that are written down: tests/support/machines/NAME.json has the
facts, as `cvl doctor --json` prints them, and NAME.txt what it says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cvl.cli.doctor_text import WIDTH, report, summary
from cvl.core.doctor import Finding, MachineFacts, findings
from cvl.core.doctor.cuda import DRIVERS, driver_for, fulfils, newest_cuda, wanted_cuda
from cvl.core.doctor.facts import GpuFact, ImageFact, LibraryFact, NvidiaFacts, ProofFact
from cvl.core.plain import from_plain, to_plain

MACHINES = Path(__file__).parent.parent / "support" / "machines"
NAMES = sorted(path.stem for path in MACHINES.glob("*.json"))
BROKEN = {
    "amd_7900": {"info amd"},
    "apple_m3": {"info apple", "info proof_none"},
    "disk_97_percent_full": {"info no_gpu", "warning disk_low"},
    "disk_full_tmp": {"info dead_runs", "info no_gpu", "error disk_full"},
    "driver_mismatch": {"error driver_mismatch"},
    "driver_too_old": {"error driver_too_old", "warning driver_older"},
    "engine_frozen": {
        "warning not_read", "error engine_timeout", "error no_build_client", "info no_gpu",
    },
    "headless_without_docker": {"info folder_missing", "error docker_missing", "info no_gpu"},
    "healthy_rtx4090": set(),
    "models_of_many_versions": {"info leftovers", "warning hub_versions"},
    "models_of_root": {
        "warning hub_unreachable", "warning cache_not_writable", "info hub_versions",
    },
    "models_on_nfs": {
        "warning token_unknown", "warning cache_remote", "info cache_shared", "info leftovers",
    },
    "not_in_group_docker": {"error engine_permission", "info no_gpu"},
    "old_engine_open_to_the_network": {
        "warning engine_old", "warning api_open", "warning runc_old", "warning storage_slow",
        "error no_build_client", "info no_gpu",
    },
    "proxy_with_ca_bundle": {"info no_gpu", "warning proxy_loopback", "error ca_bundle_bad"},
    "proxy_without_ca_bundle": {"info no_gpu", "info offline", "warning proxy_without_ca_bundle"},
    "root_owned_cache": {
        "error folder_not_yours", "error proof_failed", "info no_gpu", "warning files_not_yours",
    },
    "rootless": {"info rootless", "error proof_gpu_failed", "warning rootless_no_cgroups"},
    "rootless_cgroup_v1": {
        "info rootless", "warning memory_limit_off", "info runc_old", "info no_gpu",
    },
    "rootless_elsewhere": {"warning folder_open", "error engine_elsewhere", "info no_gpu"},
    "selinux_fedora": {"info selinux", "info swap_limit_off", "info no_gpu"},
    "snap_docker": {
        "warning snap", "error snap_blind", "error proof_failed", "error toolkit_snap",
    },
    "toolkit_missing": {"error toolkit_missing"},
    "toolkit_not_registered": {"error toolkit_not_registered"},
    "wsl2": {"info wsl_spill"},
    "wsl2_without_docker": {"error docker_missing", "info no_gpu_wsl"},
}  # fmt: skip
"""What is to be said of each, beside what is well."""


def machine(name: str) -> MachineFacts:
    facts: MachineFacts = from_plain(
        MachineFacts, json.loads((MACHINES / f"{name}.json").read_text())
    )
    return facts


def codes(facts: MachineFacts) -> set[str]:
    return {f"{f.severity} {f.code}" for f in findings(facts) if f.severity != "ok"}


def shown(facts: MachineFacts) -> str:
    """The golden text: codes, then what the terminal says."""
    found = findings(facts)
    named = [f"{f.severity} {f.code}" + (f" (fix: {f.fix})" if f.fix else "") for f in found]
    return "\n".join([*named, "", report(found), "", summary(found), ""])


def test_there_is_an_answer_for_every_machine() -> None:
    assert set(NAMES) == BROKEN.keys() and len(NAMES) > 10


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_with_a_machine(name: str) -> None:
    assert codes(machine(name)) == BROKEN[name]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_of_a_machine(name: str) -> None:
    assert shown(machine(name)) == (MACHINES / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_said_within_80_columns_with_a_way_out(name: str) -> None:
    found = findings(machine(name))
    for line in report(found).splitlines():
        assert len(line) <= WIDTH or line.lstrip().startswith("$ ")
    for finding in found:
        mended = finding.remedy or finding.commands
        assert mended or finding.severity in ("ok", "info"), finding.code


@pytest.mark.parametrize("name", NAMES)
def test_the_facts_of_a_report_can_be_read_again(name: str) -> None:
    facts = machine(name)
    assert from_plain(MachineFacts, json.loads(json.dumps(to_plain(facts)))) == facts


def healthy() -> MachineFacts:
    return machine("healthy_rtx4090")


def of_engine(**changes: object) -> set[str]:
    facts = healthy()
    return codes(replace(facts, engine=replace(facts.engine, **changes)))  # type: ignore[arg-type]


def test_kinds_of_engine() -> None:
    assert of_engine(userns_remap=True) == {"info userns_remap"}
    assert of_engine(version="18.09.1") == {"error engine_old"}
    assert of_engine(version="19.03.15") == {"warning engine_old"}
    assert of_engine(version="20.10.0") == set()
    assert of_engine(runc="1.1.11") == {"warning runc_old"}
    assert of_engine(runc="1.1.5+ds1-1+deb12u1") == {"info runc_old"}
    assert of_engine(memory_limit=False) == {"warning memory_limit_off"}


def test_who_may_not_use_the_engine_is_told_how_to() -> None:
    facts = machine("not_in_group_docker")
    told = {}
    for group in ("stale", "out", "none"):
        system = replace(facts.system, docker_group=group)
        (found,) = [f for f in findings(replace(facts, system=system)) if f.topic == "engine"][:1]
        told[group] = found.commands
    assert told == {
        "stale": ("newgrp docker",), "out": ("sudo usermod -aG docker $USER",), "none": (),
    }  # fmt: skip


def test_wsl_1_cannot_run_containers() -> None:
    facts = healthy()
    assert "error wsl1" in codes(replace(facts, system=replace(facts.system, wsl=1)))


def test_one_way_for_a_gpu_into_a_container_is_enough() -> None:
    facts = healthy()
    bare = replace(facts, engine=replace(facts.engine, runtimes=("runc",)))
    assert codes(bare) == set()  # the hook
    none = replace(bare, nvidia=replace(facts.nvidia, hook=""))
    assert codes(none) == {"error toolkit_not_registered"}
    assert codes(replace(none, engine=replace(none.engine, cdi=("nvidia.com/gpu=0",)))) == set()


def test_no_cgroups_is_for_rootless_engines_alone() -> None:
    facts = healthy()
    set_ = replace(facts, nvidia=replace(facts.nvidia, no_cgroups=True))
    assert codes(set_) == {"warning no_cgroups"}
    assert codes(replace(set_, engine=replace(facts.engine, rootless=True))) == {"info rootless"}


def test_drivers_that_do_not_work() -> None:
    facts = replace(healthy(), proof=replace(proof(), gpus=0))
    blind = replace(facts, nvidia=NvidiaFacts(loaded="570.1", cards=1))
    assert codes(blind) == {"error driver_blind"}
    assert codes(replace(facts, nvidia=NvidiaFacts(cards=1))) == {"warning driver_missing"}


def proof() -> ProofFact:
    found = healthy().proof
    assert found is not None
    return found


def test_leases_of_all_users_need_a_folder_that_all_can_write_to() -> None:
    facts = healthy()
    assert facts.leases is not None
    closed = replace(facts, leases=replace(facts.leases, mode=0o755))
    assert codes(closed) == {"warning leases_not_shared"}
    theirs = replace(facts, leases=replace(facts.leases, writable=False))
    assert codes(theirs) == {"error leases_not_writable"}
    assert codes(replace(theirs, nvidia=NvidiaFacts(), proof=None)) == {
        "info no_gpu", "info proof_none",
    }  # fmt: skip


def test_an_image_that_waives_its_requirement_is_taken_at_its_word() -> None:
    facts = replace(healthy(), nvidia=replace(healthy().nvidia, driver="525.60.13"))
    image = ImageFact("x", "cuda>=12.8", "12.8.0", waived=False)
    assert codes(replace(facts, images=(image,))) == {"error driver_too_old"}
    waived = replace(image, waived=True)
    assert codes(replace(facts, images=(waived,))) == {"warning driver_older"}


def test_images_that_ask_the_same_are_named_together() -> None:
    images = tuple(ImageFact(name, "cuda>=13.0", "", False) for name in "abcde")
    found = [f for f in findings(replace(healthy(), images=images)) if f.code == "driver_too_old"]
    assert [f.what.partition(" needs")[0] for f in found] == ["a, b, c and 2 more"]


def test_the_fullest_disk_comes_first() -> None:
    found = [f for f in findings(machine("disk_full_tmp")) if f.topic == "disk"]
    assert [f.code for f in found] == ["disk_full", "disk"]


def test_a_gpu_that_tells_no_memory_has_no_effect_on_others() -> None:
    facts = replace(healthy(), nvidia=replace(healthy().nvidia, gpus=(GpuFact("GB10", 0, "12.1"),)))
    assert codes(facts) == set()


@given(st.tuples(st.integers(400, 700), st.integers(0, 200), st.integers(0, 20)))
def test_a_newer_driver_never_runs_less(driver: tuple[int, int, int]) -> None:
    newer = (driver[0] + 1, *driver[1:])
    assert newest_cuda(".".join(map(str, newer))) >= newest_cuda(".".join(map(str, driver)))


@pytest.mark.parametrize(("cuda", "least"), DRIVERS)
def test_the_driver_that_came_with_a_cuda_runs_it(
    cuda: tuple[int, ...], least: tuple[int, ...]
) -> None:
    assert newest_cuda(".".join(map(str, least))) == cuda
    assert driver_for(cuda) == str(least[0])


@pytest.mark.parametrize(
    ("requirement", "driver", "expected"),
    [
        ("cuda>=12.8", "570.26", "yes"),
        ("cuda>=12.8", "570.25", "no"),
        ("cuda>=12.8 driver>=535,driver<536", "535.54.03", "yes"),
        ("cuda>=12.8 driver>=535,driver<536", "536.10", "no"),
        ("cuda>=12.8 brand=tesla,driver>=535,driver<536", "535.54.03", "perhaps"),
        ("cuda>=12.8 brand=tesla,driver>=535,driver<536", "570.124", "yes"),
        ("cuda>=9.0", "390.30", "no"),
        ("", "390.30", "yes"),
    ],
)
def test_requirements_are_read_as_the_toolkit_reads_them(
    requirement: str, driver: str, expected: str
) -> None:
    assert fulfils(requirement, driver) == expected


def test_what_a_requirement_asks_for() -> None:
    assert wanted_cuda("cuda>=12.8 brand=tesla,driver>=470") == (12, 8)
    assert wanted_cuda("driver>=470") == ()


def of_cache(**changes: object) -> set[str]:
    facts = healthy()
    assert facts.cache is not None
    return codes(replace(facts, cache=replace(facts.cache, **changes)))  # type: ignore[arg-type]


def test_a_cache_that_another_machine_answers_for() -> None:
    assert of_cache(file_system="nfs4", remote=True) == {"warning cache_remote"}
    assert of_cache(file_system="ext4") == set()


def test_whose_the_cache_is() -> None:
    facts = healthy()
    assert facts.cache is not None
    folder = facts.cache.folder
    assert of_cache(folder=replace(folder, owner=7)) == {"info cache_shared"}
    assert of_cache(folder=replace(folder, writable=False)) == {"warning cache_not_writable"}
    above = replace(folder, existing="/home", owner=0)
    assert of_cache(folder=above) == set()  # it is made when something is fetched
    root = replace(facts, system=replace(facts.system, uid=0))
    assert "warning cache_of_another" in codes(root)


def test_versions_of_the_library_beside_each_other() -> None:
    own, older = LibraryFact("cvl", "2.4.0"), LibraryFact("tts", "0.36.0")
    assert of_cache(libraries=(own, replace(own, place="tts"))) == set()
    assert of_cache(libraries=(own, older)) == {"info hub_versions"}
    assert of_cache(libraries=(own, older), shared=True) == {"warning hub_versions"}
    assert of_cache(shared=True) == set()
    assert of_cache(unlisted=1) == {"info hub_versions"}
    assert of_cache(unlisted=1, listed=0) == set()


def test_severities_are_counted() -> None:
    found = [Finding("cvl", s, "x", "y") for s in ("ok", "error", "warning", "warning")]  # type: ignore[arg-type]
    assert summary(found) == "1 error, 2 warnings"
    assert summary(found[:1]) == "this machine is ready"


def test_without_docker_the_venv_engine_leaves_warnings_unless_docker_is_wanted() -> None:
    facts = replace(machine("headless_without_docker"), venv_engine=True)
    missing = next(f for f in findings(facts) if f.code == "docker_missing")
    assert missing.severity == "warning"
    assert missing.what.endswith("only examples that run in virtual environments can run here")
    wanted = findings(replace(facts, engine_wanted="docker"))
    assert next(f for f in wanted if f.code == "docker_missing").severity == "error"
