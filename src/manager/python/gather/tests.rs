//! Requirement files on disk: what pip is shown, what is refused and where.

use url::Url;

use super::*;
use crate::manager::pip::PROFILE;
use crate::manager::python::lock::pylock;
use crate::manager::python::netrc;
use crate::profile::NamedArtifact;

const WHEEL: &str = "a_b-1.0-py3-none-any.whl";

fn hex(byte: &str) -> String {
    byte.repeat(32)
}

struct Outcome {
    root: PathBuf,
    words: Vec<Option<String>>,
    found: Gathered,
}

impl Outcome {
    fn view(&self, file: &str) -> &str {
        let path = self.root.join(file);
        let (_, text) = self
            .found
            .views
            .iter()
            .find(|(known, _)| *known == path)
            .unwrap();
        std::str::from_utf8(text).unwrap()
    }

    fn codes(&self) -> Vec<(Code, String)> {
        self.found
            .findings
            .iter()
            .map(|one| (one.code, one.subject.clone()))
            .collect()
    }
}

/// Installs `-r r.txt` and some words in a project with these files.
fn gather(files: &[(&str, &str)], words: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap().join("project");
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    std::fs::create_dir_all(&root).unwrap();
    let digest = Digest::from_hex(crate::model::Algorithm::Sha256, &hex("cd")).unwrap();
    let policy = Policy {
        artifacts: vec![NamedArtifact {
            file: WHEEL.to_owned(),
            url: Some(Url::parse("https://files.invalid/a.whl").unwrap()),
            integrity: Integrity::of(digest),
            stated_in: "v4run.toml:2".to_owned(),
        }],
        ..Policy::default()
    };
    let standard = Url::parse("https://index.invalid/simple/").unwrap();
    let logins = netrc::parse("").unwrap();
    let mut allowed = Allowed::new(&policy, Some(standard), logins);
    allowed.add("https://mine.invalid/simple/", "PIP_EXTRA_INDEX_URL");
    let profile = Profile::parse(PROFILE).unwrap();
    let environment =
        [("TOKEN", "t0k"), ("DIR", "sub")].map(|(name, value)| (name.into(), value.into()));
    let grounds = Grounds {
        directory: &root,
        project: &root,
        environment: &environment.into_iter().collect(),
        profile: &profile,
        policy: &policy,
        allowed: &allowed,
        config: Path::new("/run/config"),
        sources: None,
    };
    let scope = Scope {
        indexes: vec![allowed.standard().unwrap()],
        none: false,
    };
    let mut gatherer = Gatherer::new(&grounds, scope, Links::default());
    let mut given: Vec<Option<String>> = words
        .iter()
        .map(|word| gatherer.word(word, "command line"))
        .collect();
    for (file, _) in files
        .iter()
        .filter(|(file, _)| *file == "r.txt" || pylock::is_name(file))
    {
        given.push(gatherer.file(file, "command line", false));
    }
    let found = gatherer.found;
    Outcome {
        root: root.clone(),
        words: given,
        found,
    }
}

#[test]
fn pip_is_shown_what_was_understood_under_the_same_numbers() {
    let digest = hex("ab");
    let text = format!(
        "# top\n\nFlask >=2 # web\n--pre --prefer-binary --only-binary :none:\nA.B==1.0 \\\n  --hash=sha256:{digest} \\\n  --hash=md5:00 ; x\n-r ${{DIR}}/n.txt\n-c c.txt\n"
    );
    let text = text.replace(" ; x", "");
    let outcome = gather(
        &[
            ("r.txt", &text),
            ("sub/n.txt", "-r ../m.txt\nb\n"),
            ("m.txt", "c"),
            ("c.txt", "flask<4\n"),
        ],
        &[],
    );
    assert!(
        outcome.found.findings.is_empty(),
        "{:?}",
        outcome.found.findings
    );
    assert_eq!(
        outcome.view("r.txt"),
        format!(
            "\n\nflask>=2\n--pre --prefer-binary\na-b==1.0 --hash=sha256:{digest}\n\n\n--requirement sub/n.txt\n--constraint c.txt\n"
        )
    );
    assert_eq!(outcome.view("sub/n.txt"), "--requirement ../m.txt\nb\n");
    let places: Vec<&str> = outcome
        .found
        .requirements
        .iter()
        .map(|one| one.place.as_str())
        .collect();
    assert_eq!(
        places,
        [
            "r.txt:3",
            "r.txt:5",
            "sub/../m.txt:1",
            "sub/n.txt:2",
            "c.txt:1"
        ]
    );
    assert!(outcome.found.requirements[4].constraint);
    assert_eq!(outcome.found.events.len(), 4);
}

