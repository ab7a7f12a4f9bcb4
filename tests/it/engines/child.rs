//! A child image: what its build has, and what its records must say.
//!
//! The steps are as they were before anybody knew of v4run; the image takes the layer with `COPY --from`
//! and puts the shims first. What they install comes from a loopback registry of the host. The
//! hostile steps are those that leave a mark without v4run: a lockfile entry without a digest whose
//! package has an install script, and a requirement that is built from a folder.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use super::engine::place;
use crate::project::lockfile;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::Record;

/// The steps of an image that npm fills.
pub(super) const NPM: &str = "npm ci && npm run build";
/// The step of an image that pip fills.
pub(super) const PIP: &str = "pip install -r requirements.txt";

/// PATH of the child's own image.
const BARE: &str = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What bare npm wants here: a cache that it may write, and the address that the registry listens on.
pub(super) const CONTROL: &str = "npm_config_cache=/tmp/npm npm_config_fetch_retries=0 \
                                  NODE_OPTIONS=--dns-result-order=ipv4first";

/// What code leaves that must not run.
const MARK: &str = "/tmp/mark";

/// A registry and the folder that images are built from.
pub(super) struct Child {
    pub(super) registry: Registry,
    root: TempDir,
}

impl Child {
    pub(super) fn new() -> Self {
        let registry = Registry::start();
        let script = format!("echo ran >> {MARK}");
        registry.publish(&Package::new("thing", "1.0.0").script("postinstall", &script));
        Wheel::new("oak", "1.0").publish(&registry);
        let root = tempfile::Builder::new()
            .prefix("child-")
            .tempdir_in(place(""))
            .unwrap();
        let child = Self { registry, root };
        let manifest = json!({
            "name": "app", "version": "1.0.0", "dependencies": { "thing": "1.0.0" },
            "scripts": { "build": "node build.js" },
        });
        let mut lock = lockfile::lockfile(&child.registry, &manifest);
        child.file("app/package.json", &manifest.to_string());
        child.file("app/package-lock.json", &lock.to_string());
        child.file("app/requirements.txt", "oak==1.0\n");
        let build = "require('fs').writeFileSync('built', require('thing'))\n";
        child.file("app/build.js", build);
        child.file("evil/build.js", build);
        child.file("evil/package.json", &manifest.to_string());
        let entry = &mut lock["packages"]["node_modules/thing"];
        entry.as_object_mut().unwrap().remove("integrity");
        child.file("evil/package-lock.json", &lock.to_string());
        child.file("evil/requirements.txt", "./source\n");
        let setup = format!(
            "open('{MARK}', 'a').write('ran')\nfrom setuptools import setup\nsetup(name='x')\n"
        );
        child.file("evil/source/setup.py", &setup);
        child.file("ca.pem", child.registry.authority().pem());
        child
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.context().join("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The folder that images are built from.
    pub(super) fn context(&self) -> PathBuf {
        self.root.path().join("context")
    }

    /// A new folder beside it that everybody may write.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.root.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        path
    }

    /// Everything before the steps. `base` has the package managers, `layer` is v4run's image.
    pub(super) fn prelude(&self, base: &str, layer: &str, user: u32) -> String {
        let base_url = self.registry.base();
        let index = self.registry.python_index();
        // A user whom no file names has / for a home.
        let named = match user {
            1000 => {
                "echo 'app:x:1000:1000::/home/app:/bin/sh' >>/etc/passwd && install -d -o 1000 /home/app && "
            }
            _ => "",
        };
        let cache = match user {
            4242 => "ENV XDG_CACHE_HOME=/work/cache\n",
            _ => "",
        };
        format!(
            "FROM {base}\nCOPY --from={layer} / /\n\
             ENV PATH=/usr/lib/v4run/shims:{BARE} V4RUN_RECORD=/out \\\n \
             npm_config_registry={base_url} npm_config_cafile=/work/ca.pem npm_config_audit=false \\\n \
             npm_config_fund=false npm_config_update_notifier=false \\\n \
             PIP_INDEX_URL={index} PIP_CERT=/work/ca.pem PIP_DISABLE_PIP_VERSION_CHECK=1\n\
             {cache}COPY work /work\n\
             RUN {named}python3 -m venv /opt/venv && mkdir /out && \
             chown -R {user}:{user} /opt/venv /work /out && v4run shims check\n\
             WORKDIR /work/app\nUSER {user}\n"
        )
    }

    /// The steps as they always were. Nothing downloaded has left a mark.
    pub(super) fn steps(prelude: &str) -> String {
        format!("FROM {prelude}\nRUN {NPM}\nRUN {PIP}\nRUN test -e built && test ! -e {MARK}\n")
    }

    /// One hostile step, as it always was.
    pub(super) fn hostile(image: &str, step: &str) -> String {
        format!("FROM {image}\nWORKDIR /work/evil\nRUN {step}\n")
    }

    /// Both hostile steps, in an image that does not mind: for the records.
    pub(super) fn minded(image: &str) -> String {
        format!(
            "FROM {image}\nWORKDIR /work/evil\nRUN npm ci || test $? = 126\n\
             RUN {PIP} || test $? = 126\nRUN test ! -e {MARK}\n"
        )
    }

    /// The hostile steps where v4run is not first: each must leave its mark.
    pub(super) fn control(image: &str) -> String {
        format!(
            "FROM {image}\nENV PATH={BARE} {CONTROL}\nWORKDIR /work/evil\nRUN {NPM}\n\
             RUN test -e {MARK} && rm {MARK}\nRUN {PIP} || true\nRUN test -e {MARK}\n"
        )
    }
}

/// The records of a folder must be those of the steps, good and hostile, and no other.
pub(super) fn recorded(folder: &Path) -> Result<(), String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.unwrap().path();
        let record =
            Record::read(&path).ok_or_else(|| format!("{} is not sealed", path.display()))?;
        found.push(told(&record));
    }
    found.sort();
    let expected = [
        "npm ci: 0, installed",
        "npm ci: 126, integrity-missing",
        "npm run build: passthrough",
        "pip install -r requirements.txt: 0, installed",
        "pip install -r requirements.txt: 126, dependency-refused",
    ];
    match found == expected {
        true => Ok(()),
        false => Err(format!("records: {found:#?}")),
    }
}

/// A record in a line.
fn told(record: &Record) -> String {
    let summary = &record.summary;
    let words = summary["arguments"].as_array().unwrap().iter();
    let words: Vec<&str> = words.filter_map(|word| word.as_str()).collect();
    let command = format!(
        "{} {}",
        summary["manager"].as_str().unwrap_or_default(),
        words.join(" ")
    );
    let notes = summary["notes"].as_array().unwrap();
    if notes.iter().any(|note| note["code"] == "passthrough") {
        return format!("{command}: passthrough");
    }
    let what = match record.violations().first() {
        Some(violation) => violation["code"].as_str().unwrap_or_default().to_owned(),
        // An environment has its own pip beside what was asked for.
        None if summary["components"].as_u64() > Some(0) => "installed".to_owned(),
        None => "nothing installed".to_owned(),
    };
    format!("{command}: {}, {what}", summary["exit_code"])
}
