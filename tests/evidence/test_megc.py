"""The challenge's files: written and read back, read as they come or refused by line, scored by protocol."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "metrics"))

import naive

from metst_lib import metrics
from metst_lib.app.cli import main
from metst_lib.app.evidence import score as command
from metst_lib.events import Event, numbered
from metst_lib.evidence import intervals, megc
from metst_lib.evidence.megc import both_kinds
from metst_lib.inference import interval
from metst_lib.metrics import Counts

A, B, C = ("s1", "a"), ("s2", "b"), ("s2", "c")
TRUTH = {
    A: [Event(25, 35, emotion="positive"), Event(50, 79, kind="macro")],
    B: [Event(15, 25, emotion="negative")],
    C: [],
}
#: (first, frame_step): the owners' numbers of A's frames are 8, 10, 12, …
NUMBERS = {A: (8, 2), B: (1, 1), C: (1, 1)}


def metst(*arguments, code=0):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def truth(tmp_path):
    n = {A: 80, B: 60, C: 50}
    return intervals.write(tmp_path / "truth.csv", "toy", TRUTH, dict.fromkeys(TRUTH, 30), n, NUMBERS)


def owners(events):
    """Events in frames → in their owners' numbers."""
    return {key: [numbered(event, *NUMBERS[key]) for event in of] for key, of in events.items()}


def text(tmp_path, content):
    path = tmp_path / "file.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- the files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("year", "lines"),
    [
        (2022, ["vid,pred_onset,pred_offset,type", "a,58,78,me", "a,108,166,mae", "b,16,26,me"]),
        (2023, ["vid,onset,offset,type", "a,58,78,me", "a,108,166,mae", "b,16,26,me"]),
        (2024, ["subject,video,onset,offset,emotion", "s1,a,58,78,positive", "s2,b,16,26,negative"]),
    ],
)
def test_each_year_has_its_columns_and_the_owners_numbers(tmp_path, year, lines):
    found = {key: [e for e in of if year < 2024 or e.kind == "micro"] for key, of in TRUTH.items()}
    path = megc.write(tmp_path / "out.csv", owners(found), year)
    assert path.read_bytes().decode() == "\n".join(lines) + "\n"


@pytest.mark.parametrize("year", megc.YEARS)
def test_what_is_written_is_read_again(tmp_path, year):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        found, _, n_frames = naive.case(seed, "micro" if year == 2024 else "overall")
        numbers = {key: (int(rng.integers(9)), int(rng.integers(1, 4))) for key in found}
        labels = intervals.Intervals("", {key: [] for key in found}, {}, n_frames)
        labels.first.update({key: first for key, (first, _) in numbers.items()})
        labels.frame_step.update({key: step for key, (_, step) in numbers.items()})
        moved = {key: [numbered(e, *numbers[key]) for e in of] for key, of in found.items()}
        seen = megc.read(megc.write(tmp_path / "out.csv", moved, year), labels)
        if year != 2024:
            found = {key: [Event(e.onset, e.offset, kind=e.kind) for e in of] for key, of in found.items()}
        assert seen.events == found
        assert (seen.kinds, seen.recognised) == ((False, True) if year == 2024 else (True, False))


def test_videos_of_one_name_are_told_apart_by_their_subjects(tmp_path):
    same = {("s1", "a"): [Event(1, 2)], ("s2", "a"): [Event(3, 4)], ("s2", "b"): [Event(5, 6)]}
    path = megc.write(tmp_path / "out.csv", same)
    assert pd.read_csv(path)["vid"].tolist() == ["s1_a", "s2_a", "b"]
    assert megc.read(path, intervals.Intervals("", same, {}, {})).events == same
    with pytest.raises(ValueError, match="two videos would be called 's_a'"):
        megc.write(path, {("s", "a"): [], ("t", "a"): [], ("u", "s_a"): []})


@pytest.mark.parametrize(
    ("events", "year", "message"),
    [
        ({A: [Event(1, 2, kind="macro")]}, 2024, "s1 a: the file of 2024 has no place for a macro event"),
        ({A: [Event(1, 2, kind="blink")]}, 2022, "the file of 2022 has no place for a blink event"),
        ({("", "clip"): [Event(1, 2)]}, 2024, "video clip: the file of 2024 names subjects"),
        ({A: []}, 2021, "no file of 2021 is known; known: 2022, 2023, 2024"),
    ],
)
def test_what_a_file_cannot_say_is_not_written(tmp_path, events, year, message):
    with pytest.raises(ValueError, match=message):
        megc.write(tmp_path / "out.csv", events, year)
    assert not list(tmp_path.iterdir())


