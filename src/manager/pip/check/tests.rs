//! Whole command lines in pretended surroundings.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::*;
use crate::manager::pip::checked::CacheAction;
use crate::manager::{PrivateDirs, Sources};
use crate::model::{Credential, Secret};
use crate::profile::Policy;

struct Layout {
    _guard: tempfile::TempDir,
    root: PathBuf,
    environment: BTreeMap<OsString, OsString>,
    policy: Policy,
}

impl Layout {
    fn new() -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let layout = Self {
            _guard: guard,
            root,
            environment: BTreeMap::new(),
            policy: Policy::default(),
        };
        for directory in ["home", "project", "etc", "private"] {
            std::fs::create_dir_all(layout.root.join(directory)).unwrap();
        }
        layout.file(
            "pip/_internal/models/index.py",
            "\nPyPI = PackageIndex(\"https://index.invalid/\", x)\n",
        );
        layout
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.into(), value.into());
    }

    fn check(&self, line: &str) -> Result<Checked, Refusal> {
        let arguments: Vec<OsString> = line
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(OsString::from)
            .collect();
        let directory = |name: &str| self.root.join("private").join(name);
        let private = PrivateDirs {
            home: directory("home"),
            cache: directory("cache"),
            tmp: directory("tmp"),
            config: directory("config"),
        };
        let request = Request {
            word: "pip".as_ref(),
            arguments: &arguments,
            directory: self.root.join("project"),
            environment: &self.environment,
            home: Some(self.root.join("home")),
            policy: &self.policy,
            private: &private,
            proxy_port: 1,
            rehearsal: false,
            sources: &Sources::default(),
            token: Secret::new("t".to_owned()),
        };
        let target = Target {
            pip: self.root.join("pip"),
            site_config: Some(self.root.join("project/.venv/pip.conf")),
            ..Target::default()
        };
        Check::new(&request, &target, &self.root.join("etc"))?.run()
    }

    fn code(&self, line: &str) -> (Code, String) {
        let refusal = self.check(line).unwrap_err();
        let finding = refusal
            .findings
            .iter()
            .find(|one| one.code.severity() != Severity::Note)
            .unwrap();
        (finding.code, finding.subject.clone())
    }
}

fn urls(checked: &Checked) -> Vec<&str> {
    checked
        .indexes
        .iter()
        .map(|index| index.url.as_str())
        .collect()
}

#[test]
fn a_plain_install_is_what_it_says() {
    let checked = Layout::new()
        .check("-q install -U Flask[async]>=2 --target lib --no-cache-dir --timeout 3 -vv")
        .unwrap();
    assert_eq!(checked.command, Command::Install);
    assert_eq!(
        checked.arguments,
        [
            "--quiet",
            "--upgrade",
            "--verbose",
            "--verbose",
            "flask[async]>=2"
        ]
    );
    assert_eq!(urls(&checked), ["https://index.invalid/simple/"]);
    assert!(!checked.indexes[0].may_be_private);
    assert_eq!(checked.destination.target, Some(PathBuf::from("lib")));
    assert!(checked.destination.upgrade && !checked.hash_mode && !checked.upgrades_pip);
    assert!(checked.findings.is_empty());
}

#[test]
fn every_subcommand_is_told_apart() {
    let layout = Layout::new();
    layout.file("project/x.whl", "");
    for (line, command, arguments) in [
        ("", Command::Help, &[][..]),
        ("--help", Command::Help, &[]),
        ("help", Command::Help, &[]),
        ("help install", Command::Help, &["install"]),
        ("install --help flask", Command::Help, &["install"]),
        ("--version", Command::Version, &[]),
        ("-V install", Command::Version, &[]),
        (
            "list --format json --outdated",
            Command::List,
            &["--format=json", "--outdated"],
        ),
        ("show -f flask", Command::Show, &["--files", "flask"]),
        ("check", Command::Check, &[]),
        ("inspect --local", Command::Inspect, &["--local"]),
        (
            "hash -a sha512 x.whl",
            Command::Hash,
            &["--algorithm=sha512", "x.whl"],
        ),
        (
            "index versions flask --pre",
            Command::IndexVersions,
            &["--pre", "versions", "flask"],
        ),
        (
            "cache purge",
            Command::Cache(CacheAction::Purge),
            &["purge"],
        ),
        (
            "uninstall -y Flask",
            Command::Uninstall,
            &["--yes", "flask"],
        ),
        (
            "download -d out flask --no-deps",
            Command::Download,
            &["--no-deps", "flask"],
        ),
        ("freeze --all", Command::Freeze, &["--all"]),
    ] {
        let checked = layout
            .check(line)
            .unwrap_or_else(|refusal| panic!("{line}: {:?}", refusal.findings));
        assert_eq!(
            (checked.command, checked.arguments),
            (
                command,
                arguments.iter().map(|one| (*one).to_owned()).collect()
            ),
            "{line}"
        );
    }
}

