//! Pages, ordinary and hostile, from the index's bytes to the bytes that are given out.

use proptest::prelude::*;
use url::Url;

use super::Pypi;
use crate::model::Code;
use crate::model::Expected;
use crate::protocol::{Document, Index, Protocol as _, ProtocolError, Sources};

const SHA: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const META: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const HTML: &str = "text/html; charset=utf-8";

fn read(kind: &str, body: &str) -> Result<Index, ProtocolError> {
    let url = Url::parse("https://index.invalid/simple/left/").unwrap();
    Pypi.index(&Document {
        name: "left",
        url: &url,
        kind: Some(kind),
        body: body.as_bytes(),
        sources: Sources::Withheld,
    })
}

#[test]
fn source_is_shown_to_a_run_that_only_fetches_it() {
    let body = format!(
        "<!DOCTYPE html><a href='left-1.0.tar.gz#sha256={SHA}'>left-1.0.tar.gz</a>\
         <a href='right-1.0.tar.gz#sha256={SHA}'>right-1.0.tar.gz</a>\
         <a href='left-2.0.tar.gz'>left-2.0.tar.gz</a>"
    );
    let url = Url::parse("https://index.invalid/simple/left/").unwrap();
    let shown = |sources: Sources| {
        let document = Document {
            name: "left",
            url: &url,
            kind: Some(HTML),
            body: body.as_bytes(),
            sources,
        };
        let index = Pypi.index(&document).unwrap();
        let body = index.rewritten.unwrap().body;
        (
            String::from_utf8(body.to_vec()).unwrap(),
            index.expected.len(),
            index.findings.len(),
        )
    };
    let (page, expected, _) = shown(Sources::Shown);
    assert!(page.contains("left-1.0.tar.gz"), "{page}");
    assert!(
        !page.contains("right") && !page.contains("left-2.0"),
        "{page}"
    );
    assert_eq!(expected, 2);
    for (sources, told) in [(Sources::Withheld, 1), (Sources::Built, 0)] {
        let (page, expected, findings) = shown(sources);
        assert!(!page.contains("tar.gz") && expected == 0, "{page}");
        assert_eq!(findings, told);
    }
}

fn json(body: &str) -> Result<Index, ProtocolError> {
    read(super::JSON, body)
}

/// A page in JSON with these files.
fn page(files: &str) -> String {
    format!(r#"{{"meta":{{"api-version":"1.1"}},"name":"Left","files":[{files}]}}"#)
}

fn text(index: &Index) -> &str {
    std::str::from_utf8(&index.rewritten.as_ref().unwrap().body).unwrap()
}

fn codes(index: &Index) -> Vec<Code> {
    index.findings.iter().map(|finding| finding.code).collect()
}

fn of_file<'a>(index: &'a Index, file: &str) -> Option<&'a Expected> {
    let mut all = index.expected.iter();
    all.find(|one| one.file.as_deref() == Some(file))
}

