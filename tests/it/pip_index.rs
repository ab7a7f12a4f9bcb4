//! Index pages: what they must state, what they must not be, and whose word counts.

use std::sync::Arc;
use std::time::Duration;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::authority::Identity;
use crate::registry::package::sha1_hex;
use crate::registry::{On, Registry, Setup, What};
use crate::run::Run;

const PAGE: &str = "/simple/leaf/";
const FILE: &str = "leaf-1.0-py3-none-any.whl";
const JSON: &str = "application/vnd.pypi.simple.v1+json";

fn has_leaf(python: &Python) -> bool {
    python.packages().join("leaf.py").exists()
}

fn install(python: &Python) -> Run {
    python.v4run(&["install", "leaf"]).run()
}

/// pip's own failure, with the host and the cause; nothing was refused.
#[track_caller]
fn failed(run: &Run, host: &str) {
    run.exits(1).says("upstream-failed").says(host);
    run.record()
        .event("found", |event| event["code"] == "upstream-failed");
}

#[test]
fn files_without_a_sufficient_digest_are_not_installed() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let cases = [
        ("none", "", "integrity-missing"),
        ("cut", "sha256=", "integrity-missing"),
        ("odd", "blake2b=00", "integrity-missing"),
        ("egg", "egg=egg", "integrity-missing"),
        ("weak", "", "integrity-weak"),
    ];
    for (name, fragment, code) in cases {
        let wheel = Wheel::new(name, "1.0");
        let fragment = match name {
            "weak" => format!("sha1={}", sha1_hex(&wheel.build())),
            _ => fragment.to_owned(),
        };
        registry.publish_file_as(name, &wheel.file_name(), &wheel.build(), &fragment);
        let run = python.v4run(&["install", name]).run();
        run.refuses(120, code, "4.13").says("hint:");
        assert!(!python.packages().join(format!("{name}.py")).exists());
    }
    // pip takes what nobody vouches for, and what SHA-1 vouches for.
    python
        .pip(&["install", "none", "odd", "weak"])
        .run()
        .succeeds();
}

#[test]
fn a_file_with_a_digest_is_taken_in_place_of_one_without() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    let newer = Wheel::new("leaf", "2.0");
    registry.publish_file_as("leaf", &newer.file_name(), &newer.build(), "");
    let run = install(&python);
    run.succeeds().says("link-withheld");
    assert_eq!(python.installed("leaf.py"), "WHO = 'leaf 1.0'\n");
    // The control: bare pip takes the one that nobody vouches for.
    python
        .pip(&["install", "--upgrade", "leaf"])
        .run()
        .succeeds();
    assert_eq!(python.installed("leaf.py"), "WHO = 'leaf 2.0'\n");
}

#[test]
fn a_file_in_the_clear_is_not_fetched() {
    let registry = Registry::start();
    let plain = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let python = Python::new(&registry);
    let digest = Wheel::new("leaf", "1.0").publish(&plain);
    let address = plain.file_url(FILE);
    registry.publish_link("leaf", FILE, &address, &format!("sha256={digest}"));
    python.pip(&["install", "leaf"]).run().succeeds();
    assert_eq!(plain.files_seen().len(), 1, "the control does not fire");
    python.clear();
    install(&python).refuses(120, "plain-http", "4.15");
    assert_eq!(plain.files_seen().len(), 1);
    assert!(!has_leaf(&python));
}

