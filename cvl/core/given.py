"""Steps that do not run because the caller gives what they would make. Throughout, `has` names the
inputs of a pipeline that have a value: the caller's, a default, or one that is yet to be made."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from cvl.core.graph import Lookup, candidates, dependencies
from cvl.core.manifest import Manifest, PipelineManifest, Step
from cvl.core.references import parse_reference, references_in
from cvl.errors import InputError

Names = frozenset[str]
Called = Callable[[str], str]
"""What the caller calls an input, without the dashes."""


def having(values: Mapping[str, Any]) -> Names:
    """Names of the inputs that have a value."""
    return frozenset(name for name, value in values.items() if value is not None)


def stand_ins(step: Step) -> Names:
    """Inputs of the pipeline that together stand for what a step makes."""
    return _inputs_in(step.given.values())


def running(pipeline: PipelineManifest, has: Names) -> PipelineManifest:
    """The pipeline as it runs: without the steps whose outputs are given, and without those that
    worked for these alone; what used their outputs uses the inputs in their place."""
    given = {n: s.given for n, s in pipeline.steps.items() if s.given and stand_ins(s) <= has}
    if not given:
        return pipeline
    rest = {n: _rewired(s, given) for n, s in pipeline.steps.items() if n not in given}
    return replace(pipeline, steps=_needed(rest, pipeline.outputs.values()))


def _rewired(step: Step, given: Mapping[str, Mapping[str, str]]) -> Step:
    def instead(value: Any) -> Any:
        if isinstance(value, list):
            return [instead(item) for item in value]
        source, output = parse_reference(value) or ("", "")
        return given[source][output] if source in given else value

    with_ = {key: instead(value) for key, value in step.with_.items()}
    foreach = {item: instead(value) for item, value in step.foreach.items()}
    return replace(step, with_=with_, foreach=foreach)


def _needed(steps: Mapping[str, Step], outputs: Iterable[str]) -> dict[str, Step]:
    """Those that the outputs come from, in the order of the manifest."""
    ahead = [source for value in outputs for source, _ in references_in(value)]
    needed: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name not in needed:
            needed.add(name)
            ahead += dependencies(steps[name])
    return {name: step for name, step in steps.items() if name in needed}


def inner_has(manifest: Manifest, step: Step, has: Names, options: Iterable[str]) -> Names:
    """Inputs of the example that a step uses which have a value; `options`: those that the caller
    gives to the step itself."""
    defaults = {name for name, spec in manifest.inputs.items() if spec.default is not None}
    flowing = {key for key, value in step.with_.items() if _comes(value, has)}
    return frozenset(defaults | flowing | set(options))


def _comes(value: Any, has: Names) -> bool:
    source, name = parse_reference(value) or ("", "")
    return name in has if source == "inputs" else value is not None


def used_inputs(pipeline: PipelineManifest, has: Names, lookup: Lookup) -> Names:
    """Inputs that reach a step that runs, also within pipelines that this one uses."""
    values: list[Any] = []
    for step in running(pipeline, has).steps.values():
        used = [
            _taken(lookup(name), step, has, lookup) for name in candidates(pipeline, step, None)
        ]
        values += [step.uses, *step.foreach.values()]
        values += [value for key, value in step.with_.items() if any(key in keys for keys in used)]
    return _inputs_in(values)


def _taken(manifest: Manifest, step: Step, has: Names, lookup: Lookup) -> Names:
    """Of the inputs of an example that a step uses, those that have an effect."""
    if not isinstance(manifest, PipelineManifest):
        return frozenset(manifest.inputs)
    within = inner_has(manifest, step, has, ())
    return frozenset(manifest.inputs) - idle_inputs(manifest, within, lookup)


def idle_inputs(pipeline: PipelineManifest, has: Names, lookup: Lookup) -> Names:
    """Inputs that go into steps, but into none that runs."""
    steps = pipeline.steps.values()
    wired = [value for step in steps for value in (*step.with_.values(), *step.foreach.values())]
    return _inputs_in(wired) - used_inputs(pipeline, has, lookup)


def _inputs_in(values: Iterable[Any]) -> Names:
    found = (reference for value in values for reference in references_in(value))
    return frozenset(name for source, name in found if source == "inputs")


def refuse_idle(
    pipeline: PipelineManifest, has: Names, named: Names, lookup: Lookup, called: Called
) -> None:
    """InputError for an input that the caller `named` and that nothing which runs would see."""
    for name in [n for n in pipeline.inputs if n in named & has]:
        if name in idle_inputs(pipeline, has, lookup):

            def is_used(others: Names, name: str = name) -> bool:
                return name not in idle_inputs(pipeline, others, lookup)

            raise _no_use(called(name), [called(g) for g in _without_which(has, is_used)])


def refuse_options(
    pipeline: PipelineManifest,
    has: Names,
    options: Mapping[str, Mapping[str, Any]],
    called: Called,
) -> None:
    """InputError for options of a step that does not run; `options`: by step and name."""
    for step, named in options.items():
        if named and step not in running(pipeline, has).steps:

            def runs(others: Names, step: str = step) -> bool:
                return step in running(pipeline, others).steps

            raise _no_use(
                f"{step}.{next(iter(named))}", [called(g) for g in _without_which(has, runs)]
            )


def _without_which(has: Names, true: Callable[[Names], bool]) -> list[str]:
    """Inputs that have a value, without any one of which something would be true."""
    return [name for name in sorted(has) if true(has - {name})]


def _no_use(name: str, because: list[str]) -> InputError:
    if not because:
        return InputError(f"--{name} has no use: no step that runs takes it", hint="leave it out")
    given = " and ".join(f"--{other}" for other in because)
    return InputError(
        f"--{name} has no use when {given} {'is' if len(because) == 1 else 'are'} given",
        hint=f"give --{name} or --{because[0]}, not both",
        code="not_both",
    )


def check_whole(pipeline: PipelineManifest, has: Names, called: Called) -> None:
    """InputError for a part of what stands for a step, without the rest."""
    for name, step in running(pipeline, has).steps.items():
        behind = stand_ins(step)
        if behind & has:
            there, missing = min(behind & has), min(behind - has)
            raise InputError(
                f"--{called(there)} goes with --{called(missing)}: together they stand for what "
                f"step {name} makes",
                hint="give both, or neither",
                code="missing_input",
            )


def check_needs(
    pipeline: PipelineManifest,
    has: Names,
    name: str,
    manifest: Manifest,
    options: Container[str],
    called: Called,
) -> None:
    """InputError when step `name`, which runs with the example of `manifest` and `options` of its
    own, needs an input that may be left out and was."""
    for key, value in running(pipeline, has).steps[name].with_.items():
        if key in options or not manifest.inputs[key].required:
            continue
        source, field = parse_reference(value) or ("", "")
        if source == "inputs" and field not in has:
            others = "".join(f", or {way}" for way in _ways_out(pipeline, has, name, called))
            raise InputError(
                f"--{called(field)} is needed{others}",
                hint=f"cvl run {pipeline.name} predict --help lists every option",
                code="missing_input",
            )


def _ways_out(pipeline: PipelineManifest, has: Names, name: str, called: Called) -> list[str]:
    """What could be given so that step `name` does not have to run."""
    behind = [stand_ins(step) for step in pipeline.steps.values() if step.given]
    ways = [b for b in behind if name not in running(pipeline, has | b).steps]
    return [" with ".join(f"--{called(other)}" for other in sorted(way)) for way in ways]
