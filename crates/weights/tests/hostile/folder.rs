//! B 40, 41 and 48–51: the kinds of files that a folder may hold, and where its links may lead.

use std::fs;
use std::path::{Path, PathBuf};

use layerwise_weights::{Checkpoint, FileError, WeightsError};

use crate::{Case, check, is, vectors, write};

/// A checkpoint with a single shard is complete, with or without an index.
#[test]
fn the_first_of_one_shards_needs_no_index() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "config.json", b"{}");
    let name = "model-00001-of-00001.safetensors";
    write(folder.path(), name, &vectors(&[("a", 1)]));
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_eq!(checkpoint.tensor("a").unwrap().as_slice(), [1.0]);
    assert!(checkpoint.files().any(|file| file.path().ends_with(name)));
}

#[test]
fn folders_without_safetensors_are_refused() {
    let pickle = |name, file: &'static str| {
        Case::new(
            name,
            move |folder| write(folder, file, b"\x80\x02}q\x00."),
            is!(WeightsError::NeedsConversion { .. }),
            &[
                "expected model.safetensors",
                file,
                "convert it to safetensors",
            ],
        )
    };
    let other = |name, file: &'static str| {
        Case::new(
            name,
            move |folder| write(folder, file, &vectors(&[("a", 1)])),
            is!(WeightsError::OtherName { .. }),
            &[
                "expected model.safetensors",
                file,
                "rename it to model.safetensors",
            ],
        )
    };
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4665dd\nsize 548105171\n";
    check(vec![
        other("48 an unusual name", "pytorch_model.safetensors"),
        other("48 a variant", "model.fp16.safetensors"),
        other(
            "48 the first of two shards",
            "model-00001-of-00002.safetensors",
        ),
        Case {
            name: "36 the root of a training run",
            build: Box::new(|root| {
                for step in ["checkpoint-1000", "checkpoint-500"] {
                    fs::create_dir_all(root.join("run").join(step)).unwrap();
                    write(root, &format!("run/{step}/config.json"), b"{}");
                }
                root.join("run")
            }),
            is_expected: is!(WeightsError::Nested { .. }),
            says: vec![
                "expected config.json".into(),
                "found it in the folder \"checkpoint-500\"".into(),
            ],
        },
        pickle("48 only a .bin", "pytorch_model.bin"),
        pickle("48 only a .pth", "consolidated.00.PTH"),
        pickle("48 only a .gguf", "model.gguf"),
        pickle("48 only an .onnx", "model.onnx"),
        pickle(
            "48 only the index of .bin files",
            "pytorch_model.bin.index.json",
        ),
        Case::new(
            "48 only an adapter",
            |folder| write(folder, "adapter_model.safetensors", &vectors(&[("a", 1)])),
            is!(WeightsError::Adapter { .. }),
            &[
                "expected model.safetensors",
                "the adapter \"adapter_model.safetensors\"",
                "merge it into its model",
            ],
        ),
        Case {
            name: "48 an adapter without a config",
            build: Box::new(|root| {
                let folder = root.join("adapter");
                fs::create_dir(&folder).unwrap();
                write(root, "adapter/adapter_model.bin", b"");
                folder
            }),
            is_expected: is!(WeightsError::Adapter { .. }),
            says: vec!["the adapter \"adapter_model.bin\"".into()],
        },
        Case {
            name: "36 the folder of a model in a hub cache",
            build: Box::new(|root| {
                let snapshot = "models--me--tiny/snapshots/c0ffee";
                fs::create_dir_all(root.join(snapshot)).unwrap();
                write(root, &format!("{snapshot}/config.json"), b"{}");
                root.join("models--me--tiny")
            }),
            is_expected: is!(WeightsError::Nested { .. }),
            says: vec!["found it in the folder \"snapshots/c0ffee\"".into()],
        },
        Case::new(
            "48 no weights at all",
            |_| (),
            is!(WeightsError::File(FileError::Missing { .. })),
            &[
                "model.safetensors",
                "not found",
                "expected the weights",
                "index.json",
            ],
        ),
        Case::new(
            "51 Git LFS pointer",
            |folder| write(folder, "model.safetensors", lfs),
            is!(WeightsError::File(FileError::LfsPointer { .. })),
            &[
                "model.safetensors",
                "expected the file itself",
                "Git LFS pointer",
            ],
        ),
        Case::new(
            "51 Git LFS pointer for a shard",
            |folder| {
                write(
                    folder,
                    "model.safetensors.index.json",
                    br#"{"weight_map":{"a":"s1.safetensors"}}"#,
                );
                write(folder, "s1.safetensors", lfs);
            },
            is!(WeightsError::File(FileError::LfsPointer { .. })),
            &["s1.safetensors", "Git LFS pointer"],
        ),
        Case::new(
            "41 a directory",
            |folder| fs::create_dir(folder.join("model.safetensors")).unwrap(),
            is!(WeightsError::File(FileError::NotRegular { .. })),
            &[
                "model.safetensors",
                "expected a regular file",
                "found a directory",
            ],
        ),
        Case {
            name: "41 the checkpoint a file",
            build: Box::new(|root| {
                write(root, "model", b"");
                root.join("model")
            }),
            is_expected: is!(WeightsError::File(FileError::NotAFolder { .. })),
            says: vec!["expected a folder".into(), "found a file".into()],
        },
        Case {
            name: "36 no such folder",
            build: Box::new(|root| root.join("nowhere")),
            is_expected: is!(WeightsError::File(FileError::Missing { .. })),
            says: vec!["nowhere".into(), "expected a folder".into()],
        },
    ]);
}

