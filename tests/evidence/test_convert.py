"""Clones → pack: the authors' layouts, written from a pack, give that pack again; other files are refused."""

import pickle
import shutil
import subprocess

import layouts
import numpy as np
import pytest

from metst_lib.evidence import clones, pack, sources
from metst_lib.evidence.authors import MAKERS
from metst_lib.evidence.convert import convert


@pytest.fixture(scope="module")
def small_clones(small, tmp_path_factory):
    return layouts.write(small, tmp_path_factory.mktemp("clones"))


def same(a, b):
    """Whether two files of packs hold the same."""
    if a.suffix == ".csv":
        return a.read_text("utf-8") == b.read_text("utf-8")
    one, other = np.load(a), np.load(b)
    equal = (one[name].dtype == other[name].dtype and (one[name] == other[name]).all() for name in one.files)
    return one.files == other.files and all(equal)


def test_the_authors_layouts_written_from_a_pack_give_that_pack_again(folder, tmp_path):
    made = convert(layouts.write(folder, tmp_path / "clones"), tmp_path / "pack", accept_changed=True)
    assert made.missing == {} and set(made.written) == set(MAKERS)
    assert [name for name in made.written if not same(tmp_path / "pack" / name, folder / name)] == []


def test_a_changed_source_is_refused_with_both_hashes_and_nothing_is_written(small_clones, tmp_path):
    with pytest.raises(ValueError, match=r"SHA-256 [0-9a-f]{64}, not [0-9a-f]{64}.*--accept-changed"):
        convert(small_clones, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_an_accepted_change_is_in_every_caption(small_clones, tmp_path):
    made = convert(small_clones, tmp_path, accept_changed=True)
    given = pack.load(tmp_path)
    assert given.changed == tuple(sorted(made.changed)) and len(given.changed) > 10
    assert "other than the known ones" in given.warning and "SHA-256" in given.warning
    assert any("kyx111666/GLSD" in what for what in made.unchecked)


def test_what_is_not_there_is_named_and_the_rest_is_made(small_clones, tmp_path):
    shutil.copytree(small_clones, tmp_path / "clones")
    shutil.rmtree(tmp_path / "clones" / "GLSD")
    shutil.rmtree(tmp_path / "clones" / "megc_spotting_code")
    made = convert(tmp_path / "clones", tmp_path / "pack", accept_changed=True)
    assert "zzy188zzy/megc_spotting_code, labels/samm_duration.csv" in made.missing["videos.csv"]
    assert made.missing["dma.csv"] == "needs videos.csv"
    assert "kyx111666/GLSD" in made.missing["metstplus_audit.csv"]
    assert "truth.csv" in made.written and "slswin_megc2022_test.npz" in made.written
    assert not (tmp_path / "pack" / "dma.csv").exists()


def test_no_folder_of_clones_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere with clones"):
        convert(tmp_path / "nowhere", tmp_path / "pack")


def test_a_clone_at_another_commit_is_refused_by_its_hash(tmp_path):
    source = sources.of("metstplus_sammlv_counts.csv")[0]
    place = tmp_path / "GLSD"
    path = place / source.path
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    git = ["git", "-C", str(place), "-c", "user.name=n", "-c", "user.email=e@x"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "other"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    with pytest.raises(ValueError, match=f"stands at commit {head}, not {source.commit}"):
        clones.Clones(tmp_path).find(source)
    accepted = clones.Clones(tmp_path, accept_changed=True)
    assert accepted.find(source) == [path] and len(accepted.changed) == 1 and not accepted.unchecked


@pytest.mark.parametrize(("before", "after"), [(3, 4), (1, 0)])
def test_a_curve_that_does_not_fit_its_videos_is_named(small_clones, tmp_path, before, after):
    shutil.copytree(small_clones, tmp_path / "clones")
    (source,) = sources.of("slswin_sammlv_micro.npz")
    path = tmp_path / "clones" / "eddiehe99+pytorch-expression-spotting" / source.path
    content = pickle.loads(path.read_bytes())
    content[0] = [[0.5]] * (363 + after - before)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(
        ValueError, match=rf"subject 006: {363 + after - before} scores, but its 1 videos take 363"
    ):
        convert(tmp_path / "clones", tmp_path / "pack", accept_changed=True)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("GLSD/{metstplus_sammlv_counts.csv}", "{}", r"metstplus_sammlv_counts\.csv: .*layout .*'methods'"),
        ("williamlee91/LGSNet/{lgsnet_casme2sq_truth.csv}", "a,b\n1,2\n", "no column video, frame_num"),
        ("GLSD/{metstplus_audit.csv}", "## 3. SAMMLV\n## 3. CASME_3\n", "no line 'raw spotting'"),
    ],
)
def test_a_layout_that_is_not_the_known_one_is_named(small_clones, tmp_path, path, text, message):
    shutil.copytree(small_clones, tmp_path / "clones")
    clone, file = path.rstrip("}").split("/{")
    (tmp_path / "clones" / clone / sources.of(file)[0].path).write_text(text)
    with pytest.raises(ValueError, match=message):
        convert(tmp_path / "clones", tmp_path / "pack", accept_changed=True)


