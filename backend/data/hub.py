"""Fetches the data files of a dataset on the Hugging Face hub, after their size is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

import huggingface_hub
from huggingface_hub import errors

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
    found = _DATASET.fullmatch(given.removeprefix(PREFIX))
    if found is None:
        raise DataError("this is no dataset's name", where=given[:200], remedy=_REMEDY)
    with TemporaryDirectory(prefix="sdlab-hub-") as place:
        folder = Path(place, found[1].replace("/", "--"))
        _fetch(found[1], found[2] or "", folder, max_mib)
        yield folder


def _fetch(name: str, within: str, folder: Path, max_mib: int) -> None:
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
        for each in wanted:
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
