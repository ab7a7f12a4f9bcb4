//! Wheels that are built from source before an install, by approval.
//!
//! A requirement that no wheel is offered of is fetched as a source archive by pip's own finder, with the
//! digest of the index or of the requirement, and is not built by pip. What its build requires is read from its
//! `pyproject.toml` and installed by another pip run, from wheels, to a directory of its own. Then one hook of
//! the backend runs in the sandbox of builds ([`launch`]), and the wheel that it leaves is what the command
//! installs. The project itself goes the same way where the caller says so. Nothing is approved here.
//!
//! PEP 517 (hooks), PEP 518 (requirements), PEP 660 (in place).

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::checked::{Command, Destination};
use super::invocation;
use super::prepare::{Plan, plan};
use super::project;
use crate::manager::python::inspect::purl;
use crate::manager::python::requirement::{self, Kind};
use crate::manager::toolchain;
use crate::manager::{Built, Maker, Planned, Prepared, Refusal, Request, Step, Wanted};
use crate::model::python::{normalize_name, normalize_version, wheel_name};
use crate::model::{Algorithm, Code, Digest, Finding, Integrity, Script};
use crate::profile::build::Build;
use crate::verify::hash::sha256_of;

mod launch;
mod source;

use source::Backend;

/// Hook for a wheel, and for one that leads to the directory.
const WHEEL: &str = "build_wheel";
const EDITABLE: &str = "build_editable";

/// Where a build puts its wheel, in its private directory.
const DIST: &str = "dist";

/// What of a project its own build leaves alone.
const KEPT: &[&str] = &[
    ".git",
    "v4run.toml",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements.txt",
    "pylock.toml",
];

/// Builds source archives of the Python index.
#[derive(Debug)]
pub(super) struct Sdist;

impl Maker for Sdist {
    fn fetch(&self, request: &Request<'_>, into: &Path) -> Result<Option<Prepared>, Refusal> {
        let mut plan = asked(request)?;
        let asked = plan.checked.requirements.iter();
        let asked = asked.filter(|one| !one.constraint);
        let hex = |digest: &Digest| (digest.algorithm() == Algorithm::Sha256).then(|| digest.hex());
        let approved = |name: &str| -> Vec<String> {
            let builds = request.policy.builds.iter();
            let named = builds.filter(|build| is_of(&build.purl, name));
            named.filter_map(|build| hex(&build.digest)).collect()
        };
        let wanted: Vec<serde_json::Value> = asked
            .map(|one| {
                serde_json::json!({
                    "name": one.name,
                    "specifier": one.specifier,
                    "marker": one.marker,
                    "hashes": one.hashes.iter().filter_map(hex).collect::<Vec<_>>(),
                    "approved": approved(&one.name),
                })
            })
            .collect();
        if wanted.is_empty() || !plan.checked.command.resolves() {
            return Ok(None);
        }
        plan.fetches = Some(serde_json::json!({ "wanted": wanted, "to": into }));
        let checked = &mut plan.checked;
        checked.command = Command::Download;
        checked.arguments = vec!["--no-deps".to_owned()];
        checked.hash_mode = false;
        checked.upgrades_pip = false;
        checked.destination = Destination {
            download: Some(into.to_path_buf()),
            ..Destination::default()
        };
        plan.write().map(Some)
    }

    fn wanted(&self, request: &Request<'_>, into: &Path) -> Result<Vec<Wanted>, Finding> {
        // It was found right before, and is refused again where it is not.
        let plan = asked(request).map_err(|refusal| first(refusal.findings))?;
        let toolchain = toolchain::proposal(&plan.target.interpreter);
        let mut wanted = Vec::new();
        for fetched in source::fetched(into)? {
            let named = purl(&fetched.name, &fetched.version);
            let archive = into.join(&fetched.file);
            let unread = |error: io::Error| {
                let message =
                    format!("`{named}` is not built: its archive cannot be read: {error}");
                Finding::new(Code::BuildUnapproved, &fetched.name, message)
            };
            let file = File::open(&archive).map_err(unread)?;
            let digest = sha256_of(&file).map_err(unread)?;
            let folder = archive.with_extension("");
            let folder = source::unpack(&file, &folder).map_err(unread)?;
            wanted.push(Wanted {
                name: fetched.name,
                version: fetched.version,
                path: folder
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                integrity: Some(Integrity::of(digest)),
                ..described(named, folder, WHEEL, &toolchain)?
            });
        }
        for (folder, editable) in &plan.checked.own {
            let stated = project::stated(folder);
            let name = stated.0.as_deref().and_then(normalize_name);
            let place = folder.file_name().and_then(|name| name.to_str());
            let name = name.or_else(|| normalize_name(place?));
            let name = name.unwrap_or_else(|| "project".to_owned());
            let version = stated.1.unwrap_or_else(|| "0".to_owned());
            let hook = if *editable { EDITABLE } else { WHEEL };
            let mut others: Vec<PathBuf> = KEPT.iter().map(|name| folder.join(name)).collect();
            others.push(plan.target.prefix.clone());
            let named = purl(&name, &version);
            wanted.push(Wanted {
                others,
                name,
                version,
                own: true,
                ..described(named, folder.clone(), hook, &toolchain)?
            });
        }
        Ok(wanted)
    }