#[test]
fn each_refusal_names_file_and_line() {
    for (text, code) in [
        ("--trusted-host h", Code::ConfigRefused),
        (
            "--index-url https://evil.invalid/simple",
            Code::RegistryNotAllowed,
        ),
        (
            "--extra-index-url https://evil.invalid/${TOKEN}/",
            Code::RegistryNotAllowed,
        ),
        ("-i http://index.invalid/simple", Code::PlainHttp),
        ("--extra-index-url file:///x", Code::ConfigRefused),
        ("-f https://evil.invalid/page", Code::ConfigRefused),
        ("-f /", Code::ConfigRefused),
        ("-e .", Code::DependencyRefused),
        ("-e git+https://h.invalid/x#egg=x", Code::DependencyRefused),
        ("git+https://h.invalid/x", Code::DependencyRefused),
        ("x @ hg+http://h.invalid/x", Code::DependencyRefused),
        ("./dir", Code::DependencyRefused),
        (".", Code::DependencyRefused),
        ("./x-1.tar.gz", Code::DependencyRefused),
        ("x-1.zip", Code::DependencyRefused),
        (
            "https://h.invalid/x-1-py3-none-any.whl",
            Code::DependencyRefused,
        ),
        ("x @ https://h.invalid/x-1.tar.gz", Code::DependencyRefused),
        ("x @ http://h.invalid/x-1-py3-none-any.whl", Code::PlainHttp),
        ("x @ ftp://h.invalid/x-1-py3-none-any.whl", Code::PlainHttp),
        ("a_b-1.0-py3-none-any.whl; python_version>'3'", Code::Usage),
        ("--no-binary :all:", Code::ConfigRefused),
        ("x --config-settings=a=b", Code::ConfigRefused),
        ("x --global-option=build", Code::ConfigRefused),
        (
            "x==1 --hash=md5:00112233445566778899aabbccddeeff",
            Code::IntegrityWeak,
        ),
        ("x==1 --hash=sha256:00", Code::IntegrityWeak),
        ("x>=1 --hash=sha256:HEX", Code::IntegrityMissing),
        ("x==${TOKEN}", Code::ConfigRefused),
        ("-r https://h.invalid/r.txt", Code::ConfigRefused),
        ("-r file:///r.txt", Code::ConfigRefused),
        ("-r r.txt", Code::ConfigRefused),
        ("-r none.txt", Code::Usage),
        ("--nonsense", Code::ConfigRefused),
        ("x=1", Code::Usage),
        ("--no-require-hashes", Code::ConfigRefused),
        ("--use-deprecated=legacy-resolver", Code::ConfigRefused),
    ] {
        let text = format!("# one\n{}\n", text.replace("HEX", &hex("ab")));
        let outcome = gather(&[("r.txt", &text), ("dir/setup.py", "")], &[]);
        assert_eq!(outcome.codes(), [(code, "r.txt:2".to_owned())], "{text}");
        assert!(!outcome.found.findings[0].message.contains("t0k"), "{text}");
        assert!(
            !String::from_utf8_lossy(
                &outcome
                    .found
                    .views
                    .first()
                    .map(|v| v.1.clone())
                    .unwrap_or_default()
            )
            .contains("evil")
        );
    }
}

#[test]
fn files_choose_among_the_allowed_indexes() {
    let bases = |outcome: &Outcome| -> Vec<String> {
        assert!(
            outcome.found.findings.is_empty(),
            "{:?}",
            outcome.found.findings
        );
        outcome
            .found
            .scope
            .indexes
            .iter()
            .map(|index| index.url.to_string())
            .collect()
    };
    let with = |text: &str| gather(&[("r.txt", text)], &[]);
    let outcome = with("--extra-index-url https://u:${TOKEN}@mine.invalid/simple\n");
    assert_eq!(
        bases(&outcome),
        [
            "https://index.invalid/simple/",
            "https://mine.invalid/simple/"
        ]
    );
    assert!(outcome.found.scope.indexes[1].credential.is_some());
    assert_eq!(outcome.view("r.txt"), "\n");
    assert_eq!(
        bases(&with("-i https://mine.invalid/simple\nx\n")),
        ["https://mine.invalid/simple/"]
    );
    assert_eq!(
        bases(&with("-i https://mine.invalid/simple --no-index\n")),
        Vec::<String>::new()
    );
}