def test_a_line_of_intervals_without_its_fields_is_named(small_clones, tmp_path):
    shutil.copytree(small_clones, tmp_path / "clones")
    (path, *_) = sorted((tmp_path / "clones" / "williamlee91" / "LGSNet").rglob("test_00.txt"))
    path.write_text("15_0101some\t1.0\n")
    with pytest.raises(ValueError, match=r"test_00\.txt: a line without video, start, end and confidence"):
        convert(tmp_path / "clones", tmp_path / "pack", accept_changed=True)


class Harmful:
    def __reduce__(self):
        return print, ("it ran",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (Harmful(), r"it asks for builtins\.print, and no name at all is admitted"),
        ([[np.float64(1)]], "no name at all is admitted"),
        ([None], "holds a NoneType; floats, lists, dicts and strings only"),
        ({"a": [b"x"]}, "holds a bytes"),
        ({(1.0, (2.0,)): [1.0]}, "it holds TUPLE1; floats, lists, dicts and strings only"),
    ],
)
def test_a_pickle_of_anything_but_plain_lists_is_refused_and_nothing_of_it_runs(
    tmp_path, capsys, content, message
):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match=message):
        clones.plain_pickle(tmp_path / "x.pkl")
    assert "it ran" not in capsys.readouterr().out


def test_a_pickle_that_holds_itself_or_is_cut_short_ends(tmp_path):
    ring: list = [1.0]
    ring.append(ring)
    (tmp_path / "ring.pkl").write_bytes(pickle.dumps(ring))
    with pytest.raises(ValueError, match="more values than bytes: it repeats itself"):
        clones.plain_pickle(tmp_path / "ring.pkl")
    laughs: list = [1.0]
    for _ in range(40):  # 2⁴⁰ numbers in 300 bytes
        laughs = [laughs, laughs]
    (tmp_path / "laughs.pkl").write_bytes(pickle.dumps(laughs))
    with pytest.raises(ValueError, match="more values than bytes"):
        clones.plain_pickle(tmp_path / "laughs.pkl")
    (tmp_path / "far.pkl").write_bytes(b"]r\xff\xff\xff\x7f.")  # numbers a list 2,147,483,647
    with pytest.raises(ValueError, match="numbers more values than it has bytes"):
        clones.plain_pickle(tmp_path / "far.pkl")
    (tmp_path / "cut.pkl").write_bytes(pickle.dumps([0.5] * 9)[:-3])
    with pytest.raises(ValueError, match=r"cut\.pkl cannot be read as plain lists of numbers"):
        clones.plain_pickle(tmp_path / "cut.pkl")


def test_every_file_of_the_pack_has_its_sources_and_each_a_place_a_commit_and_a_licence():
    assert set(MAKERS) == {source.file for source in sources.known()}
    for source in sources.known():
        assert source.repository.count("/") == 1 and len(source.commit) == 40 and source.licence
        assert len(source.sha256) == 64 or source.repository == "kyx111666/GLSD"
