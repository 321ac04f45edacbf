//! Every data set, in each of its layouts, gives the prompts of lm-evaluation-harness; errors name bad lines.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_sweep::Rule;
use layerwise_tasks::{DATA_SETS, DataSet, Item, Task, TaskError, Wanted, read_all, read_own};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn read(set: &str, files: &[(&str, &str)], wanted: Wanted) -> Result<Task, TaskError> {
    DataSet::named(set)
        .unwrap()
        .read(folder(files).path(), wanted)
}

/// The context and the scored part of each option, and the answer.
fn told(task: &Task, item: usize) -> (Vec<(String, String)>, Option<usize>) {
    let options = task.items[item].options.iter().enumerate();
    let pairs = options.map(|(at, option)| (task.context(item, at), option.scored.clone()));
    (pairs.collect(), task.items[item].answer)
}

/// Checks that each of some lines gives the same item.
#[track_caller]
fn check(set: &str, file: &str, lines: &[&str], pairs: &[(&str, &str)], answer: usize) {
    let task = read(set, &[(file, &lines.join("\r\n"))], Wanted::new(9)).unwrap();
    assert_eq!((task.name.as_str(), task.items.len()), (set, lines.len()));
    let pairs: Vec<(String, String)> = pairs
        .iter()
        .map(|(context, scored)| ((*context).to_owned(), (*scored).to_owned()))
        .collect();
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(told(&task, at), (pairs.clone(), Some(answer)), "{line}");
    }
}

