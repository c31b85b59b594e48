"""The table of commands, plain data: the command line, `wordprint.pipeline`, the options of `run` and docs/cli.md follow from it.

A new stage is a row here and a module with its function; nothing else needs to know of it.
"""

from __future__ import annotations

from pathlib import Path

from wordprint.stages.command import Argument, Command

SOURCES = (
    "PATH, KIND:PATH or NAME=KIND:PATH. Kinds: librispeech, common_voice, speech_commands, lhotse, kaldi, folder, metadata,"
    " synthetic, or your own as package.module:function."
)
MODEL = "ONNX file, folder that 'train' wrote, or package.module:Class of another project's model."
_MODEL_AND_KEYWORDS = Argument(
    "arguments",
    "The model (left out: the one that comes with wordprint) and the enrollment (left out: keywords.json).",
    str,
    "[MODEL.onnx] [KEYWORDS.json]",
    many=True,
    default=(),
)

TABLE = (
    Command(
        name="run",
        summary="all stages below on one or more corpora, from one TOML or from flags",
        help="All stages in order, from corpora to a model that spots keywords; what is done is skipped.",
        command="wordprint.commands.tools:run",
        arguments=(
            Argument(
                "sources", f"Corpora, or one recipe (FILE.toml) that names them: {SOURCES}", str, "SOURCE", many=True, default=()
            ),
            Argument("work", "Folder to write; each stage has its own in it.", default=Path("work"), flag=True),
        ),
        options=(("config", "wordprint.config:RunConfig"),),
        workers=True,
        output=False,
    ),
    Command(
        name="download",
        summary="bring speech corpora, noise and room impulse responses to this machine",
        help="Bring a corpus to this machine: downloaded, checked and extracted; what is there already is left.",
        functions=("wordprint.download.stage:download",),
        command="wordprint.commands.tools:download",
        arguments=(
            Argument(
                "corpus",
                "librispeech, speech-commands, musan, rirs-noises or common-voice. Without it, what can be downloaded is listed.",
                str,
                default="",
            ),
            Argument("release", "Tarball or folder of a Common Voice release that you have.", metavar="PATH", default=None),
            Argument("subset", "Parts of the corpus, such as train-clean-100 dev-clean.", str, many=True, default=(), flag=True),
            Argument("data", "Folder for corpora (else the environment variable WORDPRINT_DATA).", default=None, flag=True),
            Argument("mirror", "Server to ask first, laid out as the corpus's own is.", str, "URL", default=None, flag=True),
            Argument("keep_archives", "Keep the archives that were extracted.", bool, default=False, flag=True),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="prepare",
        summary="find utterances and transcripts in corpora of many layouts",
        help="Find utterances and their transcripts in one or several corpora.",
        functions=("wordprint.corpora.stage:prepare",),
        arguments=(Argument("sources", SOURCES, str, "SOURCE", many=True),),
        options=(("config", "wordprint.corpora.options:PrepareConfig"),),
        workers=True,
        run=True,
    ),
    Command(
        name="validate",
        summary="check recordings and transcripts, with a report",
        help="Check every recording and transcript before anything expensive; writes report.html.",
        functions=("wordprint.validate.stage:validate",),
        arguments=(Argument("utterances", "Folder that 'prepare' wrote."),),
        options=(("config", "wordprint.validate.options:ValidateConfig"),),
        workers=True,
        extras=("report",),
        run=True,
    ),
    Command(
        name="align",
        summary="find where each word and phone lies",
        help="Find where each word and phone lies; writes TextGrids.",
        functions=("wordprint.align.stage:align", "wordprint.align.comparison:compare_alignments"),
        command="wordprint.commands.tools:align",
        arguments=(
            Argument("utterances", "Folder that 'validate' (or 'prepare') wrote."),
            Argument(
                "compare",
                "Another set of alignments of these utterances, a folder that 'align' wrote or one of TextGrids: also write where"
                " they differ, to compare-NAME in the output folder.",
                metavar="FOLDER",
                default=None,
                flag=True,
            ),
        ),
        options=(("config", "wordprint.align.options:AlignConfig"),),
        workers=True,
        extras=("align",),
        run=True,
    ),
    Command(
        name="words",
        summary="cut a dataset of word segments, split by speaker and word",
        help="Cut a dataset of word segments, split by speaker and by word.",
        functions=("wordprint.words.stage:words",),
        arguments=(Argument("alignments", "Folder that 'align' wrote."),),
        options=(("config", "wordprint.words.options:WordsConfig"),),
        workers=True,
        extras=("words",),
        run=True,
    ),
    Command(
        name="train",
        summary="train an encoder so that recordings of one word land close together",
        help="Train an encoder; a run that was stopped goes on from its last validation, one that is done from its last step."
        " Writes report.html with the curves.",
        functions=("wordprint.train.stage:train",),
        arguments=(Argument("words", "Folder that 'words' wrote."),),
        options=(("config", "wordprint.train.options:TrainConfig"),),
        extras=("words", "train", "report"),
        run=True,
    ),
    Command(
        name="export",
        summary="write one ONNX file (and int8), checked against the network",
        help="Write model.onnx and model.int8.onnx, each checked against the network.",
        functions=("wordprint.export.stage:export",),
        arguments=(
            Argument("checkpoint", "Folder that 'train' wrote."),
            Argument(
                "words",
                "Word dataset that calibrates int8 (training words) and the threshold (validation words).",
                default=None,
                flag=True,
            ),
        ),
        options=(("config", "wordprint.export.options:ExportConfig"),),
        extras=("words", "train"),
        run=True,
    ),
    Command(
        name="evaluate",
        summary="score a model on words and speakers it never heard, with a report",
        help="Score a model on words and speakers it never heard; writes metrics.json, trial lists and report.html.",
        functions=("wordprint.evaluate.stage:evaluate",),
        arguments=(
            Argument("model", MODEL, str),
            Argument(
                "data",
                "Word folders (word/speaker_….flac) or word datasets; none with --phrases, or where a --stream has keywords.",
                Path,
                many=True,
                default=(),
            ),
        ),
        options=(("config", "wordprint.evaluate.options:EvaluateConfig"),),
        extras=("words", "report"),
        run=True,
    ),
    Command(
        name="outliers",
        summary="list words that a trained model hears as another word, to leave them out",
        help="List words that a trained model hears as another word, for 'words --drop'; writes outliers.jsonl and report.html.",
        functions=("wordprint.evaluate.outliers:outliers",),
        arguments=(Argument("model", MODEL, str), Argument("words", "Folder that 'words' wrote.")),
        options=(("config", "wordprint.evaluate.options:OutliersConfig"),),
        workers=True,
        extras=("words", "report"),
    ),
    Command(
        name="enroll",
        summary="learn a keyword from a few recordings, or from its spelling",
        help="Learn a keyword from a few recordings of it (three or more are best), or without any from its spelling.",
        functions=("wordprint.spot.enroll:enroll",),
        command="wordprint.commands.enrollment:enroll",
        arguments=(
            Argument(
                "arguments",
                "The model (left out: the one that comes with wordprint), the keyword, and its recordings (none: it is typed).",
                str,
                "[MODEL.onnx] KEYWORD [RECORDING]",
                many=True,
            ),
            Argument(
                "output", "Enrollment to write or add to.", metavar="FILE", default=Path("keywords.json"), flag=True, short="o"
            ),
            Argument(
                "threshold",
                "Similarity that counts as a hit of this keyword; else what is expected to have its rate of false alarms.",
                float,
                default=None,
                flag=True,
            ),
            Argument(
                "recordings_alone",
                "Take nothing from the spelling; else it counts as two recordings more, where the recordings sound like it.",
                bool,
                default=False,
                flag=True,
            ),
            Argument(
                "synthetic_voices",
                "Let synthetic voices say a typed keyword, beside its spelling (extra 'synthetic').",
                bool,
                default=False,
                flag=True,
            ),
            Argument(
                "phones",
                "How it is said, such as 'L AY T S AA N', several ways with commas between; counts as two recordings.",
                str,
                default=None,
                flag=True,
            ),
            Argument(
                "false_alarms_per_hour",
                "Set the threshold for so many false alarms in an hour of ordinary speech, or of the --background.",
                float,
                default=None,
                flag=True,
            ),
            Argument(
                "background",
                "A recording of your surroundings, a minute or better an hour, in which the keyword isn't said.",
                default=None,
                flag=True,
            ),
            Argument("json", "Print the verdict as one JSON object.", bool, default=False, flag=True),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="web",
        summary="write a page that spots enrolled keywords in the browser alone",
        help="Write a static page that spots enrolled keywords from the microphone in the browser, with no server behind it.",
        command="wordprint.commands.enrollment:web",
        arguments=(
            _MODEL_AND_KEYWORDS,
            Argument("output", "Folder to write the page into.", metavar="FOLDER", default=Path("page"), flag=True, short="o"),
            Argument(
                "onnxruntime_web",
                "Folder of the npm package onnxruntime-web; without it, npm brings it.",
                default=None,
                flag=True,
            ),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="correct",
        summary="remember a false alarm of a keyword, or a recording in which it was missed",
        help="Remember false alarms of a keyword, so that what sounds like them is taken for it less easily, by recordings or by"
        " what was --said; or with --missed add recordings in which it was missed to its shots.",
        command="wordprint.commands.enrollment:correct",
        arguments=(
            Argument(
                "arguments",
                "The model (left out: the one that comes with wordprint), the enrollment (left out: keywords.json), the"
                " keyword, and recordings of its mistakes.",
                str,
                "[MODEL.onnx] [KEYWORDS.json] KEYWORD [RECORDING]",
                many=True,
            ),
            Argument("missed", "The keyword is said in the recordings, and was missed.", bool, default=False, flag=True),
            Argument("said", "What was said instead, as text: the keyword is told apart from it.", str, default=None, flag=True),
            Argument("threshold", "Also set the keyword's threshold.", float, default=None, flag=True),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="keywords",
        summary="list, remove, rename and test enrolled keywords",
        help="List the keywords of an enrollment, remove or rename one, or test how alike recordings are to each.",
        command="wordprint.commands.enrollment:keywords",
        arguments=(
            Argument(
                "arguments",
                "The enrollment (left out: keywords.json), and what to do: list, remove KEYWORD, rename KEYWORD NEW, test"
                " RECORDING….",
                str,
                "[KEYWORDS.json] [list|remove|rename|test] [NAME]",
                many=True,
                default=(),
            ),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="spot",
        summary="find enrolled keywords in recordings, on standard input or in a pipe",
        help="Find enrolled keywords in recordings and pipes; prints time, keyword and similarity as it goes.",
        functions=("wordprint.spot.stream:spot",),
        command="wordprint.commands.keywords:spot",
        arguments=(
            Argument(
                "arguments",
                "The model (left out: the one that comes with wordprint), the enrollment (left out: keywords.json), and what to"
                " listen to: recordings, FIFOs, or - for standard input (WAV or raw samples).",
                str,
                "[MODEL.onnx] [KEYWORDS.json] RECORDING",
                many=True,
            ),
        ),
        options=(
            ("config", "wordprint.spot.options:SpotConfig"),
            ("raw", "wordprint.spot.options:RawConfig"),
            ("report", "wordprint.spot.options:ReportConfig"),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="listen",
        summary="find enrolled keywords in what a microphone hears",
        help="Find enrolled keywords in what a microphone hears, until Ctrl-C; prints each at once.",
        command="wordprint.commands.keywords:listen",
        arguments=(
            _MODEL_AND_KEYWORDS,
            Argument("devices", "List the microphones and end.", bool, default=False, flag=True),
        ),
        options=(
            ("config", "wordprint.spot.options:SpotConfig"),
            ("microphone", "wordprint.spot.options:MicrophoneConfig"),
            ("report", "wordprint.spot.options:ReportConfig"),
        ),
        output=False,
        overwrite=False,
        extras=("mic",),
    ),
    Command(
        name="serve",
        summary="spot keywords for Home Assistant and other programs (Wyoming)",
        help="Spot keywords for Home Assistant and other programs that speak Wyoming, until Ctrl-C or SIGTERM.",
        command="wordprint.commands.serve:serve",
        arguments=(
            _MODEL_AND_KEYWORDS,
            Argument(
                "wyoming",
                "Where to listen; 127.0.0.1 is reached from this machine only, 0.0.0.0 from all.",
                str,
                "tcp://HOST:PORT",
                default="tcp://127.0.0.1:10400",
                flag=True,
            ),
        ),
        options=(("config", "wordprint.spot.options:SpotConfig"), ("options", "wordprint.serve.options:ServeConfig")),
        output=False,
        overwrite=False,
        extras=("serve",),
    ),
    Command(
        name="studio",
        summary="a page on this machine to record keywords, hear them and set their thresholds",
        help="Open a page on this machine to record keywords, hear them live and set their thresholds, until Ctrl-C or SIGTERM.",
        command="wordprint.commands.studio:studio",
        arguments=(
            Argument(
                "arguments",
                "The model (left out: the one that comes with wordprint) and the enrollment to make or change (left out:"
                " keywords.json).",
                str,
                "[MODEL.onnx] [KEYWORDS.json]",
                many=True,
                default=(),
            ),
        ),
        options=(("options", "wordprint.studio.options:StudioConfig"),),
        output=False,
        overwrite=False,
        extras=("studio",),
    ),
    Command(
        name="convert",
        summary="word dataset ⇄ word folders ⇄ Hugging Face datasets; alignments → Lhotse",
        help="Turn a word dataset into word folders or Hugging Face datasets, either into a word dataset, alignments into Lhotse"
        " manifests.",
        functions=("wordprint.words.convert:convert",),
        command="wordprint.commands.tools:convert",
        arguments=(
            Argument(
                "source",
                "Word dataset, word folders (word/speaker_….flac), a saved Hugging Face dataset, or the folder that 'align' wrote"
                " (for lhotse).",
            ),
            Argument("to", "Form to write: folders, datasets, words or lhotse.", str, "FORM", default="folders", flag=True),
        ),
    ),
    Command(
        name="inspect",
        summary="a page to hear and see words, or the triplets that are hard for a network",
        help="Write a page of words, or of the triplets that the miner picks: players, spectrograms, boundaries, filters.",
        functions=("wordprint.words.inspect:inspect_words", "wordprint.train.inspect:inspect_triplets"),
        command="wordprint.commands.tools:inspect",
        arguments=(
            Argument("what", "words: segments of a word dataset; triplets: what is hard for a network at a checkpoint.", str),
            Argument(
                "inputs",
                "The word dataset; for triplets first the folder that 'train' wrote, or its last.safetensors.",
                metavar="[CHECKPOINT] WORDS",
                many=True,
            ),
            Argument("output", "Page to write.", metavar="FILE", default=Path("inspect.html"), flag=True, short="o"),
        ),
        options=(
            ("words", "wordprint.words.options:InspectWordsConfig"),
            ("triplets", "wordprint.train.options:InspectTripletsConfig"),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="info",
        summary="say what is in a file or folder that wordprint wrote",
        help="Say what is in any file or folder that wordprint wrote.",
        functions=("wordprint.desk.info:info",),
        command="wordprint.commands.tools:info",
        arguments=(
            Argument("paths", "What to look at.", metavar="PATH", many=True, default=()),
            Argument("as_json", "Print one JSON document instead of lines for people.", bool, default=False, flag=True),
        ),
        output=False,
        overwrite=False,
    ),
    Command(
        name="plan",
        summary="time, disk and memory that a corpus will take, from rates measured here",
        help="Time, disk and memory that 'run' with the same options will take, from a run on a sample in about a minute.",
        command="wordprint.commands.tools:plan",
        arguments=(
            Argument(
                "sources", "Corpora or a recipe to measure on; without any, synthetic speech.", str, "SOURCE", many=True, default=()
            ),
            Argument("hours", "Hours of audio to plan for.", float, flag=True),
            Argument(
                "workers",
                "Processes to plan for (else one per core); more than this machine has cores means a cluster.",
                int,
                default=None,
                flag=True,
                short="j",
            ),
            Argument("work", "Folder that 'run' will write to: its disk is measured.", default=Path("."), flag=True),
            Argument("utterances", "Utterances to measure on, drawn from all corpora.", int, default=96, flag=True),
            Argument(
                "from_",
                "Work folder of a run that is finished: its receipts are scaled to the hours, and nothing is run.",
                metavar="WORK",
                default=None,
                flag=True,
            ),
        ),
        options=(("config", "wordprint.config:RunConfig"),),
        output=False,
        overwrite=False,
    ),
    Command(
        name="doctor",
        summary="say what is installed and works, and how to install what is missing",
        help="Say what is installed and works, and what installs the rest; exit code 1 if 'run' lacks something.",
        command="wordprint.commands.tools:doctor",
        arguments=(
            Argument(
                "mfa_command",
                "How the Montreal Forced Aligner is started, such as 'conda run --no-capture-output -n aligner mfa'.",
                str,
                "COMMAND",
                default="mfa",
                flag=True,
            ),
            Argument("as_json", "Print one JSON document instead of a table.", bool, default=False, flag=True),
        ),
        output=False,
        overwrite=False,
    ),
)
"""In the order of the help; rows with `run` in the order of the pipeline."""

COMMANDS = {row.name: row for row in TABLE}
