//! Items 84 to 86 of the list of bad inputs, and options; each is refused with its message.

use layerwise_corpus::{Bos, CorpusError, FileError, Options, read, sha256};

use crate::fixtures::{Folder, VOCAB, npy, npy_u16};

#[test]
fn bad_files_are_refused() {
    let folder = Folder::new();
    let mut failures = Vec::new();
    let mut check = |name: &str, file: &str, content: &[u8], expected: &str| {
        let found = match folder.read(file, content, &Options::new(4, VOCAB)) {
            Ok(corpus) => format!("{corpus:?}"),
            Err(error) => folder.message(&error),
        };
        if found != expected {
            failures.push(format!(
                "{name}:\n  expected {expected}\n  found    {found}"
            ));
        }
    };
    check(
        "extension",
        "text.md",
        b"cde",
        "text.md: expected the extension .txt, .raw, .jsonl or .json, one of them with .gz, .parquet or .npy, found md",
    );
    check(
        "no extension",
        "text",
        b"cde",
        "text: expected the extension .txt, .raw, .jsonl or .json, one of them with .gz, .parquet or .npy, found none",
    );

    check(
        "84 document not UTF-8",
        "a.txt",
        b"cde\nf\xffg\n",
        "a.txt: line 2: expected UTF-8, found byte 0xff at byte 1 of the line",
    );
    check(
        "84 document cut within a character",
        "a.txt",
        b"cde\xc3",
        "a.txt: line 1: expected UTF-8, found byte 0xc3 at byte 3 of the line",
    );
    check(
        "84 line not UTF-8",
        "a.jsonl",
        b"{\"text\": \"cde\"}\n{\"text\": \"\xe9\"}\n",
        "a.jsonl: line 2: expected UTF-8, found byte 0xe9 at byte 10 of the line",
    );
    check(
        "line not JSON",
        "a.jsonl",
        b"{\"text\": \"cde\"}\n\ncde\n",
        "a.jsonl: line 3: expected a JSON object: expected value at column 1",
    );
    check(
        "line cut",
        "a.jsonl",
        b"{\"text\": \"cd",
        "a.jsonl: line 1: expected a JSON object: EOF while parsing a string at column 12",
    );
    check(
        "line not an object",
        "a.jsonl",
        b"{\"text\": \"cde\"}\n[\"cde\"]",
        "a.jsonl: line 2: expected an object with a string in field `text`, found an array",
    );
    check(
        "element not an object",
        "a.json",
        b"[{\"text\": \"cde\"},\n \"cde\"]",
        "a.json: element 1: expected an object with a string in field `text`, found a string",
    );
    check(
        "array cut",
        "a.jsonl",
        b"[{\"text\": \"cde\"},\n {\"text\": \"cd",
        "a.jsonl: line 2: expected an array of JSON objects: EOF while parsing a string at column 13",
    );
    check(
        "lone surrogate",
        "a.jsonl",
        b"{\"text\": \"cde\"}\n{\"text\": \"a\\ud800\"}\n",
        "a.jsonl: line 2: expected a JSON object: unexpected end of hex escape at column 18",
    );
    check(
        "NaN for a text",
        "a.jsonl",
        b"{\"text\": NaN}",
        "a.jsonl: line 1: expected an object with a string in field `text`, found a number in it",
    );
    check(
        "gzip that is cut",
        "a.jsonl.gz",
        b"\x1f\x8b\x08\x00",
        "a.jsonl.gz: cannot read: unexpected end of file",
    );
    check(
        "compressed token ids",
        "a.npy.gz",
        b"\x1f\x8b\x08\x00",
        "a.npy.gz: expected token ids uncompressed, found .npy.gz; unpack it with gunzip",
    );
    check(
        "field missing",
        "a.jsonl",
        b"{\"txt\": \"cde\"}",
        "a.jsonl: line 1: expected an object with a string in field `text`, found no such field",
    );
    check(
        "field not a string",
        "a.jsonl",
        b"{\"text\": 7}",
        "a.jsonl: line 1: expected an object with a string in field `text`, found a number in it",
    );
    check(
        "field that is not a string, among others of the name",
        "a.jsonl",
        b"{\"text\": \"cde\", \"x\": [1, {\"text\": \"fgh\"}], \"text\": [\"cde\"]}",
        "a.jsonl: line 1: expected an object with a string in field `text`, found an array in it",
    );
    check(
        "nested without end in a field that is not read",
        "a.jsonl",
        format!("{{\"text\": \"cde\", \"x\": {}", "[".repeat(100_000)).as_bytes(),
        "a.jsonl: line 1: expected a JSON object: recursion limit exceeded at column 148",
    );
    check(
        "nested without end",
        "a.jsonl",
        "[".repeat(100_000).as_bytes(),
        "a.jsonl: line 1: expected an array of JSON objects: recursion limit exceeded at column 128",
    );

    check(
        "85 token id out of range",
        "a.npy",
        &npy_u16(&[&[1, 2, 3], &[4, 258, 6]]),
        "a.npy: row 1, token 1: expected an id from 0 to below 258, found 258",
    );
    let header = |descr: &str, order: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}")
    };
    let ids = |descr: &str, data: &[u8]| npy(&header(descr, "False", "(1, 3)"), data);
    check(
        "85 negative i32",
        "a.npy",
        &ids("<i4", &[[1, 0, 0, 0], [255; 4], [0; 4]].concat()),
        "a.npy: row 0, token 1: expected an id from 0 to below 258, found -1",
    );
    check(
        "85 negative i64",
        "a.npy",
        &ids(
            "<i8",
            &[[0xfe, 255, 255, 255, 255, 255, 255, 255], [0; 8], [0; 8]].concat(),
        ),
        "a.npy: row 0, token 0: expected an id from 0 to below 258, found -2",
    );
    check(
        "85 largest u64",
        "a.npy",
        &ids("<u8", &[[255; 8], [0; 8], [0; 8]].concat()),
        "a.npy: row 0, token 0: expected an id from 0 to below 258, found 18446744073709551615",
    );
    for descr in [
        "|u2", "=i4", "<f4", "<f8", "|b1", "<U3", "|O", "<i3", "<u16", "u2",
    ] {
        check(
            "85 dtype",
            "a.npy",
            &ids(descr, &[0; 24]),
            &format!(
                "a.npy: dtype: expected integers of 1, 2, 4 or 8 bytes, such as |u1 <u2 <i4 or >i8, found {descr}"
            ),
        );
    }
    for (shape, found) in [
        ("()", "0 dimension(s), []"),
        ("(3,)", "1 dimension(s), [3]"),
        ("(1, 3, 1)", "3 dimension(s), [1, 3, 1]"),
    ] {
        check(
            "85 rank",
            "a.npy",
            &npy(&header("<u2", "False", shape), &[0; 6]),
            &format!("a.npy: shape: expected 2 dimensions, rows and tokens, found {found}"),
        );
    }
    check(
        "85 negative i16, stored by columns",
        "a.npy",
        &npy(
            &header(">i2", "True", "(2, 3)"),
            &[0, 1, 0, 1, 0, 2, 0xff, 0xfe, 0, 3, 0, 3],
        ),
        "a.npy: row 1, token 1: expected an id from 0 to below 258, found -2",
    );
    for (shape, bytes, expected) in [
        ("(1, 3)", 5, "1 x 3"),
        ("(1, 3)", 7, "1 x 3"),
        ("(2, 9223372036854775808)", 6, "2 x 9223372036854775808"),
        ("(4294967296, 2147483648)", 0, "4294967296 x 2147483648"),
    ] {
        check(
            "85 size",
            "a.npy",
            &npy(&header("<u2", "False", shape), &vec![0; bytes]),
            &format!(
                "a.npy: file length: expected the bytes of {expected} elements of dtype <u2 after the \
                 header, found {bytes} bytes"
            ),
        );
    }
    for (shape, found) in [
        ("(0, 3)", "0 x 3"),
        ("(18446744073709551615, 0)", "18446744073709551615 x 0"),
        ("(0, 18446744073709551615)", "0 x 18446744073709551615"),
    ] {
        check(
            "86 no element",
            "a.npy",
            &npy(&header("<u2", "False", shape), &[]),
            &format!("a.npy: shape: expected at least one row and one token, found {found}"),
        );
    }
    check(
        "empty .npy",
        "a.npy",
        b"",
        "a.npy: file: expected an .npy header of 10 bytes or more, found 0 bytes",
    );
    check(
        "not .npy",
        "a.npy",
        b"PK\x03\x04 an archive",
        "a.npy: first bytes: expected `\\x93NUMPY`, found `PK\\x03\\x04 a`",
    );
    check(
        ".npy version",
        "a.npy",
        b"\x93NUMPY\x04\x00\x00\x00",
        "a.npy: format version: expected 1.0, 2.0 or 3.0, found 4.0",
    );
    check(
        ".npy header beyond the file",
        "a.npy",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff",
        "a.npy: header length: expected at most 65536 bytes within the file's 12, found 4294967295",
    );
    check(
        ".npy version cut",
        "a.npy",
        b"\x93NUMPY\x02\x00\xff\xff",
        "a.npy: header length: expected at most 65536 bytes within the file's 10, found 65535",
    );
    for dictionary in [
        "",
        "{}",
        "{'descr': '<u2', 'fortran_order': False}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 3), 'more': True}",
        "{'descr': '<u2', 'descr': '<u2', 'fortran_order': False, 'shape': (1, 3)}",
        "{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (1, 3)}",
        "{'descr': '<u2', 'fortran_order': 0, 'shape': (1, 3)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, -3)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 36893488147419103232)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 3)} more",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 3",
        "((((((((((((((((((((((((((((((((",
    ] {
        check(
            ".npy header",
            "a.npy",
            &npy(dictionary, &[0; 6]),
            &format!(
                "a.npy: header: expected a dictionary of 'descr' (a string), 'fortran_order' and 'shape' \
                 (of integers), found `{dictionary}`"
            ),
        );
    }

    check(
        "86 empty document",
        "a.txt",
        b"",
        "a.txt: expected at least one sequence of 3 tokens or more, found none in 1 document(s): \
         1 empty, 0 too short",
    );
    check(
        "86 short document",
        "a.txt",
        b"cd",
        "a.txt: expected at least one sequence of 3 tokens or more, found none in 1 document(s): \
         0 empty, 1 too short",
    );
    check(
        "86 no line",
        "a.jsonl",
        b"",
        "a.jsonl: expected at least one sequence of 3 tokens or more, found none in 0 document(s): \
         0 empty, 0 too short",
    );
    check(
        "86 no usable line",
        "a.jsonl",
        b"\n{\"text\": \"\"}\n{\"text\": \"cd\"}\n",
        "a.jsonl: expected at least one sequence of 3 tokens or more, found none in 3 document(s): \
         2 empty, 1 too short",
    );
    check(
        "86 short rows",
        "a.npy",
        &npy_u16(&[&[1, 2], &[3, 4]]),
        "a.npy: expected at least one sequence of 3 tokens or more, found none in 2 document(s): \
         0 empty, 2 too short",
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn bad_options_are_refused() {
    let folder = Folder::new();
    let path = folder.write("a.jsonl", "{\"text\": \"cdef\"}");
    let good = || Options::new(4, VOCAB);
    let check = |options: Options, expected: &str| {
        let error = read(&path, Some(&folder.tokenizer), &options).unwrap_err();
        assert_eq!(folder.message(&error), expected);
    };
    let context = Options::new(2, VOCAB);
    check(context, "context: expected at least 3 tokens, found 2");
    let rows = Options {
        rows: Some(0),
        ..good()
    };
    check(rows, "rows: expected at least 1, found 0");
    for bos in [Bos::Auto(258), Bos::Id(258)] {
        let bos = Options { bos, ..good() };
        check(
            bos,
            "bos: expected an id below 258, the size of the vocabulary, found 258",
        );
    }
    let memory = |memory| Options {
        memory: Some(memory),
        ..good()
    };
    check(
        memory(199),
        "a.jsonl: encoding a document of 4 bytes: needs 200 bytes of memory, but only 199 are available",
    );
    assert!(read(&path, Some(&folder.tokenizer), &memory(200)).is_ok());
    let tokens = Options {
        tokens: Some(3),
        ..good()
    };
    check(
        tokens,
        "a.jsonl: expected at least one sequence of 3 tokens or more within the limit of 3 tokens, \
         found none in 1 document(s): 0 empty, 0 too short",
    );
    check(
        Options::new(4, 100),
        "a.jsonl: line 1, token 1: expected an id from 0 to below 100, found 100",
    );

    let error = read(&path, None, &good()).unwrap_err();
    assert_eq!(
        folder.message(&error),
        "a.jsonl: expected a tokenizer for text, found none"
    );

    let ids = folder.write("a.npy", npy_u16(&[&[1, 2, 3]]));
    let rows = folder.write("rows.npy", npy_u16(&[&[1, 2, 3], &[4, 5, 6]]));
    let error = read(&rows, None, &memory(151)).unwrap_err();
    assert_eq!(
        folder.message(&error),
        "rows.npy: the first 2 sequences: needs 152 bytes of memory, but only 151 are available"
    );
    assert!(read(&rows, None, &memory(152)).is_ok());

    let given = Options {
        bos: Bos::Id(0),
        ..good()
    };
    let error = read(&ids, None, &given).unwrap_err();
    let expected = "a.npy: expected no BOS token with a file of token ids, whose rows are used verbatim, \
                    found id 0";
    assert_eq!(folder.message(&error), expected);
}

#[test]
fn only_regular_files_are_opened() {
    let folder = Folder::new();
    for name in ["a.txt", "a.jsonl", "a.npy"] {
        let missing = folder.path(name);
        let result = read(&missing, Some(&folder.tokenizer), &Options::new(4, VOCAB));
        assert!(
            matches!(result, Err(CorpusError::File(FileError::Missing { .. }))),
            "{result:?}"
        );

        std::fs::create_dir(&missing).unwrap();
        let error = read(&missing, Some(&folder.tokenizer), &Options::new(4, VOCAB)).unwrap_err();
        let expected = format!("{name}: expected a regular file, found a directory");
        assert_eq!(folder.message(&error), expected);
        assert!(matches!(
            sha256(&missing),
            Err(CorpusError::File(FileError::NotRegular { .. }))
        ));
    }
    #[cfg(unix)]
    {
        let link = folder.path("zero.txt");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        let error = read(&link, Some(&folder.tokenizer), &Options::new(4, VOCAB)).unwrap_err();
        let expected = "zero.txt: expected a regular file, found a device";
        assert_eq!(folder.message(&error), expected);
    }
}

#[test]
fn a_document_of_too_many_bytes_is_refused() {
    let folder = Folder::new();
    let path = folder.write("long.txt", "");
    // Sparse: no bytes of this length are written or read.
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    let error = read(&path, Some(&folder.tokenizer), &Options::new(4, VOCAB)).unwrap_err();
    assert_eq!(
        folder.message(&error),
        "long.txt: expected at most 268435456 bytes, found 268435457"
    );
}
