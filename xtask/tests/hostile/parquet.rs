//! E, 84 to 86: Parquet files, byte by byte, and data sets of the hub's cache.

use crate::sandbox::Sandbox;
use crate::{Case, check};
use std::fs;
use std::io::Write;

/// A number in Thrift's compact protocol.
fn number(value: i64) -> Vec<u8> {
    varint((value << 1 ^ value >> 63) as u64)
}

/// A number without a sign.
fn varint(mut rest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A field whose id is so much larger than the previous one's.
fn field(step: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    [&[step << 4 | kind], value].concat()
}

fn integer(step: u8, value: i64) -> Vec<u8> {
    field(step, 5, &number(value))
}

fn text(step: u8, value: &str) -> Vec<u8> {
    field(step, 8, &[&[value.len() as u8], value.as_bytes()].concat())
}

/// A structure's bytes with the end marker.
fn structure(fields: &[Vec<u8>]) -> Vec<u8> {
    [fields.concat(), vec![0]].concat()
}

fn list(step: u8, kind: u8, elements: &[Vec<u8>]) -> Vec<u8> {
    let count = elements.len();
    let head = match count {
        0..15 => vec![(count as u8) << 4 | kind],
        _ => [vec![0xf0 | kind], varint(count as u64)].concat(),
    };
    field(step, 9, &[head, elements.concat()].concat())
}

/// One page of texts in a required column `text`.
struct Page {
    codec: i64,
    encoding: i64,
    values: i64,
    /// The rows, as the footer states them; `None` for the page's.
    rows: Option<i64>,
    uncompressed: i64,
    compressed: i64,
    /// Bytes of the chunk, as the footer states them; `None` for the true number.
    chunk: Option<i64>,
    /// The pages before it.
    before: Vec<u8>,
    bytes: Vec<u8>,
}

impl Page {
    fn plain(bytes: &[u8]) -> Self {
        Self {
            codec: 0,
            encoding: 0,
            values: 1,
            rows: None,
            uncompressed: bytes.len() as i64,
            compressed: bytes.len() as i64,
            chunk: None,
            before: Vec::new(),
            bytes: bytes.to_vec(),
        }
    }

    fn file(&self) -> Vec<u8> {
        let data = structure(&[
            integer(1, self.values),
            integer(1, self.encoding),
            integer(1, 3),
            integer(1, 3),
        ]);
        let header = structure(&[
            integer(1, 0),
            integer(1, self.uncompressed),
            integer(1, self.compressed),
            field(2, 12, &data),
        ]);
        let page = [self.before.clone(), header, self.bytes.clone()].concat();
        let rows = self.rows.unwrap_or(self.values);
        let root = structure(&[text(4, "schema"), integer(1, 1)]);
        let column = structure(&[integer(1, 6), integer(2, 0), text(1, "text")]);
        let chunk = structure(&[
            integer(1, 6),
            list(2, 8, &[[&[4], b"text".as_slice()].concat()]),
            integer(1, self.codec),
            integer(1, rows),
            integer(1, 0),
            integer(1, self.chunk.unwrap_or(page.len() as i64)),
            integer(2, 4),
        ]);
        let chunks = list(1, 12, &[structure(&[field(3, 12, &chunk)])]);
        let footer = structure(&[
            integer(1, 1),
            list(1, 12, &[root, column]),
            integer(1, rows),
            list(1, 12, &[structure(&[chunks])]),
        ]);
        file(&page, &footer)
    }
}

/// A page of one text for the pages that follow.
fn dictionary(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as i64;
    let header = structure(&[
        integer(1, 2),
        integer(1, length),
        integer(1, length),
        field(4, 12, &structure(&[integer(1, 1), integer(1, 0)])),
    ]);
    [header, bytes.to_vec()].concat()
}

fn file(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, footer, &length, b"PAR1"].concat()
}

fn of_page(what: &'static str, page: Page, says: &[&str]) -> Case {
    let bytes = page.file();
    let make = move |sandbox: &Sandbox| sandbox.write("rows.parquet", &bytes);
    Case::refused((84, what), make, &[&["rows.parquet: "], says].concat()).on("rows.parquet", &[])
}

/// Zeros, compressed by gzip to a thousandth.
fn bomb() -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..64 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

