"""Enroll keywords and listen to a stream of them, session by session; what is finished is kept while the stage runs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, DatasetError, EnrollmentError, InputError
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.stream_build import Entry, Samples, Segment, make_babble, plan, render
from wordprint.evaluate.stream_figures import Asked, Heard
from wordprint.evaluate.stream_material import Material, draw_shots
from wordprint.evaluate.stream_scores import Looks
from wordprint.evaluate.stream_systems import StreamSystem
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.options import SpotConfig
from wordprint.stages.contract import PARTS, StageRun
from wordprint.stages.manifest import atomic_path

CLEAN, BABBLE = "clean", "babble"


def listen_to(stage: StageRun, system: StreamSystem, material: Material, config: EvaluateConfig) -> list[Heard]:
    """One kind of material, clean and in babble; raises DatasetError where no keyword can be enrolled and asked for."""
    material.keep_enough(config.stream_shots)
    asked, enrolled = _enroll(system, material, config)
    if not asked:
        raise DatasetError(f"{system.name} can enroll none of the {material.kind} keywords", expected="keywords it can enroll")
    sessions = plan(material.items, {one.keyword for one in asked}, config.seed)
    conditions: list[tuple[str, Samples | None]] = [(CLEAN, None)]
    babble = make_babble(material.voices)
    if babble is None:
        stage.progress.say(f"no babble: {material.kind} background has too few speakers")
    else:
        conditions.append((f"{BABBLE} {config.stream_snr_db:g} dB", babble))
    heard = []
    for condition, noise in conditions:
        name = f"{material.kind}, {condition}"
        segments, looks, scores = _listen(stage, system, enrolled, sessions, noise, name, config)
        there = [n for n, one in enumerate(asked) if any(token.item in segments for token in one.tested)]
        if not there:
            raise DatasetError(f"none of the {material.kind} keywords' recordings can be used", remedy="see dropped.jsonl")
        kept = [asked[n] for n in there]
        found = Heard(name, material, condition, noise, sessions, segments, looks, scores[there], kept, config.stream_draws)
        if silent := sorted({trial.keyword for trial in found.trials if not trial.hours}):
            raise DatasetError(f"no background without {', '.join(silent)} can be heard", remedy="see dropped.jsonl")
        heard.append(found)
    return heard


def _enroll(system: StreamSystem, material: Material, config: EvaluateConfig) -> tuple[list[Asked], list[Any]]:
    """Every keyword, enrolled once for each draw."""
    asked, enrolled = [], []
    for keyword in sorted(material.tokens):
        tokens = material.tokens[keyword]
        for draw in range(config.stream_draws):
            shots, tested = draw_shots(tokens, keyword, config.stream_shots, draw, config.seed)
            try:
                enrolled.append(system.enroll(keyword, [material.shot(tokens[index]) for index in shots]))
            except (EnrollmentError, InputError) as error:  # of this keyword or a shot of it: the others can still be asked for
                reason = error.reason if isinstance(error, AudioError) else "not_enrolled"
                material.dropped.append((f"{keyword}, draw {draw}", reason, str(error)))
                continue
            asked.append(Asked(keyword, draw, [tokens[i] for i in shots], [tokens[i] for i in tested]))
    return asked, enrolled


def _listen(
    stage: StageRun,
    system: StreamSystem,
    enrolled: list[Any],
    sessions: list[list[Entry]],
    babble: Samples | None,
    name: str,
    config: EvaluateConfig,
) -> tuple[dict[int, Segment], Looks, NDArray[np.float32]]:
    """Where the items lie in the stream, its looks, and the scores (W, L) of what is enrolled."""
    slug = name.replace(", ", "-").replace(" ", "_")

    def work(shard: list[int]) -> list[dict[str, Any]]:
        (number,) = shard
        samples, placed, skipped = render(sessions[number], babble, config.stream_snr_db)
        ends, scores = system.looks(samples, enrolled)
        content = io.BytesIO()
        np.savez(content, ends=ends, scores=scores)
        with atomic_path(stage.output / PARTS / f"{slug}-{number}.npz") as path:
            path.write_bytes(content.getbuffer())
        return [{"samples": len(samples), "placed": [segment.to_json() for segment in placed],
                 "skipped": [[item, error.reason, str(error)] for item, error in skipped]}]  # fmt: skip

    segments, ends, scores, start = {}, [], [], 0
    lines = stage.map_shards(slug, range(len(sessions)), work, shard_size=1, total=len(sessions), unit="sessions of 10 min")
    for number, line in enumerate(lines):
        for placed in line["placed"]:
            segment = Segment(**placed)
            segments[segment.number] = segment.moved(start)
        if babble is None:
            for item, reason, detail in line["skipped"]:
                stage.drop(item, reason, detail)
        with np.load(stage.output / PARTS / f"{slug}-{number}.npz", allow_pickle=False) as part:
            ends.append(part["ends"] + start)
            scores.append(part["scores"])
        start += line["samples"]
    hold = round(system.hold_s * SAMPLE_RATE)
    looks = Looks(np.concatenate(ends), hold, round(SpotConfig().refractory_s * SAMPLE_RATE))
    return segments, looks, np.concatenate(scores, axis=1)
