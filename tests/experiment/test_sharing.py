"""What travels of a run holds counts and no more, tells that it was changed, and is compared by one rule."""

import dataclasses
import json

import pytest
from click.testing import CliRunner
from handmade import ALL, HALF, run
from trials import lists, texts

from metst_lib import metrics
from metst_lib.app.cli import main
from metst_lib.events import Video
from metst_lib.experiment import packs, published, sharing
from metst_lib.inference import Interval

TEN = {"spNO.10": 1, "spNO.2": 2, "spNO.3": 2}


def pack(*runs):
    """The pack of runs whose videos have ten seconds each."""
    videos = [Video(*key, 30.0, 300, tuple(events)) for key, events in runs[0].truth.items()]
    return sharing.pack(runs, videos)


def people(hits, **how):
    """The pack of a run of so many hits in each of its subjects."""
    return pack(run("me-tst-plus", {f"s{i}": n for i, n in enumerate(hits)}, **how))


def rows(*compared):
    """The comparison: (pack, measure, against) → verdict."""
    found = sharing.compare(compared).to_dict("records")
    return {(int(row["pack"]), row["measure"], row["against"]): row["verdict"] for row in found}


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def content(tmp_path):
    """A stored pack of two seeds, as JSON."""
    path = packs.write(tmp_path / "pack.json", pack(run("me-tst", TEN), run("me-tst", TEN, 1)))
    return json.loads(path.read_text())


# --- what a pack holds ----------------------------------------------------------------------------------


def test_no_array_is_longer_than_the_list_of_videos(content):
    found = lists(content)
    assert {place.removeprefix(".seeds") for place in found} == {
        *(f".{seed}.{name}" for seed in (0, 1) for name in ("by_subject", "by_video", "made_with")),
        ".settings.training.augment",
    }
    assert max(map(len, found.values())) == len(content["seeds"]["0"]["by_video"]) == 3


def test_no_list_of_numbers_is_there_but_one_setting(content):
    of_numbers = {p: found for p, found in lists(content).items() if any(isinstance(x, float) for x in found)}
    assert of_numbers == {".settings.training.augment": [0.9, 1.1]}


def test_no_subject_no_video_and_no_path_is_named(tmp_path):
    shared = pack(run("me-tst", TEN, video="disgust2"))
    path = packs.write(tmp_path / "pack.json", shared)
    assert not [word for word in ("spNO", "disgust2", tmp_path.name) if word in path.read_text()]
    assert not [text for text in texts(json.loads(path.read_text())) if "/" in text or "\\" in text]


def test_subjects_and_videos_are_numbered_in_the_owners_natural_order():
    a, b = (run("me-tst", TEN, video=name) for name in ("v10", "v9"))
    folds = {}
    for name, fold in a.folds.items():
        other = b.folds[name]
        both = {side: getattr(fold, side) | getattr(other, side) for side in ("predicted", "truth")}
        scores = metrics.evaluate(both["predicted"], both["truth"])
        folds[name] = dataclasses.replace(fold, **both, scores=scores)
    one = folds["spNO.2"].predicted
    one["spNO.2", "v9"] = one["spNO.2", "v9"][1:]  # a hit less, in the subject's first video
    seed = pack(dataclasses.replace(a, folds=folds)).seeds[0]
    counted = [(v.subject, v.video, v.spotting.tp, v.intervals) for v in seed.by_video]
    assert counted == [(1, 1, 1, 2), (1, 2, 2, 3), (2, 1, 2, 3), (2, 2, 2, 3), (3, 1, 1, 2), (3, 2, 1, 2)]
    assert [(s.subject, s.videos, s.spotting.tp, s.intervals) for s in seed.by_subject] == [
        (1, 2, 3, 5),
        (2, 2, 4, 6),
        (3, 2, 2, 4),
    ]


def test_counts_minutes_and_chance_are_those_of_the_run():
    shared = pack(run("me-tst", TEN))
    seed = shared.seeds[0]
    assert seed.spotting == metrics.Counts(5, 3, 1)
    assert seed.by_subject[2].confusion == {"negative": {"negative": 1}}
    assert seed.by_subject[0].confusion == {"negative": {"negative": 1}, "surprise": {"surprise": 1}}
    assert (shared.minutes, seed.fp_per_minute) == (0.5, 6)  # three videos of ten seconds, three false alarms
    assert seed.medians == packs.Medians(11, 11, 1)
    assert 0 < seed.chance.tp < 1 and seed.chance.p == pytest.approx(1 / 1001)
    assert shared.measures["spotting.f1"].value == pytest.approx(10 / 14)
    (scores,) = shared.scores()
    assert scores.recognition.confusion == run("me-tst", TEN).scores().recognition.confusion
    assert (shared.counted, shared.scorer, shared.synthetic) == ("with_me", "strict", True)


