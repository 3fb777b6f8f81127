"""GPUs: NVIDIA's driver, the way into containers, the CUDA of images; AMD; Apple."""

from __future__ import annotations

from collections.abc import Iterator

from cvl.core.doctor.about_engine import is_snap
from cvl.core.doctor.cuda import driver_for, fulfils, newest_cuda, version, wanted_cuda
from cvl.core.doctor.facts import ImageFact, MachineFacts, NvidiaFacts
from cvl.core.doctor.finding import Finding

GB = 10**9
TOOLKIT = "https://docs.nvidia.com/datacenter/cloud-native/container-toolkit"
REGISTER = (
    "sudo nvidia-ctk runtime configure --runtime=docker",
    "sudo systemctl restart docker",
)
REGISTER_ROOTLESS = (
    "nvidia-ctk runtime configure --runtime=docker \\",
    "  --config=$HOME/.config/docker/daemon.json",
    "systemctl --user restart docker",
)
NO_CGROUPS = "sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place"
SHOWN = 3


def about_gpu(facts: MachineFacts) -> Iterator[Finding]:
    """What computes, and whether a container can have it."""
    nvidia = facts.nvidia
    yield from _driver(facts, nvidia)
    if nvidia.gpus and facts.engine.problem is None:
        yield from _toolkit(facts, nvidia)
        yield from _images(facts, nvidia)
    yield from _amd(facts)
    yield from _apple(facts)
    if facts.system.wsl == 2:
        text = "this is WSL 2: a full GPU memory spills into the PC's, and runs get very slow"
        remedy = "in NVIDIA's control panel: CUDA sysmem fallback policy, prefer no fallback"
        if nvidia.gpus:
            yield Finding("gpu", "info", "wsl_spill", text, remedy)


def _driver(facts: MachineFacts, nvidia: NvidiaFacts) -> Iterator[Finding]:
    if nvidia.gpus:
        shown = ", ".join(
            f"{gpu.name} ({gpu.memory / GB:.0f} GB, compute {gpu.compute_capability})"
            for gpu in nvidia.gpus
        )
        cuda = ".".join(map(str, newest_cuda(nvidia.driver))) or "older than 11"
        text = f"NVIDIA driver {nvidia.driver} (CUDA {cuda}): {shown}"
        yield Finding("gpu", "ok", "driver", text)
    elif "mismatch" in nvidia.problem.lower():
        text = "the NVIDIA driver was updated and the old one is still loaded"
        if nvidia.loaded:
            text += f" ({nvidia.loaded})"
        yield Finding("gpu", "error", "driver_mismatch", text, "restart the machine")
    elif nvidia.loaded:
        text = f"the NVIDIA driver {nvidia.loaded} is loaded but shows no GPU"
        remedy = "nvidia-smi and sudo dmesg say why; a restart often mends it"
        yield Finding("gpu", "error", "driver_blind", text, remedy, ("nvidia-smi",))
    elif nvidia.cards:
        text = f"there is an NVIDIA card ({nvidia.cards}) and no driver for it"
        remedy = "install the driver of your distribution (Ubuntu: ubuntu-drivers install)"
        yield Finding("gpu", "warning", "driver_missing", text, remedy)
    elif facts.system.wsl == 2:
        text = "no NVIDIA GPU in this WSL"
        remedy = "the driver belongs into Windows, none into WSL; then: wsl.exe --shutdown"
        yield Finding("gpu", "info", "no_gpu_wsl", text, remedy)
    elif not facts.amd.cards and facts.system.os != "Darwin":
        text = "no NVIDIA GPU: examples that need one cannot run here"
        yield Finding("gpu", "info", "no_gpu", text)


def ways_into_containers(facts: MachineFacts) -> list[str]:
    """How the engine can give a GPU to a container: a registered runtime, CDI, or NVIDIA's hook."""
    ways = []
    if "nvidia" in facts.engine.runtimes:
        ways.append("the nvidia runtime is registered in the engine")
    if any("nvidia" in device for device in facts.engine.cdi):
        ways.append("the engine found the GPUs by CDI")
    if facts.nvidia.hook:
        ways.append(f"the hook {facts.nvidia.hook} is there")
    return ways


