//! A stage for single attempts: bare, behind v4run's own layers, or behind all but some of them.
//!
//! It is the session of a run without package manager, proxy and record: the launcher and the
//! supervisor are the real ones, and the launcher can be told to leave layers out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use v4run::model::{Access, Event, FileGuard, Launch, PathRule};
use v4run::sandbox::{Report, canary};
use v4run::supervisor::{Gate, KnownDigests, Parts, Sink, Supervisor};
use v4run::sys::fd;
use v4run::sys::memory::Reader;
use v4run::sys::notify::Listener;

use crate::canaries::hostile;

/// The program with all attempts.
pub(crate) fn program() -> PathBuf {
    hostile().with_file_name("corpus")
}

/// What stands around the attempts: files outside, a service, a listener, another process.
pub(crate) struct Surroundings {
    outside: PathBuf,
    _service: UnixListener,
    sentinel: TcpListener,
    bystander: Child,
}

impl Surroundings {
    pub(crate) fn new(outside: PathBuf) -> Self {
        fs::create_dir(&outside).unwrap();
        let service = UnixListener::bind(outside.join("socket")).unwrap();
        let mut sleep = Command::new("sleep");
        Self {
            _service: service,
            sentinel: TcpListener::bind("127.0.0.1:0").unwrap(),
            bystander: sleep.arg("600").stdin(Stdio::null()).spawn().unwrap(),
            outside,
        }
    }

