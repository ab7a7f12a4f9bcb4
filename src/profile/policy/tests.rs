//! Policies as they are written, merged and refused.

use super::*;

fn load(system: &str, project: &str) -> Result<Policy, Finding> {
    let directory = tempfile::tempdir().unwrap();
    let machine = directory.path().join("policy.toml");
    std::fs::write(&machine, system).unwrap();
    std::fs::write(directory.path().join(PROJECT_FILE), project).unwrap();
    Policy::load(None, directory.path(), &machine)
}

#[test]
fn files_are_merged_and_the_higher_level_counts() {
    let policy = load(
        "level = 'L2'\nstore = '/var/cache/v4run'\n[managers.npm]\npath = '/opt/npm'\n",
        "level = 'L1'\n[[repositories]]\nurl = 'https://mirror.invalid/npm'\norigin = 'https://registry.invalid/'\n",
    )
    .unwrap();
    assert_eq!(policy.level, Some(2));
    assert_eq!(policy.managers["npm"], Path::new("/opt/npm"));
    let repository = &policy.repositories[0];
    assert_eq!(repository.url.as_str(), "https://mirror.invalid/npm/");
    assert!(
        repository.stated_in.ends_with("v4run.toml:3"),
        "{}",
        repository.stated_in
    );
    assert_eq!(policy.sources.len(), 2);
}

#[test]
fn findings_may_be_refused_by_everybody() {
    let refusing = "refuse = ['startup-code']\n";
    let policy = load(&format!("lockdown = true\n{refusing}"), refusing).unwrap();
    assert_eq!(policy.refuse, [Code::StartupCode]);
    let wrong = load("", "level = 'L1'\nrefuse = ['integrity-mismatch']\n").unwrap_err();
    assert!(wrong.subject.ends_with("v4run.toml:2"), "{wrong:?}");
    assert!(wrong.message.contains("\"startup-code\""), "{wrong:?}");
}

#[test]
fn a_project_can_only_ask_for_a_closer_look() {
    let look = |system, project| load(system, project).unwrap().look;
    assert_eq!(look("", ""), None);
    assert_eq!(look("", "look = 'off'"), Some(LookMode::SpareTime));
    assert_eq!(look("look = 'off'", ""), Some(LookMode::Off));
    let complete = Some(LookMode::Complete);
    assert_eq!(look("look = 'complete'", "look = 'spare-time'"), complete);
    assert_eq!(
        look("look = 'complete'", "look = 'refuse'"),
        Some(LookMode::Refuse)
    );
    let finding = load("", "\nlook = 'hard'\n").unwrap_err();
    assert!(
        finding.subject.ends_with("v4run.toml:2"),
        "{}",
        finding.subject
    );
}

#[test]
fn absent_files_are_no_policy_unless_named() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("absent.toml");
    assert_eq!(
        Policy::load(None, directory.path(), &absent).unwrap(),
        Policy::default()
    );
    assert!(Policy::load(Some(&absent), directory.path(), &absent).is_err());
}

#[test]
fn artifacts_are_named_with_their_digest() {
    let digest = "ab".repeat(32);
    let text = format!(
        "[[artifacts]]\nfile = 'a-1-py3-none-any.whl'\nsha256 = '{digest}'\nurl = 'https://files.invalid/a.whl'\n"
    );
    let policy = load("", &text).unwrap();
    let artifact = &policy.artifacts[0];
    assert_eq!(artifact.integrity.deciding().next().unwrap().hex(), digest);
    assert!(artifact.stated_in.ends_with("v4run.toml:2"));
    for (text, line) in [
        (text.replace("ab'", "'"), ":3"),
        (text.replace("a-1", "../a-1"), ":2"),
        (text.replace("https", "http"), ":4"),
    ] {
        let finding = load("", &text).unwrap_err();
        assert!(
            finding.subject.ends_with(line),
            "{} {}",
            finding.subject,
            finding.message
        );
    }
    assert!(load("lockdown = true\n", &text).is_err());
}

#[test]
fn signing_keys_and_sources_are_read_with_their_place() {
    let key = "[[signing-keys]]\norigin = 'https://registry.invalid/npm'\nid = 'a'\nkey = 'AA'\n";
    let source = "[[sources]]\nprefix = 'team-'\nrepository = 'https://code.invalid/team/all'\n";
    let policy = load("", &format!("{key}{source}")).unwrap();
    let [origin] = policy.signing.origins.as_slice() else {
        panic!("{:?}", policy.signing);
    };
    assert_eq!(origin.origin.as_str(), "https://registry.invalid/npm/");
    assert!(origin.keys[0].stated_in.ends_with("v4run.toml:3"));
    assert_eq!(policy.signing.sources[0].name, "team-*");
    let finding = load(key, key).unwrap_err();
    assert!(
        finding.subject.ends_with("v4run.toml:2"),
        "{}",
        finding.subject
    );
    let publisher = "[[publisher-keys]]\nprefix = 'org.example:'\nfingerprint = 'aa'\nkey = 'x'\n";
    let policy = load("", publisher).unwrap();
    assert_eq!(policy.signing.publishers[0].name, "org.example:*");
    // What the machine pins stays pinned, whether a project says it of more names or of fewer.
    for own in ["org.", "org.example:", "org.example:left"] {
        let own = publisher.replace("org.example:", own);
        assert!(load(publisher, &own).is_err(), "{own}");
    }
    let other = publisher.replace("org.example:", "org.other:");
    assert_eq!(load(publisher, &other).unwrap().signing.publishers.len(), 2);
    for wrong in [
        "trust-root = '/x'\n",
        "[[publisher-keys]]\nfingerprint = 'aa'\nkey = 'x'\n",
        "[[sources]]\nrepository = 'https://code.invalid/a'\n",
        "[[signing-keys]]\norigin = 'https://registry.invalid/'\nid = 'a'\n",
        "[[signing-keys]]\norigin = 'https://r.invalid/'\nid = 'a'\nkey = 'A'\nusage = 'x'\n",
    ] {
        assert!(load("", wrong).is_err(), "{wrong}");
    }
    assert!(load("lockdown = true\n", key).is_err());
    assert!(load("trust-root = '/absent/root.json'\n", "").is_err());
}

