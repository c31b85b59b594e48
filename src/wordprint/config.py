"""Every option of every stage, declared once: the command line, TOML files, docs and receipts read it here.

The text under a field is its help. Options that can't change a result (workers, progress, overwrite) are not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


def how_to_run(default: Any) -> Any:
    """A field of how to do it, not what: it changes no result, so a run may go on, or count as done, with another value."""
    return field(default=default, metadata={"changes_results": False})


@dataclass(frozen=True)
class PrepareConfig:
    """Find utterances and their transcripts."""

    language: str = "en"
    """Language of the transcripts (ISO 639-1), where the corpus doesn't say."""
    common_voice_lists: tuple[str, ...] = ("validated",)
    """Lists of Common Voice to take: validated, train, dev, test, invalidated, other."""
    common_voice_max_per_speaker: int | None = None
    """Take at most this many utterances of a Common Voice speaker (chosen by hash)."""
    seed: int = 0
    """Seed of the synthetic corpus."""
    synthetic_utterances: int = 400
    """Utterances to synthesise when a source is 'synthetic'."""
    synthetic_speakers: int = 24
    """Synthetic voices (variant × accent) that speak them."""


@dataclass(frozen=True)
class ValidateConfig:
    """Check recordings and transcripts before anything expensive."""

    min_duration_s: float = 0.3
    """Drop utterances shorter than this."""
    max_duration_s: float = 60.0
    """Drop utterances longer than this."""
    silence_db: float = -60.0
    """Drop utterances whose level (RMS, dB of full scale) is below this."""
    clipping_share: float = 0.001
    """Report utterances with more than this share of samples at full scale."""
    max_chars_per_s: float = 30.0
    """Drop utterances whose transcript can't fit the duration."""
    min_chars_per_s: float = 1.0
    """Report utterances whose transcript is too short for the duration."""
    min_speakers_per_word: int = 3
    """Report words spoken by fewer speakers."""
    lexicon: Path | None = None
    """Pronunciation dictionary to look words up in (default for English: the one that comes with pocketsphinx)."""
    aligner: Literal["none", "mfa"] = "none"
    """Also show what this aligner finds before it aligns: mfa runs 'mfa validate' on what is kept."""
    mfa_command: str = how_to_run("mfa")
    """(mfa) Command that runs the Montreal Forced Aligner, such as 'conda run --no-capture-output -n aligner mfa'."""
    mfa_time_limit_h: float = how_to_run(6.0)
    """(mfa) Stop 'mfa validate' when it takes longer."""
    mfa_dictionary: str | None = None
    """(mfa) MFA's dictionary by name, where no lexicon is given; without either, the one for the language."""
    drop: tuple[str, ...] = ()
    """Further reasons that drop an utterance, such as clipped_audio or unknown_characters."""
    keep: tuple[str, ...] = ()
    """Reasons that are only reported instead of dropping the utterance, such as silent_audio."""


@dataclass(frozen=True)
class AlignConfig:
    """Find where each word and phone lies."""

    aligner: str = "pocketsphinx"
    """Aligner by name: pocketsphinx, mfa, textgrid, lhotse, or one of your own ('package.module:Class')."""
    textgrids: Path | None = None
    """Folder of TextGrids (Montreal Forced Aligner output, say) for the aligner 'textgrid'."""
    lexicon: Path | None = None
    """Pronunciation dictionary (word, then phones) that overrides the aligner's own entries (of mfa, all of them)."""
    g2p: Literal["auto", "espeak", "rules"] = "auto"
    """Guesses the pronunciation of OOV words: espeak-ng, built-in rules, or espeak-ng where it is installed (auto)."""
    phones: bool = True
    """Also align phones."""
    max_duration_s: float = 120.0
    """Drop utterances longer than this (memory grows with length)."""
    mfa_command: str = how_to_run("mfa")
    """(mfa) Command that runs the Montreal Forced Aligner, such as 'conda run --no-capture-output -n aligner mfa'."""
    mfa_time_limit_h: float = how_to_run(6.0)
    """(mfa) Stop a run of MFA that takes longer, and leave its shard out; training may take ten times as long."""
    mfa_dictionary: str | None = None
    """(mfa) MFA's dictionary by name, where no lexicon is given; without either, the one for the language."""
    mfa_acoustic: str | None = None
    """(mfa) Acoustic model: a name as MFA has it, or a zip; without it, the one for the language."""
    mfa_train: bool = False
    """(mfa) Train the acoustic model on the utterances themselves; it stays in the output folder, as mfa/model.zip."""
    mfa_train_hours: float = 100.0
    """(mfa) Train on at most this much speech (taken evenly from all)."""
    mfa_train_jobs: int = 3
    """(mfa) Processes that train; their number changes the model in its last digits."""
    mfa_shard_hours: float = 4.0
    """(mfa) Speech in one run of MFA: what a crash costs at most. Speakers stay whole, unless they are more than twice that."""
    mfa_beam: int | None = None
    """(mfa) Width of the search; MFA's own is 10."""
    mfa_retry_beam: int | None = None
    """(mfa) Width of the second search for utterances that the first one lost; MFA's own is 40."""


