"""Published files on local disk: `<folder>/<colour>/<colour>_tripdata_<YYYY-MM>.csv.gz`, each with a record beside it.

The record, a JSON file, says what the check found and of which size and time the file was then. A file without a
record that fits it counts as not there: whoever needs it fetches it again. Everything that writes holds the month's
lock, which the system releases when a process dies.

Not here: how a file is fetched (`resources.mirror`) and checked (`file_check`).
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from logging import Logger
from pathlib import Path

import dagster as dg

from taxi_platform.data_directory import make_folder, write_whole
from taxi_platform.errors import NotPublished, SourceUnavailable, TransientError, ends_when_stopped
from taxi_platform.settings import Settings
from taxi_platform.source.csv_validation import CHECK_VERSION
from taxi_platform.source.mirror import Mirror
from taxi_platform.source.raw_file import RawFile
from taxi_platform.trips.partitions import TripMonth

_FACTS = ("url", "sha256", "size", "rows", "uncompressed_size", "etag", "last_modified", "published_size")


class RawFiles(dg.ConfigurableIOManager):
    """Keeps the files, and hands them to the next asset as `RawFile`s.

    The asset's body asks for its file with `bring`, so that one place fetches, whether the asset is materialized or
    an input is not there, as in a pod that starts with an empty disk.
    """

    mirror: dg.ResourceDependency[Mirror]
    folder: str | None = None
    """None: `raw` in TAXI_HOME."""

    def path(self, month: TripMonth) -> Path:
        """Where a month's file lies or would lie."""
        folder = Path(self.folder) if self.folder else Settings().home_folder / "raw"
        return folder.absolute() / month.colour.name / month.gz_name

    def find(self, month: TripMonth) -> RawFile | None:
        """The file that is on disk and fits its record, else None. Does not ask the mirror."""
        file = self._recorded(month)
        if file is None and self.path(month).exists():
            # Somebody may be between putting a new file in place and writing its record.
            with self._lock(month):
                file = self._recorded(month)
        return file

    def bring(self, month: TripMonth, log: Logger, *, refresh: bool = False) -> tuple[RawFile, bool]:
        """The month's file as the mirror publishes it now, and whether it was on disk already.

        It is fetched when it is not there, when the mirror does not say that it is unchanged, or when `refresh` is
        set. A fetch that fails leaves what was there as it was. Raises what `Mirror.download` raises.
        """
        with ends_when_stopped(), self._lock(month, log):
            file = self._recorded(month)
            if file and not refresh and not file.lacks_known_columns and self.mirror.still_has(file, log):
                return file, True
            return self._fetch(month, log), False

    def remove(self, month: TripMonth) -> int:
        """Take the month's file and its record off the disk; the bytes that this frees."""
        with self._lock(month):
            path = self.path(month)
            leftovers = path.parent.glob(f".{path.name}.*.part")
            found = [each for each in (self._record_path(month), path, *leftovers) if each.exists()]
            freed = sum(each.stat().st_size for each in found)
            for each in found:
                each.unlink()
        return freed

    def handle_output(self, context: dg.OutputContext, obj: RawFile) -> None:
        """Look before the materialization is recorded: the file is in its place already."""
        if self.find(obj.month) is None:
            raise TransientError(
                f"{obj.path} was fetched and is no longer there, or somebody changed it.",
                "A rerun helps: it fetches the file again.",
            )

    def load_input(self, context: dg.InputContext) -> RawFile:
        """The file as it is published now, also where `raw_csv` is not part of the run.

        Where the mirror cannot say, or has another version that cannot be fetched now, the file on disk serves.
        """
        month = TripMonth.from_key(context.asset_partition_key)
        try:
            file, was_here = self.bring(month, context.log)
        except (SourceUnavailable, NotPublished) as error:
            file = self.find(month)
            if file is None:
                raise
            context.log.warning(f"{error.what} The file on disk is used: {file.path}")
            return file
        if not was_here:
            context.log.info(f"fetched {file.path}, which was not on this machine or not what is published now")
        return file

    def _fetch(self, month: TripMonth, log: Logger) -> RawFile:
        path = self.path(month)
        for leftover in path.parent.glob(f".{path.name}.*.part"):
            log.info("removing %s, which a killed process left", leftover)
            leftover.unlink(missing_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb", buffering=0) as stream:
                fetched = self.mirror.download(month, stream, log)
                os.fsync(stream.fileno())
            checked, version = fetched.checked, fetched.version
            file = RawFile(
                month=month,
                path=path,
                url=self.mirror.url(month),
                sha256=checked.sha256,
                size=checked.size,
                rows=checked.rows,
                uncompressed_size=checked.uncompressed_size,
                header=checked.header,
                etag=version.etag,
                last_modified=version.last_modified,
                published_size=version.size,
                left_out=fetched.left_out,
            )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        self._record(file)
        return file

    def _record(self, file: RawFile) -> None:
        facts = {name: getattr(file, name) for name in _FACTS}
        facts |= {
            "header": file.header,
            "left_out": file.left_out,
            "mtime_ns": file.path.stat().st_mtime_ns,
            "check_version": CHECK_VERSION,
        }
        write_whole(self._record_path(file.month), json.dumps(facts, indent=1) + "\n")

    def _recorded(self, month: TripMonth) -> RawFile | None:
        path = self.path(month)
        try:
            stat = path.stat()
            facts = json.loads(self._record_path(month).read_text(encoding="utf-8"))
            if (facts["size"], facts["mtime_ns"], facts["check_version"]) != (
                stat.st_size,
                stat.st_mtime_ns,
                CHECK_VERSION,
            ):
                return None
            return RawFile(
                month=month,
                path=path,
                header=tuple(facts["header"]),
                left_out=tuple(facts["left_out"]),
                **{name: facts[name] for name in _FACTS},
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
                    log.info("waiting for another run that is fetching %s", path.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
