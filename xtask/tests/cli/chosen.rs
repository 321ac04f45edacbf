//! `generate`: conversations, files of prompts, beams, and texts to choose from.

use crate::statistics::embedded_model;
use crate::{Sandbox, fixtures, tiny};
use layerwise::chat::{Message, Template};
use layerwise::corpus::Tokenizer;
use layerwise::files::{Folder, Links};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

/// One line of JSON for each edit.
fn lines(sandbox: &Sandbox, arguments: &[&str]) -> Vec<Value> {
    let said = sandbox
        .xtask(&[&["generate"], arguments].concat())
        .succeeded()
        .stdout;
    parsed(&said)
}

fn parsed(lines: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(parse).collect()
}

fn ids_of(folder: &str, text: &str) -> Value {
    let folder = Folder::open(Path::new(folder), Links::Refuse).unwrap();
    let tokenizer = Tokenizer::of_folder(&folder, 100_000).unwrap().unwrap();
    json!(tokenizer.encode(text).unwrap())
}

/// A sandbox with a copy of an embedded model that has a chat template.
fn with_template(template: &[u8]) -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let [_, folder] = embedded_model();
    std::fs::create_dir(sandbox.path("model")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            sandbox.write(&format!("model/{}", entry.file_name().display()), &bytes);
        }
    }
    sandbox.write("model/chat_template.jinja", template);
    let model = sandbox.path("model").display().to_string();
    (sandbox, model)
}

const TEMPLATE: &str = "{% for it in messages %}[{{ it.role }}] {{ it.content }}\n{% endfor %}{{ strftime_now('%Y') }}";

#[test]
fn a_question_is_put_by_the_template_of_the_checkpoint() {
    let (sandbox, model) = with_template(TEMPLATE.as_bytes());
    let fixed = [
        "--model",
        "model",
        "--json",
        "--chat",
        "--date",
        "2001-02-03",
        "--max-tokens",
        "2",
    ];
    let found = lines(&sandbox, &[&fixed[..], &["Who wrote Emma?"]].concat());
    let expected = ids_of(&model, "[user] Who wrote Emma?\n2001");
    assert_eq!(found[0]["prompt_ids"], expected);
    let told = [&fixed[..], &["--system", "Be brief.", "Who wrote Emma?"]].concat();
    let expected = ids_of(&model, "[system] Be brief.\n[user] Who wrote Emma?\n2001");
    assert_eq!(lines(&sandbox, &told)[0]["prompt_ids"], expected);

    // A given template takes precedence over the checkpoint's.
    let smollm = fixtures().join("chat/smollm2");
    let folder = Folder::open(&smollm, Links::Refuse).unwrap();
    let template = Template::of_folder(&folder).unwrap().unwrap();
    let text = template
        .render(&[Message::new("user", "Hi")], Default::default())
        .unwrap();
    sandbox.write(
        "other.jinja",
        b"{% for it in messages %}{{ it.content }}!{% endfor %}",
    );
    let given = [&fixed[..], &["--chat-template", "other.jinja", "Hi"]].concat();
    assert_eq!(
        lines(&sandbox, &given)[0]["prompt_ids"],
        ids_of(&model, "Hi!")
    );
    std::fs::remove_file(sandbox.path("model/chat_template.jinja")).unwrap();
    // Without the tokens that the settings name, since this model has no rows for them.
    let settings = std::fs::read(smollm.join("tokenizer_config.json")).unwrap();
    let mut settings: serde_json::Map<String, Value> = serde_json::from_slice(&settings).unwrap();
    settings.retain(|key, _| key == "chat_template");
    let settings = serde_json::to_vec(&settings).unwrap();
    sandbox.write("model/tokenizer_config.json", &settings);
    let found = lines(&sandbox, &[&fixed[..], &["Hi"]].concat());
    assert_eq!(found[0]["prompt_ids"], ids_of(&model, &text));
}

