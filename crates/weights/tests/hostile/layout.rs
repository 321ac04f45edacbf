//! A 21–29: shapes and offsets against the data.

use std::slice::from_ref;

use layerwise_weights::WeightsError;

use crate::header::{entry, header, of};
use crate::{check, is};

#[test]
fn layouts_that_do_not_cover_the_data_are_refused() {
    let a = entry("a", "F32", "[2]", "[0,8]");
    let half = usize::MAX / 2;
    check(vec![
        header(
            "21 shape product overflows",
            of(&[entry("a", "F32", "[4294967296,4294967296]", "[0,8]")]),
            8,
            is!(WeightsError::ShapeSize { .. }),
            &["tensor \"a\"", "below 2^64", "F32 [4294967296, 4294967296]"],
        ),
        header(
            "21 shape product overflows only in bytes",
            of(&[entry("a", "F64", &format!("[{half}]"), "[0,8]")]),
            8,
            is!(WeightsError::ShapeSize { .. }),
            &["tensor \"a\"", "F64 [9223372036854775807]"],
        ),
        header(
            "21 half a byte",
            of(&[entry("a", "F4", "[3]", "[0,1]")]),
            1,
            is!(WeightsError::ShapeSize { .. }),
            &["tensor \"a\"", "whole bytes", "F4 [3]"],
        ),
        header(
            "22 sizes that sum beyond 64 bits",
            // Sizes in bits overflow first for any larger tensor, so the overflow in bytes needs nine tensors of 2^61 - 1 bytes.
            of(&(0..9_u64)
                .map(|i| {
                    let size = (1_u64 << 61) - 1;
                    let (begin, end) = (i.wrapping_mul(size), (i + 1).wrapping_mul(size));
                    entry(
                        &format!("t{i}"),
                        "U8",
                        &format!("[{size}]"),
                        &format!("[{begin},{end}]"),
                    )
                })
                .collect::<Vec<_>>()),
            8,
            is!(WeightsError::OffsetsOutside { .. } | WeightsError::OffsetsReversed { .. }),
            &["tensor \"t", "data_offsets"],
        ),
        header(
            "22 sizes that sum to nearly 64 bits",
            of(&[
                a.clone(),
                entry(
                    "b",
                    "U8",
                    "[2305843009213693944]",
                    "[18446744073709551608,18446744073709551615]",
                ),
            ]),
            8,
            is!(WeightsError::OffsetsOutside { .. }),
            &["tensor \"b\"", "at most 8", "found 18446744073709551615"],
        ),
        header(
            "23 offsets reversed",
            of(&[entry("a", "F32", "[2]", "[8,0]")]),
            8,
            is!(WeightsError::OffsetsReversed { .. }),
            &["tensor \"a\"", "begin <= end", "found [8, 0]"],
        ),
        header(
            "24 outside the data",
            of(&[a.clone(), entry("b", "F32", "[2]", "[8,16]")]),
            12,
            is!(WeightsError::OffsetsOutside { .. }),
            &["tensor \"b\"", "at most 12", "found 16"],
        ),
        header(
            "25 overlapping",
            of(&[a.clone(), entry("b", "F32", "[2]", "[4,12]")]),
            12,
            is!(WeightsError::Overlap { .. }),
            &[
                "tensor \"b\"",
                "overlaps",
                "expected it to begin at byte 8",
                "found 4",
            ],
        ),
        header(
            "25 same bytes",
            of(&[a.clone(), entry("b", "F32", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::Overlap { .. }),
            &["tensor \"b\"", "expected it to begin at byte 8", "found 0"],
        ),
        header(
            "25 nothing, but inside another",
            of(&[a.clone(), entry("b", "F32", "[0]", "[4,4]")]),
            8,
            is!(WeightsError::Overlap { .. }),
            &["tensor \"b\"", "found 4"],
        ),
        header(
            "26 hole",
            of(&[a.clone(), entry("b", "F32", "[2]", "[12,20]")]),
            20,
            is!(WeightsError::Hole { .. }),
            &[
                "tensor \"b\"",
                "hole",
                "expected it to begin at byte 8",
                "found 12",
            ],
        ),
        header(
            "26 hole at the start",
            of(&[entry("a", "F32", "[2]", "[4,12]")]),
            12,
            is!(WeightsError::Hole { .. }),
            &["tensor \"a\"", "expected it to begin at byte 0", "found 4"],
        ),
        header(
            "27 trailing bytes",
            of(from_ref(&a)),
            9,
            is!(WeightsError::TrailingBytes { .. }),
            &["expected 8 bytes of data", "found 9"],
        ),
        header(
            "27 data without tensors",
            "{}",
            1,
            is!(WeightsError::TrailingBytes { .. }),
            &["expected 0 bytes", "found 1"],
        ),
        header(
            "28 truncated",
            of(&[a]),
            7,
            is!(WeightsError::OffsetsOutside { .. }),
            &["tensor \"a\"", "at most 7", "found 8"],
        ),
        header(
            "29 shape and offsets differ",
            of(&[entry("a", "F32", "[3]", "[0,8]")]),
            8,
            is!(WeightsError::ShapeMismatch {
                expected: 12,
                found: 8,
                ..
            }),
            &["tensor \"a\"", "expected 12 bytes for F32 [3]", "span 8"],
        ),
        header(
            "29 dtype and offsets differ",
            of(&[entry("a", "F16", "[2]", "[0,8]")]),
            8,
            is!(WeightsError::ShapeMismatch {
                expected: 4,
                found: 8,
                ..
            }),
            &["tensor \"a\"", "F16 [2]"],
        ),
    ]);
}