#[test]
fn one_object_a_line() {
    check(
        "lambada_openai",
        "lambada_openai.jsonl",
        &[
            r#"{"context": "Some say", "continuation": "so"}"#,
            r#"{"text": "Some say so"}"#,
        ],
        &[("Some say", " so")],
        0,
    );
    let arc = [
        r#"{"query": "Question: Why?", "choices": ["a", "b c"], "gold": 1}"#,
        r#"{"question": {"stem": "Why?", "choices": [{"text": "a", "label": "A"}, {"text": "b c", "label": "B"}]}, "answerKey": "B"}"#,
        r#"{"question": "Why?", "choices": {"text": ["a", "b c"], "label": ["1", "2"]}, "answerKey": "2"}"#,
    ];
    let why = "Question: Why?\nAnswer:";
    check(
        "arc_easy",
        "arc_easy.jsonl",
        &arc,
        &[(why, " a"), (why, " b c")],
        1,
    );
    check(
        "arc_challenge",
        "ARC-Challenge-Test.jsonl",
        &arc,
        &[(why, " a"), (why, " b c")],
        1,
    );
    let roof = "Roof removal: A man is on a roof. He starts";
    check(
        "hellaswag",
        "hellaswag.jsonl",
        &[
            r#"{"query": "Roof removal: A man is on a roof. he STARTS", "choices": ["is up.", "falls. Off"], "gold": 1}"#,
            r#"{"activity_label": "Roof removal", "ctx_a": "A man is on [substeps] a roof.", "ctx_b": "he STARTS", "endings": ["is up.", "falls [title] Off"], "label": 1}"#,
            r#"{"activity_label": "Roof removal", "ctx_a": "A man is on a roof.", "ctx_b": "he starts", "endings": ["is up.", "falls. Off"], "label": "1"}"#,
        ],
        &[(roof, " is up."), (roof, " falls. Off")],
        1,
    );
    let goal = "Question: dresser\nAnswer:";
    check(
        "piqa",
        "piqa.jsonl",
        &[
            r#"{"query": "Question: dresser\n", "choices": ["x", "y z"], "gold": 1}"#,
            r#"{"goal": "dresser", "sol1": "x", "sol2": "y z", "label": 1}"#,
        ],
        &[(goal, " x"), (goal, " y z")],
        1,
    );
    check(
        "winogrande",
        "winogrande.jsonl",
        &[
            r#"{"context_options": ["So Sarah", "So Maria"], "continuation": "won.", "gold": 0}"#,
            r#"{"sentence": "So _ won.", "option1": "Sarah", "option2": "Maria", "answer": "1"}"#,
        ],
        &[("So Sarah", " won."), ("So Maria", " won.")],
        0,
    );
    let passage = "A passage.\nQuestion: is it?\nAnswer:";
    check(
        "boolq",
        "boolq.jsonl",
        &[
            r#"{"query": "Passage: A passage.\nQuestion: is it?", "choices": ["no", "yes"], "gold": 1}"#,
            r#"{"passage": "A passage.", "question": "is it", "answer": true}"#,
            r#"{"passage": "A passage.", "question": "is it", "label": 1, "idx": 0}"#,
        ],
        &[(passage, " no"), (passage, " yes")],
        1,
    );
    let prompt = "The following are multiple choice questions (with answers) about high school.\n\nWhy?\nA. w\nB. x\nC. y\nD. z\nAnswer:";
    check(
        "mmlu",
        "mmlu.jsonl",
        &[
            r#"{"question": " Why? ", "subject": "high_school", "choices": ["w", "x", "y", "z"], "answer": 3}"#,
            r#"{"question": "Why?", "subject": "high_school", "choices": ["w", "x", "y", "z"], "answer": "D"}"#,
        ],
        &[
            (prompt, " A"),
            (prompt, " B"),
            (prompt, " C"),
            (prompt, " D"),
        ],
        3,
    );
    let film = "fine film \nQuestion: Is this sentence positive or negative?\nAnswer:";
    check(
        "sst2",
        "sst2.jsonl",
        &[r#"{"idx": 0, "sentence": "fine film ", "label": 1}"#],
        &[(film, " negative"), (film, " positive")],
        1,
    );
}

/// The authors of PIQA publish labels in a file of their own; those of WinoGrande and of BoolQ both have a `dev.jsonl`.
#[test]
fn files_as_their_authors_publish_them() {
    let goals = "{\"goal\": \"dresser\", \"sol1\": \"x\", \"sol2\": \"y z\"}\n".repeat(2);
    let piqa = |labels| {
        let files = [("valid.jsonl", &*goals), ("valid-labels.lst", labels)];
        read("piqa", &files, Wanted::new(9))
    };
    let task = piqa("1\n0\n").unwrap();
    let answers: Vec<Option<usize>> = task.items.iter().map(|item| item.answer).collect();
    assert_eq!((answers, task.files.len()), (vec![Some(1), Some(0)], 2));
    let error = piqa("1\n").unwrap_err();
    assert!(matches!(
        error,
        TaskError::Labels {
            expected: 2,
            found: 1,
            ..
        }
    ));
    let error = read("piqa", &[("valid.jsonl", &goals)], Wanted::new(9)).unwrap_err();
    assert!(error.to_string().contains("no field `label`"), "{error}");

    let dev = |line: &str| {
        let folder = folder(&[("dev.jsonl", line)]);
        let found = DATA_SETS
            .iter()
            .filter(|set| set.find(folder.path()).is_some());
        let named = |set: &DataSet| (set.name, set.read(folder.path(), Wanted::new(9)).is_ok());
        found.map(named).collect::<Vec<_>>()
    };
    let boolq = r#"{"question": "is it", "title": "It", "answer": true, "passage": "A passage."}"#;
    assert_eq!(dev(boolq), [("boolq", true)]);
    let winogrande = r#"{"sentence": "So _ won.", "option1": "a", "option2": "b", "answer": "1"}"#;
    assert_eq!(dev(winogrande), [("winogrande", true)]);
}

/// Files of a folder may come from strangers: what a link leads to elsewhere is not read.
#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let line = r#"{"text": "Some say so"}"#;
    let folder = folder(&[("elsewhere.jsonl", line), ("data/own.jsonl", line)]);
    let data = folder.path().join("data");
    let link = data.join("lambada_openai.jsonl");
    let lambada = DataSet::named("lambada_openai").unwrap();
    for (target, is_read) in [("own.jsonl", true), ("../elsewhere.jsonl", false)] {
        std::os::unix::fs::symlink(target, &link).unwrap();
        let found = lambada.read(&data, Wanted::new(9));
        assert_eq!(found.is_ok(), is_read, "{target}");
        let refused = found.err().map(|error| error.to_string());
        assert!(refused.is_none_or(|error| error.contains("found a link to ../elsewhere.jsonl")));
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn columns() {
    let header = "question,choice0,choice1,choice2,choice3,answer\n";
    let files = [
        (
            "mmlu/test/law_test.csv",
            &*format!("{header}\"Who, \"\"me\"\"?\",1,2,3,4,2\nWhat?,1,2,3,4,0\n"),
        ),
        ("mmlu/test/art_test.csv", "Where?,1,2,3,4,B\n"),
        (
            "mmlu/dev/law_dev.csv",
            &*format!("{header}When?,1,2,3,4,1\nHow?,1,2,3,4,3\n"),
        ),
        ("mmlu/dev/art_dev.csv", "Whose?,1,2,3,4,A\n"),
    ];
    let task = read("mmlu", &files, Wanted::new(2).shots(1)).unwrap();
    let subjects: Vec<&str> = task
        .items
        .iter()
        .map(|item| item.subject.as_str())
        .collect();
    assert_eq!(subjects, ["art", "law"], "from every subject");
    assert_eq!(
        task.context(1, 0),
        "The following are multiple choice questions (with answers) about law.\n\nWhen?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\nWho, \"me\"?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:"
    );
    assert_eq!(task.files.len(), 4);
    let all = read("mmlu", &files, Wanted::new(9)).unwrap();
    assert_eq!((all.items.len(), all.shots["law"].len()), (3, 2));
    let files = [
        ("sst2/dev.tsv", "a \"fine film\t1\n"),
        ("sst2/train.tsv", "bad\t0\ngood\t1\nso so\t0\n"),
    ];
    let task = read(
        "sst2",
        &files,
        Wanted::new(9).of_one_token().shots(2).training(9),
    )
    .unwrap();
    let shots = "Q: bad\nA: negative\n\nQ: good\nA: positive\n\n";
    assert_eq!(task.context(0, 1), format!("{shots}Q: a \"fine film\nA:"));
    assert_eq!((task.items[0].answer, task.training.len()), (Some(1), 1));
    let zero = read("sst2", &files, Wanted::new(9)).unwrap();
    assert!(
        zero.context(0, 0)
            .starts_with("a \"fine film\nQuestion: Is")
    );
}

#[test]
fn answers_of_one_token_have_shots_that_are_no_items() {
    let line = |at: usize| {
        format!("{{\"query\": \"Question: {at}?\", \"choices\": [\"u\", \"v\"], \"gold\": 1}}\n")
    };
    let lines: String = (0..8).map(line).collect();
    let wanted = Wanted::new(2).of_one_token().shots(1);
    let task = read("arc_easy", &[("arc_easy.jsonl", &lines)], wanted).unwrap();
    assert_eq!(task.items.len(), 2);
    let shot = "Question: 0?\nA. u\nB. v\nAnswer: B\n\n";
    assert_eq!(
        task.context(1, 0),
        format!("{shot}Question: 2?\nA. u\nB. v\nAnswer:")
    );
}

#[test]
fn the_users_own_file() {
    let lines = "{\"prompt\": \"1+1=\", \"options\": [\"2\", \"3\"], \"gold\": 0}\n\n{\"query\": \"x\", \"choices\": [\"y\", \"z\"], \"subject\": \"s\"}\n";
    let folder = folder(&[("sums.jsonl", lines)]);
    let task = read_own(&folder.path().join("sums.jsonl"), 9).unwrap();
    assert_eq!((task.name.as_str(), task.rule), ("sums", Rule::Choice));
    assert_eq!(task.items[0], Item::new("1+1=", ["2", "3"]).answered(0));
    assert_eq!(task.items[1], Item::new("x", ["y", "z"]).about("s"));
}

#[test]
fn a_data_set_is_found_beside_the_others_or_among_the_zero_shot_ones() {
    let folder = folder(&[("zero-shot/piqa.jsonl", ""), ("mmlu/test/x.csv", "")]);
    let found = DATA_SETS
        .iter()
        .filter(|set| set.find(folder.path()).is_some());
    let names: Vec<&str> = found.map(|set| set.name).collect();
    assert_eq!(names, ["piqa", "mmlu"]);
}

#[test]
fn a_folder_or_a_file_gives_all_its_tasks() {
    let two = "{\"prompt\": \"1+1=\", \"options\": [\"2\", \"3\"]}\n".repeat(2);
    let arc = "{\"query\": \"Why?\", \"choices\": [\"a\", \"b\"], \"gold\": 1}\n".repeat(2);
    let words = "{\"text\": \"Some say so\"}\n";
    let folder = folder(&[
        ("own/sums.jsonl", &two),
        ("sets/arc_easy.jsonl", &arc),
        ("sets/lambada_openai.jsonl", words),
        ("sets/sums.jsonl", &two),
    ]);
    let read = |path: &str| read_all(&folder.path().join(path), 1);
    let check = |path: &str, expected: &[(&str, usize)]| {
        let tasks = read(path).unwrap();
        let found = tasks.iter().map(|own| (own.name.as_str(), own.items.len()));
        assert_eq!(found.collect::<Vec<_>>(), expected, "{path}");
    };
    check("sets", &[("lambada_openai", 1), ("arc_easy", 1)]);
    check("own/sums.jsonl", &[("sums", 1)]);
    let error = read("own").unwrap_err().to_string();
    let expected = "own: expected data sets of tasks, as NAME.jsonl or the folder mmlu, found none of lambada_openai, arc_easy, ";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn bad_lines_are_named() {
    let refused = |set: &str, file: &str, text: &str, expected: &str| {
        let error = read(set, &[(file, text)], Wanted::new(9))
            .unwrap_err()
            .to_string();
        let at = error.find(file).unwrap_or_else(|| panic!("{error}"));
        assert!(
            error[at..].starts_with(&format!("{file}: {expected}")),
            "{error}"
        );
    };
    let lambada = |text: &str, expected: &str| {
        refused("lambada_openai", "lambada_openai.jsonl", text, expected);
    };
    lambada("", "expected an object with the strings context");
    let form =
        "expected an object with the strings context and continuation, or with the string text";
    lambada("\n\n{", &format!("line 3: {form}: EOF"));
    lambada(
        "[{\"text\": \"one two\"},\n {\"text\": \"three four\"}]",
        &format!("line 1: {form}: an array of them; write each on a separate line"),
    );
    lambada(
        &format!("{{\"text\": \"a b\", \"x\": [0{}]}}", ",0".repeat(1 << 21)),
        &format!("line 1: {form}: more than 2097152 values"),
    );
    lambada(
        "{\"context\": \"a\"}",
        &format!("line 1: {form}: missing field `continuation`"),
    );
    lambada(
        "{\"context\": \"\", \"continuation\": \"b\"}",
        "line 1: context: expected text, found \"\"",
    );
    let arc = |text: &str, expected: &str| refused("arc_easy", "arc_easy.jsonl", text, expected);
    arc(
        r#"{"query": "q", "choices": ["a", "b"], "gold": 2}"#,
        "line 1: gold: expected an index below 2, found 2",
    );
    arc(
        r#"{"query": "q", "choices": ["a"], "gold": 0}"#,
        "line 1: choices: expected at least 2, found 1",
    );
    arc(
        r#"{"query": "q", "choices": ["a", " "], "gold": 0}"#,
        "line 1: choices: expected text in each",
    );
    arc(
        r#"{"query": " ", "choices": ["a", "b"], "gold": 0}"#,
        "line 1: query: expected text",
    );
    arc(
        r#"{"query": "q", "choices": ["a", "b"], "gold": -1}"#,
        "line 1: expected an object with the string query",
    );
    arc(
        r#"{"question": "q", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "E"}"#,
        "line 1: answer: expected one of the 2 options, found the answer of no choice",
    );
    arc(
        r#"{"question": "q", "choices": {"text": ["a", "b", "c"], "label": ["A", "B"]}, "answerKey": "B"}"#,
        "line 1: choices: expected 3 labels, one for each text, found 2",
    );
    // There are eight letters: a ninth option would be neither shown nor scored.
    let nine = r#"["a", "b", "c", "d", "e", "f", "g", "h", "i"]"#;
    refused(
        "mmlu",
        "mmlu.jsonl",
        &format!(r#"{{"question": "q", "choices": {nine}, "answer": 8}}"#),
        "line 1: choices: expected at most 8, found 9",
    );
    let lines = format!(r#"{{"query": "q", "choices": {nine}, "gold": 8}}"#);
    let wanted = Wanted::new(9).of_one_token();
    let error = read("arc_easy", &[("arc_easy.jsonl", &lines)], wanted).unwrap_err();
    let expected = "line 1: choices: expected at most 8, found 9";
    assert!(error.to_string().ends_with(expected), "{error}");
    arc(
        &lines.replace("\"gold\": 8", "\"gold\": 9"),
        "line 1: gold: expected an index below 9",
    );
    for gold in ["2", "-1", "1.0", "\"B\"", "[1]"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.jsonl");
        let line = format!(r#"{{"prompt": "q", "options": ["a", "b"], "gold": {gold}}}"#);
        std::fs::write(&path, line).unwrap();
        let message = read_own(&path, 9).unwrap_err().to_string();
        let expected = format!("line 1: gold: expected an index below 2, found {gold}");
        assert!(message.contains(&expected), "{message}");
    }
    refused(
        "winogrande",
        "winogrande.jsonl",
        r#"{"sentence": "a", "option1": "b", "option2": "c", "answer": "1"}"#,
        "line 1: sentence: expected a blank",
    );
    refused(
        "winogrande",
        "winogrande.jsonl",
        r#"{"sentence": "_ a", "option1": "b", "option2": "c", "answer": "3"}"#,
        "line 1: answer: expected one of the 2 options",
    );
    let mmlu = |text: &str, expected: &str| refused("mmlu", "mmlu/test/x_test.csv", text, expected);
    mmlu(
        "q,1,2,3,4,E\n",
        "line 1: answer: expected an index below 4, found 4",
    );
    refused("mmlu", "mmlu/test", "a file", "cannot list the files: ");
    mmlu(
        "q,1,2,3,4,A\nq,1,2\n",
        "line 2: expected a question, four choices and the answer: 3 columns",
    );
    refused(
        "sst2",
        "sst2/dev.tsv",
        "good\t2\n",
        "line 1: answer: expected an index below 2, found 2",
    );
    refused(
        "sst2",
        "sst2/dev.tsv",
        "good 1\n",
        "line 1: expected a sentence and its label, 0 or 1: 1 columns",
    );
    let missing = DATA_SETS[4]
        .read(Path::new("nowhere"), Wanted::new(1))
        .unwrap_err();
    assert!(
        missing.to_string().contains("nowhere: not found"),
        "{missing}"
    );
    let missing = read("piqa", &[], Wanted::new(1)).unwrap_err();
    assert!(
        missing.to_string().contains("piqa.jsonl: not found"),
        "{missing}"
    );
}
