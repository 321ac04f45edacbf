//! A Slurm cluster with one node, this machine, whose files are in one folder and which ends when the value is dropped.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest time that any step of a cluster may take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    folder: TempDir,
    daemons: Vec<(&'static str, Child)>,
}

/// Why no cluster can run here.
pub(crate) struct Unavailable(pub(crate) String);

impl Cluster {
    /// Starts it, with the given number of cores, whether or not the machine has them.
    ///
    /// If a program that Slurm needs is installed but does not work, the test fails.
    pub(crate) fn start(cores: usize) -> Result<Self, Unavailable> {
        let unavailable = |why: &str| Err(Unavailable(why.to_owned()));
        for program in [
            "munged",
            "slurmctld",
            "slurmd",
            "sbatch",
            "squeue",
            "scancel",
            "sinfo",
        ] {
            if !is_installed(program) {
                return Err(Unavailable(format!(
                    "{program} is not installed (Debian: slurm-wlm and munge)"
                )));
            }
        }
        let user = answer(Command::new("id").arg("-u"));
        if user.trim() != "0" {
            return unavailable("Slurm's daemons are started as root, and this is another user");
        }
        let folder = tempfile::Builder::new().prefix("slurm-").tempdir().unwrap();
        // Neither munged nor slurmd accepts a folder that others may write to.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let mut cluster = Self {
            folder,
            daemons: Vec::new(),
        };
        cluster.configure(cores);
        cluster.start_munged();
        cluster.start_daemon("slurmctld");
        cluster.start_daemon("slurmd");
        match cluster.wait_for_node() {
            Ok(()) => Ok(cluster),
            Err(why) if why.contains("cgroup") => Err(Unavailable(format!(
                "Slurm cannot start here without cgroups: {}",
                why.lines()
                    .find(|line| line.contains("cgroup"))
                    .unwrap_or_default()
            ))),
            Err(why) => panic!("the cluster does not start: {why}"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that talks to this cluster and no other.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let variables = std::env::vars_os();
        for (name, _) in variables.filter(|(name, _)| {
            let name = name.to_string_lossy();
            ["SLURM", "SBATCH", "SQUEUE", "SCANCEL"]
                .iter()
                .any(|start| name.starts_with(start))
        }) {
            command.env_remove(name);
        }
        command
            .env("SLURM_CONF", self.path("slurm.conf"))
            .stdin(Stdio::null());
        command
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(
                start.elapsed() < PATIENCE,
                "in vain for {what}\n{}",
                self.told()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The queue and the last lines of all logs.
    pub(crate) fn told(&self) -> String {
        let mut told = String::new();
        for (program, arguments) in [
            ("squeue", &["--array"][..]),
            ("sinfo", &["--long", "--Node"]),
        ] {
            let output = self.command(program).args(arguments).output();
            let said = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
            let _ = writeln!(told, "== {program}\n{}", said.unwrap_or_default());
        }
        let mut logs: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        logs.retain(|path| path.extension().is_some_and(|end| end == "log"));
        logs.sort();
        for log in logs {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = &lines[lines.len().saturating_sub(30)..];
            let _ = writeln!(told, "== {}\n{}", log.display(), last.join("\n"));
        }
        told
    }

    fn configure(&self, cores: usize) {
        for folder in ["state", "spool", "munge"] {
            fs::create_dir(self.path(folder)).unwrap();
        }
        let host = answer(Command::new("hostname").arg("-s"));
        let host = host.trim();
        let [controller, node] = free_ports();
        let at = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "ClusterName=test\n\
             SlurmctldHost={host}(127.0.0.1)\n\
             SlurmctldPort={controller}\n\
             SlurmdPort={node}\n\
             SlurmUser=root\n\
             SlurmdUser=root\n\
             AuthType=auth/munge\n\
             AuthInfo=socket={}\n\
             StateSaveLocation={}\n\
             SlurmdSpoolDir={}\n\
             SlurmctldPidFile={}\n\
             SlurmdPidFile={}\n\
             SlurmctldLogFile={}\n\
             SlurmdLogFile={}\n\
             ProctrackType=proctrack/linuxproc\n\
             TaskPlugin=task/none\n\
             SelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU_Memory\n\
             JobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\n\
             MpiDefault=none\n\
             SwitchType=switch/none\n\
             MailProg=/bin/true\n\
             ReturnToService=2\n\
             KillWait=1\n\
             CompleteWait=0\n\
             SchedulerParameters=sched_min_interval=0,batch_sched_delay=0,sched_interval=1,bf_interval=1\n\
             SlurmdParameters=config_overrides\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=100000 State=UNKNOWN\n\
             PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n",
            at("munge/socket"),
            at("state"),
            at("spool"),
            at("slurmctld.pid"),
            at("slurmd.pid"),
            at("slurmctld.log"),
            at("slurmd.log"),
        );
        fs::write(self.path("slurm.conf"), text).unwrap();
        // Without this, releases from 23 on look for a cgroup hierarchy, whatever the plugins.
        let version = answer(Command::new(found("slurmd")).arg("-V"));
        let release = version
            .rsplit(' ')
            .next()
            .and_then(|text| text.split('.').next()?.parse().ok());
        if release.is_some_and(|release: u32| release >= 23) {
            fs::write(self.path("cgroup.conf"), "CgroupPlugin=disabled\n").unwrap();
        }
    }

    fn start_munged(&mut self) {
        let key: Vec<u8> = (0..=255_u8)
            .map(|at| at.wrapping_mul(37).rotate_left(3))
            .collect();
        let path = self.path("munge/key");
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let option = |name: &str, file: &str| format!("--{name}={}", self.path(file).display());
        let mut command = self.command(&found("munged"));
        command.args([
            "--foreground",
            &option("key-file", "munge/key"),
            &option("socket", "munge/socket"),
            &option("pid-file", "munge/pid"),
            &option("log-file", "munge/log"),
            &option("seed-file", "munge/seed"),
        ]);
        self.spawn("munged", command);
        self.wait("munged's socket", || self.path("munge/socket").exists());
    }

    fn start_daemon(&mut self, program: &'static str) {
        let mut command = self.command(&found(program));
        command.arg("-D").arg("-f").arg(self.path("slurm.conf"));
        self.spawn(program, command);
    }

    fn spawn(&mut self, program: &'static str, mut command: Command) {
        let said = File::create(self.path(&format!("{program}.said.log"))).unwrap();
        command.stdout(said.try_clone().unwrap()).stderr(said);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        self.daemons.push((program, child));
    }

    /// Waits until the node accepts jobs; otherwise returns the messages of the daemons.
    fn wait_for_node(&mut self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let output = self
                .command("sinfo")
                .args(["--noheader", "--format=%T"])
                .output();
            let state = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
            if state.is_ok_and(|state| state == "idle") {
                return Ok(());
            }
            for (program, child) in &mut self.daemons {
                if let Ok(Some(status)) = child.try_wait() {
                    let why = format!("{program} has ended, {status}");
                    return Err(format!("{why}\n{}", self.told()));
                }
            }
            if start.elapsed() > PATIENCE / 2 {
                return Err(format!("the node is not idle\n{}", self.told()));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    /// Ends the jobs, then the daemons, even when a test has panicked.
    fn drop(&mut self) {
        let _ = self
            .command("scancel")
            .args(["--me", "--signal=KILL", "--full"])
            .output();
        let _ = self.command("scancel").arg("--me").output();
        let start = Instant::now();
        let is_busy = |output: Output| !output.stdout.is_empty();
        while start.elapsed() < Duration::from_secs(5)
            && self
                .command("squeue")
                .arg("--noheader")
                .output()
                .is_ok_and(is_busy)
        {
            thread::sleep(Duration::from_millis(50));
        }
        for (_, child) in self.daemons.iter_mut().rev() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let start = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(5) {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Daemons are outside a user's path.
fn found(program: &str) -> String {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let paths = places.map(|place| Path::new(place).join(program));
    let path = paths.into_iter().find(|path| path.is_file());
    path.map_or_else(|| program.to_owned(), |path| path.display().to_string())
}

fn is_installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    found(program) != program
        || std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

fn answer(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Ports that were free a moment ago.
fn free_ports() -> [u16; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    bound.map(|listener| listener.local_addr().unwrap().port())
}
