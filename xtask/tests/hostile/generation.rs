//! 91: inputs of `generate`.

use crate::sandbox::Sandbox;
use crate::{Case, check};

/// `generate` on the sandbox's model, with more arguments.
fn generate(
    what: &'static str,
    make: impl Fn(&Sandbox) + 'static,
    arguments: &[&'static str],
    says: &[&str],
) -> Case {
    let fixed = ["generate", "--model", "model", "--max-tokens", "4"];
    Case::refused((91, what), make, says).exactly(&[&fixed[..], arguments].concat())
}

fn alone(what: &'static str, arguments: &[&'static str], says: &[&str]) -> Case {
    generate(what, |_| (), arguments, says)
}

/// With a chat template.
fn chat(what: &'static str, template: &'static [u8], says: &[&str]) -> Case {
    let make = move |s: &Sandbox| s.write("model/chat_template.jinja", template);
    generate(
        what,
        make,
        &["--chat", "Hi"],
        &[&["chat_template.jinja"], says].concat(),
    )
}

/// With a file of prompts.
fn prompts(what: &'static str, file: &'static [u8], says: &[&str]) -> Case {
    let make = move |s: &Sandbox| s.write("prompts.jsonl", file);
    let arguments = ["--prompts", "prompts.jsonl", "--out", "out.jsonl"];
    generate(what, make, &arguments, &[&["prompts.jsonl"], says].concat())
}

/// Case 91.
pub(crate) fn generation() -> Vec<Case> {
    vec![
        alone(
            "prompt longer than the model's positions",
            &["--ids", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"],
            &["17 tokens", "context"],
        ),
        alone(
            "empty prompt without BOS",
            &["", "--bos", "none"],
            &["the prompt is empty", "--bos"],
        ),
        alone("no token id", &["--ids", ""], &["--ids"]),
        alone(
            "token id out of range",
            &["--ids", "1,260"],
            &["260", "expected an id below 260"],
        ),
        alone(
            "top-p at temperature 0",
            &["--ids", "1", "--top-p", "0.9"],
            &[
                "top-p has no effect at temperature 0",
                "raise the temperature",
            ],
        ),
        alone(
            "temperature that is not a number",
            &["--ids", "1", "--temperature", "nan"],
            &["temperature is NaN"],
        ),
        alone(
            "logits that are not numbers",
            &["--ids", "1", "--edit", "scale_mlp(0,1e300)"],
            &["scale_mlp(0,", "the logit of token", "overflow"],
        ),
        alone(
            "edit of a missing block",
            &["--ids", "1", "--edit", "drop(2)"],
            &["--edit drop(2)", "2 is out of range"],
        ),
        alone(
            "keys and values beyond the memory",
            &["--ids", "1", "--beams", "4000000000", "--max-memory", "1G"],
            &[
                "keys and values of 4 tokens: needs",
                "of memory",
                "--max-memory",
            ],
        ),
        chat(
            "template that loops",
            b"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            &["it loops"],
        ),
        chat(
            "template that reads a file",
            b"{% include '/etc/passwd' %}",
            &["cannot be read"],
        ),
        chat(
            "template that calls a forbidden function",
            b"{{ open('/etc/passwd').read() }}",
            &["fails", "open"],
        ),
        chat("template that is not UTF-8", b"\xff\xfe", &["UTF-8"]),
        prompts("file without prompts", b"", &["no prompts"]),
        prompts(
            "prompts that are not UTF-8",
            b"{\"prompt\": \"\xff\"}",
            &["UTF-8"],
        ),
        prompts(
            "prompt that ends early",
            b"{\"ids\": [1]}\n{\"prompt\": ",
            &["line 2"],
        ),
        prompts(
            "token id of a prompt out of range",
            b"{\"ids\": [1]}\n{\"ids\": [260]}",
            &["260", "expected an id below 260"],
        ),
    ]
}

#[test]
fn prompts_and_settings_of_generation() {
    check(generation());
}