#[test]
fn a_local_wheel_needs_a_digest() {
    let digest = hex("ab");
    let line = format!("./w/c-1-py3-none-any.whl --hash=sha256:{digest}\nw/d-1-py3-none-any.whl\n");
    let files = [
        ("r.txt", line.as_str()),
        ("w/c-1-py3-none-any.whl", "x"),
        ("w/d-1-py3-none-any.whl", "x"),
        (WHEEL, "x"),
    ];
    let outcome = gather(&files, &[WHEEL]);
    assert_eq!(
        outcome.codes(),
        [(Code::FileUnverified, "r.txt:2".to_owned())]
    );
    assert_eq!(outcome.words[0].as_deref(), Some(WHEEL));
    let pinned: Vec<_> = outcome
        .found
        .pinned
        .iter()
        .map(|(path, _)| path.strip_prefix(&outcome.root).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(pinned, [WHEEL, "w/c-1-py3-none-any.whl"]);
    assert_eq!(outcome.found.requirements[1].name, "c");
    assert!(
        outcome
            .view("r.txt")
            .starts_with("./w/c-1-py3-none-any.whl --hash=sha256:ab")
    );
    let address = format!(
        "file://{}#sha256={digest}",
        outcome.root.join("w/c-1-py3-none-any.whl").display()
    );
    assert_eq!(
        gather(&files[1..], &[&address]).found.pinned.len(),
        0,
        "another directory"
    );
}

#[test]
fn an_address_needs_the_policy() {
    let outcome = gather(
        &[],
        &[
            "A_b @ https://files.invalid/a.whl ; python_version>'3'",
            "https://files.invalid/a.whl#sha256=00",
        ],
    );
    assert!(
        outcome.found.findings.is_empty(),
        "{:?}",
        outcome.found.findings
    );
    let digest = hex("cd");
    assert_eq!(
        outcome.words[0].as_deref(),
        Some(
            format!("a-b @ https://files.invalid/a.whl#sha256={digest} ; python_version>'3'")
                .as_str()
        )
    );
    assert_eq!(
        outcome.words[1].as_deref(),
        Some(format!("a-b @ https://files.invalid/a.whl#sha256={digest}").as_str())
    );
    assert_eq!(
        outcome.found.expected[0].anchor,
        crate::model::Anchor::Policy
    );
    assert_eq!(
        gather(&[], &["other @ https://files.invalid/a.whl"]).codes()[0].0,
        Code::DependencyRefused
    );
}

#[test]
fn a_lock_becomes_a_generated_file() {
    let digest = hex("ab");
    let lock = format!(
        "lock-version = '1.0'\ncreated-by = 'x'\n[[packages]]\nname = 'A_b'\nversion = '1'\nwheels = [{{ name = 'a_b-1-py3-none-any.whl', url = 'https://f.invalid/x', hashes = {{ sha256 = '{digest}' }} }}]\n"
    );
    let outcome = gather(&[("pylock.dev.toml", &lock)], &[]);
    assert!(
        outcome.found.findings.is_empty(),
        "{:?}",
        outcome.found.findings
    );
    assert_eq!(
        outcome.words[0].as_deref(),
        Some("/run/config/pylock.dev-1.txt")
    );
    assert_eq!(
        outcome.found.generated[0].1,
        format!("a-b==1 --hash=sha256:{digest}\n").into_bytes()
    );
    assert_eq!(outcome.found.requirements[0].hashes.len(), 1);
    assert_eq!(
        gather(&[("pylock.toml", "x")], &[]).codes()[0].0,
        Code::LockInvalid
    );
}

#[test]
fn many_problems_are_counted() {
    let text = "git+https://h.invalid/x\n".repeat(50);
    let outcome = gather(&[("r.txt", &text)], &[]);
    let list = bounded(outcome.found.findings);
    assert_eq!(list.len(), LISTED + 1);
    assert!(list[LISTED].message.contains("30 more"));
}

#[test]
fn a_file_of_the_project_names_none_outside() {
    let files = [
        ("r.txt", "-r ../token\n-c sub/c.txt\n"),
        ("sub/c.txt", "-c ../../other/c.txt\n"),
        ("../token", "hunter2\n"),
        ("../other/c.txt", "hunter2 = x\n"),
    ];
    let outcome = gather(&files, &[]);
    let code = Code::ConfigRefused;
    let place = |text: &str| (code, text.to_owned());
    assert_eq!(outcome.codes(), [place("r.txt:1"), place("sub/c.txt:1")]);
    let told = format!(
        "{:?} {:?}",
        outcome.found.findings, outcome.found.requirements
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_variable_goes_to_no_index_that_nobody_named() {
    let line = |host: &str| format!("--index-url https://${{TOKEN}}@{host}.invalid/simple\n");
    let own = gather(&[("r.txt", &line("mine"))], &[]);
    assert_eq!(own.codes(), []);
    assert!(own.found.scope.indexes[0].credential.is_some());
    let other = gather(&[("r.txt", &line("index"))], &[]);
    let refused = (Code::ConfigRefused, "r.txt:1".to_owned());
    assert_eq!(other.codes(), [refused]);
    assert!(!format!("{:?}", other.found.findings).contains("t0k"));
}