#[test]
fn names_are_pinned_to_a_repository() {
    let system = "[[pins]]\nprefix = 'team-'\nrepository = 'https://internal.invalid/simple'\n";
    let policy = load(
        system,
        "[[pins]]\nname = 'left'\nrepository = 'https://index.invalid/simple/'\n",
    )
    .unwrap();
    let pins: Vec<(&str, bool, &str)> = policy
        .pins
        .iter()
        .map(|pin| (pin.name.as_str(), pin.prefix, pin.repository.as_str()))
        .collect();
    assert_eq!(
        pins,
        [
            ("team-", true, "https://internal.invalid/simple/"),
            ("left", false, "https://index.invalid/simple/")
        ]
    );
    assert!(policy.pins[1].stated_in.ends_with("v4run.toml:2"));
    let elsewhere = "repository = 'https://index.invalid/'\n";
    assert!(policy.pins[0].system && !policy.pins[1].system);
    for (name, line) in [
        ("prefix = 'x-*'", ":2"),
        ("name = ''", ":2"),
        ("name = 'x'\nprefix = 'x'", ":4"),
        ("# neither", ":3"),
    ] {
        let finding = load(system, &format!("[[pins]]\n{name}\n{elsewhere}")).unwrap_err();
        assert_eq!(finding.code, Code::PolicyInvalid);
        let subject = &finding.subject;
        assert!(subject.ends_with(line), "{name}: {subject}");
    }
    assert!(load("lockdown = true\n", system).is_err());
}

#[test]
fn mistakes_name_file_and_line() {
    for (text, line) in [
        ("level = 'L1'\nrepositorys = []\n", ":2"),
        ("\nlevel = 'L4'\n", ":2"),
        ("[[repositories]]\nurl = 'http://registry.invalid/'\n", ":2"),
        (
            "[[repositories]]\nurl = 'https://user:pw@registry.invalid/'\n",
            ":2",
        ),
        (
            "[[repositories]]\nurl = 'https://registry.invalid/'\ntrust = 1\n",
            ":3",
        ),
        ("[managers.npm]\npath = 'bin/npm'\n", ":2"),
        ("lockdown = true\n", ":1"),
        ("store = '/tmp/s'\n", ":1"),
    ] {
        let finding = load("", text).unwrap_err();
        assert_eq!(finding.code, Code::PolicyInvalid);
        assert!(
            finding.subject.ends_with(line),
            "{text}: {} {}",
            finding.subject,
            finding.message
        );
    }
}

#[test]
fn what_shims_hand_on_is_the_machine_s_to_say() {
    let hands_on = |system: &str| load(system, "").unwrap().hands_on();
    assert!(hands_on("") && !hands_on("lockdown = true\n"));
    assert!(hands_on("lockdown = true\npassthrough = true\n"));
    assert!(!hands_on("passthrough = false\n"));
    for own in ["passthrough = true\n", "passthrough = false\n"] {
        let error = load("lockdown = true\n", own).unwrap_err();
        assert!(
            error.message.contains("system policy only"),
            "{}",
            error.message
        );
    }
}

#[test]
fn lockdown_leaves_the_project_only_a_higher_level() {
    let system = "lockdown = true\nlevel = 'L1'\n";
    assert_eq!(load(system, "level = 'L3'\n").unwrap().level, Some(3));
    let finding = load(system, "[[repositories]]\nurl = 'https://x.invalid/'\n").unwrap_err();
    assert!(
        finding.message.contains("locked down"),
        "{}",
        finding.message
    );
}

#[test]
fn a_named_file_may_place_things_unless_locked() {
    let directory = tempfile::tempdir().unwrap();
    let named = directory.path().join("named.toml");
    let machine = directory.path().join("machine.toml");
    std::fs::write(&named, "store = '/srv/store'\n").unwrap();
    let policy = Policy::load(Some(&named), directory.path(), &machine).unwrap();
    assert_eq!(policy.store.as_deref(), Some(Path::new("/srv/store")));
    std::fs::write(&machine, "lockdown = true\n").unwrap();
    assert!(Policy::load(Some(&named), directory.path(), &machine).is_err());
}
