"""What `wordprint download` knows: corpora, their files on the servers, sizes, checksums, and where they go.

Sizes and checksums are those that the publishers give: openslr.org/resources/12/md5sum.txt, …/31/md5sum.txt,
…/17/md5sum.txt and …/28/checksum.md5, and for Speech Commands (SHA-256) the list of TensorFlow Datasets. openslr.org/11
publishes none for the lexicon.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENSLR = (
    "https://www.openslr.org",
    "https://openslr.trmal.net",  # United States
    "https://openslr.elda.org",  # Europe
    "https://us.openslr.org",
)
"""Servers with the same files; asked in this order."""

GOOGLE = ("https://storage.googleapis.com/download.tensorflow.org", "http://download.tensorflow.org")

PREPARE = "wordprint prepare {sources} --output work/prepare"


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a corpus, and what becomes of it."""

    name: str
    """What `--subset` calls it."""
    path: str
    """Below the address of a server."""
    size_bytes: int | None
    """None where it is not known."""
    checksum: str | None
    """`md5:…` or `sha256:…`; None where none is published."""
    makes: str
    """The file or folder, below the folder of the corpus, that is there when all is done."""
    growth: float = 1.0
    """Bytes on the disk per byte of the archive, once it is extracted."""
    flat: bool = False
    """Whether the archive has its files at the top instead of in the folder that it makes."""

    @property
    def file(self) -> str:
        """Name of the file on the server."""
        return self.path.rpartition("/")[2]

    @property
    def is_archive(self) -> bool:
        """False for a file that is used as it comes."""
        return self.file.endswith((".tar.gz", ".zip"))


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that can be downloaded."""

    title: str
    licence: str
    servers: tuple[str, ...]
    items: tuple[Item, ...]
    next_command: str
    """Uses what came: `{sources}` are the arguments of 'prepare', `{folder}` is where the items lie."""
    always: tuple[str, ...] = ()
    """Items that come with any other."""
    whole: bool = True
    """Whether leaving out `--subset` means all of it; not where that is more than most people want."""


def _openslr(name: str, place: str, size_bytes: int, md5: str, makes: str, growth: float) -> Item:
    return Item(name, f"resources/{place}", size_bytes, f"md5:{md5}", makes, growth)


def _librispeech(name: str, resource: int, size_bytes: int, md5: str) -> Item:
    return _openslr(name, f"{resource}/{name}.tar.gz", size_bytes, md5, f"LibriSpeech/{name}", growth=1.05)


def _speech_commands(name: str, makes: str, size_bytes: int, sha256: str) -> Item:
    return Item(name, f"data/{makes}.tar.gz", size_bytes, f"sha256:{sha256}", makes, growth=1.6, flat=True)


CORPORA = {
    "librispeech": Corpus(
        title="read English audiobooks",
        licence="CC BY 4.0",
        servers=OPENSLR,
        items=(
            _librispeech("dev-clean-2", 31, 126_046_265, "6d7ab67ac6a1d2c993d050e16d61080d"),
            _librispeech("train-clean-5", 31, 332_954_390, "5df7d4e78065366204ca6845bb08f490"),
            _librispeech("dev-clean", 12, 337_926_286, "42e2234ba48799c1f50f24a7926300a1"),
            _librispeech("dev-other", 12, 314_305_928, "c8d0bcc9cca99d4f8b62fcc847357931"),
            _librispeech("test-clean", 12, 346_663_984, "32fa31d27d2e1cad72775fee3f4849a9"),
            _librispeech("test-other", 12, 328_757_843, "fb5a50374b501bb3bac4815ee91d3135"),
            _librispeech("train-clean-100", 12, 6_387_309_499, "2a93770f6d5c6c964bc36631d331a522"),
            _librispeech("train-clean-360", 12, 23_049_477_885, "c0e676e450a7ff2f54aeade5171606fa"),
            _librispeech("train-other-500", 12, 30_593_501_606, "d1a0fd59409feb2c614ce4d30c387708"),
            Item("lexicon", "resources/11/librispeech-lexicon.txt", None, None, "librispeech-lexicon.txt"),
        ),
        always=("lexicon",),
        whole=False,
        next_command=PREPARE,
    ),
    "speech-commands": Corpus(
        title="35 English words, one a recording (v0.02), and its test set of ten words",
        licence="CC BY 4.0",
        servers=GOOGLE,
        items=(
            _speech_commands(
                "v0.02", "speech_commands_v0.02", 2_428_923_189, "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
            ),
            _speech_commands(
                "test-set",
                "speech_commands_test_set_v0.02",
                112_563_277,
                "cc2a00c1147c2254e9be3fa0f779d8c17421dc349b86366567a8edfa9acd51df",
            ),
        ),
        next_command=PREPARE,
    ),
    "musan": Corpus(
        title="music, speech and noise to train against",
        licence="CC BY 4.0 (each recording has its own)",
        servers=OPENSLR,
        items=(_openslr("musan", "17/musan.tar.gz", 11_086_114_085, "0c472d4fc0c5141eca47ad1ffeb2a7df", "musan", 1.2),),
        next_command="wordprint train work/words --noise {folder}/musan/noise --output work/train",
    ),
    "rirs-noises": Corpus(
        title="room impulse responses, recorded and simulated, and noise",
        licence="Apache-2.0",
        servers=OPENSLR,
        items=(
            _openslr("rirs-noises", "28/rirs_noises.zip", 1_311_166_223, "e6f48e257286e05de56413b4779d8ffb", "RIRS_NOISES", 3.0),
        ),
        next_command="wordprint train work/words --rir {folder}/RIRS_NOISES/simulated_rirs --output work/train",
    ),
}