PLAIN = "vid,pred_onset,pred_offset,type\na,58,78,me\nb,20,30,mae\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace(",", ";"),
        PLAIN.replace(",", "\t").rstrip(),
        PLAIN.replace(",", ", ").replace("me\n", "ME \n\n , ,,\n"),
        'VID,Onset,OFFSET,Type,\n"a","58","78","me"\nb,20.0,30.,MaE,\n\n',
        "type;score;offset;onset;vid\nme;.5;78;58;s1_a\nmacro;.4;30;20;s2/b\n",
        "subject,video,onset,offset,type\ns1,a,58,78,micro\ns2,b,20,30,mae\n",
    ],
)
def test_what_is_harmless_is_read(tmp_path, truth, content):
    seen = megc.read(text(tmp_path, content), intervals.read(truth))
    assert seen.events == {A: [Event(25, 35)], B: [Event(19, 29, kind="macro")], C: []}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("d,1,2,me,", "no video 'd' in the truths"),
        ("a,img58,78,me,", "onset 'img58' is no whole frame number"),
        ("a,58,78.5,me,", "offset '78.5' is no whole frame number"),
        ("a,58,,me,", "offset '' is no whole frame number"),
        ("a,-3,8,me,", "onset '-3' is no whole frame number"),
        ("a,78,58,me,", "onset 78 lies after offset 58"),
        ("a,7,58,me,", "onset 7 lies before frame 8, the first of video s1 a"),
        ("a,168,170,me,", "onset 168 lies beyond frame 166, the last of video s1 a"),
        ("a,58,78,mic,", "unknown type 'mic'; known: me, mae"),
        ("a,58,78,me,happy", "unknown emotion 'happy'; known: negative"),
        ("a,58,78", "5 cells wanted, 3 found"),
        ("a,58,78,me,,1", "5 cells wanted, 6 found"),
        ("a;58;78;me;", "5 cells wanted, 1 found"),
    ],
)
def test_what_is_not_understood_is_refused_by_line(tmp_path, truth, row, message):
    path = text(tmp_path, f"vid,onset,offset,type,emotion\r\na,58,78,me,\r\n\r\n{row}\r\n")
    with pytest.raises(ValueError, match=rf"file\.csv, line 4: {message}"):
        megc.read(path, intervals.read(truth))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the file is empty"),
        ("a,58,78,me\n", "line 1: columns vid, pred_onset, .* wanted, not a, 58, 78, me"),
        ("vid,onset,offset,typ\n", "line 1: columns .* not vid, onset, offset, typ"),
        ("vid,onset,pred_onset,offset,type\n", "line 1: two columns onset"),
        ("subject,video,onset,offset,kind\n", "line 1: a table of intervals"),
        (b"vid,onset,offset,type\na,1,2,me\n\xff\xfe", "line 3: this is no text in UTF-8"),
        ("vid,onset,offset,type\nx,1,2,me\n", "line 2: 'x' may be any of s1 x, s2 x: subject_video"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, content, message):
    labels = intervals.Intervals("", {("s1", "x"): [], ("s2", "x"): [], A: []}, {}, {})
    with pytest.raises(ValueError, match=message):
        megc.read(text(tmp_path, content), labels)


def test_the_columns_of_the_owners_numbers_are_checked_by_row(tmp_path):
    head = "subject,video,onset,offset,first,frame_step\n"
    for cells, message in (
        ("-1,1", "first of -1 where"),
        ("1,0", "frame_step of 0 where"),
        ("1.5,1", "first of 1.5 is no whole number"),
        ("x,1", "first 'x' is no number"),
    ):
        with pytest.raises(ValueError, match=f"row 2: {message}"):
            intervals.read(text(tmp_path, f"{head}s,v,1,2,{cells}\n"))


# --- the scores -----------------------------------------------------------------------------------------


def rows(table):
    return {row["kind"]: (row["tp"], row["fp"], row["fn"]) for row in table.to_dict("records")}


def test_protocols_by_hand(tmp_path, truth):
    """Five events: hits of either kind, a miss, and false ones where nothing is, a label of no video."""
    found = {
        A: [Event(24, 35), Event(52, 79, kind="macro")],
        B: [Event(40, 50)],
        C: [Event(1, 9), Event(11, 19)],
    }
    path = megc.write(tmp_path / "out.csv", owners(found))
    made = {name: megc.table(megc.given(path, truth, name)[0], name) for name in megc.PROTOCOLS}
    assert rows(made["megc2022"]) == {"macro": (1, 0, 0), "micro": (1, 3, 1), "overall": (2, 3, 1)}
    assert rows(made["strict"]) == {"macro": (1, 0, 0), "micro": (1, 1, 1), "overall": (2, 1, 1)}
    assert rows(made["megc2024"]) == {"macro": (1, 0, 0), "micro": (1, 1, 1), "overall": (2, 1, 1)}
    assert made["megc2022"]["f1"].tolist() == [1, 1 / 3, 1 / 2]
    assert rows(megc.table(megc.given(path, truth, "strict", videos="all")[0], "strict")) == rows(
        made["megc2022"]
    )
    with pytest.raises(ValueError, match="unknown protocol 'megc2019'; known: megc2022, megc2024, strict"):
        megc.given(path, truth, "megc2019")


