"""The one door for sound: bytes of a file in, float32 samples in one channel out, at the rate that is asked for."""

import wave
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from horngate.pipelines.spec.errors import Unreadable, needed
from horngate.pipelines.speech.audio.knobs import HIGHEST, LOWEST

SUFFIXES = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".snd")
CONTAINERS = {".wav": "WAV", ".wave": "WAV", ".flac": "FLAC", ".ogg": "OGG", ".oga": "OGG", ".opus": "OGG"}
CONTAINERS |= {".mp3": "MP3", ".aif": "AIFF", ".aiff": "AIFF", ".au": "AU", ".snd": "AU"}
ALIKE = {"WAVEX": "WAV", "RF64": "WAV", "W64": "WAV", "MPEG": "MP3"}
MOST_CHANNELS = 64
UNTOLD = 0x7FFFFFFF  # a length in a WAV header from which on it means that nobody knew it yet
CANCELLED = 0.01  # share of the channels' mean energy under which their mean says that they cancel each other


@dataclass(frozen=True)
class Sound:
    """One recording.

    Attributes:
        samples: float32 `[n]`, one channel, full scale at 1.
        rate: samples per second.
        channels: of the file.
        kind: container and coding, such as `WAV PCM_16`.
        converted: what was read as something else, in words.
        whole: whether the file holds whole numbers, which clip at full scale.
    """

    samples: np.ndarray
    rate: int
    channels: int
    kind: str
    converted: tuple[str, ...]
    whole: bool

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


