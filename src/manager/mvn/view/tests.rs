//! Whole jars, made here, seen through a view.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::write::DeflateEncoder;
use rawzip::ZipLocator;

use super::*;

/// A jar, entry by entry: name, content, whether deflated.
fn jar(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let mut output = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
    for (name, content, packed) in entries {
        let method = match packed {
            true => rawzip::CompressionMethod::DEFLATE,
            false => rawzip::CompressionMethod::STORE,
        };
        let path = rawzip::path::EntryPath::verbatim(name.as_bytes().to_vec());
        let (mut entry, config) = archive
            .new_file(path)
            .compression_method(method)
            .start()
            .unwrap();
        if *packed {
            let encoder = DeflateEncoder::new(&mut entry, Compression::default());
            let mut writer = config.wrap(encoder);
            writer.write_all(content).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            entry.finish(descriptor).unwrap();
        } else {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(content).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
    }
    archive.finish().unwrap();
    output
}

fn view(bytes: &[u8], form: Form) -> Result<View, ViewError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    of(&file, form)
}

/// What another reader finds in an archive.
fn read(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let archive = ZipLocator::new().locate_in_slice(bytes).unwrap();
    let mut records = archive.entries();
    let mut found = Vec::new();
    while let Some(record) = records.next_entry().unwrap() {
        let entry = archive.get_entry(record.wayfinder()).unwrap();
        let mut content = Vec::new();
        entry
            .verifying_reader(entry.data())
            .read_to_end(&mut content)
            .unwrap();
        let name = String::from_utf8(record.file_path().as_bytes().to_vec()).unwrap();
        found.push((name, content));
    }
    found
}

fn names(view: &View) -> Vec<String> {
    read(&view.bytes)
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

const CLASS: &[u8] = b"\xca\xfe\xba\xbe\0\0\0\x34";

fn usual() -> Vec<u8> {
    let module = descriptor::class(53, 0x8000, "module-info", 0);
    let class = descriptor::class(52, 0x0021, "a/B", 0);
    let nested = jar(&[("a.class", CLASS, true)]);
    jar(&[
        ("META-INF/", b"", false),
        (
            "META-INF/MANIFEST.MF",
            b"Manifest-Version: 1.0\nMain-Class: a.B\n\n",
            true,
        ),
        ("module-info.class", &module, true),
        ("a/B.class", &class, true),
        ("META-INF/versions/9/a/B.class", &class, true),
        ("META-INF/versions/9/module-info.class", CLASS, true),
        (
            "META-INF/services/javax.annotation.processing.Processor",
            b"a.B",
            true,
        ),
        ("META-INF/maven/g/a/pom.xml", b"<project/>", true),
        ("META-INF/maven/plugin.xml", b"<plugin/>", true),
        ("a/text.properties", b"x=1", false),
        ("a/hidden.bin", CLASS, false),
        ("a/lib.bin", b"\x7fELF", false),
        ("a/inner.bin", &nested, true),
        ("lib/x.so", b"text", false),
    ])
}

#[test]
fn a_view_has_the_resources_and_nothing_that_runs() {
    let made = view(&usual(), Form::CodeFree).unwrap();
    assert_eq!(
        names(&made),
        [
            "META-INF/",
            "META-INF/MANIFEST.MF",
            "module-info.class",
            "META-INF/maven/g/a/pom.xml",
            "a/text.properties",
        ]
    );
    let manifest = &read(&made.bytes)[1].1;
    assert_eq!(manifest, b"Manifest-Version: 1.0\r\n\r\n");
    let left_out: Vec<_> = made.left_out.all().collect();
    assert_eq!(
        left_out,
        [("archive", 1), ("class", 4), ("native", 2), ("service", 2)]
    );
    assert_eq!(view(&usual(), Form::CodeFree).unwrap(), made);
    // A view of a view is itself.
    assert_eq!(view(&made.bytes, Form::CodeFree).unwrap().bytes, made.bytes);
}

#[test]
fn the_compiler_gets_classes_and_no_service() {
    let made = view(&usual(), Form::Compiler).unwrap();
    let names = names(&made);
    for kept in [
        "a/B.class",
        "META-INF/versions/9/a/B.class",
        "a/text.properties",
    ] {
        assert!(names.iter().any(|name| name == kept), "{kept}");
    }
    for dropped in ["services", "plugin.xml", "hidden", "lib", "inner"] {
        assert!(
            !names.iter().any(|name| name.contains(dropped)),
            "{names:?}"
        );
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let twice = jar(&[("a", b"1", false), ("a", b"2", false)]);
    let error = view(&twice, Form::CodeFree).unwrap_err();
    assert!(error.to_string().contains("twice"), "{error}");
    let alike = jar(&[("a", b"1", false), ("a", b"1", false)]);
    assert_eq!(names(&view(&alike, Form::CodeFree).unwrap()), ["a"]);

    // The entry's own header names a class, the directory a text.
    let mut renamed = jar(&[("a.class", CLASS, false)]);
    let at = renamed.windows(7).rposition(|w| w == b"a.class").unwrap();
    renamed[at..at + 7].copy_from_slice(b"a.texts");
    assert!(matches!(
        view(&renamed, Form::CodeFree),
        Err(ViewError::Ambiguous { .. })
    ));

    let mut damaged = jar(&[("a.txt", b"some text", false)]);
    let at = damaged.windows(4).position(|w| w == b"some").unwrap();
    damaged[at] ^= 1;
    assert!(matches!(
        view(&damaged, Form::CodeFree),
        Err(ViewError::Ambiguous { .. })
    ));
}

#[test]
fn what_is_no_jar_is_an_error_and_odd_names_are_left_out() {
    for bytes in [&b""[..], b"no zip at all", &usual()[..200]] {
        assert!(matches!(
            view(bytes, Form::CodeFree),
            Err(ViewError::Zip(_))
        ));
    }
    let odd = jar(&[
        ("../a.txt", b"1", false),
        ("/b.txt", b"1", false),
        ("c\\d.txt", b"1", false),
        ("e//f.txt", b"1", false),
        ("g.txt", b"1", false),
    ]);
    let made = view(&odd, Form::CodeFree).unwrap();
    assert_eq!(names(&made), ["g.txt"]);
    assert_eq!(made.left_out.all().next(), Some(("unreadable", 4)));
    assert!(read(&view(&jar(&[]), Form::CodeFree).unwrap().bytes).is_empty());
}

#[test]
fn a_bomb_is_refused_before_it_is_unpacked() {
    let zeros = vec![0; 64 << 20];
    let bomb = jar(&[("a.txt", &zeros, true)]);
    assert!(matches!(
        view(&bomb, Form::CodeFree),
        Err(ViewError::TooLarge)
    ));
}

#[test]
fn many_entries_are_written_so_that_they_are_found() {
    let mut writer = Writer::default();
    for number in 0..70_000 {
        writer.add(format!("f{number}").as_bytes(), b"").unwrap();
    }
    let found = read(&writer.finish());
    assert_eq!(found.len(), 70_000);
    assert_eq!(found.last().unwrap().0, "f69999");
}