#[test]
fn templates_that_mean_no_good_are_refused() {
    let refused = |template: &[u8], mentioned: &[&str]| {
        let (sandbox, _) = with_template(template);
        let outcome = sandbox.xtask(&["generate", "--model", "model", "--chat", "Hi"]);
        outcome.refused(&[&["chat_template.jinja"], mentioned].concat());
        assert_eq!(outcome.stdout, "");
    };
    refused(
        b"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        &["it loops"],
    );
    refused(b"{% include '/etc/passwd' %}", &["cannot be read"]);
    refused(b"{{ open('/etc/passwd').read() }}", &["fails", "open"]);
    refused(
        b"{{ raise_exception('no system \x1b[31m') }}",
        &["refuses the conversation: no system", "u{1b}"],
    );
    refused(b"{% for %}", &["cannot be read"]);
    refused(b"\xff\xfe", &["UTF-8"]);
    refused(b"", &["writes nothing"]);
    refused(&[b'x'; 1 << 17], &["65536 bytes"]);
    let (sandbox, _) = with_template(TEMPLATE.as_bytes());
    let refused = |arguments: &[&str], mentioned: &[&str]| {
        let fixed = ["generate", "--model", "model"];
        sandbox
            .xtask(&[&fixed, arguments].concat())
            .refused(mentioned);
    };
    refused(&["--system", "x", "Hi"], &["--chat"]);
    refused(&["--chat", "--ids", "1"], &["--ids"]);
    refused(&["--chat", "--bos", "1", "Hi"], &["--bos"]);
    refused(&["--chat", "--date", "yesterday", "Hi"], &["yesterday"]);
    refused(
        &["--chat", "--chat-template", "none.jinja", "Hi"],
        &["none.jinja"],
    );
    let [embedded, _] = embedded_model();
    let none = Sandbox::new().xtask(&["generate", "--model", &embedded, "--chat", "Hi"]);
    none.refused(&["no chat_template.jinja", "--chat-template"]);
}

#[test]
fn a_file_of_prompts_is_continued_and_taken_up_again() {
    let sandbox = Sandbox::new();
    let model = tiny("llama-gqa-tied");
    let prompts: String = (1..9)
        .map(|at| format!("{{\"ids\": [{at}, 3], \"other\": 1}}\n\n"))
        .collect();
    sandbox.write("prompts.jsonl", prompts.as_bytes());
    let fixed = [
        "generate",
        "--model",
        &model,
        "--prompts",
        "prompts.jsonl",
        "--max-tokens",
        "4",
        "--edit",
        "drop(1)",
    ];
    let printed = sandbox.xtask(&fixed).succeeded().stdout;
    let printed = parsed(&printed);
    assert_eq!(printed.len(), 16);
    for (at, lines) in printed.chunks(2).enumerate() {
        let ids = format!("{},3", at + 1);
        let alone = [
            "generate",
            "--model",
            &model,
            "--ids",
            &ids,
            "--max-tokens",
            "4",
            "--edit",
            "drop(1)",
            "--json",
        ];
        let alone = parsed(&sandbox.xtask(&alone).succeeded().stdout);
        for (line, (alone, edit)) in lines.iter().zip(alone.iter().zip(["id", "drop(1)"])) {
            assert_eq!(line["line"], 2 * at + 1);
            assert_eq!(line["edit"], edit);
            for field in ["prompt_ids", "ids", "text", "logprobs", "first_difference"] {
                assert_eq!(line[field], alone[field], "{field} of {edit}, line {at}");
            }
        }
    }

    let kept = [&fixed[..], &["--out", "out.jsonl", "--threads", "2"]].concat();
    sandbox.xtask(&kept).succeeded();
    let first = sandbox.read("out.jsonl");
    let manifest = sandbox.read("out.jsonl.run/manifest.json");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["prompts"]["file"], "prompts.jsonl");
    assert_eq!(manifest["prompts"]["bytes"], prompts.len());
    assert_eq!(manifest["runs"][0]["model"], "llama-gqa-tied");
    assert_eq!(manifest["command"][0], "generate");
    // Times come from the journal as well.
    sandbox.xtask(&kept).succeeded();
    assert_eq!(sandbox.read("out.jsonl"), first);
    let journal = sandbox
        .contents()
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "journal"));
    let journal = journal.unwrap().display().to_string();
    let finished = String::from_utf8(sandbox.read(&journal)).unwrap();
    let cut: String = finished.split_inclusive('\n').take(4).collect();
    sandbox.write(&journal, cut.as_bytes());
    let outcome = sandbox.xtask(&kept).succeeded();
    assert!(outcome.stderr.contains('3'), "{}", outcome.stderr);
    let without_times = |bytes: &[u8]| {
        let mut lines = parsed(std::str::from_utf8(bytes).unwrap());
        for line in &mut lines {
            for time in ["prefill_tokens_per_s", "decode_ms_per_token"] {
                line.as_object_mut().unwrap().remove(time);
            }
        }
        lines
    };
    assert_eq!(
        without_times(&sandbox.read("out.jsonl")),
        without_times(&first)
    );
    // The kept work has other settings.
    let other = sandbox.xtask(&[&kept[..], &["--seed", "1"]].concat());
    other.refused(&["--fresh"]);
    sandbox
        .xtask(&[&kept[..], &["--seed", "1", "--fresh"]].concat())
        .succeeded();
}

