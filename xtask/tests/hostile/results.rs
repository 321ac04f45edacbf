//! Tables of results that `draw` cannot read, or that contain nothing.

use crate::sandbox::Sandbox;
use crate::{Case, REPRODUCE, check};
use std::fs;

const NUMBER: u8 = 93;

/// The units that verdicts are computed from.
const UNITS: &str = "out/model/units.csv";

const DRAW: [&str; 2] = ["draw", "out"];

/// A finished `reproduce robustness`, with its units changed.
fn reproduced(sandbox: &Sandbox, change: impl Fn(&str) -> Vec<u8>) {
    let outcome = sandbox.run(&REPRODUCE);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let units = String::from_utf8(sandbox.read(UNITS)).unwrap();
    sandbox.write(UNITS, &change(&units));
}

/// The first line below the header, with one field changed; the other lines unchanged.
fn with_field(units: &str, column: &str, value: &str) -> Vec<u8> {
    let mut lines: Vec<String> = units.lines().map(str::to_owned).collect();
    let at = lines[0].split(',').position(|name| name == column);
    // Only the curve's name contains commas, and then it is quoted.
    let mut fields: Vec<String> = Vec::new();
    let mut is_quoted = false;
    for part in lines[1].split(',') {
        match fields.last_mut() {
            Some(last) if is_quoted => *last = format!("{last},{part}"),
            _ => fields.push(part.to_owned()),
        }
        is_quoted ^= part.matches('"').count() % 2 == 1;
    }
    fields[at.unwrap()] = value.to_owned();
    lines[1] = fields.join(",");
    (lines.join("\n") + "\n").into_bytes()
}

pub(crate) fn tables() -> Vec<Case> {
    let refused = |what, change: fn(&str) -> Vec<u8>, says: &[&str]| {
        let make = move |sandbox: &Sandbox| reproduced(sandbox, change);
        let says = [&["units.csv"], says].concat();
        Case::refused((NUMBER, what), make, &says).exactly(&DRAW)
    };
    vec![
        refused(
            "units: an empty file",
            |_| Vec::new(),
            &["expected the columns model,curve"],
        ),
        refused(
            "units: columns of another table",
            |units| units.replacen("sums,counts", "mean,error", 1).into_bytes(),
            &["line 1", "found model,curve,sample,index,mean,error"],
        ),
        refused(
            "units: a column that is missing",
            |units| units.replacen(",counts", "", 1).into_bytes(),
            &["line 1", "found model,curve,sample,index,sums"],
        ),
        refused(
            "units: a truncated line",
            |units| {
                let last = units.trim_end().rfind('\n').unwrap();
                units.as_bytes()[..last + 9].to_vec()
            },
            &["fields"],
        ),
        refused(
            "units: a quotation mark that never closes",
            |units| units.replacen("\nmodel,", "\n\"model,", 1).into_bytes(),
            &["line 2: model", "expected a name on one line"],
        ),
        refused(
            "units: bytes that are not UTF-8",
            |units| {
                let mut bytes = units.as_bytes().to_vec();
                let at = units.find('\n').unwrap() + 1;
                bytes[at] = 0xff;
                bytes
            },
            &["UTF-8"],
        ),
        refused(
            "units: a word among numbers",
            |units| with_field(units, "sums", "1 two 3"),
            &["line 2", "sums", "1 two 3"],
        ),
        refused(
            "units: an index below 0",
            |units| with_field(units, "index", "-1"),
            &["line 2: index", "-1"],
        ),
        refused(
            "units: an index that no model has",
            |units| with_field(units, "index", "18446744073709551615"),
            &["line 2: index", "at most 4294967295"],
        ),
        refused(
            "units: counts of another number of units",
            |units| with_field(units, "counts", "7 7"),
            &["line 2: counts", "expected 1 or 3 numbers"],
        ),
        refused(
            "units: a count that is NaN",
            |units| with_field(units, "counts", "7 NaN 7"),
            &["line 2: counts", "finite"],
        ),
        refused(
            "units: an infinite count",
            |units| with_field(units, "counts", "inf"),
            &["line 2: counts", "finite"],
        ),
        refused(
            "units: two lines about the same",
            |units| {
                let line = units.lines().nth(1).unwrap();
                format!("{units}{line}\n").into_bytes()
            },
            &["expected one line about model", "curve"],
        ),
        Case::refused(
            (NUMBER, "units: a folder in the file's place"),
            |sandbox| {
                reproduced(sandbox, |units| units.as_bytes().to_vec());
                fs::remove_file(sandbox.path(UNITS)).unwrap();
                fs::create_dir(sandbox.path(UNITS)).unwrap();
            },
            &["units.csv"],
        )
        .exactly(&DRAW),
        Case::refused(
            (NUMBER, "units: no file"),
            |sandbox| {
                reproduced(sandbox, |units| units.as_bytes().to_vec());
                fs::remove_file(sandbox.path(UNITS)).unwrap();
            },
            &["units.csv"],
        )
        .exactly(&DRAW),
    ]
}

#[test]
fn tables_of_results_that_cannot_be_read() {
    check(tables());
}

/// Tables that can be read but contain nothing are drawn, and judged as such.
#[test]
fn units_that_say_nothing_decide_nothing() {
    // Sums and counts of one curve; of its second point, if it has one.
    let check = |[sums, counts]: [&str; 2], second: Option<[&str; 2]>| {
        let sandbox = Sandbox::new();
        reproduced(&sandbox, |units| {
            let mut text = format!("{}\n", units.lines().next().unwrap());
            for quantity in [
                "kl_nats",
                "top1_agreement",
                "entropy_difference_bits",
                "modal_share",
                "every_4th_mean_prediction_entropy_bits",
                "every_4th_mean_prediction_entropy_difference_bits",
            ] {
                let curve = format!("drop(l) {quantity}");
                text += &format!("model,{curve},text,0,{sums},{counts}\n");
                if let Some([sums, counts]) = second {
                    text += &format!("model,{curve},text,1,{sums},{counts}\n");
                }
            }
            text.into_bytes()
        });
        let outcome = sandbox.run(&DRAW);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let claims = String::from_utf8(sandbox.read("out/claims.csv")).unwrap();
        let is_decided = |line: &&str| line.contains(",holds,") || line.contains(",fails,");
        let decided: Vec<&str> = claims.lines().filter(is_decided).collect();
        assert!(decided.is_empty(), "{sums} {counts}: {decided:#?}");
    };
    check(["NaN NaN NaN NaN NaN NaN", "7"], None);
    check(["1 2 3 4 5 NaN", "7"], None);
    check(["inf -inf 1 2 3 4", "7"], None);
    check(["1 2 3 4 5 6", "0"], None);
    check(["", "7"], None);
    check(["1", "7"], None);
    // Points of one curve with different numbers of units.
    check(["1 2 3 4 5 6", "7"], Some(["1 2 3 4 5 6 7", "7"]));
}
