"""Audio of every form is read whole and as it sounds, or refused with a reason."""

import os
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wavenet.audio.files import decode, encode_mp3, encode_wav, to_float, to_int16
from wavenet.audio.headers import read_header
from wavenet.errors import RecordingError, StorageError

RATE = 16_000


def tone(seconds=3.0, rate=RATE, hz=440.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def ffmpeg(*arguments):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error", *map(os.fspath, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def error_of(samples, expected):
    """Largest difference, in parts of full scale, away from the ends, where filters see an edge."""
    inner = slice(500, min(samples.size, expected.size) - 500)
    return np.abs(to_float(samples)[inner] - expected[inner]).max()


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(30, 44_100), 44_100)
    return path


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_every_sample_rate_gives_the_same_sound(tmp_path, rate):
    """A tone below all half rates is the same tone at 16 kHz, as long as before."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(rate=rate), rate)
    samples = decode(path)
    assert samples.dtype == np.int16
    assert samples.size == 3 * RATE
    assert error_of(samples, tone()) < 2e-3


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_sample_format_gives_the_same_sound(tmp_path, subtype):
    """8, 16, 24 and 32 bits and both kinds of float."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(), RATE, subtype=subtype)
    assert error_of(decode(path), tone()) < (1e-2 if subtype == "PCM_U8" else 1e-4)


@pytest.mark.parametrize(
    "suffix", [".flac", ".ogg", ".mp3", ".aiff", ".au", ".caf", ".m4a", ".wma", ".mka", ".wv", ".opus"]
)
def test_every_format_gives_the_same_sound(tmp_path, wav, suffix):
    """What libsndfile reads, and what only ffmpeg reads."""
    path = tmp_path / f"tone{suffix}"
    ffmpeg("-i", wav, path)
    samples = to_float(decode(path, stop_seconds=20))
    assert samples.size == 20 * RATE
    assert np.abs(np.fft.rfft(samples)).argmax() / 20 == 440
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)


@pytest.mark.parametrize("num_channels", [1, 2, 6])
def test_mono_is_the_mean_of_the_channels(tmp_path, num_channels):
    """For one, two and six of them."""
    path = tmp_path / "many.wav"
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, num_channels)).astype(np.float32)
    soundfile.write(path, channels, RATE, subtype="FLOAT")
    assert error_of(decode(path), channels.mean(axis=1)) < 1e-4


def test_float_audio_beyond_full_scale_saturates(tmp_path):
    """Nothing wraps to the other sign."""
    path = tmp_path / "loud.wav"
    loud = tone(amplitude=3.0)
    soundfile.write(path, loud, RATE, subtype="FLOAT")
    assert error_of(decode(path), np.clip(loud, -1, 32767 / 32768)) < 1e-4


@given(hnp.arrays(np.float32, st.integers(0, 50), elements=st.floats(-10, 10, width=32)))
def test_16_bit_samples_are_the_nearest_ones(samples):
    """Within half a unit inside the range, at its ends outside."""
    inside = np.clip(samples, -1, 32767 / 32768)
    assert np.all(np.abs(to_float(to_int16(samples)) - inside) <= 0.5 / 32768)


def test_the_beginning_of_a_recording_is_that_of_the_whole(wav):
    """Reading less gives the same samples, within one unit where the resampling filter rounds."""
    whole, beginning = decode(wav), decode(wav, stop_seconds=7.5)
    assert beginning.size == 7.5 * RATE
    assert np.abs(whole[: beginning.size].astype(int) - beginning).max() <= 1


@pytest.mark.parametrize("options", [["-q:a", "4"], ["-b:a", "64k"]], ids=["variable", "constant"])
def test_an_mp3_without_a_length_in_its_header_is_read_whole(tmp_path, options):
    """libsndfile alone stops after a third of a variable one, in silence."""
    quiet_then_loud = np.concatenate(
        [tone(15, 44_100, amplitude=1e-4), np.random.default_rng(0).normal(0, 0.2, 44_100 * 15)]
    )
    soundfile.write(tmp_path / "a.wav", quiet_then_loud, 44_100)
    path = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "a.wav", *options, "-write_xing", "0", path)
    assert read_header(path).seconds == pytest.approx(30, abs=0.1)
    assert decode(path).size == pytest.approx(30 * RATE, abs=0.1 * RATE)


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".wma"])
def test_half_a_file_is_refused(tmp_path, wav, suffix):
    """Also where the decoder itself reads on without a complaint."""
    path = tmp_path / f"tone{suffix}"
    if path != wav:
        ffmpeg("-i", wav, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RecordingError, match=r"tone\S+ is (cut short|not readable as audio)") as caught:
        decode(path)
    assert caught.value.reason in {"cut short", "not readable as audio"}


