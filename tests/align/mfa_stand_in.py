"""A stand-in for the Montreal Forced Aligner: NOT MFA. It aligns nothing; it spaces words evenly.

It takes the command lines of MFA 3.4 that wordprint writes, strictly, and behaves towards its caller as MFA does: where
it reads and writes, what it prints where, in what style, and how it fails. Run as `python mfa_stand_in.py ARGUMENTS…`.

What goes wrong is chosen by a word in a transcript, or for all runs by the variable STAND_IN:

    badwav…   the whole run ends with a traceback that names this file      STAND_IN=broken    a module is missing
    crash…    the whole run ends with a traceback that names nothing        STAND_IN=old       version 2.2.17
    hang…     the run never ends                                            STAND_IN=hang      no answer, not even a version
    kill…     the run is killed by a signal                                 STAND_IN=database  its SQLite database fails
    lost…     no TextGrid is written for this file, and nothing is said     STAND_IN=exit      fails at exit, after all was done

STAND_IN_LOG names a file to which each run adds a line of its arguments; STAND_IN_START_S is how long it takes to start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import wave
import zipfile
from pathlib import Path
from typing import NoReturn

HOME = Path(os.environ.get("MFA_ROOT_DIR", "~/Documents/MFA")).expanduser()
MODE = os.environ.get("STAND_IN", "")
WIDTH = 80
EXCEPTIONS = "montreal_forced_aligner.exceptions"


class Parser(argparse.ArgumentParser):
    """Refuses arguments as click does: a box on standard error, exit code 2."""

    def error(self, message: str) -> NoReturn:
        usage_error(f"No such option or value: {message}")


def main(arguments: list[str]) -> None:
    time.sleep(float(os.environ.get("STAND_IN_START_S", "0")))
    if MODE == "hang":
        hang()
    if MODE == "broken":
        print("Traceback (most recent call last):\nModuleNotFoundError: No module named '_kalpy'", file=sys.stderr)
        sys.exit(1)
    if "STAND_IN_LOG" in os.environ:
        with open(os.environ["STAND_IN_LOG"], "a", encoding="utf-8") as log:
            log.write(json.dumps(arguments) + "\n")
    parser = Parser(add_help=False, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("version", add_help=False)
    model = commands.add_parser("model", add_help=False)
    model.add_argument("action", choices=["inspect", "list"])
    model.add_argument("kind", choices=["acoustic", "dictionary"])
    model.add_argument("name", nargs="?")
    positional = {"align": ["dictionary", "acoustic", "output"], "train": ["dictionary", "model"]}
    for name, names in positional.items():
        command = commands.add_parser(name, add_help=False, allow_abbrev=False)
        for argument in ("corpus", *names):
            command.add_argument(argument)
        command.add_argument("--temporary_directory", default=str(HOME))
        command.add_argument("--num_jobs", type=int, default=3)
        command.add_argument("--clean", action="store_true")
        if name == "align":
            command.add_argument("--output_format", choices=["long_textgrid", "short_textgrid", "json", "csv"])
            command.add_argument("--no_tokenization", action="store_true")
            command.add_argument("--no_textgrid_cleanup", action="store_true", required=True)  # its silences and clitics
            command.add_argument("--beam", type=int)
            command.add_argument("--retry_beam", type=int)
    options = parser.parse_args(arguments)
    {"version": version, "model": inspect, "align": align, "train": train}[options.command](options)


def version(options: argparse.Namespace) -> None:
    print("2.2.17" if MODE == "old" else "3.4.3")


def inspect(options: argparse.Namespace) -> None:
    if options.action == "list":
        print(sorted(path.stem for path in (HOME / "pretrained_models" / options.kind).glob("*")))
    elif not find_model(options.kind, options.name):
        fail("PretrainedModelNotFoundError:", "", f'Could not find a model named "{options.name}" for {options.kind}.')
    else:
        print(f"{{'Archive': {{'name': '{options.name}'}}}}")


def align(options: argparse.Namespace) -> None:
    corpus, dictionary = load(options)
    model = need_model("acoustic", options.acoustic, "ACOUSTIC_MODEL_PATH")
    phones = unpack(model)
    ignored = {word for word, variant in dictionary.items() if set(variant.split()) - phones}
    if ignored:
        text = f"There were {len(ignored)} pronunciations in the dictionary that were ignored for containing one of 3 phones"
        say("WARNING", text[:66])  # MFA wraps it
        say("", text[66:])
    dictionary = {word: variant for word, variant in dictionary.items() if word not in ignored}
    say("INFO", "Performing first-pass alignment...")
    bar(len(corpus))
    trouble(corpus)
    if MODE == "database":
        database()
    say("INFO", f"Exporting alignment TextGrids to {options.output}...")
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    rows = ["file,begin,end,speaker,overall_log_likelihood,speech_log_likelihood,phone_duration_deviation,snr"]
    for index, (name, words) in enumerate(sorted(corpus.items())):
        if any(word.startswith("lost") for word in words):
            continue
        seconds = duration(Path(options.corpus, f"{name}.wav"))
        write_textgrid(output / f"{name}.TextGrid", words, dictionary, seconds)
        speaker, file = name.split("/")
        rows.append(f"{file},0.0,{seconds},{speaker},{-60 - index % 7},{'' if index % 5 == 4 else -50 - index % 7},5.5,9.0")
    (output / "alignment_analysis.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    if not extracted(model).is_dir():  # another run with the same home has unpacked the same model
        fail(f"FileNotFoundError: [Errno 2] No such file or directory: '{extracted(model)}'")
    say("INFO", "Done! Everything took 0.100 seconds")
    if MODE == "exit":
        print("Exception ignored in atexit callback:\nTraceback (most recent call last):\nTypeError: history", file=sys.stderr)
        sys.exit(1)


def train(options: argparse.Namespace) -> None:
    corpus, dictionary = load(options)
    for stage in ("monophone", "triphone", "lda", "sat"):
        say("INFO", f"{stage} - Iteration 1 of 35")
        bar(len(corpus))
    trouble(corpus)
    # MFA links a file in its temporary directory by the path that it was given: a relative one leads nowhere
    if MODE == "database" or not os.path.isabs(options.temporary_directory):
        database()
    model = Path(options.model)
    model.parent.mkdir(parents=True, exist_ok=True)
    phones = sorted({phone for variants in dictionary.values() for phone in variants.split()})
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("meta.json", json.dumps({"phones": phones}))
    say("INFO", f"Saved model to {model}")


def load(options: argparse.Namespace) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Words by SPEAKER/NAME, and pronunciations by word; fails as MFA does for what it can't read."""
    folder = Path(options.corpus)
    if not folder.is_dir():
        usage_error("Invalid value for 'CORPUS_DIRECTORY': Corpus directory does not exist.")
    dictionary = need_model("dictionary", options.dictionary, "DICTIONARY_PATH")
    if str(folder).startswith(str(HOME)):
        usage_error("Corpus directories must be outside of MFA's temporary directory to prevent data loss")
    say("INFO", "Setting up corpus information...")
    own = Path(options.temporary_directory, folder.name)
    own.mkdir(parents=True, exist_ok=True)
    (own / f"{folder.name}.log").write_text("DEBUG what MFA writes to its own log\n", encoding="utf-8")
    pronunciations = {}
    for number, line in enumerate(dictionary.read_text(encoding="utf-8").splitlines()):
        fields = line.split()
        if len(fields) < 2:
            path = f'{dictionary}: "{fields}"'
            fail(f"{EXCEPTIONS}.DictionaryError: Error parsing line {number} of {path} did not have a pronunciation")
        pronunciations[fields[0]] = " ".join(fields[1:])
    corpus = {}
    for path in sorted(folder.glob("*/*.wav")):
        text = path.with_suffix(".lab")
        corpus[f"{path.parent.name}/{path.stem}"] = text.read_text(encoding="utf-8").split() if text.is_file() else []
        duration(path)
    if not corpus:
        fail(f"{EXCEPTIONS}.CorpusError: CorpusError:", "", "There were no files found for this corpus.")
    say("INFO", f"Found {len(list(folder.iterdir()))} speakers across {len(corpus)} files")
    bar(len(corpus))
    return corpus, pronunciations