pub(crate) fn parquet() -> Vec<Case> {
    let words = [&10_u32.to_le_bytes(), b"some words".as_slice()].concat();
    let long = [words.clone(), vec![0; 20 << 20]].concat();
    let bomb = bomb();
    let in_page = "row group 0, page at byte 4";
    let columns = list(1, 12, &vec![structure(&[]); (1 << 16) + 2]);
    vec![
        of_page(
            "a page of Parquet that would have 2 GiB",
            Page {
                uncompressed: i32::MAX.into(),
                ..Page::plain(&words)
            },
            &[in_page, "expected a page of at most", "2147483647"],
        ),
        of_page(
            "a page of Parquet that has more bytes than it says",
            Page {
                codec: 2,
                uncompressed: 100,
                compressed: bomb.len() as i64,
                bytes: bomb,
                ..Page::plain(&[])
            },
            &[
                in_page,
                "expected a page of 100 bytes once decompressed",
                "101 bytes at least",
            ],
        ),
        of_page(
            "a page of Parquet that ends after the file",
            Page {
                compressed: 1 << 20,
                ..Page::plain(&words)
            },
            &[in_page, "expected a page of at most 14 bytes", "1048576"],
        ),
        of_page(
            "pages of Parquet beyond the file",
            Page {
                chunk: Some(i64::MAX),
                ..Page::plain(&words)
            },
            &[
                "row group 0",
                "expected pages within the",
                "9223372036854775807 bytes from byte 4",
            ],
        ),
        of_page(
            "a text of Parquet that is longer than its page",
            Page::plain(&[255; 8]),
            &[in_page, "expected a text at byte 0 of its page", "at 8"],
        ),
        of_page(
            "more values of Parquet than there are texts",
            Page {
                values: 2,
                ..Page::plain(&words)
            },
            &[in_page, "expected a text at byte 14 of its page"],
        ),
        of_page(
            "a page of Parquet of more values than are read",
            Page {
                values: i64::MAX,
                rows: Some(1 << 25),
                ..Page::plain(&words)
            },
            &[in_page, "expected at most 16777216 values in a page"],
        ),
        of_page(
            "more rows of Parquet than are read",
            Page {
                rows: Some(1 << 40),
                ..Page::plain(&words)
            },
            &[
                "footer: expected at most 268435456 rows in a file",
                "1099511627776",
            ],
        ),
        // Each would fit alone.
        of_page(
            "a page of Parquet that does not fit into memory beside its dictionary",
            Page {
                before: dictionary(&long),
                ..Page::plain(&long)
            },
            &["row group 0, page at byte", "bytes of memory, but only"],
        )
        .on("rows.parquet", &["--max-memory", "70M"]),
        of_page(
            "a dictionary of Parquet that is missing",
            Page {
                encoding: 8,
                ..Page::plain(&[1, 2, 1])
            },
            &[
                in_page,
                "expected an entry of a dictionary of 0",
                "number 1",
            ],
        ),
        of_page(
            "text of Parquet that is not UTF-8",
            Page::plain(&[1, 0, 0, 0, 0xff]),
            &["row 0", "expected UTF-8", "0xff at byte 0"],
        ),
        of_page(
            "another compression of Parquet",
            Page {
                codec: 4,
                ..Page::plain(&words)
            },
            &[in_page, "Snappy, gzip or Zstandard", "Brotli"],
        ),
        Case::refused(
            (84, "a footer of Parquet that is nested without end"),
            |s| s.write("rows.parquet", &file(&[], &[0x1c; 5000])),
            &["rows.parquet: footer", "Thrift's compact protocol"],
        )
        .on("rows.parquet", &[]),
        Case::refused(
            (84, "a footer of Parquet with more columns than are read"),
            move |s| {
                let footer = structure(&[integer(1, 1), columns.clone()]);
                s.write("rows.parquet", &file(&[], &footer));
            },
            &["rows.parquet: footer", "Thrift's compact protocol"],
        )
        .on("rows.parquet", &[]),
        Case::refused(
            (84, "a footer of Parquet longer than the file"),
            |s| {
                let mut bytes = file(&[], &[0]);
                bytes[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
                s.write("rows.parquet", &bytes);
            },
            &[
                "rows.parquet: footer",
                "expected at most 1 bytes",
                "4294967295",
            ],
        )
        .on("rows.parquet", &[]),
        Case::refused(
            (86, "a column of Parquet that is missing"),
            move |s| s.write("rows.parquet", &Page::plain(&words).file()),
            &[
                "rows.parquet: columns",
                r#"expected a column "body" of texts"#,
                r#"texts in "text""#,
            ],
        )
        .on("rows.parquet", &["--field", "body"]),
        Case::refused(
            (50, "a data set that the hub's cache lacks"),
            |_| (),
            &[
                "--corpus org/none:default:test:text",
                "every revision of org/none",
                "hf download org/none --repo-type dataset",
            ],
        )
        .on("org/none:default:test:text", &[]),
        Case::refused(
            (50, "a split that the hub's cache lacks"),
            |s| data_set(s, "train.jsonl"),
            &[
                "configuration default with the split test",
                "there is default:train",
                "hf download org/set",
            ],
        )
        .exactly(&in_cache("org/set:default:test:text")),
        Case::refused(
            (40, "a link of a data set that leads out of the cache"),
            |s| {
                data_set(s, "train.jsonl");
                let folder = s.path("cache/datasets--org--set/snapshots/0123456789abcdef");
                std::os::unix::fs::symlink("/etc/passwd", folder.join("test.txt")).unwrap();
            },
            &["test.txt", "/etc/passwd"],
        )
        .exactly(&in_cache("org/set:default:test:text")),
    ]
}

/// A data set in the cache of the sandbox's home.
fn data_set(sandbox: &Sandbox, file: &str) {
    let folder = sandbox.path("cache/datasets--org--set");
    let snapshot = folder.join("snapshots/0123456789abcdef");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(folder.join("refs")).unwrap();
    fs::write(folder.join("refs/main"), "0123456789abcdef").unwrap();
    fs::write(snapshot.join(file), "{\"text\": \"some words\"}\n").unwrap();
}

fn in_cache(corpus: &'static str) -> [&'static str; 8] {
    [
        "sweep", "drop(l)", "--model", "model", "--out", "out.csv", "--corpus", corpus,
    ]
}

#[test]
fn rows_and_data_sets_that_cannot_be_read() {
    check(parquet());
}
