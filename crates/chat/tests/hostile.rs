//! Hostile templates, and broken ones.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use layerwise_chat::{ChatError, MAX_TEMPLATE, Message, Template};
use layerwise_files::{Folder, Links};

fn rendered(source: &str) -> Result<String, ChatError> {
    let now = jiff::civil::date(2025, 7, 1).at(12, 0, 0, 0);
    let messages = [Message::new("user", "Hello"), Message::new("odd", "there")];
    Template::new("chat_template.jinja", source)?.render(&messages, now)
}

/// The template must fail with a message that names it and contains `says`.
fn refused(source: &str, says: &str) {
    let error = rendered(source).unwrap_err();
    let message = error.to_string();
    let is_told = message.contains("chat_template.jinja") && message.contains(says);
    assert!(is_told && message.len() < 2000, "{source:.200}: {message}");
}

#[test]
fn templates_that_work_without_end() {
    let steps = "takes more than 250000 steps";
    let nested = "{% for i in range(100000) %}".repeat(3) + &"{% endfor %}".repeat(3);
    refused(&nested, steps);
    refused(
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "recursion",
    );
    refused(
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        steps,
    );
    refused(
        "{% for m in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "recursion",
    );
    refused("{{ 'x' * 1000000000 }}", steps);
    refused("{{ range(100000000) | list }}", "");
    let doubled = |what: &str| {
        format!(
            "{{% set n = namespace(x={what}) %}}{{% for i in range(99) %}}{{% set n.x = n.x + n.x %}}{{% endfor %}}"
        )
    };
    refused(&doubled("'text'"), steps);
    refused(&doubled("[1]"), "takes more than 5 seconds");
    refused(
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x.replace('a', n.x) %}{% endfor %}",
        steps,
    );
    refused(
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x | join(n.x) %}{% endfor %}",
        steps,
    );
    refused(
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
        steps,
    );
    refused(
        "{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}",
        "writes more than",
    );
}

/// A list that contains another one twice, level by level, is small in memory and endless in print.
#[test]
fn values_that_hold_each_other() {
    let shared = |end: &str| {
        format!(
            "{{% set n = namespace(x=[], y=[]) %}}{{% for i in range(60) %}}{{% set n.x = [n.x, n.x] %}}{{% set n.y = [n.y, n.y] %}}{{% endfor %}}{end}"
        )
    };
    refused(&shared("{{ n.x }}"), "");
    refused(&shared("{{ n.x | tojson }}"), "too large");
    refused(&shared("{{ n.x | string | length }}"), "");
    refused(&shared("{{ n.x == n.y }}"), "more than 5 seconds");
    let deep = |end: &str| {
        format!(
            "{{% set n = namespace(x=[]) %}}{{% for i in range(9000) %}}{{% set n.x = [n.x] %}}{{% endfor %}}{end}"
        )
    };
    for end in ["", "{{ n.x }}", "{{ n.x | tojson }}", "{{ n.x == n.x }}"] {
        let _ = rendered(&deep(end));
    }
}

#[test]
fn templates_that_call_what_they_may_not() {
    for tag in [
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% from 'x' import y %}",
    ] {
        refused(tag, "cannot be read");
    }
    for call in [
        "{{ open('/etc/passwd') }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.__class__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id') }}",
        "{{ self.__init__() }}",
        "{{ lipsum.__globals__ }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({}) }}",
        "{{ nothing.of.this }}",
        "{{ messages | nofilter }}",
        "{{ strftime_now('%') }}",
        "{{ strftime_now('%Q') }}",
        "{{ 1 // 0 }}",
        "{{ {'a': 1} | tojson(indent=1000000000) }}",
        "{{ {'a': 1} | tojson(indent=-1) }}",
    ] {
        refused(call, "");
    }
    assert_eq!(rendered("{{ env }}{{ HOME }}{{ debug }}").unwrap(), "");
    let nobody = Template::new("t", "")
        .unwrap()
        .render(&[], Default::default());
    assert!(matches!(nobody, Err(ChatError::NoMessages)));
}

/// Python writes and reads them, although JSON lacks them.
#[test]
fn settings_with_nan_and_infinity_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        r#"{"model_max_length": Infinity, "a": NaN, "chat_template": "{{ messages[0].content }}"}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), settings).unwrap();
    let folder = Folder::open(folder.path(), Links::Refuse).unwrap();
    let template = Template::of_folder(&folder).unwrap().unwrap();
    let text = template.render(&[Message::new("user", "Hello")], Default::default());
    assert_eq!(text.unwrap(), "Hello");
}

#[test]
fn templates_that_are_broken() {
    for source in [
        "{% for %}",
        "{{",
        "{% if true %}",
        "{% endfor %}",
        "{{ 'a }}",
        "{% nonsense %}",
    ] {
        refused(source, "cannot be read");
    }
    refused(&"x".repeat(MAX_TEMPLATE + 1), "at most 64 KiB");
    refused(
        &format!("{{{{ {}1{} }}}}", "(".repeat(30_000), ")".repeat(30_000)),
        "cannot be read",
    );
    refused(&"{% if 1 %}".repeat(6_000), "cannot be read");
    // The deepest accepted nesting; the templates themselves are valid.
    let deep = |before: &str, repeated: &str, after: &str| {
        let count = (MAX_TEMPLATE - before.len() - after.len()) / repeated.len();
        rendered(&format!("{before}{}{after}", repeated.repeat(count)))
    };
    assert!(deep("{{ ", "-", "1 }}").is_ok());
    assert!(deep("{{ ", "not ", "1 }}").is_ok());
    assert!(deep("{{ 1", "|string", " }}").is_ok());
    assert!(deep("{{ 1", "+1", " }}").is_ok());
    assert!(deep("{{ 1", " if 1 else 1", " }}").is_ok());
    assert!(deep("{% if 0 %}", "{%elif 0%}", "{% endif %}").is_ok());
    assert!(deep("{{ x", ".x", " }}").is_err());
    let long = format!("{{{{ raise_exception('x' * {}) }}}}", 100_000);
    assert!(
        matches!(rendered(&long), Err(ChatError::Raised { message, .. }) if message.len() < 1000)
    );
    refused(
        "{{ raise_exception('Roles must alternate') }}",
        "Roles must alternate",
    );
    refused(
        "{{ raise_exception({'a': []}) }}",
        "refuses the conversation",
    );
}
