//! `rescore` on lists of a few words, and lists that it refuses.

use crate::statistics::embedded_model;
use crate::{Outcome, Sandbox, tiny};

const HEADER: &str = "model,set,normaliser,mode,count_rule,alpha,beta,theta,tau,utterances,reference_words,sent,sent_share,\
substitutions,deletions,insertions,wer,wer_low,wer_high,wer_change,relative_change,p_improvement,p_worsening,mapsswe_z,list_oracle,\
lattice_oracle,violations_words,violations_count,violations_form,lm_tokens,seconds";

const LISTS: &str = r#"[
    {"id": "a", "input": ["show me fights to boston", "show me flights to austin", "show flights to boston"],
     "output": "show me flights to boston", "score": [-0.30, -0.31, -0.33]},
    {"id": "b", "input": ["list flights", "list flights"], "output": "list all flights", "score": [-0.1, -0.2]},
    {"id": "c", "input": ["list the u. s. flights", "list u s flies"], "output": "List the US flights.", "score": [-0.1, -0.9]},
    {"id": "d", "input": ["show a fight to denver", "show the flights to denver"],
     "output": "show the flights to denver", "score": [-0.20, -0.21]}
]"#;

const SENTENCES: &str =
    "show me flights from denver\nlist all flights to boston\nshow the flights to denver\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("lists.json", LISTS.as_bytes());
    sandbox.write("sentences.txt", SENTENCES.as_bytes());
    sandbox
}

fn rescore(sandbox: &Sandbox, more: &[&str]) -> Outcome {
    let arguments = ["rescore", "lists.json", "--replicates", "200"];
    sandbox.xtask(&[&arguments, more].concat())
}

/// Rows of a table without its header, cell by cell.
fn rows(sandbox: &Sandbox, file: &str) -> Vec<Vec<String>> {
    let text = String::from_utf8(sandbox.read(file)).unwrap();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(cells).collect()
}

fn text(sandbox: &Sandbox, file: &str) -> String {
    String::from_utf8(sandbox.read(file)).unwrap()
}

#[test]
fn without_a_language_model_lists_vote() {
    let sandbox = sandbox();
    let said = rescore(&sandbox, &["--out", "out"]).succeeded().stdout;
    assert!(said.contains("best: 23.53 %"), "{said}");
    assert!(
        said.contains("gate: a person should read 2 of 4 utterances"),
        "{said}"
    );
    // As written, `List`, `US` and `flights.` are other words, and `u. s.` is two.
    let raw = "As written, 17 words, normaliser none:\n                best: 47.06 %";
    assert!(said.contains(raw), "{said}");
    let table = text(&sandbox, "out/asr-correction.csv");
    assert_eq!(table.lines().next(), Some(HEADER));
    let rows = rows(&sandbox, "out/asr-correction.csv");
    let modes: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
    assert_eq!(modes, ["best", "vote", "best"]);
    assert_eq!(rows[2][..3], ["none", "lists", "none"]);
    assert_eq!(rows[2][9..16], ["4", "17", "0", "0.0", "6", "1", "1"]);
    assert_eq!(rows[0][..3], ["none", "lists", "norm"]);
    // 17 words; errors: fights, all, a, fight.
    assert_eq!(rows[0][9..16], ["4", "17", "0", "0.0", "3", "1", "0"]);
    let transcript = "a show me flights to boston\nb list flights\nc list the us flights\nd show a fight to denver\n";
    assert_eq!(text(&sandbox, "out/vote.txt"), transcript);
}