    fn require(
        &self,
        request: &Request<'_>,
        wanted: &Wanted,
        build: &Build,
        into: &Path,
    ) -> Result<Option<Prepared>, Refusal> {
        let stated = match build.requires.as_slice() {
            [] => Backend::of(wanted)?.requires,
            stated => stated.to_vec(),
        };
        for text in &stated {
            let text = text.split(" --hash=").next().unwrap_or_default();
            if !matches!(requirement::parse(text, |_| false), Ok(Kind::Named(_))) {
                let message = format!("its build requires what no index has: {text}");
                return Err(Finding::new(Code::BuildUnapproved, &wanted.purl, message).into());
            }
        }
        if stated.is_empty() {
            return Ok(None);
        }
        let file = request.private.config.join("build-requirements.txt");
        let text = format!("{}\n", stated.join("\n"));
        std::fs::write(&file, text).map_err(|error| {
            Finding::new(
                Code::Internal,
                file.display().to_string(),
                error.to_string(),
            )
        })?;
        let main = asked(request)?;
        let mut words = vec![
            "install".to_owned(),
            format!("--target={}", into.display()),
            format!("--requirement={}", file.display()),
        ];
        // The grammar asks for an index; which one counts is what the command itself came to.
        let first = main.checked.indexes.first();
        words.extend(first.map(|index| format!("--index-url={}", index.url)));
        let words: Vec<_> = words.into_iter().map(Into::into).collect();
        let mut sub = plan(request, &words)?;
        let (checked, main) = (&mut sub.checked, main.checked);
        checked.indexes = main.indexes;
        checked.find_links = main.find_links;
        checked.pinned.extend(main.pinned);
        checked.extra_anchors = main.extra_anchors;
        checked.upstream_proxy = main.upstream_proxy;
        checked.no_proxy = main.no_proxy;
        sub.write().map(Some)
    }

    fn plan(
        &self,
        request: &Request<'_>,
        step: &Step<'_>,
        requires: &Path,
    ) -> Result<Planned, Finding> {
        let plan = asked(request).map_err(|refusal| first(refusal.findings))?;
        launch::plan(request, &plan.target, step, requires)
    }

    fn made(&self, step: &Step<'_>, to: &Path) -> Result<Built, Finding> {
        let wanted = step.wanted;
        let failed = |why: &str| {
            let message = format!("`{}` was built and is not installed: {why}", wanted.purl);
            Finding::new(Code::BuildFailed, &wanted.path, message)
        };
        let entries = std::fs::read_dir(step.private.tmp.join(DIST));
        let entries: Vec<_> = entries.into_iter().flatten().flatten().take(2).collect();
        let [wheel] = entries.as_slice() else {
            return Err(failed("the build did not leave one wheel"));
        };
        let name = wheel.file_name().into_string().unwrap_or_default();
        let parsed = wheel_name(&name).ok_or_else(|| failed("what it left is no wheel"))?;
        let version = normalize_version(&parsed.version);
        let asked = parsed.name == wanted.name && version == normalize_version(&wanted.version);
        if !wanted.own && !asked {
            return Err(failed(&format!(
                "it left the wheel of something else, {name}"
            )));
        }
        let moved = to.join(&name);
        let copied = File::options()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(wheel.path())
            .and_then(|mut from| {
                if !from.metadata()?.is_file() {
                    return Err(io::Error::other("it is no file"));
                }
                io::copy(&mut from, &mut File::create_new(&moved)?)?;
                let file = File::open(&moved)?;
                Ok((sha256_of(&file)?, file.metadata()?.len()))
            });
        let (digest, size) = copied.map_err(|error| failed(&error.to_string()))?;
        Ok(Built {
            name: parsed.name,
            version: version.unwrap_or(parsed.version),
            file: moved,
            digest,
            size,
            folder: wanted.own.then(|| wanted.folder.clone()),
        })
    }
}

/// The command itself, read and checked.
fn asked<'a>(request: &'a Request<'a>) -> Result<Plan<'a>, Refusal> {
    let arguments = invocation::arguments(request.word, request.arguments)?;
    plan(request, arguments)
}

fn first(findings: Vec<Finding>) -> Finding {
    let mut findings = findings.into_iter();
    let unknown = || Finding::new(Code::Internal, "build", "refused without a reason");
    findings.next().unwrap_or_else(unknown)
}

/// Whether a package URL is one of that project.
fn is_of(purl: &str, name: &str) -> bool {
    let stated = purl.strip_prefix("pkg:pypi/");
    let stated = stated.and_then(|rest| rest.split(['@', '?', '#']).next());
    stated.and_then(normalize_name).as_deref() == Some(name)
}

/// What a folder of sources wants.
fn described(
    purl: String,
    folder: PathBuf,
    hook: &str,
    toolchain: &[String],
) -> Result<Wanted, Finding> {
    let mut wanted = Wanted {
        purl,
        folder,
        toolchain: toolchain.to_vec(),
        ..Wanted::default()
    };
    let backend = Backend::of(&wanted)?;
    wanted.scripts = vec![Script {
        name: hook.to_owned(),
        command: backend.shown(),
    }];
    wanted.text = source::script(&wanted.folder).map(|text| ("setup.py".to_owned(), text));
    Ok(wanted)
}
