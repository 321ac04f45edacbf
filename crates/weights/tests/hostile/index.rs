//! B 36–39, 42–47 and 53: the index against its shards.

use std::path::Path;

use layerwise_weights::{FileError, MAX_INDEX_BYTES, OpenOptions, WeightsError};

use crate::{Case, check, is, stable, vectors, write};

const INDEX: &str = "model.safetensors.index.json";

/// Puts two shards into the folder, `s1` with `a` and `b`, `s2` with `c`: 24 bytes of data.
fn write_shards(folder: &Path) {
    write(folder, "s1.safetensors", &vectors(&[("a", 1), ("b", 2)]));
    write(folder, "s2.safetensors", &vectors(&[("c", 3)]));
}

/// The index that fits [`write_shards`], with another entry for `c`.
fn index_with(c: &str) -> String {
    format!(
        r#"{{"metadata":{{"total_size":24}},"weight_map":{{"a":"s1.safetensors","b":"s1.safetensors",{c}}}}}"#
    )
}

/// A case of two good shards and this index.
fn index(
    name: &'static str,
    text: impl Into<String>,
    expect: fn(&WeightsError) -> bool,
    says: &[&str],
) -> Case {
    let text = text.into();
    let build = move |folder: &Path| {
        write_shards(folder);
        write(folder, INDEX, text.as_bytes());
    };
    Case::new(name, build, expect, says)
}

#[test]
fn the_index_that_the_cases_start_from_loads() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    write_shards(folder.path());
    let good = index_with(r#""c":"s2.safetensors""#);
    let without_size = good.replace(r#"{"total_size":24}"#, "{}");
    let size = |size: String| good.replace(":24}", &format!(":{size}}}"));
    let file = |name| std::fs::metadata(folder.path().join(name)).unwrap().len();
    // Some programs count the headers as well, and some write text.
    let files = file("s1.safetensors") + file("s2.safetensors");
    let sizes = [
        "24.0",
        "\"24\"",
        &files.to_string(),
        &format!("\"{files}\""),
    ]
    .map(|it| size(it.to_owned()));
    for text in [good.clone(), without_size].into_iter().chain(sizes) {
        write(folder.path(), INDEX, text.as_bytes());
        for mmap in [true, false] {
            let checkpoint = OpenOptions::new()
                .map(stable(mmap))
                .open(folder.path())
                .unwrap();
            assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "c"]);
            assert_eq!(checkpoint.tensor("c").unwrap().as_slice(), [1.0; 3]);
            let files: Vec<_> = checkpoint
                .files()
                .map(|f| f.path().file_name().unwrap().to_owned())
                .collect();
            assert_eq!(
                files,
                ["config.json", INDEX, "s1.safetensors", "s2.safetensors"]
            );
            let error = checkpoint.tensor("d").unwrap_err();
            assert!(
                matches!(&error, WeightsError::NoSuchTensor { tensor, .. } if tensor == "d"),
                "{error}"
            );
        }
    }
}

