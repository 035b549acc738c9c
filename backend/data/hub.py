"""Fetches the data files of a dataset on the Hugging Face hub, after their size is known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

import huggingface_hub
from huggingface_hub import errors

from backend.atomic import new_folder, size_of
from backend.data.readers import SUFFIXES
from backend.errors import DataError

PREFIX: Final = "hub:"
_NAME: Final = r"[A-Za-z0-9][\w.-]{0,95}"
# owner/name, and perhaps a folder or file in it.
_DATASET: Final = re.compile(rf"({_NAME}/{_NAME})(?:/(.+))?", re.ASCII)
# The error of the library that huggingface_hub asks through, which is another in other versions.
_HTTP_ERROR: Final[type[Exception]] = errors.HfHubHTTPError.__bases__[0]
_REMEDY: Final = "write it as hub:owner/name, as its page on huggingface.co has it"


@contextmanager
def fetched(path: Path, max_mib: int) -> Iterator[Path]:
    """``path`` itself, or for ``hub:owner/name`` a folder with its data files, gone afterwards.

    Raises DataError where there is no such dataset, none that can be read, or no network.
    """
    given = str(path)
    if not given.startswith(PREFIX):
        if not path.exists() and _DATASET.fullmatch(given) and not path.suffix:
            raise DataError(
                "there is no such file or folder",
                where=given,
                remedy=f"check the path; a dataset of the hub is written as hub:{given}",
            )
        yield path
        return
    name, within = _named(given)
    with TemporaryDirectory(prefix="sdlab-hub-") as place:
        folder = Path(place, _folder_name(name))
        _fetch(name, within, folder, max_mib)
        yield folder


def fetch_into(
    given: str,
    place: Path,
    max_mib: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Fetches a dataset to where :func:`fetched_before` finds it, whole or not at all.

    ``told`` hears how many files are there of how many, and may raise to end it. Raises DataError
    as :func:`fetched` does.
    """
    name, within = _named(given)
    folder = _kept_at(given, place)
    with new_folder(folder.parent, replace=True) as partial:
        _fetch(name, within, partial / folder.name, max_mib, told)


def fetched_before(given: str, place: Path) -> Path | None:
    """The folder of a dataset that :func:`fetch_into` fetched. Raises DataError for no name."""
    folder = _kept_at(given, place)
    return folder if folder.is_dir() and size_of(folder) else None


def _named(given: str) -> tuple[str, str]:
    """The dataset, and what of it is wanted. Raises DataError."""
    found = _DATASET.fullmatch(given.removeprefix(PREFIX))
    if found is None:
        raise DataError("this is no dataset's name", where=given[:200], remedy=_REMEDY)
    return found[1], found[2] or ""


def _folder_name(name: str) -> str:
    return name.replace("/", "--")


def _kept_at(given: str, place: Path) -> Path:
    """No name from outside is a path: the folder around it goes by a checksum."""
    name, within = _named(given)
    digest = hashlib.sha256(f"{name}/{within}".encode()).hexdigest()
    return place / digest[:32] / _folder_name(name)


def _fetch(
    name: str,
    within: str,
    folder: Path,
    max_mib: int,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    where = f"{PREFIX}{name}"
    try:
        info = huggingface_hub.HfApi().dataset_info(name, files_metadata=True)
        files = {each.rfilename: each.size or 0 for each in info.siblings or () if each.rfilename}
        wanted = _wanted(files, within)
        if not wanted:
            raise DataError(
                "it has no data files that the lab can read"
                + (f' below "{within[:80]}"' if within else ""),
                where=where,
                remedy="choose one with JSONL, JSON, CSV, Parquet or Arrow files",
            )
        size = sum(files[each] for each in wanted)
        if size > max_mib << 20:
            raise DataError(
                f"it has {size / (1 << 20):,.1f} MiB, the limit is {max_mib:,} MiB",
                where=where,
                remedy=f"name one of its files, as in {where}/{wanted[0]}, or raise "
                "SDLAB_MAX_UPLOAD_MIB",
            )
        for done, each in enumerate(wanted):
            told(done, len(wanted))
            huggingface_hub.hf_hub_download(
                name, each, repo_type="dataset", revision=info.sha, local_dir=folder
            )
    except errors.GatedRepoError as error:
        raise DataError(
            "its owner lets only some people read it",
            where=where,
            remedy="ask for access on its page, and log in with: hf auth login",
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DataError("there is no such dataset", where=where, remedy=_REMEDY) from error
    except errors.HFValidationError as error:
        raise DataError("this is no dataset's name", where=where, remedy=_REMEDY) from error
    except (_HTTP_ERROR, OSError, ValueError, errors.HfHubHTTPError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"it cannot be fetched ({reason[:200]})",
            where=where,
            remedy="check the network, or give a file or folder on this disk",
        ) from error


def _wanted(files: dict[str, int], within: str) -> list[str]:
    """The files to fetch: tables rather than texts, of which a repository's README is one."""
    below = within.strip("/")
    found = [
        name
        for name in sorted(files)
        if PurePosixPath(name).suffix.lower() in SUFFIXES
        and (not below or name == below or name.startswith(f"{below}/"))
        and not any(part.startswith(".") for part in PurePosixPath(name).parts)
    ]
    tables = [name for name in found if SUFFIXES[PurePosixPath(name).suffix.lower()] != "text"]
    return tables or ([] if not below else found)
