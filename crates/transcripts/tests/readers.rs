//! What the readers accept, and the messages of their refusals.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_transcripts::{
    Limits, NBestLists, ScoreScale, TranscriptError, read_columns, read_corrections,
    read_hyporadise, read_kaldi, read_table,
};

fn small() -> Limits {
    let mut limits = Limits::default();
    limits.bytes = 400;
    limits.utterances = 3;
    limits.hypotheses = 4;
    limits.all_hypotheses = 6;
    limits.words = 5;
    limits.text_bytes = 30;
    limits
}

/// Ids with hypotheses, scores and reference, as one text.
fn shown(lists: &NBestLists) -> String {
    let utterances = lists.utterances.iter().map(|utterance| {
        let hypotheses = utterance.hypotheses.iter().map(|hypothesis| {
            let score = hypothesis.score.map(|score| format!(" {score}"));
            format!("[{}]{}", hypothesis.text, score.unwrap_or_default())
        });
        let hypotheses: Vec<String> = hypotheses.collect();
        let reference = utterance.reference.as_ref();
        let reference = reference.map(|text| format!(" = {text}"));
        let reference = reference.unwrap_or_default();
        format!("{}: {}{reference}", utterance.id, hypotheses.join(" "))
    });
    utterances.collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn check_refused<T: std::fmt::Debug>(
    input: &str,
    result: Result<T, TranscriptError>,
    mentioned: &[&str],
) {
    let said = result.expect_err(input).to_string();
    for part in mentioned {
        assert!(said.contains(part), "{input}: no `{part}` in: {said}");
    }
}

#[test]
fn json_is_read() {
    let check = |input: &str, expected: &str, scale: ScoreScale| {
        let lists = read_hyporadise(input.as_bytes(), &small()).unwrap();
        assert_eq!(shown(&lists), expected);
        assert_eq!(lists.scale, scale);
    };
    check(
        r#"[{"input": ["a b", "a"], "output": "a c"}, {"input": [" b"]}]"#,
        "0: [a b] [a] = a c; 1: [ b]",
        ScoreScale::Absent,
    );
    check(
        r#" [{"id": "x", "am_score": [-0.5, -1], "output": null, "input": ["a", ""]}] "#,
        "x: [a] -0.5 [] -1",
        ScoreScale::Mean,
    );
}

#[test]
fn what_is_odd_is_told() {
    let input = r#"[{"input": ["a", " "], "score": [0.5, -1], "input1": "a", "more": {"a": [1]}}]"#;
    let odd = read_hyporadise(input.as_bytes(), &small())
        .unwrap()
        .oddities;
    assert_eq!(odd.positive_scores, 1);
    assert_eq!(odd.empty_hypotheses, 1);
    let keys: Vec<&str> = odd.unread_keys.iter().map(String::as_str).collect();
    assert_eq!(keys, ["`input1`", "`more`"]);
}

#[test]
fn bad_json_is_refused() {
    let deep = format!(r#"[{{"input": ["a"], "x": {}}}]"#, "[".repeat(300));
    for (input, mentioned) in [
        ("", ["file", "EOF"].as_slice()),
        ("{}", &["file", "a list of objects", "map"]),
        ("[]", &["file", "at least one utterance", "none"]),
        ("[1]", &["utterance 0", "an object with `input`", "`1`"]),
        (
            r#"[{"output": "a"}]"#,
            &["utterance 0", "the field `input`"],
        ),
        (
            r#"[{"input": []}]"#,
            &["utterance 0, `input`", "one hypothesis"],
        ),
        (
            r#"[{"input": "a"}]"#,
            &["utterance 0, `input`", "a list of strings"],
        ),
        (r#"[{"input": ["a", 1]}]"#, &["utterance 0, `input`", "`1`"]),
        (
            r#"[{"input": ["a"], "output": 1}]"#,
            &["utterance 0, `output`", "`1`"],
        ),
        (r#"[{"input": ["a"], "id": 1}]"#, &["utterance 0, `id`"]),
        (
            r#"[{"id": "x y", "input": ["a"]}]"#,
            &["utterance 0, `id`", "an id without white space", "`x y`"],
        ),
        (
            r#"[{"input": ["a"], "id": "x\ny forged"}]"#,
            &["utterance 0, `id`", r"`x\ny forged`"],
        ),
        (r#"[{"input": ["a"], "id": ""}]"#, &["`id`", "found ``"]),
        (
            r#"[{"input": ["a"]}, {"input": ["a"], "score": [-1, -2]}]"#,
            &["utterance 1, `score`", "no scores"],
        ),
        (
            r#"[{"input": ["a"], "score": [-1, -2]}]"#,
            &["utterance 0, `score`", "1 scores", "found 2"],
        ),
        (
            r#"[{"input": ["a"], "score": [-1]}, {"input": ["a"]}]"#,
            &["utterance 1, `score`", "found none"],
        ),
        (
            r#"[{"input": ["a"], "score": [NaN]}]"#,
            &["utterance 0, `score`"],
        ),
        (
            r#"[{"input": ["a"], "score": [1e999]}]"#,
            &["utterance 0, `score`", "range"],
        ),
        (
            r#"[{"input": ["a"], "am_score": "x"}]"#,
            &["`am_score`", "a list of numbers"],
        ),
        (
            r#"[{"input": ["a"], "input": ["b"]}]"#,
            &["`input`", "once"],
        ),
        (
            r#"[{"input": ["a"], "id": "x"}, {"input": ["b"], "id": "x"}]"#,
            &["utterance 1", "`x`", "earlier"],
        ),
        (
            r#"[{"input": ["a"], "id": "1"}, {"input": ["b"]}]"#,
            &["utterance 1", "`1`", "earlier"],
        ),
        (r#"[{"input": ["a"]}] x"#, &["file", "trailing"]),
        (r#"[{"input": ["a"]}"#, &["utterance 1", "EOF"]),
        (r#"[{"input": ["\ud800"]}]"#, &["utterance 0, `input`"]),
        (
            r#"[{"input": ["a", "b", "c", "d", "e"]}]"#,
            &["`input`", "at most 4 hypotheses", "found 5"],
        ),
        (
            r#"[{"input": ["a", "b", "c", "d"]}, {"input": ["a", "b", "c"]}]"#,
            &[
                "utterance 1, `input`",
                "at most 6 hypotheses of the file, found 7",
                "6",
            ],
        ),
        (
            r#"[{"input":["a"]},{"input":["a"]},{"input":["a"]},{"input":["a"]}]"#,
            &["utterance 3", "at most 3 utterances", "found 4"],
        ),
        (
            r#"[{"input": ["a b c d e f"]}]"#,
            &["`input`", "at most 5 words", "found 6"],
        ),
        (
            r#"[{"input": ["a"], "output": "a b c d e f"}]"#,
            &["`output`", "found 6"],
        ),
        (
            r#"[{"input": ["a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a"]}]"#,
            &["`input`", "at most 30 bytes of a text, found 31"],
        ),
        (
            r#"[{"input": ["a"], "output": "a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a"}]"#,
            &["`output`", "at most 30 bytes of a text, found 31"],
        ),
        (
            &" ".repeat(401),
            &["file", "at most 400 bytes", "found 401"],
        ),
        (&deep, &["utterance 0"]),
    ] {
        check_refused(
            input,
            read_hyporadise(input.as_bytes(), &small()),
            mentioned,
        );
    }
    let result = read_hyporadise(&b"[\"\xff\"]"[..], &small());
    check_refused("bytes", result, &["file", "UTF-8", "first 2"]);
}

#[test]
fn columns_are_read() {
    let input = "x a b\nx\ta  c\n\n  y\nz d\n";
    let lists = read_columns(input.as_bytes(), &small()).unwrap();
    assert_eq!(shown(&lists), "x: [a b] [a  c]; y: []; z: [d]");
    assert_eq!(lists.oddities.empty_hypotheses, 1);
    let table = read_table(&input.as_bytes()[7..], &small()).unwrap();
    let rows = table.iter();
    let rows: Vec<_> = rows.map(|row| (row.line, &*row.id, &*row.text)).collect();
    // The second line is blank.
    assert_eq!(rows, [(1, "a", "c"), (3, "y", ""), (4, "z", "d")]);
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let lists = read_columns("\u{feff}x a".as_bytes(), &small()).unwrap();
    assert_eq!(shown(&lists), "x: [a]");
    let json = "\u{feff}[{\"input\": [\"a\"]}]";
    let lists = read_hyporadise(json.as_bytes(), &small()).unwrap();
    assert_eq!(shown(&lists), "0: [a]");
}

#[test]
fn bad_columns_are_refused() {
    for (input, mentioned) in [
        ("", ["file", "at least one utterance"].as_slice()),
        ("x a\ny b\nx c", &["line 3", "`x`", "earlier"]),
        (
            "w a\nx a\ny a\nz a",
            &["line 4", "at most 3 utterances, found 4"],
        ),
        (
            "x a\nx b\nx c\nx d\nx e",
            &["line 5", "at most 4 hypotheses", "found 5"],
        ),
        ("x a b c d e f", &["line 1", "at most 5 words, found 6"]),
        (
            "x a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a",
            &["line 1", "at most 30 bytes of a text, found 31"],
        ),
    ] {
        check_refused(input, read_columns(input.as_bytes(), &small()), mentioned);
    }
    for (input, mentioned) in [
        ("x a\nx b", ["line 2", "`x`"].as_slice()),
        (
            "w a\nx a\ny a\nz a",
            &["line 4", "at most 3 lines, found 4"],
        ),
        ("x a b c d e f", &["line 1", "at most 5 words, found 6"]),
        (
            "x a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a",
            &["line 1", "at most 30 bytes of a text, found 31"],
        ),
    ] {
        check_refused(input, read_table(input.as_bytes(), &small()), mentioned);
    }
}

#[test]
fn kaldi_is_read() {
    let text = "x-y-1 a b\nx-y-2 a\nz-1 c\n";
    let none: [&[u8]; 0] = [];
    let lists = read_kaldi(text.as_bytes(), none, &small()).unwrap();
    assert_eq!(shown(&lists), "x-y: [a b] [a]; z: [c]");
    assert_eq!(lists.scale, ScoreScale::Absent);
    let costs = [
        "x-y-1 1.5\nx-y-2 2\nz-1 3\n",
        "x-y-1 1\nx-y-2 1e1\nz-1 -4\n",
    ];
    let lists = read_kaldi(text.as_bytes(), costs.map(str::as_bytes), &small()).unwrap();
    assert_eq!(shown(&lists), "x-y: [a b] -2.5 [a] -12; z: [c] 1");
    assert_eq!(lists.scale, ScoreScale::Sum);
    assert_eq!(lists.oddities.positive_scores, 1);
    // A table of costs may have as many lines as there are hypotheses, which are more than the utterances.
    let text = "x-1 a\nx-2 b\ny-1 c\ny-2 d\n";
    let costs = ["x-1 1\nx-2 2\n\ny-1 3\ny-2 4\n"].map(str::as_bytes);
    let lists = read_kaldi(text.as_bytes(), costs, &small()).unwrap();
    assert_eq!(shown(&lists), "x: [a] -1 [b] -2; y: [c] -3 [d] -4");
}

#[test]
fn bad_kaldi_is_refused() {
    for (text, costs, mentioned) in [
        ("x a", None, ["line 1", "`utterance-1`", "`x`"].as_slice()),
        ("x-a a", None, &["line 1", "`x-a`"]),
        ("-1 a", None, &["line 1", "`-1`"]),
        ("x-2 a", None, &["line 1", "`x-1`", "`x-2`"]),
        ("x-1 a\nx-1 b", None, &["line 2", "`x-2`", "`x-1`"]),
        ("x-1 a\ny-1 a\nx-1 b", None, &["line 3", "`x`"]),
        ("x-99999999999999999999 a", None, &["line 1"]),
        (
            "x-1 a",
            Some("x-1 b"),
            &["cost table 1: line 1", "one finite number", "`b`"],
        ),
        ("x-1 a", Some("\n\nx-1 b"), &["cost table 1: line 3", "`b`"]),
        ("x-1 a", Some("x-1 1\nx-1 2"), &["cost table 1: line 2"]),
        ("x-1 a", Some("x-1 inf"), &["line 1", "`inf`"]),
        ("x-1 a", Some("y-1 1"), &["line 1", "`y-1`", "`x-1`"]),
        (
            "x-1 a",
            Some("\ny-1 1"),
            &["line 1", "line 2 of cost table 1"],
        ),
        ("x-1 a", Some(""), &["line 1", "no line"]),
        (
            "x-1 a",
            Some("x-1 1\nx-2 1"),
            &["1 lines in cost table 1", "found 2"],
        ),
    ] {
        let result = read_kaldi(text.as_bytes(), costs.map(str::as_bytes), &small());
        check_refused(text, result, mentioned);
    }
    let costs = ["x-1 1e308"; 2].map(str::as_bytes);
    let result = read_kaldi(&b"x-1 a"[..], costs, &small());
    check_refused("overflow", result, &["line 1", "a finite sum", "`x-1`"]);
}

#[test]
fn references_are_given_by_id() {
    let mut lists = read_columns(&b"x a\ny b"[..], &small()).unwrap();
    let table = |text: &str| read_table(text.as_bytes(), &small()).unwrap();
    lists.set_references(table("y c")).unwrap();
    assert_eq!(shown(&lists), "x: [a]; y: [b] = c");
    check_refused("z", lists.set_references(table("z c")), &["line 1", "`z`"]);
    let result = lists.set_references(table("x a\n\nz c"));
    check_refused("blank", result, &["line 3", "`z`"]);
}

#[test]
fn messages_are_short_whatever_the_file_contains() {
    let limits = Limits::default();
    let long = "z".repeat(100_000);
    let check = |error: TranscriptError, part: &str| {
        let said = error.to_string();
        assert!(said.len() < 1000 && said.contains(part), "{said:.2000}");
    };
    let mut lists = read_columns(&b"x a"[..], &limits).unwrap();
    let table = read_table(long.as_bytes(), &limits).unwrap();
    check(lists.set_references(table).unwrap_err(), "no utterance");
    let twice = format!("{long} a\n{long} b");
    let error = read_table(twice.as_bytes(), &limits).unwrap_err();
    check(error, "give each utterance a unique id");
    let input = format!("[{{\"input\": \"{long}\"}}]");
    let error = read_hyporadise(input.as_bytes(), &limits).unwrap_err();
    check(error, "expected a list of strings at line 1 column ");
    let error = read_corrections(format!("\"{long}\"").as_bytes(), &limits).unwrap_err();
    check(error, "`correction` at column ");
}

#[test]
fn corrections_are_read() {
    let input = "{\"id\": \"x\", \"correction\": \"a b\\nc\", \"model\": {\"n\": 1}}\n\n{\"correction\": \"\", \"id\": \"y\"}";
    let found = read_corrections(input.as_bytes(), &small()).unwrap();
    let expected = [("x", "a b\nc"), ("y", "")];
    let expected = expected.map(|(id, text)| (id.to_owned(), text.to_owned()));
    assert_eq!(found, expected);
    let line = |id: &str| format!("{{\"id\":\"{id}\",\"correction\":\"a\"}}\n");
    let twice = line("x") + &line("x");
    let many: String = ["w", "x", "y", "z"].map(line).concat();
    for (input, mentioned) in [
        ("[]", ["line 1", "an object with `id`"].as_slice()),
        ("{\"id\": \"x\"}", &["line 1", "`correction`"]),
        ("{\"correction\": \"x\"}", &["line 1", "`id`"]),
        ("{\"id\": 1, \"correction\": \"x\"}", &["line 1", "`1`"]),
        ("{\"id\": \"x\", \"id\": \"x\"}", &["line 1", "`id` once"]),
        (
            "{\"id\": \"x\", \"correction\": \"a\"} x",
            &["line 1", "trailing"],
        ),
        (
            "{\"id\": \"x\", \"correction\": \"a b c d e f\"}",
            &["line 1", "at most 5 words, found 6"],
        ),
        (
            "{\"id\": \"x\", \"correction\": \"a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a\"}",
            &["line 1", "at most 30 bytes of a text, found 31"],
        ),
        (&twice, &["line 2", "`x`", "earlier"]),
        (&many, &["line 4", "at most 3 corrections, found 4"]),
    ] {
        check_refused(
            input,
            read_corrections(input.as_bytes(), &small()),
            mentioned,
        );
    }
}
