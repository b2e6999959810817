"""`RawFiles`: the published files on local disk, `<folder>/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz`.

Beside each file is a record, a JSON file, with the facts that validation found and the file's size and time at that
moment. A file without a matching record counts as missing and is downloaded again. Writers hold the month's lock,
which the operating system releases when a process dies.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from logging import Logger
from pathlib import Path

import dagster as dg
from pydantic import Field

from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.errors import NotPublished, SourceUnavailable, TransientError, ends_when_stopped
from taxi_platform.settings import Settings
from taxi_platform.source.csv_validation import VALIDATION_VERSION
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth

_FACTS = ("url", "sha256", "size", "rows", "uncompressed_size", "etag", "last_modified", "published_size")


class RawFiles(dg.ConfigurableIOManager):
    """Local store of the published files, and the IO manager that passes them to the next asset as `RawFile`.

    The body of `raw_csv` calls `fetch`. So does an asset whose input is not on this machine, as in a new pod.
    """

    mirror: dg.ResourceDependency[Mirror]
    folder: str | None = Field(default=None, description="Folder of the files; by default `raw` in the data directory.")

    @cached_property
    def _folder(self) -> Path:
        return (Path(self.folder) if self.folder else Settings().data_directory / "raw").absolute()

    def path(self, month: TripMonth) -> Path:
        """Return the path that a month's file has or would have."""
        return self._folder / month.colour.name / month.gz_name

    def find(self, month: TripMonth) -> RawFile | None:
        """Return the file on disk if it matches its record, else None, without a request to the mirror."""
        file = self._read_record(month)
        if file is None and self.path(month).exists():
            # Another process may have moved a new file into place and not written its record yet.
            with self._lock(month):
                file = self._read_record(month)
        return file

    def fetch(self, month: TripMonth, log: Logger, *, refresh: bool = False) -> tuple[RawFile, bool]:
        """Return the month's file as it is published now, and whether the file on disk was reused.

        It is downloaded if it is missing, if the mirror does not declare it unchanged, or if `refresh` is set. A
        failed download leaves the file on disk unchanged. Raise the errors of `Mirror.download`.
        """
        with ends_when_stopped(), self._lock(month, log):
            file = self._read_record(month)
            if file and not refresh and not file.lacks_known_columns and self.mirror.is_unchanged(file, log):
                return file, True
            return self._download(month, log), False

    def remove(self, month: TripMonth) -> int:
        """Delete the month's file and its record, and return the number of bytes freed."""
        with self._lock(month):
            found = [
                path for path in (self._record_path(month), self.path(month), *self._parts(month)) if path.exists()
            ]
            freed = sum(path.stat().st_size for path in found)
            for path in found:
                path.unlink()
        return freed

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        """Verify before the materialization is recorded that the file is still on disk."""
        if self.find(obj.month) is None:
            raise TransientError(f"{obj.path} was removed or changed after its download.")

    def load_input(self, context: dg.InputContext) -> RawFile:
        """Return the file as it is published now, whether or not `raw_csv` is part of the run.

        If the mirror does not respond, or no longer has the month, the file on disk is used.
        """
        month = TripMonth.from_key(context.asset_partition_key)
        try:
            file, reused = self.fetch(month, context.log)
        except (SourceUnavailable, NotPublished) as error:
            file = self.find(month)
            if file is None:
                raise
            context.log.warning(f"{error.what} The file on disk is used: {file.path}")
            return file
        if not reused:
            context.log.info(f"downloaded {file.path}, which was missing on this machine or not the published version")
        return file

    def _download(self, month: TripMonth, log: Logger) -> RawFile:
        path = self.path(month)
        for leftover in self._parts(month):
            log.info("removing %s of a process that was killed", leftover)
            leftover.unlink(missing_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb", buffering=0) as stream:
                downloaded = self.mirror.download(month, stream, log)
                os.fsync(stream.fileno())
            facts, version = downloaded.facts, downloaded.version
            file = RawFile(
                month=month,
                path=path,
                url=self.mirror.url(month),
                sha256=facts.sha256,
                size=facts.size,
                rows=facts.rows,
                uncompressed_size=facts.uncompressed_size,
                header=facts.header,
                etag=version.etag,
                last_modified=version.last_modified,
                published_size=version.size,
                left_out=downloaded.left_out,
            )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._write_record(file)
        return file

    def _parts(self, month: TripMonth) -> list[Path]:
        """Return the month's incomplete downloads."""
        path = self.path(month)
        return list(path.parent.glob(f".{path.name}.*.part"))

    def _write_record(self, file: RawFile) -> None:
        record = {name: getattr(file, name) for name in _FACTS}
        record |= {
            "header": file.header,
            "left_out": file.left_out,
            "mtime_ns": file.path.stat().st_mtime_ns,
            "check_version": VALIDATION_VERSION,
        }
        write_whole(self._record_path(file.month), json.dumps(record, indent=1) + "\n")

    def _read_record(self, month: TripMonth) -> RawFile | None:
        """Return the file that the month's record describes, None if the file on disk is another one."""
        path = self.path(month)
        try:
            stat = path.stat()
            record = json.loads(self._record_path(month).read_text(encoding="utf-8"))
            recorded = (record["size"], record["mtime_ns"], record["check_version"])
            if recorded != (stat.st_size, stat.st_mtime_ns, VALIDATION_VERSION):
                return None
            return RawFile(
                month=month,
                path=path,
                header=tuple(record["header"]),
                left_out=tuple(record["left_out"]),
                **{name: record[name] for name in _FACTS},
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _record_path(self, month: TripMonth) -> Path:
        path = self.path(month)
        return path.with_name(f"{path.name}.json")

    @contextmanager
    def _lock(self, month: TripMonth, log: Logger | None = None) -> Iterator[None]:
        path = self.path(month)
        make_folder(path.parent)
        with path.with_name(f".{path.name}.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if log:
                    log.info("waiting for another run that is downloading %s", path.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