def submission(rng, predicted, numbers):
    """A file as one could write it by hand, of a year drawn, and what it says in frames."""
    year = int(rng.choice(list(megc.YEARS)))
    lines, said = [",".join(megc.YEARS[year])], {key: [] for key in predicted}
    for (subject, video), events in predicted.items():
        first, step = numbers[subject, video]
        for e in events:
            if year == 2024 and e.kind == "macro":
                continue
            ends = f"{first + e.onset * step},{first + e.offset * step}"
            if year == 2024:
                lines.append(f"{subject},{video},{ends},{e.emotion or ''}")
            else:
                lines.append(f"{subject}_{video},{ends},{'mae' if e.kind == 'macro' else 'me'}")
            emotion = e.emotion if year == 2024 else None
            said[subject, video].append(Event(e.onset, e.offset, emotion=emotion, kind=e.kind))
    order = rng.permutation(len(lines) - 1) + 1 if rng.random() < 0.3 else range(1, len(lines))
    return "\n".join([lines[0], *(lines[i] for i in order)]) + "\n", said, year


def table_of(labels, numbers):
    """The truths as one could write them by hand."""
    lines = ["subject,video,kind,onset,offset,emotion,first,frame_step"]
    for key, events in labels.items():
        tail = "{},{}".format(*numbers[key])
        cells = [f"{e.kind},{e.onset},{e.offset},{e.emotion or ''}" for e in events] or [",,,"]
        lines += [",".join([*key, cell, tail]) for cell in cells]
    return "\n".join(lines) + "\n"


def test_scores_of_200_random_submissions_are_the_naive_ones_and_those_of_evaluate(tmp_path):
    kinds_seen, empty, ties, done, seed = set(), 0, 0, 0, 0
    while done < 200:
        rng, seed = np.random.default_rng(seed), seed + 1
        predicted, labels, _ = naive.case(seed, "overall")
        if not any(labels.values()):
            continue
        if rng.random() < 0.05:
            predicted = {key: [] for key in predicted}
        numbers = {key: (int(rng.integers(9)), int(rng.integers(1, 4))) for key in labels}
        truth = tmp_path / "truth.csv"
        truth.write_text(table_of(labels, numbers), encoding="utf-8")
        content, said, year = submission(rng, predicted, numbers)
        for protocol, scorer in (("megc2022", "strict"), ("megc2024", "megc2024"), ("strict", "strict")):
            keys = [key for key in labels if labels[key] or protocol != "strict"]
            p, t = ({key: side[key] for key in keys} for side in (said, labels))
            made = megc.table(megc.given(text(tmp_path, content), truth, protocol)[0], protocol)
            by_kind = {kind: naive.tally(p, t, scorer, kind) for kind in ("macro", "micro", "overall")}
            wanted = {
                kind: tuple(map(sum, zip(*n.values(), strict=True))) for kind, (n, _) in by_kind.items()
            }
            assert rows(made) == wanted, (seed, protocol)
            assert rows(made)["overall"] == tuple(
                vars(metrics.evaluate(p, t, scorer, "overall").spotting).values()
            )
            assert made["f1"].tolist() == pytest.approx(
                [2 * tp / max(2 * tp + fp + fn, 1) for tp, fp, fn in wanted.values()]
            )
            assert ("strs" in made) == (year == 2024)
            if year == 2024:
                value = made.set_index("kind")["strs"]
                assert value["micro"] == pytest.approx(naive.strs(by_kind["micro"][1], by_kind["micro"][0]))
                micro = [
                    {k: [e for e in of if e.kind == "micro"] for k, of in side.items()} for side in (p, t)
                ]
                assert value["micro"] == metrics.evaluate(*micro, scorer).strs
                assert value[["macro", "overall"]].isna().all()
        pairs = [(a, b, c) for key, of in said.items() for a in of for b in labels[key] for c in labels[key]]
        ties += any(b is not c and naive.overlap(a, b) == naive.overlap(a, c) > 0 for a, b, c in pairs)
        kinds_seen |= {(year, e.kind) for of in said.values() for e in of}
        empty += not any(said.values())
        done += 1
    assert kinds_seen == {(2022, "micro"), (2022, "macro"), (2023, "micro"), (2023, "macro"), (2024, "micro")}
    assert empty >= 5 and ties >= 5