#[test]
fn shard_names_that_are_not_plain_file_names_are_refused() {
    let mut cases = Vec::new();
    for (name, shard) in [
        ("37 absolute path", "/etc/s2.safetensors"),
        ("37 absolute Windows path", r"C:\\s2.safetensors"),
        ("38 parent folder", "../s2.safetensors"),
        ("38 only dots", ".."),
        ("39 separator", "sub/s2.safetensors"),
        ("39 separator at the end", "s2.safetensors/"),
        ("39 this folder", "./s2.safetensors"),
        ("39 drive letter", "C:s2.safetensors"),
        ("39 backslash", r"sub\\s2.safetensors"),
        ("39 UNC path", r"\\\\host\\share\\s2.safetensors"),
        ("39 URL", "https://example.org/s2.safetensors"),
        (
            "39 stream of a Windows file",
            "s2.safetensors:x.safetensors",
        ),
        ("39 NUL", r"s2\u0000.safetensors"),
        ("39 escape sequence", r"\u001b[2Js2.safetensors"),
        ("39 empty", ""),
        ("39 only the ending", ".safetensors"),
        ("39 pickle", "pytorch_model.bin"),
        ("39 the config", "config.json"),
    ] {
        let text = index_with(&format!(r#""c":"{shard}""#));
        let shown: String = serde_json::from_str(&format!(r#""{shard}""#)).unwrap();
        let found = format!("found {shown:?}");
        cases.push(index(
            name,
            text,
            is!(WeightsError::ShardName { .. }),
            &[INDEX, "tensor \"c\"", "expected a plain file name", &found],
        ));
    }
    let long = format!("{}.safetensors", "x".repeat(100_000));
    cases.push(index(
        "39 very long",
        index_with(&format!(r#""c":"{long}""#)),
        is!(WeightsError::ShardName { .. }),
        &["…"],
    ));
    check(cases);
}

#[test]
fn an_index_that_does_not_fit_its_shards_is_refused() {
    check(vec![
        index(
            "36 missing shard",
            index_with(r#""c":"s3.safetensors""#),
            is!(WeightsError::File(FileError::Missing { .. })),
            &[
                "s3.safetensors",
                "not found",
                "expected a shard that the index names",
            ],
        ),
        index(
            "42 the shard lacks the tensor",
            index_with(r#""c":"s2.safetensors","d":"s2.safetensors""#),
            is!(WeightsError::TensorNotInShard { .. }),
            &["s2.safetensors", "expected tensor \"d\"", "found no such"],
        ),
        index(
            "43 assigned elsewhere",
            r#"{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors","c":"s2.safetensors"}}"#,
            is!(WeightsError::TensorElsewhere { .. }),
            &[
                "s1.safetensors",
                "found tensor \"b\"",
                "expects in \"s2.safetensors\"",
            ],
        ),
        index(
            "43 assigned nowhere",
            r#"{"weight_map":{"a":"s1.safetensors","c":"s2.safetensors"}}"#,
            is!(WeightsError::TensorElsewhere { assigned: None, .. }),
            &["s1.safetensors", "found tensor \"b\"", "no shard"],
        ),
        Case::new(
            "44 in two shards",
            |folder| {
                write(
                    folder,
                    INDEX,
                    index_with(r#""c":"s2.safetensors""#).as_bytes(),
                );
                write(folder, "s1.safetensors", &vectors(&[("a", 1), ("b", 1)]));
                write(folder, "s2.safetensors", &vectors(&[("c", 3), ("b", 1)]));
            },
            is!(WeightsError::TensorTwice { .. }),
            &[
                "tensor \"b\"",
                "expected in one shard",
                "s1.safetensors",
                "s2.safetensors",
            ],
        ),
        index(
            "46 total size too large",
            index_with(r#""c":"s2.safetensors""#).replace("24", "25"),
            is!(WeightsError::TotalSize {
                expected: 24,
                found: 25,
                ..
            }),
            &[INDEX, "total_size", "expected 24", "found 25"],
        ),
        index(
            "46 total size negative",
            index_with(r#""c":"s2.safetensors""#).replace("24", "-24"),
            is!(WeightsError::Json { .. }),
            &[
                INDEX,
                "total_size",
                "expected a number of bytes",
                "found -24",
            ],
        ),
        index(
            "46 total size a text that is no number",
            index_with(r#""c":"s2.safetensors""#).replace("24", "\"24 bytes\""),
            is!(WeightsError::Json { .. }),
            &[INDEX, "total_size", "found \"24 bytes\""],
        ),
        index(
            "53 names that differ only in case",
            r#"{"weight_map":{"a":"s1.safetensors","b":"S1.safetensors","c":"s2.safetensors"}}"#,
            is!(WeightsError::NameClash { .. }),
            &[
                INDEX,
                "\"S1.safetensors\"",
                "\"s1.safetensors\"",
                "only in case",
            ],
        ),
    ]);
}

#[test]
fn an_index_of_the_wrong_form_is_refused() {
    check(vec![
        index(
            "45 no weight_map",
            r#"{"metadata":{}}"#,
            is!(WeightsError::Json { .. }),
            &[INDEX, "weight_map", "no such key"],
        ),
        index(
            "45 weight_map an array",
            r#"{"weight_map":[]}"#,
            is!(WeightsError::Json { .. }),
            &[INDEX, "weight_map", "expected an object", "found an array"],
        ),
        index(
            "45 a number for a shard",
            r#"{"weight_map":{"a":7}}"#,
            is!(WeightsError::Json { .. }),
            &[
                INDEX,
                "weight_map of tensor \"a\"",
                "expected the name of a shard",
                "found 7",
            ],
        ),
        index(
            "45 the index an array",
            "[]",
            is!(WeightsError::Json { .. }),
            &[INDEX, "expected an object", "found an array"],
        ),
        index(
            "45 not JSON",
            "weight_map",
            is!(WeightsError::Json { .. }),
            &[INDEX, "index", "line 1"],
        ),
        index(
            "45 a tensor twice",
            r#"{"weight_map":{"a":"s1.safetensors","a":"s2.safetensors"}}"#,
            is!(WeightsError::DuplicateKey { .. }),
            &[INDEX, "key \"a\"", "found twice"],
        ),
        index(
            "45 weight_map twice",
            r#"{"weight_map":{},"weight_map":{}}"#,
            is!(WeightsError::DuplicateKey { .. }),
            &[INDEX, "key \"weight_map\"", "found twice"],
        ),
        index(
            "35 control character in a name",
            r#"{"weight_map":{"a\n":"s1.safetensors"}}"#,
            is!(WeightsError::TensorName { .. }),
            &[INDEX, r#"found "a\n""#],
        ),
        index(
            "45 empty file",
            "",
            is!(WeightsError::Empty { .. }),
            &[INDEX, "expected a JSON object", "empty"],
        ),
        Case::new(
            "45 a very large index",
            |folder| {
                write_shards(folder);
                std::fs::File::create(folder.join(INDEX))
                    .unwrap()
                    .set_len(MAX_INDEX_BYTES + 1)
                    .unwrap();
            },
            is!(WeightsError::File(FileError::TooLarge { .. })),
            &[INDEX, "at most 16000000", "found 16000001"],
        ),
    ]);
}

#[test]
fn a_single_file_that_differs_from_the_shards_is_refused() {
    let both = |name, single: Vec<u8>, says: &[&str]| {
        let build = move |folder: &Path| {
            write_shards(folder);
            write(
                folder,
                INDEX,
                index_with(r#""c":"s2.safetensors""#).as_bytes(),
            );
            write(folder, "model.safetensors", &single);
        };
        let mut case = Case::new(name, build, is!(WeightsError::TwoSources { .. }), says);
        case.says.push("expected the same in both".to_owned());
        case
    };
    check(vec![
        both(
            "47 a tensor more in the single file",
            vectors(&[("a", 1), ("b", 2), ("c", 3), ("d", 1)]),
            &[
                "tensor \"d\"",
                "F32 [1] in model.safetensors",
                "absent in the shards",
            ],
        ),
        both(
            "47 a tensor more in the shards",
            vectors(&[("a", 1), ("b", 2)]),
            &[
                "tensor \"c\"",
                "absent in model.safetensors",
                "F32 [3] in the shards",
            ],
        ),
        both(
            "47 another shape",
            vectors(&[("a", 1), ("b", 2), ("c", 4)]),
            &["tensor \"c\"", "F32 [4]", "F32 [3]"],
        ),
    ]);
}

#[test]
fn case_47_of_two_equal_sources_the_single_file_is_used() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    write_shards(folder.path());
    write(
        folder.path(),
        INDEX,
        index_with(r#""c":"s2.safetensors""#).as_bytes(),
    );
    write(
        folder.path(),
        "model.safetensors",
        &vectors(&[("a", 1), ("b", 2), ("c", 3)]),
    );
    let checkpoint = OpenOptions::default().open(folder.path()).unwrap();
    let files: Vec<_> = checkpoint
        .files()
        .map(|f| f.path().file_name().unwrap().to_owned())
        .collect();
    assert_eq!(files, ["config.json", "model.safetensors"]);
    assert_eq!(checkpoint.names().count(), 3);
}

#[test]
fn case_47_a_single_file_that_is_itself_the_shard_loads() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    write(folder.path(), "model.safetensors", &vectors(&[("a", 1)]));
    write(
        folder.path(),
        INDEX,
        br#"{"weight_map":{"a":"model.safetensors"}}"#,
    );
    let checkpoint = OpenOptions::default().open(folder.path()).unwrap();
    assert_eq!(checkpoint.files().count(), 3);
    assert_eq!(checkpoint.tensor("a").unwrap().as_slice(), [1.0]);
}
