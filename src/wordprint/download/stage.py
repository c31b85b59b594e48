"""Bring corpora to this machine: downloaded, checked, extracted, in the layout that the stages expect.

    download("librispeech", "/data/speech", subsets=["train-clean-100", "dev-clean"])

An item is complete when its receipt is there. The receipt of a folder lies in it (`.download.json`) and appears with it, by one
rename, so that whatever moment a kill chose, the same command goes on from there; a folder that was removed is fetched again.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Sequence
from pathlib import Path

from wordprint.download.catalogue import CORPORA, PREPARE, Corpus, Item
from wordprint.download.fetch import Patience, fetch
from wordprint.download.folders import RECEIPT, corpus_folder, receipt_of, require_free_place, require_space, unpack
from wordprint.download.release import COMMON_VOICE, take_release
from wordprint.errors import ConfigError
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import SILENT, Progress
from wordprint.stages.units import readable_bytes


def download(
    corpus: str,
    data: str | Path | None = None,
    *,
    release: str | Path | None = None,
    subsets: Sequence[str] = (),
    mirror: str | None = None,
    keep_archives: bool = False,
    progress: Progress | None = None,
    patience: Patience = Patience(),
) -> list[Path]:
    """Download a corpus of the catalogue, or `subsets` of it, below the folder `data` (default: $WORDPRINT_DATA).

    For 'common-voice', take the `release` that is here already. Returns the folders and files that are now there, whether
    they came now or before. `mirror` is the address of a server of one's own that is asked first. Raises ConfigError for an
    unknown name, DiskFullError before anything is downloaded where the space is too small, OutputConflictError for a folder in
    the way, and DownloadError.
    """
    report = progress or SILENT
    if corpus == COMMON_VOICE:
        return take_release(release, data, report)
    _require_known(corpus, (*CORPORA, COMMON_VOICE), f"unknown corpus '{corpus}'")
    known = CORPORA[corpus]
    if release:
        raise ConfigError(
            f"{corpus} takes no path, and '{release}' was given",
            expected="one corpus at a time",
            remedy="the folder to write to is named with --data",
        )
    items = _items(corpus, known, subsets)
    servers = ((_address(mirror),) if mirror else ()) + known.servers
    with corpus_folder(data, corpus) as folder:
        missing = [item for item in items if not _is_complete(folder, item)]
        for item in missing:
            if item.is_archive:
                require_free_place(folder / item.makes)
        _require_space(folder, missing, keep_archives)
        for item in items:
            if item not in missing:
                left = f" (so is its archive, {item.file})" if item.is_archive and (folder / item.file).exists() else ""
                report.say(f"{corpus} {item.name}: already there in {folder / item.makes}{left}")
                continue
            _bring(folder, item, [f"{server}/{item.path}" for server in servers], report, patience)
            if item.is_archive and not keep_archives:
                (folder / item.file).unlink()
    return [folder / item.makes for item in items]


def next_command(corpus: str, paths: Sequence[Path]) -> str:
    """The command line to go on with, once `download` has returned `paths`."""
    folders = [path for path in paths if path.is_dir()]
    if not folders:
        return f"wordprint align work/validate --lexicon {shlex.quote(str(paths[0]))} --output work/align"
    command = CORPORA[corpus].next_command if corpus in CORPORA else PREPARE
    kind = corpus.replace("-", "_")
    sources = " ".join(shlex.quote(f"{kind}:{path}") for path in folders)
    return command.format(sources=sources, folder=shlex.quote(str(folders[0].parent)))


def listing() -> str:
    """What can be downloaded, for people."""
    lines = []
    for name, corpus in CORPORA.items():
        lines.append(f"{name}: {corpus.title}; {corpus.licence}")
        lines += [f"    {item.name:<16} {_size(item)}" for item in corpus.items]
    lines.append(f"{COMMON_VOICE} PATH: sentences in over a hundred languages, from a release you have; CC0 1.0")
    return "\n".join(lines)


def _bring(folder: Path, item: Item, urls: Sequence[str], progress: Progress, patience: Patience) -> None:
    target = folder / item.file
    came = fetch(urls, target, size_bytes=item.size_bytes, checksum=item.checksum, progress=progress, patience=patience)
    progress.say(f"{item.file}: {came.checksum}, {'as published' if item.checksum else 'no published checksum to compare it with'}")
    about = {"size_bytes": came.size_bytes, "checksum": came.checksum, "published_checksum": item.checksum}
    receipt = receipt_of(folder.name, item.name, url=came.url, **about)
    if item.is_archive:
        unpack(target, folder, "" if item.flat else item.makes, item.makes, receipt, progress)
    else:
        write_json(_receipt_path(folder, item), receipt)


def _receipt_path(folder: Path, item: Item) -> Path:
    made = folder / item.makes
    return made / RECEIPT if item.is_archive else made.with_name(f".{made.name}{RECEIPT}")


def _is_complete(folder: Path, item: Item) -> bool:
    return (folder / item.makes).exists() and _receipt_path(folder, item).is_file()


def _require_space(folder: Path, items: Sequence[Item], keep_archives: bool) -> None:
    archives = [_still_to_come(folder, item) for item in items]
    extracted = sum(round((item.size_bytes or 0) * item.growth) for item in items if item.is_archive)
    what = ", ".join(item.name for item in items)
    require_space(folder, what, sum(archives) if keep_archives else max(archives, default=0), extracted)


def _still_to_come(folder: Path, item: Item) -> int:
    present = (folder / f"{item.file}{ending}" for ending in ("", ".partial"))
    return max((item.size_bytes or 0) - sum(path.stat().st_size for path in present if path.exists()), 0)


def _require_known(name: str, names: Sequence[str], seen: str) -> None:
    """Raise ConfigError unless `name` is one of `names`."""
    if name not in names:
        near = difflib.get_close_matches(name.lower(), names, n=3, cutoff=0.5)
        remedy = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ConfigError(seen, f"one of {', '.join(names)}", remedy)


def _items(name: str, corpus: Corpus, subsets: Sequence[str]) -> list[Item]:
    """The items that were asked for and those that always come, in the catalogue's order."""
    names = [item.name for item in corpus.items]
    for subset in subsets:
        _require_known(subset, names, f"{name} has no subset '{subset}'")
    if not subsets and not corpus.whole:
        sizes = ", ".join(f"{item.name} ({_size(item)})" for item in corpus.items)
        raise ConfigError(f"{name} is large: say which parts", f"--subset and one or more of {sizes}")
    return [item for item in corpus.items if not subsets or item.name in subsets or item.name in corpus.always]


def _size(item: Item) -> str:
    return readable_bytes(item.size_bytes) if item.size_bytes else "a few MB"


def _address(mirror: str) -> str:
    if not mirror.startswith(("http://", "https://")):
        raise ConfigError(f"mirror '{mirror}' is no address of a server", expected="http://… or https://…")
    return mirror.rstrip("/")
