"""Reads a repository with python-tuf; see validate-python-tuf beside this file."""

import pathlib
import sys
import tempfile

from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.ngclient import FetcherInterface, Updater

PIECE = 1 << 20


class Folder(FetcherInterface):
    """Fetches from a folder; what is not there is what a server would answer 404 for."""

    def _fetch(self, url):
        try:
            file = open(url.removeprefix("file://"), "rb")
        except FileNotFoundError:
            raise DownloadHTTPError(f"there is no {url}", 404) from None
        with file:
            while piece := file.read(PIECE):
                yield piece


def main():
    repository, variant, arch, root = sys.argv[1:]
    repository = pathlib.Path(repository).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        metadata, targets = folder / "metadata", folder / "targets"
        metadata.mkdir()
        targets.mkdir()
        updater = Updater(
            metadata_dir=str(metadata),
            metadata_base_url=f"file://{repository}/{variant}/{arch}/",
            target_dir=str(targets),
            target_base_url=f"file://{repository}/targets/",
            fetcher=Folder(),
            bootstrap=pathlib.Path(root).read_bytes(),
        )
        updater.refresh()
        # The metadata that were just checked, as they were kept.
        signed = Metadata[Targets].from_file(str(metadata / "targets.json")).signed
        for name in sorted(signed.targets):
            info = updater.get_targetinfo(name)
            path = pathlib.Path(updater.download_target(info))
            path.unlink()
        print(f"{repository}: {len(signed.targets)} targets of {variant} {arch} are as signed, says python-tuf")


try:
    main()
except RepositoryError as error:
    print(f"python-tuf does not accept the repository: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1)
