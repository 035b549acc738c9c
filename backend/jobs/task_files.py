"""The files that tasks are made from, as the lab keeps them: under their checksums."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from backend.atomic import file_sha256, folder_sha256, new_file
from backend.settings import Settings
from storage.models import Artifact


@contextmanager
def kept_uploads(settings: Settings, paths: Sequence[Path]) -> Iterator[list[Artifact]]:
    """The files under the lab's own names for them; a folder becomes a zip.

    Those that were not there before are removed again after an error.
    """
    made: list[Path] = []
    try:
        yield [_keep(settings, path, made) for path in paths]
    except BaseException:
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _keep(settings: Settings, path: Path, made: list[Path]) -> Artifact:
    is_folder = path.is_dir()
    digest = folder_sha256(path) if is_folder else file_sha256(path)
    suffix = ".zip" if is_folder else path.suffix.lower()
    kept = settings.home / "uploads" / f"{digest}{suffix}"
    if not kept.exists():
        with new_file(kept) as partial:
            if is_folder:
                _pack(path, partial)
            else:
                shutil.copyfile(path, partial)
        made.append(kept)
    return Artifact(
        kind="upload",
        path=kept.relative_to(settings.home).as_posix(),
        sha256=file_sha256(kept) if is_folder else digest,
        bytes=kept.stat().st_size,
    )


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