#[test]
fn a_page_in_json_is_read_and_written_anew() {
    let index = json(&format!(
        r#"{{"meta":{{"api-version":"1.4","_last-serial":7}},"name":"Left",
        "versions":["1.0","2.0"],"project-status":{{"status":"active"}},"files":[
        {{"filename":"left-1.0-py3-none-any.whl","url":"../../p/left-1.0-py3-none-any.whl",
          "hashes":{{"sha256":"{SHA}","blake2b_256":"00"}},"requires-python":">=3.8","size":5,
          "upload-time":"2024-01-01T00:00:00Z","yanked":"broken <b>","unknown":[1],
          "provenance":"https://index.invalid/x","core-metadata":{{"sha256":"{META}"}},
          "dist-info-metadata":true}},
        {{"filename":"left-2.0-py3-none-any.whl",
          "url":"https://files.invalid/left-2.0-py3-none-any.whl","hashes":{{"sha256":"{SHA}"}},
          "core-metadata":true,"gpg-sig":false}},
        {{"filename":"left-2.0.tar.gz","url":"left-2.0.tar.gz","hashes":{{"sha256":"{SHA}"}}}}]}}"#
    ))
    .unwrap();
    assert!(index.findings.is_empty(), "{:?}", index.findings);
    let names: Vec<_> = index
        .expected
        .iter()
        .filter_map(|one| one.file.as_deref())
        .collect();
    assert_eq!(
        names,
        [
            "left-1.0-py3-none-any.whl",
            "left-1.0-py3-none-any.whl.metadata",
            "left-2.0-py3-none-any.whl",
        ]
    );
    let metadata = of_file(&index, "left-1.0-py3-none-any.whl.metadata").unwrap();
    assert_eq!(
        metadata.url.as_ref().unwrap().as_str(),
        "https://index.invalid/p/left-1.0-py3-none-any.whl.metadata"
    );
    assert_eq!(index.rewritten.as_ref().unwrap().kind, super::JSON);
    let given: serde_json::Value = serde_json::from_str(text(&index)).unwrap();
    assert_eq!(
        given,
        serde_json::json!({
            "meta": {"api-version": "1.4"}, "name": "left", "versions": ["1.0", "2.0"],
            "project-status": {"status": "active", "reason": null},
            "files": [
                {"filename": "left-1.0-py3-none-any.whl",
                 "url": "https://index.invalid/p/left-1.0-py3-none-any.whl",
                 "hashes": {"sha256": SHA}, "requires-python": ">=3.8", "size": 5,
                 "upload-time": "2024-01-01T00:00:00Z", "yanked": "broken <b>",
                 "provenance": "https://index.invalid/x",
                 "core-metadata": {"sha256": META}, "dist-info-metadata": {"sha256": META}},
                {"filename": "left-2.0-py3-none-any.whl",
                 "url": "https://files.invalid/left-2.0-py3-none-any.whl",
                 "hashes": {"sha256": SHA}, "core-metadata": false, "yanked": false},
            ]
        })
    );
}