/// Ids give the same tokens, but their texts, and what ends at a text, are the tokenizer's.
#[test]
fn continuations_of_another_tokenizer_are_not_taken_up() {
    let (sandbox, _) = with_template(TEMPLATE.as_bytes());
    let tokenizer = sandbox.read("model/tokenizer.json");
    std::fs::remove_file(sandbox.path("model/tokenizer.json")).unwrap();
    sandbox.write("prompts.jsonl", b"{\"ids\": [5, 6, 7]}");
    let prompts = ["generate", "--model", "model", "--prompts", "prompts.jsonl"];
    let arguments = [&prompts[..], &["--max-tokens", "2", "--out", "out.jsonl"]].concat();
    sandbox.xtask(&arguments).succeeded();
    sandbox.write("model/tokenizer.json", &tokenizer);
    sandbox
        .xtask(&arguments)
        .refused(&["the journal belongs to another run", "--fresh"]);
}

#[test]
fn prompts_that_cannot_be_are_refused() {
    let [embedded, _] = embedded_model();
    let refused = |file: &[u8], mentioned: &[&str]| {
        let sandbox = Sandbox::new();
        sandbox.write("prompts.jsonl", file);
        let outcome = sandbox.xtask(&[
            "generate",
            "--model",
            &embedded,
            "--prompts",
            "prompts.jsonl",
            "--out",
            "out",
        ]);
        outcome.refused(&[&["prompts.jsonl"], mentioned].concat());
        assert_eq!(sandbox.contents().len(), 1, "something was written");
    };
    refused(b"", &["no prompts"]);
    refused(
        b"{\"prompt\": \"a\"}\n{\"prompt\": ",
        &["line 2: EOF while parsing a value at column 1"],
    );
    refused(b"[1]", &["line 1", "expected an object"]);
    refused(b"{\"prompt\": \"a\", \"ids\": [1]}", &["line 1", "one of"]);
    refused(b"{\"prompt\": 7}", &["line 1", "a text, found 7"]);
    refused(b"{\"ids\": [-1]}", &["line 1", "token ids"]);
    refused(b"{\"ids\": []}", &["line 1", "at least one"]);
    refused(b"{\"messages\": []}", &["line 1", "--chat"]);
    refused(b"{\"prompt\": \"\xff\"}", &["UTF-8"]);
    let (sandbox, _) = with_template(TEMPLATE.as_bytes());
    sandbox.write("prompts.jsonl", b"{\"messages\": [{\"content\": \"x\"}]}");
    let chat = [
        "generate",
        "--model",
        "model",
        "--chat",
        "--prompts",
        "prompts.jsonl",
    ];
    sandbox.xtask(&chat).refused(&["line 1", "`role`"]);
    for messages in ["\"Hi\"", "7", "{}", "[]"] {
        let line = format!("{{\"messages\": {messages}}}");
        sandbox.write("prompts.jsonl", line.as_bytes());
        for system in [&[][..], &["--system", "S"]] {
            let outcome = sandbox.xtask(&[&chat[..], system].concat());
            outcome.refused(&["line 1", "a list of objects", messages]);
        }
    }
    sandbox.write(
        "prompts.jsonl",
        b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}\n{\"prompt\": \"x\"}",
    );
    let found = parsed(
        &sandbox
            .xtask(&[&chat[..], &["--max-tokens", "1"]].concat())
            .succeeded()
            .stdout,
    );
    assert_eq!(found[0]["prompt_ids"], found[1]["prompt_ids"]);
}