/// A hub cache with a snapshot folder, and blobs of a config and of weights; returns the snapshot.
#[cfg(unix)]
fn hub_cache(root: &Path) -> PathBuf {
    use std::os::unix::fs::symlink;
    let snapshot = root.join("models--a--b/snapshots/0123abcd");
    let blobs = root.join("models--a--b/blobs");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(&blobs).unwrap();
    write(&blobs, CONFIG_BLOB, b"{}");
    write(&blobs, WEIGHTS_BLOB, &vectors(&[("a", 2)]));
    symlink(
        format!("../../blobs/{CONFIG_BLOB}"),
        snapshot.join("config.json"),
    )
    .unwrap();
    symlink(
        format!("../../blobs/{WEIGHTS_BLOB}"),
        snapshot.join("model.safetensors"),
    )
    .unwrap();
    snapshot
}

#[cfg(unix)]
const CONFIG_BLOB: &str = "10c66461e4c109db5a2196bff4bb59be30396ed8";
#[cfg(unix)]
const WEIGHTS_BLOB: &str = "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707";

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn case_40_links_within_the_folder_and_to_hub_blobs_are_followed() {
        let root = tempfile::tempdir().unwrap();
        let snapshot = hub_cache(root.path());
        let checkpoint = Checkpoint::open(&snapshot).unwrap();
        assert_eq!(checkpoint.tensor("a").unwrap().as_slice(), [1.0; 2]);
        assert_eq!(
            checkpoint.info("a").unwrap().path,
            snapshot.join("model.safetensors")
        );
        let alias = root.path().join("alias");
        symlink(&snapshot, &alias).unwrap();
        assert!(
            Checkpoint::open(&alias).is_ok(),
            "the folder itself may be given as a link"
        );

        let subfolder = snapshot.join("small");
        fs::create_dir(&subfolder).unwrap();
        symlink(
            format!("../../../blobs/{CONFIG_BLOB}"),
            subfolder.join("config.json"),
        )
        .unwrap();
        write(&subfolder, "weights.dat", &vectors(&[("a", 1)]));
        symlink("weights.dat", subfolder.join("model.safetensors")).unwrap();
        assert_eq!(
            Checkpoint::open(&subfolder)
                .unwrap()
                .tensor("a")
                .unwrap()
                .shape(),
            [1]
        );
    }

    /// A case in which `model.safetensors` of a hub snapshot is a link to `target`.
    fn hub_link(
        name: &'static str,
        target: &'static str,
        prepare: fn(&Path),
        says: &[&str],
    ) -> Case {
        Case {
            name,
            build: Box::new(move |root| {
                let snapshot = hub_cache(root);
                prepare(root);
                fs::remove_file(snapshot.join("model.safetensors")).unwrap();
                symlink(target, snapshot.join("model.safetensors")).unwrap();
                snapshot
            }),
            is_expected: is!(WeightsError::File(FileError::LinkLeaves { .. })),
            says: says
                .iter()
                .chain(&["model.safetensors", "link to", target])
                .map(|s| (*s).to_owned())
                .collect(),
        }
    }

    #[test]
    fn links_that_leave_the_folder_are_refused() {
        const OTHER: &str =
            "../../../other/blobs/248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707";
        check(vec![
            Case::new(
                "40 link out of a plain folder",
                |folder| {
                    write(folder.parent().unwrap(), "secret", &vectors(&[("a", 2)]));
                    symlink("../secret", folder.join("model.safetensors")).unwrap();
                },
                is!(WeightsError::File(FileError::LinkLeaves { .. })),
                &[
                    "model.safetensors",
                    "expected a file in the folder",
                    "../secret",
                ],
            ),
            Case::new(
                "40 config linked out of a plain folder",
                |folder| {
                    write(folder.parent().unwrap(), "secret", b"{}");
                    fs::remove_file(folder.join("config.json")).unwrap();
                    symlink("../secret", folder.join("config.json")).unwrap();
                },
                is!(WeightsError::File(FileError::LinkLeaves { .. })),
                &["config.json", "../secret"],
            ),
            Case::new(
                "40 shard linked through a folder that leaves",
                |folder| {
                    let outside = folder.parent().unwrap().join("outside");
                    fs::create_dir(&outside).unwrap();
                    write(&outside, "s1.safetensors", &vectors(&[("a", 2)]));
                    symlink("../outside", folder.join("inside")).unwrap();
                    symlink("inside/s1.safetensors", folder.join("s1.safetensors")).unwrap();
                    write(
                        folder,
                        "model.safetensors.index.json",
                        br#"{"weight_map":{"a":"s1.safetensors"}}"#,
                    );
                },
                is!(WeightsError::File(FileError::LinkLeaves { .. })),
                &["s1.safetensors", "inside/s1.safetensors"],
            ),
            hub_link(
                "40 blob whose name is no hash",
                "../../blobs/secret",
                |root| {
                    write(
                        &root.join("models--a--b/blobs"),
                        "secret",
                        &vectors(&[("a", 2)]),
                    )
                },
                &[],
            ),
            hub_link(
                "40 blob of another cache",
                OTHER,
                |root| {
                    fs::create_dir_all(root.join("models--a--b/snapshots/x")).unwrap();
                    let blobs = root.join("other/blobs");
                    fs::create_dir_all(&blobs).unwrap();
                    write(&blobs, WEIGHTS_BLOB, &vectors(&[("a", 2)]));
                },
                &[],
            ),
            hub_link(
                "40 blob that is itself a link out",
                "../../blobs/0000000000000000000000000000000000000000",
                |root| {
                    write(root, "secret", &vectors(&[("a", 2)]));
                    symlink(
                        "../../secret",
                        root.join("models--a--b/blobs/0000000000000000000000000000000000000000"),
                    )
                    .unwrap();
                },
                &[],
            ),
        ]);
    }

    #[test]
    fn files_that_are_not_regular_are_refused_without_blocking() {
        let fifo =
            |path: PathBuf| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        check(vec![
            Case::new(
                "41 FIFO",
                move |folder| fifo(folder.join("model.safetensors")),
                is!(WeightsError::File(FileError::NotRegular { .. })),
                &[
                    "model.safetensors",
                    "expected a regular file",
                    "found a FIFO",
                ],
            ),
            Case::new(
                "41 FIFO as config",
                move |folder| {
                    fs::remove_file(folder.join("config.json")).unwrap();
                    fifo(folder.join("config.json"));
                },
                is!(WeightsError::File(FileError::NotRegular { .. })),
                &["config.json", "found a FIFO"],
            ),
            Case::new(
                "41 FIFO as index",
                move |folder| fifo(folder.join("model.safetensors.index.json")),
                is!(WeightsError::File(FileError::NotRegular { .. })),
                &["index.json", "found a FIFO"],
            ),
            Case::new(
                "41 link to a FIFO as shard",
                move |folder| {
                    fifo(folder.join("fifo"));
                    symlink("fifo", folder.join("s1.safetensors")).unwrap();
                    write(
                        folder,
                        "model.safetensors.index.json",
                        br#"{"weight_map":{"a":"s1.safetensors"}}"#,
                    );
                },
                is!(WeightsError::File(FileError::NotRegular { .. })),
                &["s1.safetensors", "found a FIFO"],
            ),
            Case::new(
                "41 socket",
                |folder| drop(UnixListener::bind(folder.join("model.safetensors")).unwrap()),
                is!(WeightsError::File(FileError::NotRegular { .. })),
                &["model.safetensors", "found a socket"],
            ),
            Case::new(
                "41 device",
                |folder| symlink("/dev/zero", folder.join("model.safetensors")).unwrap(),
                is!(WeightsError::File(FileError::LinkLeaves { .. })),
                &["model.safetensors", "/dev/zero"],
            ),
            Case::new(
                "41 link to itself",
                |folder| symlink("model.safetensors", folder.join("model.safetensors")).unwrap(),
                is!(WeightsError::File(FileError::Io { .. })),
                &["model.safetensors", "cannot inspect"],
            ),
        ]);
    }

    #[test]
    fn unfinished_downloads_are_named() {
        check(vec![
            Case {
                name: "50 link to an unfinished blob",
                build: Box::new(|root| {
                    let snapshot = hub_cache(root);
                    let blobs = root.join("models--a--b/blobs");
                    write(&blobs, "0000.incomplete", b"");
                    fs::rename(
                        blobs.join(WEIGHTS_BLOB),
                        blobs.join(format!("{WEIGHTS_BLOB}.incomplete")),
                    )
                    .unwrap();
                    snapshot
                }),
                is_expected: is!(WeightsError::File(FileError::DanglingLink {
                    unfinished: Some(_),
                    ..
                })),
                says: [
                    "model.safetensors",
                    WEIGHTS_BLOB,
                    "unfinished download",
                    "a707.incomplete",
                ]
                .map(str::to_owned)
                .into(),
            },
            Case {
                name: "50 snapshot without the file, whose blob is unfinished",
                build: Box::new(|root| {
                    let snapshot = hub_cache(root);
                    fs::remove_file(snapshot.join("model.safetensors")).unwrap();
                    write(
                        &root.join("models--a--b/blobs"),
                        "1111.abcd.incomplete",
                        b"",
                    );
                    snapshot
                }),
                is_expected: is!(WeightsError::File(FileError::Missing {
                    unfinished: Some(_),
                    ..
                })),
                says: [
                    "model.safetensors",
                    "not found",
                    "unfinished download",
                    "1111.abcd.incomplete",
                ]
                .map(str::to_owned)
                .into(),
            },
            Case::new(
                "50 dangling link",
                |folder| symlink("../gone", folder.join("model.safetensors")).unwrap(),
                is!(WeightsError::File(FileError::DanglingLink {
                    unfinished: None,
                    ..
                })),
                &[
                    "model.safetensors",
                    "expected a file",
                    "../gone",
                    "does not exist",
                ],
            ),
        ]);
    }

    #[test]
    fn case_49_a_file_that_may_not_be_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "config.json", b"{}");
        write(folder.path(), "model.safetensors", &vectors(&[("a", 2)]));
        for name in ["config.json", "model.safetensors"] {
            let path = folder.path().join(name);
            let before = fs::metadata(&path).unwrap().permissions();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
            if fs::File::open(&path).is_ok() {
                eprintln!("skipped: this user may read every file (root)");
                return;
            }
            let error = Checkpoint::open(folder.path()).unwrap_err();
            assert!(
                matches!(&error, WeightsError::File(FileError::Io { action: "open", source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied),
                "{error:?}"
            );
            assert!(error.to_string().contains(name), "{error}");
            fs::set_permissions(&path, before).unwrap();
        }
    }
}
