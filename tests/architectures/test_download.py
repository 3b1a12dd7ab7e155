"""Files are fetched once, whole, and kept where there is a place for them."""

import errno
import functools
import hashlib
import http.server
import threading
import urllib.request
from pathlib import Path

import pytest

from architectures.download import default_cache, fetch


@pytest.fixture
def server(tmp_path):
    """A file server over an empty folder: (address, folder, what was asked for)."""
    folder = tmp_path / "served"
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(self.path)

    handler = functools.partial(Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever).start()
        yield f"http://127.0.0.1:{serving.server_port}", folder, asked
        serving.shutdown()


def hashed(content):
    return f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"


def test_a_file_is_fetched_once(server, tmp_path):
    address, folder, asked = server
    name = hashed(b"weights")
    (folder / name).write_bytes(b"weights")
    for _ in range(2):
        path = fetch(f"{address}/{name}", tmp_path / "deep" / "cache")
        assert path.read_bytes() == b"weights"
    assert len(asked) == 1
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_a_wrong_file_is_not_kept(server, tmp_path):
    address, folder, _ = server
    name = hashed(b"weights")
    (folder / name).write_bytes(b"weigh")  # cut short on its way
    with pytest.raises(ValueError, match=f"should begin with {name[4:12]}"):
        fetch(f"{address}/{name}", tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_a_spoilt_file_in_the_cache_is_fetched_again(server, tmp_path):
    address, folder, _ = server
    name = hashed(b"weights")
    (folder / name).write_bytes(b"weights")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / name).write_bytes(b"spoilt")
    assert fetch(f"{address}/{name}", tmp_path / "cache").read_bytes() == b"weights"


def test_an_absent_file_or_server_is_an_oserror(server, tmp_path):
    address, _, _ = server
    with pytest.raises(OSError, match="404"):
        fetch(f"{address}/net-00000000.pth", tmp_path)
    with pytest.raises(OSError, match="refused"):
        fetch("http://127.0.0.1:9/net-00000000.pth", tmp_path)


def test_a_name_without_a_hash_is_not_fetched(tmp_path):
    with pytest.raises(ValueError, match="net.pth carries no hash"):
        fetch("http://127.0.0.1:9/net.pth", tmp_path)


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    where = tmp_path / "file" / "cache"
    with pytest.raises(OSError, match=f"kept in {where} .*cache= or XDG_CACHE_HOME"):
        fetch("http://127.0.0.1:9/net-00000000.pth", where)


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(urllib.request, "urlopen", full)
    with pytest.raises(OSError, match="no room for net-00000000.pth") as refusal:
        fetch("http://127.0.0.1:9/net-00000000.pth", tmp_path)
    assert (refusal.value.errno, refusal.value.filename) == (
        errno.ENOSPC,
        str(tmp_path),
    )
    assert not list(tmp_path.iterdir())


def test_where_files_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for given, folder in {
        "": tmp_path / ".cache",
        str(tmp_path / "x"): tmp_path / "x",
        "~/y": tmp_path / "y",
    }.items():
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert default_cache() == folder / "limbeck"


def test_without_a_home_the_way_out_is_named(monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: homeless(None))
    with pytest.raises(OSError, match="in ~/.cache, .*cache= or XDG_CACHE_HOME"):
        default_cache()
    monkeypatch.setenv("XDG_CACHE_HOME", "~nobody/cache")
    monkeypatch.setattr(Path, "expanduser", homeless)
    with pytest.raises(OSError, match="in ~nobody/cache, .*XDG_CACHE_HOME"):
        default_cache()
