//! Faults during a run: a full disk, a folder without write permission, other processes, other clocks, kills.
//!
//! After each fault, an undisturbed run ends in the same bytes as a run that was never disturbed.

use crate::REPRODUCE;
use crate::runs::SWEEP;
use crate::sandbox::{Sandbox, ids, npy, program};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const JOURNAL: &str = "out.csv.run/model.journal";
const RUN: &str = "out.csv.run";

/// The table of an undisturbed run.
fn expected() -> Vec<u8> {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(&SWEEP).code, Some(0));
    sandbox.read("out.csv")
}

/// Runs to the end; the table must be the expected one.
#[track_caller]
fn check_end(sandbox: &Sandbox, expected: &[u8], after: &str) {
    let outcome = sandbox.run(&SWEEP);
    assert_eq!(outcome.code, Some(0), "{after}: {outcome:?}");
    assert!(sandbox.read("out.csv") == expected, "{after}");
}

/// No file may grow beyond some blocks of 512 bytes (1024 in some shells), so that writing fails at each place in turn.
#[test]
fn files_that_cannot_grow() {
    let expected = expected();
    let mut refused = 0;
    for blocks in 0..8 {
        let sandbox = Sandbox::new();
        // The signal that comes with the limit is ignored, since no disk sends one.
        let limits = format!("trap '' XFSZ && ulimit -f {blocks}");
        let outcome = sandbox.run_under(&limits, &SWEEP);
        let after = format!("{blocks} blocks");
        match outcome.code {
            Some(0) => {}
            Some(1) => {
                refused += 1;
                assert!(outcome.stderr.contains("out.csv"), "{after}: {outcome:?}");
                assert!(outcome.stderr.contains("os error"), "{after}: {outcome:?}");
                assert!(!sandbox.path("out.csv").exists(), "{after}");
            }
            code => panic!("{after}: exit code {code:?}: {outcome:?}"),
        }
        assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
        check_end(&sandbox, &expected, &after);
    }
    assert!(refused > 1, "{refused}");
}

/// A file system of some KiB that is full, until it is enlarged.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full() {
    let expected = expected();
    for kib in [4, 8] {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("disk")).unwrap();
        let script = format!(
            "mount -t tmpfs -o size={kib}k none disk || exit 77
            \"$0\" \"$@\" && exit 78
            test -e disk/out.csv && exit 79
            mount -o remount,size=10m disk && \"$0\" \"$@\" && cp disk/out.csv out.csv"
        );
        let output = Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", &script])
            .arg(program())
            .args(&SWEEP[..SWEEP.len() - 1])
            .arg("disk/out.csv")
            .current_dir(sandbox.path(""))
            .output();
        let said = match &output {
            Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        let code = output.ok().and_then(|output| output.status.code());
        if !matches!(code, Some(0 | 78 | 79)) && !said.contains("error: ") {
            eprintln!("skipped: no file system can be mounted here: {said}");
            return;
        }
        assert_eq!(code, Some(0), "{kib} KiB: {said}");
        assert!(
            said.contains("No space left on device"),
            "{kib} KiB: {said}"
        );
        assert!(sandbox.read("out.csv") == expected, "{kib} KiB");
    }
}

#[test]
fn a_folder_that_may_not_be_written() {
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.path(""), PermissionsExt::from_mode(0o755)).unwrap();
    let Some(outcome) = sandbox.run_as_nobody(&SWEEP) else {
        return;
    };
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for part in ["the current folder: cannot be written to", "denied"] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
    }
    assert!(!sandbox.path("out.csv.run").exists());
    check_end(&sandbox, &expected(), "a folder that may not be written");
}

#[test]
fn more_threads_than_the_system_starts() {
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let arguments = [&SWEEP, ["--threads", "1024"].as_slice()].concat();
    // Some shells call the limit on processes `-u`, others `-p`.
    let limit = "if (ulimit -u 200) 2> /dev/null; then ulimit -u 200; else ulimit -p 200; fi";
    let Some(outcome) = sandbox.run_as_nobody_under(limit, &arguments) else {
        return;
    };
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    for part in ["the system starts only", "of 1024 threads", "os error"] {
        assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
    }
    assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    assert!(!sandbox.path("out.csv").exists());
}

/// Names of outputs and texts need not be UTF-8; the manifest holds as much of them as it can.
#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_not_utf_8() {
    let sandbox = Sandbox::new();
    let [corpus, out] = [b"i\xff.npy", b"o\xff.csv"].map(|name| OsStr::from_bytes(name));
    fs::rename(sandbox.path("ids.npy"), sandbox.path("").join(corpus)).unwrap();
    let mut command = sandbox.command(&SWEEP[..4]);
    command.arg("--corpus").arg(corpus).arg("--out").arg(out);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(sandbox.path("").join(out).exists());
    let run = sandbox.path("").join(OsStr::from_bytes(b"o\xff.csv.run"));
    let manifest = fs::read(run.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["runs"][0]["corpus"]["file"], "i\u{fffd}.npy");
}

