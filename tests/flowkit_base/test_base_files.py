"""Files are there whole or not at all."""

from contextlib import suppress

from flowkit_base.files import replacing, write_whole


def test_a_file_is_as_it_was_when_writing_it_fails(tmp_path):
    """After an error nobody sees half a file, and nothing is left beside it."""
    file = tmp_path / "keys.json"
    write_whole(file, "old")
    with suppress(RuntimeError), replacing(file) as new:
        new.write(b"ne")
        raise RuntimeError
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_secret_is_its_owners_alone(tmp_path):
    """A file gets the mode that was named."""
    write_whole(tmp_path / "key", b"secret", mode=0o600)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
