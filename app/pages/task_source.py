"""The file that the upload form is about: one that was sent here, or a dataset fetched before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from gradio.utils import get_upload_folder

from app.uploads import UPLOADS
from backend.errors import DataError
from backend.lab import Lab

_PAGE: Final = "https://huggingface.co/datasets/"
_FETCHED: Final = "hub"


def uploaded(given: Any, where: str = "file") -> Path:
    """The file that a browser sent here. Raises DataError for any other place on this disk."""
    if not given:
        remedy = "choose one, or load the sample" if where == "file" else "choose one"
        raise DataError("no file is chosen", where=where, remedy=remedy)
    folder = Path(get_upload_folder()).resolve()
    try:
        path = Path(str(given)).resolve()
        is_ours = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:
        raise DataError(
            "this file was not uploaded here, or is gone since",
            where=where,
            remedy="choose it again",
        )
    return path


def source(lab: Lab, file: Any, hub: Any) -> Path:
    """The uploaded file, or else the dataset of the hub. Raises DataError where there is none."""
    name = hub_name(hub)
    if file or not name:
        return uploaded(file)
    try:
        found = lab.views.fetched_dataset(name, fetched_place(lab))
    except DataError as error:
        raise at_hub(error) from error
    if found is None:
        raise DataError("it is not fetched yet", where="hub", remedy='click "Fetch" first')
    return found


def hub_name(given: Any) -> str:
    """``owner/name``, also where it was given as its page's address."""
    text = str(given or "").strip()
    return text.removeprefix(_PAGE).removeprefix("hub:").rstrip("/")


def fetched_place(lab: Lab) -> Path:
    """Where datasets are until a task is made of them; among uploads, whose end they share."""
    return lab.settings.home / UPLOADS / _FETCHED


def at_hub(error: DataError) -> DataError:
    """The error, beside the field of datasets."""
    where = f"{error.where}: " if error.where else ""
    return DataError(f"{where}{error.message}", where="hub", remedy=error.remedy)
