"""What `spot` and `listen` do with each detection: print it at once, start a program, keep its audio, count it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from types import TracebackType

from wordprint.commands.programs import Programs
from wordprint.records import Detection
from wordprint.spot.keep import DetectionKeeper
from wordprint.spot.options import ReportConfig
from wordprint.spot.stream import Spotter


class Reporter:
    """Takes detections of `spotter`. `recording` is the name that goes with them, where there are several."""

    def __init__(self, spotter: Spotter, config: ReportConfig, keeper: DetectionKeeper | None = None) -> None:
        self.spotter, self.config, self.keeper = spotter, config, keeper
        self.recording = ""
        self.said: Counter[str] = Counter()
        common = spotter.config.threshold
        self._thresholds = {word.keyword: word.threshold if common is None else common for word in spotter.enrollment.keywords}
        self._programs = None if config.exec is None else Programs(config.exec, config.exec_timeout_s)

    def say(self, detection: Detection) -> bool:
        """Print it, and do what else was asked for; True."""
        values = {**asdict(detection), "threshold": round(self._thresholds[detection.keyword], 4)}
        self.said[detection.keyword] += 1
        if self._programs is not None:
            self._programs.start({f"WORDPRINT_{name.upper()}": str(value) for name, value in values.items()})
        if self.keeper is not None:
            self.keeper.detected(detection)
        if self.config.json:  # last, so that all is done once it can be read
            print(json.dumps({"recording": self.recording} | values if self.recording else values), flush=True)
        else:
            where = f"{self.recording}\t" if self.recording else ""
            print(f"{where}{detection.onset_s:9.2f} s  {detection.keyword}  {detection.similarity:.3f}", flush=True)
        return True

    def notes(self) -> list[str]:
        """What went wrong beside the detections, one line each; complete after the reporter has been left."""
        lines = []
        if self._programs is not None and (self._programs.failed or self._programs.skipped):
            counts = f"{self._programs.failed} failed, {self._programs.skipped} not started"
            lines.append(f"exec: of {self._programs.started + self._programs.skipped} programs {counts}")
        if self.keeper is not None and self.keeper.failed:
            lines.append(f"{self.keeper.failed} detections could not be saved in {self.keeper.folder}: {self.keeper.failure}")
        return lines

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish()

    def finish(self) -> None:
        """Write what is due and wait for the programs that run."""
        if self.keeper is not None:
            self.keeper.finish()
        if self._programs is not None:
            self._programs.finish()
