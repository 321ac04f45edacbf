//! A 18 and 31–34, 52: faults that appear only when a tensor is read.

use std::fs;

use layerwise_weights::{FileError, OpenOptions, Warning, WeightsError};

use crate::{Case, check, file, is, stable, vectors, write};

/// A case whose `model.safetensors` has one tensor `w`.
fn tensor(
    name: &'static str,
    dtype: &str,
    shape: &str,
    data: Vec<u8>,
    expect: fn(&WeightsError) -> bool,
    says: &[&str],
) -> Case {
    let end = data.len();
    let header =
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,{end}]}}}}"#);
    let bytes = file(header, &data);
    let mut case = Case::new(
        name,
        move |folder| write(folder, "model.safetensors", &bytes),
        expect,
        says,
    );
    case.says
        .extend(["model.safetensors", "tensor \"w\""].map(str::to_owned));
    case
}

#[test]
fn tensors_that_cannot_be_weights_are_refused() {
    let f32s = |values: &[f32]| {
        values
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let u16s = |values: &[u16]| {
        values
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let mut late = vec![0.5_f32; 50_000];
    late[49_999] = f32::NEG_INFINITY;
    let mut cases = vec![
        tensor(
            "31 zero-size dimension",
            "F32",
            "[0]",
            vec![],
            is!(WeightsError::ZeroSize { .. }),
            &["at least 1", "found [0]"],
        ),
        tensor(
            "31 zero-size dimension among others",
            "BF16",
            "[4,0,3]",
            vec![],
            is!(WeightsError::ZeroSize { .. }),
            &["found [4, 0, 3]"],
        ),
        tensor(
            "33 NaN",
            "F32",
            "[2,3]",
            f32s(&[1.0, 1.0, 1.0, 1.0, f32::NAN, f32::NAN]),
            is!(WeightsError::NotFinite { .. }),
            &["expected finite", "found NaN", "[1, 1]"],
        ),
        tensor(
            "33 infinity at the end",
            "F32",
            "[50000]",
            f32s(&late),
            is!(WeightsError::NotFinite { .. }),
            &["found -inf", "[49999]"],
        ),
        tensor(
            "33 infinity in F16",
            "F16",
            "[3]",
            u16s(&[0x3c00, 0x7c00, 0x7c01]),
            is!(WeightsError::NotFinite { .. }),
            &["found inf", "[1]"],
        ),
        tensor(
            "33 NaN in BF16",
            "BF16",
            "[1,1]",
            u16s(&[0xffc0]),
            is!(WeightsError::NotFinite { .. }),
            &["found NaN", "[0, 0]"],
        ),
    ];
    for (dtype, bytes) in [
        ("F64", 8),
        ("I64", 8),
        ("I32", 4),
        ("U8", 1),
        ("BOOL", 1),
        ("F8_E4M3", 1),
        ("C64", 8),
    ] {
        let found = format!("found {dtype}");
        cases.push(tensor(
            "18 a type that weights cannot have",
            dtype,
            "[1]",
            vec![0; bytes],
            is!(WeightsError::UnsupportedDtype { .. }),
            &["expected F32, F16 or BF16", &found],
        ));
    }
    check(cases);
}

#[test]
fn case_18_a_tensor_of_another_type_does_no_harm_unread() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    let header = r#"{"mask":{"dtype":"BOOL","shape":[1,1,2,2],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    write(folder.path(), "model.safetensors", &file(header, &[0; 8]));
    let checkpoint = OpenOptions::default().open(folder.path()).unwrap();
    assert_eq!(checkpoint.tensor("w").unwrap().as_slice(), [0.0]);
    assert_eq!(checkpoint.info("mask").unwrap().shape, [1, 1, 2, 2]);
}

/// The data is misaligned by 1 to 7 bytes, which the format allows but a cast would not.
#[test]
fn case_32_misaligned_tensors_load_by_copy() {
    let values: Vec<f32> = (0..40_000).map(|i| i as f32 * 0.37 - 1.0).collect();
    let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
    for padding in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "config.json", b"{}");
        let header = format!(
            r#"{{"w":{{"dtype":"F32","shape":[200,200],"data_offsets":[0,{}]}}}}{}"#,
            data.len(),
            " ".repeat(padding)
        );
        let is_aligned = header.len() % 4 == 0;
        write(folder.path(), "model.safetensors", &file(header, &data));
        for mmap in [true, false] {
            let tensor = OpenOptions::new()
                .map(stable(mmap))
                .open(folder.path())
                .unwrap()
                .tensor("w")
                .unwrap();
            assert_eq!(tensor.as_slice(), values);
            let can_borrow = cfg!(target_endian = "little") && is_aligned && mmap;
            assert_eq!(
                tensor.is_mapped(),
                can_borrow,
                "padding {padding}, mmap {mmap}"
            );
        }
    }
}

