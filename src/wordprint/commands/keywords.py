"""Commands for those who use keywords: spot them in recordings and pipes, listen for them."""

from __future__ import annotations

import sys

from wordprint.commands.detections import Reporter
from wordprint.commands.live import follow
from wordprint.errors import AudioError, ConfigError, InputError
from wordprint.spot.keep import DetectionKeeper
from wordprint.spot.microphone import Microphone
from wordprint.spot.microphone import devices as microphones
from wordprint.spot.options import MicrophoneConfig, RawConfig, ReportConfig, SpotConfig
from wordprint.spot.source import Pipe, is_pipe
from wordprint.spot.stream import Spotter
from wordprint.stages.options import check


def spot(arguments: tuple[str, ...], config: SpotConfig, raw: RawConfig, report: ReportConfig) -> None:
    for options in (config, raw, report):
        check(options)
    model, arguments = first_that_ends(".onnx", arguments)
    enrollment, recordings = first_that_ends(".json", arguments)
    if not recordings:
        raise ConfigError("no recording was named", remedy="wordprint spot [MODEL.onnx] [KEYWORDS.json] RECORDING...")
    if raw != RawConfig() and not any(map(is_pipe, recordings)):
        raise ConfigError(
            "rate, channels or format is set, but no recording is a pipe, and files have a header",
            remedy="leave them out, or read the file as a pipe: wordprint spot - < FILE",
        )
    spotter, bad = Spotter(model, enrollment or "keywords.json", config), 0
    with Reporter(spotter, report) as reporter:
        for recording in recordings:
            reporter.recording = recording if len(recordings) > 1 else ""
            try:
                if is_pipe(recording):
                    if not follow(Pipe(recording, raw), reporter):
                        break
                elif not sum(map(reporter.say, spotter.spot(recording))):
                    print(f"{recording}: no keyword was heard", file=sys.stderr)
            except AudioError as error:
                if len(recordings) == 1:
                    raise
                print(f"skipped: {error}", file=sys.stderr)
                bad += 1
    if bad:
        raise InputError(f"{bad} of {len(recordings)} recordings could not be listened to", remedy="see the lines above")


def listen(
    arguments: tuple[str, ...], devices: bool, config: SpotConfig, microphone: MicrophoneConfig, report: ReportConfig
) -> None:
    if devices:
        for number, name, default in microphones():
            print(f"{number:4}  {name}{'  (default)' if default else ''}")
        return
    for options in (config, microphone, report):
        check(options)
    model, arguments = first_that_ends(".onnx", arguments)
    enrollment, others = first_that_ends(".json", arguments)
    if others:
        raise ConfigError(
            f"'{others[0]}' is neither a model nor an enrollment",
            expected="[MODEL.onnx] [KEYWORDS.json]",
            remedy=f"for recordings and pipes: wordprint spot {others[0]}",
        )
    source = Microphone(microphone.device)
    spotter = Spotter(model, enrollment or "keywords.json", config)
    keeper = None
    if microphone.save_detections is not None:
        longest_s = max((keyword.duration_s for keyword in spotter.enrollment.keywords), default=0.0)
        keeper = DetectionKeeper(microphone.save_detections, microphone.save_as, spotter.latency_s + config.hop_s + longest_s)
    with Reporter(spotter, report, keeper) as reporter:
        names = ", ".join(f"'{keyword.keyword}'" for keyword in spotter.enrollment.keywords)
        print(f"listening for {names}; Ctrl-C ends", file=sys.stderr, flush=True)
        follow(source, reporter)


def first_that_ends(ending: str, arguments: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The argument with that ending, wherever it stands, and the rest."""
    found = [argument for argument in arguments if argument.lower().endswith(ending)]
    if len(found) > 1:
        raise ConfigError(f"{len(found)} arguments end in {ending} ({', '.join(found)})", expected="one at most")
    return (found[0] if found else None), tuple(argument for argument in arguments if argument not in found)