#[test]
fn what_an_index_has_for_itself_makes_no_page_malformed() {
    for (stated, read) in [
        ("7", Some("7")),
        ("\"34432672\"", Some("34432672")),
        ("\"7 \\u001b[31m\"", None),
        ("-1", None),
        ("null", None),
        ("[{}]", None),
    ] {
        let serial = format!(r#""1.1","_last-serial":{stated}"#);
        let index = json(&page("").replace(r#""1.1""#, &serial)).unwrap();
        assert_eq!(index.serial.as_deref(), read, "{stated}");
    }
}

#[test]
fn a_page_in_html_is_read_and_written_anew() {
    let index = read(
        HTML,
        &format!(
            r##"<!DOCTYPE html><html><head><meta name="pypi:repository-version" content="1.1">
            <base href="https://files.invalid/p/"><base href="https://other.invalid/"></head>
            <body><!-- <a href="left-9.0-py3-none-any.whl#sha256={SHA}">no</a> -->
            <script>"<a href='left-8.0-py3-none-any.whl#sha256={SHA}'>"</script>
            <A HREF='left-1.0-py3-none-any.whl#sha256={SHA}' data-requires-python="&gt;=3.8"
              data-yanked="bad &quot;x&quot;" data-dist-info-metadata="sha256={META}">x</A><br/>
            <a href="left-2.0-py3-none-any.whl#sha256={SHA}" data-core-metadata=true>y</a>
            <a name=x>z</a><a href="left-2.0.zip#sha256={SHA}">z</a></body></html>"##
        ),
    )
    .unwrap();
    assert_eq!(index.rewritten.as_ref().unwrap().kind, "text/html");
    let given = text(&index);
    let first = format!(
        "<a href=\"https://files.invalid/p/left-1.0-py3-none-any.whl#sha256={SHA}\" \
         data-dist-info-metadata=\"sha256={META}\" data-requires-python=\"&gt;=3.8\" \
         data-yanked=\"bad &quot;x&quot;\">left-1.0-py3-none-any.whl</a><br>"
    );
    let second = format!(
        "<a href=\"https://files.invalid/p/left-2.0-py3-none-any.whl#sha256={SHA}\">\
         left-2.0-py3-none-any.whl</a><br>"
    );
    assert!(given.contains(&first), "{given}");
    assert!(given.contains(&second), "{given}");
    assert_eq!(given.matches("<a ").count(), 2, "{given}");
    // What was written reads as what was read.
    let again = read(HTML, given).unwrap();
    assert_eq!(text(&again), given);
    assert_eq!(again.expected.len(), index.expected.len());
}

fn file(name: &str, url: &str, hashes: &str) -> String {
    format!(r#"{{"filename":"{name}","url":"{url}","hashes":{{{hashes}}}}}"#)
}

#[test]
fn what_has_no_strong_digest_is_known_and_not_given_out() {
    let wheel = "left-1.0-py3-none-any.whl";
    let md5 = format!(r#""md5":"{}""#, "0".repeat(32));
    for (hashes, code) in [
        ("", Code::IntegrityMissing),
        (r#""sha256":"xyz""#, Code::IntegrityMissing),
        (r#""blake2b_256":"00""#, Code::IntegrityMissing),
        (md5.as_str(), Code::IntegrityWeak),
    ] {
        let index = json(&page(&file(wheel, wheel, hashes))).unwrap();
        assert_eq!(codes(&index), [code], "{hashes}");
        assert!(text(&index).contains("\"files\":[]"));
        let known = of_file(&index, wheel).unwrap();
        assert!(
            known
                .integrity
                .as_ref()
                .is_none_or(|i| !i.algorithm().is_strong())
        );
    }
    let strong = format!(r#""sha256":"{SHA}""#);
    let clear = file(
        wheel,
        "http://files.invalid/left-1.0-py3-none-any.whl",
        &strong,
    );
    let index = json(&page(&clear)).unwrap();
    assert_eq!(codes(&index), [Code::PlainHttp]);
    assert!(index.expected.is_empty());
    let other = "left-1.1-py3-none-any.whl";
    let both = [file(wheel, wheel, ""), file(other, other, &strong)].join(",");
    let index = json(&page(&both)).unwrap();
    assert_eq!(codes(&index), [Code::LinkWithheld]);
    assert!(index.findings[0].message.contains("1 without a digest"));
    assert!(text(&index).contains(other) && !text(&index).contains(wheel));
}

#[test]
fn a_page_without_candidates_says_why() {
    let strong = format!(r#""sha256":"{SHA}""#);
    let source = file("left-1.0.tar.gz", "left-1.0.tar.gz", &strong);
    let index = json(&page(&source)).unwrap();
    assert_eq!(codes(&index), [Code::SourceWithheld]);
    assert_eq!(index.findings[0].subject, "left");
    assert!(index.expected.is_empty());
    assert!(json(&page("")).unwrap().findings.is_empty());
    let wheel = file(
        "left-1.0-py3-none-any.whl",
        "left-1.0-py3-none-any.whl",
        &strong,
    );
    let quarantined = page(&wheel).replace(
        r#""files""#,
        r#""project-status":{"status":"quarantined","reason":"bad\u001b"},"files""#,
    );
    let index = json(&quarantined).unwrap();
    assert_eq!(codes(&index), [Code::ProjectQuarantined]);
    assert!(index.findings[0].message.contains(r"bad\u{1b}"));
    assert!(index.expected.is_empty() && text(&index).contains("\"files\":[]"));
    let html = format!(
        "<meta name='pypi:project-status' content='quarantined'>\
         <a href='left-1.0-py3-none-any.whl#sha256={SHA}'>x</a>"
    );
    assert_eq!(
        codes(&read(HTML, &html).unwrap()),
        [Code::ProjectQuarantined]
    );
}

#[test]
fn files_that_are_not_what_they_say_are_left_out() {
    let strong = format!(r#""sha256":"{SHA}""#);
    let wheel = "left-1.0-py3-none-any.whl";
    for (name, url) in [
        ("right-1.0-py3-none-any.whl", "right-1.0-py3-none-any.whl"),
        (wheel, "left-2.0-py3-none-any.whl"),
        (wheel, "left-1.0-py3-none-any.whl.metadata"),
        (wheel, "https://u:p@files.invalid/left-1.0-py3-none-any.whl"),
        (wheel, "file:///left-1.0-py3-none-any.whl"),
        (
            "left-1.0-py3-none-any.exe.whl.x",
            "left-1.0-py3-none-any.exe.whl.x",
        ),
    ] {
        let index = json(&page(&file(name, url, &strong))).unwrap();
        assert!(index.expected.is_empty(), "{name} {url}");
        assert!(text(&index).contains("\"files\":[]"), "{name} {url}");
    }
    // With a query the address of the metadata would be another file's.
    let signed = format!(
        r#"{{"filename":"{wheel}","url":"{wheel}?token=1","hashes":{{{strong}}},
            "core-metadata":{{"sha256":"{META}"}}}}"#
    );
    let index = json(&page(&signed)).unwrap();
    assert_eq!(index.expected.len(), 1);
    assert!(text(&index).contains("\"core-metadata\":false"));
}

#[test]
fn another_shape_is_malformed() {
    for body in [
        "",
        "[]",
        "null",
        "<html>",
        "{}",
        r#"{"meta":{"api-version":"1.0"},"files":[]}"#,
        r#"{"meta":{"api-version":"2.0"},"name":"left","files":[]}"#,
        r#"{"meta":{},"name":"left","files":[]}"#,
        r#"{"meta":{"api-version":"1.0"},"name":"right","files":[]}"#,
        r#"{"meta":{"api-version":"1.0"},"name":"left","files":{}}"#,
        r#"{"meta":{"api-version":"1.0"},"name":"left","name":"left","files":[]}"#,
        &page(r#"{"filename":"x"}"#),
        &page(r#"{"filename":"x","url":"x","hashes":[]}"#),
        &page(r#"{"filename":"x","url":"x","hashes":{"sha256":7}}"#),
        &page(r#"{"filename":"x","url":"x","hashes":{},"yanked":7}"#),
        &page(r#"{"filename":"x","url":"x","hashes":{},"core-metadata":"true"}"#),
    ] {
        assert!(json(body).is_err(), "{body}");
    }
    for body in [
        "",
        "plain text",
        r#"<meta name="pypi:repository-version" content="2.0">"#,
        "<base href='https://[/'><a href=x>x</a>",
    ] {
        assert!(read(HTML, body).is_err(), "{body}");
    }
    assert!(read(HTML, "<!DOCTYPE html><h1>Links for left</h1>").is_ok());
    for kind in [
        "",
        "application/json",
        "text/plain",
        "application/vnd.pypi.simple.v2+json",
    ] {
        assert!(read(kind, &page("")).is_err(), "{kind}");
    }
    assert!(read("Application/VND.pypi.simple.v1+JSON; x=y", &page("")).is_ok());
}

#[test]
fn what_repositories_say_of_one_another_is_kept() {
    let body = page("")
        .replace(
            r#""1.1""#,
            r#""1.2","tracks":["https://origin.invalid/simple/left/"]"#,
        )
        .replace(
            r#""files""#,
            r#""alternate-locations":["https://b.invalid/left/"],"files""#,
        );
    let index = json(&body).unwrap();
    assert_eq!(
        index.tracks[0].as_str(),
        "https://origin.invalid/simple/left/"
    );
    assert_eq!(index.alternates[0].as_str(), "https://b.invalid/left/");
    assert!(text(&index).contains("origin.invalid") && text(&index).contains("b.invalid"));
    let html = "<meta name='pypi:tracks' content='https://origin.invalid/simple/left/'>";
    assert_eq!(read(HTML, html).unwrap().tracks.len(), 1);
}

#[test]
fn only_constants_are_asked_with() {
    let pip = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1";
    assert!(Pypi.accept(pip).starts_with(super::JSON));
    assert!(!Pypi.accept("text/html").contains("json"));
    assert_eq!(Pypi.accept("secret"), "*/*");
}

proptest! {
    #[test]
    fn reading_never_panics(text in "[<>a-z=\"'/ &;#:{}\\[\\],0-9.-]{0,200}") {
        let _ = json(&text);
        let _ = read(HTML, &text);
    }

    #[test]
    fn what_is_written_reads_the_same(reason in ".{0,30}", python in ".{0,20}") {
        let file = serde_json::json!({
            "filename": "left-1.0-py3-none-any.whl", "url": "left-1.0-py3-none-any.whl",
            "hashes": {"sha256": SHA}, "yanked": reason, "requires-python": python,
        });
        let first = json(&page(&file.to_string())).unwrap();
        let second = json(text(&first)).unwrap();
        prop_assert_eq!(text(&first), text(&second));
    }
}
