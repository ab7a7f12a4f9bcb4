//! The report page in a real browser: nothing runs, nothing is wider than a phone.
//!
//! The browser loads a page of the test's own that has the report in a frame of the same origin,
//! measures the frame and writes down what it found. A report whose content security is taken away is
//! the control: there the hostile name works.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;

const BROWSERS: [&str; 2] = ["chromium-headless-shell", "chromium"];

/// Runs when it is markup, and tells the outer page.
const HOSTILE: &str = "<img src=x onerror=parent.hit=1>";

const FRAME: &str = r#"<!doctype html><meta charset="utf-8"><script>
window.hit = 0;
const text = TEXT;
addEventListener('load', () => {
  const found = [];
  const next = (widths) => {
    if (!widths.length) {
      document.body.textContent = 'FOUND' + JSON.stringify({ hit: window.hit, found }) + 'END';
      return;
    }
    const frame = document.createElement('iframe');
    frame.style.cssText = `border:0;height:800px;width:${widths[0]}px`;
    frame.onload = () => setTimeout(() => {
      const inner = frame.contentDocument;
      const rest = inner.querySelector('details');
      if (rest) rest.open = true;
      found.push({
        asked: widths[0],
        wide: inner.documentElement.scrollWidth,
        room: inner.documentElement.clientWidth,
        controls: inner.querySelectorAll('.control').length,
        rows: inner.querySelectorAll('tbody tr').length,
        images: inner.images.length,
        styled: getComputedStyle(inner.querySelector('main')).maxWidth,
      });
      next(widths.slice(1));
    }, 50);
    frame.srcdoc = text;
    document.body.append(frame);
  };
  next([360, 1200]);
});
</script><body></body>"#;

/// What the browser found in a page.
fn browse(folder: &Path, page: &str) -> Value {
    let text = serde_json::to_string(page).unwrap().replace('<', "\\u003c");
    let file = folder.join("frame.html");
    fs::write(&file, FRAME.replace("TEXT", &text)).unwrap();
    let profile = folder.join("browser");
    let browser = BROWSERS
        .iter()
        .map(|name| Path::new("/usr/bin").join(name))
        .find(|path| path.exists())
        .expect("scripts/setup.sh installs a browser");
    let output = Command::new(browser)
        .args(["--no-sandbox", "--disable-gpu", "--headless", "--dump-dom"])
        .args(["--virtual-time-budget=4000", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", file.display()))
        .env("HOME", folder)
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = shown
        .split("FOUND")
        .last()
        .and_then(|rest| rest.split("END").next());
    let found = found.and_then(|text| serde_json::from_str(text).ok());
    found.unwrap_or_else(|| panic!("{shown}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_page_is_readable_on_a_phone_and_runs_nothing() {
    let registry = Registry::start();
    let long = "a-package-name-without-any-place-to-break-it-".repeat(3);
    registry.publish(&Package::new(&long, "1.0.0"));
    let project = Project::locked(&registry, json!({ &long: "1.0.0" }));
    let argument = format!("--x={HOSTILE}");
    let run = project.v4run(&["npm", "ci", &argument]).run();
    let record = run.record().folder.clone();
    let words = ["assess", "--format", "html", record.to_str().unwrap()];
    let told = project.v4run_plain(&words).run();
    let page = &told.succeeds().stdout;
    assert!(page.contains("&lt;img src=x onerror"), "{page}");
    let folder = project.outside("browse");
    fs::create_dir_all(&folder).unwrap();
    let seen = browse(&folder, page);
    assert_eq!(seen["hit"], 0, "{seen}");
    for frame in seen["found"].as_array().unwrap() {
        assert_eq!(frame["controls"], 19, "{seen}");
        assert_eq!(frame["images"], 0, "{seen}");
        assert_eq!(frame["wide"], frame["room"], "{seen}");
        assert_eq!(frame["styled"], "1080px", "{seen}");
    }
    // The control: without escape and policy the same name runs.
    let open = page
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("default-src 'none'", "img-src *");
    assert_eq!(browse(&folder, &open)["hit"], 1);
}