def trouble(corpus: dict[str, list[str]]) -> None:
    """What a word in a transcript stands for."""
    for name, words in corpus.items():
        for word in words:
            if word.startswith("hang"):
                hang()
            if word.startswith("kill"):
                os.kill(os.getpid(), signal.SIGKILL)
            if word.startswith("badwav"):
                bad_wav(Path("WORK", f"{name}.wav"))
            if word.startswith("crash"):
                fail(f"{EXCEPTIONS}.KaldiProcessingError: There were 1 job(s) with errors when running Kaldi binaries.")


def hang() -> NoReturn:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])  # as its worker processes would
    if "STAND_IN_LOG" in os.environ:
        Path(os.environ["STAND_IN_LOG"]).with_name("children.txt").write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
    while True:
        time.sleep(60)


def duration(path: Path) -> float:
    try:
        with wave.open(str(path)) as recording:
            assert (recording.getframerate(), recording.getnchannels()) == (16_000, 1)
            return recording.getnframes() / 16_000
    except (wave.Error, EOFError):
        bad_wav(path)


def bad_wav(path: Path) -> NoReturn:
    fail(f"soundfile.LibsndfileError: Error opening '{path}': Format not recognised.")


def database() -> NoReturn:
    say("INFO", "Collecting phone and word alignments from sat_ali lattices...")
    fail(
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: word_interval_temp",
        "[SQL: INSERT INTO word_interval SELECT * from word_interval_temp]",
        "(Background on this error at: https://sqlalche.me/e/21/e3q8)",
    )


