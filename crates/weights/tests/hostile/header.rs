//! A 1–20, 30 and 35: the header of a safetensors file.

use std::fs::File;
use std::io::Write;
use std::slice::from_ref;

use layerwise_weights::{Checkpoint, MAX_NAME_BYTES, OpenOptions, WeightsError};

use crate::{Case, check, file, is, stable, write};

/// A case whose `model.safetensors` has these bytes.
fn bytes(
    name: &'static str,
    bytes: Vec<u8>,
    expect: fn(&WeightsError) -> bool,
    says: &[&str],
) -> Case {
    let mut case = Case::new(
        name,
        move |folder| write(folder, "model.safetensors", &bytes),
        expect,
        says,
    );
    case.says.push("model.safetensors".to_owned());
    case
}

/// A case whose `model.safetensors` has this header and that many bytes of zeros as data.
pub(crate) fn header(
    name: &'static str,
    header: impl AsRef<[u8]>,
    data: usize,
    expect: fn(&WeightsError) -> bool,
    says: &[&str],
) -> Case {
    bytes(name, file(header, &vec![0; data]), expect, says)
}

/// The header entry of one tensor.
pub(crate) fn entry(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
}

/// A header of these entries.
pub(crate) fn of(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

#[test]
fn lengths_and_framing_are_refused() {
    let good = entry("a", "F32", "[2]", "[0,8]");
    let length = |value: u64, rest: usize| [&value.to_le_bytes()[..], &vec![b' '; rest]].concat();
    let mut cases = vec![
        bytes(
            "1 empty file",
            vec![],
            is!(WeightsError::Empty { .. }),
            &["expected a safetensors file", "empty"],
        ),
        bytes(
            "3 length beyond the file",
            length(93, 92),
            is!(WeightsError::HeaderLength { found: 93, .. }),
            &["header length", "1 to 92", "found 93"],
        ),
        bytes(
            "4 length 2^64-1",
            length(u64::MAX, 92),
            is!(WeightsError::HeaderLength {
                found: u64::MAX,
                ..
            }),
            &["1 to 92", "found 18446744073709551615"],
        ),
        bytes(
            "4 a page in the place of the file",
            b"<!DOCTYPE html>\n<title>Sign in</title>".to_vec(),
            is!(WeightsError::Text { .. }),
            &[
                "expected a safetensors file",
                "\"<!DOCTYP\"",
                "download the file itself",
            ],
        ),
        bytes(
            "4 length 2^64-8, which wraps",
            length(u64::MAX - 7, 92),
            is!(WeightsError::HeaderLength { .. }),
            &["found 18446744073709551608"],
        ),
        Case::new(
            "5 length above the limit in a large sparse file",
            |folder| {
                let mut file = File::create(folder.join("model.safetensors")).unwrap();
                file.write_all(&100_000_001_u64.to_le_bytes()).unwrap();
                file.set_len(300_000_000).unwrap();
            },
            is!(WeightsError::HeaderLength {
                found: 100_000_001,
                limit: 100_000_000,
                ..
            }),
            &[
                "model.safetensors",
                "the limit on headers",
                "1 to 100000000",
                "found 100000001",
            ],
        ),
        bytes(
            "6 length zero",
            length(0, 92),
            is!(WeightsError::HeaderLength { found: 0, .. }),
            &["found 0"],
        ),
        bytes(
            "6 length zero and nothing else",
            length(0, 0),
            is!(WeightsError::HeaderLength { .. }),
            &["found 0"],
        ),
        header(
            "7 not UTF-8",
            b"{\"a\xff\":1}",
            0,
            is!(WeightsError::Utf8 { offset: 3, .. }),
            &["header", "UTF-8", "3"],
        ),
        header(
            "8 not JSON",
            "{what is this}",
            0,
            is!(WeightsError::Json { .. }),
            &["header", "line 1 column 2"],
        ),
        header(
            "8 cut",
            &of(from_ref(&good))[..30],
            8,
            is!(WeightsError::HeaderFrame { .. }),
            &["header", "expected '}'", "last", "found '2'"],
        ),
        header(
            "8 cut after a brace",
            r#"{"a":{"dtype":"F32"}"#,
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "missing field `shape`"],
        ),
        header(
            "8 two values",
            "{}{}",
            0,
            is!(WeightsError::Json { .. }),
            &["header", "trailing characters"],
        ),
        header(
            "9 array",
            "[]",
            0,
            is!(WeightsError::HeaderFrame { .. }),
            &["expected '{'", "first", "found '['"],
        ),
        header(
            "9 null",
            "null",
            0,
            is!(WeightsError::HeaderFrame { .. }),
            &["expected '{'", "found 'n'"],
        ),
        header(
            "9 number",
            "12345678",
            0,
            is!(WeightsError::HeaderFrame { .. }),
            &["expected '{'", "found '1'"],
        ),
        header(
            "10 starts with a space",
            format!(" {}", of(from_ref(&good))),
            8,
            is!(WeightsError::HeaderFrame { .. }),
            &["expected '{'", "first", "found ' '"],
        ),
        header(
            "10 starts with a byte-order mark",
            format!("\u{feff}{}", of(from_ref(&good))),
            8,
            is!(WeightsError::HeaderFrame { found: 0xef, .. }),
            &["expected '{'", "first"],
        ),
        header(
            "11 padded with NUL",
            format!("{}\0\0\0", of(from_ref(&good))),
            8,
            is!(WeightsError::HeaderFrame { .. }),
            &["expected '}'", "last", r"found '\0'"],
        ),
        header(
            "11 padded with newlines",
            format!("{}\n", of(from_ref(&good))),
            8,
            is!(WeightsError::HeaderFrame { .. }),
            &[r"found '\n'"],
        ),
    ];
    for (name, size) in [("2 one byte", 1), ("2 seven bytes", 7)] {
        let found = format!("found {size}");
        cases.push(bytes(
            name,
            vec![1; size],
            is!(WeightsError::TooShort { .. }),
            &["at least 8 bytes", &found],
        ));
    }
    check(cases);
}

