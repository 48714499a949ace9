"""Who is champion: moves are serialised, never backward, recorded, and can be undone."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.errors import RegistryError
from tasks.register import registry
from tasks.register.client import Connection, RegistryUnreachable
from tasks.register.registry import (
    Decision,
    Version,
    champion,
    create_version,
    history,
    promote,
    resolve,
    rollback,
)

YES, NO = Decision(takes_over=True, because="not worse"), Decision(takes_over=False, because="worse by 0.02")


def _versions(connection: Connection, tmp_path: Path, count: int) -> list[Version]:
    (tmp_path / "files").mkdir(exist_ok=True)
    source = (tmp_path / "files").as_uri()
    return [
        create_version(connection, "adult", f"{n:032x}", source, {"assay.n": str(n)}, "")
        for n in range(count)
    ]


def _aliases(connection: Connection) -> dict[str, str]:
    return {k: str(v) for k, v in connection.client.get_registered_model("adult").aliases.items()}


def test_first_becomes_champion_worse_becomes_challenger(connection: Connection, tmp_path: Path) -> None:
    assert champion(connection, "adult") is None
    first, second, third = _versions(connection, tmp_path, 3)
    met: list[Version | None] = []

    def decide(before: Version | None) -> Decision:
        met.append(before)
        return NO if before and before.version == "1" and len(met) == 2 else YES

    assert promote(connection, tmp_path, first, decide).alias == "champion"
    outcome = promote(connection, tmp_path, second, decide)
    assert (outcome.alias, outcome.because) == ("challenger", "worse by 0.02")
    assert _aliases(connection) == {"champion": "1", "challenger": "2"}
    assert promote(connection, tmp_path, third, decide).before == met[2]
    assert _aliases(connection) == {"champion": "3"}, "a challenger older than the champion contends no more"
    assert [v.version if v else None for v in met] == [None, "1", "1"]
    assert met[1] is not None
    assert met[1].tags["assay.n"] == "0"


def test_older_version_never_takes_the_alias_back(connection: Connection, tmp_path: Path) -> None:
    first, second = _versions(connection, tmp_path, 2)
    promote(connection, tmp_path, second, lambda _: YES)
    outcome = promote(connection, tmp_path, first, lambda _: YES)
    assert outcome.alias == "challenger"
    assert "registered later" in outcome.because
    assert _aliases(connection)["champion"] == "2"


def test_again_is_no_new_promotion(connection: Connection, tmp_path: Path) -> None:
    (only,) = _versions(connection, tmp_path, 1)
    promote(connection, tmp_path, only, lambda _: YES)
    assert promote(connection, tmp_path, only, lambda _: NO).alias == "champion"
    assert len(history(connection, "adult")) == 1


PROMOTES = """
import sys
from pathlib import Path
from tasks.register.client import connect
from tasks.register.registry import Decision, promote, resolve
connection = connect(sys.argv[1], None)
version = resolve(connection, "adult", sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
promote(connection, Path(sys.argv[2]), version, lambda before: Decision(takes_over=True, because="race"))
"""


@pytest.mark.slow
def test_processes_that_race_end_at_the_newest(connection: Connection, tmp_path: Path) -> None:
    versions = _versions(connection, tmp_path, 2)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTES, connection.uri, str(tmp_path / "locks"), version.version],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for version in reversed(versions)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=60)
        assert racer.returncode == 0
    assert _aliases(connection)["champion"] == "2"
    moves = [int(line["version"]) for line in history(connection, "adult")]
    assert moves == sorted(moves), "the alias moved back"


def test_champion_is_read_again_under_the_lock(connection: Connection, tmp_path: Path) -> None:
    """Eight threads decide slowly; each must meet the champion that its predecessor made."""
    versions = _versions(connection, tmp_path, 8)
    met: list[tuple[str, str | None]] = []

    def run(version: Version) -> None:
        def decide(before: Version | None) -> Decision:
            met.append((version.version, before.version if before else None))
            time.sleep(0.02)
            return YES

        promote(connection, tmp_path, version, decide)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, versions))
    assert met[0][1] is None
    assert [before for _, before in met[1:]] == [version for version, _ in met[:-1]]
    assert _aliases(connection)["champion"] == "8"


def test_lock_that_is_held_is_named(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "LOCK_WAIT", 0.1)
    (only,) = _versions(connection, tmp_path, 1)
    with (
        FileLock(tmp_path / "adult.champion.lock"),
        pytest.raises(RegistryUnreachable, match=r"adult\.champion\.lock.*another process"),
    ):
        promote(connection, tmp_path, only, lambda _: YES)
    assert _aliases(connection) == {}


def test_error_while_deciding_moves_nothing(connection: Connection, tmp_path: Path) -> None:
    (only,) = _versions(connection, tmp_path, 1)

    def fails(_: Version | None) -> Decision:
        raise RegistryError("the champion's predictions can't be read")

    with pytest.raises(RegistryError, match="can't be read"):
        promote(connection, tmp_path, only, fails)
    assert _aliases(connection) == {}
    assert promote(connection, tmp_path, only, lambda _: YES).alias == "champion", "the lock was let go"


def test_rollback_goes_further_back_each_time(connection: Connection, tmp_path: Path) -> None:
    for version in _versions(connection, tmp_path, 3):
        promote(connection, tmp_path, version, lambda _: YES)
    assert rollback(connection, tmp_path, "adult", "complaints about approvals", "ada").version == "2"
    gone = resolve(connection, "adult", "3")
    assert gone.tags["assay.rolled_back_because"] == "complaints about approvals"
    assert gone.tags["assay.rolled_back_by"] == "ada"
    assert rollback(connection, tmp_path, "adult", "still", "ada").version == "1"
    with pytest.raises(RegistryError, match="nothing to go back to"):
        rollback(connection, tmp_path, "adult", "once more", "ada")
    assert _aliases(connection)["champion"] == "1"
    told = [(line["what"], line["version"], line["gone"]) for line in history(connection, "adult")]
    assert told == [
        ("promoted", "1", ""),
        ("promoted", "2", ""),
        ("promoted", "3", ""),
        ("rolled back", "2", "3"),
        ("rolled back", "1", "2"),
    ]


def test_rolled_back_version_never_returns(connection: Connection, tmp_path: Path) -> None:
    versions = _versions(connection, tmp_path, 3)
    for version in versions[:2]:
        promote(connection, tmp_path, version, lambda _: YES)
    rollback(connection, tmp_path, "adult", "bad", "ada")
    outcome = promote(connection, tmp_path, versions[1], lambda _: YES)
    assert outcome.alias == "challenger"
    assert "was rolled back: bad" in outcome.because
    promote(connection, tmp_path, versions[2], lambda _: YES)
    assert rollback(connection, tmp_path, "adult", "worse", "ada").version == "1", (
        "not to the one rolled back"
    )


def test_rollback_skips_deleted_versions_and_lines_without_a_move(
    connection: Connection, tmp_path: Path
) -> None:
    versions = _versions(connection, tmp_path, 4)
    for version in versions[:3]:
        promote(connection, tmp_path, version, lambda _: YES)
    connection.client.delete_model_version("adult", "2")
    line = '{"version": "4", "what": "promoted", "because": "", "by": "", "at": "", "gone": ""}'
    connection.client.set_registered_model_tag("adult", "assay.history.0004", line)  # died before the alias
    assert rollback(connection, tmp_path, "adult", "bad", "ada").version == "1"


def test_rollback_needs_a_reason_and_a_champion(connection: Connection, tmp_path: Path) -> None:
    _versions(connection, tmp_path, 1)
    with pytest.raises(RegistryError, match="needs a reason"):
        rollback(connection, tmp_path, "adult", "  ", "ada")
    with pytest.raises(RegistryError, match="has no champion"):
        rollback(connection, tmp_path, "adult", "bad", "ada")


def test_ref_is_an_alias_or_a_number(connection: Connection, tmp_path: Path) -> None:
    first, second = _versions(connection, tmp_path, 2)
    promote(connection, tmp_path, first, lambda _: YES)
    assert resolve(connection, "adult", "champion").version == "1"
    assert resolve(connection, "adult", "2").version == second.version
    with pytest.raises(RegistryError, match=r"adult@7: .*versions: 1, 2; aliases: champion"):
        resolve(connection, "adult", "7")
    with pytest.raises(RegistryError, match=r"adult@champoin: .*aliases: champion"):
        resolve(connection, "adult", "champoin")
    with pytest.raises(RegistryError, match=r"no model 'nobody' is registered.*assay retrain nobody"):
        resolve(connection, "nobody", "champion")


def test_runs_second_registration_is_its_first(connection: Connection, tmp_path: Path) -> None:
    source = tmp_path.as_uri()
    run_id = "a" * 32
    connection.experiment("adult")
    first = create_version(connection, "adult", run_id, source, {"k": "v"}, "text")
    assert create_version(connection, "adult", run_id, source, {"k": "v"}, "text") == first
    assert first.tags == {"k": "v"}
    assert connection.client.get_model_version("adult", first.version).description == "text"