def test_a_file_cut_behind_the_part_that_is_asked_for_is_read(wav):
    """The first seconds are all there."""
    whole = wav.read_bytes()
    wav.write_bytes(whole[: len(whole) // 2])
    assert decode(wav, stop_seconds=10).size == 10 * RATE


def test_damage_is_not_announced_on_the_terminal(tmp_path, wav, capfd):
    """A truncated MP3 makes libsndfile's decoder write to the error output; it never gets the file."""
    path = tmp_path / "tone.mp3"
    ffmpeg("-i", wav, path)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(RecordingError):
        decode(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content", [b"", b"Just some text.\n" * 100, bytes(5000), b"ID3", b"\xff\xfb\x90\x00", b"RIFF"]
)
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".flac", ".ogg", ".m4a", ".wma"])
def test_what_is_no_audio_is_refused_whatever_its_name(tmp_path, suffix, content):
    """Empty files, text and fragments of headers."""
    path = tmp_path / f"text{suffix}"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"not readable as audio|holds no audio|cut short"):
        decode(path)


def test_stereo_that_cancels_out_is_refused(tmp_path):
    """Its mean would be silence, which is not how it sounds."""
    path = tmp_path / "cancel.wav"
    soundfile.write(path, np.stack([tone(), -tone()], axis=1), RATE)
    with pytest.raises(RecordingError, match="channels that cancel each other") as caught:
        decode(path)
    assert caught.value.reason == "channels that cancel each other"


def test_silence_is_read_as_silence(tmp_path):
    """Two silent channels do not cancel each other; whoever cuts clips decides."""
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros((RATE, 2)), RATE)
    assert not decode(path).any()


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    """One NaN would spread through the whole recording."""
    samples = tone()
    samples[100] = np.nan
    path = tmp_path / "nan.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with pytest.raises(RecordingError, match="not finite numbers"):
        decode(path)


def test_a_missing_file_is_one_sentence(tmp_path):
    """It names the file and what the system said."""
    with pytest.raises(RecordingError, match=r"gone\.mp3 cannot be read: No such file or directory"):
        decode(tmp_path / "gone.mp3")


@pytest.mark.parametrize(
    "name", ["with space", 'it\'s "quoted"', "new\nline", os.fsdecode(b"not utf-8 \xff\xe9"), "-dash", "100%"]
)
@pytest.mark.parametrize("suffix", [".mp3", ".m4a"])
def test_every_name_can_be_read(tmp_path, make_recording, name, suffix):
    """Through libsndfile and through ffmpeg."""
    path = tmp_path / (name + suffix)
    make_recording(tmp_path / f"plain{suffix}")
    (tmp_path / f"plain{suffix}").rename(path)
    assert decode(path).size == pytest.approx(3 * RATE, abs=0.2 * RATE)


def test_what_is_written_as_wav_comes_back_exactly(tmp_path):
    """16 bits hold 16-bit samples."""
    samples = to_float(np.random.default_rng(0).integers(-32768, 32768, RATE).astype(np.int16))
    encode_wav(tmp_path / "a.wav", samples, RATE)
    assert np.array_equal(to_float(decode(tmp_path / "a.wav")), samples)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_what_is_written_as_mp3_comes_back_as_it_sounds(tmp_path):
    """As long as it was, and within what the format loses."""
    encode_mp3(tmp_path / "a.mp3", tone(), RATE)
    samples = decode(tmp_path / "a.mp3")
    assert samples.size == 3 * RATE
    assert error_of(samples, tone()) < 0.05


@pytest.mark.parametrize("encode", [encode_wav, encode_mp3])
def test_a_full_disk_is_one_sentence_and_leaves_the_old_file(small_disk, encode):
    """Nothing half written takes its place."""
    path = small_disk / "a.audio"
    encode(path, tone(1), RATE)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="the disk is full"):
        encode(path, tone(120), RATE)
    assert path.read_bytes() == before
    assert [file.name for file in small_disk.iterdir()] == ["a.audio"]
