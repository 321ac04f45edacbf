//! The rules of each format.

use layerwise_corpus::{Bos, Corpus, CorpusError, Options, Skipped, of_ids, of_text, read, sha256};
use proptest::prelude::*;

use crate::fixtures::{Folder, VOCAB, npy, npy_u16};

fn options(context: usize) -> Options {
    Options::new(context, VOCAB)
}

/// Token ids of ASCII text without `ab`.
fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

fn sequences(texts: &[&str]) -> Vec<Vec<u32>> {
    texts.iter().map(|text| ids(text)).collect()
}

/// The counts of a corpus besides its sequences.
fn counts(corpus: &Corpus) -> (usize, usize, usize, usize) {
    let Skipped { empty, short } = corpus.skipped();
    (corpus.documents(), corpus.cut(), empty, short)
}

#[test]
fn a_text_in_memory_is_read_as_a_file() {
    let folder = Folder::new();
    let read = |text| of_text(text, &folder.tokenizer, &options(4));
    let corpus = read("cdefghi").expect("two windows");
    assert_eq!(corpus.sequences(), sequences(&["cdef", "ghi"]));
    let error = read("").expect_err("nothing to read").to_string();
    assert!(error.starts_with("text in memory: "), "{error}");
}

#[test]
fn token_ids_in_memory_are_read_as_a_file() {
    let rows = [vec![1, 2, 3, 4, 5], vec![6, 7], vec![8, 9, 10]];
    let corpus = of_ids(&rows, &options(4)).expect("two sequences");
    assert_eq!(corpus.sequences(), [vec![1, 2, 3, 4], vec![8, 9, 10]]);
    assert_eq!(counts(&corpus), (3, 1, 0, 1));
    let check = |rows: &[Vec<u32>], bos: Bos, said: &str| {
        let options = Options { bos, ..options(4) };
        let error = of_ids(rows, &options).expect_err(said).to_string();
        assert!(error.starts_with("token ids in memory: "), "{error}");
        assert!(error.contains(said), "{error}");
    };
    let beyond = [vec![1, 2, 3], vec![4, VOCAB as u32, 5]];
    check(&beyond, Bos::None, "row 1");
    check(&rows, Bos::Id(1), "1");
    check(&[], Bos::Auto(1), "no");
}

#[test]
fn text_is_cut_into_consecutive_windows() {
    let folder = Folder::new();
    let check = |name: &str, text: &str, options: Options, expected: &[&str], short: usize| {
        for file in ["text.txt", "text.raw"] {
            let corpus = folder.read(file, text, &options).expect(name);
            assert_eq!(corpus.sequences(), sequences(expected), "{name}");
            assert_eq!(counts(&corpus), (1, 0, 0, short), "{name}");
        }
    };
    let bos = |context, id| Options {
        bos: id,
        ..options(context)
    };
    check("whole windows", "cdefgh", options(3), &["cde", "fgh"], 0);
    check(
        "short tail is kept",
        "cdefghi",
        options(4),
        &["cdef", "ghi"],
        0,
    );
    check(
        "tail under 3 is skipped",
        "cdefgh",
        options(4),
        &["cdef"],
        1,
    );
    check("shorter than the context", "cde", options(512), &["cde"], 0);
    check(
        "lines are one document",
        "c\nd\n",
        options(512),
        &["c\nd\n"],
        0,
    );
    let x = Bos::Id(u32::from(b'x'));
    check("T counts BOS", "cdefg", bos(4, x), &["xcde", "xfg"], 0);
    check("BOS counts in a tail", "cdefg", bos(5, x), &["xcdef"], 1);
    let x = Bos::Auto(u32::from(b'x'));
    check(
        "the family's BOS is as good",
        "cdefg",
        bos(4, x),
        &["xcde", "xfg"],
        0,
    );
}