def sound_of(data: bytes, longest: float, suffix: str = "", advice: str = "") -> Sound:
    """Return the recording in the bytes of a WAV, FLAC, OGG, MP3, AIFF or AU file.

    Args:
        longest: seconds; what is longer is refused before it is decoded.
        suffix: that of the file, if it has one, to be compared with the content.
        advice: what to do with a recording that is too long.

    Raises:
        Unreadable: no sound, no samples, truncated, too long, a rate that can't be true, NaN or infinite samples.
        UserError: soundfile isn't installed.
    """
    plain = _plain(data)
    if plain is not None:
        whole, rate = plain
        _refuse(rate, *whole.shape, longest, advice)
        values = whole * np.float32(1 / 32768)
        channels, kind, coding, container = values.shape[1], "WAV PCM_16", "PCM_16", "WAV"
    else:
        with _opened(data) as opened:
            rate, frames, channels = opened.samplerate, opened.frames, opened.channels
            _refuse(rate, frames, channels, longest, advice)
            _refuse_truncated(data, opened.format)
            values = _decoded(opened, frames)
            kind, coding, container = f"{opened.format} {opened.subtype}", opened.subtype, opened.format
    if not len(values):
        raise Unreadable("no samples: a header and nothing behind it")
    if not np.isfinite(values).all():
        raise Unreadable("its samples hold NaN or infinity")
    samples, converted = _mixed(values)
    if coding != "PCM_16":
        converted += (
            coding.replace("PCM_", "").lower() + (" bit" if coding[-1].isdigit() and "PCM" in coding else ""),
        )
    promised = CONTAINERS.get(suffix)
    if promised is not None and promised != ALIKE.get(container, container):
        converted += ("a suffix that disagrees with the content",)
    return Sound(samples, rate, channels, kind, converted, "PCM" in coding)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Return float32 samples at another rate, by soxr, whose low-pass leaves nothing above half of the lower rate."""
    if rate == wanted:
        return samples
    return _soxr().resample(samples, rate, wanted, "HQ").astype(np.float32, copy=False)


def flowing(rate: int, wanted: int) -> Any:
    """Return what brings a stream of float32 samples to another rate: `resample_chunk(samples, last=…)`.

    Raises:
        UserError: soxr isn't installed.
    """
    return _soxr().ResampleStream(rate, wanted, 1, "float32", "HQ")


def written(samples: np.ndarray, rate: int) -> bytes:
    """Return a WAV file of 16 bits with these samples, float `[n]` within ±1."""
    out = BytesIO()
    _soundfile().write(out, np.clip(samples, -1, 1), rate, "PCM_16", format="WAV")
    return out.getvalue()


def stored(values: np.ndarray, rate: int) -> bytes:
    """Return a WAV file with samples `[n]` or `[n, channels]` as they are: floats, or whole numbers of 16 or 32 bits."""
    out = BytesIO()
    if values.dtype.kind == "f":
        values, coding = values.astype(np.float32), "FLOAT"
    else:
        span = np.iinfo(np.int16)
        small = not len(values) or (values.min() >= span.min and values.max() <= span.max)
        values, coding = (values.astype(np.int16), "PCM_16") if small else (values.astype(np.int32), "PCM_32")
    _soundfile().write(out, values, rate, coding, format="WAV")
    return out.getvalue()


def _plain(data: bytes) -> tuple[np.ndarray, int] | None:
    """Return the samples int16 `[frames, channels]` and the rate of a whole WAV file of 16-bit samples; None of any other.

    The most common files are read by the standard library, in a fraction of the time that libsndfile's callbacks take.
    """
    if data[:4] != b"RIFF":
        return None
    try:
        with wave.open(BytesIO(data)) as opened:
            rate, channels, frames = opened.getframerate(), opened.getnchannels(), opened.getnframes()
            whole = opened.readframes(frames) if opened.getsampwidth() == 2 else b""
    except (wave.Error, EOFError):
        return None
    if not frames or len(whole) != 2 * channels * frames:
        return None
    return np.frombuffer(whole, "<i2").reshape(frames, channels), rate


def _opened(data: bytes) -> Any:
    soundfile = _soundfile()
    try:
        return soundfile.SoundFile(BytesIO(data))
    except Exception:  # libsndfile says what it likes
        raise Unreadable(f"no sound: it begins with {data[:12]!r}") from None


def _refuse(rate: int, frames: int, channels: int, longest: float, advice: str) -> None:
    if not LOWEST <= rate <= HIGHEST:
        raise Unreadable(f"its header says {rate:,} samples per second, which can't be true")
    if channels > MOST_CHANNELS:
        raise Unreadable(f"{channels} channels; at most {MOST_CHANNELS} are mixed")
    if frames / rate > longest:
        raise Unreadable(f"too long: {frames / rate:,.0f} seconds; at most {longest:g} are taken{advice}")


def _refuse_truncated(data: bytes, container: str) -> None:
    """Refuse a WAV file whose header promises more samples than there are; one that was written to a pipe promises any."""
    if data[:4] != b"RIFF" or ALIKE.get(container, container) != "WAV":
        return
    place = 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"data":
            if len(data) - place - 8 < size < UNTOLD:
                raise Unreadable(f"truncated: {len(data) - place - 8:,} bytes of samples, its header says {size:,}")
            return
        place += 8 + size + size % 2


def _decoded(opened: Any, frames: int) -> np.ndarray:
    """Return float32 `[frames, channels]`."""
    values = _read(opened, -1)
    if len(values) < frames:
        raise Unreadable(f"truncated: {len(values):,} samples, its header says {frames:,}")
    return values


def _read(opened: Any, frames: int) -> np.ndarray:
    """Return the next float32 `[frames, channels]`, all of them where `frames` is -1."""
    try:
        return opened.read(frames, dtype="float32", always_2d=True)
    except Exception as problem:  # libsndfile says what it likes
        raise Unreadable(f"damaged or truncated sound ({' '.join(str(problem).split())[:80]})") from None


def _mixed(values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the mean of all channels, or the loudest one where they cancel each other, and what was done in words."""
    count = values.shape[1]
    if count == 1:
        return np.ascontiguousarray(values[:, 0]), ()
    mean = values.mean(1)
    energies = np.square(values, dtype=np.float64).mean(0)
    if np.square(mean, dtype=np.float64).mean() < CANCELLED * energies.max():
        return np.ascontiguousarray(values[:, energies.argmax()]), (f"{count} channels that cancel: the loudest",)
    return mean, (f"{count} channels",)


def _soundfile() -> Any:
    return needed("soundfile", "reading sound", "speech")


def _soxr() -> Any:
    return needed("soxr", "changing the rate of sound", "speech")


def chunks_of(path: Path, seconds: float = 5.0) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (mean of all channels float32 `[n]`, rate) of a file of any length, some seconds at a time.

    Raises:
        Unreadable: no sound, no samples, damaged, a rate that can't be true, NaN or infinite samples.
    """
    soundfile, read = _soundfile(), 0
    try:
        opened = soundfile.SoundFile(path)
    except Exception:  # libsndfile says what it likes
        raise Unreadable("no sound") from None
    with opened:
        rate, step = opened.samplerate, int(seconds * opened.samplerate)
        _refuse(rate, 0, opened.channels, 0.0, "")
        while len(values := _read(opened, step)):
            read += len(values)
            if not np.isfinite(values).all():
                raise Unreadable(f"its samples hold NaN or infinity after {read / rate:.0f} seconds")
            yield np.ascontiguousarray(values.mean(1, dtype=np.float32)), rate
    if not read:
        raise Unreadable("no samples: a header and nothing behind it")
