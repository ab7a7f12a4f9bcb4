//! The report page: one self-contained HTML file about a record.
//!
//! Called by `v4run assess --format html`. It loads nothing, runs nothing and links nowhere: a
//! Content-Security-Policy says so to the browser, and the style is allowed by its digest. What must
//! always hold: it shows what the other outputs say and nothing more, every text of the record is
//! foreign, and what is left out for its size is counted. CSP Level 3, "Delivery via HTML meta
//! elements".

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::{Evidence, client_score, reassess};
use crate::model::{Assessment, Event, Level, LevelStatus, Severity};
use crate::record::{Check, Index, Reading, RecordError, Summary, load_summary, verify};
use markup::Html;

mod components;
mod controls;
mod markup;
mod refused;
mod timeline;

const STYLE: &str = include_str!("style.css");

/// What the page is made of.
struct Page<'a> {
    assessment: &'a Assessment,
    reading: &'a Reading,
    checks: &'a [Check],
    index: &'a Index<'a>,
    summary: Option<&'a Summary>,
}

/// The page about a record directory.
pub fn page(directory: &Path) -> Result<String, RecordError> {
    let verification = verify(directory)?;
    let reading = &verification.reading;
    let assessment = reassess(reading);
    let summary = load_summary(directory).ok();
    let events = reading.events();
    let evidence = Evidence::new(&events);
    let page = Page {
        assessment: &assessment,
        reading,
        checks: &verification.checks,
        index: &evidence.index,
        summary: summary.as_ref(),
    };
    Ok(page.html())
}

impl Page<'_> {
    fn html(&self) -> String {
        let mut html = Html::default();
        html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
            .raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")
            .raw("style-src 'sha256-")
            .text(&STANDARD.encode(Sha256::digest(STYLE.as_bytes())))
            .raw("'; base-uri 'none'; form-action 'none'\">")
            .raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
            .raw("<meta name=\"referrer\" content=\"no-referrer\">")
            .raw("<meta name=\"color-scheme\" content=\"light dark\"><title>v4run: ")
            .text(&self.command())
            .raw("</title><style>")
            .raw(STYLE)
            .raw("</style></head><body><main>");
        self.head(&mut html);
        self.levels(&mut html);
        self.tiles(&mut html);
        controls::section(self, &mut html);
        refused::sections(self, &mut html);
        components::section(self, &mut html);
        timeline::section(self, &mut html);
        self.integrity(&mut html);
        html.raw("<footer><p>Assessed against SCVS 1.0 V4 (interpretation ")
            .text(&self.assessment.interpretation)
            .raw(
                "), by the builder itself: no certification. Paths, addresses and names are those ",
            )
            .raw("of the record. Written by v4run ")
            .text(env!("CARGO_PKG_VERSION"))
            .raw(".</p></footer></main></body></html>\n");
        html.finish()
    }

    fn command(&self) -> String {
        let manager = self.index.manager.unwrap_or("a run without a start");
        let arguments = self.index.arguments.iter().map(String::as_str);
        let words: Vec<&str> = std::iter::once(manager).chain(arguments).collect();
        words.join(" ")
    }

    fn exit_code(&self) -> Option<u8> {
        let sealed = self.reading.entries.iter().rev().find_map(|entry| {
            if let Some(Event::Sealed { exit_code, .. }) = entry.event {
                Some(exit_code)
            } else {
                None
            }
        });
        sealed.or_else(|| self.summary.map(|summary| summary.exit_code))
    }

    fn refused(&self) -> usize {
        let findings = self.index.findings.iter();
        let refused = |one: &&&crate::model::Finding| one.code.severity() == Severity::Violation;
        findings.filter(refused).count()
    }

    fn intact(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    fn head(&self, html: &mut Html) {
        let level = self.assessment.headline();
        let (class, verdict) = match (self.intact(), self.refused(), level) {
            (false, _, _) => ("bad", "The record is not intact".to_owned()),
            (true, 0, Some(level)) => ("good", format!("{level} is reached")),
            (true, 0, None) => (
                "open",
                "Nothing was refused; no level is reached".to_owned(),
            ),
            (true, 1, _) => ("bad", "1 thing was refused".to_owned()),
            (true, count, _) => ("bad", format!("{count} things were refused")),
        };
        html.raw("<header class=\"").raw(class).raw("\">");
        html.element("p", "brand", "v4run report");
        html.raw("<h1>").text(&self.command()).raw("</h1>");
        html.element("p", "verdict", &verdict);
        html.raw("<p class=\"meta\">");
        if let Some(first) = self.reading.entries.first() {
            html.text(&first.time);
        }
        match self.exit_code() {
            Some(code) => html.raw(" · exit status ").text(&code.to_string()),
            None => html.raw(" · the run did not end"),
        };
        if let Some(summary) = self.summary {
            html.raw(" · run ").element("span", "mono", &summary.run);
        }
        html.raw("</p></header>");
    }

    fn levels(&self, html: &mut Html) {
        html.raw("<section class=\"levels\" aria-label=\"levels\">");
        for entry in &self.assessment.levels {
            let class = match entry.verdict {
                LevelStatus::Demonstrated | LevelStatus::Supported => "level good",
                LevelStatus::NotMet => "level bad",
                LevelStatus::MetWithWaivers => "level warn",
                LevelStatus::Undetermined | LevelStatus::NothingAssessed => "level open",
            };
            html.raw("<div class=\"").raw(class).raw("\">");
            html.element("b", "", &entry.level.to_string());
            html.element("span", "", &entry.verdict.name().replace('-', " "));
            if !entry.blocking.is_empty() {
                let blocking: Vec<String> =
                    entry.blocking.iter().map(ToString::to_string).collect();
                html.element("small", "", &format!("held up by {}", blocking.join(" ")));
            }
            html.raw("</div>");
        }
        let (met, all) = client_score(self.assessment);
        html.raw("<div class=\"level client\">");
        html.element("b", "", &format!("{met}/{all}"));
        html.element("span", "", "client controls");
        html.element("small", "", "met or not applicable")
            .raw("</div></section>");
    }

    fn tiles(&self, html: &mut Html) {
        let tiles = [
            ("components", self.index.purls().len()),
            ("artifacts verified", self.index.released.len()),
            ("TLS connections verified", self.index.connections.len()),
            ("refused", self.refused()),
            ("install scripts not run", self.index.suppressed.len()),
        ];
        html.raw("<section class=\"tiles\" aria-label=\"counts\">");
        for (name, count) in tiles {
            html.raw("<div>");
            html.element("b", "", &count.to_string());
            html.element("span", "", name).raw("</div>");
        }
        html.raw("</section>");
    }

    fn integrity(&self, html: &mut Html) {
        html.raw("<section><h2>The record itself</h2><ul class=\"checks\">");
        for check in self.checks {
            let (class, word) = match (check.holds, check.compared) {
                (true, true) => ("good", "holds"),
                (true, false) => ("open", "not compared"),
                (false, _) => ("bad", "broken"),
            };
            html.raw("<li>").element("span", class, word);
            html.raw(" ").element("b", "", check.name);
            html.raw(" ").text(&check.detail).raw("</li>");
        }
        html.raw("</ul></section>");
    }
}