def find_model(kind: str, name: str) -> Path | None:
    found = Path(name)
    if found.exists():
        return found
    return next(iter((HOME / "pretrained_models" / kind).glob(f"{name}.*")), None)


def need_model(kind: str, name: str, argument: str) -> Path:
    found = find_model(kind, name)
    if not found:
        usage_error(
            f"Invalid value for '{argument}': PretrainedModelNotFoundError:",
            "",
            f'Could not find a model named "{name}" for {kind}.',
        )
    return found


def extracted(model: Path) -> Path:
    return HOME / "extracted_models" / "acoustic" / f"{model.stem}_acoustic"


def unpack(model: Path) -> set[str]:
    shutil.rmtree(extracted(model), ignore_errors=True)
    with zipfile.ZipFile(model) as archive:
        archive.extractall(extracted(model))
    return set(json.loads((extracted(model) / "meta.json").read_text(encoding="utf-8"))["phones"])


def write_textgrid(path: Path, words: list[str], dictionary: dict[str, str], seconds: float) -> None:
    words = [part for word in words for part in ([word] if word[0] == "'" else word.replace("'", "' ").split())]
    step = (seconds - 0.2) / len(words)
    tiers: dict[str, list[tuple[float, float, str]]] = {"words": [(0.0, 0.1, "<eps>")], "phones": [(0.0, 0.1, "sil")]}
    for index, word in enumerate(words):
        start = 0.1 + index * step
        phones = dictionary.get(word, "spn").split()
        # MFA names most unknown words, not all
        tiers["words"].append((start, start + step, word if word in dictionary or len(word) < 8 else "<unk>"))
        for place, phone in enumerate(phones):
            tiers["phones"].append((start + place * step / len(phones), start + (place + 1) * step / len(phones), phone))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {seconds}", "tiers? <exists>",
             "size = 2", "item []:"]  # fmt: skip
    for number, (name, intervals) in enumerate(tiers.items(), start=1):
        intervals.append((intervals[-1][1], seconds, tiers[name][0][2]))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"', f'        name = "{name}"', "        xmin = 0",
                  f"        xmax = {seconds}", f"        intervals: size = {len(intervals)}"]  # fmt: skip
        for place, (start, end, label) in enumerate(intervals, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start}", f"            xmax = {end}",
                      f'            text = "{label}"']  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def say(level: str, message: str) -> None:
    """MFA's own style, wrapped at 80 columns, on standard error."""
    print(f" {level:<8} {message}".ljust(WIDTH), file=sys.stderr, flush=True)


def bar(count: int) -> None:
    print(f"\r   0%           0/{count}  [ 0:00:01 < -:--:-- , ? it/s ]", end="")
    print(f"\r 100% ━━━━━━ {count}/{count}  [ 0:00:02 < 0:00:00 , ? it/s ]", flush=True)


def fail(*lines: str) -> NoReturn:
    say("ERROR", "There was an error in the run, please see the log.")
    head = [
        "Exception ignored in atexit callback: <bound method ExitHooks.history_save_handler>",
        "Traceback (most recent call last):",
    ]
    print("\n".join([*head, '  File "ENV/bin/mfa", line 8, in <module>', "    sys.exit(mfa_cli())", *lines]), file=sys.stderr)
    sys.exit(1)


def usage_error(*lines: str) -> NoReturn:
    print(" Usage:\n mfa [OPTIONS] …\n╭─ Error " + "─" * 70 + "╮", file=sys.stderr)
    for line in lines:
        print(f"│ {line:<76} │", file=sys.stderr)
    print("╰" + "─" * 78 + "╯", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