#[test]
fn a_file_may_be_hashed_as_it_is() {
    let layout = Layout::new();
    layout.file("project/a-1-py3-none-any.whl", "abc");
    let checked = layout.check("hash a-1-py3-none-any.whl none.whl").unwrap();
    let [(path, integrity)] = checked.pinned.as_slice() else {
        panic!("{:?}", checked.pinned);
    };
    assert!(path.ends_with("project/a-1-py3-none-any.whl"));
    assert!(integrity.accepts(&crate::manager::read::sha256(b"abc").unwrap()));
}

#[test]
fn what_the_command_line_may_not_say_is_refused() {
    let layout = Layout::new();
    for (line, code) in [
        ("install -e .", Code::DependencyRefused),
        ("install .", Code::DependencyRefused),
        ("install git+https://h.invalid/x", Code::DependencyRefused),
        ("install --trusted-host h flask", Code::ConfigRefused),
        ("--trusted-host h install flask", Code::ConfigRefused),
        ("--python x install flask", Code::ConfigRefused),
        ("--python x --version", Code::ConfigRefused),
        ("install --no-binary :all: flask", Code::ConfigRefused),
        ("install --client-cert c flask", Code::ConfigRefused),
        ("install -i http://h.invalid/simple flask", Code::PlainHttp),
        (
            "install --requirements-from-script x.py",
            Code::ConfigRefused,
        ),
        ("install --group dev", Code::ConfigRefused),
        ("config set global.cert x", Code::CommandUnknown),
        ("lock flask", Code::CommandUnknown),
        ("instal flask", Code::Usage),
        ("install --nonsense", Code::Usage),
        ("install -r none.txt", Code::Usage),
        ("cache", Code::Usage),
        ("show -- -x", Code::Usage),
    ] {
        assert_eq!(layout.code(line).0, code, "{line}");
    }
    assert!(
        layout
            .check("install --no-binary :none: --only-binary :all: flask")
            .is_ok()
    );
}

#[test]
fn configuration_and_variables_count_as_for_pip() {
    let mut layout = Layout::new();
    layout.file("etc/pip.conf", "[global]\nindex-url = https://u:p@corp.invalid/simple\ntrusted-host = corp.invalid\ncert = ca.pem\n");
    layout.file(
        "home/.config/pip/pip.conf",
        "[install]\npre = yes\n[download]\nno-deps = yes\n",
    );
    layout.file("home/.netrc", "machine extra.invalid login n password m\n");
    layout.set("PIP_EXTRA_INDEX_URL", "https://extra.invalid/simple");
    layout.set("PIP_PROXY", "http://user:hidden@proxy.invalid:3128");
    let checked = layout.check("install flask").unwrap();
    assert_eq!(checked.arguments, ["--pre", "flask"]);
    assert_eq!(
        urls(&checked),
        [
            "https://corp.invalid/simple/",
            "https://extra.invalid/simple/"
        ]
    );
    assert!(
        checked
            .indexes
            .iter()
            .all(|index| index.may_be_private && index.credential.is_some())
    );
    assert_eq!(
        checked.indexes[1].credential,
        Some(Credential::Basic(Secret::new("bjpt".to_owned())))
    );
    assert_eq!(
        checked.upstream_proxy.as_ref().unwrap().expose(),
        "http://user:hidden@proxy.invalid:3128"
    );
    let notes: Vec<Code> = checked
        .findings
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert_eq!(
        notes,
        [Code::ConfigIgnored, Code::ConfigIgnored],
        "{:?}",
        checked.findings
    );
    assert!(!format!("{checked:?}").contains("hidden"));
    let isolated = layout.check("install --isolated flask").unwrap();
    assert_eq!(urls(&isolated), ["https://corp.invalid/simple/"]);
    assert_eq!(isolated.arguments, ["flask"]);
}