#[test]
fn case_34_an_all_zero_weight_loads_with_a_warning_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    let entry = |name: &str, begin: usize| {
        format!(
            r#""{name}":{{"dtype":"F16","shape":[2],"data_offsets":[{begin},{}]}}"#,
            begin + 4
        )
    };
    let entries = [
        entry("wte.weight", 0),
        entry("h.0.ln_1.weight", 4),
        entry("h.0.ln_1.bias", 8),
        entry("ln_f.weight", 12),
    ];
    // Minus zero counts as zero; the last tensor ends in the smallest number that does not.
    let data = [0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0];
    write(
        folder.path(),
        "model.safetensors",
        &file(format!("{{{}}}", entries.join(",")), &data),
    );
    for mmap in [true, false] {
        let checkpoint = OpenOptions::new()
            .map(stable(mmap))
            .open(folder.path())
            .unwrap();
        assert_eq!(checkpoint.warnings(), []);
        // Read twice and out of order; each warning appears once, sorted.
        for name in [
            "wte.weight",
            "ln_f.weight",
            "h.0.ln_1.weight",
            "h.0.ln_1.bias",
            "wte.weight",
        ] {
            let is_zero = checkpoint.tensor(name).unwrap().is_all_zero();
            assert_eq!(is_zero, name != "ln_f.weight");
        }
        let path = folder.path().join("model.safetensors");
        let expected = ["h.0.ln_1.weight", "wte.weight"].map(|tensor| Warning::AllZero {
            path: path.clone(),
            tensor: tensor.to_owned(),
        });
        assert_eq!(checkpoint.warnings(), expected);
        let message = expected[0].to_string();
        assert!(
            message.contains("model.safetensors") && message.contains("\"h.0.ln_1.weight\""),
            "{message}"
        );
    }
}

/// The other half of this case, between inspecting and opening, is tested beside `CheckpointFile`.
#[test]
fn case_52_a_file_that_changes_size_after_opening_is_refused() {
    let good = vectors(&[("w", 100)]);
    for mmap in [true, false] {
        for size in [good.len() - 1, good.len() + 1] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "config.json", b"{}");
            write(folder.path(), "model.safetensors", &good);
            let checkpoint = OpenOptions::new()
                .map(stable(mmap))
                .open(folder.path())
                .unwrap();
            let file = fs::OpenOptions::new()
                .write(true)
                .open(folder.path().join("model.safetensors"))
                .unwrap();
            file.set_len(size as u64).unwrap();
            let error = checkpoint.tensor("w").unwrap_err();
            assert!(
                matches!(error, WeightsError::File(FileError::SizeChanged { .. })),
                "{error:?}"
            );
            let message = error.to_string();
            for part in [
                "model.safetensors",
                &format!("expected {}", good.len()),
                &format!("found {size}"),
            ] {
                assert!(message.contains(part), "{part} is not in {message}");
            }
        }
    }
}