/// One of several processes does the work; the others are refused, or find it done.
#[test]
fn several_processes_on_one_folder() {
    let expected = expected();
    for _ in 0..4 {
        let sandbox = Sandbox::new();
        let start = |_| {
            let mut command = sandbox.command(&SWEEP);
            command.stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<Child> = (0..4).map(start).collect();
        let mut finished = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            match output.status.code() {
                Some(0) => finished += 1,
                Some(1) => assert!(
                    said.contains("another process is working on this run"),
                    "{said}"
                ),
                code => panic!("exit code {code:?}: {said}"),
            }
        }
        assert!(finished > 0);
        assert!(sandbox.read("out.csv") == expected);
        check_end(&sandbox, &expected, "four processes");
    }
}

/// File times and the clock decide nothing.
#[test]
fn clocks_that_jump() {
    let expected = expected();
    let day = Duration::from_secs(86_400);
    for time in [
        SystemTime::UNIX_EPOCH + day,
        SystemTime::now() + 20_000 * day,
    ] {
        let sandbox = Sandbox::new();
        assert_eq!(sandbox.run(&SWEEP).code, Some(0));
        for (path, _) in sandbox.contents() {
            let file = File::open(sandbox.path("").join(path)).unwrap();
            let times = FileTimes::new().set_accessed(time).set_modified(time);
            file.set_times(times).unwrap();
        }
        fs::remove_file(sandbox.path("out.csv")).unwrap();
        let outcome = sandbox.run(&SWEEP);
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let taken_up = "3 sequences of the sweep were finished by an earlier run";
        assert!(outcome.stderr.contains(taken_up), "{outcome:?}");
        assert!(sandbox.read("out.csv") == expected);
    }
}

/// A number of sequences that takes some tenths of a second.
fn figures() -> (Sandbox, [&'static str; 8]) {
    let sandbox = Sandbox::new();
    sandbox.write("ids.npy", &npy("<u2", "(150, 8)", &ids(1200)));
    (sandbox, REPRODUCE)
}

/// The files of figures and tables, which do not depend on times, except files that are being written.
fn results(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let names = sandbox
        .contents()
        .into_iter()
        .map(|(path, _)| path.to_str().unwrap().to_owned());
    let is_result = |name: &String| {
        [".csv", ".svg", ".png", ".html"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    names
        .filter(|name| name.starts_with("out/") && is_result(name))
        .map(|name| {
            let bytes = sandbox.read(&name);
            (name, bytes)
        })
        .collect()
}

/// `reproduce`, killed (every third time interrupted) at any moment, including while it writes figures and tables.
///
/// `LAYERWISE_TEST_KILLS` says how many times.
#[test]
fn figures_that_are_killed_while_they_are_written() {
    let kills = std::env::var("LAYERWISE_TEST_KILLS").map_or(6, |kills| kills.parse().unwrap());
    let (sandbox, arguments) = figures();
    let begin = Instant::now();
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    let whole = begin.elapsed();
    let expected = results(&sandbox);
    assert!(expected.len() >= 3, "{}", expected.len());
    let mut state = 11_u64;
    for kill in 0..kills {
        if kill % 4 == 0 {
            fs::remove_dir_all(sandbox.path("out")).unwrap();
        }
        let child = sandbox.command(&arguments).spawn().unwrap();
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (state >> 40) as f64 / f64::from(1 << 24);
        std::thread::sleep(whole.mul_f64(1.1 * share));
        stop(child, kill % 3 == 2);
        for (name, bytes) in results(&sandbox) {
            let whole = expected.iter().find(|(expected, _)| *expected == name);
            assert!(
                whole.is_some_and(|(_, expected)| *expected == bytes),
                "kill {kill}: {name}"
            );
        }
        if let Ok(manifest) = fs::read(sandbox.path("out/manifest.json")) {
            serde_json::from_slice::<serde_json::Value>(&manifest).unwrap();
        }
        if !sandbox.path("out").exists() {
            fs::create_dir(sandbox.path("out")).unwrap();
        }
    }
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    assert!(results(&sandbox) == expected);
}

fn stop(mut child: Child, interrupt: bool) {
    if interrupt {
        let id = child.id().to_string();
        let mut kill = Command::new("kill");
        // It may have finished by itself.
        let _ = kill.args(["-INT", &id]).stderr(Stdio::null()).status();
        let code = child.wait().unwrap().code();
        assert!(matches!(code, Some(0 | 130) | None), "{code:?}");
    } else {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// A run folder or journal without write permission stays untouched; the message names the one that is in the way.
#[test]
fn a_journal_that_may_not_be_written() {
    for (folder_mode, in_the_way) in [(0o755, RUN), (0o777, JOURNAL)] {
        let sandbox = Sandbox::new();
        assert_eq!(sandbox.run(&SWEEP).code, Some(0));
        fs::remove_file(sandbox.path("out.csv")).unwrap();
        for (path, mode) in [("", 0o777), (RUN, folder_mode), (JOURNAL, 0o444)] {
            fs::set_permissions(sandbox.path(path), PermissionsExt::from_mode(mode)).unwrap();
        }
        let before = fs::read(sandbox.path(JOURNAL)).unwrap();
        let Some(outcome) = sandbox.run_as_nobody(&SWEEP) else {
            return;
        };
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        for part in [in_the_way, "denied"] {
            assert!(outcome.stderr.contains(part), "{part}: {outcome:?}");
        }
        assert!(!sandbox.path("out.csv").exists());
        assert!(fs::read(sandbox.path(JOURNAL)).unwrap() == before);
    }
}