#[test]
fn a_trigram_model_corrects_behind_a_gate() {
    let sandbox = sandbox();
    let options = [
        "--trigrams",
        "sentences.txt",
        "--tau",
        "0.9",
        "--out",
        "out",
    ];
    let more = ["--utterances", "--lattices"];
    rescore(&sandbox, &[options.as_slice(), &more].concat()).succeeded();
    let lattice = text(&sandbox, "out/lattice-gated.txt");
    let expected = "a show me flights to boston\nb list flights\nc list the us flights\nd show the flights to denver\n";
    assert_eq!(lattice, expected);
    let rows = rows(&sandbox, "out/asr-correction.csv");
    let gated = rows
        .iter()
        .find(|row| row[3] == "lattice" && !row[8].is_empty())
        .unwrap();
    assert_eq!(gated[5..9], ["0.7", "3", "0.05", "0.9"]);
    assert_eq!(gated[11..16], ["2", "50.0", "0", "1", "0"]);
    assert_eq!(gated[26..29], ["0", "0", "0"]);
    assert_ne!(gated[29], "0", "tokens were scored");
    let decisions = text(&sandbox, "out/asr-utterances.jsonl");
    let first: serde_json::Value = serde_json::from_str(decisions.lines().next().unwrap()).unwrap();
    assert_eq!(first["id"], "a");
    assert_eq!(first["sent"], true);
    assert_eq!(first["hypotheses"], 3);
    assert_eq!(first["distance"], 2.0);
    assert!(first["gap"].as_f64().unwrap() < 0.9, "{first}");
    assert_eq!(first["errors_before"], 1);
    assert_eq!(first["systems"]["lattice-gated"]["errors"], 0);
    assert_eq!(text(&sandbox, "out/lattices.jsonl").lines().count(), 4);
    assert_eq!(self::rows(&sandbox, "out/asr-gate.csv").len(), 11);
}

#[test]
fn the_count_rule_is_kept() {
    let sandbox = sandbox();
    let options = [
        "--trigrams",
        "sentences.txt",
        "--count",
        "keep",
        "--mode",
        "lattice",
    ];
    rescore(&sandbox, &[&options[..], &["--out", "out"]].concat()).succeeded();
    let words = |file: &str| -> Vec<usize> {
        let text = text(&sandbox, file);
        text.lines().map(|line| line.split(' ').count()).collect()
    };
    assert_eq!(words("out/lattice-keep.txt"), words("out/best.txt"));
    let rows = rows(&sandbox, "out/asr-correction.csv");
    assert_eq!(rows[1][4], "keep");
    assert_eq!(rows[1][26..29], ["0", "0", "0"]);
}

#[test]
fn settings_are_tuned_on_other_utterances() {
    let sandbox = sandbox();
    for tune in ["halves", "lists.json"] {
        let options = ["--trigrams", "sentences.txt", "--tune", tune, "--out", tune];
        let out = format!("{tune}.out");
        let options = [&options[..5], &[out.as_str()]].concat();
        rescore(&sandbox, &options).succeeded();
        let rows = rows(&sandbox, &format!("{out}/asr-correction.csv"));
        let modes: Vec<(&str, bool)> = rows
            .iter()
            .map(|row| (row[3].as_str(), !row[8].is_empty()))
            .collect();
        let expected = [
            ("best", false),
            ("vote", false),
            ("vote", true),
            ("select", false),
            ("select", true),
            ("lattice", false),
            ("lattice", true),
            ("best", false),
        ];
        assert_eq!(modes, expected, "{tune}");
    }
}

#[test]
fn a_transformer_scores_the_same_whatever_the_threads() {
    let sandbox = sandbox();
    let [model, _] = embedded_model();
    let table = |threads: &str| {
        let options = ["--model", &model, "--threads", threads, "--tau", "0.9"];
        let more = ["--prefix", "Flights.", "--end-token", "0", "--out", threads];
        rescore(&sandbox, &[&options[..], &more].concat()).succeeded();
        let mut rows = rows(&sandbox, &format!("{threads}/asr-correction.csv"));
        for row in &mut rows {
            row.truncate(30);
        }
        rows
    };
    let rows = table("1");
    assert_eq!(rows, table("3"));
    assert!(rows.iter().all(|row| row[0] == model));
    let modes: Vec<&str> = rows.iter().map(|row| row[3].as_str()).collect();
    let expected = [
        "best", "vote", "vote", "select", "select", "lattice", "lattice", "best",
    ];
    assert_eq!(modes, expected);
    assert_ne!(rows[6][29], "0", "tokens were scored");
    assert_eq!(rows[6][26..29], ["0", "0", "0"]);
}