@dataclass(frozen=True)
class CalibrateConfig:
    """Find the goodness that right words seldom fall below."""

    calibration_minutes: float = 20.0
    """Speech that --calibrate aligns again, four times, with wrong transcripts (a sample chosen by hash)."""


@dataclass(frozen=True)
class WordsConfig:
    """Cut utterances into word and phrase segments and split them."""

    max_phrase_words: int = 1
    """Longest phrase, in consecutive words, cut as one segment."""
    max_pause_s: float = 0.3
    """Longest pause between two words of a phrase."""
    min_letters: int = 3
    """Drop words and phrases with fewer letters."""
    min_duration_s: float = 0.1
    """Drop segments shorter than this."""
    max_duration_s: float = 3.0
    """Drop segments longer than this."""
    min_goodness: float | Literal["calibrated", "none"] = "calibrated"
    """Drop segments aligned worse than this (mean log likelihood per frame; of a phrase, its worst word's): a number, none, or the
    threshold that 'align --calibrate' found, which loses 1 % of right words (calibrated; none where it was not run)."""
    min_utterance_goodness: float | None = None
    """Drop all segments of an utterance aligned worse than this on the whole; the report of 'align --calibrate' suggests one."""
    second_alignments: Path | None = None
    """Another set of alignments of these utterances, for --require-agreement: a folder that 'align' wrote, or one of TextGrids."""
    require_agreement: float | None = None
    """Keep only segments whose words begin and end within this many milliseconds of where the second alignments have them."""
    drop: tuple[Path, ...] = ()
    """JSONL files of segments to drop: utterance_id, start_sample and end_sample as in the dataset, or utterance_id alone for
    all of an utterance."""
    min_tokens: int = 2
    """Drop word types with fewer tokens."""
    min_speakers: int = 2
    """Drop word types spoken by fewer speakers."""
    max_tokens: int | None = None
    """Keep at most this many tokens of a word type (chosen by hash)."""
    exclude_words: tuple[str, ...] = ()
    """Words that must not appear in the dataset."""
    exclude_words_from: tuple[Path, ...] = ()
    """Word folders or text files (one word a line) whose words must not appear in the dataset."""
    validation_speakers: float = 0.1
    """Share of speakers kept for validation."""
    test_speakers: float = 0.1
    """Share of speakers kept for the test."""
    validation_words: float = 0.1
    """Share of word types kept for validation."""
    test_words: float = 0.1
    """Share of word types kept for the test."""
    shard_hours: float = 0.5
    """Hours of audio per Arrow shard."""