def test_a_run_with_missing_folds_is_not_packed():
    with pytest.raises(ValueError, match=r"2 of 3 folds are there; missing: s3"):
        pack(run("me-tst", {"s1": 1, "s2": 2}, missing=["s3"]))


# --- files ----------------------------------------------------------------------------------------------


def test_a_pack_is_read_back_as_it_was_packed(tmp_path):
    runs = run("me-tst", ALL), run("me-tst", HALF, 1)
    shared = pack(*runs)
    assert packs.read(packs.write(tmp_path / "a" / "pack.json", shared)) == shared
    assert pack(*runs).hash == shared.hash != pack(runs[0]).hash


def edit(content, tmp_path, **changes):
    path = tmp_path / "edited.json"
    path.write_text(json.dumps(content | changes))
    return path


def test_a_pack_changed_by_hand_is_refused(content, tmp_path):
    was = content["hash"]
    content["seeds"]["1"]["by_video"][0]["spotting"]["tp"] += 1
    path = edit(content, tmp_path)
    with pytest.raises(
        ValueError, match=rf"edited.json was changed .* names the hash {was}, but what it holds"
    ):
        packs.read(path)
    assert "Error: " in (said := metst("compare", path, code=1)) and "was changed since" in said


def test_a_pack_that_contradicts_itself_is_refused_whatever_its_hash(tmp_path):
    shared = pack(run("me-tst", TEN))
    (seed,) = shared.seeds.values()
    less = dataclasses.replace(seed.by_video[0], spotting=metrics.Counts(1, 1, 1))
    moved = dataclasses.replace(seed, by_video=[less, *seed.by_video[1:]])
    better = shared.measures | {"strs": Interval(0.9, 0.8, 1.0)}
    for changes, said in (
        ({"seeds": {0: moved}}, "counts of subject 1, seed 0, are not those of its videos"),
        ({"measures": better}, "strs is said to be 0.9000, the counts give 0.4762"),
    ):
        path = packs.write(tmp_path / "pack.json", packs.sealed(dataclasses.replace(shared, **changes)))
        with pytest.raises(ValueError, match=said):
            packs.read(path)


