"""What a predict container may do. Each line of the policy is seen in the value that the engine
gets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cvl.core.container import ContainerSpec, EngineFacts
from cvl.core.plan import StagedFile, request_for
from cvl.core.policy import container_for, container_user, environment, private_proxies
from tests.support.steps import GB, LIMITS, placement, step_spec

FACTS = EngineFacts("docker", "29.0", 64 * GB)


def container(
    spec: dict[str, Any] | None = None, place: dict[str, Any] | None = None, **facts: Any
) -> ContainerSpec:
    return container_for(
        step_spec(**(spec or {})),
        placement(**(place or {})),
        replace(FACTS, **facts),
        image="sha256:x",
        name="cvl-1",
        labels={"org.cvl.run": "1"},
    )


def test_it_runs_as_the_caller_with_the_callers_groups() -> None:
    assert (container().user, container().groups) == ("1000:1000", ("27",))


def test_in_a_rootless_engine_the_caller_is_uid_0() -> None:
    mapped = container(rootless=True)
    assert (mapped.user, mapped.groups) == ("0:0", ())
    assert container_user(placement(), replace(FACTS, rootless=True)) == (0, 0)


def test_an_engine_that_remaps_users_is_told_not_to() -> None:
    assert container(userns_remap=True).userns == "host"
    assert container().userns == ""


def test_nothing_gains_privileges() -> None:
    assert container().security == ("no-new-privileges",)
    assert container(selinux=True).security == ("no-new-privileges", "label=disable")


def test_there_is_no_network_unless_it_was_declared() -> None:
    assert container().network == "none"
    assert container({"network": True}).network == "bridge"


def test_limits_are_the_steps_and_a_file_may_be_as_large_as_shared_memory() -> None:
    limited = container()
    assert (limited.memory, limited.shm, limited.pids) == (8 * GB, GB, 64)
    assert limited.file_size == 2 * GB
    small = container({"limits": replace(LIMITS, file_size=1)})
    assert small.file_size == GB


def test_tmp_is_executable_and_bounded_and_home_is_the_callers() -> None:
    tmpfs = container().tmpfs
    assert tmpfs["/tmp"] == f"exec,nosuid,nodev,mode=1777,size={GB}"
    assert set(tmpfs) == {"/tmp", "/run", "/home/cvl"}
    for options in tmpfs.values():
        assert {"nosuid", "nodev"} <= set(options.split(","))
        assert re.search(r"size=\d+", options)
    assert "mode=0700,uid=1000,gid=1000" in tmpfs["/home/cvl"]


def test_only_the_steps_own_folders_are_mounted() -> None:
    mounts = {mount.target: (mount.source, mount.read_only) for mount in container().mounts}
    work = "/cache/work/run-1/talk"
    assert mounts == {
        "/cvl/inputs": (f"{work}/inputs", True),
        "/cvl/out": (f"{work}/out", False),
        "/cvl/control": (f"{work}/control", False),
        "/cvl/scratch": (f"{work}/scratch", False),
        "/etc/passwd": (f"{work}/passwd", True),
        "/etc/group": (f"{work}/group", True),
        "/cvl/jit": ("/cache/jit/film", False),
        "/app/cvl_inside": ("/lib/cvl/inside/cvl_inside", True),
    }


def test_the_program_runs_by_itself_and_is_given_time_to_stop() -> None:
    made = container()
    assert made.command == ("python", "/app/predict.py")
    assert made.working_dir == "/app"


def test_gpus_are_those_of_the_lease_and_none_is_none() -> None:
    given_ = container(place={"gpus": ("GPU-a", "GPU-b")})
    assert given_.gpus == ("GPU-a", "GPU-b")
    assert given_.environment["NVIDIA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert container().environment["NVIDIA_VISIBLE_DEVICES"] == "none"


def test_what_an_image_could_have_set_is_overridden() -> None:
    values = environment(step_spec(), placement())
    assert values["LD_PRELOAD"] == ""
    assert values["HF_TOKEN_PATH"] == "/dev/null"
    assert (values["HOME"], values["TMPDIR"]) == ("/home/cvl", "/cvl/scratch")
    assert values["HF_HUB_OFFLINE"] == values["TRANSFORMERS_OFFLINE"] == "1"
    online = environment(step_spec(network=True), placement())
    assert "HF_HUB_OFFLINE" not in online and "TRANSFORMERS_OFFLINE" not in online


def test_compilers_write_to_the_cache_that_is_kept() -> None:
    values = environment(step_spec(), placement())
    caches = ["TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"]
    assert all(values[name].startswith("/cvl/jit/") for name in caches)


VALUE = st.text(max_size=20) | st.integers() | st.just(StagedFile("aa" * 32, 1, "png"))
SPECS = st.fixed_dictionaries(
    {
        "inputs": st.dictionaries(st.text(max_size=20), VALUE, max_size=4),
        "secrets": st.lists(st.sampled_from(["HF_TOKEN", "API_KEY", "SECRET"])).map(tuple),
        "network": st.booleans(),
        "device": st.sampled_from(["cpu", "cuda"]),
        "step": st.text(max_size=20),
        "example": st.text(max_size=20),
    }
)
HOSTILE = {"", "/", "/root", "/home", "/home/me", "/etc", "/var/run", "/run", "/proc", "/sys"}


@given(SPECS, st.booleans(), st.booleans())
def test_no_spec_mounts_the_engines_socket_the_root_or_a_home(
    spec: dict[str, Any], rootless: bool, remap: bool
) -> None:
    made = container(spec, rootless=rootless, userns_remap=remap)
    sources = [mount.source for mount in made.mounts]
    assert not HOSTILE & set(sources)
    assert not [source for source in sources if source.endswith(".sock") or ".." in source]
    assert len({mount.target for mount in made.mounts}) == len(sources)


@given(SPECS)
def test_no_spec_puts_a_secret_or_a_value_into_the_environment(spec: dict[str, Any]) -> None:
    values = environment(step_spec(**spec), placement())
    named = {name: v for name, v in values.items() if re.search("TOKEN|KEY|SECRET|PASS", name)}
    assert named == {"HF_TOKEN_PATH": "/dev/null"}
    assert values.items() - environment(step_spec(), placement()).items() == set()


def test_nothing_that_was_asked_for_is_in_argv_or_labels() -> None:
    made = container({"inputs": {"words": "s3cret words"}, "secrets": ("API_KEY",)})
    assert "s3cret" not in repr(made)
    assert "API_KEY" not in repr(made)


def test_a_proxy_with_a_password_is_on_no_container() -> None:
    """Everybody who may use the engine sees a container's variables; the request has it instead."""
    proxies = {"http_proxy": "http://proxy:1", "https_proxy": "http://ada:opensesame@proxy:1"}
    made = container(spec={"network": True}, place={"proxies": proxies})
    assert made.environment["http_proxy"] == "http://proxy:1"
    assert "opensesame" not in str(made)
    private = private_proxies(placement(proxies=proxies))
    assert private == {"https_proxy": "http://ada:opensesame@proxy:1"}
    assert request_for(step_spec(), {}, environment=private)["environment"] == private