#[test]
fn deep_nesting_is_refused() {
    let deep = |open: &str, close: &str| open.repeat(200) + "1" + &close.repeat(200);
    check(vec![
        header(
            "12 as the header",
            deep(r#"{"a":"#, "}"),
            0,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "unknown field"],
        ),
        header(
            "12 as an entry",
            format!(r#"{{"a":{}}}"#, deep("[", "]")),
            0,
            is!(WeightsError::Json { .. }),
            &[
                "tensor \"a\"",
                "expected an object with dtype, shape and data_offsets",
                "invalid type: sequence",
            ],
        ),
        header(
            "12 as a shape",
            of(&[entry("a", "F32", &deep("[", "]"), "[0,8]")]),
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "expected an integer", "sequence"],
        ),
        header(
            "12 as a fifth dimension",
            of(&[entry(
                "a",
                "F32",
                &format!("[1,1,1,1,{}]", deep("[", "]")),
                "[0,8]",
            )]),
            8,
            is!(WeightsError::Rank { found: 5, .. }),
            &["tensor \"a\"", "rank", "at most 4", "found 5"],
        ),
        header(
            "12 as metadata",
            format!(r#"{{"__metadata__":{}}}"#, deep(r#"{"a":"#, "}")),
            0,
            is!(WeightsError::Json { .. }),
            &["metadata key \"a\"", "expected a string"],
        ),
    ]);
}

#[test]
fn case_13_a_header_of_a_million_tensors_is_read_and_checked_to_its_end() {
    const TENSORS: usize = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    let entries: Vec<String> = (0..TENSORS)
        .map(|i| entry(&format!("t{i}"), "U8", "[1]", &format!("[{i},{}]", i + 1)))
        .collect();
    let header = of(&entries);
    assert!(header.len() < 100_000_000);
    write(
        folder.path(),
        "model.safetensors",
        &file(&header, &vec![0; TENSORS]),
    );
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.names().count(), TENSORS);
    assert_eq!(checkpoint.info("t999999").unwrap().shape, [1]);

    write(
        folder.path(),
        "model.safetensors",
        &file(&header, &vec![0; TENSORS - 1]),
    );
    let error = Checkpoint::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, WeightsError::OffsetsOutside { tensor, limit: 999_999, found: 1_000_000, .. } if tensor == "t999999"),
        "{error}"
    );
}

