//! A, 1 to 35: the file of weights.

use crate::checkpoint::{Checkpoint, Tensor, data, entry, file, header};
use crate::sandbox::Sandbox;
use crate::{Case, check};
use std::fs::{File, OpenOptions};
use std::io::Write;

const FILE: &str = "model/model.safetensors";

/// A weights file with these bytes.
fn bytes(name: (u8, &'static str), bytes: Vec<u8>, says: &[&str]) -> Case {
    let make = move |sandbox: &Sandbox| sandbox.write(FILE, &bytes);
    Case::refused(name, make, &[&[FILE], says].concat())
}

/// A weights file with this header and the given number of zero bytes.
fn with_header(
    name: (u8, &'static str),
    header: impl AsRef<[u8]>,
    zeros: usize,
    says: &[&str],
) -> Case {
    bytes(name, file(header, &vec![0; zeros]), says)
}

/// A header of these entries.
fn of(entries: &[String]) -> String {
    format!("{{{}}}", entries.join(","))
}

/// The good checkpoint with one of its tensors changed.
fn changed(name: &str, change: impl Fn(&mut Tensor)) -> Checkpoint {
    let mut checkpoint = Checkpoint::llama();
    change(checkpoint.tensor(name));
    checkpoint
}

fn spoilt(name: (u8, &'static str), checkpoint: Checkpoint, says: &[&str]) -> Case {
    Case::refused(name, move |s| s.write_checkpoint(&checkpoint), says)
}

/// A file that states the length of its header, with some bytes at its start and end and holes between.
fn sparse(sandbox: &Sandbox, header: u64, length: u64, start: &[u8]) {
    let mut file = File::create(sandbox.path(FILE)).unwrap();
    file.write_all(&header.to_le_bytes()).unwrap();
    file.write_all(start).unwrap();
    file.set_len(length).unwrap();
}

/// Cases 1 to 13: the frame of the header.
pub(crate) fn frames() -> Vec<Case> {
    let a = entry("a", "F32", "[2]", 0, 8);
    let good = of(std::slice::from_ref(&a));
    let length = good.len() as u64;
    let deep = "[".repeat(200);
    let claims = |length: u64| {
        let mut file = file(&good, &[0; 8]);
        file[..8].copy_from_slice(&length.to_le_bytes());
        file
    };
    let too_long = format!("1 to {}", length + 8);
    vec![
        bytes((1, "0 bytes"), vec![], &["found an empty file"]),
        bytes(
            (2, "1 byte"),
            vec![1],
            &["expected at least 8 bytes", "found 1"],
        ),
        bytes(
            (2, "7 bytes"),
            vec![1; 7],
            &["expected at least 8 bytes", "found 7"],
        ),
        bytes(
            (3, "length field beyond the file"),
            claims(length + 9),
            &["header length", &too_long, &format!("found {}", length + 9)],
        ),
        bytes(
            (4, "length 2^64 - 1"),
            claims(u64::MAX),
            &["header length", &too_long, "found 18446744073709551615"],
        ),
        bytes(
            (4, "length 2^64 - 8, which overflows"),
            claims(u64::MAX - 7),
            &["header length", &too_long, "found 18446744073709551608"],
        ),
        Case::refused(
            (5, "length above 100 MB in a large sparse file"),
            |sandbox| sparse(sandbox, 200_000_000, 3_000_000_000, b"{"),
            &[FILE, "header length", "1 to 100000000", "found 200000000"],
        ),
        Case::refused(
            (5, "a header of 100 MB without content"),
            |sandbox| sparse(sandbox, 100_000_000, 3_000_000_000, b"{"),
            &[FILE, "header", "expected '}' as its last byte"],
        ),
        Case::refused(
            (5, "a header of 100 MB of opening brackets"),
            |sandbox| {
                sparse(sandbox, 100_000_000, 200_000_000, b"{\"a\":");
                let mut file = OpenOptions::new()
                    .write(true)
                    .open(sandbox.path(FILE))
                    .unwrap();
                use std::io::{Seek, SeekFrom};
                file.seek(SeekFrom::Start(13)).unwrap();
                file.write_all(&vec![b'['; 99_999_994]).unwrap();
                file.write_all(b"}").unwrap();
            },
            &[FILE, "tensor \"a\"", "expected an object"],
        )
        .on("ids.npy", &[]),
        with_header(
            (6, "length 0"),
            "",
            8,
            &["header length", "expected 1 to", "found 0"],
        ),
        with_header(
            (7, "header not UTF-8"),
            b"{\"a\xff\":1}",
            0,
            &["header", "expected UTF-8", "offset 3"],
        ),
        with_header(
            (8, "header not JSON"),
            "{a}",
            0,
            &["header", "line 1 column 2"],
        ),
        with_header(
            (8, "header cut"),
            &good[..good.len() - 1],
            8,
            &["header", "column"],
        ),
        with_header(
            (9, "header an array"),
            "[]",
            0,
            &["header: expected '{'", "found '['"],
        ),
        with_header(
            (9, "header null"),
            "null",
            0,
            &["header: expected '{'", "found 'n'"],
        ),
        with_header(
            (9, "header a number"),
            "7",
            0,
            &["header: expected '{'", "found '7'"],
        ),
        with_header(
            (10, "header starts with a space"),
            format!(" {good}"),
            8,
            &["header: expected '{' as its first byte", "found ' '"],
        ),
        with_header(
            (11, "header padded with NUL"),
            format!("{good}\0\0\0"),
            8,
            &["header: expected '}' as its last byte", r"found '\0'"],
        ),
        with_header(
            (12, "200 levels of nesting"),
            format!("{{\"a\":{deep}{}}}", "]".repeat(200)),
            0,
            &["tensor \"a\"", "expected an"],
        ),
        with_header(
            (12, "200 levels of nesting in a shape"),
            format!(
                "{{\"a\":{{\"dtype\":\"F32\",\"shape\":{deep}{},\"data_offsets\":[0,0]}}}}",
                "]".repeat(200)
            ),
            0,
            &["tensor \"a\"", "expected an"],
        ),
        Case::refused(
            (13, "a million entries"),
            |sandbox| {
                let entries: Vec<String> = (0..1_000_000)
                    .map(|i| entry(&format!("t{i}"), "F32", "[0]", 0, 0))
                    .collect();
                sandbox.write(FILE, &file(of(&entries), &[]));
            },
            &[
                "model",
                "tensors of a llama model are missing",
                "model.norm.weight",
            ],
        )
        .on("ids.npy", &[]),
        Case::refused(
            (13, "a million entries in addition to the model's own"),
            |sandbox| {
                let own = Checkpoint::llama().tensors;
                let end = data(&own).len() as u64;
                let more: Vec<String> = (0..1_000_000)
                    .map(|i| entry(&format!("t{i}"), "F32", "[0]", end, end))
                    .collect();
                let text = header(&own);
                let text = format!("{},{}}}", &text[..text.len() - 1], more.join(","));
                sandbox.write(FILE, &file(text, &data(&own)));
            },
            &["model", "1000000 unexpected tensors", "t0"],
        )
        .on("ids.npy", &[]),
    ]
}

/// Cases 14 to 30: what the header says.
pub(crate) fn headers() -> Vec<Case> {
    let a = || entry("a", "F32", "[2]", 0, 8);
    let one = |dtype, shape, begin, end| of(&[entry("a", dtype, shape, begin, end)]);
    let metadata = |text: &str| format!("{{\"__metadata__\":{text},{}}}", a());
    let max = u64::MAX;
    // The largest size that still fits when counted in bits.
    let most = max / 8;
    vec![
        with_header(
            (14, "the same tensor name twice"),
            of(&[a(), a()]),
            8,
            &["\"a\"", "expected once, found twice"],
        ),
        with_header(
            (14, "the same tensor name twice, once with an escape"),
            of(&[a(), a().replace("\"a\"", "\"\\u0061\"")]),
            8,
            &["\"a\"", "expected once, found twice"],
        ),
        with_header(
            (15, "the same key twice in the metadata"),
            metadata(r#"{"format":"pt","format":"pt"}"#),
            8,
            &["\"format\"", "expected once, found twice"],
        ),
        with_header(
            (16, "metadata value not a string"),
            metadata(r#"{"format":1}"#),
            8,
            &[
                "metadata key \"format\"",
                "integer `1`",
                "expected a string",
            ],
        ),
        with_header(
            (17, "unknown dtype"),
            one("F31", "[2]", 0, 8),
            8,
            &["tensor \"a\"", "dtype: expected one of", "found \"F31\""],
        ),
        spoilt(
            (18, "a dtype that no weight can have"),
            changed("model.norm.weight", |t| t.dtype = "I32"),
            &[
                FILE,
                "tensor \"model.norm.weight\"",
                "expected F32, F16 or BF16",
                "found I32",
            ],
        ),
        spoilt(
            (18, "a weight in 64 bits"),
            changed("model.norm.weight", |t| {
                t.dtype = "F64";
                t.data = vec![0; 64];
            }),
            &[FILE, "tensor \"model.norm.weight\"", "found F64"],
        ),
        with_header(
            (19, "negative dimension"),
            one("F32", "[-2]", 0, 8),
            8,
            &["tensor \"a\"", "integer `-2`", "expected an integer from 0"],
        ),
        with_header(
            (20, "fractional dimension"),
            one("F32", "[2.0]", 0, 8),
            8,
            &[
                "tensor \"a\"",
                "floating point `2.0`",
                "expected an integer from 0",
            ],
        ),
        with_header(
            (21, "shape with a product that overflows"),
            one("F32", "[4294967296,4294967296]", 0, 8),
            8,
            &[
                "tensor \"a\"",
                "expected a size in whole bytes below 2^64",
                "4294967296",
            ],
        ),
        with_header(
            (22, "sizes that sum to about 2^64"),
            of(&[
                entry("a", "U8", &format!("[{most}]"), 0, most),
                entry("b", "U8", &format!("[{most}]"), most, 2 * most),
            ]),
            8,
            &["tensor \"a\"", "expected an end of at most 8"],
        ),
        with_header(
            (22, "sizes that sum beyond 2^64"),
            of(&[
                entry("a", "U8", &format!("[{max}]"), 0, max),
                entry("b", "U8", &format!("[{max}]"), 0, max),
            ]),
            8,
            &["tensor \"a\"", "expected a size in whole bytes below 2^64"],
        ),
        with_header(
            (23, "offsets reversed"),
            one("F32", "[2]", 8, 0),
            8,
            &["tensor \"a\"", "expected begin <= end", "[8, 0]"],
        ),
        with_header(
            (24, "offsets outside the data"),
            one("F32", "[4]", 0, 16),
            8,
            &["tensor \"a\"", "at most 8", "found 16"],
        ),
        with_header(
            (25, "overlapping tensors"),
            of(&[a(), entry("b", "F32", "[2]", 4, 12)]),
            12,
            &[
                "tensor \"b\" overlaps",
                "expected it to begin at byte 8, found 4",
            ],
        ),
        with_header(
            (26, "a hole between tensors"),
            of(&[a(), entry("b", "F32", "[1]", 12, 16)]),
            16,
            &[
                "hole",
                "tensor \"b\"",
                "expected it to begin at byte 8, found 12",
            ],
        ),
        with_header(
            (27, "trailing bytes"),
            of(&[a()]),
            9,
            &["expected 8 bytes of data", "found 9"],
        ),
        with_header(
            (28, "truncated data"),
            of(&[a()]),
            7,
            &["tensor \"a\"", "at most 7", "found 8"],
        ),
        with_header(
            (29, "shape and offsets that differ"),
            one("F32", "[3]", 0, 8),
            8,
            &["tensor \"a\"", "expected 12 bytes for F32 [3]", "span 8"],
        ),
        with_header(
            (30, "rank 5"),
            one("F32", "[1,1,1,1,2]", 0, 8),
            8,
            &["tensor \"a\"", "rank: expected", "found 5"],
        ),
        spoilt(
            (30, "rank 0 where a matrix is needed"),
            changed("model.layers.1.mlp.up_proj.weight", |t| {
                t.shape = vec![];
                t.data = vec![0; 4];
            }),
            &[
                "model.layers.1.mlp.up_proj.weight",
                "expected shape [12, 8]",
                "found []",
            ],
        ),
    ]
}

/// Cases 31 to 35: values and names.
pub(crate) fn values() -> Vec<Case> {
    let set = |index: usize, value: f32| {
        move |t: &mut Tensor| t.data[4 * index..4 * index + 4].copy_from_slice(&value.to_le_bytes())
    };
    let half = |bits: u16| {
        move |t: &mut Tensor| {
            t.dtype = "F16";
            t.data = vec![0; t.data.len() / 2];
            t.data[2..4].copy_from_slice(&bits.to_le_bytes());
        }
    };
    let up = "model.layers.1.mlp.up_proj.weight";
    let zeroed = |name: &str| {
        let checkpoint = changed(name, |t| t.fill(0.0));
        Case::accepted(
            (34, "an all-zero norm gain or embedding"),
            move |s| s.write_checkpoint(&checkpoint),
            &["warning", FILE, name, "every value is zero"],
        )
    };
    vec![
        spoilt(
            (31, "a dimension of zero in a weight"),
            changed(up, |t| {
                t.shape = vec![0, 8];
                t.data.clear();
            }),
            &[up, "[0, 8]", "expected"],
        ),
        // The header's length is not a multiple of four, so that no tensor is aligned.
        Case::accepted(
            (32, "data that starts misaligned"),
            |sandbox| {
                let tensors = Checkpoint::llama().tensors;
                let mut text = header(&tensors);
                while text.len() % 4 != 1 {
                    text.push(' ');
                }
                sandbox.write(FILE, &file(text, &data(&tensors)));
            },
            &["model: 3 schedules"],
        ),
        spoilt(
            (33, "NaN in a weight"),
            changed(up, set(19, f32::NAN)),
            &[
                FILE,
                up,
                "expected finite values",
                "found NaN first at [2, 3]",
            ],
        ),
        spoilt(
            (33, "infinity in a weight"),
            changed("lm_head.weight", set(0, f32::NEG_INFINITY)),
            &[
                FILE,
                "lm_head.weight",
                "expected finite values",
                "found -inf first at [0, 0]",
            ],
        ),
        spoilt(
            (33, "infinity in a weight in F16"),
            changed(up, half(0x7c00)),
            &[
                FILE,
                up,
                "expected finite values",
                "found inf first at [0, 1]",
            ],
        ),
        zeroed("model.norm.weight"),
        zeroed("model.embed_tokens.weight"),
        with_header(
            (35, "empty tensor name"),
            of(&[entry("", "F32", "[2]", 0, 8)]),
            8,
            &["tensor name: expected 1 to 512 bytes", "found \"\""],
        ),
        with_header(
            (35, "control character in a tensor name"),
            of(&[entry("a\u{1b}[2J", "F32", "[2]", 0, 8)]),
            8,
            &[
                "tensor name: expected",
                "without control characters",
                r"\u{1b}[2J",
            ],
        ),
    ]
}

/// The reference of `diff-sites` is a stranger's file, too.
pub(crate) fn references() -> Vec<Case> {
    const COMPARE: [&str; 3] = ["diff-sites", "model", "reference.safetensors"];
    let eighth = u64::MAX / 8;
    vec![
        Case::refused(
            (22, "sizes that sum to about 2^64, in a reference"),
            move |sandbox| {
                let entries = (0..8).map(|i| {
                    let shape = format!("[{eighth}]");
                    entry(&format!("t{i}"), "U8", &shape, i * eighth, (i + 1) * eighth)
                });
                let header = of(&entries.collect::<Vec<_>>());
                sandbox.write(COMPARE[2], &file(header, &[0; 8]));
            },
            &[
                COMPARE[2],
                "tensor \"t0\"",
                "expected an end of at most 8",
                "found 2305843009213693951",
            ],
        )
        .exactly(&COMPARE),
        Case::refused(
            (41, "a FIFO for a reference"),
            |sandbox| crate::folder::make_fifo(sandbox, COMPARE[2]),
            &[COMPARE[2], "expected a regular file", "found a FIFO"],
        )
        .exactly(&COMPARE),
    ]
}

#[test]
fn references_of_comparisons() {
    check(references());
}

#[test]
fn frames_of_headers() {
    check(frames());
}

#[test]
fn contents_of_headers() {
    check(headers());
}

#[test]
fn values_of_tensors() {
    check(values());
}

/// Misaligned data gives the numbers of aligned data, with either way of reading.
#[test]
fn misaligned_weights_give_the_same_table() {
    let table = |padding: usize, arguments: &[&str]| {
        let sandbox = Sandbox::new();
        let tensors = Checkpoint::llama().tensors;
        let text = format!("{}{}", header(&tensors), " ".repeat(padding));
        sandbox.write(FILE, &file(text, &data(&tensors)));
        let fixed = [
            "sweep", "drop(l)", "--model", "model", "--corpus", "ids.npy", "--out", "out.csv",
        ];
        assert_eq!(sandbox.run(&[&fixed, arguments].concat()).code, Some(0));
        sandbox.read("out.csv")
    };
    let expected = table(0, &[]);
    for padding in 1..8 {
        assert!(table(padding, &[]) == expected, "{padding}");
        assert!(table(padding, &["--no-mmap"]) == expected, "{padding}");
    }
}