#[test]
fn pages_that_are_none() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let deep = format!("{{\"meta\":{}", "[".repeat(100_000));
    for (kind, text) in [
        (JSON, "{"),
        (JSON, deep.as_str()),
        (
            JSON,
            "{\"meta\":{\"api-version\":\"1.0\"},\"name\":\"leaf\",\"files\":{}}",
        ),
        (
            JSON,
            "{\"meta\":{\"api-version\":\"9.0\"},\"name\":\"leaf\",\"files\":[]}",
        ),
        (
            JSON,
            "{\"meta\":{\"api-version\":\"1.0\"},\"name\":\"other\",\"files\":[]}",
        ),
        (
            JSON,
            "{\"meta\":{\"api-version\":\"1.0\"},\"name\":\"leaf\",\"files\":[3]}",
        ),
        ("text/html", "plain text"),
        ("text/html", ""),
        (
            "text/html",
            "<meta name=\"pypi:repository-version\" content=\"9.0\"><a href=x>x</a>",
        ),
        ("application/json", "{}"),
        ("image/png", "<html></html>"),
    ] {
        registry.fault_times(On::Path(PAGE), What::Page(kind, text.into()), 0, 1);
        let run = install(&python);
        run.refuses(120, "index-malformed", "4.13").says("leaf");
    }
    registry.fault_times(
        On::Path(PAGE),
        What::Page("text/html", "<html></html>".into()),
        0,
        1,
    );
    // An empty page is a page: pip finds nothing.
    install(&python).exits(1);
    let bytes = What::Bytes(b"\xff\xfe<\x00a\x00".to_vec());
    registry.fault_times(On::Path(PAGE), bytes, 0, 1);
    install(&python).refuses(120, "index-malformed", "4.13");
}

#[test]
fn pages_of_fifty_megabytes() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let digest = Wheel::new("leaf", "1.0").publish(&registry);
    let link = format!("<html><a href=\"../../files/{FILE}#sha256={digest}\">{FILE}</a><!-- ");
    registry.fault(On::Path(PAGE), What::LongPage("text/html", link, 50 << 20));
    install(&python)
        .refuses(120, "metadata-too-large", "4.13")
        .says("leaf");
    python.pip(&["install", "leaf"]).run().succeeds();
    assert!(has_leaf(&python), "the control does not fire");
}

#[test]
fn names_with_odd_letters() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let evil = Wheel::new("leaf", "9.0").build();
    Wheel::new("leaf", "1.0").publish(&registry);
    for name in [
        // A Cyrillic letter, a full-width digit, a soft hyphen, a turned-round direction, an escape.
        "l\u{435}af-9.0-py3-none-any.whl",
        "leaf-\u{ff19}.0-py3-none-any.whl",
        "le\u{ad}af-9.0-py3-none-any.whl",
        "leaf-9.0-py3-none-any\u{202e}.whl",
        "leaf-9.0-py3-none-any.whl\u{1b}[2J",
        "leaf-9.0-py3-none-any.whl%00.whl",
        "..%2fleaf-9.0-py3-none-any.whl",
    ] {
        registry.publish_file("leaf", name, &evil);
    }
    let run = install(&python);
    run.succeeds();
    assert_eq!(python.installed("leaf.py"), "WHO = 'leaf 1.0'\n");
    let released = run
        .record()
        .event("released", |event| event["name"] == "leaf");
    assert_eq!(released["version"], "1.0");
    assert_eq!(registry.files_seen(), [format!("/files/{FILE}")]);
    for word in [
        "l\u{435}af",
        "leaf\u{202e}",
        "\u{212a}leaf",
        "leaf\u{1b}[2J",
    ] {
        let run = python.v4run(&["install", word]).run();
        assert_ne!(run.code(), 0, "{word:?}");
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn a_project_in_quarantine() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let digest = Wheel::new("leaf", "1.0").publish(&registry);
    let page = |status: &str| {
        let url = registry.file_url(FILE);
        What::Page(
            JSON,
            format!(
                "{{\"meta\":{{\"api-version\":\"1.4\"}},\"name\":\"leaf\",\
                 \"project-status\":{{\"status\":\"{status}\",\"reason\":\"looks bad\"}},\"files\":\
                 [{{\"filename\":\"{FILE}\",\"url\":\"{url}\",\"hashes\":{{\"sha256\":\"{digest}\"}}}}]}}"
            ),
        )
    };
    registry.fault_times(On::Path(PAGE), page("quarantined"), 0, 2);
    let run = install(&python);
    run.exits(1).says("project-quarantined").says("looks bad");
    assert!(!has_leaf(&python));
    python.pip(&["install", "leaf"]).run().succeeds();
    assert!(has_leaf(&python), "the control does not fire");
    python.clear();
    registry.fault(On::Path(PAGE), page("active"));
    install(&python).succeeds();
}