    /// Puts back what an attempt may have used up, and takes away what it left.
    pub(crate) fn renew(&self, inside: &Path) {
        empty(inside, &[]);
        empty(&self.outside, &["socket"]);
        for dropped in ["/dev/shm/v4run-corpus", "/var/tmp/v4run-corpus"] {
            let _ = fs::remove_file(dropped);
        }
        canary::prepare(inside).unwrap();
        fs::create_dir(inside.join("mount")).unwrap();
        for name in ["secret", "movable", "removable", "cut", "swap"] {
            let path = self.outside.join(name);
            fs::write(&path, "secret").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    /// What an attempt is told.
    pub(crate) fn scene(&self, inside: &Path, cases: &[&str]) -> Value {
        json!({
            "inside": inside,
            "outside": self.outside,
            "listener": self.sentinel.local_addr().unwrap().to_string(),
            "bystander": self.bystander.id().to_string(),
            "cases": cases,
        })
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        let _ = self.bystander.kill();
        let _ = self.bystander.wait();
    }
}

/// The stage.
pub(crate) struct Bench {
    root: TempDir,
    inside: PathBuf,
    surroundings: Surroundings,
}

/// What came of attempts: by name in the result file, `fired` or `errno N`.
pub(crate) type Results = BTreeMap<String, String>;

/// Removes what is in a directory, but for some names.
fn empty(directory: &Path, but: &[&str]) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if but.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        match path.is_dir() && !path.is_symlink() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

/// Reads the result file and takes it away.
pub(crate) fn results(inside: &Path) -> Results {
    let path = inside.join(canary::RESULTS);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let _ = fs::remove_file(&path);
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("v4run-corpus-").tempdir();
        let root = root.unwrap();
        let real = root.path().canonicalize().unwrap();
        let inside = real.join("inside");
        fs::create_dir(&inside).unwrap();
        Self {
            surroundings: Surroundings::new(real.join("outside")),
            inside,
            root,
        }
    }

    /// The directory that attempts may write.
    pub(crate) fn inside(&self) -> &Path {
        &self.inside
    }

    /// What attempts at these cases are told.
    pub(crate) fn scene(&self, cases: &[&str]) -> Value {
        self.surroundings.scene(&self.inside, cases)
    }

    fn write(&self, scene: &Value) -> PathBuf {
        let path = self.root.path().canonicalize().unwrap().join("scene.json");
        fs::write(&path, scene.to_string()).unwrap();
        self.surroundings.renew(&self.inside);
        path
    }

    /// Tries cases without anything around them.
    pub(crate) fn bare(&self, cases: &[&str]) -> Results {
        self.bare_with(&self.scene(cases))
    }

    /// The same with a scene of its own.
    pub(crate) fn bare_with(&self, scene: &Value) -> Results {
        let scene = self.write(scene);
        let output = Command::new(program())
            .arg("attack")
            .arg(scene)
            .stdin(Stdio::null())
            .current_dir(&self.inside)
            .output();
        output.unwrap();
        results(&self.inside)
    }

    /// Tries cases behind all layers but these.
    pub(crate) fn without(&self, layers: &[&str], cases: &[&str]) -> Results {
        self.without_with(layers, &self.scene(cases))
    }

    /// The same with a scene of its own.
    pub(crate) fn without_with(&self, layers: &[&str], scene: &Value) -> Results {
        let scene = self.write(scene);
        let (mut socket, theirs) = UnixStream::pair().unwrap();
        let mut child = Command::new(program())
            .args(["launch", &layers.join(","), &std::process::id().to_string()])
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            // What a program that starts after all complains about.
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let launch = self.launch(&scene);
        let mut line = serde_json::to_vec(&launch).unwrap();
        line.push(b'\n');
        socket.write_all(&line).unwrap();
        let supervisor = Arc::new(self.supervisor(&mut socket, &child, launch));
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let supervisor = Arc::clone(&supervisor);
                std::thread::spawn(move || supervisor.work())
            })
            .collect();
        socket.write_all(b"g").unwrap();
        child.wait().unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
        results(&self.inside)
    }

    fn supervisor(&self, socket: &mut UnixStream, child: &Child, launch: Launch) -> Supervisor {
        // Byte by byte: the descriptor comes right behind the line.
        let mut line = Vec::new();
        let mut reader = BufReader::with_capacity(1, &*socket);
        reader.read_until(b'\n', &mut line).unwrap();
        let report: Report = serde_json::from_slice(&line).unwrap();
        assert_eq!(report.error, None);
        let listener = fd::receive(socket.as_fd()).unwrap().unwrap();
        let (near, far) = fd::pair().unwrap();
        // In the proxy's place: takes what is handed over, until the session is gone.
        std::thread::spawn(move || while let Ok(Some(_)) = fd::receive(far.as_fd()) {});
        let gate = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = gate.local_addr().unwrap().port().to_string();
        fs::write(self.inside.join("gate"), port).unwrap();
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let parts = Parts {
            build: None,
            manager: v4run::manager::ALL[0],
            inspector: None,
            process: child.id().cast_signed(),
            child: None,
            gate: Some(Gate::new(gate, near).unwrap()),
            files: FileGuard {
                runtime_roots: libraries().iter().map(|path| path.into()).collect(),
                ..FileGuard::default()
            },
            rules: launch.rules,
            known: KnownDigests::default(),
            recall: None,
            memory: Reader::default(),
            events: Sink::new(move |event| events.lock().unwrap().push(event)),
        };
        Supervisor::new(Listener::from(listener), parts).unwrap()
    }

    fn launch(&self, scene: &Path) -> Launch {
        let own = program().canonicalize().unwrap();
        let rule = |path: &Path, access| PathRule {
            path: path.into(),
            access,
            why: "the suite".to_owned(),
        };
        let mut rules = vec![
            rule(&own, Access::Execute),
            rule(&self.inside, Access::Write),
            rule(scene, Access::Read),
            rule(&canary::terminals(), Access::Device),
            rule(Path::new("/dev/null"), Access::Device),
            rule(Path::new("/etc/ld.so.cache"), Access::Read),
        ];
        rules.retain(|rule| Path::new(&rule.path).exists());
        rules.extend(libraries().iter().map(|path| rule(path, Access::Read)));
        let loader = mapped().into_iter().find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("ld-")
        });
        rules.extend(loader.iter().map(|path| rule(path, Access::Execute)));
        Launch {
            build: None,
            executable: own.into_os_string(),
            arguments: vec!["corpus".into(), "attack".into(), scene.into()],
            environment: Vec::new(),
            directory: self.inside.clone().into(),
            rules,
            child: None,
        }
    }
}

/// Files that are mapped into this process: the attempts' program needs the same.
fn mapped() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let fields = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5));
    let own = std::env::current_exe().unwrap();
    let paths = fields.map(PathBuf::from);
    paths
        .filter(|path| path.is_absolute() && *path != own && path.is_file())
        .collect()
}

/// The folders that the libraries lie in.
fn libraries() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = mapped()
        .iter()
        .filter_map(|file| Some(file.parent()?.to_path_buf()))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}