@dataclass(frozen=True)
class TrainConfig:
    """Train an encoder so that recordings of one word land close together."""

    seed: int = 0
    """Seed of initial weights, batches and augmentation."""
    steps: int = 2000
    """Batches to train on; the learning rate is zero after the last."""
    words_per_batch: int = 64
    """Word types in a batch (P)."""
    tokens_per_word: int = 3
    """Recordings of each in a batch (K), by as many speakers as there are."""
    learning_rate: float = 0.003
    """Highest learning rate (AdamW, one cycle)."""
    weight_decay: float = 0.01
    """Decay of the weights."""
    warmup_share: float = 0.15
    """Share of the steps in which the learning rate rises."""
    front_end: str = "log_mel"
    """Features by name: log_mel, mfcc, or your own ('package.module:Class')."""
    n_features: int = 40
    """Mel bands or cepstral coefficients."""
    encoder: str = "compact"
    """Encoder by name: compact, ancestor, or your own ('package.module:Class')."""
    embedding_size: int = 128
    """Numbers in an embedding."""
    window_s: float = 1.0
    """Audio that the encoder hears at once."""
    loss: str = "supervised_contrastive"
    """Loss by name: triplet, ancestor, supervised_contrastive, proxy_anchor, arcface, or your own ('package.module:function')."""
    miner: Literal["all", "hard", "semi-hard", "batch-hard"] = "batch-hard"
    """Which triplets of the batch the triplet loss takes."""
    distance: Literal["cosine", "euclidean"] = "cosine"
    """Distance of the triplet loss."""
    margin: float = 0.2
    """Margin of the triplet and proxy losses (for arcface an angle in radians)."""
    soft_margin: bool = False
    """Use ln(1 + exp(x)) instead of the margin in the triplet loss."""
    temperature: float = 0.1
    """What similarities are divided by in the contrastive, phonetic and proxy losses."""
    phonetic_weight: float = 1.0
    """Weight of the loss that pulls a recording to a vector computed from its word's phones (0: none)."""
    phone_weight: float = 0.3
    """Weight of the loss that tells the phone of each frame (0: none)."""
    other_words: int = 512
    """Word types outside the batch that the phonetic loss tells each recording apart from."""
    noise: Path | None = None
    """Folder of noise recordings to mix in; without it, white noise."""
    rir: Path | None = None
    """Folder of room impulse responses to play words in."""
    noise_share: float = 0.7
    """Share of recordings that get noise."""
    white_noise_share: float = 0.25
    """Share of those that get white noise although there are noise recordings."""
    min_snr_db: float = 0.0
    """Lowest signal-to-noise ratio."""
    max_snr_db: float = 35.0
    """Highest signal-to-noise ratio."""
    filter_share: float = 0.3
    """Share of recordings that another microphone, a telephone line or a room colours."""
    silence_share: float = 0.5
    """Share of recordings with silence instead of real context around the word."""
    max_margin_s: float = 0.06
    """Most real audio left on either side of a word in silence."""
    shift_share: float = 0.2
    """Spread (standard deviation) of the word's place in the window, as a share of the room it has."""
    max_speed_change: float = 1.16
    """Play words up to this much slower or faster; pitch changes with it."""
    min_level_db: float = -35.0
    """Lowest level (RMS, dB of full scale)."""
    max_level_db: float = -12.0
    """Highest level."""
    masks: int = 2
    """Stretches of time, and of bands, that SpecAugment hides."""
    max_time_mask: float = 0.11
    """Longest hidden stretch, as a share of the window."""
    max_band_mask: float = 0.13
    """Widest hidden stretch, as a share of the bands."""
    validate_every: int = 500
    """Steps between validations; a killed run goes on from the last one."""
    max_validation_tokens: int = 3000
    """Validate on at most this many segments."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"
    """Arithmetic of the encoder; auto takes bfloat16 where the processor has it."""
    threads: int = 0
    """CPU threads (0: this process's share of the cores it may run on)."""


@dataclass(frozen=True)
class EvaluateConfig:
    """Score a model on words and speakers it never heard."""

    seed: int = 0
    """Seed of the support draws, samples and bootstraps."""
    split: str = "test"
    """Part of a word dataset to score (word folders have no parts)."""
    targets: tuple[str, ...] = ()
    """Keywords to enroll; without any, the ten Speech Commands where the data has them all, else the words of most speakers."""
    shots: tuple[int, ...] = (1, 3, 5, 10)
    """Recordings that enroll a keyword."""
    draws: int = 100
    """Random choices of the enrolled recordings that figures are averaged over."""
    enroll_share: float = 0.25
    """Share of the speakers that supports are drawn from; all others are asked."""
    context: bool = False
    """Show the model the real audio around the words of a word dataset instead of silence."""
    max_tokens: int = 10_000
    """Tokens compared in same-different discrimination; of more, a random sample."""
    dtw_tokens: int = 400
    """Tokens on which MFCC + DTW is scored for reference, a random sample; 0 leaves it out."""
    allow_seen: bool = False
    """Score words and speakers that the model was trained on instead of stopping; the figures are marked."""
    players: int = 12
    """Recordings per list that the report can play."""


@dataclass(frozen=True)
class ExportConfig:
    """Write one ONNX file with the front end inside, and an int8 version beside it."""

    name: str = "wordprint"
    """Name of the model."""
    licence: str = ""
    """Licence of the weights."""
    materials: tuple[str, ...] = ()
    """Data in the weights, each as 'name; licence; attribution; source'; corpora that are not named here stay as prepared."""
    int8: bool = True
    """Also write an int8 version (needs a word dataset to calibrate on)."""
    max_difference: float = 1e-4
    """Refuse an export that differs from the network by more, in any number of an embedding."""
    min_int8_cosine: float = 0.99
    """Refuse an int8 version whose embeddings of real words have a mean cosine with the network's below this."""
    false_alarms_per_hour: float = 10.0
    """False alarms per hour of uninterrupted speech, and keyword, at the default threshold."""
    calibration_minutes: float = 20.0
    """Speech listened to for the default threshold."""


@dataclass(frozen=True)
class SpotConfig:
    """Listen for enrolled keywords."""

    hop_s: float = 0.1
    """Time between two looks at the stream."""
    threshold: float | None = None
    """Similarity that counts as a hit, for all keywords; without it, the one stored with each keyword."""
    hold_s: float = 0.1
    """Wait this long for a better match before a detection is decided."""
    refractory_s: float = 0.75
    """After the peak of a detection, ignore hits for this long."""
    min_level_db: float = -60.0
    """Don't look at windows whose level (RMS, dB of full scale) is below this."""


@dataclass(frozen=True)
class DemoConfig:
    """Enroll keywords with synthetic voices and spot them in a synthetic utterance."""

    keywords: tuple[str, ...] = ()
    """Keywords to enroll; none: no demo."""
    sentence: str = ""
    """What another synthetic voice says."""
    shots: int = 3
    """Recordings to enroll each keyword with."""


@dataclass(frozen=True)
class InspectWordsConfig:
    """Show segments of a word dataset."""

    segments: int = 300
    """(words) How many segments to show."""
    order: Literal["hash", "goodness"] = "hash"
    """(words) Which ones: chosen by hash, or those with the lowest goodness."""
    words: tuple[str, ...] = ()
    """(words) Only these words."""
    split: str | None = None
    """(words) Only this part of the dataset."""
    alignments: Path | None = None
    """(words) Folder that 'align' wrote: shows all words of a sentence, also those that are not in the dataset, and phones."""
    context_s: float = 0.8
    """(words) Longest stretch of the sentence shown on either side of a word."""


@dataclass(frozen=True)
class InspectTripletsConfig:
    """Show the triplets that a miner picks."""

    triplets: int = 100
    """(triplets) How many triplets to show, the hardest first."""
    batches: int = 8
    """(triplets) Batches of training that the miner picks from."""


@dataclass(frozen=True)
class OutliersConfig:
    """List segments that lie nearer to another word than to their own."""

    threshold: float = 0.4
    """List a segment when its similarity to the nearest other word exceeds that to its own by more."""
    min_tokens: int = 5
    """Segments that a word needs to have a centre; those of rarer words are not judged."""


@dataclass(frozen=True)
class RunConfig:
    """The whole pipeline: one section per stage."""

    sources: tuple[str, ...] = ("synthetic",)
    """Corpora: PATH, KIND:PATH or NAME=KIND:PATH."""
    evaluate_on: tuple[Path, ...] = ()
    """Word folders or word datasets to score the model on besides the test split of the corpora."""
    prepare: PrepareConfig = field(default_factory=PrepareConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    words: WordsConfig = field(default_factory=WordsConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    spot: SpotConfig = field(default_factory=SpotConfig)
    demo: DemoConfig = field(default_factory=DemoConfig)