#[test]
fn an_index_that_fails() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    for status in [401, 403, 429, 500, 503] {
        registry.fault(On::Path(PAGE), What::Status(status));
        let run = install(&python);
        failed(&run, &registry.host());
        run.says(&status.to_string());
        assert!(!has_leaf(&python));
        registry.heal();
    }
    install(&python).succeeds();
}

#[test]
fn a_file_that_never_arrives_whole() {
    for what in [What::Truncated, What::Reset, What::Status(404)] {
        let registry = Registry::start();
        let python = Python::new(&registry);
        Wheel::new("leaf", "1.0").publish(&registry);
        registry.fault(On::Path(FILE), what);
        failed(&install(&python), &registry.host());
        assert!(!has_leaf(&python));
    }
}

#[test]
fn a_file_that_comes_slowly_is_waited_for() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    registry.fault(On::Path(FILE), What::Slow(4, Duration::from_millis(100)));
    install(&python).succeeds();
}

#[test]
fn an_index_that_is_down() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let host = registry.host();
    drop(registry);
    failed(&install(&python), &host);
    // One whose name does not resolve.
    let run = python.v4run(&["install", "-i", "https://index.invalid/simple", "leaf"]);
    failed(&run.run(), "index.invalid");
}

#[test]
fn wrong_certificates() {
    for (identity, word) in [
        (Identity::Expired, "expired"),
        (Identity::UnknownIssuer, "issuer"),
        (Identity::WrongName, "name"),
    ] {
        let registry = Registry::with(Setup {
            identity,
            ..Setup::default()
        });
        let python = Python::new(&registry);
        Wheel::new("leaf", "1.0").publish(&registry);
        let trusting = ["install", "--trusted-host", "localhost", "leaf"];
        python.pip(&trusting).run().succeeds();
        assert!(has_leaf(&python), "the control does not fire: {identity:?}");
        python.clear();
        let before = registry.seen().len();
        let run = install(&python);
        run.refuses(120, "tls-invalid", "4.16")
            .says(&registry.host());
        assert!(run.stderr.to_lowercase().contains(word), "{}", run.told());
        // The switch that would turn verification off is refused, and has no effect elsewhere.
        python
            .v4run(&trusting)
            .run()
            .refuses(126, "config-refused", "4.18");
        let run = python.v4run(&["install", "leaf"]);
        let run = run.env("PIP_TRUSTED_HOST", "localhost").run();
        run.refuses(120, "tls-invalid", "4.16")
            .says("config-ignored");
        assert_eq!(registry.seen().len(), before, "{identity:?}");
        assert!(!has_leaf(&python));
    }
}

#[test]
fn an_index_in_the_clear() {
    let plain = Registry::with(Setup {
        plain: true,
        ..Setup::default()
    });
    let python = Python::new(&plain);
    Wheel::new("leaf", "1.0").publish(&plain);
    python.pip(&["install", "leaf"]).run().succeeds();
    assert!(has_leaf(&python), "the control does not fire");
    python.clear();
    let before = plain.connections();
    install(&python)
        .refuses(126, "plain-http", "4.15")
        .says("https");
    assert_eq!(plain.connections(), before);
}

#[test]
fn redirects_to_another_host() {
    for (path, clear) in [(PAGE, false), (FILE, false), (PAGE, true), (FILE, true)] {
        let registry = Registry::start();
        let elsewhere = Registry::issued_by(
            Arc::clone(registry.authority()),
            Setup {
                plain: clear,
                ..Setup::default()
            },
        );
        let python = Python::new(&registry);
        for each in [&registry, &elsewhere] {
            Wheel::new("leaf", "1.0").publish(each);
        }
        registry.fault(On::Path(path), What::Redirect(elsewhere.base()));
        python.pip(&["install", "leaf"]).run().succeeds();
        assert!(elsewhere.connections() > 0, "the control does not fire");
        python.clear();
        let before = elsewhere.connections();
        let (code, control) = match clear {
            false => ("redirect-refused", "4.1"),
            true => ("plain-http", "4.15"),
        };
        install(&python).refuses(120, code, control);
        assert_eq!(elsewhere.connections(), before, "{path} {clear}");
        assert!(!has_leaf(&python));
    }
}