def test_what_is_no_pack_is_refused_by_name(content, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        packs.read(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"format": 1')
    with pytest.raises(ValueError, match=r"half.json is damaged"):
        packs.read(tmp_path / "half.json")
    with pytest.raises(ValueError, match=r"is a pack of format 2; format 1 is read"):
        packs.read(edit(content, tmp_path, format=2))
    with pytest.raises(ValueError, match=r"is no pack: it has no format"):
        packs.read(edit({}, tmp_path))
    with pytest.raises(ValueError, match=r"no whole pack"):
        packs.read(edit({"format": 1, "hash": packs._hash({"format": 1})}, tmp_path))


# --- what is said of two numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "other", "difference", "said"),
    [
        (0.45, 0.55, 0.46, None, "reproduced"),  # exactly as wide as is allowed
        (0.45, 0.5501, 0.46, None, "not decided"),
        (0.45, 0.55, 0.45, None, "reproduced"),
        (0.45, 0.55, 0.44, None, "differs"),
        (0.2, 0.8, 0.81, None, "differs"),
        (0.45, 0.55, 0.52, (0.01, 0.03), "differs"),
        (0.45, 0.55, 0.52, (-0.05, -0.01), "differs"),
        (0.45, 0.55, 0.52, (-0.05, 0.01), "reproduced"),
        (0.2, 0.8, 0.5, (0.0, 0.0), "not decided"),
    ],
)
def test_reproduced_is_inside_a_narrow_interval(low, high, other, difference, said):
    paired = difference and Interval(sum(difference) / 2, *difference)
    assert sharing.verdict(Interval(0.5, low, high), other, paired) == said


def test_a_pack_beside_itself_is_reproduced_or_not_decided_by_its_width():
    wide, narrow = pack(run("me-tst", TEN)), people([1, 2] * 40)
    assert wide.measures["spotting.f1"].high - wide.measures["spotting.f1"].low > sharing.WIDTH
    for shared, said in ((wide, "not decided"), (narrow, "reproduced")):
        found = rows(shared, shared)
        assert found[1, "F1 spot.", "pack 2"] == found[1, "STRS", "pack 2"] == said


def test_a_shifted_pack_differs_even_inside_the_interval():
    before, after = people([2, 0, 2, 0, 2, 0, 2, 0]), people([1, 0, 1, 0, 1, 0, 1, 0])
    interval, moved = before.measures["spotting.f1"], after.measures["spotting.f1"].value
    assert interval.low < moved < interval.high
    assert rows(before, after)[1, "F1 spot.", "pack 2"] == "differs"
    assert rows(before, people([1] * 9))[1, "F1 spot.", "pack 2"] == "not decided"  # other videos: no pair
    far = people([0, 0, 0, 0, 0, 1] * 10)
    assert rows(people([2] * 59 + [1]), far)[1, "F1 spot.", "pack 2"] == "differs"


def test_pairs_are_made_of_the_same_videos_and_as_many_seeds():
    one, two = pack(run("me-tst", ALL)), pack(run("me-tst", ALL), run("me-tst", HALF, 1))
    longer = sharing.pack([run("me-tst", ALL)], [Video(s, "a", 30.0, 400, ()) for s in ALL])
    for other, paired in ((one, True), (two, False), (longer, False)):
        last = sharing.compare([one, other]).iloc[-1]
        assert (last["paired difference"] == "+0.0000 [+0.000, +0.000]") == paired


def test_packs_of_different_sets_or_videos_are_refused():
    real = pack(run("me-tst", ALL, dataset="casme3"))
    with pytest.raises(ValueError, match=r"cannot be compared: their dataset differs: synthetic, casme3"):
        sharing.compare([pack(run("me-tst", ALL)), real])
    every = dataclasses.replace(real, counted="all")
    with pytest.raises(ValueError, match=r"their counted differs: with_me, all"):
        sharing.compare([real, every])


# --- beside the paper -----------------------------------------------------------------------------------


def test_the_papers_numbers_stand_beside_a_pack_of_its_data():
    found = sharing.compare([pack(run("me-tst-plus", ALL, dataset="casme3"))]).set_index("measure")
    assert found["other"].to_dict() == {
        "F1 spot.": "0.0912",
        "F1 recog.": "0.5338",
        "UF1": "0.5317",
        "UAR": "0.5083",
        "STRS": "0.0487",
    }
    assert found["against"].tolist() == ["Table V", "Table V", "Table II", "Table II", "Table V"]
    assert found.loc["F1 spot.", "verdict"] == "differs"  # all found: 0.8


def test_a_run_near_the_papers_number_reproduces_it():
    hits = [1] * 9 + [0] * 51  # F1 = 18 / (18 + 60 + 111) = 0.0952
    found = people(hits, dataset="casme3")
    assert rows(found)[1, "F1 spot.", "Table V"] == "not decided"
    assert rows(people(hits * 4, dataset="casme3"))[1, "F1 spot.", "Table V"] == "reproduced"


def test_only_what_is_printed_stands_beside():
    assert published.of_variant("sammlv", "me-tst") == {
        "strs": ("Table V", 0.1356),
        "spotting.f1": ("Table V", 0.2167),
        "recognition.f1": ("Table V", 0.6259),
    }
    assert set(published.of_variant("casme3", "boosting-vrme")) == {"strs"}
    assert published.of_variant("casme3", "transformer") == published.of_variant("synthetic", "me-tst") == {}


def test_the_command_says_the_rule_and_what_it_compares(tmp_path):
    path = packs.write(tmp_path / "pack.json", pack(run("me-tst", TEN)))
    printed = metst("compare", path, path)
    for words in (
        "Pack 2, pack.json: ME-TST on SYNTHETIC data",
        "with_me, 3 subjects, 3 videos, 0.5 minutes",
        "seed 0: TP 5, FP 3, FN 1; by chance TP 0.",
        "6.00 false alarms a minute",
        "the paper prints no such number",
        f"reproduced if the interval is at most {sharing.WIDTH:.2f} wide",
    ):
        assert words in printed, words
    assert f"at most {sharing.WIDTH:.2f} wide" in metst("compare", "--help")


def test_a_pack_whose_sums_or_subjects_contradict_each_other_is_refused(content, tmp_path):
    for change, message in (
        (lambda seed: seed["spotting"].update(tp=99), "counts of seed 0 are not those of its subjects"),
        (lambda seed: seed["by_subject"].append(seed["by_subject"][0]), "a subject occurs twice, seed 0"),
    ):
        changed = json.loads(json.dumps(content))
        change(changed["seeds"]["0"])
        (tmp_path / "odd.json").write_text(json.dumps(changed | {"hash": packs._hash(changed)}))
        with pytest.raises(ValueError, match=message):
            packs.read(tmp_path / "odd.json")