#[test]
fn keys_names_and_types_are_refused() {
    let good = entry("a", "F32", "[2]", "[0,8]");
    let with_metadata = |text: &str| format!(r#"{{"__metadata__":{text},{good}}}"#);
    let long = "n".repeat(MAX_NAME_BYTES + 1);
    check(vec![
        header(
            "14 duplicate tensor",
            of(&[good.clone(), good.clone()]),
            8,
            is!(WeightsError::DuplicateKey { .. }),
            &["tensor \"a\"", "expected once", "found twice"],
        ),
        header(
            "14 duplicate tensor, spelt with an escape",
            of(&[good.clone(), entry(r"\u0061", "F32", "[2]", "[8,16]")]),
            16,
            is!(WeightsError::DuplicateKey { .. }),
            &["tensor \"a\"", "found twice"],
        ),
        header(
            "14 metadata twice",
            format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},{good}}}"#),
            8,
            is!(WeightsError::DuplicateKey { .. }),
            &["\"__metadata__\"", "found twice"],
        ),
        header(
            "14 field twice",
            r#"{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}"#,
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "duplicate field `dtype`"],
        ),
        header(
            "15 duplicate metadata key",
            with_metadata(r#"{"format":"pt","format":"np"}"#),
            8,
            is!(WeightsError::DuplicateKey { .. }),
            &["metadata key \"format\"", "expected once", "found twice"],
        ),
        header(
            "16 metadata value a number",
            with_metadata(r#"{"epoch":3}"#),
            8,
            is!(WeightsError::Json { .. }),
            &["metadata key \"epoch\"", "expected a string", "integer `3`"],
        ),
        header(
            "16 metadata null",
            with_metadata("null"),
            8,
            is!(WeightsError::Json { .. }),
            &["metadata", "expected an object of strings", "null"],
        ),
        header(
            "17 unknown dtype",
            of(&[entry("a", "F33", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::UnknownDtype { .. }),
            &["tensor \"a\"", "dtype", "F32", "found \"F33\""],
        ),
        header(
            "17 very long dtype",
            of(&[entry("a", &"F".repeat(100_000), "[2]", "[0,8]")]),
            8,
            is!(WeightsError::UnknownDtype { .. }),
            &["tensor \"a\"", "…"],
        ),
        header(
            "17 dtype an object",
            r#"{"a":{"dtype":{"F32":null},"shape":[2],"data_offsets":[0,8]}}"#,
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "expected the name of a dtype"],
        ),
        header(
            "19 negative dimension",
            of(&[entry("a", "F32", "[-2]", "[0,8]")]),
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "integer `-2`", "expected an integer from 0"],
        ),
        header(
            "19 negative offset",
            of(&[entry("a", "F32", "[2]", "[-8,0]")]),
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "integer `-8`"],
        ),
        header(
            "20 fractional dimension",
            of(&[entry("a", "F32", "[2.5]", "[0,8]")]),
            8,
            is!(WeightsError::Json { .. }),
            &[
                "tensor \"a\"",
                "floating point `2.5`",
                "expected an integer",
            ],
        ),
        header(
            "20 dimension beyond 64 bits",
            of(&[entry("a", "F32", "[18446744073709551616]", "[0,8]")]),
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "expected an integer"],
        ),
        header(
            "29 one offset",
            of(&[entry("a", "F32", "[2]", "[8]")]),
            8,
            is!(WeightsError::Json { .. }),
            &[
                "tensor \"a\"",
                "invalid length 1",
                "expected an array of two offsets",
            ],
        ),
        header(
            "29 three offsets",
            of(&[entry("a", "F32", "[2]", "[0,8,16]")]),
            8,
            is!(WeightsError::Json { .. }),
            &[
                "tensor \"a\"",
                "invalid length 3",
                "expected an array of two offsets",
            ],
        ),
        header(
            "29 an unknown field",
            r#"{"a":{"dtype":"F32","shape":[2],"strides":[1],"data_offsets":[0,8]}}"#,
            8,
            is!(WeightsError::Json { .. }),
            &["tensor \"a\"", "unknown field `strides`"],
        ),
        header(
            "30 rank 5",
            of(&[entry("a", "F32", "[1,1,1,1,2]", "[0,8]")]),
            8,
            is!(WeightsError::Rank { found: 5, .. }),
            &["tensor \"a\"", "rank", "expected at most 4", "found 5"],
        ),
        header(
            "35 empty name",
            of(&[entry("", "F32", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::TensorName { .. }),
            &["tensor name", "expected 1 to 512 bytes", "found \"\""],
        ),
        header(
            "35 control character in a name",
            of(&[entry(r"a\u001b[2J", "F32", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::TensorName { .. }),
            &["tensor name", "without control characters", r"a\u{1b}[2J"],
        ),
        header(
            "35 very long name",
            of(&[entry(&long, "F32", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::TensorName { .. }),
            &["tensor name", "nnnn", "…"],
        ),
    ]);
}

#[test]
fn case_30_a_scalar_loads_but_is_no_vector_and_no_matrix() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    let header = of(&[
        entry("bias", "F32", "[]", "[0,4]"),
        entry("v", "F32", "[2]", "[4,12]"),
    ]);
    write(folder.path(), "model.safetensors", &file(header, &[0; 12]));
    for mmap in [true, false] {
        let checkpoint = OpenOptions::new()
            .map(stable(mmap))
            .open(folder.path())
            .unwrap();
        let scalar = checkpoint.tensor("bias").unwrap();
        assert_eq!(
            (scalar.shape(), scalar.as_slice()),
            ([0_usize; 0].as_slice(), [0.0_f32].as_slice())
        );
        let vector = checkpoint.tensor("v").unwrap();
        assert_eq!(vector.view1().unwrap().len(), 2);
        for (error, rank, found) in [
            (scalar.view1().unwrap_err(), "expected 1", "found 0"),
            (scalar.view2().unwrap_err(), "expected 2", "found 0"),
            (vector.view2().unwrap_err(), "expected 2", "found 1"),
        ] {
            assert!(matches!(error, WeightsError::Rank { .. }), "{error:?}");
            let message = error.to_string();
            assert!(message.contains("model.safetensors"), "{message}");
            assert!(
                message.contains(rank) && message.contains(found),
                "{message}"
            );
        }
    }
}
