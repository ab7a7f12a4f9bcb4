//! A folder of shims: where it may lie, how it is made and removed, and what its marker says.
//!
//! Who can write the folder decides what `npm` is, so it must be the caller's or root's, closed to
//! others on the whole way down, and in no project. The marker names the mode, the program and the
//! links; it lets every search for a real manager pass the folder over. Only links to v4run are ever
//! replaced or removed.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, symlink};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use super::{is_v4run, names, refused};
use crate::manager;
use crate::model::{Code, Finding};
use crate::session::places;

/// What shims do with commands that run code by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They go to the bare manager, said and recorded.
    Gate,
    /// They are refused.
    Strict,
}

impl Mode {
    /// As in the marker file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Strict => "strict",
        }
    }
}

/// What the marker file says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// See [`Mode`].
    pub mode: Mode,
    /// What the links lead to.
    pub program: PathBuf,
    /// Their names.
    pub names: Vec<String>,
}

/// A marker is a few lines long.
const LIMIT: u64 = 64 * 1024;

impl Marker {
    /// Reads a folder's marker.
    pub fn read(folder: &Path) -> io::Result<Self> {
        use std::io::Read as _;
        let mut text = String::new();
        let file = std::fs::File::open(folder.join(manager::MARKER))?;
        file.take(LIMIT).read_to_string(&mut text)?;
        toml::from_str(&text).map_err(io::Error::other)
    }
}

/// The mode of a shim that was started by that path. Fails closed.
pub(super) fn mode_of(executed: &Path) -> Mode {
    let folder = match executed.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Mode::Strict,
    };
    let Ok(folder) = folder.canonicalize() else {
        return Mode::Strict;
    };
    if exposed(&folder, true).is_some() {
        return Mode::Strict;
    }
    let own = executed.file_name().and_then(|name| name.to_str());
    match Marker::read(&folder) {
        Ok(marker) if own.is_some_and(|own| marker.names.iter().any(|name| name == own)) => {
            marker.mode
        }
        Ok(_) | Err(_) => Mode::Strict,
    }
}

/// Why somebody else can put other programs there: owner and mode of each directory down to it.
/// With `made` it is the folder itself, else the place where it will be made.
pub(super) fn exposed(folder: &Path, made: bool) -> Option<String> {
    let own = nix::unistd::geteuid().as_raw();
    for (depth, place) in folder.ancestors().enumerate() {
        let Ok(data) = place.metadata() else {
            return Some(format!("`{}` cannot be looked at", place.display()));
        };
        if data.uid() != 0 && data.uid() != own {
            return Some(format!("`{}` belongs to another user", place.display()));
        }
        // In a sticky directory nobody can move what is another's.
        let sticky = (depth > 0 || !made) && data.mode() & 0o1000 != 0;
        if manager::others_write(&data) && !sticky {
            return Some(format!(
                "`{}` can be written by other users",
                place.display()
            ));
        }
    }
    None
}

/// What an installation did.
#[derive(Debug)]
pub struct Installed {
    /// The folder, links resolved.
    pub folder: PathBuf,
    /// Names of the links.
    pub names: Vec<&'static str>,
}

/// Makes the links. `image` is where v4run will lie in an image that is being made: the links lead
/// there, whatever lies there on this machine.
pub fn install(folder: &Path, mode: Mode, image: Option<&Path>) -> Result<Installed, Finding> {
    let program = match image {
        Some(program) => in_image(program)?,
        None => in_place()?,
    };
    let folder = usable(folder)?;
    let names = names(mode);
    for name in &names {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() && !is_shim(&folder, &path) {
            let message = "is there already and is no shim of v4run";
            return Err(refused(
                &path,
                message,
                "move it away, or name another folder",
            ));
        }
    }
    // The links of another mode, or of another version, go first.
    sweep(&folder)?;
    // The marker comes first: a link without one would be taken for a strict shim.
    let marker = Marker {
        mode,
        program: program.clone(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    };
    let text = toml::to_string(&marker).map_err(|error| {
        refused(
            &program,
            &format!("cannot be written down: {error}"),
            "name it by an ordinary path",
        )
    })?;
    let failed = |what: &Path, error: &io::Error| {
        let message = format!("cannot be made: {error}");
        let hint = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                "this file system has no symbolic links: name a folder on another one"
            }
            _ => "name a folder that you may write, on a disk that is not read-only",
        };
        refused(what, &message, hint)
    };
    write(&folder, &text).map_err(|error| failed(&folder.join(manager::MARKER), &error))?;
    for name in &names {
        let path = folder.join(name);
        if let Err(error) = symlink(&program, &path) {
            // Half of it would cover half of the managers.
            let _ = sweep(&folder);
            return Err(failed(&path, &error));
        }
    }
    Ok(Installed { folder, names })
}

/// Where v4run will lie in an image.
fn in_image(program: &Path) -> Result<PathBuf, Finding> {
    let plain = program
        .components()
        .all(|part| !matches!(part, Component::ParentDir));
    match program.is_absolute() && plain && program.file_name().is_some() {
        true => Ok(program.to_path_buf()),
        false => {
            let message = "is no place in an image";
            Err(refused(
                program,
                message,
                "name an absolute path, such as /usr/bin/v4run",
            ))
        }
    }
}

