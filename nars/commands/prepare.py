"""What `prepare_data.py` does: image files into a prepared folder, and what was found on the way."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from nars.data import open_data
from nars.data.files import ImageFiles, flat
from nars.data.imagenet200 import Split, write_split
from nars.data.prepared import Manifest
from nars.data.shards import UNREADABLE, ShardJob, ShardResult, make_shards, shard_jobs, write_manifest
from nars.data.walk import extension, kinds
from nars.errors import UserError
from nars.machine import cores
from nars.reporting.screen.progress import ProgressDisplay
from nars.reporting.screen.terminal import print_passed_over
from nars.settings import PrepareSettings
from nars.shell import override

SHOWN = 5


def prepare_data(settings: PrepareSettings, console: Console) -> Path:
    """Makes what of the prepared folder is not there yet; returns the folder."""
    output = Path(settings.output)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"output: {output} cannot be made ({error.strerror}); choose another place") from None
    split_file = output / "split.json"
    data = open_data(settings.data, split_file=split_file)
    _say_found(data, console)
    if settings.data.name == "folder" and settings.data.val_root is None:
        write_split(split_file, _split(data, seed=settings.data.seed))
    jobs = shard_jobs(data, output, short_side=settings.short_side, quality=settings.quality)
    results = _make(jobs, settings.workers or cores(), ProgressDisplay(console))
    _name_unreadable(results, output, console)
    manifest = write_manifest(
        output,
        results,
        source=settings.data.name,
        classes=data.class_names,
        short_side=settings.short_side,
        quality=settings.quality,
    )
    _summarise(manifest, output, console)
    return output


def _say_found(data: ImageFiles, console: Console) -> None:
    found = Counter(extension(name) for _, names in data.files.values() for name in flat(names)[0])
    console.print(f"found {found.total():,} images ({kinds(found)})", soft_wrap=True)
    print_passed_over(console, data.passed_over)


def _split(data: ImageFiles, *, seed: int) -> Split:
    _, val = data.files["val"]
    val = {name: tuple(names) for name, names in val.items()}
    return Split(num_classes=data.num_classes, val_images=data.val_size, seed=seed, val=val)


def _make(jobs: list[ShardJob], workers: int, progress: ProgressDisplay) -> list[ShardResult]:
    sizes = {job.path: len(job.names) for job in jobs}
    results, done = [], 0
    progress.start(f"preparing {sum(sizes.values()):,} images", total=sum(sizes.values()))
    try:
        for result in make_shards(jobs, workers=min(workers, len(jobs))):
            results.append(result)
            done += sizes[result.path]
            unreadable = sum(len(result.unreadable) for result in results)
            progress.update(done, f"{unreadable} unreadable" if unreadable else "")
    finally:
        progress.stop()
    return results


def _name_unreadable(results: list[ShardResult], output: Path, console: Console) -> None:
    """Shows the first unreadable files, and writes all of them to a file."""
    reasons = sorted(reason for result in results for reason in result.unreadable)
    if not reasons:
        (output / UNREADABLE).unlink(missing_ok=True)
        return
    (output / UNREADABLE).write_text("".join(f"{reason}\n" for reason in reasons), errors="backslashreplace")
    console.print(f"left out {len(reasons)} unreadable images, all in {output / UNREADABLE}:", soft_wrap=True)
    for reason in reasons[:SHOWN]:
        console.print(f"  {reason}", soft_wrap=True)
    console.print("mend them and run the same command again, or go on without them")


def _summarise(manifest: Manifest, output: Path, console: Console) -> None:
    for part, counts in (("to train", manifest.train), ("to validate", manifest.val)):
        least, most = min(counts.values()), max(counts.values())
        console.print(
            f"{sum(counts.values()):,} images {part}, {least:,} to {most:,} for each of {len(counts)} classes"
        )
    size = sum((output / shard.file).stat().st_size for shards in manifest.shards.values() for shard in shards)
    console.print(
        f"written: {output}, {size / 1e9:.2f} GB; use it with: data=prepared {override('data.root', output)}",
        soft_wrap=True,
    )