#[test]
fn the_projects_own_configuration_is_judged_as_such() {
    let mut layout = Layout::new();
    let place = layout
        .root
        .join("project/.venv/pip.conf")
        .display()
        .to_string();
    for (text, code) in [
        (
            "[global]\nindex-url = https://evil.invalid/\n",
            Code::RegistryNotAllowed,
        ),
        (
            "[global]\ntrusted-host = evil.invalid\n",
            Code::ConfigRefused,
        ),
        ("[install]\ntarget = /tmp\n", Code::ConfigRefused),
        ("[global]\ncert = evil.pem\n", Code::ConfigRefused),
        ("[global]\nfind-links = /\n", Code::ConfigRefused),
    ] {
        layout.file("project/.venv/pip.conf", text);
        assert_eq!(
            layout.code("install flask"),
            (code, format!("{place}:2")),
            "{text}"
        );
    }
    layout.file(
        "project/.venv/pip.conf",
        "[global]\nindex-url = https://mine.invalid/simple\n",
    );
    layout.set("PIP_EXTRA_INDEX_URL", "https://mine.invalid/simple");
    assert_eq!(
        urls(&layout.check("install flask").unwrap()),
        ["https://mine.invalid/simple/"]
    );
}

#[test]
fn digests_become_expectations() {
    let layout = Layout::new();
    let (one, two) = ("ab".repeat(32), "cd".repeat(32));
    layout.file("project/req/r.txt", &format!("a==1.0 ; python_version<'3' --hash=sha256:{one}\na==1.0 ; python_version>='3' --hash=sha256:{two}\n"));
    layout.file("project/req/uv.lock", &format!("version = 1\n[[package]]\nname = 'b'\nversion = '2'\nsource = {{ registry = 'x' }}\nwheels = [{{ url = 'https://f.invalid/b-2-py3-none-any.whl', hash = 'sha256:{one}' }}]\n"));
    let checked = layout.check("install -r req/r.txt").unwrap();
    assert!(checked.hash_mode);
    assert_eq!(checked.arguments, ["--requirement=req/r.txt"]);
    let versions: Vec<&str> = checked
        .expected
        .iter()
        .filter(|one| one.name == "a")
        .map(|one| one.version.as_str())
        .collect();
    assert_eq!(&versions[..3], ["1.0", "1", "1.0.0"]);
    let first = &checked.expected[0];
    assert_eq!(first.integrity.as_ref().unwrap().deciding().count(), 2);
    assert_eq!(
        (first.anchor, first.stated_in.as_str()),
        (crate::model::Anchor::Lockfile, "req/r.txt:1")
    );
    assert!(
        checked
            .expected
            .iter()
            .any(|one| one.name == "b" && one.file.is_some())
    );
    assert_eq!(checked.views.len(), 1);
    layout.file("project/poetry.lock", "nonsense");
    let (code, place) = layout.code("install -r req/r.txt");
    assert_eq!(code, Code::LockInvalid);
    assert!(place.ends_with("project/poetry.lock"));
    assert!(layout.check("list").is_ok());
}

#[test]
fn groups_and_pip_itself_are_seen() {
    let layout = Layout::new();
    layout.file(
        "project/pyproject.toml",
        "[dependency-groups]\ndev = ['pip>20', 'x @ git+https://h.invalid/x']\nok = ['Pip']\n",
    );
    let checked = layout.check("install --group ok").unwrap();
    assert_eq!(checked.arguments, ["pip"]);
    assert!(checked.upgrades_pip);
    assert_eq!(
        layout.code("install --group dev"),
        (Code::DependencyRefused, "pyproject.toml: dev".to_owned())
    );
    assert_eq!(
        layout.code("install --group other.toml:dev").0,
        Code::ConfigRefused
    );
    assert_eq!(layout.code("install --group none").0, Code::ConfigRefused);
}

#[test]
fn a_project_ends_where_version_control_ends() {
    let directory = tempfile::tempdir().unwrap();
    let top = directory.path().canonicalize().unwrap();
    std::fs::create_dir_all(top.join("home/work/.git")).unwrap();
    std::fs::create_dir_all(top.join("home/work/sub")).unwrap();
    let home = top.join("home");
    let of = |path: &str| find::root(&top.join(path), Some(&home));
    assert_eq!(of("home/work/sub"), Some(top.join("home/work")));
    assert_eq!(of("home"), None);
    // A mark that a checkout brings itself ends nothing.
    std::fs::create_dir_all(top.join("home/work/sub/.hg")).unwrap();
    assert_eq!(of("home/work/sub"), Some(top.join("home/work")));
    std::fs::create_dir(top.join("home/.git")).unwrap();
    std::fs::create_dir(top.join("home/other")).unwrap();
    assert_eq!(of("home/other"), Some(top.join("home/other")));
}