#[test]
fn a_continuation_is_one_of_the_texts_or_the_best_of_the_beams() {
    let sandbox = Sandbox::new();
    let [embedded, _] = embedded_model();
    let fixed = [
        "--model",
        &embedded,
        "--json",
        "The city of",
        "--edit",
        "drop(0)",
    ];
    let texts = [" Paris", " London, which", " Oslo"];
    let mut arguments = fixed.to_vec();
    texts
        .iter()
        .for_each(|text| arguments.extend(["--one-of", text]));
    for line in lines(&sandbox, &arguments) {
        assert!(texts.contains(&line["text"].as_str().unwrap()), "{line}");
    }
    let sum = |line: &Value| -> f64 {
        let logprobs: Vec<f64> = serde_json::from_value(line["logprobs"].clone()).unwrap();
        logprobs.iter().sum()
    };
    let short = [&fixed[..], &["--max-tokens", "5"]].concat();
    let greedy = lines(&sandbox, &short);
    let one = lines(&sandbox, &[&short[..], &["--beams", "1"]].concat());
    let many = lines(&sandbox, &[&short[..], &["--beams", "8"]].concat());
    for at in 0..2 {
        assert_eq!(one[at]["ids"], greedy[at]["ids"]);
        assert!(sum(&many[at]) >= sum(&greedy[at]) - 1e-9);
    }
    let refused = |arguments: &[&str], mentioned: &[&str]| {
        sandbox
            .xtask(&[&["generate"][..], &fixed, arguments].concat())
            .refused(mentioned);
    };
    refused(&["--beams", "0"], &["--beams"]);
    refused(&["--beams", "2", "--temperature", "1"], &["temperature"]);
    refused(&["--beams", "2", "--stop", "a"], &["--stop"]);
    refused(
        &["--beams", "2", "--length-penalty", "nan"],
        &["length penalty"],
    );
    refused(
        &["--beams", "4000000000", "--max-memory", "2G"],
        &["memory"],
    );
}

#[test]
fn stop_strings_that_never_come_and_prompts_that_are_no_text() {
    let sandbox = Sandbox::new();
    let [embedded, _] = embedded_model();
    let fixed = [
        "--model",
        &embedded,
        "--json",
        "The city of",
        "--max-tokens",
        "6",
    ];
    let free = lines(&sandbox, &fixed);
    // Text that may begin the stop string is held back, and comes at the end.
    let begun = format!("{}\u{1f600}", free[0]["text"].as_str().unwrap());
    let held = lines(&sandbox, &[&fixed[..], &["--stop", &begun]].concat());
    assert_eq!(held[0]["text"], free[0]["text"]);
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let mut command = sandbox.command(&["generate", "--model", &embedded]);
        command.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe"));
        crate::Outcome::of(&mut command).refused(&["UTF-8"]);
    }
}

/// Text written before an interrupt stays, and is the beginning of the whole.
#[cfg(unix)]
#[test]
fn what_was_written_before_an_interrupt_stays() {
    let sandbox = Sandbox::new();
    let [embedded, _] = embedded_model();
    let arguments = [
        "generate",
        "--model",
        &embedded,
        "The city of",
        "--max-tokens",
        "300",
        "--threads",
        "1",
    ];
    let whole = sandbox.xtask(&arguments).succeeded().stdout;
    let mut child = sandbox
        .command(&arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut begun = [0; 4];
    out.read_exact(&mut begun).unwrap();
    let kill = ["-INT".to_owned(), child.id().to_string()];
    assert!(
        std::process::Command::new("kill")
            .args(kill)
            .status()
            .unwrap()
            .success()
    );
    let mut written = begun.to_vec();
    out.read_to_end(&mut written).unwrap();
    child.wait().unwrap();
    assert!(
        whole.as_bytes().starts_with(&written),
        "{}",
        String::from_utf8_lossy(&written)
    );
}