#[test]
fn lines_give_their_first_window() {
    let folder = Folder::new();
    let content = concat!(
        "{\"text\": \"cdefgh\"}\n",
        "\n",
        "{\"text\": \"cd\", \"other\": 1}\r\n",
        "  \t\n",
        "{\"other\": {}, \"text\": \"ijk\"}\n",
        "{\"text\": \"\"}\n",
        "{\"text\": \"lmno\"}",
    );
    let corpus = folder.read("lines.jsonl", content, &options(4)).unwrap();
    assert_eq!(corpus.sequences(), sequences(&["cdef", "ijk", "lmno"]));
    assert_eq!(counts(&corpus), (7, 1, 3, 1));
    assert_eq!(corpus.tokens(), 11);

    let with_bos = Options {
        bos: Bos::Auto(120),
        ..options(4)
    };
    let corpus = folder.read("lines.jsonl", content, &with_bos).unwrap();
    assert_eq!(
        corpus.sequences(),
        sequences(&["xcde", "xcd", "xijk", "xlmn"])
    );
    assert_eq!(counts(&corpus), (7, 2, 3, 0));

    let other_field = Options {
        field: "body".to_owned(),
        ..options(4)
    };
    let corpus = folder.read("field.jsonl", r#"{"text": 1, "body": "cde"}"#, &other_field);
    assert_eq!(corpus.unwrap().sequences(), sequences(&["cde"]));
}

#[test]
fn text_is_encoded_without_special_tokens() {
    let folder = Folder::new();
    let corpus = folder.read("text.txt", "cab<end>é", &options(8)).unwrap();
    assert_eq!(corpus.sequences(), [[99, 256, 257, 0xc3, 0xa9]]);
}

#[test]
fn rows_of_token_ids_are_used_verbatim() {
    let folder = Folder::new();
    let check = |name: &str, file: Vec<u8>, options: Options, expected: &[&[u32]], cut: usize| {
        let path = folder.write("ids.npy", file);
        let corpus = read(&path, None, &options).expect(name);
        assert_eq!(corpus.sequences(), expected, "{name}");
        assert_eq!(counts(&corpus), (expected.len(), cut, 0, 0), "{name}");
    };
    let rows = || npy_u16(&[&[0, 257, 1, 2], &[5, 6, 7, 8]]);
    check(
        "whole rows",
        rows(),
        options(4),
        &[&[0, 257, 1, 2], &[5, 6, 7, 8]],
        0,
    );
    check(
        "rows cut to T",
        rows(),
        options(3),
        &[&[0, 257, 1], &[5, 6, 7]],
        2,
    );
    let auto = Options {
        bos: Bos::Auto(9),
        ..options(4)
    };
    check(
        "no BOS is added",
        rows(),
        auto,
        &[&[0, 257, 1, 2], &[5, 6, 7, 8]],
        0,
    );

    let bytes: Vec<u8> = vec![1, 2, 3, 4, 5, 6];
    let by_columns: Vec<u8> = vec![1, 4, 2, 5, 3, 6];
    for descr in [
        "|u1", "<u1", ">u1", "|i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4", "<u8",
        ">u8", "<i8", ">i8",
    ] {
        let size = usize::from(descr.as_bytes()[2] - b'0');
        for (order, stored) in [("False", &bytes), ("True", &by_columns)] {
            let mut data = Vec::new();
            for byte in stored {
                let mut element = vec![0; size];
                element[if descr.starts_with('>') { size - 1 } else { 0 }] = *byte;
                data.extend(element);
            }
            // Keys in another order, other spaces, no trailing commas.
            let header = format!("{{\"shape\":(2,3),'descr' : '{descr}','fortran_order':{order}}}");
            check(
                &format!("{descr} {order}"),
                npy(&header, &data),
                options(9),
                &[&[1, 2, 3], &[4, 5, 6]],
                0,
            );
            check(
                descr,
                npy(&header, &data),
                Options {
                    rows: Some(1),
                    ..options(9)
                },
                &[&[1, 2, 3]],
                0,
            );
        }
    }

    let mut version_2 = rows();
    version_2[6] = 2;
    version_2.splice(10..10, [0, 0]);
    check(
        "version 2.0",
        version_2,
        options(9),
        &[&[0, 257, 1, 2], &[5, 6, 7, 8]],
        0,
    );
}

/// The same two documents in every form in which people keep them.
#[test]
fn documents_are_read_from_every_published_form() {
    let folder = Folder::new();
    let (one, two) = ("{\"text\": \"cdef\"}", "{\"id\": 7, \"text\": \"ghi\"}");
    let lines = format!("{one}\n{two}\n");
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let two_members = [gzip(&format!("{one}\n")), gzip(two)].concat();
    for (name, content) in [
        ("a.jsonl", lines.clone().into_bytes()),
        ("a.JSONL", lines.clone().into_bytes()),
        (
            "byte order mark.jsonl",
            format!("\u{feff}{lines}").into_bytes(),
        ),
        (
            "carriage returns.jsonl",
            lines.replace('\n', "\r\n").into_bytes(),
        ),
        (
            "no last newline.jsonl",
            lines.trim_end().to_owned().into_bytes(),
        ),
        ("array.jsonl", format!("[{one},{two}]").into_bytes()),
        (
            "array.json",
            format!("\u{feff}[\n  {one},\r\n  {two}\n]\n").into_bytes(),
        ),
        ("lines.json", lines.clone().into_bytes()),
        ("compressed.jsonl.gz", gzip(&lines)),
        ("compressed.JSONL.GZ", gzip(&format!("\u{feff}{lines}"))),
        ("named otherwise.jsonl", gzip(&lines)),
        ("array.json.gz", gzip(&format!("[{one},\n{two}]"))),
        ("appended.jsonl.gz", two_members),
        (
            "numbers.jsonl",
            lines
                .replace('7', "[NaN, -Infinity, Infinity, 1]")
                .into_bytes(),
        ),
        (
            "numbers.json",
            format!("[{one}, {}]", two.replace('7', "NaN")).into_bytes(),
        ),
    ] {
        let corpus = folder.read(name, content, &options(8)).expect(name);
        assert_eq!(corpus.sequences(), sequences(&["cdef", "ghi"]), "{name}");
        assert_eq!(counts(&corpus), (2, 0, 0, 0), "{name}");
    }
    for (name, content) in [
        ("a.TXT", b"cdefghi".to_vec()),
        ("a.Raw", b"cdefghi".to_vec()),
        ("a.txt", b"\xef\xbb\xbfcdefghi".to_vec()),
        ("a.txt.gz", gzip("cdefghi")),
        ("a.txt", gzip("\u{feff}cdefghi")),
    ] {
        let corpus = folder.read(name, content, &options(4)).expect(name);
        assert_eq!(corpus.sequences(), sequences(&["cdef", "ghi"]), "{name}");
    }
    // NaN and Infinity within a text stay.
    let quoted = "{\"text\": \"NaN \\\" -Infinity\", \"x\": NaN}";
    let corpus = folder.read("quoted.jsonl", quoted, &options(30)).unwrap();
    assert_eq!(corpus.sequences(), sequences(&["NaN \" -Infinity"]));
    // An array is read only as far as needed.
    let limited = Options {
        rows: Some(1),
        ..options(8)
    };
    let corpus = folder
        .read("cut.json", format!("[{one}, {two}, broken"), &limited)
        .unwrap();
    assert_eq!(corpus.sequences(), sequences(&["cdef"]));
}

/// A file that unpacks to more than a document may have is refused without being held in memory.
#[test]
fn what_unpacks_to_too_much_is_refused() {
    let folder = Folder::new();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mebibyte = vec![b'c'; 1 << 20];
    for _ in 0..257 {
        std::io::Write::write_all(&mut encoder, &mebibyte).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    assert!(bomb.len() < 4 << 20);
    for name in ["a.txt.gz", "a.jsonl.gz"] {
        let error = folder.read(name, &bomb, &options(8)).unwrap_err();
        let message = folder.message(&error);
        assert!(
            message.contains("expected at most 268435456 bytes"),
            "{message}"
        );
    }
}

#[test]
fn reading_stops_at_the_limits() {
    let folder = Folder::new();
    // The file is broken after the limit, where it is not read.
    let content = "{\"text\": \"c\"}\n{\"text\": \"cdef\"}\n{\"text\": \"ghij\"}\n{\"text\": \"klm\"}\nbroken";
    let check = |name: &str, rows, tokens, expected: &[&str], documents: usize| {
        let options = Options {
            rows,
            tokens,
            ..options(8)
        };
        let corpus = folder.read("lines.jsonl", content, &options).expect(name);
        assert_eq!(corpus.sequences(), sequences(expected), "{name}");
        assert_eq!(corpus.documents(), documents, "{name}");
        assert!(corpus.tokens() <= tokens.unwrap_or(usize::MAX), "{name}");
    };
    check("rows are usable sequences", Some(1), None, &["cdef"], 2);
    check("rows", Some(2), None, &["cdef", "ghij"], 3);
    check("tokens are reached", None, Some(8), &["cdef", "ghij"], 4);
    check("tokens would be exceeded", None, Some(7), &["cdef"], 3);
    check("rows come first", Some(1), Some(8), &["cdef"], 2);
    check("tokens come first", Some(3), Some(8), &["cdef", "ghij"], 4);

    let limited = |rows, tokens| Options {
        rows,
        tokens,
        ..options(3)
    };
    let corpus = folder
        .read("text.txt", "cdefghijk", &limited(Some(2), None))
        .unwrap();
    assert_eq!(corpus.sequences(), sequences(&["cde", "fgh"]));
    let rows = npy_u16(&[&[1, 2, 3], &[4, 5, 6], &[9999, 0, 0]]);
    let corpus = folder
        .read("ids.npy", rows, &limited(Some(2), None))
        .unwrap();
    assert_eq!(corpus.sequences(), [[1, 2, 3], [4, 5, 6]]);
}

#[test]
fn hash_is_of_the_whole_file() {
    let folder = Folder::new();
    let path = folder.write("abc.txt", "abc");
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(&path).unwrap(), expected);
}

/// Whether a file was refused because its only document is too short.
fn is_too_short(read: &Result<Corpus, CorpusError>) -> bool {
    matches!(
        read,
        Err(CorpusError::NoSequence {
            documents: 1,
            short: 1,
            ..
        })
    )
}

proptest! {
    /// Windows are consecutive, without gap or overlap; only a tail of fewer than 3 tokens may be missing.
    #[test]
    fn windows_tile_the_document(text in "[a-d é\n]{3,80}", context in 3..12_usize, bos in any::<bool>()) {
        let folder = Folder::new();
        let bos = if bos { Bos::Id(7) } else { Bos::None };
        let options = Options { bos, ..options(context) };
        let corpus = folder.read("text.txt", &text, &options);
        let document = folder.tokenizer.encode(&text).unwrap();
        let before = usize::from(bos != Bos::None);
        // Merges may leave fewer tokens than characters.
        prop_assert_eq!(is_too_short(&corpus), document.len() + before < 3);
        if is_too_short(&corpus) {
            return Ok(());
        }

        let corpus = corpus.unwrap();
        let (last, others) = corpus.sequences().split_last().unwrap();
        prop_assert!(others.iter().all(|window| window.len() == context));
        prop_assert!((3..=context).contains(&last.len()));
        prop_assert!(corpus.sequences().iter().all(|window| window[..before].iter().all(|&id| id == 7)));
        let joined: Vec<u32> =
            corpus.sequences().iter().flat_map(|window| &window[before..]).copied().collect();
        let (tiled, tail) = document.split_at(joined.len());
        prop_assert_eq!(&joined, tiled);
        prop_assert!(tail.is_empty() || tail.len() + before < 3);
        prop_assert_eq!(corpus.skipped().short, usize::from(!tail.is_empty()));
    }

    /// A line's sequence is the first window of its text as a document.
    #[test]
    fn line_is_the_first_window(text in "[a-d é\n]{3,40}", context in 3..12_usize) {
        let folder = Folder::new();
        let line = serde_json::json!({ "text": text }).to_string();
        let lines = folder.read("lines.jsonl", line, &options(context));
        let windows = folder.read("text.txt", &text, &options(context));
        let length = folder.tokenizer.encode(&text).unwrap().len();
        prop_assert_eq!(is_too_short(&lines), length < 3);
        prop_assert_eq!(is_too_short(&windows), length < 3);
        if length < 3 {
            return Ok(());
        }
        let (lines, windows) = (lines.unwrap(), windows.unwrap());
        prop_assert_eq!(lines.sequences(), &windows.sequences()[..1]);
        prop_assert_eq!(lines.cut(), usize::from(length > context));
    }
}
