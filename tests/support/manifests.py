"""Manifests as text, and the way from text to a checked manifest that cvl itself takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cvl.core.graph import check_graph
from cvl.core.manifest import InputSpec, Manifest, ModelManifest, PipelineManifest
from cvl.core.validation import validate
from cvl.core.yaml_source import parse
from cvl.errors import UserError

MODEL = """\
name: echo
summary: Says what it hears
license: {code: Apache-2.0}
inputs:
  text: {type: string}
  loud: {type: boolean, default: false}
outputs:
  speech: {type: audio, default: speech.wav}
"""
FILM = """\
name: film
summary: Shows a picture while somebody speaks
license: {code: Apache-2.0}
inputs:
  audio: {type: audio}
  image: {type: image}
  mode: {type: choice, choices: [fast, good], default: fast}
  titles: {type: list, of: string, optional: true}
outputs:
  video: {type: video, default: film.mp4}
"""
PIPELINE = """\
name: movie
kind: pipeline
summary: Words and a picture make a film
inputs:
  words: {type: string}
  portrait: {type: image}
steps:
  speech: {uses: echo, with: {text: "${inputs.words}"}}
  film: {uses: film, with: {audio: "${speech.speech}", image: "${inputs.portrait}"}}
outputs:
  video: ${film.video}
"""


def manifest(text: str, name: str) -> Manifest:
    """The checked manifest in `text`, as if it lay in the folder `name`."""
    return validate(parse(text.encode(), "example.yaml"), name)


def model(text: str, name: str) -> ModelManifest:
    """The same for what is known to be a model."""
    found = manifest(text, name)
    assert isinstance(found, ModelManifest)
    return found


def check(text: str, name: str, others: Mapping[str, str]) -> PipelineManifest:
    """The checked pipeline in `text`, with its graph; `others`: what its steps may use."""
    document = parse(text.encode(), "example.yaml")
    pipeline = validate(document, name)
    assert isinstance(pipeline, PipelineManifest)

    def lookup(wanted: str) -> Manifest:
        if wanted == name:
            return pipeline
        if wanted not in others:
            raise UserError(f"there is no example {wanted!r}", hint="did you mean film?")
        return manifest(others[wanted], wanted)

    check_graph(pipeline, document, lookup)
    return pipeline


def spec(**fields: Any) -> InputSpec:
    """An input of a manifest."""
    return InputSpec(**fields)