/// The class of a level tag.
const fn level_name(level: Level) -> &'static str {
    match level {
        Level::L1 => "L1",
        Level::L2 => "L2",
        Level::L3 => "L3",
    }
}

/// A number with its noun.
fn counted(count: usize, noun: &str) -> String {
    super::verdict::things(count, noun)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Code, Finding, Status};
    use crate::record::fixture::{healthy, package, released, sealed};
    use crate::record::{EVENTS, SUMMARY};

    const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'\u{202e}<style>*{display:none}";

    fn written(events: Vec<Event>) -> String {
        let place = tempfile::tempdir().unwrap();
        sealed(place.path(), events, Status::Violated, None);
        page(place.path()).unwrap()
    }

    #[test]
    fn the_page_has_every_control_and_loads_nothing() {
        let page = written(healthy());
        for number in 1..=19 {
            assert!(page.contains(&format!(">4.{number}<")), "4.{number}");
        }
        for never in [
            "<script", "src=", "href=", "url(", "@import", "style=", "<link",
        ] {
            assert!(!page.contains(never), "{never}");
        }
        assert!(page.contains("default-src 'none'; style-src 'sha256-"));
        assert_eq!(page.matches("<style").count(), 1);
        assert_eq!(page.matches("<html").count(), 1);
    }

    #[test]
    fn hostile_names_are_shown_and_have_no_effect() {
        let mut events = healthy();
        if let Some(Event::RunStarted { arguments, .. }) = events.first_mut() {
            arguments.push(HOSTILE.into());
        }
        let contained = events.len() - 1;
        events.insert(contained, Event::Released(released(HOSTILE, HOSTILE, 7)));
        events.insert(contained, Event::Installed(package(HOSTILE, HOSTILE, 7)));
        events.push(Event::Found(Finding::new(
            Code::ExecRefused,
            HOSTILE,
            HOSTILE,
        )));
        events.push(Event::ScriptSuppressed {
            name: HOSTILE.into(),
            version: HOSTILE.into(),
            path: HOSTILE.into(),
            script: HOSTILE.into(),
            command: HOSTILE.into(),
        });
        let page = written(events);
        assert!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count() >= 5);
        assert!(!page.contains("<img") && !page.contains('\u{202e}'));
        assert_eq!(page.matches("<style").count(), 1);
        assert!(page.contains("1 thing was refused"));
    }

    #[test]
    fn a_broken_record_says_so_at_the_top() {
        let place = tempfile::tempdir().unwrap();
        sealed(place.path(), healthy(), Status::Enforced, None);
        let path = place.path().join(EVENTS);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"seq\":18", "\"seq\":81", 1)).unwrap();
        std::fs::remove_file(place.path().join(SUMMARY)).unwrap();
        let page = page(place.path()).unwrap();
        assert!(page.contains("The record is not intact"));
        assert!(page.contains("line 19 "));
    }
}
