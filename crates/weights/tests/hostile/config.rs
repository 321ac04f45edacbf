//! C 54: `config.json` as a file; its contents are checked by whoever builds the model.

use std::fs;

use layerwise_weights::{Checkpoint, FileError, MAX_CONFIG_BYTES, WeightsError};

use crate::{Case, check, is, vectors, write};

/// A case whose `config.json` has these bytes.
fn config(
    name: &'static str,
    bytes: impl AsRef<[u8]>,
    expect: fn(&WeightsError) -> bool,
    says: &[&str],
) -> Case {
    let bytes = bytes.as_ref().to_owned();
    let build = move |folder: &std::path::Path| {
        write(folder, "model.safetensors", &vectors(&[("a", 2)]));
        write(folder, "config.json", &bytes);
    };
    let mut case = Case::new(name, build, expect, says);
    case.says.push("config.json".to_owned());
    case
}

/// A config of exactly this many bytes.
fn of_size(bytes: u64) -> String {
    let frame = r#"{"note":""}"#;
    let text = "x".repeat(usize::try_from(bytes).unwrap() - frame.len());
    format!(r#"{{"note":"{text}"}}"#)
}

#[test]
fn a_config_that_is_no_object_is_refused() {
    let deep = r#"{"a":"#.repeat(200) + "1" + &"}".repeat(200);
    check(vec![
        Case::new(
            "54 missing",
            |folder| {
                write(folder, "model.safetensors", &vectors(&[("a", 2)]));
                fs::remove_file(folder.join("config.json")).unwrap();
            },
            is!(WeightsError::File(FileError::Missing {
                unfinished: None,
                ..
            })),
            &["config.json", "not found", "expected the config"],
        ),
        config(
            "54 empty",
            "",
            is!(WeightsError::Empty { .. }),
            &["expected a JSON object", "empty"],
        ),
        config(
            "54 blank",
            " \n",
            is!(WeightsError::Json { .. }),
            &["config", "EOF"],
        ),
        config(
            "54 array",
            "[]",
            is!(WeightsError::Json { .. }),
            &["config", "expected an object", "found an array"],
        ),
        config(
            "54 null",
            "null",
            is!(WeightsError::Json { .. }),
            &["expected an object", "found null"],
        ),
        config(
            "54 above 1 MB",
            of_size(MAX_CONFIG_BYTES + 1),
            is!(WeightsError::File(FileError::TooLarge { .. })),
            &["at most 1000000", "found 1000001"],
        ),
        config(
            "54 not UTF-8",
            b"{\"a\": \"\xff\"}",
            is!(WeightsError::Utf8 { offset: 7, .. }),
            &["config", "UTF-8", "7"],
        ),
        config(
            "54 cut",
            r#"{"a": 1"#,
            is!(WeightsError::Json { .. }),
            &["config", "EOF", "line 1"],
        ),
        config(
            "54 text after the object",
            "{} {}",
            is!(WeightsError::Json { .. }),
            &["trailing characters"],
        ),
        config(
            "54 a missing value beside NaN",
            r#"{"layer_norm_epsilon": NaN, "a"}"#,
            is!(WeightsError::Json { .. }),
            &["config", "expected `:`", "line 1"],
        ),
        config(
            "54 200 deep",
            deep,
            is!(WeightsError::Json { .. }),
            &["config", "recursion limit"],
        ),
        config(
            "54 duplicate key",
            r#"{"n_layer": 12, "n_layer": 6}"#,
            is!(WeightsError::DuplicateKey { .. }),
            &["key \"n_layer\"", "expected once", "found twice"],
        ),
        config(
            "54 duplicate key deep down",
            r#"{"a": [{"rope": {"theta": 1, "theta": 2}}]}"#,
            is!(WeightsError::DuplicateKey { .. }),
            &["key \"theta\"", "found twice"],
        ),
        config(
            "51 Git LFS pointer",
            "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n",
            is!(WeightsError::File(FileError::LfsPointer { .. })),
            &["Git LFS pointer", "expected the file itself"],
        ),
    ]);
}

#[test]
fn case_54_a_config_of_exactly_the_limit_loads() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model.safetensors", &vectors(&[("a", 2)]));
    write(
        folder.path(),
        "config.json",
        of_size(MAX_CONFIG_BYTES).as_bytes(),
    );
    assert!(Checkpoint::open(folder.path()).unwrap().config()["note"].is_string());
}

/// Python writes and reads numbers that JSON lacks. They are strings here, which a key that needs a number refuses by name.
#[test]
fn numbers_that_only_python_writes_are_strings() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model.safetensors", &vectors(&[("a", 2)]));
    let text = br#"{"NaN": "a NaN, \" -Infinity", "b": NaN, "c": [Infinity, -Infinity, -1]}"#;
    write(folder.path(), "config.json", text);
    let expected = serde_json::json!({
        "NaN": "a NaN, \" -Infinity", "b": "NaN", "c": ["Infinity", "-Infinity", -1],
    });
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.config(), expected.as_object().unwrap());
}

#[test]
fn a_config_is_the_same_as_serde_json_reads_it_in_the_files_order() {
    let text = r#"{"z": null, "a": [true, -1, 2, 18446744073709551615, 1e-5, "é\n"], "m": {"k": {}, "b": 0.1}}"#;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "model.safetensors", &vectors(&[("a", 2)]));
    write(folder.path(), "config.json", text.as_bytes());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let expected: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(checkpoint.config(), expected.as_object().unwrap());
    assert_eq!(
        checkpoint.config().keys().collect::<Vec<_>>(),
        ["z", "a", "m"]
    );
}
