"""The end of `make run`: enroll keywords with synthetic voices, then spot them in what another voice says.

The voices are none of those that spoke the synthetic corpus, and the true times are known, so the result can be judged.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Unpack

import numpy as np

from wordprint.corpora.options import PrepareConfig
from wordprint.desk.options import DemoConfig
from wordprint.errors import EnrollmentError
from wordprint.records import Interval
from wordprint.speech.audio import write_audio
from wordprint.spot.options import SpotConfig
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import atomic_path, write_jsonl
from wordprint.stages.receipt import Receipt


def demo(
    model: str | Path,
    output: str | Path,
    config: DemoConfig,
    corpus: PrepareConfig = PrepareConfig(),
    spotting: SpotConfig = SpotConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Enroll `config.keywords` and spot them in `config.sentence`, spoken by voices after those of the synthetic `corpus`.

    Writes the recordings, `keywords.json` and `detections.jsonl`. Counts keywords in, and those found in their place.
    """

    def work(stage: StageRun) -> Receipt:
        from wordprint.speech.espeak import Synthesiser
        from wordprint.speech.synthetic import draw_speakers, speak
        from wordprint.spot.stream import Spotter

        *enrollers, user = draw_speakers(corpus.synthetic_speakers + config.shots + 1, corpus.seed)[corpus.synthetic_speakers :]
        rng = np.random.default_rng(corpus.seed)
        spotter = Spotter(model, config=spotting)
        with Synthesiser() as synthesiser:
            for keyword in config.keywords:
                shots = [speak(synthesiser, keyword, speaker, rng)[0] for speaker in enrollers]
                for number, shot in enumerate(shots, start=1):
                    with atomic_path(stage.output / f"{keyword.replace(' ', '_')}_{number}.flac") as path:
                        write_audio(path, shot)
                try:
                    spotter.enroll(keyword, shots)
                except EnrollmentError as error:  # a model that learned little
                    stage.drop(keyword, "not_enrolled", str(error))
            samples, spoken = speak(synthesiser, config.sentence, user, rng)
        with atomic_path(stage.output / "sentence.flac") as path:
            write_audio(path, samples)
        spotter.enrollment.save(stage.output / "keywords.json")
        stage.progress.say(f'demo: another voice says "{config.sentence}"')
        detections = list(spotter.spot(samples)) if spotter.enrollment.keywords else []
        write_jsonl(stage.output / "detections.jsonl", map(dataclasses.asdict, detections))
        for detection in detections:
            stage.progress.say(f"  {detection.onset_s:6.2f} s  {detection.keyword}  similarity {detection.similarity:.2f}")
        for keyword in (keyword for keyword in config.keywords if spotter.enrollment.find(keyword)):
            truth = _spoken_at(keyword, spoken)
            hits = [d for d in detections if d.keyword == keyword and d.onset_s < truth.end_s and truth.start_s < d.offset_s]
            if not hits:
                stage.drop(keyword, "missed", f"spoken at {truth.start_s:.2f} s")
        return stage.finish(
            total=len(config.keywords),
            kept=len(config.keywords) - len(stage.dropped),
            outputs=["keywords.json", "detections.jsonl", "sentence.flac"],
        )

    return run_stage("demo", work, output, config, {"model": model}, **how)


def _spoken_at(keyword: str, words: tuple[Interval, ...]) -> Interval:
    """Where the words of `keyword` stand in a row."""
    wanted = keyword.split()
    for index in range(len(words) - len(wanted) + 1):
        run = words[index : index + len(wanted)]
        if [word.symbol for word in run] == wanted:
            return Interval(keyword, run[0].start_s, run[-1].end_s)
    raise ValueError(f"'{keyword}' is not in the sentence")  # DemoConfig.check has seen to it