/// This program, where nobody else can replace it.
fn in_place() -> Result<PathBuf, Finding> {
    let program = own_program()?;
    let beside = program.parent().unwrap_or(Path::new("/"));
    if let Some(why) = exposed(beside, true) {
        let message = format!("v4run itself lies where it can be replaced: {why}");
        let hint = "install v4run where only you or root can write, such as /usr/bin";
        return Err(refused(&program, &message, hint));
    }
    Ok(program)
}

fn write(folder: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let mut file = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(folder.join(manager::MARKER))?;
    Ok(())
}

/// Where this program lies: the links lead there.
fn own_program() -> Result<PathBuf, Finding> {
    let own = std::fs::read_link("/proc/self/exe")
        .ok()
        .filter(|path| manager::is_self(path));
    own.ok_or_else(|| {
        let message = "v4run cannot tell where it lies";
        refused(
            Path::new("/proc/self/exe"),
            message,
            "run it by its own path, with /proc mounted",
        )
    })
}

/// Makes a folder when it is missing and judges it.
fn usable(folder: &Path) -> Result<PathBuf, Finding> {
    let shown = folder;
    let folder = std::path::absolute(folder).map_err(|error| {
        refused(
            shown,
            &format!("is no path: {error}"),
            "name an absolute path",
        )
    })?;
    // What is there already is judged before anything is made below it.
    let there = folder.ancestors().find(|path| path.exists());
    let there = there.unwrap_or(Path::new("/"));
    judge(there, there == folder)?;
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&folder)
        .map_err(|error| {
            let hint = "name a folder that you may write, on a disk that is not read-only";
            refused(&folder, &format!("cannot be made: {error}"), hint)
        })?;
    judge(&folder, true)
}

/// Refuses a folder that others can write, or that lies in a project.
fn judge(folder: &Path, made: bool) -> Result<PathBuf, Finding> {
    let real = folder
        .canonicalize()
        .map_err(|error| refused(folder, &format!("cannot be used: {error}"), "name a folder"))?;
    if !real.is_dir() {
        return Err(refused(&real, "is no folder", "name a folder"));
    }
    let exposed = exposed(&real, made);
    if let Some(why) = exposed {
        let hint = "name a folder that only you or root can write";
        return Err(refused(
            &real,
            &format!("is no safe place for shims: {why}"),
            hint,
        ));
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let home = home.filter(|home| home.is_absolute());
    if let Some(project) = manager::project_above(&real, home.as_deref()) {
        let message = format!(
            "lies inside the project `{}`, whose changes could replace them",
            project.display()
        );
        return Err(refused(
            &real,
            &message,
            "name a folder outside of every project",
        ));
    }
    Ok(real)
}

/// Whether an entry of a folder is a link that v4run made.
fn is_shim(folder: &Path, path: &Path) -> bool {
    let Ok(target) = std::fs::read_link(path) else {
        return false;
    };
    // The program may be gone: then the marker says what the links led to.
    let gone = !path.exists() && Marker::read(folder).is_ok_and(|marker| marker.program == target);
    gone || is_v4run(path)
}

/// Removes every link to v4run that has a shim's name; gives what is left of those names.
fn sweep(folder: &Path) -> Result<Vec<PathBuf>, Finding> {
    let mut left = Vec::new();
    for name in names(Mode::Strict) {
        let path = folder.join(name);
        if path.symlink_metadata().is_err() {
            continue;
        }
        if !is_shim(folder, &path) {
            left.push(path);
            continue;
        }
        std::fs::remove_file(&path).map_err(|error| {
            let hint =
                "run it as the user that installed the shims, on a disk that is not read-only";
            refused(&path, &format!("cannot be removed: {error}"), hint)
        })?;
    }
    Ok(left)
}

/// Removes the links and the marker. What has a shim's name and is none stays, and is told.
pub fn remove(folder: &Path) -> Result<Vec<PathBuf>, Finding> {
    let marker = folder.join(manager::MARKER);
    if !marker.exists() {
        let message = "is no folder of shims: the marker is missing";
        return Err(refused(
            folder,
            message,
            "name the folder that `v4run shims install` made",
        ));
    }
    let left = sweep(folder)?;
    std::fs::remove_file(&marker).map_err(|error| {
        refused(
            &marker,
            &format!("cannot be removed: {error}"),
            "remove it by hand",
        )
    })?;
    Ok(left)
}

/// The record folder that shims use is not known without a home: told by `check`.
pub(super) fn records_are_known() -> bool {
    places::records().is_some() || std::env::var_os("V4RUN_RECORD").is_some()
}

/// A finding about a folder without shims.
pub(super) fn missing(folder: &Path) -> Finding {
    let message = "has no shims of v4run";
    Finding::new(Code::Usage, folder.display().to_string(), message)
        .with_hint("`v4run shims install DIR`, then put DIR first in PATH")
}