#[test]
fn a_transformer_writes_freely_and_along_lattices() {
    let sandbox = sandbox();
    let [model, _] = embedded_model();
    sandbox.write("short.txt", b"{list}\nSaid:");
    let options = ["--model", &model, "--template", "short.txt", "--tau", "0.9"];
    let modes = ["--mode", "generate", "--mode", "constrained"];
    let options = [&options[..], &modes, &["--out", "out"]].concat();
    rescore(&sandbox, &options).succeeded();
    let table = rows(&sandbox, "out/asr-correction.csv");
    let modes: Vec<[&str; 2]> = table.iter().map(|row| [&*row[3], &*row[8]]).collect();
    let expected = [
        ["best", ""],
        ["generate", "0.9"],
        ["constrained", "0.9"],
        ["best", ""],
    ];
    assert_eq!(modes, expected);
    assert_eq!(table[2][11..12], ["2"], "those that the gate sends");
    assert_eq!(table[2][26..29], ["0", "0", "0"]);
    assert_ne!(table[2][29], "0", "tokens were read");
    let files = ["generate-gated.txt", "constrained-gated.txt"];
    let texts = || files.map(|file| text(&sandbox, &format!("out/{file}")));
    let first = texts();
    assert!(first[1].contains("\nb list flights\n"), "{first:?}");
    // Finished work is reused.
    let again = rescore(&sandbox, &options).succeeded();
    assert!(
        again
            .stderr
            .contains("2 utterances of the corrections were finished by an earlier run"),
        "{}",
        again.stderr
    );
    assert_eq!(texts(), first);
    rescore(
        &sandbox,
        &[&options[..], &["--threads", "1", "--fresh"]].concat(),
    )
    .succeeded();
    assert_eq!(texts(), first);
    let manifest: serde_json::Value =
        serde_json::from_slice(&sandbox.read("out/manifest.json")).unwrap();
    assert_eq!(manifest["labelled"][0]["file"], "lists.json");
    assert_eq!(manifest["runs"][0]["model"], model.as_str());
    // A template that contains only the message gives the same prompt as plain text.
    let said = "{% for it in messages %}{{ it.content }}{% endfor %}";
    sandbox.write("said.jinja", said.as_bytes());
    let other = format!("{said}{{{{ ' No:' }}}}");
    sandbox.write("other.jinja", other.as_bytes());
    let read = |asked: &[&str]| {
        let options = &options[..options.len() - 2];
        rescore(
            &sandbox,
            &[options, asked, &["--out", "asked", "--fresh"]].concat(),
        )
        .succeeded();
        rows(&sandbox, "asked/asr-correction.csv")[1][29].clone()
    };
    let plain = read(&["--plain", "--bos", "none"]);
    assert_eq!(read(&["--chat-template", "said.jinja"]), plain);
    let manifest = sandbox.json("asked/manifest.json");
    let files = manifest["labelled"].as_array().unwrap();
    assert!(
        files.iter().any(|it| it["file"] == "said.jinja"),
        "{files:?}"
    );
    assert_ne!(read(&["--chat-template", "other.jinja"]), plain);
    let keep = [&options[..], &["--count", "keep", "--fresh"]].concat();
    rescore(&sandbox, &keep).succeeded();
    let words = |file: &str| -> Vec<usize> {
        let text = text(&sandbox, file);
        text.lines().map(|line| line.split(' ').count()).collect()
    };
    assert_eq!(
        words("out/constrained-keep-gated.txt"),
        words("out/best.txt")
    );
}