# --- the commands ---------------------------------------------------------------------------------------


def test_found_events_are_submitted_and_scored_by_the_commands(tmp_path, truth):
    found = {A: [Event(24, 35, emotion="positive")], B: [Event(16, 26, emotion="surprise")], C: []}
    macro = {A: [Event(52, 79, kind="macro")], B: [], C: []}
    folder = tmp_path / "found"
    for name, events in (("micro", found), ("macro", macro)):
        intervals.write(folder / f"{name}.csv", "toy", events, numbers=NUMBERS)
    assert "3 events of 3 videos" in metst("submit", folder, "--out", tmp_path / "both.csv")
    printed = metst("score", tmp_path / "both.csv", truth, "--protocol", "megc2022")
    assert "toy, megc2022: 3 videos of 2 subjects, 0.1 minutes" in printed
    assert [line.split()[:4] for line in printed.splitlines()[-3:]] == [
        ["macro", "1", "0", "0"], ["micro", "2", "0", "0"], ["overall", "3", "0", "0"],
    ]  # fmt: skip
    metst("submit", folder / "micro.csv", "--year", 2024, "--out", tmp_path / "str.csv")
    printed = metst("score", tmp_path / "str.csv", truth, "--protocol", "strict", "--videos", "all")
    assert "every event in it is taken for a micro-expression" in printed
    assert (
        "strs" in printed and printed.splitlines()[-2].split()[-1] == "0.3333"
    )  # one class of three is right
    refused = metst("score", tmp_path / "str.csv", truth, "--protocol", "megc2022", "--p", ".5", code=2)
    assert "--protocol megc2022 leaves no choice of p: leave it out" in refused
    refused = metst("score", folder / "micro.csv", truth, "--protocol", "strict", code=1)
    assert "micro.csv, line 1: a table of intervals" in refused


def test_what_analyze_leaves_is_submitted_in_the_recordings_own_numbers(tmp_path):
    for name, lines in (("one", "1,3,9,positive\n"), ("two", "")):
        (tmp_path / "my" / name).mkdir(parents=True)
        head = "event,start_frame,end_frame,emotion\n"
        (tmp_path / "my" / name / "events.csv").write_text(head + lines, encoding="utf-8")
    metst("submit", tmp_path / "my", "--year", 2023, "--out", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text(encoding="utf-8") == "vid,onset,offset,type\none,3,9,me\n"
    assert "names subjects" in metst(
        "submit", tmp_path / "my", "--year", 2024, "--out", tmp_path / "x", code=1
    )


def test_what_holds_no_found_events_is_refused(tmp_path):
    assert "holds no events.csv" in metst("submit", tmp_path, "--out", tmp_path / "x.csv", code=1)
    fold = text(tmp_path, "subject,video,origin,kind,onset,apex,offset,emotion\n")
    assert "is of a fold of a run" in metst("submit", fold, "--out", tmp_path / "x.csv", code=1)


def test_the_command_offers_each_protocol():
    (option,) = [option for option in command.params if option.name == "protocol"]
    assert list(option.type.choices) == list(megc.PROTOCOLS)
    assert all(scorer in metrics.SCORERS for scorer, _ in megc.PROTOCOLS.values())


def test_the_fields_row_adds_the_counts_of_both_kinds_subject_by_subject():
    macro, micro = np.array([[3, 1, 0], [2, 0, 2], [1, 1, 1]]), np.array([[1, 4, 2], [0, 0, 3], [2, 1, 0]])
    row = both_kinds(macro, micro)
    assert [tuple(vars(counts).values()) for counts, _ in row.values()] == [(6, 2, 3), (3, 5, 5), (9, 7, 8)]
    assert list(row) == ["macro", "micro", "overall"]
    assert row["overall"][0].f1 == 2 * 9 / (9 + 7 + 9 + 8) == row["overall"][1].value
    for kind, counts in {"macro": macro, "micro": micro, "overall": macro + micro}.items():
        assert row[kind][1] == interval(counts)
    assert both_kinds([macro, micro], [micro, macro])["overall"][0] == Counts(18, 14, 16)
    assert np.isnan(both_kinds(macro[:1], micro[:1])["macro"][1].low)
    with pytest.raises(ValueError, match=r"not of shapes \(3, 3\) and \(2, 3\)"):
        both_kinds(macro, micro[:2])