def _toolkit(facts: MachineFacts, nvidia: NvidiaFacts) -> Iterator[Finding]:
    engine, ways = facts.engine, ways_into_containers(facts)
    if not ways:
        yield _no_way(facts, nvidia)
        return
    yield Finding("gpu", "ok", "toolkit", f"containers can have GPUs: {ways[0]}")
    if engine.rootless and not nvidia.no_cgroups and not engine.cdi:
        text = "rootless engines need no-cgroups in the NVIDIA toolkit's configuration"
        remedy = "an engine of the whole machine must not have it"
        yield Finding("gpu", "warning", "rootless_no_cgroups", text, remedy, (NO_CGROUPS,))
    if not engine.rootless and nvidia.no_cgroups:
        text = "no-cgroups is set in the NVIDIA toolkit's configuration: containers lose their GPU"
        commands = (f"{NO_CGROUPS.replace('no-cgroups', 'no-cgroups=false')}",)
        yield Finding("gpu", "warning", "no_cgroups", text, "", commands)


def _no_way(facts: MachineFacts, nvidia: NvidiaFacts) -> Finding:
    text = "the engine cannot give a GPU to a container: "
    if is_snap(facts):
        text += "it is a snap"
        remedy = "install Docker from docker.com and the NVIDIA container toolkit"
        return Finding("gpu", "error", "toolkit_snap", text, remedy, ("sudo snap remove docker",))
    if nvidia.ctk:
        text += "the NVIDIA toolkit is installed and not registered"
        register = REGISTER_ROOTLESS if facts.engine.rootless else REGISTER
        return Finding("gpu", "error", "toolkit_not_registered", text, "register it", register)
    text += "the NVIDIA container toolkit is missing"
    remedy = f"install nvidia-container-toolkit ({TOOLKIT}), then"
    return Finding("gpu", "error", "toolkit_missing", text, remedy, REGISTER)


def _images(facts: MachineFacts, nvidia: NvidiaFacts) -> Iterator[Finding]:
    """The driver against what images ask for, said once for each thing asked."""
    asked: dict[tuple[str, str], list[str]] = {}
    for image in facts.images:
        if image.requires or image.cuda:
            key = ("" if image.waived else image.requires, image.cuda)
            asked.setdefault(key, []).append(image.name)
    for (requires, cuda), names in asked.items():
        yield _image(ImageFact(_listed(names), requires, cuda, False), nvidia.driver)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _image(image: ImageFact, driver: str) -> Finding:
    wanted = wanted_cuda(image.requires) or version(image.cuda)[:2]
    shown = ".".join(map(str, wanted))
    least = driver_for(wanted)
    newer = f"install driver {least} or newer" if least else "install a newer driver"
    newest = newest_cuda(driver)
    runs = ".".join(map(str, newest)) or "no CUDA since 11"
    verdict = fulfils(image.requires, driver)
    if verdict == "no" or newest[:1] < wanted[:1]:
        text = f"{image.name} needs CUDA {shown}; driver {driver} runs {runs}"
        return Finding("gpu", "error", "driver_too_old", text, newer)
    if newest < wanted or verdict == "perhaps":
        text = f"{image.name} is made with CUDA {shown}; driver {driver} runs {runs}"
        if verdict == "perhaps":
            text += ": accepted for some GPU brands only"
        remedy = f"most of it works within one major version; else {newer}"
        return Finding("gpu", "warning", "driver_older", text, remedy)
    return Finding("gpu", "ok", "driver_fits", f"{image.name}: CUDA {shown} fits driver {driver}")


def _amd(facts: MachineFacts) -> Iterator[Finding]:
    if not facts.amd.cards or facts.nvidia.gpus:
        return
    text = "an AMD GPU: the images of examples here have no ROCm, so cvl does not use it"
    remedy = "examples whose GPU is optional run on the CPU; the others need an NVIDIA GPU"
    if facts.amd.kfd and facts.venv_engine:
        remedy += ", or the venv engine with a ROCm build of torch"
    yield Finding("gpu", "info", "amd", text, remedy)


def _apple(facts: MachineFacts) -> Iterator[Finding]:
    if facts.system.os != "Darwin" or facts.system.arch != "arm64":
        return
    text = "Apple GPU: containers run in a virtual machine that does not have it"
    if facts.venv_engine:
        remedy = "examples that allow it reach it through Metal with --engine venv"
    else:
        remedy = "examples whose GPU is optional run on the CPU"
    yield Finding("gpu", "info", "apple", text, remedy)