#[test]
fn scores_of_a_transformer_are_kept_for_other_modes() {
    let sandbox = sandbox();
    let [model, _] = embedded_model();
    let run = |mode: &str, out: &str| {
        let options = [
            "--model", &model, "--mode", mode, "--tau", "0.9", "--out", out,
        ];
        rescore(&sandbox, &options).succeeded()
    };
    assert!(!run("select", "out").stderr.contains("earlier run"));
    let said = run("lattice", "out").stderr;
    assert!(
        said.contains("sentences were scored by an earlier run"),
        "{said}"
    );
    run("lattice", "other");
    let table = |out: &str| {
        let mut rows = rows(&sandbox, &format!("{out}/asr-correction.csv"));
        rows.iter_mut().for_each(|row| row.truncate(29));
        rows
    };
    assert_eq!(table("out"), table("other"));
    let other = ["--model", &model, "--prefix", "Flights.", "--out", "out"];
    rescore(&sandbox, &other).refused(&["scores.journal", "another run"]);
    rescore(&sandbox, &[&other[..], &["--fresh"]].concat()).succeeded();
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_the_work() {
    let sandbox = sandbox();
    let options = [
        "--trigrams",
        "none.txt",
        "--tune",
        "halves",
        "--count",
        "keep",
    ];
    let more = ["--corrections", "none.jsonl", "--lattices", "--out"];
    for name in [
        "best.txt",
        "vote-keep.txt",
        "select-gated.txt",
        "lattice-keep-gated.txt",
        "external-keep.txt",
        "asr-correction.csv",
        "asr-gate.csv",
        "lattices.jsonl",
    ] {
        let out = format!("{name}.out");
        std::fs::create_dir_all(sandbox.path(&out).join(name)).unwrap();
        let options = [&options[..], &more, &[out.as_str()]].concat();
        rescore(&sandbox, &options).refused(&[name, "expected a file, found a folder"]);
    }
}

#[test]
fn outputs_are_compared() {
    let sandbox = sandbox();
    rescore(&sandbox, &["--trigrams", "sentences.txt", "--out", "out"]).succeeded();
    let compare = |first: &str, second: &str| rescore(&sandbox, &["--compare", first, second]);
    let said = compare("out/best.txt", "out/lattice.txt")
        .succeeded()
        .stdout;
    assert!(said.contains("out/best.txt: WER 23.53 %"), "{said}");
    assert!(said.contains("matched pairs: "), "{said}");
    sandbox.write("fewer.txt", b"a show\n");
    compare("out/best.txt", "fewer.txt").refused(&["fewer.txt", "the utterance `b`"]);
    sandbox.write("other.txt", b"x show\n");
    compare("out/best.txt", "other.txt").refused(&["other.txt", "no utterance", "`x`"]);
    // Transcripts of all lists are compared on the first.
    let first = [
        "--rows",
        "1",
        "--compare",
        "out/best.txt",
        "out/lattice.txt",
    ];
    let said = rescore(&sandbox, &first).succeeded().stdout;
    assert!(said.contains("out/best.txt: WER 20.00 %"), "{said}");
}

#[test]
fn another_program_corrects_by_the_rules() {
    let sandbox = sandbox();
    rescore(&sandbox, &["--prompts", "prompts.jsonl"]).succeeded();
    let prompts = text(&sandbox, "prompts.jsonl");
    assert_eq!(prompts.lines().count(), 3, "b has one distinct hypothesis");
    assert!(
        prompts.contains("1. show me fights to boston\\n2. show me flights to austin"),
        "{prompts}"
    );
    let corrections = concat!(
        "{\"id\": \"a\", \"correction\": \"Show me flights to Boston\"}\n",
        "{\"id\": \"d\", \"correction\": \"show the planes to denver\\nI kept the rest.\"}\n",
    );
    sandbox.write("corrections.jsonl", corrections.as_bytes());
    let options = ["--corrections", "corrections.jsonl", "--out", "out"];
    rescore(&sandbox, &options).succeeded();
    let transcript = text(&sandbox, "out/external.txt");
    assert!(
        transcript.starts_with("a show me flights to boston\nb list flights\n"),
        "{transcript}"
    );
    let rows = rows(&sandbox, "out/asr-correction.csv");
    let external = rows.iter().find(|row| row[3] == "external").unwrap();
    assert_eq!(external[26..29], ["1", "0", "1"]);
    let options = [&options[..], &["--repair", "best"]].concat();
    rescore(&sandbox, &options).succeeded();
    let transcript = text(&sandbox, "out/external.txt");
    assert!(
        transcript.ends_with("d show a fight to denver\n"),
        "{transcript}"
    );
    // `d` is known, although it is left out.
    rescore(&sandbox, &[&options[..], &["--rows", "1"]].concat()).succeeded();
    let transcript = text(&sandbox, "out/external.txt");
    assert_eq!(transcript, "a show me flights to boston\n");
    sandbox.write(
        "corrections.jsonl",
        b"{\"id\": \"x\", \"correction\": \"\"}",
    );
    rescore(&sandbox, &options).refused(&["corrections.jsonl", "`x`"]);
}

#[test]
fn columns_and_kaldi_lists_are_rescored() {
    let sandbox = Sandbox::new();
    sandbox.write("nbest.txt", b"x a b\nx a c\ny d\n");
    sandbox.write("reference.txt", b"x a c\ny d\n");
    let bare = sandbox.xtask(&["rescore", "nbest.txt"]).succeeded();
    assert!(bare.stdout.contains("no references"), "{}", bare.stdout);
    let says = "nothing is written; give --out DIR";
    assert!(bare.stderr.contains(says), "{}", bare.stderr);
    let out = ["rescore", "nbest.txt", "--out", "out"];
    let said = sandbox.xtask(&out).succeeded().stderr;
    assert!(!said.contains(says), "{said}");
    let options = ["--reference", "reference.txt"];
    let said = sandbox
        .xtask(&[&["rescore", "nbest.txt"], &options[..]].concat())
        .succeeded();
    assert!(said.stdout.contains("best: 33.33 %"), "{}", said.stdout);
    sandbox.write("kaldi.txt", b"x-1 a b\nx-2 a c\ny-1 d\n");
    sandbox.write("costs.txt", b"x-1 10\nx-2 9.5\ny-1 2\n");
    let kaldi = [
        "rescore",
        "kaldi.txt",
        "--format",
        "kaldi",
        "--costs",
        "costs.txt",
    ];
    let said = sandbox
        .xtask(&[&kaldi[..], &options].concat())
        .succeeded()
        .stdout;
    // The second hypothesis costs less, so its word is heavier.
    assert!(said.contains("vote: 0.00 %"), "{said}");
    sandbox.write("costs.txt", b"x-1 10\nx-3 9.5\ny-1 2\n");
    let refused = sandbox.xtask(&[&kaldi[..], &options].concat());
    refused.refused(&["kaldi.txt", "line 2", "`x-3`", "`x-2`"]);
    sandbox.write("costs.txt", b"x-1 10\n\nx-2 much\ny-1 2\n");
    let refused = sandbox.xtask(&[&kaldi[..], &options].concat());
    refused.refused(&["kaldi.txt", "cost table 1: line 3", "`much`"]);
}

#[test]
fn what_is_odd_is_told() {
    let sandbox = sandbox();
    let said = rescore(&sandbox, &[]).succeeded().stderr;
    assert!(
        said.contains("4 utterances, 1 of them with one distinct hypothesis"),
        "{said}"
    );
    let positive = LISTS.replace("-0.30", "0.30");
    sandbox.write("lists.json", positive.as_bytes());
    let said = rescore(&sandbox, &[]).succeeded().stderr;
    assert!(said.contains("1 scores above 0"), "{said}");
    // Nine words that differ give 512 paths.
    let word = |letter: char| (b'a'..=b'i').map(move |other| format!("{letter}{}", other as char));
    let texts = ['x', 'y'].map(|letter| word(letter).collect::<Vec<_>>().join(" "));
    let lists = serde_json::json!([{"input": texts, "output": texts[1]}]);
    sandbox.write("lists.json", lists.to_string().as_bytes());
    let lattice = ["--trigrams", "sentences.txt", "--mode", "lattice"];
    let said = rescore(&sandbox, &lattice).succeeded().stderr;
    assert!(
        said.contains("1 lattices have more than 256 paths and were searched with a beam of 32"),
        "{said}"
    );
    sandbox.write("lists.json", b"[{\"input\": [\"a\"], \"output\": \"\"}]");
    rescore(&sandbox, &[]).refused(&["lists.json", "reference words", "none"]);
}

#[test]
fn what_cannot_be_rescored_is_refused() {
    let sandbox = sandbox();
    let twice = LISTS.replace("\"b\"", "\"a\"");
    for (lists, mentioned) in [
        ("{}", ["lists.json", "a list of objects"].as_slice()),
        ("[{\"input\": []}]", &["lists.json", "utterance 0, `input`"]),
        (&twice, &["lists.json", "utterance 1", "`a`"]),
    ] {
        sandbox.write("lists.json", lists.as_bytes());
        rescore(&sandbox, &[]).refused(mentioned);
    }
    sandbox.write("lists.json", LISTS.as_bytes());
    sandbox.write("template.txt", b"{list} {other}");
    sandbox.write("empty.txt", b"\n");
    let long = "word ".repeat(300);
    sandbox.write("long.txt", format!("{long}{{list}}").as_bytes());
    let ([model, _], tiny) = (embedded_model(), tiny("gpt2"));
    for (options, mentioned) in [
        (
            ["--tau", "1.5"].as_slice(),
            ["tau", "from 0 to 1", "1.5"].as_slice(),
        ),
        (&["--theta", "0"], &["theta", "above 0"]),
        (&["--repair", "best"], &["--repair", "give --corrections"]),
        (
            &["--mode", "select"],
            &["--mode select", "language model", "--trigrams"],
        ),
        (&["--gate-alpha", "1"], &["--gate-alpha", "--trigrams"]),
        (
            &["--mode", "generate", "--trigrams", "sentences.txt"],
            &["--mode generate", "--model"],
        ),
        (
            &["--template", "template.txt"],
            &["--template", "--prompts"],
        ),
        (
            &["--model", &model, "--plain"],
            &["--plain", "--mode generate"],
        ),
        (
            &[
                "--model",
                &model,
                "--mode",
                "constrained",
                "--chat-template",
                "none.jinja",
            ],
            &["none.jinja"],
        ),
        (
            &["--model", &model, "--date", "2025-07-01"],
            &["--date", "--mode generate"],
        ),
        (
            &["--costs", "sentences.txt"],
            &["--costs", "--format kaldi"],
        ),
        (&["--trigrams", "empty.txt"], &["empty.txt", "no sentences"]),
        (&["--trigrams", "none.txt"], &["none.txt"]),
        (
            &["--model", "nowhere"],
            &["--model nowhere", "no such folder"],
        ),
        (&["--model", &tiny], &["tokenizer.json"]),
        (
            &["--model", &model, "--end-token", "9999999"],
            &["9999999", "vocabulary"],
        ),
        (
            &["--model", &model, "--trigrams", "sentences.txt"],
            &["--model", "--trigrams"],
        ),
        (
            &[
                "--model",
                &model,
                "--mode",
                "generate",
                "--template",
                "long.txt",
            ],
            &["utterance `a`", "at most 256, the model's context"],
        ),
        (&["--end-token", "1"], &["--model"]),
        (
            &["--trigrams", "sentences.txt", "--alpha", "NaN"],
            &["--alpha", "finite"],
        ),
        (
            &["--spellings", "empty.txt"],
            &["--spellings", "whisper-en"],
        ),
        (
            &["--prompts", "p", "--template", "template.txt"],
            &["template.txt", "`{other}`"],
        ),
        (&["--out", "lists.json"], &["lists.json", "a folder"]),
        (&["--tune", "halves", "--tau", "0.5"], &["--tau", "--tune"]),
        (
            &["--trigrams", "sentences.txt", "--mode", "vote"],
            &["--trigrams has no effect", "--gate-alpha"],
        ),
        (
            &["--model", &model, "--mode", "vote"],
            &["--model has no effect", "--mode generate"],
        ),
        (
            &["--model", &model, "--mode", "generate", "--prefix", "x"],
            &["--prefix has no effect", "--mode select"],
        ),
        (
            &["--alpha", "1"],
            &["--alpha has no effect", "--mode select"],
        ),
        (
            &["--beta", "1"],
            &["--beta has no effect", "--mode lattice"],
        ),
        (
            &[
                "--trigrams",
                "sentences.txt",
                "--mode",
                "select",
                "--width",
                "9",
            ],
            &["--width has no effect", "--mode lattice"],
        ),
        (&["--kappa", "1"], &["--kappa has no effect", "scores"]),
        // Nothing is scored before settings are checked, so there is no folder for scores.
        (
            &["--model", &model, "--tau", "1.5", "--out", "p"],
            &["tau", "from 0 to 1"],
        ),
        (
            &["--model", &model, "--beta", "NaN", "--out", "p"],
            &["beta", "at least 0"],
        ),
        (
            &[
                "--model",
                &model,
                "--template",
                "template.txt",
                "--mode",
                "select",
                "--mode",
                "generate",
                "--out",
                "p",
            ],
            &["template.txt", "`{other}`"],
        ),
        (
            &["--tune", "halves", "--mode", "best"],
            &["--tune has no effect", "--mode vote"],
        ),
    ] {
        rescore(&sandbox, options).refused(mentioned);
        assert!(!sandbox.path("p").exists());
    }
}
